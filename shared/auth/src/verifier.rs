//! From a token to a principal.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, errors::ErrorKind};
use projections::{TenantId, Timestamp};

use crate::{
    claims::{Claims, date},
    principal::{Principal, may_read},
};

/// How far the issuer's clock and ours may differ. Both are kept by NTP; this is what it may be off while it recovers.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// The longest token that is looked at. API Gateway takes no more than 10 KB of headers altogether.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// RFC 7518 §3.2: a key for HS256 has at least the size of the hash.
pub const MIN_SECRET_BYTES: usize = 32;

/// Why a token opens nothing. No text in here holds anything of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody knows who asks: 401. A new token helps.
    #[error("unauthorized: {0}")]
    Unauthorized(#[from] Unauthorized),
    /// The token is valid and does not permit this: 403. Only another permission helps.
    #[error("forbidden: the permission is missing")]
    Forbidden,
}

/// What is wrong with a token. For the log; a client is told no more than that it is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Unauthorized {
    #[error("the token is too large")]
    TooLarge,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is signed with another algorithm")]
    Algorithm,
    #[error("the signature does not fit")]
    Signature,
    #[error("the token never expires")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token names no user")]
    NoSubject,
    #[error("the token names no tenant")]
    NoTenant,
    #[error("the token's tenant is none")]
    BadTenant,
}

/// With this no token can be verified. The function does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Only HS256 is known.
    #[error("the token algorithm is not HS256")]
    UnknownAlgorithm,
    /// It could be guessed.
    #[error("the token secret is shorter than {MIN_SECRET_BYTES} bytes")]
    WeakSecret,
}

/// Verifies tokens with one algorithm and one key; what a token says of either changes nothing.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    validation: Validation,
    default_tenant: Option<TenantId>,
}

impl Verifier {
    /// A verifier of tokens signed with `algorithm` as the configuration names it. A token without a tenant gets the
    /// default one; where there is none it is refused.
    pub fn new(algorithm: &str, secret: &[u8], default_tenant: Option<TenantId>) -> Result<Self, ConfigError> {
        match algorithm {
            "HS256" => Self::hs256(secret, default_tenant),
            _ => Err(ConfigError::UnknownAlgorithm),
        }
    }

    /// A verifier of tokens signed with HS256.
    pub fn hs256(secret: &[u8], default_tenant: Option<TenantId>) -> Result<Self, ConfigError> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(ConfigError::WeakSecret);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        // The time is an argument of `verify`; the library would read the clock.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        // The secret is for Livefold's tokens alone, so that every token signed with it is meant for us.
        validation.validate_aud = false;
        Ok(Self { key: DecodingKey::from_secret(secret), validation, default_tenant })
    }

    /// Whom the token speaks for.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
        let mut claims = self.claims(token)?;
        let expires_at = claims.exp.map(date).ok_or(Unauthorized::NoExpiry)?;
        if now >= expires_at.plus(LEEWAY) {
            return Err(Unauthorized::Expired.into());
        }
        if claims.nbf.is_some_and(|nbf| date(nbf) > now.plus(LEEWAY)) {
            return Err(Unauthorized::NotYetValid.into());
        }
        let principal = Principal {
            tenant: claims.tenant(self.default_tenant.as_ref())?,
            user: claims.user()?,
            permissions: claims.permissions(),
            expires_at,
        };
        if may_read(&principal) { Ok(principal) } else { Err(AuthError::Forbidden) }
    }

    /// What a token claims whose signature fits.
    fn claims(&self, token: &str) -> Result<Claims, Unauthorized> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Unauthorized::TooLarge);
        }
        let decoded = decode::<Claims>(token, &self.key, &self.validation);
        // The library's own texts may repeat claims.
        decoded.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Unauthorized::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Unauthorized::Algorithm,
            _ => Unauthorized::Malformed,
        })
    }
}
