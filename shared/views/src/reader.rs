//! From the store to a view.

use futures_util::{StreamExt, TryStreamExt, stream};
use projections::{
    ChannelId, Kind, TenantId, Timestamp, View,
    campaign::{CampaignMetrics, Status},
    system::Pipeline,
};
use protocol::Cursor;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use store::{Channels, Consistency, Leases, Listed, StoreError};

use crate::{
    ChannelState, Publishers,
    shared_answers::{Answer, Question, SharedAnswers, Shown},
};

/// The most channels that a collection shows, those with the latest activity: each is a post of its own on the socket
/// and a read of its own here.
pub const MAX_OVERVIEW: usize = 500;

/// Channels of a collection that are read at the same time.
const READ_AHEAD: usize = 50;

/// Reads channels and makes their views. Cheap to clone; all clones share what many ask for.
#[derive(Clone)]
pub struct Reader {
    channels: Channels,
    leases: Leases,
    shards: u32,
    shared: SharedAnswers,
}

/// A view, ready to be sent.
#[derive(Debug)]
pub struct Rendered {
    /// The `type` of the message that carries it.
    pub message_type: &'static str,
    /// How far it has come.
    pub cursor: Cursor,
    /// The view as JSON.
    pub data: Box<RawValue>,
    /// Whether any record has ever touched the channel; collections and `system` are always known.
    pub is_known: bool,
    /// Tells this view apart from others of the channel, and with names from that with initials.
    pub fingerprint: u64,
}

/// The active channels of a kind.
#[derive(Debug, Default)]
pub struct Active {
    /// Those with the latest activity first, at most [`MAX_OVERVIEW`].
    pub channels: Vec<ChannelId>,
    /// The latest activity of any channel of the kind, active or not.
    pub latest: Timestamp,
}

impl Reader {
    /// A reader of these tables; `shards` is the number of connection shards that publishers serve.
    #[must_use]
    pub fn new(channels: Channels, leases: Leases, shards: u32) -> Self {
        Self { channels, leases, shards, shared: SharedAnswers::default() }
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// The channel's view as it is now, read consistently; with names of people for who may see them, else with their
    /// initials. One that a tenant has one of, as `campaigns` and `system`, may have been read for somebody else, within the last
    /// second.
    pub async fn view(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        sees_names: bool,
        now: Timestamp,
    ) -> Result<Rendered, StoreError> {
        let question = || Question::View(channel.clone());
        let answer = match channel {
            ChannelId::One(..) => {
                let state = self.channel(tenant, channel, Consistency::Strong, now).await?;
                let view = state.view(channel, now);
                let shown = if sees_names { view } else { view.concealed() };
                return Ok(render(channel, state.is_known(), state.cursor(), &shown, fingerprint(&shown)));
            }
            ChannelId::All(kind) => {
                let read = async {
                    self.collection(tenant, self.active(tenant, *kind, Consistency::Eventual, now).await?, now).await
                };
                self.shared.get(tenant, question(), now, Box::pin(read)).await?
            }
            ChannelId::Only(_) => {
                // Not on the stack: it has the futures of many requests in it.
                let read = Box::pin(self.system(tenant, channel, now));
                self.shared.get(tenant, question(), now, read).await?
            }
        };
        Ok(answer.render(channel, sees_names))
    }

    /// The tenant's campaigns of a status, as [`Self::view`] shows those of the overview. One whose status nobody has said is
    /// active.
    pub async fn campaigns(
        &self,
        tenant: &TenantId,
        status: Status,
        sees_names: bool,
        now: Timestamp,
    ) -> Result<Rendered, StoreError> {
        let of_status =
            |listed: &Listed| listed.status.as_deref().unwrap_or(Status::Active.as_str()) == status.as_str();
        let read = async {
            let listed = self.listed(tenant, Kind::Campaign, Consistency::Eventual, of_status, now).await?;
            self.collection(tenant, listed, now).await
        };
        let answer = self.shared.get(tenant, Question::Campaigns(status), now, Box::pin(read)).await?;
        Ok(answer.render(&ChannelId::campaigns(), sees_names))
    }

    /// The views of a collection's channels.
    async fn collection(&self, tenant: &TenantId, listed: Active, now: Timestamp) -> Result<Answer, StoreError> {
        let (members, latest) = self.members(tenant, listed, now).await?;
        let cursor = cursor_over(members.iter().map(|(state, _)| state), latest);
        let views = members.into_iter().map(|(_, view)| view).collect();
        Ok(Answer { shown: Shown::Many(views), cursor, fingerprint: 0 })
    }

    /// The view of what a tenant has one of, with the totals over its campaigns.
    async fn system(&self, tenant: &TenantId, channel: &ChannelId, now: Timestamp) -> Result<Answer, StoreError> {
        let campaigns = async {
            self.members(tenant, self.active(tenant, Kind::Campaign, Consistency::Eventual, now).await?, now).await
        };
        let (state, (members, latest), pipeline) = tokio::try_join!(
            self.channel(tenant, channel, Consistency::Strong, now),
            campaigns,
            self.pipeline(tenant, now),
        )?;
        let cursor = cursor_over(members.iter().map(|(state, _)| state).chain([&state]), latest);
        let campaigns = members.into_iter().map(|(_, view)| view);
        let view = complete(state.view(channel, now), campaigns, pipeline);
        Ok(Answer { fingerprint: fingerprint(&view), shown: Shown::One(view), cursor })
    }

    /// The channel's slices, and of its history what its view shows.
    pub async fn channel(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<ChannelState, StoreError> {
        let mut state = ChannelState::default();
        state.update(self.channels.slices(tenant, channel, consistency, now).await?);
        state.read_recent(&self.channels, tenant, channel, consistency, now).await?;
        Ok(state)
    }

    /// The channels of a kind that their collection shows.
    pub async fn active(
        &self,
        tenant: &TenantId,
        kind: Kind,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<Active, StoreError> {
        self.listed(tenant, kind, consistency, Listed::is_shown, now).await
    }

    /// The channels of a kind that are wanted.
    async fn listed(
        &self,
        tenant: &TenantId,
        kind: Kind,
        consistency: Consistency,
        is_wanted: impl Fn(&Listed) -> bool,
        now: Timestamp,
    ) -> Result<Active, StoreError> {
        let mut listed = self.channels.directory(tenant, kind, consistency, now).await?;
        let latest = listed.iter().map(|listed| listed.last_activity).max().unwrap_or_default();
        listed.retain(is_wanted);
        listed.sort_by(|a, b| b.last_activity.cmp(&a.last_activity).then_with(|| a.channel.cmp(&b.channel)));
        listed.truncate(MAX_OVERVIEW);
        Ok(Active { channels: listed.into_iter().map(|listed| listed.channel).collect(), latest })
    }

    /// What Livefold knows of itself.
    pub async fn pipeline(&self, tenant: &TenantId, now: Timestamp) -> Result<Pipeline, StoreError> {
        let (latest, publishers) = tokio::try_join!(self.channels.last_records(tenant), self.publishers())?;
        Ok(publishers.pipeline(tenant, &latest, now))
    }

    /// How the publishers of all shards go: the same for every tenant.
    pub async fn publishers(&self) -> Result<Publishers, StoreError> {
        let mut publishers = Publishers::default();
        for shard in 0..self.shards {
            let (lease, pulse) = tokio::try_join!(self.leases.read(shard), self.leases.pulse(shard))?;
            publishers.add(lease, pulse);
        }
        Ok(publishers)
    }

    /// The states and views of these channels, and the latest activity of any of their kind.
    async fn members(
        &self,
        tenant: &TenantId,
        listed: Active,
        now: Timestamp,
    ) -> Result<(Vec<(ChannelState, View)>, Timestamp), StoreError> {
        let members = stream::iter(listed.channels)
            .map(|channel| async move {
                let state = self.channel(tenant, &channel, Consistency::Strong, now).await?;
                let view = state.view(&channel, now);
                Ok::<_, StoreError>((state, view))
            })
            .buffered(READ_AHEAD)
            .try_collect()
            .await?;
        Ok((members, listed.latest))
    }
}

/// Completes the health of a tenant's nodes with the totals over its campaigns and with what Livefold knows of itself.
#[must_use]
pub fn complete(nodes: View, campaigns: impl IntoIterator<Item = View>, pipeline: Pipeline) -> View {
    let metrics: Vec<CampaignMetrics> = campaigns
        .into_iter()
        .filter_map(|view| if let View::Campaign(metrics) = view { Some(metrics) } else { None })
        .collect();
    match nodes {
        View::System(health) => View::System(health.with_campaigns(&metrics).with_pipeline(pipeline)),
        other => other,
    }
}

/// One cursor over the slices of several channels. Channels come and go, so neither their offsets add up to an order nor
/// do their times; the latest activity that the directory knows, and the latest reading of a node, only grow.
#[must_use]
pub fn cursor_over<'a>(states: impl IntoIterator<Item = &'a ChannelState>, latest: Timestamp) -> Cursor {
    let mut latest = latest;
    let mut positions: Vec<(String, i64)> = Vec::new();
    for (index, state) in states.into_iter().enumerate() {
        for (id, slice) in state.slices() {
            if slice.kind() == Kind::System {
                latest = latest.max(slice.event_time().unwrap_or_default());
            }
            positions.extend(slice.watermark().map(|watermark| (format!("{index}/{}", id.name()), watermark)));
        }
    }
    Cursor::composite(latest, positions.iter().map(|(name, watermark)| (name.as_str(), *watermark)))
}

/// A number that differs when the view does, be it that one has names and the other initials; the ages in `system` do not
/// count. Both the answer to `subscribe` and the publisher make it, and one publisher leaves it to the
/// next, so it is the same in every build: the first 64 bits of the SHA-256 of the view's JSON.
#[must_use]
pub fn fingerprint(view: &View) -> u64 {
    let text = match view {
        View::System(health) => serde_json::to_string(&health.clone().with_pipeline(Pipeline::default())),
        view => serde_json::to_string(view),
    };
    let digest = Sha256::digest(text.unwrap_or_default());
    digest[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

pub(crate) fn render(
    channel: &ChannelId,
    is_known: bool,
    cursor: Cursor,
    view: &impl Serialize,
    fingerprint: u64,
) -> Rendered {
    #[expect(clippy::expect_used, reason = "views are structs of numbers and text with string keys")]
    let data = serde_json::value::to_raw_value(view).expect("a view is JSON");
    Rendered { message_type: channel.kind().message_type(), cursor, data, is_known, fingerprint }
}
