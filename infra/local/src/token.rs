//! Tokens for the local system.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::Context as _;
use auth::{KeySet, Verifier};
use clap::Args;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use projections::{TenantId, Timestamp, id::BadId};
use serde::Serialize;

use crate::clock::now;

/// What the local system signs and verifies tokens with. It protects nothing: it stands here for all to read, and the
/// local system listens on the loopback interface only.
pub(crate) const LOCAL_SECRET: &str = "livefold-local-secret-not-for-any-deployment";

/// The tenant of whoever does not say.
pub(crate) const DEFAULT_TENANT: &str = "acme";

/// Mints a token for the local system.
#[derive(Args, Clone, Debug)]
pub(crate) struct Token {
    /// Whose data it opens
    #[arg(long, default_value = DEFAULT_TENANT, value_parser = tenant)]
    pub(crate) tenant: String,
    /// Whom it names
    #[arg(long, default_value = "dev")]
    pub(crate) user: String,
    /// What it permits; may be given several times
    #[arg(long = "permission", value_name = "PERMISSION", default_value = auth::READ_LIVE)]
    pub(crate) permissions: Vec<String>,
    /// The only channels that it is for, as campaign:c-1 or event:*; may be given several times
    #[arg(long = "channel", value_name = "PATTERN")]
    pub(crate) channels: Vec<String>,
    /// How long it is valid
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub(crate) ttl: Duration,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    tenant_id: &'a str,
    permissions: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    channels: &'a [String],
    iat: i64,
    exp: i64,
}

/// Prints the token, and nothing else to standard output, so that `$(cargo dev token)` is one.
pub(crate) async fn run(args: Token) -> anyhow::Result<()> {
    writeln!(io::stdout(), "{}", args.mint_checked(now()).await?)?;
    Ok(())
}

/// A tenant as functions take it.
pub(crate) fn tenant(text: &str) -> Result<String, BadId> {
    TenantId::parse(text).map(|tenant| tenant.to_string())
}

impl Token {
    /// A token that permits to connect and to read.
    pub(crate) fn to_read(tenant: &str, user: &str, ttl: Duration) -> Self {
        let permissions = vec![auth::READ_LIVE.to_owned()];
        Self { tenant: tenant.to_owned(), user: user.to_owned(), permissions, channels: Vec::new(), ttl }
    }

    /// The signed token, valid from `now` on.
    pub(crate) fn mint(&self, now: Timestamp) -> anyhow::Result<String> {
        let claims = Claims {
            sub: &self.user,
            tenant_id: &self.tenant,
            permissions: &self.permissions,
            channels: &self.channels,
            iat: now.as_seconds(),
            exp: now.plus(self.ttl).as_seconds(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(LOCAL_SECRET.as_bytes()))
            .context("the token cannot be signed")
    }

    /// The signed token; an error with the reason if functions would refuse it.
    pub(crate) async fn mint_checked(&self, now: Timestamp) -> anyhow::Result<String> {
        let token = self.mint(now)?;
        let verifier = Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET])?, None);
        verifier.verify(&token, now).await.context("such a token would be refused")?;
        Ok(token)
    }
}

#[cfg(test)]
mod tests {
    use auth::{Action, Principal, allows};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        token: Token,
    }

    fn noon() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    /// What the token of a command line is to the functions, so long after it was minted.
    async fn principal(arguments: &[&str], later: Duration) -> Option<Principal> {
        let command = Command::parse_from(["token"].iter().chain(arguments));
        let verifier = Verifier::fixed(KeySet::from_secrets([LOCAL_SECRET]).unwrap(), None);
        verifier.verify(&command.token.mint(noon()).unwrap(), noon().plus(later)).await.ok()
    }

    #[tokio::test]
    async fn a_minted_token_is_accepted_until_it_expires() {
        let principal_then = principal(&[], Duration::from_secs(3500)).await.unwrap();
        assert_eq!((principal_then.tenant.as_str(), principal_then.user.as_str()), ("acme", "dev"));
        assert!(allows(&principal_then, Action::Connect));
        assert!(allows(&principal_then, Action::Read(&"campaign:c-1".parse().unwrap())));
        assert!(principal(&[], Duration::from_mins(65)).await.is_none());
    }

    #[tokio::test]
    async fn a_token_permits_what_the_command_line_says_and_no_more() {
        let arguments = ["--permission", auth::READ_LIVE, "--permission", auth::REVOKE];
        assert!(allows(&principal(&arguments, Duration::ZERO).await.unwrap(), Action::Revoke));
        let other = principal(&["--permission", "other"], Duration::ZERO).await.unwrap();
        assert!(!allows(&other, Action::Connect));
    }

    #[tokio::test]
    async fn a_token_may_be_for_some_channels_alone() {
        let arguments = ["--channel", "campaign:c-1", "--channel", "event:*"];
        let principal = principal(&arguments, Duration::ZERO).await.unwrap();
        let may_read = |channel: &str| allows(&principal, Action::Read(&channel.parse().unwrap()));
        assert!(may_read("campaign:c-1") && may_read("event:e"));
        assert!(!may_read("campaign:c-2") && !may_read("system"));
    }

    #[test]
    fn a_tenant_that_no_function_would_take_is_refused_with_the_reason() {
        let error = Command::try_parse_from(["token", "--tenant", "a b"]).err().unwrap().to_string();
        assert!(error.contains("1 to 128 of A-Z a-z 0-9"), "{error}");
    }

    #[tokio::test]
    async fn a_token_that_would_be_refused_is_not_given_out() {
        let nobody = Command::parse_from(["token", "--user", ""]);
        let error = nobody.token.mint_checked(noon()).await.unwrap_err();
        assert!(error.to_string().contains("would be refused"), "{error:#}");
        assert!(Command::parse_from(["token"]).token.mint_checked(noon()).await.is_ok());
    }
}
