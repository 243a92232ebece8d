//! Where credentials are looked for, and whose pages may bring them. Input: the query, then a header a line, `name: value`.

#![no_main]

use std::sync::LazyLock;

use auth::{AuthRequest, AuthRequestError, BATCH_SUBPROTOCOL, Credential, Origins, SUBPROTOCOL, Source};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

const OURS: [&str; 2] = ["https://dashboard.example", "http://localhost:3000"];

static ORIGINS: LazyLock<Origins> = LazyLock::new(|| Origins::parse(&OURS.join(",")).expect("both are origins"));

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|byte| *byte == b'\n');
    let query = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let query: Vec<(&str, &str)> = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) =
            (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    let request = auth::request(&headers);
    let handshake = auth::handshake(&headers, &query);
    for presented in [&request, &handshake].into_iter().flatten() {
        check(presented, &headers, &query);
        check_origin(presented);
    }
    if let Ok(AuthRequest { credential, subprotocol, .. }) = &request {
        assert!(subprotocol.is_none());
        assert!(
            credential.is_none_or(|(source, _)| matches!(source, Source::Header | Source::Cookie)),
            "a URL is logged"
        );
    }
    match (&request, &handshake) {
        // More is looked at in a handshake; what is wrong already stays wrong.
        (Err(_), opened) => assert!(opened.is_err()),
        (Ok(request), Ok(handshake)) => {
            assert_eq!(request.origin, handshake.origin);
            let has_ticket = matches!(handshake.credential, Some((Source::Ticket, _)));
            assert!(has_ticket || request.credential.is_none() || request.credential == handshake.credential);
        }
        (Ok(_), Err(_)) => {}
    }
    for name in [header::AUTHORIZATION, header::ORIGIN] {
        if headers.get_all(&name).iter().count() > 1 {
            assert_eq!(request.err(), handshake.err(), "two of {name}");
            assert!(request.is_err(), "two of {name}");
        }
    }
    for name in ["token", "ticket"] {
        if query.iter().filter(|(parameter, _)| *parameter == name).count() > 1 {
            assert!(handshake.is_err(), "two of {name}");
        }
    }
});

/// What was found stands where it is said to, once, and is not shown.
fn check(presented: &AuthRequest<'_>, headers: &HeaderMap, query: &[(&str, &str)]) {
    assert_eq!(presented.asks_for_batch(), presented.subprotocol == Some(BATCH_SUBPROTOCOL));
    if let Some(chosen) = presented.subprotocol {
        assert!([SUBPROTOCOL, BATCH_SUBPROTOCOL].contains(&chosen));
        let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
        assert!(offered.filter_map(|line| line.to_str().ok()).any(|line| line.contains(chosen)), "not offered");
    }
    let Some((source, credential)) = presented.credential else { return };
    let (Credential::Token(text) | Credential::Ticket(text)) = credential;
    assert!(!text.is_empty());
    assert_eq!(source == Source::Ticket, matches!(credential, Credential::Ticket(_)));
    let in_header =
        |name| headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).any(|line| line.contains(text));
    let in_query = |wanted| query.iter().filter(|(name, value)| *name == wanted && *value == text).count() == 1;
    assert!(match source {
        Source::Ticket => in_query("ticket"),
        Source::Query => in_query("token"),
        Source::Header => in_header(header::AUTHORIZATION),
        Source::Cookie => in_header(header::COOKIE),
        Source::Subprotocol => in_header(header::SEC_WEBSOCKET_PROTOCOL),
    });
    let shown = format!("{presented:?} {credential:?}");
    let rest = format!("{:?}", AuthRequest { credential: None, ..*presented });
    // The origin is shown, and may hold the same text.
    if text.len() >= 16 && !rest.contains(text) {
        assert!(!shown.contains(text), "a credential is shown");
    }
}

/// Another page never gets through, a cookie never without a page.
fn check_origin(presented: &AuthRequest<'_>) {
    let is_allowed = ORIGINS.check(presented) == Ok(());
    match presented.origin {
        Some(origin) => assert_eq!(is_allowed, OURS.contains(&origin)),
        None => assert_eq!(is_allowed, !matches!(presented.credential, Some((Source::Cookie, _)))),
    }
    let refused = if presented.origin.is_some() { AuthRequestError::Origin } else { AuthRequestError::OriginMissing };
    assert!(is_allowed || ORIGINS.check(presented) == Err(refused));
    // A list of origins that was taken lets exactly those pages in that it names.
    if let Some(origin) = presented.origin
        && let Ok(origins) = Origins::parse(origin)
    {
        let listed = origin.split(',').any(|entry| entry.trim() == origin);
        assert_eq!(origins.check(presented) == Ok(()), listed && !origin.trim().is_empty());
    }
}
