//! The processes of one function.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::{Launch, Log, ProcessStatus, Started, process::Process};
use crate::{console, invoke::InvokeError, stopwatch::Stopwatch};

/// A function runs at most this many invocations at a time, each in a process of its own; more wait. Each process takes
/// some 20 MB, there are several functions, and more processes than cores make none of them faster.
pub(super) const MAX_PROCESSES: usize = 4;

/// A process that was idle this long ends, if it is not the last one.
const IDLE: Duration = Duration::from_mins(1);

pub(super) struct Pool {
    launch: Launch,
    log: Log,
    /// Where processes find the Runtime API, but for their number.
    api: String,
    permits: Semaphore,
    /// How long invocations take. Lambda bills the start of a process as well, which is left out here: it takes some
    /// milliseconds, and a process is started for thousands of invocations.
    invoked: Stopwatch,
    processes: Mutex<Processes>,
}

#[derive(Default)]
struct Processes {
    started: u64,
    all: BTreeMap<u64, Arc<Process>>,
    /// Those without work, the one that was used last at the end: it is taken first, and the first may retire.
    idle: Vec<(u64, Instant)>,
}

impl Pool {
    pub(super) fn new(launch: Launch, log: Log, api: String) -> Self {
        Self {
            launch,
            log,
            api,
            permits: Semaphore::new(MAX_PROCESSES),
            invoked: Stopwatch::default(),
            processes: Mutex::default(),
        }
    }

    /// Runs an invocation in a free process, or in a new one.
    pub(super) async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let _permit = self.permits.acquire().await.map_err(|_| InvokeError::ShuttingDown)?;
        let (id, process) = self.take()?;
        if let Err(error) = process.ready().await {
            self.give_back(id, &process);
            console::warn(&self.not_started(&error));
            return Err(error);
        }
        let lap = self.invoked.start();
        let outcome = process.invoke(payload, self.launch.timeout).await;
        drop(lap);
        self.give_back(id, &process);
        outcome
    }

    /// Starts a process, unless there is one.
    pub(super) async fn warm(&self) -> Result<(), InvokeError> {
        if self.processes().all.is_empty() {
            self.start().await?;
        }
        Ok(())
    }

    /// Why a process was never ready, in one line.
    pub(super) fn not_started(&self, error: &InvokeError) -> String {
        let name = &self.launch.name;
        match (error, self.log.last_line().trim_start_matches("Error: ")) {
            (InvokeError::Crashed, reason) if !reason.is_empty() => format!("{name} does not start: {reason}"),
            (InvokeError::TimedOut, _) => format!("{name} does not start: it asks for no invocation"),
            (error, _) => format!("{name} does not start: {error}"),
        }
    }

    /// Starts a process, unless one is idle, and waits until it is ready.
    pub(super) async fn start(&self) -> Result<Started, InvokeError> {
        let _permit = self.permits.acquire().await.map_err(|_| InvokeError::ShuttingDown)?;
        let (id, process) = self.take()?;
        let ready = process.ready().await;
        self.give_back(id, &process);
        ready?;
        Ok(Started { pid: process.pid(), took: process.cold_start().unwrap_or_default() })
    }

    fn take(&self) -> Result<(u64, Arc<Process>), InvokeError> {
        let mut processes = self.processes();
        processes.forget_gone();
        if let Some((id, _)) = processes.idle.pop()
            && let Some(process) = processes.all.get(&id)
        {
            return Ok((id, process.clone()));
        }
        let id = processes.started;
        let process = Process::start(&self.launch, &self.log, &format!("{}/{id}", self.api)).map_err(|error| {
            console::warn(&format!("{} cannot be started: {error}", self.launch.name));
            InvokeError::Crashed
        })?;
        processes.started += 1;
        processes.all.insert(id, process.clone());
        Ok((id, process))
    }

    fn give_back(&self, id: u64, process: &Process) {
        let mut processes = self.processes();
        if process.is_gone() {
            processes.all.remove(&id);
        } else {
            processes.idle.push((id, Instant::now()));
        }
    }

    /// Ends processes that have had nothing to do for long.
    pub(super) async fn retire_idle(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let mut processes = self.processes();
            processes.forget_gone();
            while processes.all.len() > 1 && processes.idle.first().is_some_and(|(_, since)| since.elapsed() > IDLE) {
                let (id, _) = processes.idle.remove(0);
                if let Some(process) = processes.all.remove(&id) {
                    process.kill();
                }
            }
        }
    }

    /// The process of a number.
    pub(super) fn process(&self, id: u64) -> Option<Arc<Process>> {
        self.processes().all.get(&id).cloned()
    }

    pub(super) fn started(&self) -> u64 {
        self.processes().started
    }

    pub(super) fn invoked(&self) -> &Stopwatch {
        &self.invoked
    }

    pub(super) fn memory_mb(&self) -> u32 {
        self.launch.memory_mb
    }

    pub(super) fn logged(&self) -> u64 {
        self.log.written()
    }

    pub(super) fn log(&self) -> &Path {
        self.log.path()
    }

    pub(super) fn status(&self) -> Vec<ProcessStatus> {
        let mut processes = self.processes();
        processes.forget_gone();
        let status = |process: &Arc<Process>| ProcessStatus {
            pid: process.pid(),
            state: process.state(),
            invocations: process.taken(),
            cold_start_ms: process.cold_start().map(|took| took.as_millis()),
        };
        processes.all.values().map(status).collect()
    }

    pub(super) fn kill_all(&self) {
        for process in self.processes().all.values() {
            process.kill();
        }
    }

    pub(super) async fn all_gone(&self) {
        let all: Vec<_> = self.processes().all.values().cloned().collect();
        for process in all {
            process.gone().await;
        }
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Processes {
    /// Forgets processes that died while they had nothing to do.
    fn forget_gone(&mut self) {
        self.idle.retain(|(id, _)| {
            let is_there = self.all.get(id).is_some_and(|process| !process.is_gone());
            if !is_there {
                self.all.remove(id);
            }
            is_there
        });
    }
}
