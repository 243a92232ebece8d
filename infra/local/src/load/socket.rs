//! One client of the WebSocket API.

use std::{
    collections::HashMap,
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use projections::Timestamp;
use serde::Deserialize;
use serde_json::{json, value::RawValue};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        Error, Message,
        client::IntoClientRequest as _,
        http::{HeaderValue, Response, header},
    },
};
use url::Url;

use super::{ledger::Ledger, lock};

/// How long the handshake, and then the answer to a subscription, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The subprotocol of who takes several messages in one frame.
const BATCH: &str = "livefold.batch";

/// A socket that is subscribed to one campaign, or just listens.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// A frame that holds several messages.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// What is read of a message.
#[derive(Deserialize)]
struct Received<'a> {
    #[serde(borrow)]
    timestamp: Option<&'a str>,
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
    /// Connects, taking several messages in one frame where `batch`, and subscribes to a campaign where there is one. Returns
    /// once that is answered, or something has come by itself.
    pub(super) async fn open(url: &Url, token: &str, campaign: Option<&str>, batch: bool) -> anyhow::Result<Self> {
        let mut request = url.as_str().into_client_request().with_context(|| format!("{url} is no URL"))?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).context("the token fits no header")?;
        request.headers_mut().insert(header::AUTHORIZATION, bearer);
        if batch {
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(BATCH));
        }
        let connecting = timeout(PATIENCE, connect_async(request)).await;
        let connected = connecting.with_context(|| format!("{url} does not answer"))?;
        let (stream, _) = connected.map_err(|error| refused(url, &error))?;
        let mut socket = Self { stream };
        if let Some(campaign) = campaign {
            let subscribe = json!({ "action": "subscribe", "campaignId": campaign }).to_string();
            socket.stream.send(Message::text(subscribe)).await.context("a socket was closed at once")?;
        }
        let channel = campaign.map(|campaign| format!("campaign:{campaign}"));
        let answer = timeout(PATIENCE, socket.answered(channel.as_deref())).await;
        answer.context("a subscription was not answered")??;
        Ok(socket)
    }

    /// Watches more channels.
    pub(super) async fn watch(&mut self, channels: Vec<String>) -> anyhow::Result<()> {
        let subscribe = json!({ "action": "subscribe", "channels": channels }).to_string();
        self.stream.send(Message::text(subscribe)).await.context("a socket was closed")
    }

    /// Waits for the view that answers the subscription; a new connection gets others before. Without a subscription, for
    /// whatever comes.
    async fn answered(&mut self, channel: Option<&str>) -> anyhow::Result<()> {
        while let Some(message) = self.stream.next().await {
            let Message::Text(text) = message.context("a socket was lost")? else { continue };
            for text in messages(&text) {
                let received: Received<'_> = serde_json::from_str(text).context("a message is not of the protocol")?;
                match (received.message_type, received.data) {
                    ("error", Some(data)) => {
                        let code = serde_json::from_str::<Refusal<'_>>(data.get()).map_or("?", |refusal| refusal.code);
                        bail!("a subscription was refused: {code}");
                    }
                    _ if channel.is_none() => return Ok(()),
                    ("metrics_update", _) if received.channel == channel => return Ok(()),
                    _ => {}
                }
            }
        }
        bail!("a socket was closed before its subscription was answered")
    }

    /// Reads until the socket is closed.
    pub(super) async fn read(
        mut self,
        connection: usize,
        channels: Arc<HashMap<String, usize>>,
        ledger: Arc<Mutex<Ledger>>,
    ) {
        while let Some(Ok(message)) = self.stream.next().await {
            let at = Instant::now();
            let Message::Text(text) = message else { continue };
            let messages = messages(&text);
            let counts: Vec<_> = messages.iter().filter_map(|message| count(&channels, message)).collect();
            let mut ledger = lock(&ledger);
            ledger.received(text.len(), messages.len());
            for (campaign, count, made_at) in counts {
                ledger.viewed(connection, campaign, count, made_at, at);
            }
        }
        lock(&ledger).closed();
    }
}

/// The messages of a frame.
fn messages(frame: &str) -> Vec<&str> {
    match serde_json::from_str::<Batch<'_>>(frame) {
        Ok(batch) => batch.messages.into_iter().map(RawValue::get).collect(),
        Err(_) => vec![frame],
    }
}

/// Of which campaign a message counts how many records, if it is a view of one of these channels, and when it was made, in
/// microseconds since 1970.
fn count(channels: &HashMap<String, usize>, text: &str) -> Option<(usize, usize, i64)> {
    let received: Received<'_> = serde_json::from_str(text).ok()?;
    let is_view = received.message_type == "metrics_update";
    let campaign = *channels.get(received.channel.filter(|_| is_view)?)?;
    let view: View = serde_json::from_str(received.data?.get()).ok()?;
    let made_at: Timestamp = received.timestamp?.parse().ok()?;
    Some((campaign, view.total_attempts, made_at.as_millis() * 1_000))
}

fn refused(url: &Url, error: &Error) -> anyhow::Error {
    match error {
        Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            anyhow::anyhow!("nothing listens at {url}; is `cargo dev` running?")
        }
        Error::Io(error) if error.raw_os_error() == Some(TOO_MANY_FILES) => {
            anyhow::anyhow!("too many open files; raise the limit with `ulimit -n`")
        }
        Error::Http(response) => refused_with(url, response),
        error => anyhow::anyhow!("{url} cannot be connected to: {error}"),
    }
}

fn refused_with(url: &Url, response: &Response<Option<Vec<u8>>>) -> anyhow::Error {
    match response.status().as_u16() {
        401 | 403 => anyhow::anyhow!("{url} refused the token ({})", response.status()),
        429 => anyhow::anyhow!(
            "{url} has too many sockets of this tenant; start the system with --env CONNECTIONS_PER_TENANT=N"
        ),
        _ => anyhow::anyhow!("{url} refused a socket ({})", response.status()),
    }
}

/// `EMFILE`, on every Unix.
const TOO_MANY_FILES: i32 = 24;

#[cfg(test)]
mod tests {
    use tokio_tungstenite::{accept_hdr_async, tungstenite::handshake::server::Request};

    use super::*;

    #[test]
    fn only_views_of_the_campaigns_of_the_run_count() {
        let message = |message_type: &str, channel: &str| {
            json!({
                "type": message_type, "channel": channel, "data": { "totalAttempts": 7 }, "timestamp": "1970-01-01T00:00:01.500Z",
            })
            .to_string()
        };
        let channels = HashMap::from([("campaign:b".to_owned(), 0), ("campaign:c".to_owned(), 1)]);
        assert_eq!(count(&channels, &message("metrics_update", "campaign:c")), Some((1, 7, 1_500_000)));
        assert_eq!(count(&channels, &message("metrics_update", "campaign:d")), None);
        assert_eq!(count(&channels, &message("call_event", "campaign:c")), None);
        assert_eq!(count(&channels, r#"{"type":"pong"}"#), None);
    }

    #[test]
    fn a_frame_is_one_message_or_several() {
        let pong = r#"{"type":"pong"}"#;
        assert_eq!(messages(pong), [pong]);
        assert_eq!(
            messages(&format!(r#"{{"type":"batch","messages":[{pong}, {pong}],"timestamp":""}}"#)),
            [pong, pong]
        );
    }

    #[tokio::test]
    #[expect(clippy::result_large_err, reason = "the library's callback has this type")]
    async fn the_token_goes_into_a_header_and_never_into_the_url() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("ws://{}/ws", listener.local_addr().unwrap())).unwrap();
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut seen = None;
            let look = |request: &Request, response| {
                seen = Some((request.uri().to_string(), request.headers()[header::AUTHORIZATION].clone()));
                Ok(response)
            };
            let mut socket = accept_hdr_async(stream, look).await.unwrap();
            let subscribe = socket.next().await.unwrap().unwrap();
            let view = json!({ "type": "metrics_update", "channel": "campaign:c", "data": { "totalAttempts": 0 } });
            socket.send(Message::text(view.to_string())).await.unwrap();
            (seen.unwrap(), subscribe.into_text().unwrap())
        });
        Socket::open(&url, "a.b.c", Some("c"), false).await.unwrap();
        let ((uri, authorization), subscribe) = server.await.unwrap();
        assert_eq!((uri.as_str(), authorization.to_str().unwrap()), ("/ws", "Bearer a.b.c"));
        assert!(!subscribe.contains("a.b.c"));
    }
}
