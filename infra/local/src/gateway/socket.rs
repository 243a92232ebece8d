//! The WebSocket API: handshake, messages, and the end of a connection.

#[cfg(test)]
mod tests;

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, sync::mpsc::UnboundedReceiver, time::Instant};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::ProtocolError,
        handshake::server::create_response_with_body,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ProxyAnswer,
    connection::{Client, Connections, Outgoing, Registration},
    integrate,
    management::MAX_MESSAGE,
    meter::{self, Meter},
    new_id, route,
    socket_event::{SocketEvent, SocketEvents},
    too_many_requests,
};
use crate::{invoke::Invoke, template::SocketApi};

/// A client may send frames no greater than this.
const MAX_FRAME: usize = 32 * 1024;

/// A connection on which nothing comes or goes for this long is closed.
const MAX_IDLE: Duration = Duration::from_mins(10);

/// No connection lives longer.
const MAX_AGE: Duration = Duration::from_hours(2);

/// How long a client has to answer a close frame.
const CLOSING: Duration = Duration::from_secs(2);

/// A client that sends nothing for this long after a close frame has seen it.
const DRAINING: Duration = Duration::from_millis(200);

/// What a connection reads at once; there may be thousands.
const READ_BUFFER: usize = 4 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A WebSocket API with the functions behind it.
pub(crate) struct SocketGateway<I> {
    pub(crate) api: SocketApi,
    pub(crate) events: SocketEvents,
    pub(crate) invoker: Arc<I>,
    pub(crate) connections: Connections,
    pub(crate) meter: Arc<Meter>,
    /// Closes all connections.
    pub(crate) stop: CancellationToken,
    /// The tasks of all connections.
    pub(crate) tasks: TaskTracker,
}

/// Serves the API at `/ws`.
pub(crate) fn router<I: Invoke>(gateway: Arc<SocketGateway<I>>) -> Router {
    Router::new().route("/ws", get(handshake::<I>)).with_state(gateway)
}

async fn handshake<I: Invoke>(
    State(gateway): State<Arc<SocketGateway<I>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    let Ok(mut response) = create_response_with_body(&request, Body::empty) else {
        return (StatusCode::UPGRADE_REQUIRED, [(header::UPGRADE, "websocket")]).into_response();
    };
    if !gateway.meter.admit(meter::Request::Handshake, Instant::now()) {
        return too_many_requests();
    }
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let client = Client {
        connection_id: new_id(),
        connected_at: Timestamp::now(),
        source_ip: peer.ip().to_canonical(),
        user_agent: user_agent.unwrap_or_default().to_owned(),
    };
    let query = request.uri().query().unwrap_or_default();
    match gateway.connect(&client, request.headers(), query).await {
        Ok(Some(protocol)) => {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
        }
        Ok(None) => {}
        Err(refusal) => return *refusal,
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let tasks = gateway.tasks.clone();
    tasks.spawn(async move {
        // The upgrade fails if the client hung up meanwhile; what `$connect` did has to be undone then, too.
        let (code, reason) = match upgrade.await {
            Ok(upgraded) => gateway.serve(&client, upgraded).await,
            Err(_) => Ending::Lost.described(),
        };
        gateway.disconnect(&client, code, &reason).await;
    });
    response
}

/// How a connection ends.
enum Ending {
    /// The client closed it, with or without a reason.
    Client(Option<CloseFrame>),
    /// It is closed from here.
    Server(CloseCode, &'static str),
    /// It broke.
    Lost,
}

impl Ending {
    /// As `$disconnect` is told it.
    fn described(&self) -> (u16, String) {
        match self {
            Self::Client(Some(frame)) => (frame.code.into(), frame.reason.to_string()),
            Self::Client(None) => (CloseCode::Status.into(), "Client-side close frame status not set".to_owned()),
            Self::Server(code, reason) => ((*code).into(), (*reason).to_owned()),
            Self::Lost => (CloseCode::Abnormal.into(), "Connection closed abnormally".to_owned()),
        }
    }
}

/// The answer of a function to a message, to be sent to the client.
type Work<'a> = BoxFuture<'a, Option<Utf8Bytes>>;

impl<I: Invoke> SocketGateway<I> {
    /// Asks `$connect`. `Ok` is the subprotocol that it chose, `Err` the refusal.
    async fn connect(
        &self,
        client: &Client,
        headers: &HeaderMap,
        query: &str,
    ) -> Result<Option<HeaderValue>, Box<Response>> {
        let Some(route) = self.api.routes.get("$connect") else { return Ok(None) };
        let event = self.events.connect(client, headers, query, Timestamp::now());
        let answer = integrate(&*self.invoker, &route.function, &event.json).await;
        match answer.ok().as_ref().and_then(ProxyAnswer::read) {
            Some(answer) if answer.status.is_success() => {
                Ok(answer.headers.get(header::SEC_WEBSOCKET_PROTOCOL).cloned())
            }
            Some(answer) => Err(Box::new(answer.into_response())),
            None => {
                let headers = [(header::CONTENT_TYPE, "application/json")];
                Err(Box::new((StatusCode::BAD_GATEWAY, headers, internal_error(client, &event)).into_response()))
            }
        }
    }

    async fn disconnect(&self, client: &Client, code: u16, reason: &str) {
        if let Some(route) = self.api.routes.get("$disconnect") {
            let event = self.events.disconnect(client, code, reason, Timestamp::now());
            // Best effort, as on AWS.
            let _ = integrate(&*self.invoker, &route.function, &event.json).await;
        }
    }

    /// Carries messages until the connection ends; says why it did.
    async fn serve(&self, client: &Client, upgraded: Upgraded) -> (u16, String) {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_frame_size(Some(MAX_FRAME))
            .max_message_size(Some(MAX_MESSAGE));
        let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        let (open, mut outgoing) = self.connections.open(client.clone());
        let _connected = self.meter.connected.start();
        let end = Instant::now() + MAX_AGE;
        let mut idle = Instant::now() + MAX_IDLE;
        let mut work: Option<Work> = None;
        let ending = loop {
            tokio::select! {
                () = self.stop.cancelled() => break Ending::Server(CloseCode::Away, "Going away"),
                () = open.closing() => break Ending::Server(CloseCode::Normal, "Connection Closed Normally"),
                () = tokio::time::sleep_until(idle.min(end)) => break Ending::Server(CloseCode::Away, "Going away"),
                Some((text, _room)) = outgoing.recv() => {
                    if !send(&mut socket, &open, text).await {
                        break Ending::Lost;
                    }
                }
                answer = async { match work.as_mut() { Some(work) => work.await, None => pending().await } } => {
                    work = None;
                    if let Some(text) = answer {
                        self.meter.sent(text.len());
                        if !send(&mut socket, &open, text).await {
                            break Ending::Lost;
                        }
                    }
                }
                // One message at a time: a client's requests are answered in their order.
                frame = socket.next(), if work.is_none() => match frame {
                    Some(Ok(Message::Text(text))) => work = Some(self.message(client, &text)),
                    Some(Ok(Message::Binary(_))) => break Ending::Server(CloseCode::Unsupported, "Binary is not supported"),
                    Some(Ok(Message::Close(frame))) => break Ending::Client(frame),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break broken(&error),
                    None => break Ending::Lost,
                },
            }
            idle = Instant::now() + MAX_IDLE;
            open.touch(Timestamp::now());
        };
        // From here on, posts are told that it is gone.
        drop(open);
        match &ending {
            Ending::Server(code, reason) => {
                close(socket, outgoing, CloseFrame { code: *code, reason: (*reason).into() }).await;
            }
            // The answer to the client's close frame waits in the socket; closing the sink writes it out. (The socket's
            // own `close` would make a second frame, which is refused, and write nothing.)
            Ending::Client(_) => {
                let _ = tokio::time::timeout(CLOSING, SinkExt::close(&mut socket)).await;
            }
            Ending::Lost => {}
        }
        ending.described()
    }

    /// What is to be done for a message.
    fn message<'a>(&'a self, client: &'a Client, text: &str) -> Work<'a> {
        // In the form of what a message without a route is told. AWS's documentation does not say how it tells this.
        if !self.meter.admit(meter::Request::Message, Instant::now()) {
            return refuse(client, "Too Many Requests");
        }
        self.meter.received(text.len());
        let Some((key, route)) = route::of_message(&self.api, text).and_then(|key| self.api.routes.get_key_value(key))
        else {
            return refuse(client, "Forbidden");
        };
        let event = self.events.message(key, client, text, Timestamp::now());
        let work = async move {
            match integrate(&*self.invoker, &route.function, &event.json).await {
                Ok(answer) if route.answers => body(&answer),
                Ok(_) => None,
                Err(_) => Some(internal_error(client, &event).into()),
            }
        };
        work.boxed()
    }
}

/// What API Gateway itself says to a message.
fn refuse<'a>(client: &Client, why: &str) -> Work<'a> {
    let refusal = json!({"message": why, "connectionId": client.connection_id, "requestId": new_id()});
    async move { Some(refusal.to_string().into()) }.boxed()
}

/// The text that a function's answer holds for the client.
fn body(answer: &Value) -> Option<Utf8Bytes> {
    let body = ProxyAnswer::read(answer)?.body;
    String::from_utf8(body).ok().filter(|text| !text.is_empty()).map(Into::into)
}

/// False if the client cannot be reached any more.
async fn send(socket: &mut Socket, open: &Registration, text: Utf8Bytes) -> bool {
    let sent = tokio::select! {
        // In this order: the message is in the socket's buffer then, and the close frame goes behind it.
        biased;
        sent = tokio::time::timeout(MAX_IDLE, socket.send(Message::Text(text))) => matches!(sent, Ok(Ok(()))),
        () = open.closing() => true,
    };
    open.touch(Timestamp::now());
    sent
}

/// What an error of the protocol means.
fn broken(error: &Error) -> Ending {
    match error {
        Error::Capacity(_) => Ending::Server(CloseCode::Size, "Message too big"),
        Error::Utf8(_) => Ending::Server(CloseCode::Invalid, "Not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ending::Lost,
        Error::Protocol(_) => Ending::Server(CloseCode::Protocol, "Protocol error"),
        _ => Ending::Lost,
    }
}

/// Sends what is left to be sent and a close frame, and waits for the client's.
async fn close(mut socket: Socket, mut rest: UnboundedReceiver<Outgoing>, frame: CloseFrame) {
    let closing = async {
        while let Ok((text, _room)) = rest.try_recv() {
            socket.send(Message::Text(text)).await?;
        }
        socket.send(Message::Close(Some(frame))).await?;
        while let Some(message) = socket.next().await {
            if message?.is_close() {
                break;
            }
        }
        Ok::<_, Error>(())
    };
    if let Ok(Err(_)) = tokio::time::timeout(CLOSING, closing).await {
        // What came cannot be read as frames any more. It is taken nevertheless: unread bytes would make the kernel reset
        // the connection before the client has seen the close frame.
        let raw = socket.get_mut();
        let mut rest = [0; READ_BUFFER];
        while let Ok(Ok(1..)) = tokio::time::timeout(DRAINING, raw.read(&mut rest)).await {}
    }
}

fn internal_error(client: &Client, event: &SocketEvent) -> String {
    let error = json!({
        "message": "Internal server error",
        "connectionId": client.connection_id,
        "requestId": event.request_id,
    });
    error.to_string()
}
