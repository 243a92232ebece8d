//! What is printed. Colours only where somebody watches.

use std::time::Duration;

use console::{Term, style};

/// A line on standard output.
pub(crate) fn line(text: &str) {
    // A closed pipe (`cargo dev | head`) is no reason to stop.
    let _ = Term::stdout().write_line(text);
}

/// The first line.
pub(crate) fn title(text: &str) {
    line(&format!("\n  {}  {}\n", style("livefold").bold().cyan(), style(text).dim()));
}

/// Something is ready: what, where, and how long that took.
pub(crate) fn ready(what: &str, place: &str, took: Duration) {
    line(&format!("  {} {what:<11} {place:<58} {}", style("✓").green(), style(duration(took)).dim()));
}

/// A heading of what follows.
pub(crate) fn heading(text: &str) {
    line(&format!("\n  {}", style(text).bold()));
}

/// A command to try.
pub(crate) fn command(command: &str, what: &str) {
    line(&format!("    {command}\n      {}", style(what).dim()));
}

/// Something that the user should know of, on standard error.
pub(crate) fn warn(text: &str) {
    let _ = Term::stderr().write_line(&format!("  {} {text}", style("!").for_stderr().yellow()));
}

/// Why the system cannot go on, on standard error.
pub(crate) fn error(text: &str) {
    let _ = Term::stderr().write_line(&format!("{} {text}", style("error:").for_stderr().red().bold()));
}

/// A line of a function's own output.
pub(crate) fn function_line(function: &str, text: &str) {
    let _ = Term::stderr().write_line(&format!("{} {text}", style(format!("{function:>13} │")).for_stderr().dim()));
}

/// A duration as people say it.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}
