//! What becomes of a message.

use auth::Verifier;
use projections::{ChannelId, Timestamp};
use protocol::{ClientMessage, ErrorCode, Rejection, pong};
use runtime::{
    PublisherWaker,
    audit::{self, Audit, AuditEvent},
};
use store::{CloseReason, Connection, Connections, Revocations};
use views::Reader;

use crate::{answer::Answer, budget::Budget};

/// What answers messages.
pub(crate) struct Dispatcher {
    pub(crate) connections: Connections,
    pub(crate) reader: Reader,
    pub(crate) verifier: Verifier,
    pub(crate) revocations: Revocations,
    pub(crate) waker: PublisherWaker,
    pub(crate) limits: Limits,
    pub(crate) budget: Budget,
}

/// What a connection may send and ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Messages in a minute. One that sends twice as many is closed.
    pub(crate) messages_per_minute: u64,
    /// The size of a message.
    pub(crate) message_bytes: usize,
    /// Channels that it watches at once.
    pub(crate) subscriptions: usize,
    /// The length of an id in the name of a channel.
    pub(crate) channel_id_length: usize,
}

/// Where a message comes from.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    /// API Gateway's id of the connection.
    pub(crate) id: &'a str,
    /// The address at the other end.
    pub(crate) source_ip: Option<&'a str>,
}

/// A message's sender as they are known, and when it came.
pub(crate) struct Session<'a> {
    pub(crate) connection: Connection,
    pub(crate) source_ip: Option<&'a str>,
    pub(crate) now: Timestamp,
}

impl Session<'_> {
    /// Writes into the audit trail what the sender did.
    pub(crate) fn record(&self, event: AuditEvent, channel: Option<&ChannelId>, code: Option<ErrorCode>) {
        let (principal, source_ip) = (Some(&self.connection.principal), self.source_ip);
        audit::record(
            event,
            &Audit { principal, channel, reason: code.map(ErrorCode::as_str), source_ip, target: None },
        );
    }
}

impl Dispatcher {
    /// The answer to one message. Each is counted before anything of it is read.
    pub(crate) async fn answer(&self, sender: Sender<'_>, body: &str, now: Timestamp) -> Result<Answer, Rejection> {
        let session = self.receive(sender, now).await.map_err(Rejection::new)?;
        let message = ClientMessage::parse(body, self.limits.message_bytes)?;
        self.dispatch(&session, &message).await.map_err(|code| Rejection::of(message.action(), code))
    }

    /// Counts the message. An error if nothing of this sender is followed (any more).
    async fn receive<'a>(&self, sender: Sender<'a>, now: Timestamp) -> Result<Session<'a>, ErrorCode> {
        let counted = self.connections.message(sender.id, now).await.map_err(|error| admission::failed(&error))?;
        // Forgotten, because a post found it gone: a new handshake helps, and nothing else.
        let (connection, messages) = counted.ok_or(ErrorCode::Unauthorized)?;
        let session = Session { connection, source_ip: sender.source_ip, now };
        if let Some(ending) = session.connection.ending {
            return Err(code_of(ending));
        }
        if session.connection.principal.expires_at <= now {
            return Err(ErrorCode::TokenExpired);
        }
        if messages > self.limits.messages_per_minute {
            self.slow_down(&session, messages).await;
            return Err(ErrorCode::RateLimited);
        }
        Ok(session)
    }

    /// Has a sender closed who goes on in spite of being told to stop.
    async fn slow_down(&self, session: &Session<'_>, messages: u64) {
        let limit = self.limits.messages_per_minute;
        if messages == limit + 1 {
            session.record(AuditEvent::Limit, None, Some(ErrorCode::RateLimited));
        }
        if messages > 2 * limit {
            self.end(session, CloseReason::RateLimited).await;
        }
    }

    /// Has the publisher close the connection. If that cannot be noted, the next message that should not have come tries
    /// again.
    pub(crate) async fn end(&self, session: &Session<'_>, ending: CloseReason) {
        let id = &session.connection.id;
        match self.connections.end(id, ending, session.now).await {
            Ok(_) => self.waker.wake_unless_leased(self.connections.shard_of(id), session.now).await,
            Err(error) => tracing::error!(%error, ?ending, "a connection is not ended"),
        }
    }

    async fn dispatch(&self, session: &Session<'_>, message: &ClientMessage) -> Result<Answer, ErrorCode> {
        match message {
            ClientMessage::Subscribe { named, batch } => self.subscribe(session, named, *batch).await,
            ClientMessage::Unsubscribe(named) => self.unsubscribe(session, named).await,
            ClientMessage::Ping => Ok(Answer::Message(pong(session.now))),
            ClientMessage::Authenticate(token) => self.authenticate(session, token).await.map(Answer::Message),
        }
    }
}

/// What the client of a connection that ends is told.
pub(crate) fn code_of(ending: CloseReason) -> ErrorCode {
    match ending {
        CloseReason::TokenExpired => ErrorCode::TokenExpired,
        CloseReason::Revoked => ErrorCode::Revoked,
        CloseReason::RateLimited => ErrorCode::RateLimited,
        CloseReason::Replaced => ErrorCode::Replaced,
    }
}
