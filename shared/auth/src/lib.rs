//! Who asks, and what they may: from a token to a principal, and the one place that decides about permissions.

mod claims;
mod error;
mod expectations;
mod handshake;
mod key_cache;
mod key_set;
mod origin;
mod pattern;
mod permission;
mod principal;
mod tenant_claims;
mod token;
mod verifier;

pub use error::{AuthError, Unauthorized};
pub use expectations::{Expectations, LEEWAY};
pub use handshake::{
    AuthRequest, AuthRequestError, BATCH_SUBPROTOCOL, Credential, SUBPROTOCOL, Source, handshake, request,
};
pub use key_cache::{KEYS_EXPIRE_AFTER, KeySource, REFETCH_INTERVAL, Unfetched};
pub use key_set::{BadKeySet, KeySet, MAX_KEY_SET_BYTES, MAX_KEYS, MIN_SECRET_BYTES};
pub use origin::{ConfigError, Origins};
pub use pattern::ChannelPattern;
pub use permission::{Action, READ_LIVE, READ_NAMES, REVOKE, allows};
pub use principal::{Principal, is_user, pseudonym};
pub use token::MAX_TOKEN_BYTES;
pub use verifier::Verifier;
