//! Livefold's two tables: slices with their watermarks, the directory, quarantine and what was revoked in one;
//! connections, leases, tickets and counters in the other.
//!
//! Every write that could meet a competitor, or itself when the SDK tries again, is conditional; no transaction, no
//! scan. Whoever calls passes the time in.

mod channels;
mod close_reason;
mod commit;
mod connections;
mod directory;
mod error;
mod expiry;
mod history;
mod journal;
mod keys;
mod leases;
mod moves;
mod published;
mod quarantine;
mod rates;
mod registry;
mod renewal;
mod replacement;
mod replays;
mod requests;
mod revocations;
mod rollup;
mod slices;
mod subscriptions;
mod table;
mod tenant_quota;
mod tickets;
mod topics;
mod user_quota;
mod windows;

pub use channels::Channels;
pub use close_reason::CloseReason;
pub use commit::{CommitError, Committed, Committer, Entry, MAX_WARM_SLICES, SliceTable, WriteError};
pub use connections::{ConnectError, Connection, Connections, Limits, MAX_CONNECTION_AGE};
pub use directory::{Listed, MAX_LISTED};
pub use error::StoreError;
pub use history::{History, HistoryRange};
pub use journal::{Follower, News};
pub use keys::{PartitionKey, SliceId, SliceKey};
pub use leases::{Acquired, Announced, HANDOVER, Lease, Leases};
pub use moves::{ListingChange, Moved};
pub use published::{MAX_PUBLISHED, MAX_PULSE_TENANTS, Pulse};
pub use quarantine::{Contents, KEPT_BYTES, MAX_KEPT, Omitted, Quarantined};
pub use rates::RATE_WINDOW;
pub use registry::Page;
pub use renewal::RenewError;
pub use replays::{RecordId, Replay};
pub use requests::Requests;
pub use revocations::Revocations;
pub use slices::Consistency;
pub use subscriptions::{SubscribeError, Terms};
pub use tickets::{TICKET_LIFETIME, Tickets};
pub use windows::{Resolution, StoredWindow, Visible, WindowId, visible};
