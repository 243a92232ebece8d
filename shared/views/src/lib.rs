//! Reads a channel out of the store and makes its view: the one place where the answer to `subscribe`, the
//! publisher's push and the REST body come from.

mod channel_state;
mod history;
mod publishers;
mod reader;
mod shared_answers;

pub use channel_state::{ChannelState, ChannelStore, Known};
pub use history::Span;
pub use publishers::Publishers;
pub use reader::{Active, MAX_OVERVIEW, Reader, Rendered, complete, cursor_over, fingerprint};
