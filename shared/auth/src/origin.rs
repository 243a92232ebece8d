//! Which pages may speak to us.

use std::{collections::BTreeSet, net::Ipv6Addr};

use http::Uri;

use crate::{AuthRequest, AuthRequestError, Source};

/// The origins of our pages. A browser says whose page it is that asks, and no page can change that; what is no browser
/// says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(BTreeSet<String>);

/// A setting that cannot be followed. The function does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// No browser would ever send this as its page's origin, or it stands for more than one.
    #[error(
        "{0:?} is no origin as browsers send it: scheme://host, or scheme://host:port where it is not the usual one"
    )]
    Origin(String),
}

impl Origins {
    /// From a list with commas. An empty text is none: then no page may speak to us.
    pub fn parse(list: &str) -> Result<Self, ConfigError> {
        if list.trim().is_empty() {
            return Ok(Self::default());
        }
        let origin = |entry: &str| {
            let is_origin = is_origin(entry).unwrap_or(false);
            is_origin.then(|| entry.to_owned()).ok_or_else(|| ConfigError::Origin(entry.to_owned()))
        };
        list.split(',').map(str::trim).map(origin).collect::<Result<_, _>>().map(Self)
    }

    /// Refuses what comes from another page than ours. Browsers send cookies along whichever page asks, so that one
    /// counts only with an origin beside it; against other pages that is all the protection there is for a WebSocket.
    pub fn check(&self, presented: &AuthRequest<'_>) -> Result<(), AuthRequestError> {
        match (presented.origin, presented.credential) {
            (Some(origin), _) if self.0.contains(origin) => Ok(()),
            (Some(_), _) => Err(AuthRequestError::Origin),
            (None, Some((Source::Cookie, _))) => Err(AuthRequestError::OriginMissing),
            (None, _) => Ok(()),
        }
    }
}

/// Whether a browser could send this (RFC 6454 §6.2): scheme and host in lower case, a port only if it is not the
/// scheme's own, nothing else.
fn is_origin(entry: &str) -> Option<bool> {
    let uri: Uri = entry.parse().ok()?;
    let (scheme, host) = (uri.scheme_str()?, uri.host()?);
    let usual_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    let port = uri.port_u16();
    let of_parts = match port {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    };
    // Whatever else the entry held is missing in what its parts make.
    Some(of_parts == entry && port != Some(usual_port) && port != Some(0) && is_host(host))
}

/// Whether it is a name or an address as browsers write it; a wildcard is neither.
fn is_host(host: &str) -> bool {
    let is_name_byte = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    match host.strip_prefix('[').and_then(|address| address.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => !host.is_empty() && !host.starts_with('.') && host.bytes().all(is_name_byte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Credential;

    const OURS: &str = "https://dashboard.example";

    fn presented(origin: Option<&'static str>, source: Option<Source>) -> AuthRequest<'static> {
        let credential = source.map(|source| (source, Credential::Token("a.b.c")));
        AuthRequest { credential, origin, subprotocol: None }
    }

    #[test]
    fn an_origin_that_is_there_must_be_one_of_ours_exactly() {
        let origins = Origins::parse("https://dashboard.example, http://localhost:3000").unwrap();
        for source in [None, Some(Source::Header), Some(Source::Cookie), Some(Source::Ticket), Some(Source::Query)] {
            for ours in [OURS, "http://localhost:3000"] {
                assert_eq!(origins.check(&presented(Some(ours), source)), Ok(()));
            }
            for other in [
                "https://evil.example",
                "https://dashboard.example.evil",
                "https://evil-dashboard.example",
                "https://sub.dashboard.example",
                "http://dashboard.example",
                "https://dashboard.example:8443",
                "https://dashboard.example/",
                "https://DASHBOARD.example",
                "http://localhost:30000",
                "https://dashboard.example,https://dashboard.example",
                "null",
                "",
                "*",
            ] {
                assert_eq!(origins.check(&presented(Some(other), source)), Err(AuthRequestError::Origin), "{other:?}");
            }
        }
    }

    #[test]
    fn only_a_cookie_needs_an_origin() {
        let origins = Origins::parse(OURS).unwrap();
        for source in [None, Some(Source::Ticket), Some(Source::Header), Some(Source::Subprotocol), Some(Source::Query)]
        {
            assert_eq!(origins.check(&presented(None, source)), Ok(()));
        }
        assert_eq!(origins.check(&presented(None, Some(Source::Cookie))), Err(AuthRequestError::OriginMissing));
    }

    #[test]
    fn without_origins_no_page_may_come() {
        for nothing in ["", " "] {
            let origins = Origins::parse(nothing).unwrap();
            assert_eq!(origins.check(&presented(Some(OURS), None)), Err(AuthRequestError::Origin));
            assert_eq!(origins.check(&presented(Some(""), None)), Err(AuthRequestError::Origin));
            assert_eq!(origins.check(&presented(None, Some(Source::Header))), Ok(()));
        }
    }

    #[test]
    fn an_entry_that_no_browser_sends_is_refused_at_the_start() {
        for good in [
            OURS,
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "http://[::1]:5173",
            "https://a-b.c_d.example:8443",
            "http://a.example:443",
        ] {
            assert!(Origins::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "*",
            "null",
            "https://*",
            "https://*.example",
            "dashboard.example",
            "//dashboard.example",
            "https://dashboard.example/",
            "https://dashboard.example/path",
            "https://dashboard.example?q",
            "https://dashboard.example#f",
            "https://user@dashboard.example",
            "https://Dashboard.example",
            "HTTPS://dashboard.example",
            "https://dashboard.example:443",
            "http://dashboard.example:80",
            "https://dashboard.example:0",
            "https://dashboard.example:070",
            "https://dashboard.example:",
            "https://dashboard.example:99999",
            "https://dåshboard.example",
            "https://.example",
            "https://",
            "ftp://dashboard.example",
            "file://",
            "chrome-extension://abcdef",
            "https://dashboard.example,",
            "https://dashboard.example,,http://localhost:3000",
            "https://dashboard.example http://localhost:3000",
            "http://[::0001]",
            "http://[::1",
        ] {
            assert!(matches!(Origins::parse(bad), Err(ConfigError::Origin(_))), "{bad}");
        }
        let error = Origins::parse("https://a.example,b.example").unwrap_err();
        assert!(error.to_string().contains("\"b.example\""), "{error}");
    }
}
