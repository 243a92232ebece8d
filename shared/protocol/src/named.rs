//! The channels that a client names in one message.

use projections::{ChannelId, Id};
use serde_json::Value;

use crate::ErrorCode;

/// The most names in a list, twice of what a connection may watch where nothing else is configured: each that cannot be
/// followed is answered by itself, and all answers go into one message.
pub const MAX_LISTED: usize = 200;

/// One channel, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// One channel, given as such or as a campaign.
    One(ChannelId),
    /// A list.
    List(ChannelList),
}

/// A list of channels as a client gave it; what it named twice is there once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelList {
    /// The channels.
    pub channels: Vec<ChannelId>,
    /// Names that are no channel's.
    pub unknown: Vec<String>,
}

impl Named {
    /// Reads a message's fields `channel`, `campaignId` and `channels`. Where the first two are both given they have to
    /// agree; a list stands alone.
    pub(crate) fn read(
        channel: Option<&Value>,
        campaign: Option<&Value>,
        channels: Option<&Value>,
    ) -> Result<Self, ErrorCode> {
        match channels {
            Some(channels) if channel.is_none() && campaign.is_none() => ChannelList::read(channels).map(Self::List),
            Some(_) => Err(ErrorCode::InvalidMessage),
            None => one(channel, campaign).map(Self::One),
        }
    }
}

impl ChannelList {
    fn read(names: &Value) -> Result<Self, ErrorCode> {
        let names = names.as_array().filter(|names| !names.is_empty()).ok_or(ErrorCode::InvalidMessage)?;
        let mut list = Self::default();
        for name in names {
            let name = name.as_str().ok_or(ErrorCode::InvalidMessage)?;
            match name.parse() {
                Ok(channel) if !list.channels.contains(&channel) => list.channels.push(channel),
                Err(_) if !list.unknown.iter().any(|known| known == name) => list.unknown.push(name.to_owned()),
                Ok(_) | Err(_) => {}
            }
            if list.channels.len() + list.unknown.len() > MAX_LISTED {
                return Err(ErrorCode::InvalidMessage);
            }
        }
        Ok(list)
    }
}

fn one(channel: Option<&Value>, campaign: Option<&Value>) -> Result<ChannelId, ErrorCode> {
    let text = |value: &Value| value.as_str().map(str::to_owned).ok_or(ErrorCode::InvalidMessage);
    let channel = channel.map(text).transpose()?;
    let campaign = campaign.map(text).transpose()?;
    let channel = channel.map(|name| name.parse().map_err(|_| ErrorCode::UnknownChannel)).transpose()?;
    let campaign = campaign
        .map(|id| Id::parse(&id).map(ChannelId::campaign).map_err(|_| ErrorCode::UnknownChannel))
        .transpose()?;
    match (channel, campaign) {
        (Some(channel), Some(campaign)) if channel != campaign => Err(ErrorCode::InvalidMessage),
        (Some(channel), _) | (None, Some(channel)) => Ok(channel),
        (None, None) => Err(ErrorCode::InvalidMessage),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_keeps_its_order_and_tells_channels_from_other_names() {
        let names = json!(["campaign:b", "weather", "campaign:a", "campaign:b", "weather", "", "system"]);
        let Ok(Named::List(list)) = Named::read(None, None, Some(&names)) else { panic!("no list") };
        assert_eq!(list.channels, ["campaign:b", "campaign:a", "system"].map(|name| name.parse().unwrap()));
        assert_eq!(list.unknown, ["weather", ""]);
    }

    #[test]
    fn a_list_has_its_length_not_counting_what_is_named_twice() {
        let names = |count: usize| json!((0..2 * count).map(|n| format!("campaign:{}", n / 2)).collect::<Vec<_>>());
        assert!(Named::read(None, None, Some(&names(MAX_LISTED))).is_ok());
        assert_eq!(Named::read(None, None, Some(&names(MAX_LISTED + 1))), Err(ErrorCode::InvalidMessage));
    }
}
