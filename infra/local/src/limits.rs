//! How much AWS lets through. `--limits aws` makes the local system as narrow.
//!
//! The sizes of messages, frames, requests and payloads are limited in any case, where they are handled.

mod bucket;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use self::bucket::TokenBucket;

/// What is throttled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Limits {
    /// Nothing is throttled
    #[default]
    None,
    /// What AWS throttles by default, where it does: DynamoDB at 3,000 read and 1,000 write units a second of a partition key
    /// and 40,000 of a table, API Gateway at 500 handshakes and 10,000 requests a second, posts included
    Aws,
}

/// Units or requests per second, and how many may come at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Rate {
    /// A bucket that holds one second's worth.
    const fn of_a_second(per_second: f64) -> Self {
        Self { per_second, burst: per_second }
    }
}

/// How much of a table may be read, or written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TableQuota {
    /// Of one partition key.
    pub(crate) per_key: Rate,
    /// Of all of them.
    pub(crate) per_table: Rate,
}

/// What DynamoDB lets through.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DynamoDbQuotas {
    pub(crate) reads: TableQuota,
    pub(crate) writes: TableQuota,
}

/// What API Gateway lets through, in one account and region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct GatewayQuotas {
    /// New connections.
    pub(crate) handshakes: Rate,
    /// Posts, REST requests, messages of clients and handshakes together.
    pub(crate) requests: Rate,
}

/// 3,000 read and 1,000 write units a second of a partition
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>), which at the worst is
/// one key; 40,000 of each of an on-demand table
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html>).
///
/// AWS keeps up to 300 s of a table's unused capacity for bursts and promises none of it; a partition gets no more than its
/// maximum. So a second's worth is all that is here.
const DYNAMODB: DynamoDbQuotas = DynamoDbQuotas {
    reads: TableQuota { per_key: Rate::of_a_second(3_000.0), per_table: Rate::of_a_second(40_000.0) },
    writes: TableQuota { per_key: Rate::of_a_second(1_000.0), per_table: Rate::of_a_second(40_000.0) },
};

/// 10,000 requests a second from a bucket of 5,000 over all APIs, and 500 new connections
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>). No burst is documented for connections: a
/// second's worth.
const GATEWAY: GatewayQuotas =
    GatewayQuotas { handshakes: Rate::of_a_second(500.0), requests: Rate { per_second: 10_000.0, burst: 5_000.0 } };

impl Limits {
    pub(crate) fn dynamodb(self) -> Option<DynamoDbQuotas> {
        (self == Self::Aws).then_some(DYNAMODB)
    }

    pub(crate) fn gateway(self) -> Option<GatewayQuotas> {
        (self == Self::Aws).then_some(GATEWAY)
    }
}
