//! `@connections`: how functions reach a client.
//!
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html>

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Request, State, rejection::BytesRejection},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::{
    connection::{Connections, Unsent},
    is_id,
    meter::{self, Meter},
};

/// What stands for `https://{api}.execute-api.{region}.{suffix}/{stage}`: below it come API and stage.
pub(crate) const EXECUTE_API: &str = "/_aws/execute-api";

/// The greatest message of a WebSocket API.
pub(crate) const MAX_MESSAGE: usize = 128 * 1024;

#[derive(Clone)]
struct Management {
    connections: Connections,
    meter: Arc<Meter>,
}

/// Serves `@connections` of one API and stage.
pub(crate) fn router(api: &str, stage: &str, connections: Connections, meter: Arc<Meter>) -> Router {
    let throttling = middleware::from_fn_with_state(Arc::clone(&meter), throttle);
    Router::new()
        .route(&format!("{EXECUTE_API}/{api}/{stage}/@connections/{{id}}"), get(describe).post(post).delete(delete))
        .layer(DefaultBodyLimit::max(MAX_MESSAGE))
        .layer(throttling)
        .with_state(Management { connections, meter })
}

/// Posts, and whatever else is asked of a connection, share one bucket with all other requests. What is said then is what is
/// said of a full buffer, too
/// (<https://docs.aws.amazon.com/apigatewayv2/latest/api-reference/connections-connectionid.html>).
async fn throttle(State(meter): State<Arc<Meter>>, request: Request, next: Next) -> Response {
    if meter.admit(meter::Request::Post, Instant::now()) {
        next.run(request).await
    } else {
        refuse(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "Too Many Requests")
    }
}

async fn post(
    State(Management { connections, meter }): State<Management>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Ok(body) = body else {
        return refuse(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "The message exceeds 128 KB");
    };
    let Ok(text) = Utf8Bytes::try_from(body) else {
        return refuse(StatusCode::BAD_REQUEST, "BadRequestException", "The message is no text");
    };
    let bytes = text.len();
    match connections.get(&id).ok_or(Unsent::Gone).and_then(|open| open.send(text)) {
        Ok(()) => {
            meter.sent(bytes);
            StatusCode::OK.into_response()
        }
        Err(Unsent::Gone) => not_there(&id),
        Err(Unsent::Full) => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException", "The client's buffer is full")
        }
    }
}

async fn describe(State(Management { connections, .. }): State<Management>, Path(id): Path<String>) -> Response {
    let Some(open) = connections.get(&id) else { return not_there(&id) };
    let client = &open.client;
    Json(json!({
        "connectedAt": client.connected_at.to_string(),
        "identity": {"sourceIp": client.source_ip, "userAgent": client.user_agent},
        "lastActiveAt": open.last_active().to_string(),
    }))
    .into_response()
}

async fn delete(State(Management { connections, .. }): State<Management>, Path(id): Path<String>) -> Response {
    if connections.close(&id) { StatusCode::NO_CONTENT.into_response() } else { not_there(&id) }
}

/// What is said of a connection that is not open: API Gateway tells an id that it never gave from one that is over.
fn not_there(id: &str) -> Response {
    if is_id(id) {
        refuse(StatusCode::GONE, "GoneException", "There is no such connection")
    } else {
        refuse(StatusCode::BAD_REQUEST, "BadRequestException", &format!("Invalid connectionId: {id}"))
    }
}

fn refuse(status: StatusCode, kind: &'static str, message: &str) -> Response {
    (status, [("x-amzn-errortype", kind)], Json(json!({"message": message}))).into_response()
}

#[cfg(test)]
mod tests {
    use ::gateway::{Gateway, Post as _, PostError};
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use axum::{
        body::Body,
        http::{Method, Request},
    };
    use tower::ServiceExt as _;

    use super::{super::connection, *};

    async fn call(connections: &Connections, method: Method, id: &str, body: Vec<u8>) -> (u16, String) {
        let uri = format!("{EXECUTE_API}/api/ws/@connections/{id}");
        let request = Request::builder().method(method).uri(uri).body(Body::from(body)).unwrap();
        let response = router("api", "ws", connections.clone(), Arc::default()).oneshot(request).await.unwrap();
        let kind = response.headers().get("x-amzn-errortype").map(|kind| kind.to_str().unwrap().to_owned());
        (response.status().as_u16(), kind.unwrap_or_default())
    }

    #[tokio::test]
    async fn a_post_reaches_the_client_also_when_its_id_is_encoded() {
        let connections = Connections::default();
        let (_open, mut outgoing) = connections.open(connection::client("ab="));
        assert_eq!(call(&connections, Method::POST, "ab%3D", b"hello".to_vec()).await, (200, String::new()));
        assert_eq!(outgoing.recv().await.unwrap().0, "hello");
    }

    #[tokio::test]
    async fn a_connection_that_is_not_open_is_gone_and_an_id_that_is_none_is_a_bad_request() {
        let connections = Connections::default();
        let id = super::super::new_id().replace('=', "%3D");
        for method in [Method::POST, Method::GET, Method::DELETE] {
            assert_eq!(call(&connections, method.clone(), &id, Vec::new()).await, (410, "GoneException".to_owned()));
            for none in ["x", "W1Ab2cdEFiAC0hQ", "W1Ab2cdEFiAC0h%21%3D", "W1Ab2cdEFiAC0hQ%3D%3D"] {
                let answer = call(&connections, method.clone(), none, Vec::new()).await;
                assert_eq!(answer, (400, "BadRequestException".to_owned()), "{none}");
            }
        }
    }

    #[tokio::test]
    async fn more_than_128_kb_is_too_large() {
        let connections = Connections::default();
        let (_open, _outgoing) = connections.open(connection::client("a"));
        assert_eq!(call(&connections, Method::POST, "a", vec![b'x'; MAX_MESSAGE]).await.0, 200);
        let too_large = (413, "PayloadTooLargeException".to_owned());
        assert_eq!(call(&connections, Method::POST, "a", vec![b'x'; MAX_MESSAGE + 1]).await, too_large);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_limited() {
        let connections = Connections::default();
        let (_open, _outgoing) = connections.open(connection::client("a"));
        let mut answers = Vec::new();
        for _ in 0..20 {
            answers.push(call(&connections, Method::POST, "a", vec![b'x'; MAX_MESSAGE]).await);
        }
        assert_eq!(answers.last(), Some(&(429, "LimitExceededException".to_owned())));
    }

    #[tokio::test]
    async fn too_many_posts_are_limited_as_the_publisher_sees_it() {
        let connections = Connections::default();
        let (_open, _outgoing) = connections.open(connection::client("a"));
        let router = router("api", "ws", connections, Arc::new(meter::tiny(1.0)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{EXECUTE_API}/api/ws", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let credentials = Credentials::new("local", "local", None, None, "local");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let gateway = Gateway::new(&sdk, &url);
        assert_eq!(gateway.post("a", Bytes::from_static(b"hello")).await, Ok(()));
        assert_eq!(gateway.post("a", Bytes::from_static(b"hello")).await, Err(PostError::Limited));
        assert_eq!(gateway.close("a").await, Err(PostError::Limited));
    }

    #[tokio::test]
    async fn deleting_asks_the_connection_to_close() {
        let connections = Connections::default();
        let (open, _outgoing) = connections.open(connection::client("W1Ab2cdEFiAC0hQ="));
        assert_eq!(call(&connections, Method::DELETE, "W1Ab2cdEFiAC0hQ%3D", Vec::new()).await.0, 204);
        open.closing().await;
        assert_eq!(call(&connections, Method::DELETE, "W1Ab2cdEFiAC0hQ%3D", Vec::new()).await.0, 410);
    }
}
