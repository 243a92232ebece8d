//! The requests that read and write records, answered from our own log; all others go to Tansu.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use rama::{Context, Service};
use tansu_broker::Error;
use tansu_sans_io::{
    Body, DeleteRecordsRequest, DeleteRecordsResponse, ErrorCode, FetchRequest, FetchResponse, Frame, Header,
    InitProducerIdRequest, InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest,
    ProduceResponse,
    delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    fetch_response::{FetchableTopicResponse, PartitionData},
    list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    produce_request::PartitionProduceData,
    produce_response::{PartitionProduceResponse, TopicProduceResponse},
    record::deflated,
};
use tansu_service::FrameRouteService;
use tansu_storage::{Storage as _, StorageContainer, TopicId as TopicName};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::{
    log::{Log, Read, TopicId},
    transactions,
};

/// The longest that a fetch is held, whatever the client asks for.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The most that a fetch is answered with, as Kafka's `fetch.max.bytes`, when the client does not say.
const MAX_FETCH_BYTES: usize = 50 << 20;

/// Kafka's names for the ends of a partition, where a time could stand.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Answers what concerns records.
pub(super) struct Records {
    log: Log,
    topics: StorageContainer,
    tansu: FrameRouteService<(), Error>,
    next_producer: AtomicI64,
}

/// A topic as it exists.
#[derive(Clone, Copy)]
struct Topic {
    id: TopicId,
    partitions: i32,
}

impl Topic {
    fn has(self, partition: i32) -> bool {
        (0..self.partitions).contains(&partition)
    }
}

impl Service<(), Frame> for Records {
    type Response = Frame;
    type Error = Error;

    async fn serve(&self, context: Context<()>, frame: Frame) -> Result<Frame, Error> {
        let correlation_id = frame.correlation_id()?;
        let body: Body = match frame.body {
            Body::ProduceRequest(request) => self.produce(request).await.into(),
            Body::FetchRequest(request) => self.fetch(request).await.into(),
            Body::ListOffsetsRequest(request) => self.list_offsets(request).await.into(),
            Body::DeleteRecordsRequest(request) => self.delete_records(request).await.into(),
            Body::InitProducerIdRequest(request) => self.init_producer(&request).into(),
            Body::FindCoordinatorRequest(request) if transactions::wants_coordinator(&request) => {
                transactions::refuse_coordinator(request).into()
            }
            Body::DeleteTopicsRequest(_) => {
                let answer = self.tansu.serve(context, frame).await;
                self.forget_deleted_topics().await;
                return answer;
            }
            _ => return self.tansu.serve(context, frame).await,
        };
        Ok(Frame { size: 0, header: Header::Response { correlation_id }, body })
    }
}

impl Records {
    pub(super) fn new(topics: StorageContainer, tansu: FrameRouteService<(), Error>) -> Self {
        Self { log: Log::new(), topics, tansu, next_producer: AtomicI64::new(1) }
    }

    async fn topic(&self, name: TopicName) -> Option<Topic> {
        let metadata = self.topics.metadata(Some(&[name])).await.ok()?;
        let topic = metadata.topics().first()?;
        (topic.error_code == i16::from(ErrorCode::None)).then_some(())?;
        Some(Topic { id: topic.topic_id?, partitions: i32::try_from(topic.partitions.as_ref()?.len()).ok()? })
    }

    async fn forget_deleted_topics(&self) {
        if let Ok(metadata) = self.topics.metadata(None).await {
            self.log.retain(|id| metadata.topics().iter().any(|topic| topic.topic_id.as_ref() == Some(id)));
        }
    }

    async fn produce(&self, request: ProduceRequest) -> ProduceResponse {
        let mut responses = Vec::new();
        for data in request.topic_data.unwrap_or_default() {
            let topic = self.topic(TopicName::Name(data.name.clone())).await;
            let partitions = data.partition_data.unwrap_or_default().into_iter();
            let partitions = partitions.map(|data| {
                let index = data.index;
                let appended = match topic {
                    Some(topic) if topic.has(index) => self.append(topic, data),
                    _ => Err(ErrorCode::UnknownTopicOrPartition),
                };
                let (error, offset) = appended.map_or_else(|error| (error, -1), |offset| (ErrorCode::None, offset));
                PartitionProduceResponse::default()
                    .index(index)
                    .error_code(error.into())
                    .base_offset(offset)
                    .log_append_time_ms(Some(-1))
                    .log_start_offset(topic.map(|topic| self.log.extent(topic.id, index).start))
                    .record_errors(Some(Vec::new()))
            });
            let partitions = partitions.collect();
            responses.push(TopicProduceResponse::default().name(data.name).partition_responses(Some(partitions)));
        }
        ProduceResponse::default().responses(Some(responses)).throttle_time_ms(Some(0))
    }

    fn append(&self, topic: Topic, data: PartitionProduceData) -> Result<i64, ErrorCode> {
        let mut base_offset = Err(ErrorCode::InvalidRecord);
        for batch in data.records.map(|frame| frame.batches).unwrap_or_default() {
            let offset = self.log.append(topic.id, data.index, &batch)?;
            base_offset = base_offset.or(Ok(offset));
        }
        base_offset
    }

    /// Answers as soon as there is as much as the client wants at least, or its wait is over.
    async fn fetch(&self, request: FetchRequest) -> FetchResponse {
        let mut topics = Vec::new();
        for fetch in request.topics.as_deref().unwrap_or_default() {
            let name = fetch.topic.clone().map(TopicName::Name);
            let name = name.or_else(|| fetch.topic_id.map(|id| TopicName::Id(Uuid::from_bytes(id))));
            topics.push(match name {
                Some(name) => self.topic(name).await,
                None => None,
            });
        }
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(MAX_WAIT);
        let deadline = Instant::now() + wait;
        let enough = usize::try_from(request.min_bytes).unwrap_or(0);
        loop {
            // Before reading, so that nothing is appended unnoticed in between.
            let mut appends = self.log.appends();
            let (response, bytes, failed) = self.fetch_now(&request, &topics);
            if bytes >= enough || failed || timeout_at(deadline, appends.changed()).await.is_err() {
                return response;
            }
        }
    }

    fn fetch_now(&self, request: &FetchRequest, topics: &[Option<Topic>]) -> (FetchResponse, usize, bool) {
        let max_bytes = request.max_bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(MAX_FETCH_BYTES);
        let (mut bytes, mut failed) = (0, false);
        let mut responses = Vec::new();
        for (fetch, topic) in request.topics.iter().flatten().zip(topics) {
            let mut partitions = Vec::new();
            for partition in fetch.partitions.iter().flatten() {
                let index = partition.partition;
                let partition_max = usize::try_from(partition.partition_max_bytes).unwrap_or(MAX_FETCH_BYTES);
                let room = max_bytes.saturating_sub(bytes).min(partition_max);
                let read = match topic {
                    Some(topic) if topic.has(index) => self.log.read(topic.id, index, partition.fetch_offset, room),
                    _ => Err((ErrorCode::UnknownTopicOrPartition, super::log::Extent { start: -1, end: -1 })),
                };
                let (error, mut read) = match read {
                    Ok(read) => (ErrorCode::None, read),
                    Err((error, extent)) => (error, Read { extent, ..Read::default() }),
                };
                // Once there is something to answer with, a full answer makes the other partitions wait.
                if bytes > 0 && bytes + read.bytes > max_bytes {
                    read = Read { extent: read.extent, ..Read::default() };
                }
                bytes += read.bytes;
                failed |= error != ErrorCode::None;
                partitions.push(partition_data(index, error, read));
            }
            responses.push(
                FetchableTopicResponse::default()
                    .topic(fetch.topic.clone())
                    .topic_id(topic.map(|topic| topic.id).or(fetch.topic_id))
                    .partitions(Some(partitions)),
            );
        }
        let response = FetchResponse::default()
            .throttle_time_ms(Some(0))
            .error_code(Some(ErrorCode::None.into()))
            .session_id(Some(0))
            .node_endpoints(Some(Vec::new()))
            .responses(Some(responses));
        (response, bytes, failed)
    }

    async fn list_offsets(&self, request: ListOffsetsRequest) -> ListOffsetsResponse {
        let mut responses = Vec::new();
        for wanted in request.topics.unwrap_or_default() {
            let topic = self.topic(TopicName::Name(wanted.name.clone())).await;
            let partitions = wanted.partitions.unwrap_or_default().into_iter().map(|partition| {
                let index = partition.partition_index;
                let (error, offset, timestamp) = match topic {
                    Some(topic) if topic.has(index) => self.offset_at(topic, index, partition.timestamp),
                    _ => (ErrorCode::UnknownTopicOrPartition, -1, -1),
                };
                ListOffsetsPartitionResponse::default()
                    .partition_index(index)
                    .error_code(error.into())
                    .timestamp(Some(timestamp))
                    .offset(Some(offset))
                    .leader_epoch(Some(0))
            });
            let partitions = partitions.collect();
            responses.push(ListOffsetsTopicResponse::default().name(wanted.name).partitions(Some(partitions)));
        }
        ListOffsetsResponse::default().throttle_time_ms(Some(0)).topics(Some(responses))
    }

    /// The offset at a time in milliseconds or at an end, and its time where one was asked for.
    fn offset_at(&self, topic: Topic, partition: i32, timestamp: i64) -> (ErrorCode, i64, i64) {
        let extent = self.log.extent(topic.id, partition);
        match timestamp {
            EARLIEST => (ErrorCode::None, extent.start, -1),
            LATEST => (ErrorCode::None, extent.end, -1),
            0.. => {
                let (offset, at) = self.log.since(topic.id, partition, timestamp).unwrap_or((-1, -1));
                (ErrorCode::None, offset, at)
            }
            _ => (ErrorCode::UnsupportedVersion, -1, -1),
        }
    }

    async fn delete_records(&self, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
        let mut responses = Vec::new();
        for wanted in request.topics.unwrap_or_default() {
            let topic = self.topic(TopicName::Name(wanted.name.clone())).await;
            let partitions = wanted.partitions.unwrap_or_default().into_iter().map(|partition| {
                let index = partition.partition_index;
                let deleted = match topic {
                    Some(topic) if topic.has(index) => self.log.truncate(topic.id, index, partition.offset),
                    _ => Err(ErrorCode::UnknownTopicOrPartition),
                };
                DeleteRecordsPartitionResult::default()
                    .partition_index(index)
                    .low_watermark(deleted.unwrap_or(-1))
                    .error_code(deleted.err().unwrap_or(ErrorCode::None).into())
            });
            let partitions = partitions.collect();
            responses.push(DeleteRecordsTopicResult::default().name(wanted.name).partitions(Some(partitions)));
        }
        DeleteRecordsResponse::default().throttle_time_ms(0).topics(Some(responses))
    }

    /// Gives an idempotent producer its id.
    fn init_producer(&self, request: &InitProducerIdRequest) -> InitProducerIdResponse {
        if let Some(id) = &request.transactional_id {
            return transactions::refuse_producer(id);
        }
        let id = self.next_producer.fetch_add(1, Ordering::Relaxed);
        InitProducerIdResponse::default().throttle_time_ms(0).error_code(0).producer_id(id).producer_epoch(0)
    }
}

fn partition_data(index: i32, error: ErrorCode, read: Read) -> PartitionData {
    PartitionData::default()
        .partition_index(index)
        .error_code(error.into())
        .high_watermark(read.extent.end)
        .last_stable_offset(Some(read.extent.end))
        .log_start_offset(Some(read.extent.start))
        .aborted_transactions(Some(Vec::new()))
        .preferred_read_replica(Some(-1))
        .records((!read.batches.is_empty()).then_some(deflated::Frame { batches: read.batches }))
}
