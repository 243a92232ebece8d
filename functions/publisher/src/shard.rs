//! One shard's connections, and a tick of publishing to them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream};
use gateway::Post;
use projections::{ChannelId, Kind, TenantId, Timestamp};
use store::{Channels, Connections, Consistency, StoreError};
use tokio::{sync::Semaphore, task::JoinSet};
use tracing::{info, warn};
use views::Reader;

use crate::{
    audience::{Audience, Parcel},
    board::{Board, Place},
    published::Published,
    roster::{Roster, Rosters},
    watcher::Receipt,
};

/// Channels that are read at the same time.
const READS: usize = 64;

/// Posts under way at the same time. Each takes about 10 ms on AWS, so this is far above 5,000 a second, and its
/// sockets fit a Lambda's 1,024 file descriptors.
const POSTS: usize = 256;

/// The connections are read again after this long even if their version did not move: `connect` writes the connection
/// first and raises the version then, and may die between the two.
const AUDIENCE_INTERVAL: Duration = Duration::from_secs(5);

/// How long the posts under way may take to finish when the work is handed over.
const SETTLE: Duration = Duration::from_secs(1);

/// What a shard is served with.
#[derive(Clone)]
pub(crate) struct Desk<G> {
    /// Makes views.
    pub(crate) reader: Reader,
    /// Reads slices.
    pub(crate) channels: Channels,
    /// Knows the connections.
    pub(crate) connections: Connections,
    /// Posts to them.
    pub(crate) gateway: G,
    /// How often collections and `system` are looked at.
    pub(crate) overview_interval: Duration,
}

/// One shard while it is being served.
pub(crate) struct Shard<G> {
    number: u32,
    desk: Desk<G>,
    board: Board,
    audience: Audience,
    rosters: Rosters,
    up_to_date: HashSet<u64>,
    version: Option<u64>,
    audience_read_at: Timestamp,
    overview_at: Timestamp,
    posting: JoinSet<Receipt>,
    permits: Arc<Semaphore>,
    posted: u64,
    gone: u64,
    failed: u64,
}

impl<G: Post + Clone + Send + Sync + 'static> Shard<G> {
    /// A shard as a predecessor has left it.
    pub(crate) fn new(number: u32, desk: Desk<G>, left: Published) -> Self {
        let mut board = Board::default();
        for baseline in left.channels {
            board.restore(baseline);
        }
        Self {
            number,
            desk,
            board,
            audience: Audience::default(),
            rosters: Rosters::new(),
            up_to_date: left.up_to_date,
            version: None,
            audience_read_at: Timestamp::default(),
            overview_at: Timestamp::default(),
            posting: JoinSet::new(),
            permits: Arc::new(Semaphore::new(POSTS)),
            posted: 0,
            gone: 0,
            failed: 0,
        }
    }

    /// One round: who watches what, what of it has changed, who has to get it. Posts go on when it returns.
    pub(crate) async fn tick(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.collect_receipts(now).await;
        self.read_audience(now).await?;
        self.board.clear_notices();
        let is_overview = now >= self.overview_at;
        let mut due: HashSet<Place> = self.audience.direct();
        due.retain(|place| matches!(self.board.poster(*place).key.1, ChannelId::One(..)));
        due.retain(|place| self.board.poster(*place).is_due(now));
        if is_overview {
            self.overview_at = now.plus(self.desk.overview_interval);
            self.read_rosters().await;
            due.extend(self.rosters.values().flat_map(Roster::places));
        }
        self.read_channels(due, now).await;
        if is_overview {
            self.read_systems(now).await;
        }
        for parcel in self.audience.parcels(&self.board, &self.rosters, is_overview, now) {
            self.posting.spawn(deliver(self.desk.gateway.clone(), Arc::clone(&self.permits), parcel));
        }
        Ok(())
    }

    /// Whether nobody watches.
    pub(crate) fn is_empty(&self) -> bool {
        self.audience.is_empty()
    }

    /// How many connections each tenant has.
    pub(crate) fn connections(&self) -> BTreeMap<String, u64> {
        self.audience.count()
    }

    /// The version of the shard that the connections were read at.
    pub(crate) fn version(&self) -> Option<u64> {
        self.version
    }

    /// Waits for the posts under way, but not for long.
    pub(crate) async fn settle(&mut self, now: Timestamp) {
        let _ = tokio::time::timeout(SETTLE, async {
            while let Some(receipt) = self.posting.join_next().await {
                self.note(receipt, now).await;
            }
        })
        .await;
        info!(shard = self.number, posted = self.posted, gone = self.gone, failed = self.failed, "posts so far");
    }

    /// What the next publisher has to know.
    pub(crate) fn published(&self, now: Timestamp) -> Published {
        Published {
            saved_at: now,
            channels: self.board.baselines().collect(),
            up_to_date: self.audience.up_to_date(&self.board, &self.rosters),
        }
    }

    async fn collect_receipts(&mut self, now: Timestamp) {
        while let Some(receipt) = self.posting.try_join_next() {
            self.note(receipt, now).await;
        }
    }

    async fn note(&mut self, receipt: Result<Receipt, tokio::task::JoinError>, now: Timestamp) {
        let Ok(receipt) = receipt else { return };
        self.posted += receipt.posted;
        if let Err(error) = &receipt.end {
            self.failed += 1;
            tracing::debug!(connection = receipt.connection, %error, "post failed");
        }
        if self.audience.note(&receipt, now) {
            self.gone += 1;
            if let Err(error) = self.desk.connections.disconnect(&receipt.connection).await {
                // It is met again with the next audience, and behind that stands the item's TTL.
                warn!(shard = self.number, %error, "a connection that is gone could not be deleted");
            }
        }
    }

    async fn read_audience(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let version = self.desk.connections.version(self.number).await?;
        if self.version == Some(version) && now.since(self.audience_read_at) < AUDIENCE_INTERVAL {
            return Ok(());
        }
        let connections = self.desk.connections.connections(self.number).await?;
        self.audience.replace(connections, &mut self.board, &self.up_to_date);
        self.up_to_date.clear();
        self.version = Some(version);
        self.audience_read_at = now;
        Ok(())
    }

    async fn read_rosters(&mut self) {
        let mut wanted = self.audience.collections();
        wanted.extend(self.system_tenants().into_iter().map(|tenant| (tenant, Kind::Campaign)));
        self.rosters.retain(|key, _| wanted.contains(key));
        for (tenant, kind) in wanted {
            match self.desk.reader.active(&tenant, kind).await {
                Ok(active) => {
                    let place = |channel| self.board.place(&(tenant.clone(), channel));
                    let places = active.channels.into_iter().map(place).collect();
                    self.rosters.entry((tenant, kind)).or_default().replace(places, active.latest);
                }
                Err(error) => {
                    warn!(shard = self.number, %error, "a directory could not be read; the next overview will");
                }
            }
        }
    }

    async fn read_channels(&mut self, due: HashSet<Place>, now: Timestamp) {
        let keys: Vec<_> = due.into_iter().map(|place| (place, self.board.poster(place).key.clone())).collect();
        let channels = &self.desk.channels;
        let mut reads = stream::iter(keys)
            .map(async |(place, (tenant, channel))| {
                (place, channels.slices(&tenant, &channel, Consistency::Eventual).await)
            })
            .buffer_unordered(READS);
        while let Some((place, read)) = reads.next().await {
            match read {
                Ok(slices) => self.board.poster_mut(place).refresh(slices, now),
                Err(error) => warn!(shard = self.number, %error, "a channel was not read; the next tick does"),
            }
        }
    }

    async fn read_systems(&mut self, now: Timestamp) {
        for tenant in self.system_tenants() {
            if let Err(error) = self.read_system(&tenant, now).await {
                warn!(shard = self.number, %error, "system health could not be read; the next overview will");
            }
        }
    }

    async fn read_system(&mut self, tenant: &TenantId, now: Timestamp) -> Result<(), StoreError> {
        let channel = ChannelId::system();
        let (slices, pipeline) = tokio::try_join!(
            self.desk.channels.slices(tenant, &channel, Consistency::Eventual),
            self.desk.reader.pipeline(tenant, now),
        )?;
        let place = self.board.place(&(tenant.clone(), channel.clone()));
        self.board.poster_mut(place).state.update(slices);
        let poster = self.board.poster(place);
        let roster = self.rosters.get(&(tenant.clone(), Kind::Campaign));
        let members: Vec<_> =
            roster.iter().flat_map(|roster| &roster.active).map(|place| self.board.poster(*place)).collect();
        let campaigns = members.iter().map(|member| member.state.view(&member.key.1, now));
        let view = views::complete(poster.state.view(&channel, now), campaigns, pipeline);
        let states = members.iter().map(|member| &member.state).chain([&poster.state]);
        let cursor = views::cursor_over(states, roster.map(|roster| roster.latest).unwrap_or_default());
        self.board.poster_mut(place).refresh_system(&view, cursor, now);
        Ok(())
    }

    fn system_tenants(&self) -> HashSet<TenantId> {
        let direct = self.audience.direct();
        let keys = direct.into_iter().map(|place| &self.board.poster(place).key);
        keys.filter(|(_, channel)| *channel == ChannelId::system()).map(|(tenant, _)| tenant.clone()).collect()
    }
}

/// Posts one connection's messages in order, up to the first that fails.
async fn deliver<G: Post>(gateway: G, permits: Arc<Semaphore>, parcel: Parcel) -> Receipt {
    let mut receipt = Receipt { connection: parcel.connection, got: Vec::new(), posted: 0, end: Ok(()) };
    for (view, message) in parcel.messages {
        // The semaphore is never closed.
        let _permit = permits.acquire().await;
        if let Err(error) = gateway.post(&receipt.connection, message).await {
            receipt.end = Err(error);
            break;
        }
        receipt.posted += 1;
        receipt.got.extend(view);
    }
    receipt
}
