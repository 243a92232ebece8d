//! What a run of the system would have cost on AWS: `/_local/costs` tells, and so does the end of `cargo dev`.
//!
//! What functions take is metered in any run, also without limits: two more readings of a request's few kilobytes are
//! little beside what the function does with them, and who asks what something costs has rarely asked before.

mod bill;
mod prices;
mod table;

use serde::{Deserialize, Serialize};

pub(crate) use self::bill::Bill;
use crate::limits::Limits;

/// What is no part of the costs here: it does not depend on what functions do, or cannot be seen from here.
const LEFT_OUT: &str = "without Kafka, network, alarms, metrics and storage, and as fast as this machine is";

/// What a run, or a part of it, costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Costs {
    pub(crate) seconds: f64,
    pub(crate) limits: Limits,
    pub(crate) lines: Vec<Line>,
    pub(crate) throttled: Vec<Throttled>,
    /// The partition keys of which most was taken within a second.
    pub(crate) busiest: Vec<Busiest>,
}

/// A part of the costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    pub(crate) service: String,
    pub(crate) what: String,
    pub(crate) amount: f64,
    pub(crate) unit: String,
    pub(crate) usd: f64,
}

/// How often a limit was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Throttled {
    pub(crate) limit: String,
    pub(crate) times: u64,
}

/// A partition key of which much was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Busiest {
    /// What was taken of it.
    pub(crate) what: String,
    /// The key, without users and digests.
    pub(crate) key: String,
    pub(crate) units_in_a_second: f64,
}

impl Costs {
    /// All lines together, in dollars.
    pub(crate) fn usd(&self) -> f64 {
        self.lines.iter().map(|line| line.usd).sum()
    }

    /// What an hour costs that is as these seconds were.
    pub(crate) fn per_hour(&self, usd: f64) -> f64 {
        usd / self.seconds.max(0.001) * 3_600.0
    }

    /// What came since an earlier moment of the same run. Which partition keys were the busiest is still said of the whole.
    pub(crate) fn since(mut self, earlier: &Self) -> Self {
        for line in &mut self.lines {
            let is_same =
                |other: &&Line| (&other.service, &other.what, &other.unit) == (&line.service, &line.what, &line.unit);
            if let Some(before) = earlier.lines.iter().find(is_same) {
                line.amount -= before.amount;
                line.usd -= before.usd;
            }
        }
        for throttled in &mut self.throttled {
            let before = earlier.throttled.iter().find(|before| before.limit == throttled.limit);
            throttled.times -= before.map_or(0, |before| before.times.min(throttled.times));
        }
        self.throttled.retain(|throttled| throttled.times > 0);
        self.seconds -= earlier.seconds;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(seconds: f64, writes: f64, times: u64) -> Costs {
        let line = Line {
            service: "DynamoDB".to_owned(),
            what: "channels".to_owned(),
            amount: writes,
            unit: "write units".to_owned(),
            usd: writes * 0.5,
        };
        Costs {
            seconds,
            limits: Limits::Aws,
            lines: vec![line],
            throttled: vec![Throttled { limit: "a".to_owned(), times }],
            busiest: Vec::new(),
        }
    }

    #[test]
    fn a_part_of_a_run_costs_what_came_since() {
        let part = costs(30.0, 10.0, 3).since(&costs(20.0, 4.0, 1));
        assert_eq!(part, costs(10.0, 6.0, 2));
        assert!((part.usd() - 3.0).abs() < 1e-9);
        assert!((part.per_hour(part.usd()) - 1_080.0).abs() < 1e-6);
        assert_eq!(costs(30.0, 10.0, 3).since(&costs(20.0, 4.0, 3)).throttled, []);
    }
}
