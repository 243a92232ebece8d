//! The records of the embedded broker: a bounded log per partition, in memory.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tansu_sans_io::{ErrorCode, record::deflated::Batch};
use tokio::sync::watch;

/// A topic, by the id that it was created with: one that is deleted and made again is another.
pub(super) type TopicId = [u8; 16];

/// A partition keeps its newest records up to this size, and drops the oldest beyond it, as Kafka's `retention.bytes`
/// does. It is some 100,000 call events: minutes of backlog under load, hours of the simulator.
const RETAINED_BYTES: usize = 32 << 20;

/// The largest batch that a producer may send, as Kafka's `max.message.bytes` (1 MB there). One record of it, in
/// base64, still fits into the 6 MB of an invocation.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// What a stored batch costs beside its records.
const BATCH_OVERHEAD: usize = size_of::<Batch>();

/// Idempotent producers that a partition remembers; the oldest are forgotten, as Kafka forgets them with time.
const MAX_PRODUCERS: usize = 1_000;

/// All partitions of all topics.
#[derive(Debug)]
pub(super) struct Log {
    partitions: Mutex<HashMap<(TopicId, i32), Partition>>,
    appended: watch::Sender<()>,
}

/// Where a partition starts and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    /// Offset of the oldest record that is kept, or would be.
    pub(super) start: i64,
    /// Offset that the next record will get.
    pub(super) end: i64,
}

/// What is read from a partition.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// Whole batches; the first may begin before the offset that was asked for.
    pub(super) batches: Vec<Batch>,
    /// Their size.
    pub(super) bytes: usize,
    /// Where the partition starts and ends now.
    pub(super) extent: Extent,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { partitions: Mutex::default(), appended: watch::Sender::new(()) }
    }

    /// Tells when records have been appended to any partition.
    pub(super) fn appends(&self) -> watch::Receiver<()> {
        self.appended.subscribe()
    }

    /// Adds a batch to the end of a partition; gives the offset of its first record.
    pub(super) fn append(&self, topic: TopicId, partition: i32, batch: &Batch) -> Result<i64, ErrorCode> {
        let offset = self.lock().entry((topic, partition)).or_default().append(batch)?;
        self.appended.send_replace(());
        Ok(offset)
    }

    /// Reads from `offset` on, as many batches as fit into `max_bytes`, but at least one where there is one.
    pub(super) fn read(
        &self,
        topic: TopicId,
        partition: i32,
        offset: i64,
        max_bytes: usize,
    ) -> Result<Read, (ErrorCode, Extent)> {
        match self.lock().get(&(topic, partition)) {
            Some(partition) => partition.read(offset, max_bytes),
            None if offset == 0 => Ok(Read::default()),
            None => Err((ErrorCode::OffsetOutOfRange, Extent::default())),
        }
    }

    pub(super) fn extent(&self, topic: TopicId, partition: i32) -> Extent {
        self.lock().get(&(topic, partition)).map(|partition| partition.extent).unwrap_or_default()
    }

    /// The first batch with a record as late as `timestamp`, in milliseconds: its offset and its latest time.
    pub(super) fn since(&self, topic: TopicId, partition: i32, timestamp: i64) -> Option<(i64, i64)> {
        let partitions = self.lock();
        let batches = &partitions.get(&(topic, partition))?.batches;
        let batch = batches.iter().find(|batch| batch.max_timestamp >= timestamp)?;
        Some((batch.base_offset, batch.max_timestamp))
    }

    /// Drops the batches that lie before `offset` as a whole (-1: all that there are); gives the new start.
    pub(super) fn truncate(&self, topic: TopicId, partition: i32, offset: i64) -> Result<i64, ErrorCode> {
        self.lock().entry((topic, partition)).or_default().truncate(offset)
    }

    /// Forgets the topics that are no more.
    pub(super) fn retain(&self, exists: impl Fn(&TopicId) -> bool) {
        self.lock().retain(|(topic, _), _| exists(topic));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(TopicId, i32), Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Partition {
    batches: VecDeque<Batch>,
    extent: Extent,
    bytes: usize,
    producers: BTreeMap<i64, Sequence>,
}

/// What an idempotent producer has to send next.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    epoch: i16,
    next: i32,
}

impl Partition {
    fn append(&mut self, batch: &Batch) -> Result<i64, ErrorCode> {
        if batch.record_data.len() > MAX_BATCH_BYTES {
            return Err(ErrorCode::MessageTooLarge);
        }
        if batch.last_offset_delta < 0 {
            return Err(ErrorCode::InvalidRecord);
        }
        self.check_sequence(batch)?;
        let base_offset = self.extent.end;
        self.extent.end += i64::from(batch.last_offset_delta) + 1;
        self.bytes += weight(batch);
        // A copy of its own: the slice would keep the whole request in memory.
        let record_data = Bytes::copy_from_slice(&batch.record_data);
        self.batches.push_back(Batch { base_offset, partition_leader_epoch: 0, record_data, ..*batch });
        while self.bytes > RETAINED_BYTES {
            self.drop_oldest();
        }
        Ok(base_offset)
    }

    /// Makes retries of an idempotent producer harmless. A producer that is not known may start anywhere: it may have
    /// been forgotten.
    fn check_sequence(&mut self, batch: &Batch) -> Result<(), ErrorCode> {
        if batch.producer_id < 0 || batch.base_sequence < 0 {
            return Ok(());
        }
        if let Some(sequence) = self.producers.get(&batch.producer_id) {
            if batch.producer_epoch < sequence.epoch {
                return Err(ErrorCode::InvalidProducerEpoch);
            }
            if batch.producer_epoch == sequence.epoch && batch.base_sequence != sequence.next {
                // Clients take the first for a success, which it is.
                let is_retry = batch.base_sequence < sequence.next;
                return Err(if is_retry {
                    ErrorCode::DuplicateSequenceNumber
                } else {
                    ErrorCode::OutOfOrderSequenceNumber
                });
            }
        }
        // Sequences go round after the greatest.
        let next = batch.base_sequence.checked_add(batch.last_offset_delta).and_then(|last| last.checked_add(1));
        let sequence = Sequence { epoch: batch.producer_epoch, next: next.unwrap_or(0) };
        self.producers.insert(batch.producer_id, sequence);
        if self.producers.len() > MAX_PRODUCERS {
            self.producers.pop_first();
        }
        Ok(())
    }

    fn read(&self, offset: i64, max_bytes: usize) -> Result<Read, (ErrorCode, Extent)> {
        let extent = self.extent;
        if !(extent.start..=extent.end).contains(&offset) {
            return Err((ErrorCode::OffsetOutOfRange, extent));
        }
        let mut read = Read { extent, ..Read::default() };
        let first = self.batches.partition_point(|batch| end(batch) <= offset);
        for batch in self.batches.range(first..) {
            if !read.batches.is_empty() && read.bytes + weight(batch) > max_bytes {
                break;
            }
            read.bytes += weight(batch);
            read.batches.push(batch.clone());
        }
        Ok(read)
    }

    fn truncate(&mut self, offset: i64) -> Result<i64, ErrorCode> {
        let offset = if offset == -1 { self.extent.end } else { offset };
        if offset > self.extent.end {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        while self.batches.front().is_some_and(|batch| end(batch) <= offset) {
            self.drop_oldest();
        }
        self.extent.start = self.extent.start.max(offset);
        Ok(self.extent.start)
    }

    fn drop_oldest(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.bytes -= weight(&batch);
            self.extent.start = self.extent.start.max(end(&batch));
        }
    }
}

/// The offset after a batch.
fn end(batch: &Batch) -> i64 {
    batch.base_offset + i64::from(batch.last_offset_delta) + 1
}

fn weight(batch: &Batch) -> usize {
    batch.record_data.len() + BATCH_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: TopicId = [1; 16];

    fn batch(records: i32, bytes: usize) -> Batch {
        Batch {
            last_offset_delta: records - 1,
            record_count: records.unsigned_abs(),
            record_data: vec![0; bytes].into(),
            producer_id: -1,
            base_sequence: -1,
            ..Batch::default()
        }
    }

    fn offsets(log: &Log, from: i64) -> Vec<i64> {
        log.read(TOPIC, 0, from, 1).unwrap().batches.iter().map(|batch| batch.base_offset).collect()
    }

    #[test]
    fn a_reader_in_the_middle_of_a_batch_gets_that_batch() {
        let log = Log::new();
        log.append(TOPIC, 0, &batch(10, 1)).unwrap();
        assert_eq!(log.append(TOPIC, 0, &batch(5, 1)), Ok(10));
        assert_eq!(offsets(&log, 0), [0]);
        assert_eq!(offsets(&log, 7), [0]);
        assert_eq!(offsets(&log, 10), [10]);
        assert_eq!(offsets(&log, 15), [0; 0]);
    }

    #[test]
    fn an_offset_that_is_not_there_is_out_of_range() {
        let log = Log::new();
        log.append(TOPIC, 0, &batch(1, 1)).unwrap();
        for offset in [-1, 2] {
            let (error, extent) = log.read(TOPIC, 0, offset, 1).unwrap_err();
            assert_eq!((error, extent), (ErrorCode::OffsetOutOfRange, Extent { start: 0, end: 1 }));
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let log = Log::new();
        for _ in 0..100 {
            log.append(TOPIC, 0, &batch(1, 1 << 20)).unwrap();
        }
        let extent = log.extent(TOPIC, 0);
        assert_eq!(extent.end, 100);
        let kept = log.read(TOPIC, 0, extent.start, usize::MAX).unwrap();
        assert!((RETAINED_BYTES - (2 << 20)..=RETAINED_BYTES).contains(&kept.bytes), "{} bytes", kept.bytes);
    }

    #[test]
    fn a_batch_that_no_invocation_could_carry_is_refused() {
        let log = Log::new();
        assert_eq!(log.append(TOPIC, 0, &batch(1, MAX_BATCH_BYTES + 1)), Err(ErrorCode::MessageTooLarge));
        assert_eq!(log.append(TOPIC, 0, &batch(1, 1)), Ok(0));
    }

    #[test]
    fn a_retry_of_an_idempotent_producer_is_stored_once() {
        let log = Log::new();
        let sent = |base_sequence| Batch { producer_id: 7, base_sequence, ..batch(3, 1) };
        assert_eq!(log.append(TOPIC, 0, &sent(0)), Ok(0));
        assert_eq!(log.append(TOPIC, 0, &sent(0)), Err(ErrorCode::DuplicateSequenceNumber));
        assert_eq!(log.append(TOPIC, 0, &sent(6)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(log.append(TOPIC, 0, &sent(3)), Ok(3));
    }

    #[test]
    fn deleting_records_moves_the_start() {
        let log = Log::new();
        log.append(TOPIC, 0, &batch(10, 1)).unwrap();
        log.append(TOPIC, 0, &batch(10, 1)).unwrap();
        assert_eq!(log.truncate(TOPIC, 0, 15), Ok(15));
        assert_eq!(log.extent(TOPIC, 0), Extent { start: 15, end: 20 });
        assert_eq!(offsets(&log, 15), [10]);
        assert_eq!(log.truncate(TOPIC, 0, -1), Ok(20));
        assert_eq!(offsets(&log, 20), [0; 0]);
        assert_eq!(log.truncate(TOPIC, 0, 21), Err(ErrorCode::OffsetOutOfRange));
    }
}
