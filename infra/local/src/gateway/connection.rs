//! The open sockets, and how to reach them from outside of their tasks.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

/// Bytes that may wait for a client that reads slowly. API Gateway does not say how much it holds; it is bounded.
const SEND_BUFFER: usize = 1024 * 1024;

/// What a waiting message takes beside its text, so that empty ones are bounded too.
const MESSAGE_OVERHEAD: usize = 128;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) connection_id: String,
    pub(crate) connected_at: Timestamp,
    pub(crate) source_ip: IpAddr,
    pub(crate) user_agent: String,
}

/// All open connections. One is here from the end of its handshake until it is to be closed, and at no other time.
#[derive(Clone, Default)]
pub(crate) struct Connections(Arc<Mutex<HashMap<String, Arc<Open>>>>);

/// A message that waits, with the room that it takes.
pub(crate) type Outgoing = (Utf8Bytes, OwnedSemaphorePermit);

/// An open connection.
pub(crate) struct Open {
    pub(crate) client: Client,
    outbox: mpsc::UnboundedSender<Outgoing>,
    room: Arc<Semaphore>,
    close: CancellationToken,
    last_active: AtomicI64,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// There is no such connection (yet, or any more).
    Gone,
    /// The client reads too slowly.
    Full,
}

/// A connection's entry among the open ones, for as long as this lives.
pub(crate) struct Registration {
    connections: Connections,
    open: Arc<Open>,
}

impl Connections {
    /// Opens a connection for messages. They come out of the receiver.
    pub(crate) fn open(&self, client: Client) -> (Registration, mpsc::UnboundedReceiver<Outgoing>) {
        // Unbounded in number, but bounded in bytes by `room`.
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let open = Arc::new(Open {
            last_active: AtomicI64::new(client.connected_at.as_millisecond()),
            client,
            outbox,
            room: Arc::new(Semaphore::new(SEND_BUFFER)),
            close: CancellationToken::new(),
        });
        self.lock().insert(open.client.connection_id.clone(), open.clone());
        (Registration { connections: self.clone(), open }, outgoing)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Arc<Open>> {
        self.lock().get(id).cloned()
    }

    /// Has a connection closed: what was posted is still sent, and from now on nothing is. False if it is not open.
    pub(crate) fn close(&self, id: &str) -> bool {
        let closed = self.lock().remove(id);
        closed.inspect(|open| open.close.cancel()).is_some()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Open>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Puts a message into the send buffer.
    pub(crate) fn send(&self, text: Utf8Bytes) -> Result<(), Unsent> {
        let size = u32::try_from(text.len() + MESSAGE_OVERHEAD).map_err(|_| Unsent::Full)?;
        let room = self.room.clone().try_acquire_many_owned(size).map_err(|_| Unsent::Full)?;
        self.outbox.send((text, room)).map_err(|_| Unsent::Gone)
    }

    /// Whether it shall be closed.
    pub(crate) async fn closing(&self) {
        self.close.cancelled().await;
    }

    /// Something came or went.
    pub(crate) fn touch(&self, now: Timestamp) {
        self.last_active.store(now.as_millisecond(), Ordering::Relaxed);
    }

    pub(crate) fn last_active(&self) -> Timestamp {
        Timestamp::from_millisecond(self.last_active.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

impl std::ops::Deref for Registration {
    type Target = Open;

    fn deref(&self) -> &Open {
        &self.open
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.open.client.connection_id);
    }
}

#[cfg(test)]
pub(crate) fn client(id: &str) -> Client {
    Client {
        connection_id: id.to_owned(),
        connected_at: "2026-01-15T10:30:00Z".parse().unwrap(),
        source_ip: IpAddr::from([192, 0, 2, 1]),
        user_agent: "test".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_can_be_reached_until_it_is_dropped() {
        let connections = Connections::default();
        let (registration, mut outgoing) = connections.open(client("a"));
        connections.get("a").unwrap().send("hello".into()).unwrap();
        assert_eq!(outgoing.try_recv().unwrap().0, "hello");
        drop(registration);
        assert!(connections.get("a").is_none());
    }

    #[test]
    fn a_connection_that_is_to_be_closed_takes_no_more_and_keeps_what_it_has() {
        let connections = Connections::default();
        let (_registration, mut outgoing) = connections.open(client("a"));
        connections.get("a").unwrap().send("last".into()).unwrap();
        assert!(connections.close("a"));
        assert!(connections.get("a").is_none() && !connections.close("a"));
        assert_eq!(outgoing.try_recv().unwrap().0, "last");
    }

    #[test]
    fn a_slow_client_fills_its_buffer_and_reading_empties_it() {
        let connections = Connections::default();
        let (open, mut outgoing) = connections.open(client("a"));
        let text = Utf8Bytes::from("x".repeat(100_000));
        let mut sent = 0;
        while open.send(text.clone()).is_ok() {
            sent += 1;
        }
        assert_eq!(sent, SEND_BUFFER / (100_000 + MESSAGE_OVERHEAD));
        assert_eq!(open.send(text.clone()), Err(Unsent::Full));
        drop(outgoing.try_recv().unwrap());
        assert_eq!(open.send(text), Ok(()));
    }
}
