//! What CloudWatch is told of a batch: one line, without dimensions.

use metrique_writer_core::{Entry, EntryWriter, unit::AsCount};
use projections::Timestamp;
use runtime::metrics::time;

use crate::intake::{IntakeError, Taken};

/// What became of a batch.
pub(crate) struct Line<'a> {
    /// What became of its records, or why the batch comes again.
    pub(crate) outcome: &'a Result<Taken, IntakeError>,
    /// Whether single partitions may come again; those that do not are counted now.
    pub(crate) reads_responses: bool,
    /// When it came.
    pub(crate) began_at: Timestamp,
    /// When it was stored, or was not.
    pub(crate) ended_at: Timestamp,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(time(self.ended_at));
        match self.outcome {
            Ok(taken) => self.write_taken(taken, writer),
            Err(error) => {
                if let IntakeError::NotStored { others: Some(others), .. } = error
                    && self.reads_responses
                {
                    self.write_taken(others, writer);
                }
                writer.value("error", error.name());
                writer.value("BatchesFailed", &AsCount::from(1_u64));
            }
        }
    }
}

impl Line<'_> {
    fn write_taken<'a>(&self, taken: &Taken, writer: &mut impl EntryWriter<'a>) {
        // As the mapping names it, and mappings are ours.
        if let Some(topic) = &taken.topic {
            writer.value("topic", topic);
        }
        writer.value("RecordsIn", &AsCount::from(taken.records));
        writer.value("RecordsApplied", &AsCount::from(taken.applied));
        writer.value("RecordsSeen", &AsCount::from(taken.seen));
        writer.value("RecordsQuarantined", &AsCount::from(taken.quarantined));
        writer.value("RecordsUnknown", &AsCount::from(taken.unknown));
        writer.value("OffsetRegressions", &AsCount::from(taken.regressed));
        writer.value("CommitConflicts", &AsCount::from(taken.conflicts));
        writer.value("SlicesCommitted", &AsCount::from(taken.slices));
        writer.value("UnknownWords", &AsCount::from(taken.unknown_words));
        writer.value("GaugesBelowZero", &AsCount::from(taken.gauges_below_zero));
        // How long the one that waited longest has waited: what is behind it in Kafka waits on. A clock that leads makes
        // no age, and neither does a record without a time.
        if let Some(oldest) = taken.oldest {
            writer.value("RecordAge", &self.ended_at.since(oldest));
        }
        writer.value("BatchDuration", &self.ended_at.since(self.began_at));
    }
}
