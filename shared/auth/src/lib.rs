//! Who asks, and what they may: from a token to a principal, and the one place that decides about permissions.

mod claims;
mod handshake;
mod principal;
mod verifier;

pub use handshake::{Handshake, SUBPROTOCOL, bearer, handshake};
pub use principal::{Action, Principal, READ_LIVE, allows};
pub use verifier::{AuthError, ConfigError, LEEWAY, MAX_TOKEN_BYTES, MIN_SECRET_BYTES, Unauthorized, Verifier};
