//! What a token must claim to be meant for us.

use std::time::Duration;

use projections::TenantId;

/// How far the issuer's clock and ours may differ. Both are kept by NTP; this is what it may be off while it recovers.
pub const LEEWAY: Duration = Duration::from_secs(5);

/// What a token must claim to be meant for us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectations {
    /// Its `iss`, exactly; any where this is `None`.
    pub issuer: Option<String>,
    /// One of these must be its audience, or the client id of an access token of Cognito's. Empty: not checked, which
    /// is right only where the keys sign tokens for us alone.
    pub audiences: Vec<String>,
    /// The tenant of a token that names no organisation at all; where there is no default, such a token is refused.
    pub default_tenant: Option<TenantId>,
}
