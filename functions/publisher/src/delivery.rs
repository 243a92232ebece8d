//! Messages on their way to one connection.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use bytes::Bytes;
use gateway::{Post, PostError};
use projections::Timestamp;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::board::{Notice, Place};

/// A message to a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// Something told beside the views. It is told once.
    Notice(Notice),
    /// A view: where it stands, its revision, and the message. A newer one takes its place.
    View(Place, u64, Bytes),
}

/// Messages for one connection, in order.
#[derive(Debug)]
pub(crate) struct Parcel {
    /// To whom.
    pub(crate) connection: String,
    /// Until when.
    pub(crate) until: Until,
    /// What: notices first, then views.
    pub(crate) messages: Vec<Message>,
}

/// What became of the messages to one connection.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Whose.
    pub(crate) connection: String,
    /// The views that arrived.
    pub(crate) got: Vec<(Place, u64)>,
    /// The notices that did not arrive, oldest first.
    pub(crate) unsent: Vec<Notice>,
    /// How many messages arrived, views and notices.
    pub(crate) posted: u64,
    /// How it ended.
    pub(crate) end: Result<(), PostError>,
}

/// Until when a connection may be sent anything. A parcel shares it with the watcher: what becomes known while the
/// parcel is under way counts for what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Until(Arc<AtomicI64>);

impl Until {
    /// Until then.
    pub(crate) fn new(end: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(end.as_millis())))
    }

    /// Until then, from now on.
    pub(crate) fn set(&self, end: Timestamp) {
        self.0.store(end.as_millis(), Ordering::Relaxed);
    }

    /// Whether that is over.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.as_millis() >= self.0.load(Ordering::Relaxed)
    }
}

/// Posts one connection's messages in order, up to the first that fails or that would come after the connection's end.
pub(crate) async fn deliver<G: Post>(
    gateway: G,
    permits: Arc<Semaphore>,
    clock: fn() -> Timestamp,
    parcel: Parcel,
) -> Receipt {
    let mut receipt =
        Receipt { connection: parcel.connection, got: Vec::new(), unsent: Vec::new(), posted: 0, end: Ok(()) };
    let mut messages = parcel.messages.into_iter();
    while let Some(message) = messages.next() {
        let bytes = match &message {
            Message::Notice(notice) => notice.message.clone(),
            Message::View(_, _, view) => view.clone(),
        };
        // The semaphore is never closed.
        let _permit = permits.acquire().await;
        if parcel.until.is_over(clock()) {
            // Should a renewal come after all, nothing is lost.
            receipt.unsent = notices(std::iter::once(message).chain(messages));
            break;
        }
        match (gateway.post(&receipt.connection, bytes).await, message) {
            (Ok(()), Message::Notice(_)) => receipt.posted += 1,
            (Ok(()), Message::View(place, revision, _)) => {
                receipt.posted += 1;
                receipt.got.push((place, revision));
            }
            // It never will arrive; its successor may be smaller.
            (Err(PostError::TooLarge), message) => {
                warn!("a message is larger than the API carries");
                if let Message::View(place, revision, _) = message {
                    receipt.got.push((place, revision));
                }
            }
            (Err(error), message) => {
                // After a time-out it may have arrived; then it is not told again.
                let may_be_told = matches!(error, PostError::Gone | PostError::Limited);
                receipt.unsent = notices(Some(message).filter(|_| may_be_told).into_iter().chain(messages));
                receipt.end = Err(error);
                break;
            }
        }
    }
    receipt
}

fn notices(messages: impl Iterator<Item = Message>) -> Vec<Notice> {
    messages.filter_map(|message| if let Message::Notice(notice) = message { Some(notice) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use projections::TenantId;

    use super::*;
    use crate::board::Board;

    /// A gateway on which a connection ends with its first post.
    #[derive(Clone)]
    struct EndsAtFirst {
        until: Until,
        posts: Arc<Mutex<Vec<Bytes>>>,
    }

    impl Post for EndsAtFirst {
        async fn post(&self, _: &str, message: Bytes) -> Result<(), PostError> {
            self.posts.lock().unwrap().push(message);
            self.until.set(Timestamp::EPOCH);
            Ok(())
        }

        async fn close(&self, _: &str) -> Result<(), PostError> {
            Err(PostError::Gone)
        }
    }

    fn notice(message: &'static str) -> Notice {
        let channel = "campaign:c".parse().unwrap();
        Notice { channel, message: Bytes::from_static(message.as_bytes()), is_for_collection: false }
    }

    #[tokio::test]
    async fn nothing_is_posted_after_the_end_and_what_was_not_told_is_kept() {
        let until = Until::new(Timestamp::from_millis(1));
        let gateway = EndsAtFirst { until: until.clone(), posts: Arc::default() };
        let mut board = Board::new(Duration::ZERO);
        let place = board.place(&(TenantId::parse("acme").unwrap(), "campaign:c".parse().unwrap()));
        let messages = vec![
            Message::Notice(notice("told")),
            Message::Notice(notice("not told")),
            Message::View(place, 1, Bytes::from_static(b"not shown")),
        ];
        let parcel = Parcel { connection: "a".to_owned(), until, messages };
        let permits = Arc::new(Semaphore::new(1));
        let receipt = deliver(gateway.clone(), permits, || Timestamp::EPOCH, parcel).await;
        assert_eq!(*gateway.posts.lock().unwrap(), ["told"]);
        assert_eq!((receipt.posted, receipt.unsent, receipt.end), (1, vec![notice("not told")], Ok(())));
        assert!(receipt.got.is_empty());
    }
}
