//! Makes a bill of what was metered.

use std::sync::Arc;

use jiff::Timestamp;
use store::PartitionKey;
use tokio::time::Instant;

use super::{
    Busiest, Costs, Line, Throttled,
    prices::{
        DYNAMODB_READ, DYNAMODB_WRITE, HTTP_REQUEST, LAMBDA_GB_SECOND, LAMBDA_REQUEST, LOGS, Price, SOCKET_MESSAGE,
        SOCKET_MINUTE, TRANSFER,
    },
};
use crate::{
    dynamodb::{self, Access, TableUsage},
    gateway::meter::{self as gateway, Request},
    lambda::{FunctionUsage, Host},
    limits::Limits,
};

/// All that is metered in a run of the system.
#[derive(Clone)]
pub(crate) struct Bill {
    pub(crate) limits: Limits,
    pub(crate) since: Timestamp,
    pub(crate) began_at: Instant,
    pub(crate) dynamodb: Arc<dynamodb::Meter>,
    pub(crate) gateway: Arc<gateway::Meter>,
}

impl Bill {
    /// Begins to count.
    pub(crate) fn begin(limits: Limits, tables: &[crate::template::Table]) -> Self {
        let now = Instant::now();
        Self {
            limits,
            since: Timestamp::now(),
            began_at: now,
            dynamodb: Arc::new(dynamodb::Meter::new(limits.dynamodb(), tables, now)),
            gateway: Arc::new(gateway::Meter::new(limits.gateway(), now)),
        }
    }

    /// What it all costs until now.
    pub(crate) fn costs(&self, host: &Host, now: Instant) -> Costs {
        let (functions, tables) = (host.usage(now), self.dynamodb.usage());
        let mut lines = lambda(&functions);
        lines.extend(tables.iter().map(table));
        lines.extend(self.api_gateway(now));
        let logged: u64 = functions.iter().map(|function| function.logged).sum();
        lines.push(line("CloudWatch", "functions' logs", logged as f64, LOGS));
        Costs {
            seconds: now.saturating_duration_since(self.began_at).as_secs_f64(),
            limits: self.limits,
            lines,
            throttled: tables.iter().flat_map(throttled_by).chain(self.throttled()).collect(),
            busiest: tables.iter().filter_map(busiest).collect(),
        }
    }

    fn api_gateway(&self, now: Instant) -> [Line; 4] {
        let usage = self.gateway.usage();
        let minutes = self.gateway.connected.total(now).as_secs_f64() / 60.0;
        [
            line("WebSocket API", "messages of 32 KB", usage.messages as f64, SOCKET_MESSAGE),
            line("WebSocket API", "connections", minutes, SOCKET_MINUTE),
            line("HTTP API", "requests", usage.requests as f64, HTTP_REQUEST),
            line("transfer", "to clients", usage.bytes_out as f64, TRANSFER),
        ]
    }

    fn throttled(&self) -> impl Iterator<Item = Throttled> {
        Request::ALL.into_iter().filter_map(|request| {
            let limit = match request {
                Request::Handshake => "API Gateway: handshakes",
                Request::Post => "API Gateway: requests, met by a post",
                Request::Rest => "API Gateway: requests, met by REST",
                Request::Message => "API Gateway: requests, met by a message",
            };
            throttled(limit.to_owned(), self.gateway.throttled(request))
        })
    }
}

fn line(service: &str, what: impl Into<String>, amount: f64, price: Price) -> Line {
    let Price { unit, usd } = price;
    Line { service: service.to_owned(), what: what.into(), amount, unit: unit.to_owned(), usd: amount * usd }
}

fn lambda(functions: &[FunctionUsage]) -> Vec<Line> {
    let lines = functions.iter().flat_map(|FunctionUsage { name, invocations, duration, memory_mb, .. }| {
        let gb_seconds = duration.as_secs_f64() * f64::from(*memory_mb) / 1024.0;
        [
            line("Lambda", name, *invocations as f64, LAMBDA_REQUEST),
            line("Lambda", format!("{name}, {memory_mb} MB"), gb_seconds, LAMBDA_GB_SECOND),
        ]
    });
    lines.collect()
}

fn table(usage: &TableUsage) -> Line {
    let price = match usage.access {
        Access::Read => DYNAMODB_READ,
        Access::Write => DYNAMODB_WRITE,
    };
    line("DynamoDB", &usage.table, usage.units, price)
}

/// As a table's reads or writes are called.
fn named(usage: &TableUsage) -> String {
    let access = match usage.access {
        Access::Read => "read",
        Access::Write => "write",
    };
    format!("{} {access} units", usage.table)
}

fn throttled_by(usage: &TableUsage) -> impl Iterator<Item = Throttled> {
    let limits = [("of a partition key", usage.throttled_by_key), ("of the table", usage.throttled_by_table)];
    let name = named(usage);
    limits.into_iter().filter_map(move |(of, times)| throttled(format!("DynamoDB: {name} {of}"), times))
}

fn throttled(limit: String, times: u64) -> Option<Throttled> {
    (times > 0).then_some(Throttled { limit, times })
}

fn busiest(usage: &TableUsage) -> Option<Busiest> {
    let busiest = usage.busiest.as_ref()?;
    let key = PartitionKey(&busiest.key).to_string();
    Some(Busiest { what: named(usage), key, units_in_a_second: busiest.units })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_function_costs_its_invocations_and_its_memory_for_as_long_as_it_ran() {
        let ingest = FunctionUsage {
            name: "ingest".to_owned(),
            invocations: 1_000_000,
            duration: Duration::from_secs(10_000),
            memory_mb: 1769,
            logged: 0,
        };
        let [requests, memory] = lambda(&[ingest]).try_into().unwrap();
        assert!((requests.usd - 0.20).abs() < 1e-9, "{requests:?}");
        // 10,000 s × 1,769 / 1,024 = 17,275.4 GB-s.
        assert!((memory.amount - 17_275.390_6).abs() < 1e-3, "{memory:?}");
        assert!((memory.usd - 0.230_339_7).abs() < 1e-6, "{memory:?}");
    }

    #[test]
    fn a_table_costs_its_units_and_tells_its_busiest_key_without_a_user() {
        let usage = TableUsage {
            table: "connections".to_owned(),
            access: Access::Write,
            units: 2e6,
            throttled_by_key: 3,
            throttled_by_table: 0,
            busiest: Some(dynamodb::Busiest { key: "user#acme#+15550100".to_owned(), units: 7.0 }),
        };
        assert!((table(&usage).usd - 1.25).abs() < 1e-9);
        let throttled: Vec<_> = throttled_by(&usage).collect();
        let limit = "DynamoDB: connections write units of a partition key".to_owned();
        assert_eq!(throttled, [Throttled { limit, times: 3 }]);
        assert_eq!(busiest(&usage).unwrap().key, "user#acme#…");
    }
}
