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
