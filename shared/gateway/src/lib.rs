//! Posting to connections, through API Gateway's management API.

use std::time::Duration;

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_apigatewaymanagement::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
    operation::post_to_connection::PostToConnectionError,
    primitives::Blob,
};
use bytes::Bytes;

/// A post takes about 10 ms. One that takes this long holds up its connection's next view, which is worth more.
const POST_TIMEOUT: Duration = Duration::from_secs(2);

/// Posts to connections.
pub trait Post {
    /// Sends one frame to a connection.
    fn post(&self, connection_id: &str, message: Bytes) -> impl Future<Output = Result<(), PostError>> + Send;
}

/// A message did not reach its connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The connection is closed, or its handshake is not over yet. After the handshake: delete it.
    #[error("the connection is gone")]
    Gone,
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
        match post.send().await {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(answer)) => Err(match answer.err() {
                PostToConnectionError::GoneException(_) => PostError::Gone,
                PostToConnectionError::LimitExceededException(_) => PostError::Limited,
                PostToConnectionError::PayloadTooLargeException(_) => PostError::TooLarge,
                // The account's throttle answers 429 under another name.
                _ if answer.raw().status().as_u16() == 429 => PostError::Limited,
                other => PostError::Other(other.code().unwrap_or("no code").to_owned()),
            }),
            Err(SdkError::TimeoutError(_)) => Err(PostError::Other("no answer in time".to_owned())),
            Err(_) => Err(PostError::Other("no readable answer".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_apigatewaymanagement::config::{Credentials, SharedCredentialsProvider};
    use axum::{
        Router,
        extract::Path,
        http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
        routing::post,
    };

    use super::*;

    /// API Gateway's answers, by connection.
    async fn answer(Path(id): Path<String>, body: Bytes) -> (StatusCode, HeaderMap) {
        let (status, error) = match id.as_str() {
            "there" if body == "hello" => return (StatusCode::OK, HeaderMap::new()),
            "gone" => (StatusCode::GONE, "GoneException"),
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
        let routes = Router::new().route("/stage/@connections/{id}", post(answer));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
            .build();
        Gateway::new(&sdk, &url)
    }

    #[tokio::test]
    async fn errors_are_told_apart_by_what_helps() {
        let gateway = gateway().await;
        for (connection, outcome) in [
            ("there", Ok(())),
            ("gone", Err(PostError::Gone)),
            ("slow", Err(PostError::Limited)),
            ("throttled", Err(PostError::Limited)),
            ("small", Err(PostError::TooLarge)),
            ("forbidden", Err(PostError::Other("ForbiddenException".to_owned()))),
        ] {
            assert_eq!(gateway.post(connection, Bytes::from_static(b"hello")).await, outcome, "{connection}");
        }
    }
}
