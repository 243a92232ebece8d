//! Where a function's output goes.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader},
    task::JoinSet,
};

use crate::console;

/// A log that has grown to this size is set aside as `….old`, and the `….old` before it is gone.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A longer line is cut into several.
const MAX_LINE: u64 = 256 * 1024;

/// The log file of a function, shared by its processes.
#[derive(Clone)]
pub(crate) struct Log {
    function: String,
    path: PathBuf,
    /// Whether the lines are shown on the terminal as well.
    verbose: bool,
    file: Arc<Mutex<(File, u64)>>,
    last: Arc<Mutex<String>>,
    written: Arc<AtomicU64>,
}

impl Log {
    /// Begins the log anew.
    pub(crate) fn create(folder: &Path, function: &str, verbose: bool) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{function}.log"));
        let file = Arc::new(Mutex::new((File::create(&path)?, 0)));
        Ok(Self { function: function.to_owned(), path, verbose, file, last: Arc::default(), written: Arc::default() })
    }

    /// The last line that was written.
    pub(super) fn last_line(&self) -> String {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes were written in all.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Copies a process's output; what is returned ends with it.
    pub(super) fn follow<O, E>(&self, stdout: Option<O>, stderr: Option<E>) -> JoinSet<()>
    where
        O: AsyncRead + Unpin + Send + 'static,
        E: AsyncRead + Unpin + Send + 'static,
    {
        let mut copying = JoinSet::new();
        if let Some(stdout) = stdout {
            copying.spawn(self.clone().copy(stdout));
        }
        if let Some(stderr) = stderr {
            copying.spawn(self.clone().copy(stderr));
        }
        copying
    }

    async fn copy<R: AsyncRead + Unpin>(self, output: R) {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut output).take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(read) if read > 0 => {
                    let text = String::from_utf8_lossy(&line);
                    if self.verbose {
                        console::function_line(&self.function, text.trim_end());
                    }
                    text.trim().clone_into(&mut self.last.lock().unwrap_or_else(PoisonError::into_inner));
                    self.written.fetch_add(line.len() as u64, Ordering::Relaxed);
                    // A full disk must not end the function.
                    let _ = self.write(&line);
                }
                _ => return,
            }
        }
    }

    fn write(&self, line: &[u8]) -> io::Result<()> {
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, size) = &mut *guard;
        if *size > MAX_BYTES {
            fs::rename(&self.path, self.path.with_extension("log.old"))?;
            *file = File::create(&self.path)?;
            *size = 0;
        }
        *size += line.len() as u64;
        file.write_all(line)
    }
}
