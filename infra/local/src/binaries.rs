//! The functions' binaries, built by cargo.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::Command,
};

/// The root of the workspace that this program was built from.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Builds all of the workspace's binaries in this program's own profile and returns the folder that they are in.
///
/// All, and with no `--package`: cargo then resolves the features of dependencies as it did for this program, and
/// builds nothing twice.
pub(crate) async fn build() -> anyhow::Result<PathBuf> {
    let mut arguments = vec!["--bins"];
    if !cfg!(debug_assertions) {
        arguments.push("--release");
    }
    cargo_build(&arguments).await?;
    own_folder()
}

/// Builds these binaries in release, whatever this program's own profile is, and returns the folder that they are in.
///
/// By package, as `sam build` has it done (`CargoLambda.toml`): they are what is deployed, with the features of dependencies
/// that the functions alone want.
pub(crate) async fn build_release(binaries: &[&str]) -> anyhow::Result<PathBuf> {
    let binaries = binaries.iter().flat_map(|binary| ["--package", *binary, "--bin", *binary]);
    let arguments: Vec<_> = std::iter::once("--release").chain(binaries).collect();
    cargo_build(&arguments).await?;
    Ok(own_folder()?.with_file_name("release"))
}

/// `target/debug` or `target/release`.
fn own_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program does not know where it lies")?;
    Ok(own.parent().context("this program lies in no folder")?.to_owned())
}

async fn cargo_build(arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace()).arg("build").args(arguments).kill_on_drop(true);
    // `cargo run` and `cargo test` tell this program which package it is. Build scripts that look at that (ring's does)
    // would run again, and half of the workspace with them, at every change between the two.
    for (name, _) in std::env::vars_os() {
        let leaks = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if leaks.iter().any(|leak| name.to_string_lossy().starts_with(leak)) {
            command.env_remove(name);
        }
    }
    let is_terminal = console::Term::stderr().is_term();
    if is_terminal {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut cargo = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let output = match cargo.stderr.take() {
        Some(stderr) => follow(stderr).await,
        None => String::new(),
    };
    if !cargo.wait().await.context("cargo cannot be waited for")?.success() {
        bail!("the functions cannot be built; cargo says:\n{output}");
    }
    Ok(())
}

/// Shows cargo's newest line and keeps all of them.
async fn follow(stderr: impl AsyncRead + Unpin) -> String {
    // Draws only on a terminal.
    let progress = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("  {spinner:.cyan} functions   {wide_msg:.dim}") {
        progress.set_style(style);
    }
    progress.enable_steady_tick(Duration::from_millis(100));
    let mut lines = BufReader::new(stderr).lines();
    let mut output = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        progress.set_message(console::strip_ansi_codes(line.trim()).into_owned());
        output.push_str(&line);
        output.push('\n');
    }
    progress.finish_and_clear();
    output
}
