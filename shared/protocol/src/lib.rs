//! What clients send and receive: messages, errors, cursors, REST bodies. `docs/protocol.md` is the same for people.

mod batch;
mod client;
mod cursor;
mod error;
mod named;
pub mod rest;
mod server;

pub use batch::{FrameRoom, MAX_FRAME_BYTES, batch};
pub use client::{ClientMessage, MAX_MESSAGE_BYTES, Token};
pub use cursor::{BadCursor, Cursor, MAX_CURSOR_BYTES};
pub use error::{ErrorCode, Rejection};
pub use named::{ChannelList, MAX_LISTED, Named};
pub use server::{
    authenticated, channel_message, error_message, pong, subscribed, subscribed_to_all, unsubscribed,
    unsubscribed_from_all,
};
