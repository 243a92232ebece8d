//! Where the keys that tokens are verified with come from: a secret of ours, or an issuer's key set.

mod issuer;
mod secret;

use std::sync::Arc;

use auth::{Expectations, KeySource, Verifier};
use aws_config::SdkConfig;

use crate::{ConfigError, Variables};
use issuer::Issuer;
use secret::Secret;

/// The verifier that the variables describe. Nothing is fetched yet.
pub(crate) fn verifier(variables: Variables, sdk: &SdkConfig) -> Result<Verifier, ConfigError> {
    let audiences = variables.optional("TOKEN_AUDIENCE").unwrap_or_default();
    let audiences: Vec<String> =
        audiences.split(',').map(str::trim).filter(|audience| !audience.is_empty()).map(str::to_owned).collect();
    let default_tenant = variables.tenant("DEFAULT_TENANT")?;
    let (source, issuer): (Arc<dyn KeySource>, _) = match variables.required("TOKEN_SIGNING")?.as_str() {
        "secret" => {
            let secret = Secret::new(sdk, variables.required("TOKEN_SECRET_ID")?);
            (Arc::new(secret), variables.optional("TOKEN_ISSUER"))
        }
        "issuer" => {
            let issuer = variables.required("TOKEN_ISSUER")?;
            // An issuer signs for many; without an audience, a token for any of them would open this one.
            if audiences.is_empty() {
                return Err(ConfigError::Missing("TOKEN_AUDIENCE"));
            }
            (Arc::new(Issuer::new(&issuer, variables.optional("TOKEN_KEY_SET_URL"))?), Some(issuer))
        }
        _ => return Err(ConfigError::Invalid { name: "TOKEN_SIGNING", expected: "secret or issuer".to_owned() }),
    };
    Ok(Verifier::new(source, Expectations { issuer, audiences, default_tenant }))
}
