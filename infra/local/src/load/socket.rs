//! One client of the WebSocket API.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};
use url::Url;

use super::{ledger::Ledger, lock};

/// How long the handshake, and then the answer to a subscription, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A socket that is subscribed to one campaign.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    channel: String,
}

/// What is read of a message.
#[derive(Deserialize)]
struct Received<'a> {
    #[serde(rename = "type")]
    message_type: &'a str,
    channel: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What is read of a campaign's view.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct View {
    total_attempts: usize,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    code: &'a str,
}

impl Socket {
    /// Connects and subscribes; returns once the subscription is answered.
    pub(super) async fn open(url: &Url, token: &str, campaign: &str) -> anyhow::Result<Self> {
        let mut with_token = url.clone();
        with_token.query_pairs_mut().append_pair("token", token);
        let connecting = timeout(PATIENCE, connect_async(with_token.as_str())).await;
        let connected = connecting.with_context(|| format!("{url} does not answer"))?;
        let (stream, _) = connected.map_err(|error| refused(url, &error))?;
        let mut socket = Self { stream, channel: format!("campaign:{campaign}") };
        let subscribe = json!({ "action": "subscribe", "campaignId": campaign }).to_string();
        socket.stream.send(Message::text(subscribe)).await.context("a socket was closed at once")?;
        let answer = timeout(PATIENCE, socket.subscribed()).await;
        answer.context("a subscription was not answered")??;
        Ok(socket)
    }

    /// Waits for the view that answers the subscription; a new connection gets others before.
    async fn subscribed(&mut self) -> anyhow::Result<()> {
        while let Some(message) = self.stream.next().await {
            let Message::Text(text) = message.context("a socket was lost")? else { continue };
            let received: Received<'_> = serde_json::from_str(&text).context("a message is not of the protocol")?;
            match (received.message_type, received.data) {
                ("error", Some(data)) => {
                    let code = serde_json::from_str::<Refusal<'_>>(data.get()).map_or("?", |refusal| refusal.code);
                    bail!("a subscription was refused: {code}");
                }
                ("metrics_update", _) if received.channel == Some(&self.channel) => return Ok(()),
                _ => {}
            }
        }
        bail!("a socket was closed before its subscription was answered")
    }

    /// Reads until the socket is closed.
    pub(super) async fn read(mut self, connection: usize, ledger: Arc<Mutex<Ledger>>) {
        while let Some(Ok(message)) = self.stream.next().await {
            let at = Instant::now();
            let Message::Text(text) = message else { continue };
            let count = count(&self.channel, &text);
            let mut ledger = lock(&ledger);
            ledger.received();
            if let Some(count) = count {
                ledger.viewed(connection, count, at);
            }
        }
        lock(&ledger).closed();
    }
}

/// How many records a message counts, if it is a view of the channel.
fn count(channel: &str, text: &str) -> Option<usize> {
    let received: Received<'_> = serde_json::from_str(text).ok()?;
    let is_view = received.message_type == "metrics_update" && received.channel == Some(channel);
    let view: View = serde_json::from_str(received.data.filter(|_| is_view)?.get()).ok()?;
    Some(view.total_attempts)
}

fn refused(url: &Url, error: &Error) -> anyhow::Error {
    match error {
        Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow::anyhow!("nothing listens at {url}; is `cargo dev` running?")
        }
        Error::Io(error) if error.raw_os_error() == Some(TOO_MANY_FILES) => {
            anyhow::anyhow!("too many open files; raise the limit with `ulimit -n`")
        }
        Error::Http(response) => match response.status().as_u16() {
            401 | 403 => anyhow::anyhow!("{url} refused the token ({})", response.status()),
            _ => anyhow::anyhow!("{url} refused a socket ({})", response.status()),
        },
        error => anyhow::anyhow!("{url} cannot be connected to: {error}"),
    }
}

/// `EMFILE`, on every Unix.
const TOO_MANY_FILES: i32 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_view_of_the_own_campaign_counts() {
        let message = |message_type: &str, channel: &str| {
            json!({ "type": message_type, "channel": channel, "data": { "totalAttempts": 7 } }).to_string()
        };
        assert_eq!(count("campaign:c", &message("metrics_update", "campaign:c")), Some(7));
        assert_eq!(count("campaign:c", &message("metrics_update", "campaign:d")), None);
        assert_eq!(count("campaign:c", &message("call_event", "campaign:c")), None);
        assert_eq!(count("campaign:c", r#"{"type":"pong"}"#), None);
    }
}
