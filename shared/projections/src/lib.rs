//! What Livefold counts, as pure code: Kafka records in, states that fold and merge, views out.
//!
//! No I/O, no AWS and no clock in here: the same records give the same state, and the current time is an argument
//! of [`Projection::view`].
//!
//! A new kind of dashboard is one new file that implements [`Projection`], one line in [`kind`] and one in [`topic`].

#![cfg_attr(test, allow(clippy::float_cmp, reason = "quotients of small whole numbers are exact"))]

pub mod bad_record;
pub mod campaign;
pub mod channel;
mod envelope;
mod gauge;
pub mod history;
pub mod id;
pub mod initials;
pub mod kind;
pub mod latest;
pub mod live_event;
pub mod projection;
pub mod record;
mod scalar;
pub mod slice;
pub mod system;
pub mod timestamp;
pub mod topic;
pub mod window;
mod word;

pub use bad_record::BadRecord;
pub use channel::ChannelId;
pub use id::{Id, TenantId};
pub use kind::{Counts, Event, HistoryEntry, Kind, Slice, View};
pub use projection::{Listing, Projection};
pub use record::{Record, Routed};
pub use slice::{Fold, Offset};
pub use timestamp::Timestamp;
