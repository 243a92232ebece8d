//! Metrics, in CloudWatch's embedded metric format: a log line that CloudWatch makes metrics of, so that a function
//! waits for no other service to count something.
//!
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrique_writer_core::{
    Entry, MetricFlags, Observation, Unit, Value, ValueWriter,
    format::Format as _,
    quantize::{Bits, Quantizer},
    unit::NegativeScale,
};
use metrique_writer_format_emf::Emf;
use projections::Timestamp;

/// The namespace of whoever configures none.
const NAMESPACE: &str = "Livefold";

/// What times are rounded to: four significant bits, which is off by a sixteenth at most, and exact below 16 ms.
const QUANTIZER: Quantizer = Bits::<4>::QUANTIZER;

/// Times from here on, in milliseconds, count as about this. It is far above every threshold worth an alarm, and below
/// it are 16 values and then eight for each of ten doublings: no more than the 100 that a metric of a line may hold.
const LONGEST: u64 = (1 << 14) - 1;

/// Where a function's metrics go. Cheap to clone.
///
/// They carry no dimension: the namespace is the stack's own, and what a dimension would tell apart has a name of its
/// own, so that their number is known.
#[derive(Clone)]
pub struct Metrics {
    format: Arc<Mutex<Emf>>,
    print: Arc<Print>,
}

/// Puts a line somewhere.
type Print = dyn Fn(&[u8]) + Send + Sync;

/// How often which time was measured. Its size is bounded whatever it is told; it keeps times to a sixteenth, and none
/// longer than 16 seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// By the time in milliseconds that stands for those around it.
    occurrences: BTreeMap<u64, u64>,
}

/// Prints the entry where the logs go, in the namespace that `METRICS_NAMESPACE` names.
pub fn emit(entry: &impl Entry) {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(Metrics::from_env).emit(entry);
}

/// The time of an entry, as [`EntryWriter::timestamp`](metrique_writer_core::EntryWriter::timestamp) takes it.
#[must_use]
pub fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + at.since(Timestamp::EPOCH)
}

impl Metrics {
    /// Lines beside the logs, in the namespace that `METRICS_NAMESPACE` names.
    #[must_use]
    pub fn from_env() -> Self {
        let namespace = std::env::var("METRICS_NAMESPACE").ok().filter(|name| !name.is_empty());
        // Standard output is what becomes the log. If that is gone there is nobody to tell.
        Self::new(namespace.unwrap_or_else(|| NAMESPACE.to_owned()), |line| {
            let _ = std::io::stdout().lock().write_all(line);
        })
    }

    /// Lines of this namespace to wherever `print` puts them. It gets each whole, with its end: a line must not mix with
    /// what others print.
    #[must_use]
    pub fn new(namespace: String, print: impl Fn(&[u8]) + Send + Sync + 'static) -> Self {
        Self { format: Arc::new(Mutex::new(in_namespace(namespace))), print: Arc::new(print) }
    }

    /// Prints the entry as one line.
    pub fn emit(&self, entry: &impl Entry) {
        let mut format = self.format.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line(&mut format, entry) {
            (self.print)(&line);
        }
    }
}

impl Times {
    /// One more time was measured.
    pub fn note(&mut self, took: Duration) {
        let millis = u64::try_from(took.as_millis()).unwrap_or(LONGEST).min(LONGEST);
        *self.occurrences.entry(QUANTIZER.quantize_u64(millis)).or_default() += 1;
    }
}

impl Value for Times {
    fn write(&self, writer: impl ValueWriter) {
        let observations = self.occurrences.iter().map(|(millis, occurrences)| Observation::Repeated {
            total: *millis as f64 * *occurrences as f64,
            occurrences: *occurrences,
        });
        writer.metric(observations, Unit::Second(NegativeScale::Milli), [], MetricFlags::empty());
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

#[cfg(test)]
mod tests {
    use metrique_writer_core::{EntryWriter, unit::AsCount};
    use serde_json::{Value as Json, json};

    use super::*;

    struct Measured {
        at: Timestamp,
        things: usize,
        took: Duration,
        times: Times,
    }

    impl Entry for Measured {
        fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
            writer.timestamp(time(self.at));
            writer.value("Things", &AsCount::from(self.things));
            writer.value("Took", &self.took);
            writer.value("Times", &self.times);
        }
    }

    fn times(millis: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::default();
        for millis in millis {
            times.note(Duration::from_millis(millis));
        }
        times
    }

    fn printed(times: Times) -> Json {
        let lines: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let print = {
            let lines = Arc::clone(&lines);
            move |line: &[u8]| lines.lock().unwrap().push(line.to_vec())
        };
        let at = Timestamp::from_millis(1_768_473_000_120);
        let entry = Measured { at, things: 3, took: Duration::from_millis(42), times };
        Metrics::new("Livefold/test".to_owned(), print).emit(&entry);
        let lines = lines.lock().unwrap();
        assert!(lines.len() == 1 && lines[0].ends_with(b"\n"), "one line");
        serde_json::from_slice(&lines[0]).unwrap()
    }

    #[test]
    fn a_line_names_units_and_the_time_and_has_no_dimension() {
        let line = printed(times([12, 12, 1000]));
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_768_473_000_120_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Livefold/test",
                        "Dimensions": [[]],
                        "Metrics": [
                            {"Name": "Things", "Unit": "Count"},
                            {"Name": "Took", "Unit": "Milliseconds"},
                            {"Name": "Times", "Unit": "Milliseconds"},
                        ],
                    }],
                },
                "Things": 3,
                "Took": 42,
                "Times": {"Values": [12, 992], "Counts": [2, 1]},
            })
        );
    }

    #[test]
    fn where_nothing_was_measured_there_is_no_metric() {
        let line = printed(Times::default());
        assert_eq!(
            (line.get("Times"), line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len()),
            (None, 2)
        );
    }

    #[test]
    fn however_many_different_times_are_noted_a_line_holds_no_more_than_the_format_allows() {
        let line = printed(times((0..200_000).chain([u64::MAX])));
        let values = line["Times"]["Values"].as_array().unwrap();
        assert!(values.len() <= 100, "{}", values.len());
        let counts: u64 = line["Times"]["Counts"].as_array().unwrap().iter().filter_map(Json::as_u64).sum();
        assert_eq!(counts, 200_001, "none is lost");
    }

    #[test]
    fn a_time_is_off_by_a_sixteenth_at_most_up_to_sixteen_seconds() {
        for millis in 0..=LONGEST {
            let shown = *times([millis]).occurrences.keys().next().unwrap();
            assert!(shown.abs_diff(millis) * 16 <= millis, "{millis} is shown as {shown}");
        }
    }
}
