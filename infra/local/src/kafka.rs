//! Kafka: the embedded broker, and topics on whatever broker there is.

mod broker;
mod log;
mod records;
mod topics;
mod transactions;
mod wire;

pub(crate) use self::{
    broker::EmbeddedBroker,
    topics::{config, create_topics, partitions},
};

/// What a log subscriber should let through of the crates used here: they note each request and each lost connection
/// at `info` and `error`; what matters comes back as an error and is told where it is handled.
pub(crate) const QUIET: &str =
    "tansu_broker=off,tansu_service=off,tansu_storage=off,tansu_sans_io=off,rdkafka=off,librdkafka=off";

/// How many partitions the local system gives a topic.
pub(crate) const PARTITIONS: i32 = 3;

#[cfg(test)]
mod tests;
