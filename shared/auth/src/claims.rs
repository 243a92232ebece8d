//! What a token claims.

use projections::Timestamp;
use serde::Deserialize;

use crate::{
    ChannelPattern, Principal,
    error::Unauthorized,
    expectations::{Expectations, LEEWAY},
    principal::is_user,
    tenant_claims::TenantClaims,
};

/// The most channels that a token may list. They are kept with its connection, and gone through at every `subscribe`.
const MAX_CHANNELS: usize = 100;

/// The longest of these; the name of a channel is shorter.
const MAX_CHANNEL_BYTES: usize = 200;

/// What Cognito's access tokens have in `token_use`, and a client's id in `client_id` where others have `aud`.
const ACCESS: &str = "access";

/// The claims that we look at. A token that names one of them twice is malformed: whoever issued it and we might not
/// mean the same one.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    client_id: Option<String>,
    token_use: Option<String>,
    /// Seconds since 1970, possibly with a fraction (RFC 7519 §2, `NumericDate`).
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    sub: Option<String>,
    permissions: Option<Vec<String>>,
    scope: Option<String>,
    channels: Option<Vec<String>>,
    #[serde(flatten)]
    tenant: TenantClaims,
}

/// RFC 7519 §4.1.3: one text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Claims {
    /// Whom the token speaks for, if it is meant for us and counts at this time.
    pub(crate) fn principal(mut self, expected: &Expectations, now: Timestamp) -> Result<Principal, Unauthorized> {
        self.check_issuer(expected)?;
        self.check_audience(expected)?;
        let latest = now.plus(LEEWAY);
        let expires_at = date(self.exp)?.ok_or(Unauthorized::NoExpiry)?.plus(LEEWAY);
        let not_before = date(self.nbf)?;
        let issued_at = date(self.iat)?;
        if now >= expires_at {
            return Err(Unauthorized::Expired);
        }
        if not_before.is_some_and(|not_before| not_before > latest) {
            return Err(Unauthorized::NotYetValid);
        }
        if issued_at.is_some_and(|issued_at| issued_at > latest) {
            return Err(Unauthorized::IssuedInFuture);
        }
        Ok(Principal {
            tenant: self.tenant.tenant(expected.default_tenant.as_ref())?,
            user: self.user()?,
            permissions: self.permissions(),
            channels: self.channels()?,
            issued_at: issued_at.unwrap_or(Timestamp::EPOCH),
            expires_at,
        })
    }

    fn check_issuer(&self, expected: &Expectations) -> Result<(), Unauthorized> {
        let is_ours = expected.issuer.is_none() || self.iss == expected.issuer;
        is_ours.then_some(()).ok_or(Unauthorized::Issuer)
    }

    /// An audience that is there decides alone; only where there is none does Cognito's client id stand for it.
    fn check_audience(&self, expected: &Expectations) -> Result<(), Unauthorized> {
        let is_ours = |audience: &String| expected.audiences.contains(audience);
        let is_for_us = match &self.aud {
            _ if expected.audiences.is_empty() => true,
            Some(Audience::One(audience)) => is_ours(audience),
            Some(Audience::Several(audiences)) => audiences.iter().any(is_ours),
            None => self.token_use.as_deref() == Some(ACCESS) && self.client_id.as_ref().is_some_and(is_ours),
        };
        is_for_us.then_some(()).ok_or(Unauthorized::Audience)
    }

    fn user(&mut self) -> Result<String, Unauthorized> {
        self.sub.take().filter(|user| is_user(user)).ok_or(Unauthorized::NoSubject)
    }

    /// The permissions; the words of `scope` only where there is no list of them.
    fn permissions(&mut self) -> Vec<String> {
        let words = |scope: String| scope.split_whitespace().map(str::to_owned).collect();
        self.permissions.take().or_else(|| self.scope.take().map(words)).unwrap_or_default()
    }

    fn channels(&mut self) -> Result<Option<Vec<ChannelPattern>>, Unauthorized> {
        let Some(channels) = self.channels.take() else { return Ok(None) };
        if channels.len() > MAX_CHANNELS || channels.iter().any(|channel| channel.len() > MAX_CHANNEL_BYTES) {
            return Err(Unauthorized::Malformed);
        }
        Ok(Some(channels.into_iter().map(ChannelPattern::new).collect()))
    }
}

/// The point in time that a claim names. One before 1970 is none: a clock that has not been set, or an overflow.
fn date(seconds: Option<f64>) -> Result<Option<Timestamp>, Unauthorized> {
    let Some(seconds) = seconds else { return Ok(None) };
    if !seconds.is_finite() || seconds < 0.0 {
        return Err(Unauthorized::Malformed);
    }
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and a timestamp is clamped")]
    Ok(Some(Timestamp::from_millis((seconds * 1000.0) as i64)))
}
