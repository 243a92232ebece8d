//! The keys in hand, and when to fetch newer ones.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::BoxFuture;
use projections::Timestamp;

use crate::{AuthError, KeySet};

/// How long keys are used before they are fetched again: a key that its issuer has withdrawn counts no longer than this.
pub const KEYS_EXPIRE_AFTER: Duration = Duration::from_mins(15);

/// How long after a fetch, failed or not, the next one may come. Anybody can send tokens of keys that do not exist;
/// neither we nor the issuer shall be busy with them.
pub const REFETCH_INTERVAL: Duration = Duration::from_secs(10);

/// Keys could not be fetched. The text is for the log and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys could not be fetched: {0}")]
pub struct Unfetched(pub String);

/// Where keys come from.
pub trait KeySource: Send + Sync {
    /// Gets the keys as they are now. It has to end in bounded time: requests wait for it.
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, Unfetched>>;
}

/// Fixed keys, for tests and benches.
impl KeySource for KeySet {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, Unfetched>> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}

/// The keys of one source. While they are fresh, having them costs no I/O.
pub(crate) struct KeyCache {
    source: Arc<dyn KeySource>,
    state: Mutex<State>,
    /// Held by the one that fetches.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    known: Option<Known>,
    /// When a fetch was last tried.
    tried_at: Option<Timestamp>,
}

/// Keys that have been fetched.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) keys: KeySet,
    fetched_at: Timestamp,
    /// Counts the fetches, so that it can be told which of two sets is newer.
    fetch: u64,
}

impl KeyCache {
    pub(crate) fn new(source: Arc<dyn KeySource>) -> Self {
        Self { source, state: Mutex::default(), fetching: tokio::sync::Mutex::default() }
    }

    /// The keys to verify with. Those that have expired count for as long as no newer ones can be had.
    pub(crate) async fn known(&self, now: Timestamp) -> Result<Known, AuthError> {
        let State { known, .. } = self.state();
        let _fetching = match known {
            Some(known) if is_within(KEYS_EXPIRE_AFTER, known.fetched_at, now) => return Ok(known),
            // Somebody else is fetching already, and these still serve.
            Some(known) => match self.fetching.try_lock() {
                Ok(fetching) => fetching,
                Err(_) => return Ok(known),
            },
            None => self.fetching.lock().await,
        };
        // Whoever had the lock before may just have fetched.
        let state = self.state();
        let is_fresh = state.known.as_ref().is_some_and(|known| is_within(KEYS_EXPIRE_AFTER, known.fetched_at, now));
        if !is_fresh && state.may_fetch(now) {
            self.fetch_or_warn(now).await;
        }
        self.state().known.ok_or(AuthError::Unavailable)
    }

    /// Keys that are newer than these, if there are any yet or it is time to look for them.
    pub(crate) async fn newer_than(&self, old: &Known, now: Timestamp) -> Option<Known> {
        let newer = |state: State| state.known.filter(|known| known.fetch > old.fetch);
        if !self.state().may_fetch(now) {
            return newer(self.state());
        }
        let _fetching = self.fetching.lock().await;
        let state = self.state();
        if state.may_fetch(now) {
            self.fetch_or_warn(now).await;
        }
        newer(self.state())
    }

    /// Fetches the keys before the first token comes.
    pub(crate) async fn prefetch(&self, now: Timestamp) -> Result<(), Unfetched> {
        let _fetching = self.fetching.lock().await;
        self.fetch(now).await
    }

    async fn fetch_or_warn(&self, now: Timestamp) {
        if let Err(unfetched) = self.fetch(now).await {
            tracing::warn!(reason = unfetched.0, "keys could not be fetched; those that are known stay in use");
        }
    }

    /// Fetches the keys. To be called by the holder of `fetching` alone.
    async fn fetch(&self, now: Timestamp) -> Result<(), Unfetched> {
        let fetched = self.source.fetch().await;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Not before the fetch has ended: one whose request is given up has not been tried.
        state.tried_at = Some(now);
        let fetch = state.known.as_ref().map_or(1, |known| known.fetch + 1);
        state.known = Some(Known { keys: fetched?, fetched_at: now, fetch });
        Ok(())
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl State {
    fn may_fetch(&self, now: Timestamp) -> bool {
        self.tried_at.is_none_or(|tried_at| !is_within(REFETCH_INTERVAL, tried_at, now))
    }
}

/// Whether the two are less than this apart. Concurrent callers read the clock in another order than they get here, and
/// a clock that was set back must not keep old keys for ever: so either may be the later one.
fn is_within(duration: Duration, at: Timestamp, now: Timestamp) -> bool {
    now.since(at).max(at.since(now)) < duration
}
