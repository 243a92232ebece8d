//! Where a token or a ticket is looked for.

use std::fmt;

use http::{HeaderMap, HeaderName, header};

/// The subprotocol that we speak. A browser that offers any closes the socket unless one of them is chosen.
pub const SUBPROTOCOL: &str = "livefold.v1";

/// The subprotocol that we speak with who takes several messages in one frame. It is chosen where both are offered.
pub const BATCH_SUBPROTOCOL: &str = "livefold.batch";

/// A subprotocol that begins like this is a token: browsers let a page set no other header. It is never chosen, for the
/// answer would repeat it.
const TOKEN_SUBPROTOCOL: &str = "bearer.";

/// The cookie and the query parameter that may hold a token.
const TOKEN: &str = "token";

/// The query parameter that may hold a ticket.
const TICKET: &str = "ticket";

/// What a request or a WebSocket handshake brings along. Nothing of it is verified yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthRequest<'a> {
    /// What is to say who asks, and where it was found.
    pub credential: Option<(Source, Credential<'a>)>,
    /// The origin of the page that asks, as browsers send it.
    pub origin: Option<&'a str>,
    /// What to answer in `Sec-WebSocket-Protocol`; nothing if the client did not offer it.
    pub subprotocol: Option<&'static str>,
}

impl AuthRequest<'_> {
    /// Whether the client takes several messages in one frame.
    #[must_use]
    pub fn asks_for_batch(&self) -> bool {
        self.subprotocol == Some(BATCH_SUBPROTOCOL)
    }
}

/// What says who asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A signed token.
    Token(&'a str),
    /// A ticket that was issued for a token, to be used once.
    Ticket(&'a str),
}

/// Where a credential was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The query parameter `ticket`.
    Ticket,
    /// The header `Authorization`.
    Header,
    /// The cookie `token`: the only one that browsers send along for any page, wanted or not.
    Cookie,
    /// A subprotocol `bearer.…`.
    Subprotocol,
    /// The query parameter `token`.
    Query,
}

/// Why a request is refused before its credential is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthRequestError {
    /// It brings two credentials in the same place, or two origins. A proxy that checked one might let us believe the
    /// other.
    #[error("two credentials or origins in the same place")]
    Ambiguous,
    /// It comes from a page that is not ours.
    #[error("the origin is not allowed")]
    Origin,
    /// Its token is in a cookie, which counts only beside an origin.
    #[error("a cookie without an origin")]
    OriginMissing,
}

/// So that no log ever holds one.
impl fmt::Debug for Credential<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Ticket(_) => "Ticket(…)",
        })
    }
}

/// Looks for the credential of a handshake: the query parameter `ticket`, then a token in the header `Authorization`, a
/// cookie, a subprotocol, the query parameter `token`, in this order. The first that is there counts, even if it is not
/// valid. A ticket is only ever sent on purpose, so that an old cookie must not hide it. `query` has each parameter as
/// often as it was sent, decoded.
pub fn handshake<'a>(
    headers: &'a HeaderMap,
    query: &[(&'a str, &'a str)],
) -> Result<AuthRequest<'a>, AuthRequestError> {
    let parameter = |wanted| only(query.iter().filter(|(name, _)| *name == wanted).map(|(_, value)| *value));
    let offered = || listed(headers, &header::SEC_WEBSOCKET_PROTOCOL, ',');
    // Every place is looked at, so that a place with two of them is refused whichever comes first.
    let ticket = parameter(TICKET)?;
    let in_query = parameter(TOKEN)?;
    let in_subprotocol = only(offered().filter_map(|protocol| protocol.strip_prefix(TOKEN_SUBPROTOCOL)))?;
    let presented = request(headers)?;
    let token = |source, token: Option<&'a str>| token.map(|token| (source, Credential::Token(token)));
    let credential = ticket
        .map(|ticket| (Source::Ticket, Credential::Ticket(ticket)))
        .or(presented.credential)
        .or(token(Source::Subprotocol, in_subprotocol))
        .or(token(Source::Query, in_query));
    let ours = [BATCH_SUBPROTOCOL, SUBPROTOCOL];
    let subprotocol = ours.into_iter().find(|ours| offered().any(|protocol| protocol == *ours));
    Ok(AuthRequest { credential, subprotocol, ..presented })
}

/// Looks for the credential of a REST request: a token in the header `Authorization`, or else in a cookie. Never in the
/// query: URLs are logged, kept in histories and sent on as referrers.
pub fn request(headers: &HeaderMap) -> Result<AuthRequest<'_>, AuthRequestError> {
    let cookies = listed(headers, &header::COOKIE, ';').filter_map(|cookie| cookie.split_once('='));
    let in_header = bearer(headers)?;
    let in_cookie = only(cookies.filter(|(name, _)| *name == TOKEN).map(|(_, value)| value))?;
    let header = in_header.map(|token| (Source::Header, Credential::Token(token)));
    let cookie = in_cookie.map(|token| (Source::Cookie, Credential::Token(token)));
    Ok(AuthRequest { credential: header.or(cookie), origin: origin(headers)?, subprotocol: None })
}

/// The token of `Authorization: Bearer`. RFC 9110 §11.1 takes the scheme in any case; another scheme is meant for
/// somebody else. API Gateway's HTTP API joins lines of a header with commas, and no token has one.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, AuthRequestError> {
    let mut lines = headers.get_all(header::AUTHORIZATION).into_iter();
    let (line, second) = (lines.next(), lines.next());
    if second.is_some() {
        return Err(AuthRequestError::Ambiguous);
    }
    let words = line.and_then(|line| line.to_str().ok()).and_then(|line| line.trim().split_once(' '));
    match words {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => match token.trim() {
            "" => Ok(None),
            token if token.contains(',') => Err(AuthRequestError::Ambiguous),
            token => Ok(Some(token)),
        },
        _ => Ok(None),
    }
}

/// The page's origin. One that is no text is nobody's.
fn origin(headers: &HeaderMap) -> Result<Option<&str>, AuthRequestError> {
    let mut lines = headers.get_all(header::ORIGIN).into_iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(|_| AuthRequestError::Origin),
        (Some(_), Some(_)) => Err(AuthRequestError::Ambiguous),
    }
}

/// The only one of its place; an empty one, such as a cookie that was cleared, is none.
fn only<'a>(mut found: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, AuthRequestError> {
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(AuthRequestError::Ambiguous),
        (first, None) => Ok(first.filter(|value| !value.is_empty())),
    }
}

/// The parts of a header that holds a list, however many lines it takes.
fn listed<'a>(headers: &'a HeaderMap, name: &HeaderName, separator: char) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(move |line| line.split(separator)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const HEADER: (HeaderName, &str) = (header::AUTHORIZATION, "Bearer from-header");
    const COOKIE: (HeaderName, &str) = (header::COOKIE, "theme=dark; token=from-cookie");
    const PROTOCOL: (HeaderName, &str) = (header::SEC_WEBSOCKET_PROTOCOL, "livefold.v1, bearer.from-subprotocol");

    fn headers(lines: &[(HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, HeaderValue::from_static(line));
        }
        headers
    }

    /// Where the credential of a handshake is found, and what it is.
    fn found(
        lines: &[(HeaderName, &'static str)],
        query: &[(&str, &str)],
    ) -> Result<Option<(Source, String)>, AuthRequestError> {
        let headers = headers(lines);
        let query: Vec<(&str, &str)> = query.to_vec();
        handshake(&headers, &query).map(|presented| {
            presented.credential.map(|(source, credential)| match credential {
                Credential::Token(text) | Credential::Ticket(text) => (source, text.to_owned()),
            })
        })
    }

    #[test]
    fn the_first_place_that_has_a_credential_counts() {
        let query = [("token", "from-query")];
        let with_ticket = [("token", "from-query"), ("ticket", "a-ticket")];
        let cases = [
            (&[HEADER, COOKIE, PROTOCOL][..], &with_ticket[..], Source::Ticket, "a-ticket"),
            (&[HEADER, COOKIE, PROTOCOL], &query, Source::Header, "from-header"),
            (&[PROTOCOL, COOKIE], &query, Source::Cookie, "from-cookie"),
            (&[PROTOCOL], &query, Source::Subprotocol, "from-subprotocol"),
            (&[], &query, Source::Query, "from-query"),
        ];
        for (lines, query, source, text) in cases {
            assert_eq!(found(lines, query), Ok(Some((source, text.to_owned()))));
        }
        assert_eq!(found(&[], &[("other", "x")]), Ok(None));
    }

    #[test]
    fn two_in_the_same_place_are_refused_wherever_another_one_is() {
        for lines in [
            [HEADER, (header::AUTHORIZATION, "Bearer other")],
            [HEADER, (header::AUTHORIZATION, "Basic dXNlcjpwYXNz")],
            [HEADER, (header::COOKIE, "token=a; token=b")],
            [(header::COOKIE, "token=a"), (header::COOKIE, "token=b")],
            [(header::COOKIE, "token=a; theme=dark; token=a"), HEADER],
            [(header::COOKIE, "token=; token=a"), HEADER],
            [(header::SEC_WEBSOCKET_PROTOCOL, "bearer.a, bearer.b"), HEADER],
            [(header::SEC_WEBSOCKET_PROTOCOL, "bearer.a"), (header::SEC_WEBSOCKET_PROTOCOL, "bearer.a")],
            [(header::AUTHORIZATION, "Bearer a,Bearer b"), COOKIE],
            [(header::ORIGIN, "https://a.example"), (header::ORIGIN, "https://a.example")],
        ] {
            assert_eq!(found(&lines, &[("ticket", "t")]), Err(AuthRequestError::Ambiguous), "{lines:?}");
        }
        for name in ["token", "ticket"] {
            for second in ["a", "b", ""] {
                assert_eq!(
                    found(&[HEADER], &[(name, "a"), (name, second)]),
                    Err(AuthRequestError::Ambiguous),
                    "{name}"
                );
            }
        }
        assert_eq!(request(&headers(&[HEADER, HEADER])), Err(AuthRequestError::Ambiguous));
        assert_eq!(request(&headers(&[HEADER, COOKIE, COOKIE])), Err(AuthRequestError::Ambiguous));
    }

    #[test]
    fn what_only_looks_like_a_credential_is_passed_over() {
        for line in [
            (header::AUTHORIZATION, "Basic dXNlcjpwYXNz"),
            (header::AUTHORIZATION, "Digest username=\"a\", realm=\"b\""),
            (header::AUTHORIZATION, "Bearer  "),
            (header::AUTHORIZATION, "Bearer"),
            (header::AUTHORIZATION, ""),
            (header::COOKIE, "mytoken=a; token; Token=b; token =c"),
            (header::COOKIE, "token="),
            (header::SEC_WEBSOCKET_PROTOCOL, "bearer, livefold.v1"),
            (header::SEC_WEBSOCKET_PROTOCOL, "bearer."),
        ] {
            let query = [("token", ""), ("ticket", ""), ("Token", "a"), ("tickets", "b")];
            assert_eq!(found(std::slice::from_ref(&line), &query), Ok(None), "{line:?}");
        }
    }

    #[test]
    fn a_request_has_its_token_in_the_header_or_a_cookie() {
        let source = |lines: &[_]| request(&headers(lines)).map(|found| found.credential.map(|(source, _)| source));
        assert_eq!(source(&[HEADER, COOKIE]), Ok(Some(Source::Header)));
        assert_eq!(source(&[COOKIE]), Ok(Some(Source::Cookie)));
        assert_eq!(source(&[PROTOCOL]), Ok(None));
        assert_eq!(request(&headers(&[PROTOCOL])).unwrap().subprotocol, None);
    }

    #[test]
    fn the_scheme_is_taken_in_any_case() {
        for line in ["bearer a.b.c", "BEARER  a.b.c "] {
            let found = found(&[(header::AUTHORIZATION, line)], &[]);
            assert_eq!(found, Ok(Some((Source::Header, "a.b.c".to_owned()))));
        }
    }

    #[test]
    fn our_subprotocol_is_chosen_where_it_is_offered_and_the_token_never_is() {
        let chosen = |line| {
            let headers = headers(&[(header::SEC_WEBSOCKET_PROTOCOL, line)]);
            handshake(&headers, &[("ticket", "t")]).unwrap().subprotocol
        };
        assert_eq!(chosen("bearer.a.b.c, livefold.v1"), Some("livefold.v1"));
        assert_eq!(chosen("livefold.v1"), Some("livefold.v1"));
        assert_eq!(chosen("livefold.v1, livefold.batch, bearer.a.b.c"), Some("livefold.batch"));
        assert_eq!(chosen("livefold.batch"), Some("livefold.batch"));
        assert_eq!(chosen("livefold.batches"), None);
        assert_eq!(chosen("bearer.a.b.c"), None);
        assert_eq!(chosen("livefold.v2"), None);
        assert_eq!(handshake(&HeaderMap::new(), &[("token", "t")]).unwrap().subprotocol, None);
    }

    #[test]
    fn the_origin_is_what_the_browser_says() {
        let lines = headers(&[(header::ORIGIN, "https://a.example")]);
        assert_eq!(request(&lines).unwrap().origin, Some("https://a.example"));
        assert_eq!(handshake(&lines, &[]).unwrap().origin, Some("https://a.example"));
        let mut odd = HeaderMap::new();
        odd.append(header::ORIGIN, HeaderValue::from_bytes(&[0xe9]).unwrap());
        assert_eq!(request(&odd), Err(AuthRequestError::Origin));
    }

    #[test]
    fn what_was_presented_can_be_logged_without_its_secret() {
        let lines = headers(&[HEADER]);
        let ticket = [("ticket", "a-ticket")];
        let shown = format!("{:?} {:?}", request(&lines).unwrap(), handshake(&lines, &ticket).unwrap());
        assert!(!shown.contains("from-header") && !shown.contains("a-ticket"), "{shown}");
    }
}
