//! Whom a token speaks for.

use projections::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ChannelPattern;

/// The longest user id; it becomes part of a key.
const MAX_USER_BYTES: usize = 256;

/// Whom a token speaks for, and until when. Kept with a connection and with a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Whose data they see, and nobody else's.
    pub tenant: TenantId,
    /// Who they are within the tenant: the token's `sub`. It may be personal data; logs get [`Principal::pseudonym`].
    pub user: String,
    /// What the token permits.
    pub permissions: Vec<String>,
    /// The only channels that it is for; all of the tenant's where it lists none.
    pub channels: Option<Vec<ChannelPattern>>,
    /// When the token was issued; the epoch where it does not say, so that every revocation is later.
    pub issued_at: Timestamp,
    /// From when on it counts no longer, with [`crate::LEEWAY`] already added.
    pub expires_at: Timestamp,
}

impl Principal {
    /// Who it is, for logs: the same for the same user of the same tenant, and without the secret of who that is.
    /// `printf '%s' 'acme#ann' | sha256sum | cut -c-16` tells an operator whom to look for.
    #[must_use]
    pub fn pseudonym(&self) -> String {
        pseudonym(&self.tenant, &self.user)
    }
}

/// Whether a token can name this user. Whoever names one otherwise, as to revoke their access, is held to the same.
#[must_use]
pub fn is_user(text: &str) -> bool {
    (1..=MAX_USER_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Who a user is, for logs ([`Principal::pseudonym`]).
#[must_use]
pub fn pseudonym(tenant: &TenantId, user: &str) -> String {
    hex::encode(&Sha256::digest(format!("{tenant}#{user}"))[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_what_the_documented_command_prints() {
        let principal = Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ann".into(),
            permissions: Vec::new(),
            channels: None,
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        };
        assert_eq!(principal.pseudonym(), "1d728aa0d65587be");
    }
}
