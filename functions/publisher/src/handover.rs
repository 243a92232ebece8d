//! What one publisher leaves to the next, so that nothing is published twice and nothing is left out.

use std::{collections::HashSet, time::Duration};

use auth::Action;
use projections::{ChannelId, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{Connection, MAX_PUBLISHED};
use views::Known;

use crate::cached_view::Fingerprints;

/// What was left behind earlier is of no use: notices from then are no news to anybody.
const FRESH: Duration = Duration::from_mins(1);

/// Everything that a publisher leaves behind.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Handover {
    /// When it was left.
    pub(crate) saved_at: Timestamp,
    /// What was published of each channel.
    pub(crate) channels: Vec<PublishedView>,
    /// Fingerprints of the connections that had got all of it.
    pub(crate) up_to_date: HashSet<u64>,
}

/// What was published of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PublishedView {
    /// Whose channel.
    pub(crate) tenant: TenantId,
    /// Which channel.
    pub(crate) channel: ChannelId,
    /// Of the view, in each of its forms.
    pub(crate) fingerprints: Fingerprints,
    /// Up to where the history of each slice was told.
    pub(crate) told: Known,
    /// Whether it was shown to those who watch all channels of its kind, and not only to who named it.
    pub(crate) is_member: bool,
}

impl Handover {
    /// The stored form. Where it would be too long, connections are left out first: they get a view once more. Without
    /// its channels it would be of no use.
    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        loop {
            let bytes = serde_json::to_vec(&self).unwrap_or_default();
            if bytes.len() <= MAX_PUBLISHED {
                return bytes;
            }
            if self.up_to_date.is_empty() {
                self.channels.truncate(self.channels.len() / 2);
            }
            let half = self.up_to_date.len() / 2;
            self.up_to_date = self.up_to_date.into_iter().take(half).collect();
        }
    }

    /// Reads the stored form. What is old, or of another version, is taken for nothing: that costs a view once more.
    pub(crate) fn from_bytes(bytes: &[u8], now: Timestamp) -> Option<Self> {
        let handover: Self = serde_json::from_slice(bytes).ok()?;
        (now.since(handover.saved_at) < FRESH).then_some(handover)
    }
}

/// Tells apart a connection from itself with other subscriptions or other rights: who subscribed since, or may see more
/// since, has to get the view. The first 64 bits of a SHA-256, so that the next publisher makes the same.
pub(crate) fn subscription(connection: &Connection) -> u64 {
    let sees_names = auth::allows(&connection.principal, Action::SeeNames);
    let mut hash = Sha256::new_with_prefix(format!("{} {sees_names}", connection.id));
    // None of them has a space in it.
    permitted(connection).for_each(|(channel, cursor)| hash.update(format!(" {channel} {cursor}")));
    hash.finalize()[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The channels that a connection watches and may see, each with the fingerprint of the view that answered its
/// `subscribe`. A subscription and a renewal with fewer rights may have crossed; the rights count.
pub(crate) fn permitted(connection: &Connection) -> impl Iterator<Item = (&ChannelId, &String)> {
    connection.channels.iter().filter(|(channel, _)| auth::allows(&connection.principal, Action::Read(channel)))
}

#[cfg(test)]
mod tests {
    use projections::history::{ChunkId, Tail};

    use super::*;

    fn published_view(n: usize) -> PublishedView {
        PublishedView {
            tenant: TenantId::parse("acme").unwrap(),
            channel: format!("campaign:{n}").parse().unwrap(),
            fingerprints: Fingerprints::of_both(u64::MAX),
            is_member: true,
            told: Known::from([(
                "1/campaign.events.v1/0".to_owned(),
                Tail { total: 7, last: Some(ChunkId { last: 12, first: 9, base: Some(4) }) },
            )]),
        }
    }

    #[test]
    fn what_is_left_behind_reads_back() {
        let saved_at = Timestamp::from_millis(1_000_000);
        let bytes = Handover { saved_at, channels: vec![published_view(1)], up_to_date: [1, 2].into() }.into_bytes();
        let read = Handover::from_bytes(&bytes, saved_at.plus(Duration::from_secs(59))).unwrap();
        assert_eq!((read.channels, read.up_to_date), (vec![published_view(1)], [1, 2].into()));
        assert!(Handover::from_bytes(&bytes, saved_at.plus(FRESH)).is_none());
    }

    #[test]
    fn what_is_too_long_for_an_item_is_cut_and_still_reads() {
        let handover = Handover {
            channels: (0..9000).map(published_view).collect(),
            up_to_date: (0..100_000).collect(),
            ..Handover::default()
        };
        let bytes = handover.into_bytes();
        assert!(bytes.len() <= MAX_PUBLISHED);
        assert!(!Handover::from_bytes(&bytes, Timestamp::default()).unwrap().channels.is_empty());
    }
}
