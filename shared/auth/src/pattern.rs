//! Which channels a token is for, where it lists them.

use projections::ChannelId;
use serde::{Deserialize, Serialize};

/// An entry of a token's claim `channels`: a channel's name (`campaign:c-1`, `campaigns`, `system`), all channels of a
/// kind (`event:*`) or all (`*`). One that names nothing we know opens nothing: a token may be for later versions too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelPattern(String);

impl ChannelPattern {
    /// The pattern of this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether the channel is among those meant. `campaign:*` are the campaigns, each by its id, and `campaigns`, which
    /// shows the same ones.
    #[must_use]
    pub fn matches(&self, channel: &ChannelId) -> bool {
        match self.0.strip_suffix('*') {
            Some("") => true,
            Some(prefix) => {
                let of_kind = prefix.strip_suffix(':') == Some(channel.kind().name());
                of_kind && !matches!(channel, ChannelId::Only(_))
            }
            None => self.0 == channel.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_one_channel_a_kind_or_all() {
        let matching = |pattern: &str| {
            let pattern = ChannelPattern::new(pattern);
            let channels = ["campaign:c-1", "campaign:c-10", "campaigns", "event:e", "system"];
            channels.into_iter().filter(|name| pattern.matches(&name.parse().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(matching("campaign:c-1"), ["campaign:c-1"]);
        assert_eq!(matching("campaign:*"), ["campaign:c-1", "campaign:c-10", "campaigns"]);
        assert_eq!(matching("event:*"), ["event:e"]);
        assert_eq!(matching("campaigns"), ["campaigns"]);
        assert_eq!(matching("system"), ["system"]);
        assert_eq!(matching("*").len(), 5);
        for nothing in
            ["", "campaign:", "campaign:c*", "camp*", "planet:*", "system:*", "**", "CAMPAIGN:*", "campaign:c-1 "]
        {
            assert_eq!(matching(nothing), [""; 0], "{nothing:?}");
        }
    }
}
