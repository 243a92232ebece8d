//! The whole system on one machine: `cargo dev`.

mod backoff;
mod binaries;
mod cli;
mod clock;
mod cold_start;
mod console;
mod costs;
mod dashboard;
mod data;
mod deliveries;
mod dynamodb;
mod environment;
mod gateway;
mod invoke;
mod kafka;
mod lambda;
mod limits;
mod listen;
mod load;
mod page;
mod producer;
mod quarantine;
mod scheduler;
mod secrets;
mod signals;
mod simulate;
mod stopwatch;
mod system;
mod template;
mod ticket;
mod token;
mod trigger;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
