//! One process of a function.

use std::{
    process::Stdio,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::Serialize;
use std::sync::Arc;
use tokio::{
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Launch, Log};
use crate::{console, invoke::InvokeError, template::function_arn};

/// Lambda gives a function this long to ask for its first invocation.
const INIT: Duration = Duration::from_secs(10);

/// How long is waited for the output of a process that has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running process, known to the Runtime API by its number.
pub(super) struct Process {
    function: String,
    pid: u32,
    outgoing: mpsc::Sender<Invocation>,
    invocations: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    pending: Mutex<Option<Pending>>,
    taken: AtomicU64,
    launched: Instant,
    /// How long it took from its start to its first request for an invocation.
    start: OnceLock<Duration>,
    ready: CancellationToken,
    kill: CancellationToken,
    exited: CancellationToken,
}

/// What `next` hands to a process.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) deadline: SystemTime,
    pub(super) payload: Bytes,
}

struct Pending {
    request_id: String,
    answer: oneshot::Sender<Result<Bytes, InvokeError>>,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Starting,
    Idle,
    Busy,
}

impl Process {
    /// Starts a process that finds the Runtime API at `api`.
    pub(super) fn start(launch: &Launch, log: &Log, api: &str) -> std::io::Result<Arc<Self>> {
        let launched = Instant::now();
        let mut child = Command::new(&launch.binary)
            // Nothing of the developer's own AWS configuration reaches a function.
            .env_clear()
            .envs(&launch.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of the terminal's group: Ctrl-C is for the local system, which then ends its functions.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let output = log.follow(child.stdout.take(), child.stderr.take());
        let (outgoing, invocations) = mpsc::channel(1);
        let process = Arc::new(Self {
            function: launch.name.clone(),
            pid: child.id().unwrap_or_default(),
            outgoing,
            invocations: tokio::sync::Mutex::new(invocations),
            pending: Mutex::new(None),
            taken: AtomicU64::new(0),
            launched,
            start: OnceLock::new(),
            ready: CancellationToken::new(),
            kill: CancellationToken::new(),
            exited: CancellationToken::new(),
        });
        tokio::spawn(process.clone().supervise(child, output));
        Ok(process)
    }

    async fn supervise(self: Arc<Self>, mut child: Child, mut output: JoinSet<()>) {
        tokio::select! {
            status = child.wait() => {
                // Its last words are in the log then. They end with it, unless it has left children behind.
                let rest = async { while output.join_next().await.is_some() {} };
                let _ = tokio::time::timeout(LAST_WORDS, rest).await;
                // One that never was ready is told of by whoever waits for it.
                if let Ok(status) = status && self.ready.is_cancelled() {
                    console::warn(&format!("{} (process {}) ended: {status}", self.function, self.pid));
                }
                output.detach_all();
            }
            () = self.kill.cancelled() => {
                // `kill` waits for the process, so that none is left as a zombie.
                let _ = child.kill().await;
                output.detach_all();
            }
        }
        self.exited.cancel();
    }

    /// The process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// How many invocations it has taken.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn state(&self) -> State {
        match () {
            () if !self.ready.is_cancelled() => State::Starting,
            () if self.pending().is_some() => State::Busy,
            () => State::Idle,
        }
    }

    /// Whether it can no longer take an invocation.
    pub(super) fn is_gone(&self) -> bool {
        self.exited.is_cancelled() || self.kill.is_cancelled()
    }

    pub(super) fn kill(&self) {
        self.kill.cancel();
    }

    pub(super) async fn gone(&self) {
        self.exited.cancelled().await;
    }

    /// How long its cold start took; nothing while it lasts.
    pub(super) fn cold_start(&self) -> Option<Duration> {
        self.start.get().copied()
    }

    /// Waits for the first `next`.
    pub(super) async fn ready(&self) -> Result<(), InvokeError> {
        tokio::select! {
            () = self.ready.cancelled() => Ok(()),
            () = self.exited.cancelled() => Err(InvokeError::Crashed),
            () = tokio::time::sleep(INIT) => {
                self.kill();
                Err(InvokeError::TimedOut)
            }
        }
    }

    /// Runs one invocation in a process that is ready. Afterwards the process may be gone.
    pub(super) async fn invoke(&self, payload: Bytes, timeout: Duration) -> Result<Bytes, InvokeError> {
        let request_id = Uuid::new_v4().to_string();
        let (answer, answered) = oneshot::channel();
        *self.pending() = Some(Pending { request_id: request_id.clone(), answer });
        self.taken.fetch_add(1, Ordering::Relaxed);
        let invocation = Invocation { request_id, deadline: SystemTime::now() + timeout, payload };
        let outcome = tokio::select! {
            biased;
            answer = async {
                let _ = self.outgoing.send(invocation).await;
                answered.await
            } => answer.unwrap_or(Err(InvokeError::Crashed)),
            () = self.exited.cancelled() => Err(InvokeError::Crashed),
            () = tokio::time::sleep(timeout) => {
                self.kill();
                console::warn(&format!("{} (process {}) was killed at its timeout of {timeout:?}", self.function, self.pid));
                Err(InvokeError::TimedOut)
            }
        };
        *self.pending() = None;
        outcome
    }

    /// The process asks for its next invocation.
    pub(super) async fn next(&self) -> Option<Invocation> {
        self.start.get_or_init(|| self.launched.elapsed());
        self.ready.cancel();
        self.invocations.lock().await.recv().await
    }

    /// The process has an answer. False if nobody waits for it.
    pub(super) fn answer(&self, request_id: &str, answer: Result<Bytes, InvokeError>) -> bool {
        let mut pending = self.pending();
        match pending.take_if(|pending| pending.request_id == request_id) {
            Some(pending) => pending.answer.send(answer).is_ok(),
            None => false,
        }
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, Option<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Invocation {
    /// The headers of the answer to `next`.
    pub(super) fn headers(&self, function: &str) -> [(&'static str, String); 4] {
        let deadline = self.deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
        [
            ("lambda-runtime-aws-request-id", self.request_id.clone()),
            ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
            ("lambda-runtime-invoked-function-arn", function_arn(function)),
            ("lambda-runtime-trace-id", format!("Root=1-{:08x}-{:024x}", deadline.as_secs(), deadline.as_nanos())),
        ]
    }
}
