//! Tickets: what opens one socket, once, within half a minute.
//!
//! The table knows a ticket only by the digest of its secret: who reads the table cannot open a socket with what is in
//! there.

use std::time::Duration;

use auth::Principal;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use projections::Timestamp;
use serde::Deserialize;

use crate::{
    StoreError,
    keys::Key,
    table::{Conditional, Item, Table, from_item, number, text, to_item},
};

/// How long a ticket can be redeemed: a handshake follows at once, and a URL in a log must be worth nothing soon.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// A ticket as it is stored.
#[derive(Deserialize)]
struct Ticket {
    principal: Principal,
}

/// The tickets, in the table of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tickets {
    table: Table,
}

impl Tickets {
    /// The tickets in the table of this name.
    #[must_use]
    pub fn new(client: Client, table: String) -> Self {
        Self { table: Table::new(client, table) }
    }

    /// Keeps a ticket for [`TICKET_LIFETIME`], and not beyond the end of the principal's token. `secret_hash` is the
    /// digest of a secret that is new each time; one that is taken already is refused. Trying again, as the SDK does after
    /// a lost answer, finds the ticket issued.
    pub async fn issue(&self, secret_hash: &str, principal: &Principal, now: Timestamp) -> Result<(), StoreError> {
        let expires_at = now.plus(TICKET_LIFETIME).min(principal.expires_at);
        let item = Item::from([
            ("principal".to_owned(), AttributeValue::M(to_item(principal)?)),
            ("expires_at".to_owned(), text(expires_at)),
            ("ttl".to_owned(), number(expires_at.as_seconds())),
        ]);
        match self.table.put_if(&Key::ticket(secret_hash), item, "attribute_not_exists(#pk)", []).await? {
            Conditional::Met(_) => Ok(()),
            Conditional::Failed(found) => {
                let found = found.map(from_item).transpose()?;
                let is_ours = found.is_some_and(|ticket: Ticket| ticket.principal == *principal);
                if is_ours { Ok(()) } else { Err(StoreError::Refused("the ticket is another one's".into())) }
            }
        }
    }

    /// Whom a ticket was issued to. It can be redeemed once: who comes second, or too late, gets `None`, and so does who
    /// came first if the SDK has to try again after a lost answer. A new ticket helps.
    pub async fn redeem(&self, secret_hash: &str, now: Timestamp) -> Result<Option<Principal>, StoreError> {
        let values = [(":now", text(now))];
        match self.table.delete_if(&Key::ticket(secret_hash), "#expires_at > :now", values).await? {
            Conditional::Met(item) => from_item(item).map(|Ticket { principal }| Some(principal)),
            Conditional::Failed(_) => Ok(None),
        }
    }
}
