//! From `$connect` to a connection remembered, or refused.

use std::collections::BTreeMap;

use auth::{AuthError, Handshake, Principal, Verifier};
use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
    http::{HeaderMap, HeaderValue, header},
};
use projections::{ChannelId, Timestamp};
use protocol::{ErrorCode, rest};
use runtime::PublisherWaker;
use store::{ConnectError, Connection, Connections, StoreError};

/// What lets connections in.
pub(crate) struct Door {
    pub(crate) verifier: Verifier,
    pub(crate) connections: Connections,
    pub(crate) limit_per_user: usize,
    pub(crate) waker: PublisherWaker,
}

impl Door {
    /// Answers one handshake. Nothing is posted here: before the answer is out the socket does not exist.
    pub(crate) async fn handle(
        &self,
        event: ApiGatewayWebsocketProxyRequest,
        now: Timestamp,
    ) -> ApiGatewayProxyResponse {
        // `headers` has only the last line of each.
        let headers = if event.multi_value_headers.is_empty() { &event.headers } else { &event.multi_value_headers };
        let Handshake { token, subprotocol } = auth::handshake(headers, event.query_string_parameters.first("token"));
        match self.enter(event.request_context.connection_id, token, now).await {
            Ok(()) => accept(subprotocol),
            Err(code) => refuse(code),
        }
    }

    async fn enter(&self, id: Option<String>, token: Option<&str>, now: Timestamp) -> Result<(), ErrorCode> {
        let id = id.ok_or(ErrorCode::Internal)?;
        let Principal { tenant, user, permissions, expires_at } = self.principal(token, now)?;
        let connection = Connection {
            id,
            tenant,
            user,
            permissions,
            channels: BTreeMap::from(
                [ChannelId::campaigns(), ChannelId::system()].map(|channel| (channel, String::new())),
            ),
            is_default: true,
            connected_at: now,
            expires_at,
        };
        self.connections.connect(&connection, self.limit_per_user, now).await.map_err(|error| {
            tracing::warn!(%error, tenant = %connection.tenant, "connection refused");
            match error {
                ConnectError::TooMany => ErrorCode::TooManyConnections,
                ConnectError::Store(StoreError::Unavailable(_)) => ErrorCode::Unavailable,
                ConnectError::Store(_) => ErrorCode::Internal,
            }
        })?;
        self.waker.wake_unless_leased(self.connections.shard_of(&connection.id), now).await;
        Ok(())
    }

    fn principal(&self, token: Option<&str>, now: Timestamp) -> Result<Principal, ErrorCode> {
        let token = token.ok_or(ErrorCode::Unauthorized)?;
        self.verifier.verify(token, now).map_err(|error| {
            tracing::info!(%error, "connection refused");
            match error {
                AuthError::Unauthorized(_) => ErrorCode::Unauthorized,
                AuthError::Forbidden => ErrorCode::Forbidden,
            }
        })
    }
}

fn accept(subprotocol: Option<&'static str>) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    response.headers = subprotocol
        .map(|subprotocol| (header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol)))
        .into_iter()
        .collect::<HeaderMap>();
    response
}

fn refuse(code: ErrorCode) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = i64::from(code.http_status());
    response.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.body = Some(Body::Text(rest::failure(code)));
    response
}
