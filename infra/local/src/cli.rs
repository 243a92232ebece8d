//! The command line: without a subcommand it starts the system.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::{
    cold_start::{self, ColdStart},
    environment::Given,
    limits::Limits,
    load::{self, Load},
    quarantine::{self, Quarantine},
    signals,
    simulate::{self, Simulate},
    system,
    ticket::{self, Ticket},
    token::{self, Token},
};

/// Livefold on one machine: Kafka, DynamoDB, API Gateway, Lambda, and the functions of template.yaml.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo dev", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    start: Start,
    #[command(subcommand)]
    command: Option<Command>,
}

/// How the system is started.
#[derive(Args, Clone, Debug)]
pub(crate) struct Start {
    /// Starts without the simulator
    #[arg(long)]
    pub(crate) no_simulator: bool,
    /// Reads from this Kafka instead of the embedded one
    #[arg(long, value_name = "ADDR", conflicts_with = "kafka_port")]
    pub(crate) kafka: Option<String>,
    /// Stores in this DynamoDB instead of the embedded one
    #[arg(long, value_name = "URL", conflicts_with = "dynamodb_port")]
    pub(crate) dynamodb: Option<String>,
    /// Keeps the embedded DynamoDB in this folder; without it all is gone at the end
    #[arg(long, value_name = "DIR", conflicts_with = "dynamodb")]
    pub(crate) data: Option<PathBuf>,
    /// Port of the APIs
    #[arg(long, value_name = "N", default_value_t = 4000)]
    pub(crate) port: u16,
    /// Port of the embedded Kafka
    #[arg(long, value_name = "N", default_value_t = 9092)]
    pub(crate) kafka_port: u16,
    /// Port of the embedded DynamoDB
    #[arg(long, value_name = "N", default_value_t = 8000)]
    pub(crate) dynamodb_port: u16,
    /// What is throttled
    #[arg(long, value_enum, default_value_t)]
    pub(crate) limits: Limits,
    /// Gives a variable of the functions another value; may be given several times
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub(crate) environment: Vec<Given>,
    /// Shows what the functions log
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Token(Token),
    Ticket(Ticket),
    Simulate(Simulate),
    Quarantine(Quarantine),
    Load(Load),
    ColdStart(ColdStart),
}

/// Runs what the command line says.
pub(crate) async fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.command {
        None => system::run(&cli.start).await,
        Some(Command::Token(args)) => token::run(args).await,
        Some(Command::Ticket(args)) => ticket::run(args).await,
        Some(Command::Quarantine(args)) => quarantine::run(args).await,
        Some(Command::Load(args)) => load::run(args).await,
        Some(Command::ColdStart(args)) => cold_start::run(args).await,
        Some(Command::Simulate(args)) => {
            let stop = CancellationToken::new();
            signals::cancel(stop.clone())?;
            simulate::run(args, stop).await
        }
    }
}

fn variable(text: &str) -> Result<Given, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE is wanted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_subcommand_the_system_is_started() {
        let cli = Cli::parse_from(["dev", "--port", "4100", "--env", "A=b=c"]);
        assert!(cli.command.is_none());
        assert_eq!(cli.start.port, 4100);
        assert_eq!(cli.start.environment, [("A".to_owned(), "b=c".to_owned())]);
    }
}
