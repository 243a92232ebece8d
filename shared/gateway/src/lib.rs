//! Posting to connections and closing them, through API Gateway's management API.

use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_apigatewaymanagement::{
    Client,
    config::{Builder, http::HttpResponse},
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use bytes::Bytes;

/// A post takes about 10 ms, and so does a close. One that takes this long holds up its connection's next view, which is worth more.
const POST_TIMEOUT: Duration = Duration::from_secs(2);

/// Posts to connections and closes them.
pub trait Post {
    /// Sends one frame to a connection.
    fn post(&self, connection_id: &str, message: Bytes) -> impl Future<Output = Result<(), PostError>> + Send;
    /// Closes a connection: its client gets a close frame, and `$disconnect` follows.
    fn close(&self, connection_id: &str) -> impl Future<Output = Result<(), PostError>> + Send;
}

/// A message did not reach its connection, or a connection was not closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The connection is closed, or its handshake is not over yet. After the handshake: delete it.
    #[error("the connection is gone")]
    Gone,
    /// The id is none that API Gateway gives to connections, so there never will be one. Delete it.
    #[error("the id is no connection's")]
    NoConnection,
    /// The client reads too slowly, or too much is posted at all. Leave this connection alone for a while.
    #[error("too many posts")]
    Limited,
    /// The message is more than the API carries. It never will reach anybody.
    #[error("the message is too large")]
    TooLarge,
    /// Anything else; a later message may get through.
    #[error("the post failed: {0}")]
    Other(String),
}

/// The management API of one WebSocket API. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gateway {
    client: Client,
}

impl Gateway {
    /// The management API at `url`, `https://{api}.execute-api.{region}.{suffix}/{stage}`.
    #[must_use]
    pub fn new(sdk: &SdkConfig, url: &str) -> Self {
        let config = Builder::from(sdk)
            .endpoint_url(url)
            // The next tick has a newer view; trying again with this one is worth nothing.
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(POST_TIMEOUT).build())
            .build();
        Self { client: Client::from_conf(config) }
    }
}

impl Post for Gateway {
    async fn post(&self, connection_id: &str, message: Bytes) -> Result<(), PostError> {
        let post = self.client.post_to_connection().connection_id(connection_id).data(Blob::new(message));
        post.send().await.map(drop).map_err(|error| what_helps(&error))
    }

    async fn close(&self, connection_id: &str) -> Result<(), PostError> {
        let close = self.client.delete_connection().connection_id(connection_id);
        close.send().await.map(drop).map_err(|error| what_helps(&error))
    }
}

/// Tells errors apart by what helps. The status does: the account's throttle answers 429 under another name than a
/// connection's full buffer, and both ask for the same.
fn what_helps<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> PostError {
    match error {
        SdkError::ServiceError(answer) => match answer.raw().status().as_u16() {
            // What we post is text, and API Gateway refuses nothing else with this status but the id.
            400 => PostError::NoConnection,
            410 => PostError::Gone,
            413 => PostError::TooLarge,
            429 => PostError::Limited,
            _ => PostError::Other(answer.err().code().unwrap_or("no code").to_owned()),
        },
        SdkError::TimeoutError(_) => PostError::Other("no answer in time".to_owned()),
        _ => PostError::Other("no readable answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_apigatewaymanagement::config::{Credentials, SharedCredentialsProvider};
    use axum::{
        Router,
        extract::Path,
        http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
        routing::post,
    };

    use super::*;

    /// API Gateway's answers, by connection.
    async fn answer(method: Method, Path(id): Path<String>, body: Bytes) -> (StatusCode, HeaderMap) {
        let (status, error) = match id.as_str() {
            "there" if method == Method::POST && body == "hello" => return (StatusCode::OK, HeaderMap::new()),
            "there" if method == Method::DELETE && body.is_empty() => {
                return (StatusCode::NO_CONTENT, HeaderMap::new());
            }
            "gone" => (StatusCode::GONE, "GoneException"),
            "malformed" => (StatusCode::BAD_REQUEST, "BadRequestException"),
            "slow" => (StatusCode::TOO_MANY_REQUESTS, "LimitExceededException"),
            "throttled" => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
            "small" => (StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException"),
            _ => (StatusCode::FORBIDDEN, "ForbiddenException"),
        };
        let name = HeaderName::from_static("x-amzn-errortype");
        (status, HeaderMap::from_iter([(name, HeaderValue::from_static(error))]))
    }

    async fn gateway() -> Gateway {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stage", listener.local_addr().unwrap());
        let routes = Router::new().route("/stage/@connections/{id}", post(answer).delete(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        gateway_at(&url)
    }

    fn gateway_at(url: &str) -> Gateway {
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
            .build();
        Gateway::new(&sdk, url)
    }

    #[tokio::test]
    async fn errors_are_told_apart_by_what_helps() {
        let gateway = gateway().await;
        for (connection, outcome) in [
            ("there", Ok(())),
            ("gone", Err(PostError::Gone)),
            ("malformed", Err(PostError::NoConnection)),
            ("slow", Err(PostError::Limited)),
            ("throttled", Err(PostError::Limited)),
            ("small", Err(PostError::TooLarge)),
            ("forbidden", Err(PostError::Other("ForbiddenException".to_owned()))),
        ] {
            assert_eq!(gateway.post(connection, Bytes::from_static(b"hello")).await, outcome, "{connection}");
        }
    }

    #[tokio::test]
    async fn a_close_is_told_apart_like_a_post() {
        let gateway = gateway().await;
        for (connection, outcome) in [
            ("there", Ok(())),
            ("gone", Err(PostError::Gone)),
            ("malformed", Err(PostError::NoConnection)),
            ("slow", Err(PostError::Limited)),
            ("throttled", Err(PostError::Limited)),
            ("forbidden", Err(PostError::Other("ForbiddenException".to_owned()))),
        ] {
            assert_eq!(gateway.close(connection).await, outcome, "{connection}");
        }
    }

    #[tokio::test]
    async fn nobody_who_answers_is_an_error_too() {
        // Nobody listens on the port of a listener that is gone.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/stage", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(gateway_at(&url).close("there").await, Err(PostError::Other(_))));
    }
}
