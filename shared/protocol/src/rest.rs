//! REST bodies and entity tags.

use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Cursor, ErrorCode,
    server::{Problem, json},
};

/// Bytes of the body's hash in its entity tag: the cursor tells most views apart, this only those that the clock made.
const HASH_BYTES: usize = 4;

/// What every answer carries, after OWASP's REST security cheat sheet: it is data for whoever asked and for nobody else,
/// never a page, and never kept. Clients that poll keep the `ETag` themselves, so `no-store` costs them nothing.
/// <https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers>
pub const HEADERS: [(&str, &str); 6] = [
    ("content-type", "application/json"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    // Two years. Browsers heed it over TLS only, so that it does no harm on one's own machine.
    ("strict-transport-security", "max-age=63072000; includeSubDomains"),
    ("x-content-type-options", "nosniff"),
];

#[derive(Serialize)]
struct Success<'a> {
    success: bool,
    data: &'a RawValue,
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    error: Problem<'a>,
}

/// The body of an answer that has what was asked for.
#[must_use]
pub fn success(data: &RawValue) -> String {
    json(&Success { success: true, data })
}

/// The body of an answer that has not.
#[must_use]
pub fn failure(code: ErrorCode) -> String {
    json(&Failure { success: false, error: Problem::new(code) })
}

/// The strong entity tag of a body, in its quotes: the cursor, and a short hash because a rate may decay while the
/// cursor stands still.
#[must_use]
pub fn etag(cursor: &Cursor, body: &str) -> String {
    format!("\"{cursor}-{}\"", hex::encode(&Sha256::digest(body)[..HASH_BYTES]))
}

/// Whether the client has this already: `If-None-Match` lists the tag, or is `*`. RFC 9110 §13.1.2 compares weakly, for
/// a proxy that compresses makes our tags weak.
#[must_use]
pub fn matches(if_none_match: &str, etag: &str) -> bool {
    let strong = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == etag;
    // Our tags hold no comma; half of one that does has a quote on one side only and equals none of ours.
    if_none_match.trim() == "*" || if_none_match.split(',').map(str::trim).any(strong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_say_whether_it_went_well() {
        let data = RawValue::from_string("[1, 2]".into()).unwrap();
        assert_eq!(success(&data), r#"{"success":true,"data":[1, 2]}"#);
        let expected = r#"{"success":false,"error":{"code":"not_found","message":"There is nothing here."}}"#;
        assert_eq!(failure(ErrorCode::NotFound), expected);
    }

    #[test]
    fn a_tag_is_the_cursor_and_a_hash_of_the_body() {
        let cursor = Cursor::of([("1/t/0", 4)]);
        assert_eq!(etag(&cursor, "{}"), "\"5.MS90LzA9NA-44136fa3\"");
        assert_ne!(etag(&cursor, "{}"), etag(&cursor, "{ }"));
        assert_ne!(etag(&cursor, "{}"), etag(&Cursor::default(), "{}"));
    }

    #[test]
    fn a_tag_is_found_in_whatever_a_client_lists() {
        let tag = "\"5.MS90LzA9NA-44136fa3\"";
        for listed in
            [tag, "*", " * ", &format!("W/{tag}"), &format!("\"a\", {tag}"), &format!("\"a,b\",W/{tag}, \"c\"")]
        {
            assert!(matches(listed, tag), "{listed}");
        }
        for other in ["", "\"a\"", "5.MS90LzA9NA-44136fa3", "\"5.MS90LzA9NA-44136fa4\"", "w/x", "\"*\""] {
            assert!(!matches(other, tag), "{other}");
        }
    }
}
