//! One shard's connections, and a tick of publishing to them.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use gateway::Post;
use projections::{ChannelId, HistoryEntry, Kind, TenantId, Timestamp, View, system::Pipeline};
use protocol::Cursor;
use runtime::metrics::Times;
use store::{Channels, Connections, Consistency, Follower, MAX_CONNECTION_AGE, StoreError};
use tracing::warn;
use views::{ChannelState, Known, Reader};

use crate::{
    audience::Audience,
    board::{Board, Key, Place},
    metrics::Tally,
    outbox::Outbox,
    published::Published,
    roster::{Roster, Rosters},
};

/// Channels that are read at the same time.
const READS: usize = 64;

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
    /// Posts to them, and closes them.
    pub(crate) gateway: G,
    /// How often collections and `system` are looked at.
    pub(crate) overview_interval: Duration,
    /// The time.
    pub(crate) clock: fn() -> Timestamp,
}

/// One shard while it is being served.
pub(crate) struct Shard<G> {
    number: u32,
    desk: Desk<G>,
    board: Board,
    audience: Audience,
    rosters: Rosters,
    up_to_date: HashSet<u64>,
    follower: Follower,
    is_read: bool,
    audience_read_at: Timestamp,
    overview_at: Timestamp,
    outbox: Outbox<G>,
}

impl<G: Post + Clone + Send + Sync + 'static> Shard<G> {
    /// A shard as a predecessor has left it.
    pub(crate) fn new(number: u32, desk: Desk<G>, left: Published) -> Self {
        let mut board = Board::new(desk.overview_interval);
        let outbox = Outbox::new(desk.gateway.clone(), desk.connections.clone(), desk.clock);
        for baseline in left.channels {
            board.restore(baseline);
        }
        let follower = Follower::new((desk.clock)());
        Self {
            number,
            desk,
            board,
            audience: Audience::default(),
            rosters: Rosters::new(),
            up_to_date: left.up_to_date,
            follower,
            is_read: false,
            audience_read_at: Timestamp::default(),
            overview_at: Timestamp::default(),
            outbox,
        }
    }

    /// Looks who watches what, and what of it has changed; tells whether this was an overview. To be followed by
    /// [`Self::post`], where the lease still holds then.
    pub(crate) async fn read(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        if self.outbox.collect(&mut self.audience, now) {
            self.is_read = false;
        }
        self.read_audience(now).await?;
        self.board.clear_notices();
        let is_overview = now >= self.overview_at;
        let mut due: HashSet<Place> = self.audience.direct();
        due.retain(|place| matches!(self.board.poster(*place).key.1, ChannelId::One(..)));
        due.retain(|place| self.board.poster(*place).is_due(now));
        if is_overview {
            self.overview_at = now.plus(self.desk.overview_interval);
            self.read_rosters(now).await;
            due.extend(self.rosters.values().flat_map(Roster::places));
        }
        self.read_channels(due, now).await;
        if is_overview {
            self.read_systems(now).await;
        }
        Ok(is_overview)
    }

    /// Closes the connections that end, and sends everyone else what they have not got. This goes on when it returns. To
    /// be preceded by [`Self::read`]: a token that was renewed by then has not expired.
    pub(crate) fn post(&mut self, is_overview: bool, now: Timestamp) {
        for closing in self.audience.closings(now) {
            self.outbox.close(closing);
        }
        self.send(is_overview, now);
    }

    fn send(&mut self, is_overview: bool, now: Timestamp) {
        for parcel in self.audience.parcels(&self.board, &self.rosters, is_overview, now) {
            self.outbox.send(parcel);
        }
    }

    /// Whether nobody watches, and nobody is left to be closed.
    pub(crate) fn is_empty(&self) -> bool {
        self.audience.is_empty()
    }

    /// How many connections each tenant has.
    pub(crate) fn connections(&self) -> BTreeMap<String, u64> {
        self.audience.count()
    }

    /// Whether the connections were read.
    pub(crate) fn is_read(&self) -> bool {
        self.is_read
    }

    /// Finishes: what waited for a connection that was busy is posted too. When this returns nothing is posted any more.
    pub(crate) async fn settle(&mut self, now: Timestamp) {
        self.board.clear_notices();
        let finished = async {
            for _ in 0..2 {
                self.outbox.finish(&mut self.audience, now).await;
                self.send(false, now);
            }
            self.outbox.finish(&mut self.audience, now).await;
        };
        let _ = tokio::time::timeout(SETTLE, finished).await;
        self.stop().await;
    }

    /// Posts nothing more, at once: another publisher may be at work.
    pub(crate) async fn stop(&mut self) {
        self.outbox.stop(self.number).await;
    }

    /// What has become of posts and closes since this was asked last, and how long views had been due that arrived.
    pub(crate) fn take_tally(&mut self) -> (Tally, Times) {
        self.outbox.take_tally()
    }

    /// What the next publisher has to know.
    pub(crate) fn published(&self, now: Timestamp) -> Published {
        let members = self.rosters.values().flat_map(Roster::places).collect();
        Published {
            saved_at: now,
            channels: self.board.baselines(&members, now).collect(),
            up_to_date: self.audience.up_to_date(&self.board, &self.rosters),
        }
    }

    async fn read_audience(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let changes = self.desk.connections.changes(self.number, &mut self.follower, now).await?;
        if self.is_read && changes.is_complete && changes.entries.is_empty() && now.since(self.audience_read_at) < AUDIENCE_INTERVAL {
            return Ok(());
        }
        let mut connections = self.desk.connections.connections(self.number).await?;
        // API Gateway has closed these, and DynamoDB's TTL deletes late.
        connections.retain(|connection| now < connection.connected_at.plus(MAX_CONNECTION_AGE));
        self.audience.replace(connections, &mut self.board, &self.up_to_date);
        self.up_to_date.clear();
        self.is_read = true;
        self.audience_read_at = now;
        Ok(())
    }

    async fn read_rosters(&mut self, now: Timestamp) {
        let mut wanted = self.audience.collections();
        wanted.extend(self.system_tenants().into_iter().map(|tenant| (tenant, Kind::Campaign)));
        self.rosters.retain(|key, _| wanted.contains(key));
        let reader = &self.desk.reader;
        let mut reads = stream::iter(wanted)
            .map(async |(tenant, kind)| {
                let active = reader.active(&tenant, kind, now).await;
                (tenant, kind, active)
            })
            .buffer_unordered(READS);
        while let Some((tenant, kind, active)) = reads.next().await {
            match active {
                Ok(active) => {
                    let place = |channel| self.board.place(&(tenant.clone(), channel));
                    let places = active.channels.into_iter().map(place).collect();
                    // Whom a predecessor has shown has to be seen leaving.
                    let inherited = || Roster::inherited(self.board.restored_members(&tenant, kind));
                    let roster = self.rosters.entry((tenant.clone(), kind)).or_insert_with(inherited);
                    roster.replace(places, active.latest);
                }
                Err(error) => {
                    warn!(shard = self.number, %error, "a directory could not be read; the next overview will");
                }
            }
        }
    }

    async fn read_channels(&mut self, due: HashSet<Place>, now: Timestamp) {
        let posters = due.into_iter().map(|place| {
            let poster = self.board.poster(place);
            (place, poster.key.clone(), poster.state.clone(), self.board.told(place, now).cloned())
        });
        let posters: Vec<_> = posters.collect();
        let channels = &self.desk.channels;
        let mut reads = stream::iter(posters)
            .map(async |(place, key, state, told)| (place, read_channel(channels, &key, state, told, now).await))
            .buffer_unordered(READS);
        while let Some((place, read)) = reads.next().await {
            match read {
                Ok((state, news)) => self.board.refresh(place, state, news, now),
                Err(error) => warn!(shard = self.number, %error, "a channel was not read; the next tick does"),
            }
        }
    }

    async fn read_systems(&mut self, now: Timestamp) {
        let (channels, reader) = (&self.desk.channels, &self.desk.reader);
        let mut reads = stream::iter(self.system_tenants())
            .map(async |tenant| {
                let system = ChannelId::system();
                let read = tokio::try_join!(
                    channels.slices(&tenant, &system, Consistency::Eventual, now),
                    reader.pipeline(&tenant, now),
                );
                (tenant, read)
            })
            .buffer_unordered(READS);
        while let Some((tenant, read)) = reads.next().await {
            match read {
                Ok((slices, pipeline)) => {
                    let key = (tenant, ChannelId::system());
                    let place = self.board.place(&key);
                    self.board.poster_mut(place).state.update(slices);
                    let (view, cursor) = system_view(&self.board, &self.rosters, &key, place, pipeline, now);
                    self.board.poster_mut(place).refresh_system(&view, cursor, now);
                }
                Err(error) => {
                    warn!(shard = self.number, %error, "system health could not be read; the next overview will");
                }
            }
        }
    }

    fn system_tenants(&self) -> HashSet<TenantId> {
        let direct = self.audience.direct();
        let keys = direct.into_iter().map(|place| &self.board.poster(place).key);
        keys.filter(|(_, channel)| *channel == ChannelId::system()).map(|(tenant, _)| tenant.clone()).collect()
    }
}

/// A channel's state, further than it was, and what has happened since it was `told` of.
async fn read_channel(
    channels: &Channels,
    (tenant, channel): &Key,
    mut state: ChannelState,
    told: Option<Known>,
    now: Timestamp,
) -> Result<(ChannelState, Vec<HistoryEntry>), StoreError> {
    state.update(channels.slices(tenant, channel, Consistency::Eventual, now).await?);
    state.read_recent(channels, tenant, channel, Consistency::Eventual, now).await?;
    let news = match told {
        Some(told) => state.news(channels, tenant, channel, &told, now).await?,
        None => Vec::new(),
    };
    Ok((state, news))
}

/// The health of a tenant's nodes together with the totals over its campaigns.
fn system_view(
    board: &Board,
    rosters: &Rosters,
    (tenant, channel): &Key,
    place: Place,
    pipeline: Pipeline,
    now: Timestamp,
) -> (View, Cursor) {
    let nodes = &board.poster(place).state;
    let roster = rosters.get(&(tenant.clone(), Kind::Campaign));
    let members: Vec<_> = roster.iter().flat_map(|roster| &roster.active).map(|place| board.poster(*place)).collect();
    let campaigns = members.iter().map(|member| member.state.view(&member.key.1, now));
    let view = views::complete(nodes.view(channel, now), campaigns, pipeline);
    let states = members.iter().map(|member| &member.state).chain([nodes]);
    (view, views::cursor_over(states, roster.map(|roster| roster.latest).unwrap_or_default()))
}
