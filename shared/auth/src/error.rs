//! Why a token opens nothing. No text in here holds anything of the token.

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Nobody knows who asks: 401. A new token helps.
    #[error("unauthorized: {0}")]
    Unauthorized(#[from] Unauthorized),
    /// No key is known, and none could be fetched: 503. Trying again later helps.
    #[error("there are no keys to verify tokens with")]
    Unavailable,
}

/// What is wrong with a token. For the log; a client is told no more than that it is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Unauthorized {
    #[error("the token is too large")]
    TooLarge,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token demands an extension that is not known")]
    Critical,
    #[error("the token is of another type")]
    Type,
    #[error("the token is signed with another algorithm")]
    Algorithm,
    #[error("the token's key is not known")]
    UnknownKey,
    #[error("the signature does not fit")]
    Signature,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token never expires")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token was issued in the future")]
    IssuedInFuture,
    #[error("the token names no user")]
    NoSubject,
    #[error("the token names no tenant")]
    NoTenant,
    #[error("the token names a tenant in a claim ({0}…) that is none of those that count")]
    UnknownTenantClaim(&'static str),
    #[error("the token's tenant cannot be one: it is empty, no text or holds other characters than an id does")]
    BadTenant,
}
