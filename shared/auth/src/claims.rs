//! What a token claims.

use projections::{TenantId, Timestamp};
use serde::Deserialize;

use crate::verifier::Unauthorized;

/// The longest user id; it becomes part of a key, and of logs.
const MAX_USER_BYTES: usize = 256;

/// The claims that we look at. A token that names one of them twice is malformed: whoever issued it and we might not
/// mean the same one.
#[derive(Deserialize)]
pub(crate) struct Claims {
    /// Seconds since 1970, possibly with a fraction (RFC 7519 §2, `NumericDate`).
    pub(crate) exp: Option<f64>,
    pub(crate) nbf: Option<f64>,
    sub: Option<String>,
    tenant_id: Option<String>,
    #[serde(rename = "tenantId")]
    tenant_id_camel: Option<String>,
    org_id: Option<String>,
    #[serde(rename = "organizationId")]
    organization_id: Option<String>,
    #[serde(rename = "custom:tenant_id")]
    cognito_tenant_id: Option<String>,
    permissions: Option<Vec<String>>,
    scope: Option<String>,
}

impl Claims {
    /// The user.
    pub(crate) fn user(&mut self) -> Result<String, Unauthorized> {
        let is_user = |user: &String| (1..=MAX_USER_BYTES).contains(&user.len()) && !user.chars().any(char::is_control);
        self.sub.take().filter(is_user).ok_or(Unauthorized::NoSubject)
    }

    /// The tenant; the default only where none is claimed, never in the place of one that is no tenant.
    pub(crate) fn tenant(&self, default: Option<&TenantId>) -> Result<TenantId, Unauthorized> {
        let claimed = self
            .tenant_id
            .as_ref()
            .or(self.tenant_id_camel.as_ref())
            .or(self.org_id.as_ref())
            .or(self.organization_id.as_ref())
            .or(self.cognito_tenant_id.as_ref());
        match claimed {
            Some(tenant) => TenantId::parse(tenant).map_err(|_| Unauthorized::BadTenant),
            None => default.cloned().ok_or(Unauthorized::NoTenant),
        }
    }

    /// The permissions; the words of `scope` only where there is no list of them.
    pub(crate) fn permissions(&mut self) -> Vec<String> {
        let words = |scope: String| scope.split_whitespace().map(str::to_owned).collect();
        self.permissions.take().or_else(|| self.scope.take().map(words)).unwrap_or_default()
    }
}

/// The point in time that a claim names.
pub(crate) fn date(seconds: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and a timestamp is clamped")]
    Timestamp::from_millis((seconds * 1000.0) as i64)
}
