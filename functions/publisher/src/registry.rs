//! The shard's connections: all of them are read once, then those that the journal says have changed, and in a slow sweep
//! page by page those that it may have lost.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use projections::Timestamp;
use store::{Connections, Follower, MAX_CONNECTION_AGE, StoreError};
use tracing::warn;

use crate::{
    subscribers::Subscribers,
    view_cache::{SWEEP, ViewCache},
};

/// Connections that are read at the same time.
const READS: usize = 64;

/// Connections of a page of the sweep, about; so many pages make up a minute.
const PAGE: usize = 200;

/// Whoever has not read the registry for this long knows too little of who may see what to post anything: of a token that
/// was revoked meanwhile, say.
const BLIND_AFTER: Duration = Duration::from_secs(10);

/// How far a shard's connections are known.
pub(crate) struct Registry {
    shard: u32,
    connections: Connections,
    /// Follows the journal; whoever reads all connections after this was made misses nothing.
    follower: Follower,
    /// When it was read last; nothing before all connections were.
    read_at: Option<Timestamp>,
    /// Whether all connections have been read, and every change since has been told.
    is_complete: bool,
    /// Connections that have changed and are still to be read.
    changed: BTreeSet<String>,
    /// After which id the next page of the sweep begins, and when that is read.
    sweep_after: Option<String>,
    sweep_at: Timestamp,
}

impl Registry {
    /// A shard of which nothing is known.
    pub(crate) fn new(shard: u32, connections: Connections, now: Timestamp) -> Self {
        Self {
            shard,
            connections,
            follower: Follower::new(now),
            read_at: None,
            is_complete: false,
            changed: BTreeSet::new(),
            sweep_after: None,
            sweep_at: now.plus(SWEEP),
        }
    }

    /// Whether it was not read for too long.
    pub(crate) fn is_blind(&self, now: Timestamp) -> bool {
        self.read_at.is_none_or(|read_at| now.since(read_at) >= BLIND_AFTER)
    }

    /// These connections are to be read again.
    pub(crate) fn distrust(&mut self, ids: Vec<String>) {
        self.changed.extend(ids);
    }

    /// Brings the subscribers up to date; true if any of them changed.
    pub(crate) async fn read(
        &mut self,
        subscribers: &mut Subscribers,
        cache: &mut ViewCache,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let changes = self.connections.changes(self.shard, &mut self.follower, now).await?;
        self.changed.extend(changes.entries);
        self.is_complete &= changes.is_complete;
        let is_changed = if self.is_complete {
            if now >= self.sweep_at {
                self.sweep(subscribers, now).await?;
            }
            self.read_changed(subscribers, cache).await?
        } else {
            self.read_all(subscribers, cache, now).await?;
            self.is_complete = true;
            true
        };
        self.read_at = Some(now);
        Ok(is_changed)
    }

    async fn read_all(
        &mut self,
        subscribers: &mut Subscribers,
        cache: &mut ViewCache,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let connections = self.connections.connections(self.shard).await?;
        let mut gone: HashSet<String> = subscribers.ids(None, None).cloned().collect();
        // API Gateway has closed the others, and DynamoDB's TTL deletes late.
        for connection in connections.iter().filter(|one| now < one.connected_at.plus(MAX_CONNECTION_AGE)) {
            gone.remove(&connection.id);
            subscribers.update(&connection.id, Some(connection), cache);
        }
        for id in gone {
            subscribers.update(&id, None, cache);
        }
        subscribers.forget_inherited();
        self.changed.clear();
        Ok(())
    }

    async fn read_changed(&mut self, subscribers: &mut Subscribers, cache: &mut ViewCache) -> Result<bool, StoreError> {
        let ids: Vec<String> = self.changed.iter().cloned().collect();
        let mut reads = stream::iter(ids)
            .map(async |id| {
                let connection = self.connections.get(&id).await;
                (id, connection)
            })
            .buffer_unordered(READS);
        let (mut read, mut failure) = (Vec::new(), None);
        while let Some((id, connection)) = reads.next().await {
            match connection {
                Ok(connection) => read.push((id, connection)),
                // As when all are read: it must not silence the others.
                Err(StoreError::Corrupt { .. }) => read.push((id, None)),
                Err(error) => failure = Some(error),
            }
        }
        drop(reads);
        for (id, connection) in &read {
            subscribers.update(id, connection.as_ref(), cache);
            self.changed.remove(id);
        }
        failure.map_or(Ok(!read.is_empty()), Err)
    }

    /// Looks at one more page of the connections; those that are not as they are known are read again.
    async fn sweep(&mut self, subscribers: &Subscribers, now: Timestamp) -> Result<(), StoreError> {
        let after = self.sweep_after.take();
        let page = self.connections.page(self.shard, after.as_deref()).await?;
        let mut unseen: HashSet<&String> = subscribers.ids(after.as_deref(), page.next.as_deref()).collect();
        for connection in &page.connections {
            unseen.remove(&connection.id);
            let is_known = subscribers.get(&connection.id).is_some_and(|subscriber| subscriber.is_as(connection));
            if !is_known && now < connection.connected_at.plus(MAX_CONNECTION_AGE) {
                self.changed.insert(connection.id.clone());
            }
        }
        self.changed.extend(unseen.into_iter().cloned());
        if !self.changed.is_empty() {
            warn!(shard = self.shard, connections = self.changed.len(), "the sweep looks again at connections");
        }
        let pages = u32::try_from(subscribers.len() / PAGE + 1).unwrap_or(u32::MAX);
        self.sweep_at = now.plus(SWEEP / pages);
        self.sweep_after = page.next;
        Ok(())
    }
}
