//! The local system as a child process, on ports of its own.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::{Producer, Rest, Socket};

/// Starting includes building the functions where they are not built yet.
const START: Duration = Duration::from_mins(20);

/// Names a Kafka, `host:port`, that systems use instead of the embedded one where [`Options::kafka`] names none.
/// It has to be empty, and one system's alone: campaigns of two tests have the same names.
const KAFKA: &str = "LIVEFOLD_TEST_KAFKA";

/// Names a DynamoDB, a URL, as [`KAFKA`] does a Kafka.
const DYNAMODB: &str = "LIVEFOLD_TEST_DYNAMODB";

/// What differs from a plain start.
#[derive(Debug, Default)]
pub struct Options {
    /// A Kafka elsewhere.
    pub kafka: Option<String>,
    /// A DynamoDB elsewhere.
    pub dynamodb: Option<String>,
    /// A folder in which DynamoDB is kept.
    pub data: Option<PathBuf>,
    /// Variables of the functions to be overridden, `NAME=VALUE`.
    pub environment: Vec<String>,
}

/// A running local system; it is stopped when this is dropped.
pub struct System {
    child: Child,
    port: u16,
    kafka: String,
    dynamodb: String,
}

impl System {
    /// Starts a system without the simulator and as narrow as AWS, and waits until it is ready.
    pub async fn start(options: Options) -> Result<Self> {
        let Options { kafka, dynamodb, data, environment } = options;
        let [kafka, dynamodb] = [kafka.or(named_by(KAFKA)?), dynamodb.or(named_by(DYNAMODB)?)];
        let [port, kafka_port, dynamodb_port] = free_ports()?;
        let log = create_log(port)?;
        let mut command = Command::new(binary()?);
        command
            .current_dir(workspace())
            .arg("--no-simulator")
            // A test must not be green because there are no limits here.
            .args(["--limits", "aws"])
            .args(["--port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        match &kafka {
            Some(address) => command.args(["--kafka", address]),
            None => command.args(["--kafka-port", &kafka_port.to_string()]),
        };
        match &dynamodb {
            Some(url) => command.args(["--dynamodb", url]),
            None => command.args(["--dynamodb-port", &dynamodb_port.to_string()]),
        };
        if let Some(folder) = &data {
            command.arg("--data").arg(folder);
        }
        for variable in &environment {
            command.args(["--env", variable]);
        }
        let child = command.spawn().context("the local system cannot be started")?;
        let kafka = kafka.unwrap_or_else(|| format!("localhost:{kafka_port}"));
        let dynamodb = dynamodb.unwrap_or_else(|| format!("http://localhost:{dynamodb_port}"));
        let mut system = Self { child, port, kafka, dynamodb };
        system.wait_until_ready().await?;
        Ok(system)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let begun = Instant::now();
        let rest = self.rest(None);
        while begun.elapsed() < START {
            if let Some(status) = self.child.try_wait()? {
                bail!("the local system ended with {status}; see {}", log_path(self.port).display());
            }
            if matches!(rest.get("/health/ready").await, Ok((status, _)) if status.is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the local system is not ready after {START:?}; see {}", log_path(self.port).display())
    }

    /// A Kafka producer.
    pub fn producer(&self) -> Result<Producer> {
        Producer::new(&self.kafka)
    }

    /// A REST client.
    #[must_use]
    pub fn rest(&self, token: Option<&str>) -> Rest {
        Rest::new(format!("http://localhost:{}/api", self.port), token.map(ToOwned::to_owned))
    }

    /// Where the local system's own pages come from.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// Where sockets are opened.
    #[must_use]
    pub fn socket_url(&self, query: &str) -> String {
        format!("ws://localhost:{}/ws{query}", self.port)
    }

    /// A socket opened with the token in the query.
    pub async fn socket(&self, token: &str) -> Result<Socket> {
        let opened = Socket::open(&self.socket_url(&format!("?token={token}")), None).await?;
        opened.map_err(|refused| anyhow::anyhow!("refused: {refused:?}"))
    }

    /// A token as `cargo dev token` prints it.
    pub async fn token(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(binary()?).current_dir(workspace()).arg("token").args(arguments).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().last().context("no token was printed")?.trim().to_owned())
    }

    /// A token of a tenant with all that reading needs.
    pub async fn tenant_token(&self, tenant: &str) -> Result<String> {
        self.token(&["--tenant", tenant]).await
    }

    /// What runs, as the system tells it at `/_local`.
    pub async fn status(&self) -> Result<Value> {
        let response = crate::rest::client().get(format!("http://localhost:{}/_local", self.port)).send().await?;
        Ok(serde_json::from_str(&response.text().await?)?)
    }

    /// What it would cost on AWS, as the system tells it at `/_local/costs`.
    pub async fn costs(&self) -> Result<Value> {
        let response = crate::rest::client().get(format!("{}/_local/costs", self.origin())).send().await?;
        Ok(serde_json::from_str(&response.text().await?)?)
    }

    /// The process ids of a function.
    pub async fn processes(&self, function: &str) -> Result<Vec<u32>> {
        let status = self.status().await?;
        let functions = status["functions"].as_array().context("no functions")?;
        let function = functions.iter().find(|known| known["name"] == function).context("no such function")?;
        let processes = function["processes"].as_array().context("no processes")?;
        Ok(processes.iter().filter_map(|process| u32::try_from(process["pid"].as_u64()?).ok()).collect())
    }

    /// What `cargo dev` tools print, run against this system's DynamoDB or Kafka.
    pub async fn tool(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(binary()?).current_dir(workspace()).args(arguments).output().await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Where Kafka listens.
    #[must_use]
    pub fn kafka(&self) -> &str {
        &self.kafka
    }

    /// Where DynamoDB listens.
    #[must_use]
    pub fn dynamodb(&self) -> &str {
        &self.dynamodb
    }

    /// The process id of the system itself.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Names and texts of all logs: what the system printed, and what each of its functions did.
    pub fn logs(&self) -> Result<Vec<(String, String)>> {
        let mut logs = Vec::new();
        let folder = workspace().join(format!("target/local/{}/logs", self.port));
        let functions = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
        for path in functions.chain([Ok(self.log())]) {
            let path = path?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            logs.push((name, String::from_utf8_lossy(&std::fs::read(path)?).into_owned()));
        }
        Ok(logs)
    }

    /// The audit trail, in no order across functions.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let lines = self.logs()?.into_iter().flat_map(|(_, log)| {
            let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            events.filter(|event| event["audit"].is_string()).collect::<Vec<_>>()
        });
        Ok(lines.collect())
    }

    /// The file that holds what the system printed.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        log_path(self.port)
    }

    /// Kills the system, as `kill -9` does, and waits for its end.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks the system to stop, as Ctrl-C does, and waits for its end.
    pub async fn stop(mut self) -> Result<std::process::ExitStatus> {
        let pid = self.pid().context("it has ended already")?;
        signal(pid, "INT").await?;
        Ok(tokio::time::timeout(crate::PATIENCE, self.child.wait()).await.context("it does not stop")??)
    }
}

/// What a variable names, if it is set.
fn named_by(variable: &str) -> Result<Option<String>> {
    match std::env::var(variable) {
        Ok(name) if name.is_empty() => bail!("{variable} is set, but empty"),
        Ok(name) => Ok(Some(name)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).with_context(|| variable.to_owned()),
    }
}

/// Sends a signal to a process.
pub async fn signal(pid: u32, name: &str) -> Result<()> {
    Command::new("kill").args(["-s", name, &pid.to_string()]).stderr(Stdio::null()).status().await?;
    Ok(())
}

fn workspace() -> &'static Path {
    // The parent exists: this crate lies in the workspace.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The binary of a function, built as the local system runs it.
pub fn function_binary(function: &str) -> Result<PathBuf> {
    Ok(binary()?.with_file_name(function))
}

/// The local system's binary, built once in each test process. Cargo holds no lock while tests run.
fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path);
    }
    let mut command = std::process::Command::new(env!("CARGO"));
    command.current_dir(workspace()).args(["build", "--bins"]);
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    // As in `infra/local/src/binaries.rs`: what `cargo test` tells about this package would make cargo build anew.
    for (name, _) in std::env::vars_os() {
        let leaks = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if leaks.iter().any(|leak| name.to_string_lossy().starts_with(leak)) {
            command.env_remove(name);
        }
    }
    ensure!(command.status()?.success(), "the local system cannot be built");
    // This test's own binary lies in `target/{profile}/deps`.
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(Path::parent).context("a test binary lies in a folder")?;
    Ok(BINARY.get_or_init(|| folder.join("local")))
}

/// Below those that Linux gives to connections: one that is free now would be some connection's before the system listens there.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// Ports that nobody listens on, chosen at random: many systems are started at the same time. Somebody else may take one before it is used; then the system says so.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    for _ in 0..1_000 {
        if listeners.len() == N {
            break;
        }
        let random = RandomState::new().build_hasher().finish();
        let port = PORTS.start + u16::try_from(random % PORTS.len() as u64)?;
        listeners.extend(TcpListener::bind(("127.0.0.1", port)).ok());
    }
    let mut ports = [0; N];
    ensure!(listeners.len() == N, "no port is free");
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

fn log_path(port: u16) -> PathBuf {
    workspace().join(format!("target/e2e/{port}.log"))
}

fn create_log(port: u16) -> Result<std::fs::File> {
    let path = log_path(port);
    std::fs::create_dir_all(path.parent().context("a log lies in a folder")?)?;
    Ok(std::fs::File::create(path)?)
}
