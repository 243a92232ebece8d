//! Lambda: runs the real function binaries over the Lambda Runtime API.
//!
//! Own code, because what there is does not embed: cargo-lambda's and AWS's emulators are programs, and neither keeps
//! several processes per function nor kills one at its timeout. The Runtime API is four requests.

mod api;
mod log;
mod pool;
mod process;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use self::{
    api::{INVOCATIONS, router, runtime_router},
    log::Log,
};
use self::{pool::Pool, process::State};
use crate::invoke::{Invoke, InvokeError};

/// The greatest payload and answer of Lambda.
pub(crate) const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// Asynchronous invocations of a function that may wait; more are refused.
const MAX_WAITING_EVENTS: usize = 1000;

/// How often idle processes are looked at.
const SWEEP: Duration = Duration::from_secs(5);

/// How long stopping waits for killed processes to be gone.
const REAP: Duration = Duration::from_secs(3);

/// A function and how its processes are started.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) name: String,
    pub(crate) binary: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u32,
    /// How often a failed asynchronous invocation is tried again.
    pub(crate) retries: u32,
}

/// A process that has asked for its first invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) pid: u32,
    /// From the process's start to that request.
    pub(crate) took: Duration,
}

/// Everything that runs functions.
pub(crate) struct Host {
    functions: BTreeMap<String, Function>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

struct Function {
    pool: Arc<Pool>,
    waiting: Arc<Semaphore>,
    counts: Arc<Counts>,
    retries: u32,
}

#[derive(Default)]
struct Counts {
    invocations: AtomicU64,
    errors: AtomicU64,
}

/// What a function is doing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FunctionStatus {
    name: String,
    invocations: u64,
    errors: u64,
    /// How many processes there have been.
    started: u64,
    log: PathBuf,
    processes: Vec<ProcessStatus>,
}

/// What of a function is paid for.
#[derive(Clone, Debug)]
pub(crate) struct FunctionUsage {
    pub(crate) name: String,
    pub(crate) invocations: u64,
    /// How long invocations took, those that go on until now.
    pub(crate) duration: Duration,
    pub(crate) memory_mb: u32,
    /// Bytes that it wrote to its log.
    pub(crate) logged: u64,
}

/// What a process is doing.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessStatus {
    pid: u32,
    state: State,
    invocations: u64,
    /// From the process's start to its first request for an invocation.
    cold_start_ms: Option<u128>,
}

impl Host {
    /// A host for these functions, whose processes reach the Runtime API at `address` (`host:port`).
    pub(crate) fn start(functions: Vec<(Launch, Log)>, address: &str) -> Arc<Self> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let functions = functions.into_iter().map(|(launch, log)| {
            let retries = launch.retries;
            let name = launch.name.clone();
            // With its scheme, as cargo-lambda gives it too: without one, the runtime's client takes no path.
            let base = format!("http://{address}{}/{name}", api::RUNTIME);
            let pool = Arc::new(Pool::new(launch, log, base));
            let waiting = Arc::new(Semaphore::new(MAX_WAITING_EVENTS));
            (name, Function { pool, waiting, counts: Arc::default(), retries })
        });
        let host = Arc::new(Self { functions: functions.collect(), stop, tasks });
        for function in host.functions.values() {
            host.tasks.spawn(host.stop.clone().run_until_cancelled_owned(function.pool.clone().retire_idle(SWEEP)));
        }
        host
    }

    /// Takes an asynchronous invocation: it is run soon, and again after an error, with Lambda's pauses.
    pub(crate) fn invoke_later(self: &Arc<Self>, function: &str, payload: Bytes) -> Result<(), Refused> {
        let (name, function) = self.functions.get_key_value(function).ok_or(Refused::Unknown)?;
        let permit = function.waiting.clone().try_acquire_owned().map_err(|_| Refused::TooMany)?;
        let (host, name, retries) = (self.clone(), name.clone(), function.retries);
        let work = async move {
            let _permit = permit;
            for attempt in 0..=retries {
                if host.invoke(&name, payload.clone()).await.is_ok() {
                    return;
                }
                if attempt < retries {
                    // Lambda waits one minute before the first retry and two before the second.
                    tokio::time::sleep(Duration::from_mins(1) * (attempt + 1)).await;
                }
            }
        };
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(work));
        Ok(())
    }

    /// Starts a process of each function and waits until they are ready, so that the first invocation finds one warm. Fails
    /// with the reason if one does not start.
    pub(crate) async fn warm(&self) -> anyhow::Result<()> {
        let warming = self.functions.values().map(|Function { pool, .. }| async move {
            pool.warm().await.map_err(|error| anyhow::anyhow!(pool.not_started(&error)))
        });
        futures_util::future::try_join_all(warming).await?;
        Ok(())
    }

    /// Starts a process of a function, unless one is idle, and waits until it is ready.
    pub(crate) async fn start_process(&self, function: &str) -> Result<Started, InvokeError> {
        self.functions.get(function).ok_or(InvokeError::Unknown)?.pool.start().await
    }

    /// What each function is doing.
    pub(crate) fn status(&self) -> Vec<FunctionStatus> {
        let status = |(name, function): (&String, &Function)| FunctionStatus {
            name: name.clone(),
            invocations: function.counts.invocations.load(Ordering::Relaxed),
            errors: function.counts.errors.load(Ordering::Relaxed),
            started: function.pool.started(),
            log: function.pool.log().to_owned(),
            processes: function.pool.status(),
        };
        self.functions.iter().map(status).collect()
    }

    /// What of each function is paid for.
    pub(crate) fn usage(&self, now: Instant) -> Vec<FunctionUsage> {
        let usage = |(name, function): (&String, &Function)| FunctionUsage {
            name: name.clone(),
            invocations: function.counts.invocations.load(Ordering::Relaxed),
            duration: function.pool.invoked().total(now),
            memory_mb: function.pool.memory_mb(),
            logged: function.pool.logged(),
        };
        self.functions.iter().map(usage).collect()
    }

    /// Takes no more work, kills all processes and waits until they are gone.
    pub(crate) async fn shut_down(&self) {
        self.stop.cancel();
        self.tasks.close();
        for function in self.functions.values() {
            function.pool.kill_all();
        }
        let gone = async {
            for function in self.functions.values() {
                function.pool.all_gone().await;
            }
            self.tasks.wait().await;
        };
        let _ = tokio::time::timeout(REAP, gone).await;
    }
}

/// Why an asynchronous invocation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Unknown,
    TooMany,
}

impl Invoke for Host {
    async fn invoke(&self, function: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        let function = self.functions.get(function).ok_or(InvokeError::Unknown)?;
        if payload.len() > MAX_PAYLOAD {
            return Err(InvokeError::TooLarge);
        }
        let (pool, counts, stop) = (function.pool.clone(), function.counts.clone(), self.stop.clone());
        // A task of its own: who asked may go away (a client that hangs up), the process still has to be given back.
        let work = async move {
            counts.invocations.fetch_add(1, Ordering::Relaxed);
            let answer = stop.run_until_cancelled(pool.invoke(payload)).await.unwrap_or(Err(InvokeError::ShuttingDown));
            if answer.is_err() {
                counts.errors.fetch_add(1, Ordering::Relaxed);
            }
            answer
        };
        if self.stop.is_cancelled() {
            return Err(InvokeError::ShuttingDown);
        }
        self.tasks.spawn(work).await.unwrap_or(Err(InvokeError::Crashed))
    }
}
