//! Which tenant a token claims to be of.

use std::collections::HashMap;

use projections::TenantId;
use serde::Deserialize;
use serde_json::Value;

use crate::error::Unauthorized;

/// What names an organisation, in the words of issuers: a claim of which a word begins like one of these looks like a
/// tenant.
const TENANT_WORDS: [&str; 5] = ["org", "tenant", "account", "company", "workspace"];

/// The claims that name the tenant, in their order, and all others of the token, of which none may look like one where
/// the default tenant is to count.
#[derive(Deserialize)]
pub(crate) struct TenantClaims {
    tenant_id: Option<Value>,
    #[serde(rename = "tenantId")]
    tenant_id_camel: Option<Value>,
    org_id: Option<Value>,
    #[serde(rename = "organizationId")]
    organization_id: Option<Value>,
    #[serde(rename = "custom:tenant_id")]
    cognito_tenant_id: Option<Value>,
    #[serde(flatten)]
    others: HashMap<String, Value>,
}

impl TenantClaims {
    /// The tenant: the first of the claims that is there, which has to be one. The default counts only where the token
    /// names no organisation at all: one that we cannot read is another one's, and not nobody's.
    pub(crate) fn tenant(&self, default: Option<&TenantId>) -> Result<TenantId, Unauthorized> {
        let claimed =
            [&self.tenant_id, &self.tenant_id_camel, &self.org_id, &self.organization_id, &self.cognito_tenant_id];
        if let Some(claimed) = claimed.into_iter().flatten().next() {
            let tenant = claimed.as_str().and_then(|tenant| TenantId::parse(tenant).ok());
            return tenant.ok_or(Unauthorized::BadTenant);
        }
        let is_there = |(_, value): &(&String, &Value)| !value.is_null();
        if let Some(word) = self.others.iter().filter(is_there).find_map(|(name, value)| tenant_word(name, value)) {
            return Err(Unauthorized::UnknownTenantClaim(word));
        }
        default.cloned().ok_or(Unauthorized::NoTenant)
    }
}

/// What in a claim looks like a tenant: a word of its name, or Firebase's `tenant` within `firebase`. A word of what an
/// issuer puts before the name (`custom:`, `https://example.org/`) is none of it.
fn tenant_word(name: &str, value: &Value) -> Option<&'static str> {
    if name == "firebase" {
        return value.get("tenant").filter(|tenant| !tenant.is_null()).and(Some("tenant"));
    }
    let own_name = name.rsplit(['/', ':', '#', '|', '.']).find(|part| !part.is_empty())?;
    words(own_name).iter().find_map(|word| TENANT_WORDS.into_iter().find(|tenant| word.starts_with(tenant)))
}

/// The words of a name in lower case, however they are put together: `org_id`, `org-id`, `orgId`, `OrgID`.
fn words(name: &str) -> Vec<String> {
    let mut spaced = String::with_capacity(name.len() + 8);
    let mut is_after_lower = false;
    for letter in name.chars() {
        if is_after_lower && letter.is_uppercase() {
            spaced.push(' ');
        }
        is_after_lower = letter.is_lowercase() || letter.is_numeric();
        spaced.extend(letter.to_lowercase().map(|letter| if letter.is_alphanumeric() { letter } else { ' ' }));
    }
    spaced.split_whitespace().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tenant(claims: Value) -> Result<String, Unauthorized> {
        let house = TenantId::parse("house").unwrap();
        let claims: TenantClaims = serde_json::from_value(claims).unwrap();
        claims.tenant(Some(&house)).map(|tenant| tenant.to_string())
    }

    #[test]
    fn a_claim_that_looks_like_a_tenant_keeps_the_default_from_counting_however_it_is_written() {
        for (name, word) in [
            ("orgId", "org"),
            ("ORG", "org"),
            ("org-id", "org"),
            ("org_name", "org"),
            ("organization", "org"),
            ("organisationId", "org"),
            ("x_org_id", "org"),
            ("activeOrg", "org"),
            ("tenant", "tenant"),
            ("TenantID", "tenant"),
            ("https://example.com/tenant/", "tenant"),
            ("urn:example:tenant_id", "tenant"),
            ("https://example.com/claims#tenant-id", "tenant"),
            ("com.example.tenant", "tenant"),
            ("custom:orgId", "org"),
            ("custom:account", "account"),
            ("accountId", "account"),
            ("company_id", "company"),
            ("companyName", "company"),
            ("https://x/workspace", "workspace"),
            ("workspaces", "workspace"),
        ] {
            for value in
                [json!("globex"), json!(""), json!(7), json!(["globex"]), json!({ "id": "globex" }), json!(false)]
            {
                let claims = json!({ "sub": "ann", name: value });
                assert_eq!(tenant(claims), Err(Unauthorized::UnknownTenantClaim(word)), "{name}: {value}");
            }
            assert_eq!(tenant(json!({ name: null })).as_deref(), Ok("house"), "{name} is there and holds nothing");
        }
        assert_eq!(
            tenant(json!({ "firebase": { "sign_in_provider": "custom", "tenant": "globex-x1" } })),
            Err(Unauthorized::UnknownTenantClaim("tenant"))
        );
    }

    #[test]
    fn what_issuers_put_into_every_token_leaves_the_default_in_its_place() {
        let cognito = json!({
            "sub": "s", "cognito:groups": ["g"], "cognito:username": "ann", "iss": "i", "version": 2, "client_id": "c",
            "origin_jti": "o", "event_id": "e", "token_use": "access", "scope": "openid", "auth_time": 1, "exp": 2,
            "iat": 1, "jti": "j", "username": "ann", "identities": [{ "providerName": "x" }], "custom:department": "d",
        });
        let auth0 = json!({
            "iss": "i", "sub": "auth0|s", "aud": ["a"], "iat": 1, "exp": 2, "azp": "z", "scope": "openid", "gty": "password",
            "permissions": [], "https://example.org/roles": ["r"], "https://org.example/plan": "gold",
        });
        let keycloak = json!({
            "jti": "j", "typ": "Bearer", "azp": "a", "session_state": "s", "acr": "1", "allowed-origins": ["*"], "sid": "s",
            "realm_access": { "roles": ["r"] }, "resource_access": { "account": { "roles": ["manage-account"] } },
            "preferred_username": "ann", "email_verified": true,
        });
        let entra = json!({
            "aud": "a", "iss": "i", "acct": 0, "oid": "o", "tid": "t", "ver": "2.0", "upn": "u", "wids": ["w"], "rh": "r",
        });
        let firebase = json!({
            "name": "Ann", "firebase": { "identities": {}, "sign_in_provider": "google.com", "tenant": null },
        });
        for claims in [cognito, auth0, keycloak, entra, firebase, json!({})] {
            assert_eq!(tenant(claims.clone()).as_deref(), Ok("house"), "{claims}");
        }
    }

    #[test]
    fn a_tenant_that_is_claimed_and_cannot_be_one_is_never_replaced_by_another() {
        for name in ["tenant_id", "tenantId", "org_id", "organizationId", "custom:tenant_id"] {
            for value in
                [json!(""), json!(7), json!(true), json!(["acme"]), json!({ "id": "acme" }), json!("a b"), json!("a#b")]
            {
                assert_eq!(tenant(json!({ name: value })), Err(Unauthorized::BadTenant), "{name}: {value}");
            }
            assert_eq!(tenant(json!({ name: "acme", "orgName": "Acme Inc." })).as_deref(), Ok("acme"));
        }
        // The first that is there counts, usable or not.
        assert_eq!(tenant(json!({ "tenant_id": 7, "org_id": "acme" })), Err(Unauthorized::BadTenant));
    }
}
