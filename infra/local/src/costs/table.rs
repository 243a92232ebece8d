//! Costs as a table of text.

use super::{Busiest, Costs, LEFT_OUT, Line, Throttled};
use crate::{console, limits::Limits};

impl Costs {
    /// Prints the table.
    pub(crate) fn print(&self) {
        console::heading(&format!("on AWS these {:.0} seconds would have cost", self.seconds));
        self.table().iter().for_each(|row| console::line(row));
    }

    /// The table, line by line. What there was nothing of is left out.
    fn table(&self) -> Vec<String> {
        let mut rows = vec![row("", "", "amount", "", "USD", "USD/hour")];
        for line @ Line { service, what, amount, unit, usd } in self.lines.iter().filter(|line| line.amount > 0.0) {
            let amount = if line.unit == "bytes" { whole(*amount) } else { rounded(*amount) };
            rows.push(row(service, what, &amount, unit, &dollars(*usd), &hourly(self.per_hour(*usd))));
        }
        let usd = self.usd();
        rows.push(row("sum", "", "", "", &dollars(usd), &hourly(self.per_hour(usd))));
        rows.push(format!("  {LEFT_OUT}"));
        rows.extend(self.throttles());
        rows
    }

    fn throttles(&self) -> Vec<String> {
        let mut rows = Vec::new();
        match (self.limits, self.throttled.as_slice()) {
            (Limits::None, _) => rows.push("  no limits (--limits aws sets those of AWS)".to_owned()),
            (Limits::Aws, []) => rows.push("  nothing was throttled by AWS's limits".to_owned()),
            (Limits::Aws, throttled) => rows.extend(
                throttled.iter().map(|Throttled { limit, times }| format!("  throttled {times} times by {limit}")),
            ),
        }
        rows.extend(self.busiest.iter().map(|Busiest { what, key, units_in_a_second }| {
            format!("  at most {units_in_a_second} {what} in a second of {key}")
        }));
        rows
    }
}

fn row(service: &str, what: &str, amount: &str, unit: &str, usd: &str, per_hour: &str) -> String {
    format!("  {service:<14} {what:<24} {amount:>14} {unit:<11} {usd:>11} {per_hour:>10}")
}

fn whole(number: f64) -> String {
    format!("{number:.0}")
}

/// Small amounts to the thousandth, others to the tenth.
fn rounded(number: f64) -> String {
    let text = if number < 100.0 { format!("{number:.3}") } else { format!("{number:.1}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn dollars(usd: f64) -> String {
    format!("{usd:.6}")
}

fn hourly(usd: f64) -> String {
    format!("{usd:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_as_many_digits_as_tell_something() {
        assert_eq!([0.0, 0.0416, 12.5, 100.0, 1_600.54].map(rounded), ["0", "0.042", "12.5", "100", "1600.5"]);
    }

    #[test]
    fn a_table_has_amounts_and_dollars_and_says_what_was_throttled() {
        let line = |what: &str, amount, unit: &str, usd| Line {
            service: "DynamoDB".to_owned(),
            what: what.to_owned(),
            amount,
            unit: unit.to_owned(),
            usd,
        };
        let costs = Costs {
            seconds: 36.0,
            limits: Limits::Aws,
            lines: vec![line("channels", 1_600.5, "read units", 0.000_2), line("connections", 0.0, "read units", 0.0)],
            throttled: vec![Throttled { limit: "a limit".to_owned(), times: 2 }],
            busiest: vec![Busiest {
                what: "channels read units".to_owned(),
                key: "acme#c".to_owned(),
                units_in_a_second: 9.5,
            }],
        };
        assert_eq!(
            costs.table(),
            [
                "                                                  amount                     USD   USD/hour",
                "  DynamoDB       channels                         1600.5 read units     0.000200     0.0200",
                "  sum                                                                   0.000200     0.0200",
                &format!("  {LEFT_OUT}"),
                "  throttled 2 times by a limit",
                "  at most 9.5 channels read units in a second of acme#c",
            ]
        );
    }
}
