//! Tokens for the local system.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use projections::Timestamp;
use serde::Serialize;

use crate::clock::now;

/// What the local system signs and verifies tokens with. It protects nothing: it stands here for all to read, and the
/// local system listens on the loopback interface only.
pub(crate) const LOCAL_SECRET: &str = "livefold-local-secret-not-for-any-deployment";

/// The tenant of whoever does not say.
pub(crate) const DEFAULT_TENANT: &str = "acme";

/// What is needed to connect and to read.
pub(crate) const READ_LIVE: &str = "dashboard:read:live";

/// Mints a token for the local system.
#[derive(Args, Clone, Debug)]
pub(crate) struct Token {
    /// Whose data it opens
    #[arg(long, default_value = DEFAULT_TENANT)]
    pub(crate) tenant: String,
    /// Whom it names
    #[arg(long, default_value = "dev")]
    pub(crate) user: String,
    /// What it permits; may be given several times
    #[arg(long = "permission", default_value = READ_LIVE)]
    pub(crate) permissions: Vec<String>,
    /// How long it is valid
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant_id: &'a str,
    permissions: &'a [String],
    iat: i64,
    exp: i64,
}

/// Prints the token, and nothing else to standard output, so that `$(cargo dev token)` is one.
#[expect(clippy::unused_async, reason = "called as all subcommands are")]
pub(crate) async fn run(args: Token) -> anyhow::Result<()> {
    let token = mint(&args.tenant, &args.user, &args.permissions, args.ttl, now())?;
    writeln!(io::stdout(), "{token}")?;
    Ok(())
}

/// A token of the local system, valid from `now` on for `ttl`.
pub(crate) fn mint(
    tenant: &str,
    user: &str,
    permissions: &[String],
    ttl: Duration,
    now: Timestamp,
) -> anyhow::Result<String> {
    let claims =
        Claims { sub: user, tenant_id: tenant, permissions, iat: now.as_seconds(), exp: now.plus(ttl).as_seconds() };
    encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(LOCAL_SECRET.as_bytes()))
        .context("the token cannot be signed")
}

#[cfg(test)]
mod tests {
    use auth::Verifier;

    use super::*;

    fn noon() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn minted(permission: &str) -> String {
        mint("acme", "dev", &[permission.to_owned()], Duration::from_hours(1), noon()).unwrap()
    }

    #[test]
    fn a_minted_token_is_accepted_until_it_expires() {
        let verifier = Verifier::hs256(LOCAL_SECRET.as_bytes(), None).unwrap();
        let token = minted(READ_LIVE);
        let principal = verifier.verify(&token, noon().plus(Duration::from_secs(3500))).unwrap();
        assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "dev"));
        assert_eq!(principal.permissions, [READ_LIVE]);
        assert!(verifier.verify(&token, noon().plus(Duration::from_mins(65))).is_err());
    }

    #[test]
    fn a_token_without_the_permission_is_refused() {
        let verifier = Verifier::hs256(LOCAL_SECRET.as_bytes(), None).unwrap();
        assert!(verifier.verify(&minted("other"), noon()).is_err());
    }
}
