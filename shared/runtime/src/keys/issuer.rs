//! The key set of an `OpenID` Connect issuer: Cognito, Auth0 and all others.

use std::time::Duration;

use auth::{KeySet, KeySource, Unfetched};
use futures_util::{FutureExt, future::BoxFuture};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;

use crate::ConfigError;

/// A verification may wait for this; API Gateway gives up on a handshake after 29 s.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The largest document that is read. Key sets have a few kilobytes.
const MAX_BYTES: usize = 256 * 1024;

/// Where an issuer says where its keys are. <https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig>
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An issuer, asked over HTTPS.
pub(crate) struct Issuer {
    http: Client,
    name: String,
    discovery: Url,
    key_set: Option<Url>,
}

/// What we read of an issuer's configuration.
#[derive(Deserialize)]
struct Configuration {
    issuer: String,
    jwks_uri: String,
}

impl Issuer {
    /// The issuer of this name; its key set is where `key_set_url` says or, without one, where it says itself.
    pub(crate) fn new(name: &str, key_set_url: Option<String>) -> Result<Self, ConfigError> {
        let url = |text: &str, variable| {
            trusted(text).ok_or_else(|| ConfigError::Invalid { name: variable, expected: "an https URL".to_owned() })
        };
        let discovery = url(&format!("{}{DISCOVERY}", name.trim_end_matches('/')), "TOKEN_ISSUER")?;
        let key_set = key_set_url.map(|text| url(&text, "TOKEN_KEY_SET_URL")).transpose()?;
        // Whom we trust is configured; nobody else is to say that it is elsewhere now.
        let http = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
        let http = http.map_err(|_| ConfigError::Invalid {
            name: "TOKEN_SIGNING",
            expected: "usable here: TLS has no root certificates".to_owned(),
        })?;
        Ok(Self { http, name: name.to_owned(), discovery, key_set })
    }

    async fn key_set_url(&self) -> Result<Url, Unfetched> {
        if let Some(url) = &self.key_set {
            return Ok(url.clone());
        }
        let document = self.document(&self.discovery).await?;
        let configuration: Configuration = serde_json::from_slice(&document)
            .map_err(|_| Unfetched("the issuer's configuration is not of its form".to_owned()))?;
        if configuration.issuer != self.name {
            return Err(Unfetched("the issuer's configuration is another issuer's".to_owned()));
        }
        trusted(&configuration.jwks_uri).ok_or_else(|| Unfetched("the issuer's keys are at no https URL".to_owned()))
    }

    async fn document(&self, url: &Url) -> Result<Vec<u8>, Unfetched> {
        // Its own text names the URL, which may hold what nobody is to read.
        let failed = |error: reqwest::Error| Unfetched(format!("the issuer: {}", error.without_url()));
        let mut response = self.http.get(url.clone()).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(Unfetched(format!("the issuer answers {}", response.status())));
        }
        let mut document = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_BYTES {
                return Err(Unfetched("the issuer's answer is too large".to_owned()));
            }
        }
        Ok(document)
    }
}

impl KeySource for Issuer {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, Unfetched>> {
        async {
            let url = self.key_set_url().await?;
            let document = self.document(&url).await?;
            KeySet::from_jwks(&document).map_err(|error| Unfetched(format!("the issuer's keys: {error}")))
        }
        .boxed()
    }
}

/// A URL that nobody on the way can answer for: https, or this very machine.
fn trusted(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    (url.scheme() == "https" || (url.scheme() == "http" && is_here)).then_some(url)
}

#[cfg(test)]
mod tests {
    use axum::{Router, http::StatusCode, routing::get};
    use tokio::net::TcpListener;

    use super::*;

    /// A P-256 key, of RFC 7517 §A.1.
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

    /// An issuer on this machine that answers its two documents so; `{}` in the first is where it is.
    async fn issuer(configuration: &str, keys: (StatusCode, String)) -> (Issuer, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let name = format!("http://{}", listener.local_addr().unwrap());
        let configuration = configuration.replace("{}", &name);
        let routes = Router::new()
            .route(DISCOVERY, get(|| async { configuration }))
            .route("/keys", get(|| async { keys }))
            .route("/elsewhere", get(|| async { (StatusCode::FOUND, [("location", "/keys")]) }));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (Issuer::new(&name, None).unwrap(), name)
    }

    const HERE: &str = r#"{"issuer":"{}","jwks_uri":"{}/keys"}"#;

    #[tokio::test]
    async fn the_keys_are_where_the_issuer_says() {
        let (issuer, _) = issuer(HERE, (StatusCode::OK, KEYS.to_owned())).await;
        issuer.fetch().await.unwrap();
    }

    #[tokio::test]
    async fn the_keys_may_be_where_we_say() {
        let (_, name) = issuer("nothing", (StatusCode::OK, KEYS.to_owned())).await;
        Issuer::new("https://auth.example", Some(format!("{name}/keys"))).unwrap().fetch().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_not_as_it_should_be_gives_no_keys() {
        let large = " ".repeat(MAX_BYTES + 1);
        for (configuration, status, keys) in [
            (r#"{"issuer":"https://other.example","jwks_uri":"{}/keys"}"#, 200, KEYS),
            (r#"{"issuer":"{}","jwks_uri":"http://auth.example/keys"}"#, 200, KEYS),
            (r#"{"issuer":"{}","jwks_uri":"{}/elsewhere"}"#, 200, KEYS),
            ("<html>", 200, KEYS),
            (HERE, 500, KEYS),
            (HERE, 200, "<html>"),
            (HERE, 200, &large),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let (issuer, name) = issuer(configuration, (status, keys.to_owned())).await;
            let error = issuer.fetch().await.expect_err(configuration);
            assert!(!error.to_string().contains(&name), "{error}");
        }
        let nobody = Issuer::new("http://127.0.0.1:1", None).unwrap();
        assert!(nobody.fetch().await.is_err());
    }

    #[test]
    fn only_https_is_trusted_but_for_this_machine() {
        for good in
            ["https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a", "http://localhost:9", "http://127.0.0.1:9"]
        {
            assert!(Issuer::new(good, None).is_ok(), "{good}");
        }
        for bad in ["http://auth.example", "http://localhost.example", "ftp://localhost", "auth.example", ""] {
            assert!(Issuer::new(bad, None).is_err(), "{bad}");
            assert!(Issuer::new("https://auth.example", Some(bad.to_owned())).is_err(), "{bad}");
        }
    }
}
