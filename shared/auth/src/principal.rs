//! Whom a token speaks for.

use projections::{ChannelId, TenantId, Timestamp};

/// The permission to watch and to read live dashboards.
pub const READ_LIVE: &str = "dashboard:read:live";

/// Whom a token speaks for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Whose data they see, and nobody else's.
    pub tenant: TenantId,
    /// Who they are within the tenant.
    pub user: String,
    /// What the token permits.
    pub permissions: Vec<String>,
    /// When the token ends.
    pub expires_at: Timestamp,
}

/// What somebody wants to do with a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Watch it or read it.
    Read,
}

/// Whether the principal may do this with a channel of their own tenant. Every decision about a permission is made here:
/// by the verifier for connecting at all, by the functions for each channel.
#[must_use]
pub fn allows(principal: &Principal, action: Action, channel: &ChannelId) -> bool {
    match (action, channel) {
        // One permission opens all channels that there are so far.
        (Action::Read, ChannelId::One(..) | ChannelId::Only(_) | ChannelId::All(_)) => may_read(principal),
    }
}

/// Whether the principal may read anything at all.
pub(crate) fn may_read(principal: &Principal) -> bool {
    principal.permissions.iter().any(|permission| permission == READ_LIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_permission_opens_every_channel_and_no_other_permission_does() {
        let with = |permissions: &[&str]| Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ann".into(),
            permissions: permissions.iter().map(|permission| (*permission).to_owned()).collect(),
            expires_at: Timestamp::EPOCH,
        };
        for name in ["campaign:c-17", "campaigns", "event:evt_1", "system"] {
            let channel = name.parse().unwrap();
            assert!(allows(&with(&["a", READ_LIVE]), Action::Read, &channel));
            for permissions in
                [&[][..], &["dashboard:read"], &["dashboard:read:live:all"], &["DASHBOARD:READ:LIVE"], &["*"]]
            {
                assert!(!allows(&with(permissions), Action::Read, &channel), "{permissions:?}");
            }
        }
    }
}
