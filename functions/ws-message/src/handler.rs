//! From a client's message to its answer, which API Gateway sends back on the socket.

use auth::{Action, Principal};
use aws_lambda_events::{
    apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest},
    encodings::Body,
};
use projections::{ChannelId, Timestamp};
use protocol::{ClientMessage, ErrorCode, Rejection, channel_message, error_message, pong, unsubscribed};
use runtime::PublisherWaker;
use store::{Connection, Connections, StoreError, SubscribeError};
use views::Reader;

use crate::bounds;

/// The most channels that one connection watches. A screen shows a few dozen; whoever needs more watches `campaigns`.
const MAX_SUBSCRIPTIONS: usize = 50;

/// What answers messages.
pub(crate) struct Desk {
    pub(crate) connections: Connections,
    pub(crate) reader: Reader,
    pub(crate) waker: PublisherWaker,
}

impl Desk {
    /// Answers one message. Whatever it is, there is an answer and the connection stays.
    pub(crate) async fn handle(
        &self,
        event: ApiGatewayWebsocketProxyRequest,
        now: Timestamp,
    ) -> ApiGatewayProxyResponse {
        let connection = event.request_context.connection_id.unwrap_or_default();
        let body = event.body.unwrap_or_default();
        let answer = self.follow(&connection, &body, now).await;
        let mut response = ApiGatewayProxyResponse::default();
        response.status_code = 200;
        response.body = Some(Body::Text(answer.unwrap_or_else(|rejection| error_message(&rejection, now))));
        response
    }

    async fn follow(&self, connection: &str, body: &str, now: Timestamp) -> Result<String, Rejection> {
        let message = ClientMessage::parse(body)?;
        let followed = match &message {
            ClientMessage::Subscribe(channel) => self.subscribe(connection, channel, now).await,
            ClientMessage::Unsubscribe(channel) => self.unsubscribe(connection, channel, now).await,
            // Nothing is read for it: it only keeps the socket from idling.
            ClientMessage::Ping => Ok(pong(now)),
        };
        followed.map_err(|code| Rejection::of(message.action(), code))
    }

    async fn subscribe(&self, id: &str, channel: &ChannelId, now: Timestamp) -> Result<String, ErrorCode> {
        let principal = self.principal(id, now).await?;
        if !auth::allows(&principal, Action::Read, channel) {
            return Err(ErrorCode::Forbidden);
        }
        let view = self.reader.view(&principal.tenant, channel, now).await.map_err(|error| failed(&error))?;
        // The view is read before the connection watches: what changes in between differs from it and will be posted.
        let fingerprint = format!("{:x}", view.fingerprint);
        self.connections.subscribe(id, channel, &fingerprint, MAX_SUBSCRIPTIONS).await.map_err(refused)?;
        self.waker.wake_unless_leased(self.connections.shard_of(id), now).await;
        Ok(channel_message(view.message_type, channel, &bounds::fit(view.data), now, &view.cursor))
    }

    async fn unsubscribe(&self, id: &str, channel: &ChannelId, now: Timestamp) -> Result<String, ErrorCode> {
        self.connections.unsubscribe(id, channel).await.map_err(refused)?;
        Ok(unsubscribed(channel, now))
    }

    /// Who is at the other end, as long as the token of the handshake holds.
    async fn principal(&self, id: &str, now: Timestamp) -> Result<Principal, ErrorCode> {
        let connection =
            self.connections.get(id).await.map_err(|error| failed(&error))?.ok_or(ErrorCode::Unauthorized)?;
        let Connection { tenant, user, permissions, expires_at, .. } = connection;
        if now >= expires_at.plus(auth::LEEWAY) {
            return Err(ErrorCode::Unauthorized);
        }
        Ok(Principal { tenant, user, permissions, expires_at })
    }
}

fn refused(error: SubscribeError) -> ErrorCode {
    match error {
        // Forgotten, because a post found it gone: a new handshake helps, and nothing else.
        SubscribeError::Gone => ErrorCode::Unauthorized,
        SubscribeError::TooMany => ErrorCode::TooManySubscriptions,
        SubscribeError::Store(error) => failed(&error),
    }
}

fn failed(error: &StoreError) -> ErrorCode {
    tracing::error!(%error, "message not followed");
    match error {
        StoreError::Unavailable(_) => ErrorCode::Unavailable,
        _ => ErrorCode::Internal,
    }
}
