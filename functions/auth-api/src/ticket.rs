//! Tickets: made of bytes that nobody can guess, and kept by their digest.

use auth::Principal;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use projections::Timestamp;
use protocol::ErrorCode;
use rand::{TryRng, rngs::SysRng};
use serde::Serialize;
use store::{TICKET_LIFETIME, Tickets};

/// As long as a key of AES-256: whoever guesses a billion times a second does not live to see it.
const TICKET_BYTES: usize = 32;

/// What a ticket is made of; nothing where nothing can be had that is random enough.
pub(crate) type Random = fn() -> Option<[u8; TICKET_BYTES]>;

/// Makes tickets.
pub(crate) struct Mint {
    pub(crate) tickets: Tickets,
    pub(crate) random: Random,
}

/// A ticket, for its client and nobody else.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issued {
    ticket: String,
    expires_at: Timestamp,
}

impl Mint {
    /// A ticket that opens one socket for the principal.
    pub(crate) async fn issue(&self, principal: &Principal, now: Timestamp) -> Result<Issued, ErrorCode> {
        let bytes = (self.random)().ok_or_else(|| {
            tracing::error!("the operating system has no random bytes");
            ErrorCode::Unavailable
        })?;
        let ticket = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let issued = self.tickets.issue(&admission::digest(&ticket), principal, now).await;
        issued.map_err(|error| admission::failed(&error))?;
        Ok(Issued { ticket, expires_at: now.plus(TICKET_LIFETIME).min(principal.expires_at) })
    }
}

/// Bytes of the operating system's.
pub(crate) fn from_os() -> Option<[u8; TICKET_BYTES]> {
    let mut bytes = [0; TICKET_BYTES];
    SysRng.try_fill_bytes(&mut bytes).ok().map(|()| bytes)
}
