//! How items are addressed. `#` separates the parts of a key; ids, topics and connection ids cannot hold it, and a
//! user, who may, always comes last.

use std::{fmt, num::NonZeroU32, str::FromStr};

use projections::{ChannelId, Offset, TenantId};
use sha2::{Digest, Sha256};

use crate::Quarantined;

/// Which Kafka partition a slice is fed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SliceId {
    /// Raised by configuration when a topic is made again and its offsets restart.
    pub epoch: u32,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

/// Which slice of which channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SliceKey {
    /// Whose channel it is.
    pub tenant: TenantId,
    /// The channel.
    pub channel: ChannelId,
    /// The slice of it.
    pub slice: SliceId,
}

impl SliceId {
    /// The part of a sort key that names it: `epoch#topic#partition`.
    pub(crate) fn in_key(&self) -> String {
        format!("{}#{}#{}", self.epoch, self.topic, self.partition)
    }

    /// The name in a cursor: `epoch/topic/partition`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}/{}", self.epoch, self.topic, self.partition)
    }
}

/// What the sort keys of slices start with.
pub(crate) const SLICE: &str = "slice#";

/// What the partition keys of users start with, and the sort keys of what is noted of a user elsewhere.
const USER: &str = "user#";

/// What the partition keys of tickets start with.
const TICKET: &str = "ticket#";

/// Sorts after every sort key that starts with `#`, and before every connection id: they are base64.
pub(crate) const AFTER_HASH: &str = "$";

impl fmt::Display for SliceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SLICE}{}", self.in_key())
    }
}

impl FromStr for SliceId {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        let mut parts = text.strip_prefix(SLICE).ok_or(BadKey)?.split('#');
        let (Some(epoch), Some(topic), Some(partition), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadKey);
        };
        Ok(Self {
            epoch: epoch.parse().map_err(|_| BadKey)?,
            topic: topic.to_owned(),
            partition: partition.parse().map_err(|_| BadKey)?,
        })
    }
}

/// The text is no sort key of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the sort key of a slice")]
pub struct BadKey;

/// Partition and sort key of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) pk: String,
    pub(crate) sk: String,
}

/// As an error may show it: without the user, who may be a phone number, and without a ticket's digest.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = PartitionKey(&self.pk);
        match self.sk.strip_prefix(USER) {
            Some(_) => write!(f, "{partition} / {USER}…"),
            None => write!(f, "{partition} / {}", self.sk),
        }
    }
}

/// A partition key, which is shown without the user and without a ticket's digest.
#[derive(Clone, Copy, Debug)]
pub struct PartitionKey<'a>(pub &'a str);

impl fmt::Display for PartitionKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.strip_prefix(USER).and_then(|rest| rest.split_once('#')) {
            Some((tenant, _)) => write!(f, "{USER}{tenant}#…"),
            None if self.0.starts_with(TICKET) => write!(f, "{TICKET}…"),
            None => f.write_str(self.0),
        }
    }
}

/// The partition that holds a channel's slices.
pub(crate) fn channel(tenant: &TenantId, channel: &ChannelId) -> String {
    format!("{tenant}#{channel}")
}

/// The partition that lists a tenant's channels.
pub(crate) fn directory(tenant: &TenantId) -> String {
    format!("{tenant}#directory")
}

/// The partition that knows when a tenant was last heard of.
pub(crate) fn topics(tenant: &TenantId) -> String {
    format!("{tenant}#topics")
}

/// Which of so many parts a name belongs to: the same in every function and in every build.
pub(crate) fn part_of(name: &str, parts: NonZeroU32) -> u32 {
    let digest = Sha256::digest(name);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % parts
}

/// A part of the journal of channels.
pub(crate) fn journal(bucket: u32) -> String {
    format!("journal#{bucket}")
}

/// The journal of a shard's connections.
pub(crate) fn registry(shard: u32) -> String {
    format!("shard#{shard}#journal")
}

/// Over how many keys the bad records of a Kafka partition are spread.
pub(crate) const QUARANTINE_SPREAD: Offset = 8;

/// The partitions that hold the bad records of a Kafka partition. In the last one each item is one record: so they were
/// written at first.
pub(crate) fn quarantine(topic: &str, partition: i32) -> impl Iterator<Item = String> {
    let at_first = format!("quarantine#{topic}#{partition}");
    let spread = (0..QUARANTINE_SPREAD).map({
        let at_first = at_first.clone();
        move |n| format!("{at_first}#{n}")
    });
    spread.chain([at_first])
}

/// The partition that knows which bad records of a Kafka partition were sent again.
pub(crate) fn replays(topic: &str, partition: i32) -> String {
    format!("quarantine#{topic}#{partition}#replays")
}

/// The partition that holds a shard's connections.
pub(crate) fn shard(number: u32) -> String {
    format!("shard#{number}")
}

impl Key {
    pub(crate) fn slice(key: &SliceKey) -> Self {
        Self { pk: channel(&key.tenant, &key.channel), sk: key.slice.to_string() }
    }

    pub(crate) fn listed(tenant: &TenantId, channel: &ChannelId) -> Self {
        Self { pk: directory(tenant), sk: channel.to_string() }
    }

    pub(crate) fn topic(tenant: &TenantId, topic: &str) -> Self {
        Self { pk: topics(tenant), sk: topic.to_owned() }
    }

    /// Bad records by the offset of the first, and by what tells them apart from others that begin there.
    pub(crate) fn quarantined(topic: &str, partition: i32, offset: Offset, identity: &str) -> Self {
        let place = offset.rem_euclid(QUARANTINE_SPREAD);
        // As wide as the greatest offset, so that keys sort as offsets do.
        Self { pk: format!("quarantine#{topic}#{partition}#{place}"), sk: format!("{offset:019}#{identity}") }
    }

    /// Whether a bad record was sent again.
    pub(crate) fn replay(record: &Quarantined) -> Self {
        let Quarantined { topic, partition, offset, sha256, .. } = record;
        Self { pk: replays(topic, *partition), sk: format!("{offset:019}#{sha256}") }
    }

    /// A connection by its id.
    pub(crate) fn connection(shard_number: u32, id: &str) -> Self {
        Self { pk: shard(shard_number), sk: id.to_owned() }
    }

    /// Which publisher serves a shard. Under a key of its own, as all that publishers keep: a storm of handshakes that has
    /// the shard's key throttled must not cost the lease.
    pub(crate) fn lease(shard: u32) -> Self {
        Self { pk: format!("lease#{shard}"), sk: "#lease".to_owned() }
    }

    /// What a shard's publisher leaves to its successor.
    pub(crate) fn published(shard: u32) -> Self {
        Self { pk: format!("published#{shard}"), sk: "#published".to_owned() }
    }

    /// How a shard's publisher goes.
    pub(crate) fn pulse(shard: u32) -> Self {
        Self { pk: format!("published#{shard}"), sk: "#pulse".to_owned() }
    }

    /// The connections that a user has.
    pub(crate) fn user(tenant: &TenantId, user: &str) -> Self {
        Self { pk: format!("{USER}{tenant}#{user}"), sk: "#connections".to_owned() }
    }

    /// How many requests a user makes.
    pub(crate) fn requests(tenant: &TenantId, user: &str) -> Self {
        Self { sk: "#requests".to_owned(), ..Self::user(tenant, user) }
    }

    /// How many connections a tenant has.
    pub(crate) fn tenant(tenant: &TenantId) -> Self {
        Self { pk: format!("tenant#{tenant}"), sk: "#connections".to_owned() }
    }

    pub(crate) fn ticket(secret_hash: &str) -> Self {
        Self { pk: format!("{TICKET}{secret_hash}"), sk: "#ticket".to_owned() }
    }

    /// What was revoked of a user, or of everyone. Beside the tenant's channels, none of which has this name.
    pub(crate) fn revoked(tenant: &TenantId, user: Option<&str>) -> Self {
        let sk = user.map_or_else(|| "#everyone".to_owned(), |user| format!("{USER}{user}"));
        Self { pk: format!("{tenant}#revoked"), sk }
    }

    /// A key that no item has.
    pub(crate) fn nowhere() -> Self {
        Self { pk: "#".to_owned(), sk: "#".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_reads_back_from_its_sort_key() {
        let slice = SliceId { epoch: 1, topic: "campaign.events.v1".into(), partition: 12 };
        assert_eq!(slice.to_string(), "slice#1#campaign.events.v1#12");
        assert_eq!(slice.name(), "1/campaign.events.v1/12");
        assert_eq!(slice.to_string().parse(), Ok(slice));
    }

    #[test]
    fn other_sort_keys_are_no_slices() {
        for key in ["", "slice#", "slice#1#t", "slice#x#t#0", "slice#1#t#0#1", "#lease"] {
            assert_eq!(key.parse::<SliceId>(), Err(BadKey), "{key:?}");
        }
    }

    #[test]
    fn quarantined_records_sort_by_offset() {
        let sk = |offset| Key::quarantined("t", 0, offset, "9f86").sk;
        assert!(sk(9) < sk(10) && sk(10) < sk(Offset::MAX));
    }

    #[test]
    fn a_key_is_shown_without_the_user_and_without_a_tickets_digest() {
        let acme = TenantId::parse("acme").unwrap();
        let user = "+15550100#x";
        assert_eq!(Key::user(&acme, user).to_string(), "user#acme#… / #connections");
        assert_eq!(Key::requests(&acme, user).to_string(), "user#acme#… / #requests");
        assert_eq!(Key::revoked(&acme, Some(user)).to_string(), "acme#revoked / user#…");
        assert_eq!(Key::ticket("9f86d081").to_string(), "ticket#… / #ticket");
        assert_eq!(Key::revoked(&acme, None).to_string(), "acme#revoked / #everyone");
        assert_eq!(Key::tenant(&acme).to_string(), "tenant#acme / #connections");
        assert_eq!(Key::lease(0).to_string(), "lease#0 / #lease");
    }

    #[test]
    fn nobody_can_name_themselves_so_that_they_share_an_item_with_others() {
        let acme = TenantId::parse("acme").unwrap();
        for user in ["#everyone", "everyone", "", "#connections", "a#b", "#requests"] {
            assert_ne!(Key::revoked(&acme, Some(user)), Key::revoked(&acme, None));
            assert_ne!(Key::user(&acme, user), Key::requests(&acme, user));
            assert_ne!(Key::user(&acme, user), Key::tenant(&acme));
        }
        // A tenant has no `#`, so the first one ends it.
        let other = TenantId::parse("acme:a").unwrap();
        assert_ne!(Key::user(&acme, "a#b"), Key::user(&other, "b"));
        assert_eq!("revoked".parse::<ChannelId>().ok(), None);
    }

    #[test]
    fn no_connection_id_sorts_among_what_earlier_builds_keep_beside_connections() {
        assert!("#version" < AFTER_HASH && "#published" < AFTER_HASH);
        assert!(AFTER_HASH < "+a=" && AFTER_HASH < "/a=" && AFTER_HASH < "L0SM9cOFvHcCIhw=");
    }
}
