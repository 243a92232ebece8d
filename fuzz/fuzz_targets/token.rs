//! Tokens and key sets. Input: a letter and then, behind `r`, a token as it came; behind `s`, a header and after a line
//! break claims, both to be signed; behind `k`, a key set.

#![no_main]

use std::sync::LazyLock;

use auth::{AuthError, Expectations, KeySet, LEEWAY, MAX_KEYS, MAX_TOKEN_BYTES, Principal, Unauthorized, Verifier};
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use futures_executor::block_on;
use libfuzzer_sys::fuzz_target;
use projections::{TenantId, Timestamp};
use serde_json::{Value, json};

/// The local system's, with which the tokens in `events/` are signed.
const SECRET: &[u8] = b"livefold-local-secret-not-for-any-deployment";

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "livefold";
const DEFAULT_TENANT: &str = "house";

/// 2026-01-15T10:30:00Z.
const NOW_SECONDS: i64 = 1_768_473_000;

static PAIR: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("any seed is one"));

static OURS: LazyLock<String> = LazyLock::new(|| BASE64.encode(PAIR.public_key()));

/// Takes everything that the secret has signed.
static LOCAL: LazyLock<Verifier> =
    LazyLock::new(|| Verifier::fixed(KeySet::from_secrets([SECRET]).expect("a strong secret"), None));

/// Takes what the issuer has signed for us.
static PUBLIC: LazyLock<Verifier> = LazyLock::new(|| {
    let keys = json!({"keys": [
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": *OURS},
        // RFC 7517 §A.1; nobody here has the private keys.
        {"kty": "EC", "crv": "P-256", "kid": "ec", "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},
        {"kty": "RSA", "kid": "rsa", "alg": "RS256", "e": "AQAB",
         "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"},
    ]});
    let keys = KeySet::from_jwks(keys.to_string().as_bytes()).expect("three good keys");
    let expectations = Expectations {
        issuer: Some(ISSUER.to_owned()),
        audiences: vec![AUDIENCE.to_owned()],
        default_tenant: Some(TenantId::parse(DEFAULT_TENANT).expect("a tenant")),
    };
    Verifier::new(std::sync::Arc::new(keys), expectations)
});

fuzz_target!(|input: &str| {
    let mut chars = input.chars();
    match (chars.next(), chars.as_str()) {
        (Some('r'), token) => raw(token),
        (Some('s'), text) => {
            let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256","typ":"JWT"}"#, text));
            signed(header, claims);
        }
        (Some('k'), keys) => key_set(keys),
        _ => {}
    }
});

fn now() -> Timestamp {
    Timestamp::from_millis(NOW_SECONDS * 1000)
}

fn verify(verifier: &Verifier, token: &str) -> Result<Principal, AuthError> {
    let outcome = block_on(verifier.verify(token, now()));
    if let Err(error) = &outcome {
        let shown = format!("{error} {error:?}");
        let is_shown = |part: &str| part.len() >= 12 && shown.contains(part);
        assert!(!token.split('.').any(is_shown), "an error repeats the token");
        assert_ne!(*error, AuthError::Unavailable, "keys are there");
    }
    if token.len() > MAX_TOKEN_BYTES {
        assert_eq!(outcome, Err(Unauthorized::TooLarge.into()));
    }
    outcome
}

fn mac(message: &str) -> String {
    BASE64.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes()))
}

/// Only whoever has the secret can make a token, and whoever has it not can change none.
fn raw(token: &str) {
    let by_secret = verify(&LOCAL, token);
    if let Ok(principal) = &by_secret {
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        assert_eq!(signature, mac(message), "nobody has signed this");
        let claims = message.split_once('.').expect("three parts").1;
        let claims = BASE64.decode(claims).expect("base64 without padding");
        check(principal, std::str::from_utf8(&claims).expect("JSON"), None);
    }
    if let Ok(principal) = verify(&PUBLIC, token) {
        let (message, signature) = token.rsplit_once('.').expect("three parts");
        // Ed25519 signs a text in one way only.
        assert_eq!(signature, BASE64.encode(PAIR.sign(message.as_bytes())), "nobody has signed this for {principal:?}");
    }
}

/// A token of any header and claims by somebody who may sign: what it opens is what it claims.
fn signed(header: &str, claims: &str) {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let by_secret = format!("{message}.{}", mac(&message));
    let by_issuer = format!("{message}.{}", BASE64.encode(PAIR.sign(message.as_bytes())));
    if let Ok(principal) = verify(&LOCAL, &by_secret) {
        check_header(header, "HS256");
        check(&principal, claims, None);
    }
    if let Ok(principal) = verify(&PUBLIC, &by_issuer) {
        check_header(header, "EdDSA");
        check(&principal, claims, Some(DEFAULT_TENANT));
        let Ok(claims) = serde_json::from_str::<Value>(claims) else { return };
        assert_eq!(claims["iss"], ISSUER);
        let is_ours = |audience: &Value| audience == AUDIENCE;
        let listed = claims["aud"].as_array().is_some_and(|audiences| audiences.iter().any(is_ours));
        let is_access = claims["aud"].is_null() && claims["token_use"] == "access" && is_ours(&claims["client_id"]);
        assert!(is_ours(&claims["aud"]) || listed || is_access, "for somebody else");
    }
    // What one has signed the other does not take, whatever the header says of keys and algorithms.
    assert!(verify(&LOCAL, &by_issuer).is_err() && verify(&PUBLIC, &by_secret).is_err());
    // The public key is no secret.
    for key in [PAIR.public_key().as_ref(), OURS.as_bytes()] {
        let confused = BASE64.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes()));
        assert!(verify(&PUBLIC, &format!("{message}.{confused}")).is_err());
    }
}

fn check_header(header: &str, algorithm: &str) {
    // A number too large for any type is none where nobody reads it, and an error in here.
    let Ok(header) = serde_json::from_str::<Value>(header) else { return };
    assert_eq!(header["alg"], algorithm);
    assert!(header.get("crit").is_none());
}

/// The principal is who the claims say, and they hold now.
fn check(principal: &Principal, claims: &str, default_tenant: Option<&str>) {
    let Ok(claims) = serde_json::from_str::<Value>(claims) else { return };
    let expires = claims["exp"].as_f64().expect("a token ends");
    assert!(principal.expires_at > now());
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century")]
    let now_seconds = NOW_SECONDS as f64;
    let leeway = LEEWAY.as_secs_f64() + 0.001;
    assert!(expires > now_seconds - leeway);
    for begin in ["nbf", "iat"] {
        assert!(claims[begin].as_f64().is_none_or(|begin| begin <= now_seconds + leeway), "{begin}");
    }
    assert!(principal.issued_at <= now().plus(LEEWAY));
    assert_eq!(claims["sub"], principal.user.as_str());
    assert!((1..=256).contains(&principal.user.len()) && !principal.user.chars().any(char::is_control));
    let names = ["tenant_id", "tenantId", "org_id", "organizationId", "custom:tenant_id"];
    let claimed = names.iter().map(|name| &claims[*name]).find(|claimed| !claimed.is_null());
    let claimed = claimed.map(|claimed| claimed.as_str().expect("a tenant is text"));
    assert_eq!(Some(principal.tenant.as_str()), claimed.or(default_tenant));
    let names_organisation = |(name, value): (&String, &Value)| {
        let name = name.to_lowercase();
        !value.is_null() && ["org", "tenant", "account", "company", "workspace"].iter().any(|word| name == *word)
    };
    let others = claims.as_object().expect("claims are an object");
    assert!(claimed.is_some() || !others.iter().any(names_organisation), "a stranger in the default tenant");
    let permissions: Vec<&str> = match claims["permissions"].as_array() {
        Some(listed) => listed.iter().filter_map(Value::as_str).collect(),
        None => claims["scope"].as_str().map(|words| words.split_whitespace().collect()).unwrap_or_default(),
    };
    assert_eq!(principal.permissions, permissions);
    assert_eq!(principal.channels.is_some(), claims.get("channels").is_some_and(|listed| !listed.is_null()), "a list narrows, also an empty one");
    // It is kept with connections and tickets.
    let kept = serde_json::to_string(principal).expect("a principal is stored");
    assert_eq!(&serde_json::from_str::<Principal>(&kept).expect("and read"), principal);
    assert!(principal.pseudonym().len() == 16 && principal.pseudonym().bytes().all(|byte| byte.is_ascii_hexdigit()));
}

/// Keys that an issuer publishes, or somebody in its place. They never make a secret of a public key.
fn key_set(text: &str) {
    let Ok(keys) = KeySet::from_jwks(text.as_bytes()) else { return };
    let Ok(listed) = serde_json::from_str::<Value>(text) else { return };
    let listed = listed["keys"].as_array().expect("an array of keys");
    assert!((1..=MAX_KEYS).contains(&listed.len()));
    let shown = format!("{keys:?}");
    let verifier = Verifier::fixed(keys, None);
    let claims = json!({"sub": "ann", "tenant_id": "acme", "exp": NOW_SECONDS + 60}).to_string();
    for key in listed {
        let kid = key["kid"].as_str().unwrap_or_default();
        let material = ["k", "n", "x", "d"].into_iter().filter_map(|name| key[name].as_str());
        for secret in material {
            assert!(secret.len() < 24 || kid.contains(secret) || !shown.contains(secret), "a key is shown");
            let header = json!({"alg": "HS256", "kid": kid}).to_string();
            let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(&claims));
            for secret in [secret.as_bytes().to_vec(), BASE64.decode(secret).unwrap_or_default()] {
                let confused =
                    BASE64.encode(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message.as_bytes()));
                assert!(
                    verify(&verifier, &format!("{message}.{confused}")).is_err(),
                    "a public key was taken for a secret"
                );
            }
        }
        // Without a signature nothing goes, with our key's only where our key is.
        for algorithm in ["none", "EdDSA", "ES256", "RS256", "PS256", "HS256"] {
            let header = json!({"alg": algorithm, "kid": kid}).to_string();
            let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(&claims));
            assert!(verify(&verifier, &format!("{message}.")).is_err());
            let signature = BASE64.encode(PAIR.sign(message.as_bytes()));
            if verify(&verifier, &format!("{message}.{signature}")).is_ok() {
                assert!(algorithm == "EdDSA" && text.contains("Ed25519"), "another key than ours");
            }
        }
    }
}
