//! Which entries of a channel's history one tick tells.

use std::collections::BTreeMap;

use projections::{ChannelId, HistoryEntry, campaign::CALL_EVENT};
use serde_json::Value;

/// The most call events of a channel that one tick tells: a dashboard's ticker shows about as many lines. Nothing else is
/// left out.
pub(crate) const MAX_CALL_EVENTS: usize = 20;

/// What watchers are told of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Selected {
    /// The `type` of the message.
    pub(crate) message_type: &'static str,
    /// The message's `data`.
    pub(crate) data: Value,
    /// The same for those who may not see names of people; nothing where there are none in it.
    pub(crate) concealed: Option<Value>,
    /// Whether those who watch the whole collection get it too.
    pub(crate) is_for_collection: bool,
}

/// What is told of the news of a channel, by type and in each oldest first. Of call events the newest
/// [`MAX_CALL_EVENTS`] over all slices, of which the first says how many were left out.
pub(crate) fn select(channel: &ChannelId, news: Vec<HistoryEntry>) -> Vec<Selected> {
    let mut by_type: BTreeMap<&'static str, Vec<HistoryEntry>> = BTreeMap::new();
    for entry in news {
        if let Some(message_type) = entry.message_type() {
            by_type.entry(message_type).or_default().push(entry);
        }
    }
    let mut selected = Vec::new();
    for (message_type, mut entries) in by_type {
        // Stable: entries of one slice keep their order even at the same instant.
        entries.sort_by_key(HistoryEntry::at);
        let surplus = if message_type == CALL_EVENT { entries.len().saturating_sub(MAX_CALL_EVENTS) } else { 0 };
        let mut told: Vec<Selected> =
            entries.into_iter().skip(surplus).map(|entry| Selected::of(entry, message_type, channel)).collect();
        if let (true, Some(data)) = (surplus > 0, told.first_mut().and_then(|first| first.data.as_object_mut())) {
            data.insert("leftOut".to_owned(), surplus.into());
        }
        selected.extend(told);
    }
    selected
}

impl Selected {
    fn of(entry: HistoryEntry, message_type: &'static str, channel: &ChannelId) -> Self {
        let data = entry.data(channel);
        let is_for_collection = entry.is_for_collection();
        let concealed = entry.concealed().data(channel);
        let concealed = (concealed != data).then_some(concealed);
        Self { message_type, data, concealed, is_for_collection }
    }
}

#[cfg(test)]
mod tests {
    use projections::{
        Kind, Timestamp,
        campaign::{CallEventType, CampaignEntry, Status},
        history::Entry,
    };

    use super::*;

    fn calls(range: std::ops::Range<i64>) -> Vec<HistoryEntry> {
        let call =
            |n: i64| CampaignEntry::Call { call_id: Some(n.to_string()), event_type: CallEventType::CallAnswered };
        range
            .map(|n| HistoryEntry::Campaign(Entry { offset: n, at: Timestamp::from_millis(n), what: call(n) }))
            .collect()
    }

    fn status(n: i64) -> HistoryEntry {
        let what = CampaignEntry::StatusChange { status: Status::Paused, previous_status: Some(Status::Active) };
        HistoryEntry::Campaign(Entry { offset: n, at: Timestamp::from_millis(n), what })
    }

    fn channel() -> ChannelId {
        let channel: ChannelId = "campaign:c".parse().unwrap();
        assert_eq!(channel.kind(), Kind::Campaign);
        channel
    }

    #[test]
    fn the_newest_twenty_calls_of_all_slices_are_told_and_the_rest_is_counted() {
        let selected = select(&channel(), [calls(0..20), calls(10..25)].concat());
        assert_eq!(selected.len(), MAX_CALL_EVENTS);
        assert_eq!(selected[0].data["leftOut"], 35 - 20);
        assert!(selected[1].data.get("leftOut").is_none());
        assert_eq!(selected[19].data["callId"], "24");
    }

    #[test]
    fn changes_of_status_are_never_left_out() {
        let selected = select(&channel(), (0..500).map(status).chain(calls(0..3)).collect());
        assert_eq!(selected.iter().filter(|told| told.is_for_collection).count(), 500);
        assert!(selected.iter().all(|told| told.data.get("leftOut").is_none()));
    }
}
