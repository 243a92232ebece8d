//! What was measured, beside what it may be.

use std::time::Duration;

use console::{StyledObject, style};

use super::{artifact::Size, budget, memory::Memory, start::Start};
use crate::console as terminal;

/// Everything that was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
}

/// One function.
#[derive(Debug)]
pub(super) struct Row {
    function: String,
    size: Size,
    /// Zipped bytes.
    budget: Option<u64>,
    pub(super) starts: Vec<Start>,
}

/// Stands where nothing was measured.
const NOTHING: &str = "–";

impl Row {
    pub(super) fn new(function: &str, size: Size, budget: Option<u64>) -> Self {
        Self { function: function.to_owned(), size, budget, starts: Vec::new() }
    }

    /// What is wrong with its sizes.
    fn failures(&self) -> Vec<String> {
        let function = &self.function;
        let zipped = megabytes(self.size.zipped);
        let mut failures = Vec::new();
        match self.budget {
            None => failures.push(format!(
                "{function} has no budget; it is {zipped} zipped, and infra/local/src/cold_start/budget.rs wants to know"
            )),
            Some(budget) if self.size.zipped > budget => failures.push(format!(
                "{function} is {zipped} zipped, {} over its budget of {}",
                kilobytes(self.size.zipped - budget),
                megabytes(budget)
            )),
            Some(_) => {}
        }
        if self.size.binary > budget::BINARY {
            failures.push(format!(
                "{function} is {}, {} over the {} that a binary may have",
                megabytes(self.size.binary),
                kilobytes(self.size.binary - budget::BINARY),
                megabytes(budget::BINARY)
            ));
        }
        failures
    }

    fn print(&self) {
        let init = self.starts.iter().map(|start| start.init);
        let invocation = self.starts.iter().map(|start| start.invocation);
        let memory: Vec<_> = self.starts.iter().filter_map(|start| start.memory).collect();
        let columns = [
            marked(&timed(median(init.clone())), 9, median(init.clone()).is_some_and(|took| took >= budget::START)),
            marked(&timed(init.clone().max()), 9, init.max().is_some_and(|took| took >= budget::START)),
            marked(&timed(median(invocation)), 10, false),
            marked(&measured(&memory, |memory| memory.resident), 9, false),
            marked(&measured(&memory, |memory| memory.peak), 9, false),
            marked(&megabytes(self.size.binary), 9, self.size.binary > budget::BINARY),
            marked(&megabytes(self.size.zipped), 9, self.budget.is_none_or(|budget| self.size.zipped > budget)),
            marked(&self.budget.map_or_else(|| "none".to_owned(), megabytes), 9, self.budget.is_none()),
        ];
        let columns: Vec<_> = columns.iter().map(ToString::to_string).collect();
        let sign = if self.failures().is_empty() { style("✓").green() } else { style("✗").red() };
        terminal::line(&format!("  {sign} {:<14}{}", self.function, columns.join(" ")));
    }
}

impl Report {
    pub(super) fn print(&self) {
        let count = self.rows.iter().map(|row| row.starts.len()).max().unwrap_or_default();
        let above =
            format!("    {:<14}{:>19} {:>10} {:>19} {:>9} {:>19}", "", "start", "first", "resident", "", "zipped");
        let columns = ["median", "worst", "invocation", "after it", "peak", "binary", "is", "may be"];
        let columns: Vec<_> = columns.iter().map(|name| format!("{name:>9}")).collect();
        let names = format!("    {:<14}{}", "", columns.join(" "));
        terminal::line("");
        terminal::line(&style(above).dim().to_string());
        terminal::line(&style(names).dim().to_string());
        for row in &self.rows {
            row.print();
        }
        let starts = match count {
            0 => "sizes only".to_owned(),
            n => format!(
                "start: from the process's start to its first `next`, of {n}, the goal is under {} ms; invocation: median",
                budget::START.as_millis()
            ),
        };
        terminal::line(&format!("\n    {}", style(starts).dim()));
    }

    /// What is over its budget, or has none: a line each.
    pub(super) fn failures(&self) -> Vec<String> {
        self.rows.iter().flat_map(Row::failures).collect()
    }
}

/// A column, right-aligned, that says whether what stands in it is too much.
fn marked(text: &str, width: usize, is_over: bool) -> StyledObject<String> {
    let text = style(format!("{text:>width$}"));
    if is_over { text.red() } else { text }
}

/// The middle one; of two the greater.
fn median(durations: impl Iterator<Item = Duration>) -> Option<Duration> {
    let mut durations: Vec<_> = durations.collect();
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied()
}

fn timed(duration: Option<Duration>) -> String {
    duration.map_or_else(|| NOTHING.to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1000.0))
}

/// The greatest of what was measured.
fn measured(memory: &[Memory], bytes: impl Fn(&Memory) -> u64) -> String {
    memory.iter().map(bytes).max().map_or_else(|| NOTHING.to_owned(), megabytes)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.2} MB", bytes as f64 / 1e6)
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1} kB", bytes as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failures(size: Size, budget: Option<u64>) -> Vec<String> {
        Report { rows: vec![Row::new("work", size, budget)] }.failures()
    }

    #[test]
    fn a_size_that_is_its_budget_is_within_it() {
        assert!(failures(Size { binary: budget::BINARY, zipped: 5_000_000 }, Some(5_000_000)).is_empty());
    }

    #[test]
    fn a_zipped_size_over_its_budget_fails() {
        let failures = failures(Size { binary: 1, zipped: 5_060_000 }, Some(5_000_000));
        assert_eq!(failures, ["work is 5.06 MB zipped, 60.0 kB over its budget of 5.00 MB"]);
    }

    #[test]
    fn a_binary_that_is_too_large_fails() {
        let failures = failures(Size { binary: 12_500_000, zipped: 1 }, Some(1));
        assert_eq!(failures, ["work is 12.50 MB, 500.0 kB over the 12.00 MB that a binary may have"]);
    }

    #[test]
    fn a_function_without_a_budget_fails_and_is_named() {
        let failures = failures(Size { binary: 1, zipped: 5_000_000 }, None);
        assert!(failures[0].starts_with("work has no budget; it is 5.00 MB zipped"), "{failures:?}");
    }

    #[test]
    fn the_median_is_one_that_was_measured() {
        let median = |millis: &[u64]| super::median(millis.iter().map(|ms| Duration::from_millis(*ms)));
        assert_eq!(median(&[9, 1, 5]), Some(Duration::from_millis(5)));
        assert_eq!(median(&[9, 1]), Some(Duration::from_millis(9)));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn slow_starts_are_no_failure() {
        let mut row = Row::new("work", Size { binary: 1, zipped: 1 }, Some(1));
        let slow = Duration::from_secs(5);
        row.starts.push(Start { init: slow, invocation: slow, memory: None });
        assert!(row.failures().is_empty());
    }
}
