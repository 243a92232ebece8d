//! What a load test found.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use super::{
    ledger::Ledger,
    stages::{self, Stages},
};

/// The figures of a run.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) lost: u64,
    pub(super) deliveries: u64,
    lines: Vec<(&'static str, String)>,
    stages: Option<Stages>,
}

impl Report {
    /// `producing` is how long records were produced, `measuring` until the last of them had arrived.
    pub(super) fn new(
        ledger: &Ledger,
        connections: u32,
        producing: Duration,
        measuring: Duration,
        stages: Option<Stages>,
    ) -> Self {
        let (lost, deliveries) = (ledger.missing(), ledger.deliveries());
        let per_second = |count: u64, over: Duration| format!("{:.0}", count as f64 / over.as_secs_f64().max(0.001));
        let per_socket = |count: u64| {
            let socket_seconds = f64::from(connections.max(1)) * measuring.as_secs_f64().max(0.001);
            format!("{:.2}", count as f64 / socket_seconds)
        };
        let quantile = |quantile: f64| millis(ledger.latency().value_at_quantile(quantile));
        let mut lines = vec![
            ("connections", grouped(connections.into())),
            ("records", grouped(ledger.records())),
            ("records per second", per_second(ledger.records(), producing)),
            ("deliveries", grouped(deliveries)),
            ("lost", grouped(lost)),
            ("messages received", grouped(ledger.messages())),
            ("messages per second", per_second(ledger.messages(), measuring)),
            ("frames received", grouped(ledger.frames())),
            ("frames /socket /s", per_socket(ledger.frames())),
            ("messages /socket /s", per_socket(ledger.messages())),
            ("bytes /socket /s", per_socket(ledger.bytes())),
        ];
        if ledger.closed_early() > 0 {
            lines.push(("closed early", grouped(ledger.closed_early())));
        }
        lines.extend([
            ("p50", quantile(0.5)),
            ("p95", quantile(0.95)),
            ("p99", quantile(0.99)),
            ("max", millis(ledger.latency().max())),
        ]);
        Self { lost, deliveries, lines, stages }
    }

    pub(super) fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        for (name, value) in &self.lines {
            writeln!(out, "  {name:<20} {value:>12}")?;
        }
        let Some(Stages { took }) = &self.stages else {
            return writeln!(out, "  stages are told by `cargo dev` alone, at /_local/deliveries");
        };
        writeln!(out, "\n  {:<20} {:>12} {:>12} {:>12}", "stage", "p50", "p95", "p99")?;
        for (name, took) in stages::NAMES.iter().zip(took) {
            let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|quantile| millis(took.value_at_quantile(quantile)));
            writeln!(out, "  {name:<20} {p50:>12} {p95:>12} {p99:>12}")?;
        }
        Ok(())
    }
}

fn millis(micros: u64) -> String {
    format!("{:.1} ms", micros as f64 / 1000.0)
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
