//! Where a token is looked for.

use http::{HeaderMap, header};

/// The subprotocol that we speak. A browser that offers any closes the socket unless one of them is chosen.
pub const SUBPROTOCOL: &str = "livefold.v1";

/// A subprotocol that begins like this is a token: browsers let a page set no other header. It is never chosen, for the
/// answer would repeat it.
const TOKEN_SUBPROTOCOL: &str = "bearer.";

/// The cookie and the query parameter that may hold a token.
const TOKEN: &str = "token";

/// What a WebSocket handshake brings along.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// The token, where there is one. Not verified yet.
    pub token: Option<&'a str>,
    /// What to answer in `Sec-WebSocket-Protocol`; nothing if the client did not offer it.
    pub subprotocol: Option<&'static str>,
}

/// Looks for the token of a handshake: in the header `Authorization`, a cookie, a subprotocol and the query parameter
/// `token`, in this order. The first that is there counts, even if it is not valid.
#[must_use]
pub fn handshake<'a>(headers: &'a HeaderMap, query_token: Option<&'a str>) -> Handshake<'a> {
    let offered = || listed(headers, header::SEC_WEBSOCKET_PROTOCOL, ',');
    let cookie = || {
        let mut cookies = listed(headers, header::COOKIE, ';').filter_map(|cookie| cookie.split_once('='));
        cookies.find(|(name, _)| *name == TOKEN).map(|(_, token)| token)
    };
    let subprotocol = || offered().find_map(|protocol| protocol.strip_prefix(TOKEN_SUBPROTOCOL));
    Handshake {
        token: bearer(headers).or_else(cookie).or_else(subprotocol).or(query_token),
        subprotocol: offered().any(|protocol| protocol == SUBPROTOCOL).then_some(SUBPROTOCOL),
    }
}

/// The token of `Authorization: Bearer`. RFC 9110 §11.1 takes the scheme in any case; another scheme is meant for
/// somebody else.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The parts of a header that holds a list, however many lines it takes.
fn listed(headers: &HeaderMap, name: header::HeaderName, separator: char) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(move |line| line.split(separator)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(lines: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(name, HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn the_first_place_that_has_a_token_counts() {
        let authorization = (header::AUTHORIZATION, "Bearer from-header");
        let cookie = (header::COOKIE, "theme=dark; token=from-cookie; token=second");
        let subprotocol = (header::SEC_WEBSOCKET_PROTOCOL, "livefold.v1, bearer.from-subprotocol");
        let query = Some("from-query");
        let token = |lines: &[_], query| handshake(&headers(lines), query).token.map(str::to_owned);
        let cases = [
            (&[authorization, cookie.clone(), subprotocol.clone()][..], Some("from-header")),
            (&[subprotocol.clone(), cookie], Some("from-cookie")),
            (&[subprotocol], Some("from-subprotocol")),
            (&[], query),
        ];
        for (lines, expected) in cases {
            assert_eq!(token(lines, query).as_deref(), expected);
        }
        assert_eq!(token(&[], None), None);
    }

    #[test]
    fn what_only_looks_like_a_token_is_passed_over() {
        for line in [
            (header::AUTHORIZATION, "Basic dXNlcjpwYXNz"),
            (header::AUTHORIZATION, "Bearer  "),
            (header::AUTHORIZATION, ""),
            (header::COOKIE, "mytoken=a; token"),
            (header::SEC_WEBSOCKET_PROTOCOL, "bearer, livefold.v1"),
        ] {
            assert_eq!(handshake(&headers(std::slice::from_ref(&line)), None).token, None, "{line:?}");
        }
    }

    #[test]
    fn the_scheme_is_taken_in_any_case() {
        for line in ["bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(bearer(&headers(&[(header::AUTHORIZATION, line)])), Some("a.b.c"));
        }
    }

    #[test]
    fn our_subprotocol_is_chosen_where_it_is_offered_and_the_token_never_is() {
        let chosen = |line| handshake(&headers(&[(header::SEC_WEBSOCKET_PROTOCOL, line)]), None).subprotocol;
        assert_eq!(chosen("bearer.a.b.c, livefold.v1"), Some("livefold.v1"));
        assert_eq!(chosen("livefold.v1"), Some("livefold.v1"));
        assert_eq!(chosen("bearer.a.b.c"), None);
        assert_eq!(handshake(&HeaderMap::new(), Some("t")).subprotocol, None);
    }
}
