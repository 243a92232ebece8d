//! Letting a REST request in.

use auth::{Credential, Origins, Principal, Verifier};
use futures_util::future::try_join;
use http::HeaderMap;
use projections::Timestamp;
use protocol::ErrorCode;
use runtime::{Clients, ConfigError, Variables};
use store::{Requests, Revocations};

use crate::Refusal;

/// What lets REST requests in: the same for every path that wants a token.
pub struct RestAdmission {
    /// Who tells whom a token speaks for.
    pub verifier: Verifier,
    /// Whose pages may ask.
    pub origins: Origins,
    /// Which tokens count no longer.
    pub revocations: Revocations,
    /// How often users ask.
    pub requests: Requests,
    /// How often they may.
    pub requests_per_minute: u64,
}

impl RestAdmission {
    /// What the function's variables describe.
    pub async fn new(clients: &Clients, variables: Variables) -> Result<Self, ConfigError> {
        Ok(Self {
            verifier: clients.verifier().await?,
            origins: variables.origins()?,
            revocations: clients.revocations()?,
            requests: clients.requests()?,
            requests_per_minute: variables.number("REQUESTS_PER_MINUTE", 1..=100_000)?,
        })
    }

    /// Who asks. Those who may not come in are written into the audit trail, and what they are to be told is returned.
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        source_ip: Option<&str>,
        now: Timestamp,
    ) -> Result<Principal, ErrorCode> {
        self.identify(headers, now).await.map_err(|refusal| {
            refusal.record(None, source_ip);
            refusal.code
        })
    }

    async fn identify(&self, headers: &HeaderMap, now: Timestamp) -> Result<Principal, Refusal> {
        let presented = auth::request(headers)?;
        self.origins.check(&presented)?;
        let Some((_, Credential::Token(token))) = presented.credential else {
            return Err(Refusal::because(ErrorCode::Unauthorized, "no token"));
        };
        let principal = self.verifier.verify(token, now).await?;
        // Neither waits for the other: a request that is refused may well be counted.
        let is_revoked = self.revocations.is_revoked(&principal);
        let counted = self.requests.count(&principal.tenant, &principal.user, now);
        let code = match try_join(is_revoked, counted).await {
            Err(error) => return Err(Refusal::from(error).of(&principal)),
            Ok((true, _)) => ErrorCode::Revoked,
            Ok((false, requests)) if requests > self.requests_per_minute => ErrorCode::RateLimited,
            Ok(_) => return Ok(principal),
        };
        Err(Refusal::from(code).of(&principal))
    }
}
