//! What a client can watch.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Id, Kind};

/// The name of a channel within its tenant: `campaign:c-17`, `event:evt_1`, `campaigns`, `system`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChannelId {
    /// One of many of its kind.
    One(Kind, Id),
    /// The only one of its kind that a tenant has.
    Only(Kind),
    /// All of a tenant's active channels of a kind. It has no state of its own.
    All(Kind),
}

/// The text names no channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such channel")]
pub struct UnknownChannel;

impl ChannelId {
    /// The kind of what the channel shows.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::One(kind, _) | Self::Only(kind) | Self::All(kind) => *kind,
        }
    }

    /// The id behind the colon, where there is one.
    #[must_use]
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::One(_, id) => Some(id),
            Self::Only(_) | Self::All(_) => None,
        }
    }

    /// The channel of all campaigns: what a new connection watches, beside [`ChannelId::system`].
    #[must_use]
    pub fn campaigns() -> Self {
        Self::All(Kind::Campaign)
    }

    /// The channel of one campaign.
    #[must_use]
    pub fn campaign(id: Id) -> Self {
        Self::One(Kind::Campaign, id)
    }

    /// The health of a tenant's dialers and of Livefold itself.
    #[must_use]
    pub fn system() -> Self {
        Self::Only(Kind::System)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(kind, id) => write!(f, "{}:{id}", kind.name()),
            Self::Only(kind) => f.write_str(kind.name()),
            Self::All(kind) => f.write_str(kind.collection().unwrap_or_default()),
        }
    }
}

impl FromStr for ChannelId {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        if let Some((name, id)) = text.split_once(':') {
            let kind = Kind::ALL.into_iter().find(|kind| kind.is_keyed() && kind.name() == name);
            return Ok(Self::One(kind.ok_or(UnknownChannel)?, Id::parse(id).map_err(|_| UnknownChannel)?));
        }
        Kind::ALL
            .into_iter()
            .find_map(|kind| match () {
                () if kind.collection() == Some(text) => Some(Self::All(kind)),
                () if !kind.is_keyed() && kind.name() == text => Some(Self::Only(kind)),
                () => None,
            })
            .ok_or(UnknownChannel)
    }
}

impl Serialize for ChannelId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChannelId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_reads_back_from_its_name() {
        for name in ["campaign:c-17", "campaign:a:b", "event:evt_1", "campaigns", "system"] {
            assert_eq!(name.parse::<ChannelId>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn anything_else_is_no_channel() {
        for name in ["", "campaign", "campaign:", "system:1", "campaigns:1", "event", "foo:1", "campaign:a#b", ":x"] {
            assert_eq!(name.parse::<ChannelId>(), Err(UnknownChannel), "{name:?}");
        }
    }
}
