//! Metrics, in CloudWatch's embedded metric format: a log line that CloudWatch makes metrics of, so that a function
//! waits for no other service to count something.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    io::Write as _,
    sync::{Mutex, OnceLock, PoisonError},
};

use metrique_writer_core::{Entry, format::Format as _};
use metrique_writer_format_emf::Emf;

/// The namespace of whoever configures none.
const NAMESPACE: &str = "Livefold";

/// Prints the entry as one line, beside the logs. Its metrics carry no dimension: the namespace is the stack's own
/// (`METRICS_NAMESPACE`), and what a dimension would tell apart has a name of its own, so that their number is known.
pub fn emit(entry: &impl Entry) {
    static FORMAT: OnceLock<Mutex<Emf>> = OnceLock::new();
    let namespace = || std::env::var("METRICS_NAMESPACE").ok().filter(|name| !name.is_empty());
    let format = FORMAT.get_or_init(|| Mutex::new(in_namespace(namespace().unwrap_or_else(|| NAMESPACE.to_owned()))));
    let mut format = format.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(line) = line(&mut format, entry) {
        // Standard output is what becomes the log. If that is gone there is nobody to tell.
        let _ = std::io::stdout().lock().write_all(&line);
    }
}

pub(crate) fn in_namespace(namespace: String) -> Emf {
    Emf::builder(namespace, vec![Vec::new()]).build()
}

/// The entry as a line, whole: it must not mix with what others print.
pub(crate) fn line(format: &mut Emf, entry: &impl Entry) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    if let Err(error) = format.format(entry, &mut line) {
        tracing::error!(%error, "a metric could not be written");
        return None;
    }
    Some(line)
}
