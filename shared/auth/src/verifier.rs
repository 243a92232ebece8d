//! From a token to a principal.

use std::sync::Arc;

use projections::{TenantId, Timestamp};

use crate::{AuthError, Expectations, KeySet, KeySource, Principal, Unfetched, key_cache::KeyCache, token::Token};

/// Verifies tokens with the keys of one source; what a token says of keys and algorithms changes nothing (RFC 8725).
/// Clones share the keys that have been fetched.
#[derive(Clone)]
pub struct Verifier {
    cache: Arc<KeyCache>,
    expectations: Arc<Expectations>,
}

impl Verifier {
    /// A verifier that has no keys yet: it fetches them with the first token, or when told to.
    #[must_use]
    pub fn new(source: Arc<dyn KeySource>, expectations: Expectations) -> Self {
        Self { cache: Arc::new(KeyCache::new(source)), expectations: Arc::new(expectations) }
    }

    /// A verifier with keys that never change, for tokens of any issuer and audience.
    #[must_use]
    pub fn fixed(keys: KeySet, default_tenant: Option<TenantId>) -> Self {
        Self::new(Arc::new(keys), Expectations { default_tenant, ..Expectations::default() })
    }

    /// Fetches the keys, so that the first token need not wait for them. A function that cannot may still start: the
    /// keys are asked for again when a token comes, from [`crate::REFETCH_INTERVAL`] on.
    pub async fn prefetch(&self, now: Timestamp) -> Result<(), Unfetched> {
        self.cache.prefetch(now).await
    }

    /// Whom the token speaks for.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
        let token = Token::parse(token)?;
        let known = self.cache.known(now).await?;
        if let Err(refused) = known.keys.check(&token) {
            if !known.keys.may_be_old(&token, refused) {
                return Err(refused.into());
            }
            let newer = self.cache.newer_than(&known, now).await;
            newer.ok_or(refused)?.keys.check(&token)?;
        }
        Ok(token.claims()?.principal(&self.expectations, now)?)
    }
}
