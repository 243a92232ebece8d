//! How fast functions start and how large they are: each release binary is started against a bare Runtime API, several
//! times. What depends on the machine is printed; what does not has a budget. `docs/cold-start.md` says what it means.

mod artifact;
mod budget;
mod event;
mod memory;
mod report;
mod start;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, bail};
use clap::Args;
use futures_util::future::try_join_all;

use self::{
    artifact::{Folder, Size},
    event::Event,
    report::{Report, Row},
    start::Stage,
};
use crate::{
    binaries, console, environment,
    template::{Function, Template},
};

/// Starts the release binary of each function against a bare Runtime API: time, memory, and size beside its budget
#[derive(Args, Clone, Debug)]
pub(crate) struct ColdStart {
    /// Starts of each function, one after another; 0 looks at sizes alone
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=100))]
    runs: u32,
    /// Takes the binaries in this folder instead of building them: target/release, or .aws-sam/build
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
    /// Fails if a size is over its budget, or a function has none
    #[arg(long)]
    check: bool,
}

/// The port that parameters of the template are made for. Nothing listens on it.
const PORT: u16 = 4000;

/// Measures, prints, and with `--check` compares.
pub(crate) async fn run(args: ColdStart) -> anyhow::Result<()> {
    console::title("cold starts and sizes of release binaries");
    let template = read_template().await?;
    // Before minutes of building.
    let events = if args.runs > 0 { read_events(&template.functions)? } else { Vec::new() };
    let folder = folder(args.binaries.as_deref(), &template.functions).await?;

    let mut rows = measure_sizes(&folder, &template.functions).await?;
    let logs = binaries::workspace().join("target/local/cold-start");
    for ((function, event), row) in template.functions.iter().zip(events).zip(&mut rows) {
        let stage = Stage { template: &template, function, binary: folder.binary(function)?, event, logs: &logs };
        for _ in 0..args.runs {
            row.starts.push(stage.play().await?);
        }
    }

    let report = Report { rows };
    report.print();
    if !args.check {
        return Ok(());
    }
    let failures = report.failures();
    for failure in &failures {
        console::warn(failure);
    }
    match failures.len() {
        0 => Ok(()),
        1 => bail!("a size is not within its budget"),
        n => bail!("{n} sizes are not within their budgets"),
    }
}

async fn read_template() -> anyhow::Result<Template> {
    let path = binaries::workspace().join("template.yaml");
    let text = tokio::fs::read_to_string(&path).await.with_context(|| format!("{} cannot be read", path.display()))?;
    let parameters = environment::parameters(PORT);
    Ok(Template::read(&text, &parameters.each_ref().map(|(name, value)| (*name, value.as_str())))?)
}

/// The event of each function.
fn read_events(functions: &[Function]) -> anyhow::Result<Vec<Event>> {
    functions.iter().map(|function| event::read(&function.name)).collect()
}

/// A row for each function, with its sizes. All at a time, for deflating takes its time.
async fn measure_sizes(folder: &Folder, functions: &[Function]) -> anyhow::Result<Vec<Row>> {
    let measure = async |function: &Function| {
        let binary = folder.binary(function)?;
        let size = tokio::task::spawn_blocking(move || Size::of(&binary)).await??;
        anyhow::Ok(Row::new(&function.name, size, budget::zipped(&function.name)))
    };
    try_join_all(functions.iter().map(measure)).await
}

/// Where the binaries are: in `given`, or where they have just been built.
async fn folder(given: Option<&Path>, functions: &[Function]) -> anyhow::Result<Folder> {
    if let Some(given) = given {
        return Folder::open(given);
    }
    let begun = Instant::now();
    let names: Vec<_> = functions.iter().map(|function| function.binary.as_str()).collect();
    let built = binaries::build_release(&names).await?;
    console::ready("functions", "built (release)", begun.elapsed());
    Folder::open(&built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_function_that_is_deployed_has_an_event_and_a_budget() {
        let functions = read_template().await.unwrap().functions;
        read_events(&functions).unwrap();
        for function in functions {
            assert!(budget::zipped(&function.name).is_some(), "{} has no budget", function.name);
        }
    }
}
