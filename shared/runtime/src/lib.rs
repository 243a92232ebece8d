//! What every function's `main.rs` needs: configuration, logs, metrics, the audit trail, the SDK's clients, the clock; and
//! what several functions ask of others beside their tables: the publisher's start, the Kafka cluster's state, and the
//! keys that tokens are verified with.

pub mod audit;
mod clients;
pub mod clock;
mod cluster;
mod config;
mod keys;
#[cfg(test)]
mod loopback;
pub mod metrics;
mod publisher;
pub mod telemetry;

pub use clients::Clients;
pub use cluster::{Cluster, ClusterState};
pub use config::{ConfigError, Variables};
pub use publisher::PublisherWaker;
