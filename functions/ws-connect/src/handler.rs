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

#[cfg(test)]
#[path = "../../../shared/store/tests/dynamodb/table.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests of the store, whose it is, use more of it")]
mod table;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::mpsc,
    };

    use super::*;
    use crate::handler::table::TestTable;

    /// The local system's, which the tokens in `events/` are signed with.
    const LOCAL_SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

    const IN_HEADER: &str = include_str!("../../../events/ws-connect-token-in-header.json");
    const IN_COOKIE: &str = include_str!("../../../events/ws-connect-token-in-cookie.json");
    const IN_SUBPROTOCOL: &str = include_str!("../../../events/ws-connect-token-in-subprotocol.json");
    const IN_QUERY: &str = include_str!("../../../events/ws-connect-token-in-query.json");
    const NO_TOKEN: &str = include_str!("../../../events/ws-connect-no-token.json");
    const NO_PERMISSION: &str = include_str!("../../../events/ws-connect-no-permission.json");

    fn now() -> Timestamp {
        "2026-01-15T10:30:00Z".parse().unwrap()
    }

    fn event(text: &str) -> ApiGatewayWebsocketProxyRequest {
        serde_json::from_str(text).unwrap()
    }

    /// A door to tables of its own, and what it asks of Lambda.
    async fn door(table: &TestTable) -> (Door, mpsc::UnboundedReceiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = aws_sdk_lambda::Config::builder()
            .behavior_version(aws_sdk_lambda::config::BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", listener.local_addr().unwrap()))
            .region(aws_sdk_lambda::config::Region::new("eu-central-1"))
            .credentials_provider(aws_sdk_lambda::config::Credentials::for_tests());
        let (asked, asks) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                asked.send(String::from_utf8_lossy(&request[..read]).lines().next().unwrap().to_owned()).unwrap();
                stream.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        });
        let lambda = aws_sdk_lambda::Client::from_conf(config.build());
        let door = Door {
            verifier: Verifier::hs256(LOCAL_SECRET, None).unwrap(),
            connections: table.connections(1),
            limit_per_user: 2,
            waker: PublisherWaker::new(table.leases(), lambda, "publisher".into()),
        };
        (door, asks)
    }

    fn code(response: &ApiGatewayProxyResponse) -> (i64, Value) {
        let Some(Body::Text(body)) = &response.body else { panic!("no body: {response:?}") };
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["success"], false);
        (response.status_code, body["error"]["code"].clone())
    }

    #[tokio::test]
    async fn a_new_connection_watches_campaigns_and_system_and_wakes_the_publisher() {
        let table = TestTable::create().await;
        let (door, mut asks) = door(&table).await;
        let response = door.handle(event(IN_QUERY), now()).await;
        assert_eq!((response.status_code, response.body), (200, None));

        let connection = door.connections.get("W1Ab2cdEFiAC0hQ=").await.unwrap().unwrap();
        let watched: Vec<String> = connection.channels.keys().map(ToString::to_string).collect();
        assert_eq!((watched, connection.is_default), (vec!["system".to_owned(), "campaigns".to_owned()], true));
        assert_eq!((connection.tenant.as_str(), connection.user.as_str()), ("acme", "ann"));
        assert_eq!(connection.expires_at.to_string(), "2100-01-01T00:00:00.000Z");
        assert_eq!(door.connections.version(0).await.unwrap(), 1);
        assert!(asks.recv().await.unwrap().contains("/functions/publisher/invocations"));
    }

    #[tokio::test]
    async fn a_publisher_that_is_at_work_is_not_woken() {
        let table = TestTable::create().await;
        let (door, mut asks) = door(&table).await;
        table.leases().acquire(0, "publisher", now(), Duration::from_secs(10)).await.unwrap();
        assert_eq!(door.handle(event(IN_QUERY), now()).await.status_code, 200);
        assert!(asks.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_token_in_any_of_its_places_lets_in_and_our_subprotocol_is_answered() {
        let table = TestTable::create().await;
        let (door, _asks) = door(&table).await;
        for (text, chosen) in [(IN_HEADER, None), (IN_COOKIE, None), (IN_SUBPROTOCOL, Some("livefold.v1"))] {
            let response = door.handle(event(text), now()).await;
            assert_eq!(response.status_code, 200);
            let answered = response.headers.get(header::SEC_WEBSOCKET_PROTOCOL).map(|value| value.to_str().unwrap());
            assert_eq!(answered, chosen);
        }
    }

    #[tokio::test]
    async fn who_may_not_come_in_is_told_why_with_a_code_and_leaves_no_trace() {
        let table = TestTable::create().await;
        let (door, _asks) = door(&table).await;
        assert_eq!(code(&door.handle(event(NO_TOKEN), now()).await), (401, json!("unauthorized")));
        assert_eq!(code(&door.handle(event(NO_PERMISSION), now()).await), (403, json!("forbidden")));
        let forged = event(&IN_QUERY.replace(".MGDom0mUXG9m5", ".MGDom0mUXG9m6"));
        assert_eq!(code(&door.handle(forged, now()).await), (401, json!("unauthorized")));
        let expired = door.handle(event(IN_QUERY), "2100-01-02T00:00:00Z".parse().unwrap()).await;
        assert_eq!(code(&expired), (401, json!("unauthorized")));
        assert!(door.connections.connections(0).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_user_has_only_so_many_connections() {
        let table = TestTable::create().await;
        let (door, _asks) = door(&table).await;
        let mut responses = Vec::new();
        for id in ["a=", "b=", "c="] {
            responses.push(door.handle(event(&IN_QUERY.replace("W1Ab2cdEFiAC0hQ=", id)), now()).await);
        }
        assert_eq!((responses[0].status_code, responses[1].status_code), (200, 200));
        assert_eq!(code(&responses[2]), (429, json!("too_many_connections")));
    }

    #[tokio::test]
    async fn what_goes_wrong_inside_stays_inside() {
        let table = TestTable::create().await;
        let (mut door, _asks) = door(&table).await;
        door.connections = Connections::new(table.client.clone(), "no-such-table".into(), std::num::NonZeroU32::MIN);
        let response = door.handle(event(IN_QUERY), now()).await;
        assert_eq!(code(&response), (500, json!("internal")));
        assert!(!format!("{:?}", response.body).contains("no-such-table"));
    }
}
