//! What every function's `main.rs` needs: configuration, telemetry, the SDK's clients, the clock; and the two things
//! that several functions ask of AWS beside their tables: the publisher's start and the Kafka cluster's state.

mod clients;
pub mod clock;
mod cluster;
mod config;
mod publisher;
pub mod telemetry;

pub use clients::Clients;
pub use cluster::{Cluster, ClusterState};
pub use config::{ConfigError, Variables};
pub use publisher::PublisherWaker;
