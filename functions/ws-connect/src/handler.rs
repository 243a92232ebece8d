//! From `$connect` to a connection remembered, or refused.

use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
    http::{HeaderName, HeaderValue, header},
};
use projections::Timestamp;
use protocol::{ErrorCode, rest};

use crate::handshake::{Handshake, HandshakeAdmission};

/// The query parameters that may say who asks.
const PARAMETERS: [&str; 2] = ["ticket", "token"];

/// Answers one handshake. Nothing is posted here: before the answer is out the socket does not exist.
pub(crate) async fn handle(
    handshakes: &HandshakeAdmission,
    event: ApiGatewayWebsocketProxyRequest,
    now: Timestamp,
) -> ApiGatewayProxyResponse {
    let Some(id) = event.request_context.connection_id.as_deref() else {
        tracing::error!("the event names no connection");
        return refuse(ErrorCode::Internal);
    };
    // The others have only the last of what was sent several times.
    let headers = if event.multi_value_headers.is_empty() { &event.headers } else { &event.multi_value_headers };
    let query = if event.multi_value_query_string_parameters.is_empty() {
        &event.query_string_parameters
    } else {
        &event.multi_value_query_string_parameters
    };
    let values = |name| query.all(name).unwrap_or_default().into_iter().map(move |value| (name, value));
    let query: Vec<(&str, &str)> = PARAMETERS.into_iter().flat_map(values).collect();
    let presented = auth::handshake(headers, &query);
    let source_ip = event.request_context.identity.source_ip.as_deref();
    match handshakes.admit(&Handshake { id, presented, source_ip }, now).await {
        Ok(()) => accept(presented.ok().and_then(|presented| presented.subprotocol)),
        Err(code) => refuse(code),
    }
}

fn accept(subprotocol: Option<&'static str>) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    if let Some(subprotocol) = subprotocol {
        response.headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
    }
    response
}

fn refuse(code: ErrorCode) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = i64::from(code.http_status());
    for (name, value) in rest::HEADERS {
        response.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response.body = Some(Body::Text(rest::failure(code)));
    response
}

#[cfg(test)]
mod tests;
