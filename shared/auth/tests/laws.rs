//! What holds for every token, good or not.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod issuer;

use std::sync::LazyLock;

use auth::{Credential, KeySet, Origins, Verifier, handshake};
use http::{HeaderMap, HeaderValue, header};
use issuer::{CURVE, EDWARDS, Key, RSA, SECRET, claims, published, secrets, strict, verify};
use proptest::prelude::*;
use serde_json::json;

/// A verifier of each kind of keys, and a good token for each algorithm that it knows.
static GOOD: LazyLock<Vec<(Verifier, String)>> = LazyLock::new(|| {
    let keys = published(&[
        RSA.jwk(json!({ "kid": "rsa" })),
        RSA.jwk(json!({ "kid": "pss", "alg": "PS256" })),
        CURVE.jwk(json!({ "kid": "curve" })),
        EDWARDS.jwk(json!({ "kid": "edwards" })),
    ]);
    let token = |key: &Key, alg, kid| key.token(&json!({ "alg": alg, "kid": kid, "typ": "JWT" }), &claims(json!({})));
    let public = strict(keys);
    vec![
        (public.clone(), token(&RSA, "RS256", "rsa")),
        (public.clone(), token(&RSA, "PS256", "pss")),
        (public.clone(), token(&CURVE, "ES256", "curve")),
        (public, token(&EDWARDS, "EdDSA", "edwards")),
        (strict(secrets(&[SECRET])), token(&Key::secret(SECRET), "HS256", "secret")),
    ]
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_token_with_one_other_byte_is_refused(which in 0..5_usize, at in any::<prop::sample::Index>(), byte in 0_u8..128) {
        let (verifier, token) = &GOOD[which];
        let at = at.index(token.len());
        let mut bytes = token.clone().into_bytes();
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert!(verify(verifier, token).is_ok());
        prop_assert!(verify(verifier, &changed).is_err());
    }

    #[test]
    fn a_token_with_a_byte_more_or_less_is_refused(which in 0..5_usize, at in any::<prop::sample::Index>(), more in prop::option::of("[A-Za-z0-9_.=-]")) {
        let (verifier, token) = &GOOD[which];
        let mut changed = token.clone();
        let at = at.index(token.len());
        match more {
            Some(more) => changed.insert_str(at, &more),
            None => drop(changed.remove(at)),
        }
        prop_assert!(verify(verifier, &changed).is_err());
    }

    #[test]
    fn no_text_opens_anything_or_ends_in_a_panic(text in any::<String>()) {
        for (verifier, _) in &*GOOD {
            prop_assert!(verify(verifier, &text).is_err());
        }
    }

    #[test]
    fn no_three_parts_open_anything_or_end_in_a_panic(header in any::<Vec<u8>>(), claims in any::<Vec<u8>>(), signature in any::<Vec<u8>>()) {
        let parts = [header, claims, signature].map(|part| issuer::encoded(&part)).join(".");
        for (verifier, _) in &*GOOD {
            prop_assert!(verify(verifier, &parts).is_err());
        }
    }

    /// Only the issuer can send such ones, but it may be mistaken.
    #[test]
    fn no_claims_end_in_a_panic(text in "[\\{\\}\\[\\]\",:0-9a-z_.eE+-]{0,80}", number in any::<f64>()) {
        let (verifier, _) = &GOOD[4];
        let sign = |claims: &str| Key::secret(SECRET).token_of_text(r#"{"alg":"HS256"}"#, claims, "HS256");
        let _ = verify(verifier, &sign(&text));
        let dates = format!(r#"{{"iss":"https://id.example","aud":"livefold","sub":"a","tenant_id":"t","exp":{number:e},"nbf":{number:e}}}"#);
        let _ = verify(verifier, &sign(&dates));
    }

    #[test]
    fn no_key_set_ends_in_a_panic(text in any::<Vec<u8>>(), n in any::<Vec<u8>>(), e in any::<Vec<u8>>()) {
        let _ = KeySet::from_jwks(&text);
        let jwk = json!({ "keys": [{ "kty": "RSA", "n": issuer::encoded(&n), "e": issuer::encoded(&e) }] });
        let _ = KeySet::from_jwks(jwk.to_string().as_bytes());
    }

    /// Whatever a handshake holds, what is shown of it holds no credential.
    #[test]
    fn what_is_found_in_a_handshake_is_never_shown(
        authorization in prop::option::of("(Bearer|bearer|Basic)? ?[!-~]{0,20}"),
        cookie in prop::option::of("(token=[!-~]{0,10};? ?){0,3}[ -~]{0,10}"),
        protocol in prop::option::of("(livefold\\.v1, )?(bearer\\.[a-z.]{0,10},?){0,2}"),
        query in prop::collection::vec(("token|ticket|other", "[ -~]{0,20}"), 0..4),
        origin in prop::option::of("[ -~]{0,20}"),
    ) {
        let mut headers = HeaderMap::new();
        let lines = [
            (header::AUTHORIZATION, authorization),
            (header::COOKIE, cookie),
            (header::SEC_WEBSOCKET_PROTOCOL, protocol),
            (header::ORIGIN, origin),
        ];
        for (name, line) in lines {
            if let Some(line) = line {
                headers.append(name, HeaderValue::from_str(&line).unwrap());
            }
        }
        let query: Vec<(&str, &str)> = query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Ok(presented) = handshake(&headers, &query) {
            let _ = Origins::parse("https://dashboard.example").unwrap().check(&presented);
            if let Some((_, credential)) = presented.credential {
                let shown = format!("{credential:?}");
                prop_assert!(shown == "Token(…)" || shown == "Ticket(…)");
                let (Credential::Token(text) | Credential::Ticket(text)) = credential;
                prop_assert!(!text.is_empty());
            }
        }
    }
}
