//! Tickets from the local system, for clients that can set no header.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use crate::{clock::now, token::Token};

/// Gets a ticket from the running system: it opens one socket within 30 seconds, as `…/ws?ticket=…`
#[derive(Args, Clone, Debug)]
pub(crate) struct Ticket {
    /// The REST API to ask
    #[arg(long, value_name = "URL", default_value = "http://localhost:4000/api")]
    rest: String,
    #[command(flatten)]
    token: Token,
}

/// Prints the ticket, and nothing else to standard output, so that `$(cargo dev ticket)` is one.
pub(crate) async fn run(args: Ticket) -> anyhow::Result<()> {
    let token = args.token.mint_checked(now()).await?;
    let url = format!("{}/auth/ticket", args.rest.trim_end_matches('/'));
    let answer = reqwest::Client::new().post(&url).bearer_auth(token).send().await;
    let answer = answer.with_context(|| format!("nothing answers at {url}; is `cargo dev` running?"))?;
    let status = answer.status();
    let answer: Value = answer.json().await.with_context(|| {
        format!("{url} answers {status}, and not as Livefold's REST API does; --rest is its base, such as http://localhost:4000/api")
    })?;
    match answer["data"]["ticket"].as_str() {
        Some(ticket) => writeln!(io::stdout(), "{ticket}")?,
        None => bail!("no ticket: {}", answer["error"]["message"]),
    }
    Ok(())
}
