//! Who may do what. Every decision about a permission is made here; `docs/security.md` lists every path that asks.

use projections::{ChannelId, Kind};

use crate::Principal;

/// The permission to connect, and to watch and to read all kinds of channels.
pub const READ_LIVE: &str = "dashboard:read:live";

/// With the name of a kind behind it, the same for the channels of that kind alone: `dashboard:read:live:event`.
const READ_LIVE_KIND: &str = "dashboard:read:live:";

/// The permission to see the names of people who checked in; without it there are initials.
pub const READ_NAMES: &str = "attendees:read:names";

/// The permission to end other people's access to the own tenant.
pub const REVOKE: &str = "access:revoke";

/// What somebody wants to do within their own tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action<'a> {
    /// Open a socket, or get a ticket for one.
    Connect,
    /// Watch a channel or read it.
    Read(&'a ChannelId),
    /// See names of people where channels show any.
    SeeNames,
    /// End a user's access, or everybody's.
    Revoke,
}

impl Principal {
    /// The principal with those of its permissions that a rule here asks for, each once: what is kept of a token for as long as
    /// a connection lives. Tokens carry dozens for other services.
    #[must_use]
    pub fn with_known_permissions(&self) -> Self {
        let mut known: Vec<String> = Vec::new();
        for permission in &self.permissions {
            if is_known(permission) && !known.contains(permission) {
                known.push(permission.clone());
            }
        }
        Self { permissions: known, ..self.clone() }
    }
}

/// Whether any rule of [`allows`] asks for the permission.
fn is_known(permission: &str) -> bool {
    let is_kind = |name: &str| Kind::ALL.into_iter().any(|kind| kind.name() == name);
    [READ_LIVE, READ_NAMES, REVOKE].contains(&permission)
        || permission.strip_prefix(READ_LIVE_KIND).is_some_and(is_kind)
}

/// Whether the principal may do this. It is never asked about another tenant: a tenant is no argument, the principal's
/// own is all that any path can reach.
#[must_use]
pub fn allows(principal: &Principal, action: Action<'_>) -> bool {
    let has = |wanted: &str| principal.permissions.iter().any(|permission| permission == wanted);
    let may_read = |kind: Kind| {
        let of_kind = |permission: &String| permission.strip_prefix(READ_LIVE_KIND) == Some(kind.name());
        has(READ_LIVE) || principal.permissions.iter().any(of_kind)
    };
    match action {
        Action::Connect => Kind::ALL.into_iter().any(may_read),
        Action::Read(channel) => {
            let is_listed =
                |patterns: &Vec<_>| patterns.iter().any(|pattern: &crate::ChannelPattern| pattern.matches(channel));
            may_read(channel.kind()) && principal.channels.as_ref().is_none_or(is_listed)
        }
        Action::SeeNames => has(READ_NAMES),
        Action::Revoke => has(REVOKE),
    }
}

#[cfg(test)]
mod tests {
    use projections::{TenantId, Timestamp};

    use super::*;
    use crate::ChannelPattern;

    const CHANNELS: [&str; 4] = ["campaign:c-17", "campaigns", "event:evt_1", "system"];

    fn with(permissions: &[&str], channels: Option<&[&str]>) -> Principal {
        Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ann".into(),
            permissions: permissions.iter().map(|permission| (*permission).to_owned()).collect(),
            channels: channels.map(|patterns| patterns.iter().map(|pattern| ChannelPattern::new(*pattern)).collect()),
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        }
    }

    fn readable(principal: &Principal) -> Vec<&'static str> {
        CHANNELS.into_iter().filter(|name| allows(principal, Action::Read(&name.parse().unwrap()))).collect()
    }

    #[test]
    fn the_permission_opens_every_channel_and_no_other_one_does() {
        assert_eq!(readable(&with(&["a", READ_LIVE], None)), CHANNELS);
        for permissions in [
            &[][..],
            &["dashboard:read"],
            &["dashboard:read:live:all"],
            &["dashboard:read:live:"],
            &["DASHBOARD:READ:LIVE"],
            &["*"],
            &[READ_NAMES, REVOKE],
        ] {
            let principal = with(permissions, None);
            assert_eq!(readable(&principal), [""; 0], "{permissions:?}");
            assert!(!allows(&principal, Action::Connect), "{permissions:?}");
        }
    }

    #[test]
    fn a_permission_may_be_for_one_kind_alone() {
        let principal = with(&["dashboard:read:live:campaign"], None);
        assert_eq!(readable(&principal), ["campaign:c-17", "campaigns"]);
        assert!(allows(&principal, Action::Connect));
        assert_eq!(readable(&with(&["dashboard:read:live:system"], None)), ["system"]);
    }

    #[test]
    fn a_list_of_channels_narrows_and_never_widens() {
        assert_eq!(readable(&with(&[READ_LIVE], Some(&["campaign:c-17"]))), ["campaign:c-17"]);
        assert_eq!(readable(&with(&[READ_LIVE], Some(&["event:*", "system"]))), ["event:evt_1", "system"]);
        assert_eq!(readable(&with(&[READ_LIVE], Some(&[]))), [""; 0]);
        assert_eq!(readable(&with(&["dashboard:read:live:event"], Some(&["*"]))), ["event:evt_1"]);
    }

    #[test]
    fn what_is_kept_of_a_token_permits_what_the_token_does() {
        let kinds: Vec<String> = Kind::ALL.into_iter().map(|kind| format!("{READ_LIVE_KIND}{}", kind.name())).collect();
        let ours: Vec<&str> = kinds.iter().map(String::as_str).chain([READ_LIVE, READ_NAMES, REVOKE]).collect();
        let others = ["crm:read", "dashboard:read:live:", "dashboard:read:live:all", "ACCESS:REVOKE", "*", ""];
        let channels: Vec<ChannelId> = CHANNELS.map(|name| name.parse().unwrap()).into();
        let actions = [Action::Connect, Action::SeeNames, Action::Revoke].into_iter();
        let actions: Vec<Action<'_>> = actions.chain(channels.iter().map(Action::Read)).collect();
        // Each alone, and each left out.
        let sets = (0..ours.len()).flat_map(|n| [vec![ours[n]], [&ours[..n], &ours[n + 1..]].concat()]);
        for set in sets {
            let token = with(&[&others[..], &set, &set].concat(), Some(&["*"]));
            let kept = token.with_known_permissions();
            assert_eq!(kept, Principal { permissions: with(&set, None).permissions, ..token.clone() });
            for action in &actions {
                assert_eq!(allows(&kept, *action), allows(&token, *action), "{action:?} with {set:?}");
            }
        }
    }

    #[test]
    fn names_and_revoking_have_permissions_of_their_own() {
        let reader = with(&[READ_LIVE], None);
        assert!(!allows(&reader, Action::SeeNames) && !allows(&reader, Action::Revoke));
        assert!(allows(&with(&[READ_NAMES], None), Action::SeeNames));
        assert!(allows(&with(&[REVOKE], None), Action::Revoke));
    }
}
