//! What functions take of all tables.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::{
    call::Call,
    throughput::{Access, Busiest, Exceeded, Throughput},
};
use crate::{limits::DynamoDbQuotas, template::Table};

/// Counts units, and throttles where there are quotas.
pub(crate) struct Meter {
    tables: Mutex<BTreeMap<String, TableMeter>>,
    /// Names of the tables' partition keys.
    partition_keys: BTreeMap<String, String>,
}

struct TableMeter {
    reads: Throughput,
    writes: Throughput,
}

/// What was taken of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableUsage {
    pub(crate) table: String,
    pub(crate) access: Access,
    pub(crate) units: f64,
    pub(crate) throttled_by_key: u64,
    pub(crate) throttled_by_table: u64,
    pub(crate) busiest: Option<Busiest>,
}

impl Meter {
    /// A meter of the template's tables.
    pub(crate) fn new(quotas: Option<DynamoDbQuotas>, tables: &[Table], now: Instant) -> Self {
        let meter = |table: &Table| {
            let throughput = |quota| Throughput::new(quota, now);
            let [reads, writes] =
                [quotas.map(|quotas| quotas.reads), quotas.map(|quotas| quotas.writes)].map(throughput);
            (table.name.clone(), TableMeter { reads, writes })
        };
        let key = |table: &Table| Some((table.name.clone(), table.keys.first()?.name.clone()));
        Self {
            tables: Mutex::new(tables.iter().map(meter).collect()),
            partition_keys: tables.iter().filter_map(key).collect(),
        }
    }

    /// The name of a table's partition key.
    pub(super) fn partition_key(&self, table: &str) -> Option<&str> {
        self.partition_keys.get(table).map(String::as_str)
    }

    pub(super) fn admit(&self, call: &Call, now: Instant) -> Result<(), Exceeded> {
        match self.tables().get_mut(&call.table) {
            Some(table) => table.of(call.access).admit(call.key.as_deref(), call.least, now),
            None => Ok(()),
        }
    }

    pub(super) fn settle(&self, call: &Call, units: f64, now: Instant) {
        if let Some(table) = self.tables().get_mut(&call.table) {
            table.of(call.access).settle(call.key.as_deref(), call.least, units, now);
        }
    }

    /// What was taken so far.
    pub(crate) fn usage(&self) -> Vec<TableUsage> {
        let tables = self.tables();
        let accesses = tables
            .iter()
            .flat_map(|(table, meter)| [(table, Access::Write, &meter.writes), (table, Access::Read, &meter.reads)]);
        let usage = accesses.map(|(table, access, throughput)| TableUsage {
            table: table.clone(),
            access,
            units: throughput.units,
            throttled_by_key: throughput.throttled_by_key,
            throttled_by_table: throughput.throttled_by_table,
            busiest: throughput.busiest.clone(),
        });
        usage.collect()
    }

    fn tables(&self) -> MutexGuard<'_, BTreeMap<String, TableMeter>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableMeter {
    fn of(&mut self, access: Access) -> &mut Throughput {
        match access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        }
    }
}
