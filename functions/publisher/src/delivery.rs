//! Messages on their way to one connection.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gateway::{Post, PostError};
use projections::Timestamp;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::{cached_view::Notice, frame::Frame, view_cache::Slot};

/// A message to a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// Something told beside the views. It is told once.
    Notice(Notice),
    /// A view. A newer one takes its place.
    View(DueView),
}

/// A view that a connection has not got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DueView {
    /// Of which channel.
    pub(crate) slot: Slot,
    /// Tells it apart from others of the channel, in the form in which it is shown.
    pub(crate) fingerprint: u64,
    /// The message.
    pub(crate) message: Bytes,
    /// Since when the connection should have it: since the tick that made it. For who has just come and who gets
    /// overviews only, since the tick that serves them.
    pub(crate) due_at: Timestamp,
}

/// Messages for one connection, in order.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// To whom.
    pub(crate) connection: String,
    /// Until when.
    pub(crate) until: Until,
    /// Whether it takes several messages in one frame.
    pub(crate) batches: bool,
    /// What: notices first, then views.
    pub(crate) messages: Vec<Message>,
}

/// What became of the messages to one connection.
#[derive(Debug)]
pub(crate) struct Delivered {
    /// Whose.
    pub(crate) connection: String,
    /// The views that arrived, by fingerprint.
    pub(crate) views: Vec<(Slot, u64)>,
    /// The notices that did not arrive, oldest first.
    pub(crate) unsent: Vec<Notice>,
    /// How many frames arrived.
    pub(crate) posted: u64,
    /// How many frames are larger than the API carries. They never will arrive.
    pub(crate) too_large: u64,
    /// How long each view that arrived had been due by then.
    pub(crate) latencies: Vec<Duration>,
    /// How it ended.
    pub(crate) end: Result<(), PostError>,
}

/// Until when a connection may be sent anything. A delivery shares it with the subscriber: what becomes known while the
/// delivery is under way counts for what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Until(Arc<AtomicI64>);

impl Message {
    /// The message as it is sent.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Notice(notice) => &notice.message,
            Self::View(view) => &view.message,
        }
    }
}

impl Delivered {
    /// Nothing has become of the messages to this connection yet.
    pub(crate) fn to(connection: String) -> Self {
        Self {
            connection,
            views: Vec::new(),
            unsent: Vec::new(),
            posted: 0,
            too_large: 0,
            latencies: Vec::new(),
            end: Ok(()),
        }
    }

    fn note_arrival(&mut self, frame: Frame, now: Timestamp) {
        self.posted += 1;
        for view in views(frame) {
            self.latencies.push(now.since(view.due_at));
            self.views.push((view.slot, view.fingerprint));
        }
    }
}

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

/// Posts one connection's messages in order, up to the first frame that fails or that would come after the connection's
/// end. Of a frame that fails none has arrived.
pub(crate) async fn deliver<G: Post>(
    gateway: G,
    permits: Arc<Semaphore>,
    clock: fn() -> Timestamp,
    delivery: Delivery,
) -> Delivered {
    let mut delivered = Delivered::to(delivery.connection);
    let mut messages = VecDeque::from(delivery.messages);
    while let Some(frame) = Frame::next(&mut messages, delivery.batches) {
        // The semaphore is never closed.
        let _permit = permits.acquire().await;
        if delivery.until.is_over(clock()) {
            // Should a renewal come after all, nothing is lost.
            delivered.unsent = notices(frame.into_messages().into_iter().chain(messages));
            break;
        }
        match gateway.post(&delivered.connection, frame.bytes(clock())).await {
            Ok(()) => delivered.note_arrival(frame, clock()),
            // It never will arrive; its successor may be smaller.
            Err(PostError::TooLarge) => {
                warn!("a message is larger than the API carries");
                delivered.too_large += 1;
                delivered.views.extend(views(frame).map(|view| (view.slot, view.fingerprint)));
            }
            Err(error) => {
                // After a time-out it may have arrived; then it is not told again.
                let may_be_told = matches!(error, PostError::Gone | PostError::Limited);
                let failed = if may_be_told { frame.into_messages() } else { Vec::new() };
                delivered.unsent = notices(failed.into_iter().chain(messages));
                delivered.end = Err(error);
                break;
            }
        }
    }
    delivered
}

fn views(frame: Frame) -> impl Iterator<Item = DueView> {
    let view = |message| if let Message::View(view) = message { Some(view) } else { None };
    frame.into_messages().into_iter().filter_map(view)
}

fn notices(messages: impl Iterator<Item = Message>) -> Vec<Notice> {
    messages.filter_map(|message| if let Message::Notice(notice) = message { Some(notice) } else { None }).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use projections::TenantId;

    use super::*;
    use crate::view_cache::ViewCache;

    /// A gateway that answers with what the message says.
    #[derive(Clone)]
    struct Obedient;

    impl Post for Obedient {
        async fn post(&self, _: &str, message: Bytes) -> Result<(), PostError> {
            match &message[..] {
                b"too large" => Err(PostError::TooLarge),
                b"limited" => Err(PostError::Limited),
                _ => Ok(()),
            }
        }

        async fn close(&self, _: &str) -> Result<(), PostError> {
            Err(PostError::Gone)
        }
    }

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

    fn slot() -> Slot {
        ViewCache::new(Duration::ZERO).slot(&(TenantId::parse("acme").unwrap(), "campaign:c".parse().unwrap()))
    }

    fn view(message: &'static str, due_at: i64) -> Message {
        let (message, due_at) = (Bytes::from_static(message.as_bytes()), Timestamp::from_millis(due_at));
        Message::View(DueView { slot: slot(), fingerprint: 1, message, due_at })
    }

    fn notice(message: &'static str) -> Notice {
        let channel = "campaign:c".parse().unwrap();
        let message = Bytes::from_static(message.as_bytes());
        Notice { channel, message, concealed: None, is_for_collection: false }
    }

    #[tokio::test]
    async fn nothing_is_posted_after_the_end_and_what_was_not_told_is_kept() {
        let until = Until::new(Timestamp::from_millis(1));
        let gateway = EndsAtFirst { until: until.clone(), posts: Arc::default() };
        let messages = vec![Message::Notice(notice("told")), Message::Notice(notice("not told")), view("not shown", 0)];
        let delivery = Delivery { connection: "a".to_owned(), until, batches: false, messages };
        let permits = Arc::new(Semaphore::new(1));
        let delivered = deliver(gateway.clone(), permits, || Timestamp::EPOCH, delivery).await;
        assert_eq!(*gateway.posts.lock().unwrap(), ["told"]);
        assert_eq!((delivered.posted, delivered.unsent, delivered.end), (1, vec![notice("not told")], Ok(())));
        assert!(delivered.views.is_empty());
    }

    #[tokio::test]
    async fn a_view_that_arrives_tells_how_long_it_had_been_due_and_no_other_message_does() {
        let messages = vec![
            Message::Notice(notice("told")),
            view("shown", 900),
            view("too large", 900),
            view("shown late", 400),
            view("limited", 900),
        ];
        let until = Until::new(Timestamp::from_millis(2_000));
        let delivery = Delivery { connection: "a".to_owned(), until, batches: false, messages };
        let permits = Arc::new(Semaphore::new(1));
        let delivered = deliver(Obedient, permits, || Timestamp::from_millis(1_000), delivery).await;
        assert_eq!(delivered.latencies, [100, 600].map(Duration::from_millis));
        assert_eq!((delivered.posted, delivered.too_large, delivered.end), (3, 1, Err(PostError::Limited)));
    }

    /// A gateway that answers its posts with these, and then with success.
    #[derive(Clone)]
    struct Scripted {
        answers: Arc<Mutex<VecDeque<Result<(), PostError>>>>,
        posts: Arc<Mutex<Vec<Bytes>>>,
    }

    impl Post for Scripted {
        async fn post(&self, _: &str, message: Bytes) -> Result<(), PostError> {
            self.posts.lock().unwrap().push(message);
            self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
        }

        async fn close(&self, _: &str) -> Result<(), PostError> {
            Err(PostError::Gone)
        }
    }

    /// Delivers batches of these to a gateway that answers so; what came of it, and the bytes of each post.
    async fn batched(messages: Vec<Message>, answers: &[Result<(), PostError>]) -> (Delivered, Vec<usize>) {
        let gateway =
            Scripted { answers: Arc::new(Mutex::new(answers.iter().cloned().collect())), posts: Arc::default() };
        let until = Until::new(Timestamp::from_millis(2_000));
        let delivery = Delivery { connection: "a".to_owned(), until, batches: true, messages };
        let delivered =
            deliver(gateway.clone(), Arc::new(Semaphore::new(1)), || Timestamp::from_millis(1_000), delivery).await;
        let posts = gateway.posts.lock().unwrap().iter().map(Bytes::len).collect();
        (delivered, posts)
    }

    /// As long as two of them fit into a frame and three do not.
    fn long(name: &str) -> &'static str {
        Box::leak(format!("{name:<15000}").into_boxed_str())
    }

    #[tokio::test]
    async fn who_asked_for_batches_gets_all_in_one_post_and_each_view_counts() {
        let messages = vec![Message::Notice(notice("told")), view("shown", 900), view("shown late", 400)];
        let (delivered, posts) = batched(messages, &[]).await;
        assert_eq!((posts.len(), delivered.posted, delivered.end), (1, 1, Ok(())));
        assert_eq!(delivered.latencies, [100, 600].map(Duration::from_millis));
        assert_eq!((delivered.views.len(), delivered.unsent), (2, vec![]));
    }

    #[tokio::test]
    async fn of_a_frame_that_fails_nothing_has_arrived_and_what_came_before_has() {
        let messages = || {
            let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| Message::Notice(notice(long(name))));
            vec![a, b, c, d, view("e", 900)]
        };
        let told = |delivered: &Delivered| -> Vec<char> {
            delivered.unsent.iter().map(|notice| char::from(notice.message[0])).collect()
        };
        let (delivered, posts) = batched(messages(), &[Ok(()), Err(PostError::Limited)]).await;
        assert_eq!((posts.len(), delivered.posted, delivered.views.len()), (2, 1, 0));
        assert_eq!(told(&delivered), ['c', 'd'], "they are told again");
        let (delivered, _) = batched(messages(), &[Err(PostError::Other("no answer in time".to_owned()))]).await;
        assert_eq!((told(&delivered), delivered.posted), (vec!['c', 'd'], 0), "the first two may have arrived");
        let (delivered, posts) = batched(messages(), &[]).await;
        assert_eq!((posts.len(), delivered.posted, delivered.views.len()), (2, 2, 1));
        assert!(posts.iter().all(|bytes| *bytes <= protocol::MAX_FRAME_BYTES));
    }
}
