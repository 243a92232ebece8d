//! The WebSocket API over real sockets, with functions that are written here.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    MaybeTlsStream, connect_async,
    tungstenite::{
        client::IntoClientRequest,
        protocol::frame::{Frame, coding::Data, coding::OpCode},
    },
};

use super::*;
use crate::{gateway::connection::Open, invoke::InvokeError, template::SocketRoute};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// All functions in one: what it does is in the route or in the message.
struct Functions {
    connections: Connections,
    events: mpsc::UnboundedSender<Value>,
    /// What `$connect` found when it looked for its own connection.
    seen_during_connect: Mutex<Vec<bool>>,
}

impl Invoke for Functions {
    async fn invoke(&self, _: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        let event: Value = serde_json::from_slice(&payload).unwrap();
        let answer = match event["requestContext"]["eventType"].as_str() {
            Some("CONNECT") => {
                let id = event["requestContext"]["connectionId"].as_str().unwrap();
                let mut seen = self.seen_during_connect.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push(self.connections.get(id).is_some());
                match event["queryStringParameters"]["token"].as_str() {
                    Some("bad") => json!({"statusCode": 401, "headers": {"x-why": "bad"}, "body": "no"}),
                    Some("crash") => return Err(InvokeError::Crashed),
                    _ if event["headers"]["sec-websocket-protocol"].is_string() => {
                        json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "v1"}})
                    }
                    _ => json!({"statusCode": 200}),
                }
            }
            _ if event["body"].as_str().is_some_and(|body| body.contains("crash")) => return Err(InvokeError::Crashed),
            _ => json!({"statusCode": 200, "body": event["body"]}),
        };
        let _ = self.events.send(event);
        Ok(Bytes::from(answer.to_string()))
    }
}

struct Running {
    url: String,
    connections: Connections,
    events: mpsc::UnboundedReceiver<Value>,
    functions: Arc<Functions>,
    stop: CancellationToken,
}

impl Running {
    async fn start() -> Self {
        Self::metered(Arc::default()).await
    }

    async fn metered(meter: Arc<Meter>) -> Self {
        let route = |answers| SocketRoute { function: "f".to_owned(), answers };
        let routes = [("$connect", false), ("$disconnect", false), ("$default", true), ("silent", false)];
        let api = SocketApi {
            id: "api".to_owned(),
            stage: "ws".to_owned(),
            selection: vec!["action".to_owned()],
            routes: BTreeMap::from(routes.map(|(key, answers)| (key.to_owned(), route(answers)))),
        };
        let connections = Connections::default();
        let stop = CancellationToken::new();
        let (sender, events) = mpsc::unbounded_channel();
        let seen_during_connect = Mutex::default();
        let functions = Arc::new(Functions { connections: connections.clone(), events: sender, seen_during_connect });
        let gateway = SocketGateway {
            meter,
            events: SocketEvents::new(&api, "localhost".to_owned()),
            api,
            invoker: functions.clone(),
            connections: connections.clone(),
            stop: stop.clone(),
            tasks: TaskTracker::new(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let service = router(Arc::new(gateway)).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { url, connections, events, functions, stop }
    }

    async fn open(&mut self) -> (Socket, String) {
        let (socket, _) = connect_async(&self.url).await.unwrap();
        let event = self.event("CONNECT").await;
        (socket, event["connectionId"].as_str().unwrap().to_owned())
    }

    /// A connection, once it can be posted to.
    async fn reachable(&self, id: &str) -> Arc<Open> {
        soon(async {
            loop {
                if let Some(open) = self.connections.get(id) {
                    return open;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    /// The context of the next event, which has to be of a type.
    async fn event(&mut self, kind: &str) -> Value {
        let mut event = soon(self.events.recv()).await.unwrap();
        assert_eq!(event["requestContext"]["eventType"], kind, "{event}");
        event["requestContext"].take()
    }

    /// How a client that does something is closed, and what `$disconnect` is told.
    async fn closed_after(&mut self, message: Message) -> (u16, Value) {
        let (mut socket, _) = self.open().await;
        // The socket may be closed before all is sent.
        let _ = socket.send(message).await;
        let code = close_code(&mut socket).await;
        (code, self.event("DISCONNECT").await["disconnectStatusCode"].take())
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it never came")
}

async fn text(socket: &mut Socket) -> String {
    soon(socket.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
}

async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = soon(socket.next()).await.unwrap().unwrap() {
            return frame.unwrap().code.into();
        }
    }
}

#[tokio::test]
async fn too_many_handshakes_and_messages_are_refused_and_what_is_carried_is_counted() {
    let meter = Arc::new(meter::tiny(2.0));
    let mut running = Running::metered(meter.clone()).await;
    let (mut socket, id) = running.open().await;
    let Err(Error::Http(response)) = connect_async(&running.url).await else { panic!() };
    assert_eq!(response.status(), 429);
    for _ in 0..2 {
        socket.send(Message::text("hello")).await.unwrap();
    }
    assert_eq!(text(&mut socket).await, "hello");
    let refusal: Value = serde_json::from_str(&text(&mut socket).await).unwrap();
    assert_eq!((&refusal["message"], &refusal["connectionId"]), (&json!("Too Many Requests"), &json!(id)));
    assert_eq!(meter::Request::ALL.map(|request| meter.throttled(request)), [1, 0, 0, 1]);
    assert_eq!(meter.usage().messages, 3, "one came, two went");
    assert!(meter.connected.total(Instant::now()) > Duration::ZERO);
}

#[tokio::test]
async fn a_refused_handshake_has_the_functions_status_and_body() {
    let running = Running::start().await;
    let Err(Error::Http(response)) = connect_async(format!("{}?token=bad", running.url)).await else { panic!() };
    assert_eq!((response.status().as_u16(), response.body().as_deref()), (401, Some(b"no".as_slice())));
    assert_eq!(response.headers()["x-why"], "bad");
}

#[tokio::test]
async fn a_connect_that_crashes_is_a_502() {
    let running = Running::start().await;
    let Err(Error::Http(response)) = connect_async(format!("{}?token=crash", running.url)).await else { panic!() };
    let body: Value = serde_json::from_slice(response.body().as_ref().unwrap()).unwrap();
    assert_eq!((response.status().as_u16(), &body["message"]), (502, &json!("Internal server error")));
    assert!(body["connectionId"].is_string() && body["requestId"].is_string());
}

#[tokio::test]
async fn the_subprotocol_that_connect_chose_is_echoed() {
    let running = Running::start().await;
    let mut request = running.url.as_str().into_client_request().unwrap();
    request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("v1, bearer.x"));
    let (_, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL], "v1");
}

#[tokio::test]
async fn connect_sees_all_that_the_handshake_brought_and_how_often() {
    let mut running = Running::start().await;
    let mut request = format!("{}?token=a&v=1&token=b", running.url).into_client_request().unwrap();
    let brought = [
        ("origin", "https://a.example"),
        ("authorization", "Bearer x"),
        ("authorization", "Bearer y"),
        ("cookie", "a=1; token=x"),
        ("cookie", "token=y"),
    ];
    for (name, value) in brought {
        request.headers_mut().append(name, HeaderValue::from_static(value));
    }
    connect_async(request).await.unwrap();
    let event = soon(running.events.recv()).await.unwrap();
    assert_eq!(event["headers"]["origin"], "https://a.example");
    assert_eq!(event["multiValueHeaders"]["origin"], json!(["https://a.example"]));
    assert_eq!(event["multiValueHeaders"]["authorization"], json!(["Bearer x", "Bearer y"]));
    assert_eq!(event["multiValueHeaders"]["cookie"], json!(["a=1; token=x", "token=y"]));
    assert_eq!(event["multiValueQueryStringParameters"], json!({"token": ["a", "b"], "v": ["1"]}));
    assert_eq!(event["queryStringParameters"], json!({"token": "b", "v": "1"}));
}

#[tokio::test]
async fn without_a_subprotocol_from_connect_none_is_answered() {
    let running = Running::start().await;
    let (_, response) = connect_async(&running.url).await.unwrap();
    assert!(!response.headers().contains_key(header::SEC_WEBSOCKET_PROTOCOL));
}

#[tokio::test]
async fn a_connection_is_reachable_only_once_its_handshake_is_over() {
    let mut running = Running::start().await;
    let (mut socket, id) = running.open().await;
    assert_eq!(*running.functions.seen_during_connect.lock().unwrap(), [false]);
    running.reachable(&id).await.send("posted".into()).unwrap();
    assert_eq!(text(&mut socket).await, "posted");
    drop(socket);
    running.event("DISCONNECT").await;
    assert!(running.connections.get(&id).is_none());
}

#[tokio::test]
async fn only_a_route_with_a_response_answers() {
    let mut running = Running::start().await;
    let (mut socket, _) = running.open().await;
    socket.send(Message::text(r#"{"action":"silent"}"#)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
    assert_eq!(running.event("MESSAGE").await["routeKey"], "silent");
    assert_eq!(running.event("MESSAGE").await["routeKey"], "$default");
}

#[tokio::test]
async fn a_function_that_fails_is_an_internal_server_error_and_the_socket_stays() {
    let mut running = Running::start().await;
    let (mut socket, id) = running.open().await;
    socket.send(Message::text("crash")).await.unwrap();
    let error: Value = serde_json::from_str(&text(&mut socket).await).unwrap();
    assert_eq!((&error["message"], &error["connectionId"]), (&json!("Internal server error"), &json!(id)));
    assert!(error["requestId"].is_string());
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(text(&mut socket).await, "hello");
}

#[tokio::test]
async fn bytes_are_refused_with_1003() {
    let mut running = Running::start().await;
    assert_eq!(running.closed_after(Message::binary(vec![1, 2, 3])).await, (1003, json!(1003)));
}

#[tokio::test]
async fn a_frame_of_more_than_32_kb_closes_with_1009() {
    let mut running = Running::start().await;
    assert_eq!(running.closed_after(Message::text("x".repeat(MAX_FRAME + 1))).await, (1009, json!(1009)));
    assert_eq!(running.closed_after(Message::text("x".repeat(1024 * 1024))).await, (1009, json!(1009)));
}

#[tokio::test]
async fn a_message_of_several_frames_may_have_up_to_128_kb() {
    let mut running = Running::start().await;
    let (mut socket, _) = running.open().await;
    let frame = |opcode, last| Message::Frame(Frame::message(vec![b'x'; MAX_FRAME], OpCode::Data(opcode), last));
    for (n, opcode) in [Data::Text, Data::Continue, Data::Continue, Data::Continue].into_iter().enumerate() {
        socket.send(frame(opcode, n == 3)).await.unwrap();
    }
    assert_eq!(text(&mut socket).await.len(), MAX_MESSAGE);
    running.event("MESSAGE").await;
    socket.send(frame(Data::Text, false)).await.unwrap();
    for _ in 0..4 {
        let _ = socket.send(frame(Data::Continue, false)).await;
    }
    assert_eq!(close_code(&mut socket).await, 1009);
}

#[tokio::test]
async fn a_client_that_closes_is_disconnected_with_its_own_code() {
    let mut running = Running::start().await;
    let (mut socket, _) = running.open().await;
    socket.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).await.unwrap();
    let context = running.event("DISCONNECT").await;
    assert_eq!((&context["disconnectStatusCode"], &context["disconnectReason"]), (&json!(1000), &json!("bye")));
    let (mut socket, _) = running.open().await;
    socket.close(None).await.unwrap();
    assert_eq!(running.event("DISCONNECT").await["disconnectStatusCode"], 1005);
    let (socket, _) = running.open().await;
    drop(socket);
    assert_eq!(running.event("DISCONNECT").await["disconnectStatusCode"], 1006);
}

#[tokio::test]
async fn a_clients_close_frame_is_answered_before_the_connection_ends() {
    let mut running = Running::start().await;
    for frame in [Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() }), None] {
        let (mut socket, _) = running.open().await;
        socket.close(frame.clone()).await.unwrap();
        let answer = soon(socket.next()).await.unwrap().unwrap();
        assert_eq!(answer.into_data(), Message::Close(frame).into_data());
        // Without the answer this is an error: "Connection reset without closing handshake".
        assert!(soon(socket.next()).await.is_none());
        running.event("DISCONNECT").await;
    }
}

#[tokio::test]
async fn deleting_sends_what_was_posted_and_closes_in_good_order() {
    let mut running = Running::start().await;
    let (mut socket, id) = running.open().await;
    let open = running.reachable(&id).await;
    let posted: Vec<_> = (0..50).map(|n| format!("{n} {}", "x".repeat(10_000))).collect();
    for text in &posted {
        open.send(text.as_str().into()).unwrap();
    }
    assert!(running.connections.close(&id));
    for expected in &posted {
        assert_eq!(text(&mut socket).await, *expected);
    }
    assert_eq!(close_code(&mut socket).await, 1000);
    assert!(soon(socket.next()).await.is_none());
    let context = running.event("DISCONNECT").await;
    assert_eq!(context["disconnectStatusCode"], 1000);
    assert_eq!(context["disconnectReason"], "Connection Closed Normally");
}

#[tokio::test]
async fn stopping_closes_all_connections_with_1001() {
    let mut running = Running::start().await;
    let (mut socket, _) = running.open().await;
    running.stop.cancel();
    assert_eq!(close_code(&mut socket).await, 1001);
    assert_eq!(running.event("DISCONNECT").await["disconnectStatusCode"], 1001);
}

#[tokio::test]
async fn what_is_no_handshake_is_told_to_upgrade() {
    let running = Running::start().await;
    let mut stream = TcpStream::connect(running.url.trim_start_matches("ws://").trim_end_matches("/ws")).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
}
