//! What clients send and receive: messages, errors, cursors, REST bodies. `docs/protocol.md` is the same for people.

mod client;
mod cursor;
mod error;
pub mod rest;
mod server;

pub use client::{ClientMessage, MAX_MESSAGE_BYTES, Token};
pub use cursor::{BadCursor, Cursor, MAX_CURSOR_BYTES};
pub use error::{ErrorCode, Rejection};
pub use server::{authenticated, channel_message, error_message, pong, subscribed, unsubscribed};
