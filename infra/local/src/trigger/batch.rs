//! What goes into one invocation.

use super::event::Encoded;

/// The largest payload of an invocation: 6 MB.
pub(super) const MAX_PAYLOAD_BYTES: usize = 6 << 20;

/// Records that one invocation will carry, in the order in which they were read.
#[derive(Debug)]
pub(super) struct Batch {
    records: Vec<Encoded>,
    bytes: usize,
    max_records: usize,
    max_bytes: usize,
}

impl Batch {
    /// An empty batch of at most `max_records` and `max_bytes`.
    pub(super) fn new(max_records: usize, max_bytes: usize) -> Self {
        Self { records: Vec::new(), bytes: 0, max_records: max_records.max(1), max_bytes }
    }

    /// Adds a record; gives it back if there is no room. An empty batch takes any: a record that is too large by
    /// itself shall fail visibly, in its invocation.
    pub(super) fn add(&mut self, record: Encoded) -> Result<(), Encoded> {
        let has_room = self.records.len() < self.max_records && self.bytes + record.bytes() <= self.max_bytes;
        if !has_room && !self.records.is_empty() {
            return Err(record);
        }
        self.bytes += record.bytes();
        self.records.push(record);
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn records(&self) -> &[Encoded] {
        &self.records
    }

    pub(super) fn into_records(self) -> Vec<Encoded> {
        self.records
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn record(offset: i64, bytes: usize) -> Encoded {
        // As many bytes with its quotes and the comma that follows.
        let json = format!("\"{offset:x<width$}\"", width = bytes - 3);
        Encoded { partition: 0, offset, json: RawValue::from_string(json).unwrap() }
    }

    fn offset(record: &Encoded) -> i64 {
        record.json.get().trim_matches(['"', 'x']).parse().unwrap()
    }

    /// Splits records of these sizes into batches; gives the batches' offsets.
    fn split(sizes: &[usize], max_records: usize, max_bytes: usize) -> Vec<Vec<i64>> {
        let mut batches = vec![Batch::new(max_records, max_bytes)];
        for (offset, bytes) in (0..).zip(sizes) {
            if let Err(refused) = batches.last_mut().unwrap().add(record(offset, *bytes)) {
                batches.push(Batch::new(max_records, max_bytes));
                batches.last_mut().unwrap().add(refused).unwrap();
            }
        }
        batches.iter().map(|batch| batch.records().iter().map(offset).collect()).collect()
    }

    #[test]
    fn a_batch_holds_no_more_records_than_it_may() {
        assert_eq!(split(&[10; 5], 2, 1000), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn a_batch_holds_no_more_bytes_than_it_may() {
        assert_eq!(split(&[40, 60, 10, 95, 5], 100, 100), [vec![0, 1], vec![2], vec![3, 4]]);
    }

    #[test]
    fn a_record_that_is_too_large_goes_alone() {
        assert_eq!(split(&[10, 200, 10], 100, 100), [vec![0], vec![1], vec![2]]);
    }
}
