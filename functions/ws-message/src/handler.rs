//! From a client's message to its answer, which API Gateway sends back on the socket.

use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
};
use projections::Timestamp;
use protocol::error_message;

use crate::dispatcher::{Dispatcher, Sender};

/// Answers one message. Whatever it is, there is an answer.
pub(crate) async fn handle(
    dispatcher: &Dispatcher,
    event: ApiGatewayWebsocketProxyRequest,
    now: Timestamp,
) -> ApiGatewayProxyResponse {
    let context = event.request_context;
    let id = context.connection_id.unwrap_or_default();
    let sender = Sender { id: &id, source_ip: context.identity.source_ip.as_deref() };
    let answer = dispatcher.answer(sender, &event.body.unwrap_or_default(), now).await;
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = 200;
    let text = answer.map_or_else(|rejection| error_message(&rejection, now), |answer| answer.into_frame(now));
    response.body = Some(Body::Text(text));
    response
}

#[cfg(test)]
mod tests;
