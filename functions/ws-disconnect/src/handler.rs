//! From `$disconnect` to a connection forgotten.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use lambda_runtime::Error;
use store::Connections;

/// Forgets a connection. Doing so twice is no error: `$disconnect` may come twice, or after a post has found the
/// connection gone. Should it fail for good, the first post to the connection makes up for it.
pub(crate) async fn handle(
    connections: &Connections,
    event: ApiGatewayWebsocketProxyRequest,
) -> Result<ApiGatewayProxyResponse, Error> {
    let context = event.request_context;
    let id = context.connection_id.ok_or("the event names no connection")?;
    connections.disconnect(&id).await?;
    tracing::debug!(connection = id, status = context.disconnect_status_code, "disconnected");
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use auth::Principal;
    use projections::{TenantId, Timestamp};
    use store::{Connection, Limits};
    use testing::TestTable;

    use super::*;

    const BY_CLIENT: &str = include_str!("../../../events/ws-disconnect-by-client.json");
    const IDLE: &str = include_str!("../../../events/ws-disconnect-idle.json");

    fn event(text: &str) -> ApiGatewayWebsocketProxyRequest {
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_forgotten_and_its_places_are_free_however_often_it_ends() {
        let connections = TestTable::create().await.connections(1);
        let now = Timestamp::from_millis(1_768_473_000_000);
        let principal = Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ann".into(),
            permissions: Vec::new(),
            channels: None,
            issued_at: now,
            expires_at: now,
        };
        let connection = Connection {
            id: event(IDLE).request_context.connection_id.unwrap(),
            principal,
            channels: BTreeMap::new(),
            is_default: true,
            batch: false,
            connected_at: now,
            source_ip: None,
            ending: None,
        };
        let limits = Limits { per_user: 1, per_tenant: 1 };
        connections.connect(&connection, limits, now).await.unwrap();
        for text in [BY_CLIENT, IDLE] {
            assert_eq!(handle(&connections, event(text)).await.unwrap().status_code, 200);
        }
        assert_eq!(connections.get(&connection.id).await.unwrap(), None);
        connections.connect(&connection, limits, now).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_is_an_error_so_that_it_is_tried_again() {
        let table = TestTable::create().await;
        let nowhere =
            Connections::new(table.client, "no-such-table".into(), std::num::NonZeroU32::MIN, Timestamp::default);
        assert!(handle(&nowhere, event(IDLE)).await.is_err());
    }
}
