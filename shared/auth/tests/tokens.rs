//! Which tokens open a dashboard, and what each of the others is refused for.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

use auth::{AuthError, ConfigError, LEEWAY, MAX_TOKEN_BYTES, READ_LIVE, Unauthorized, Verifier};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use projections::{TenantId, Timestamp};
use serde_json::{Value, json};

const SECRET: &[u8] = b"a secret of thirty-two bytes or so";

/// 2026-01-15T10:30:00Z.
const NOW: i64 = 1_768_473_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn sign(claims: &Value, algorithm: Algorithm, secret: &[u8]) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A token whose claims are this text, duplicates and all.
fn sign_text(claims: &str) -> String {
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(claims));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

fn good() -> Value {
    json!({ "sub": "ann", "tenant_id": "acme", "permissions": [READ_LIVE], "exp": NOW + 3600 })
}

/// The good claims with some changed; `null` takes one out.
fn with(changes: &Value) -> Value {
    let mut claims = good();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn hs256(changes: &Value) -> String {
    sign(&with(changes), Algorithm::HS256, SECRET)
}

fn verifier() -> Verifier {
    Verifier::hs256(SECRET, None).unwrap()
}

fn verifier_with_default() -> Verifier {
    Verifier::hs256(SECRET, Some(TenantId::parse("house").unwrap())).unwrap()
}

#[test]
fn a_good_token_names_tenant_user_permissions_and_end() {
    let principal = verifier().verify(&hs256(&json!({})), at(NOW)).unwrap();
    assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "ann"));
    assert_eq!(principal.permissions, [READ_LIVE]);
    assert_eq!(principal.expires_at, at(NOW + 3600));
}

#[test]
fn every_other_token_is_refused_for_its_reason() {
    use Unauthorized::{
        Algorithm as OtherAlgorithm, BadTenant, Expired, Malformed, NoExpiry, NoSubject, NoTenant, NotYetValid,
        Signature, TooLarge,
    };
    let header_and_claims = |header: &str| {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(good().to_string());
        format!("{}.{claims}", BASE64_URL_SAFE_NO_PAD.encode(header))
    };
    let none = header_and_claims(r#"{"alg":"none","typ":"JWT"}"#);
    let signed = hs256(&json!({}));
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let other_claims = BASE64_URL_SAFE_NO_PAD.encode(with(&json!({ "tenant_id": "evil" })).to_string());
    let header = signed.split('.').next().unwrap();
    let duplicate = |name: &str, value: &str| {
        let claims = good().to_string();
        sign_text(&format!("{},\"{name}\":{value}}}", claims.strip_suffix('}').unwrap()))
    };
    let cases = [
        ("nothing", String::new(), Malformed),
        ("garbage", "garbage".to_owned(), Malformed),
        ("two dots", "..".to_owned(), Malformed),
        ("four parts", format!("{signed}.x"), Malformed),
        ("spaces", format!(" {signed}"), Malformed),
        ("not UTF-8 inside", format!("{}.{}.x", BASE64_URL_SAFE_NO_PAD.encode([0xff]), "x"), Malformed),
        ("alg none without signature", format!("{none}."), Malformed),
        ("alg none with signature", format!("{none}.{signature}"), Malformed),
        ("alg NONE", format!("{}.", header_and_claims(r#"{"alg":"NONE"}"#)), Malformed),
        ("no alg", format!("{}.{signature}", header_and_claims(r#"{"typ":"JWT"}"#)), Malformed),
        (
            "an alg of another family",
            format!("{}.{signature}", header_and_claims(r#"{"alg":"RS256"}"#)),
            OtherAlgorithm,
        ),
        ("HS512 with the right secret", sign(&good(), Algorithm::HS512, SECRET), OtherAlgorithm),
        ("wrong key", sign(&good(), Algorithm::HS256, b"another secret of more than 32 bytes"), Signature),
        ("signature cut off", format!("{message}."), Signature),
        ("signature of other claims", format!("{header}.{other_claims}.{signature}"), Signature),
        (
            "key in the header",
            format!("{}.{signature}", header_and_claims(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#)),
            Signature,
        ),
        ("oversized", format!("{signed}{}", "A".repeat(MAX_TOKEN_BYTES)), TooLarge),
        ("claims that are no object", sign(&json!("ann"), Algorithm::HS256, SECRET), Malformed),
        ("expired", hs256(&json!({ "exp": NOW - 5 })), Expired),
        ("expired long ago", hs256(&json!({ "exp": -1 })), Expired),
        ("no exp", hs256(&json!({ "exp": null })), NoExpiry),
        ("exp null", sign_text(r#"{"exp":null,"sub":"ann","tenant_id":"acme"}"#), NoExpiry),
        ("exp as text", hs256(&json!({ "exp": "2100-01-01" })), Malformed),
        ("exp without end", sign_text(r#"{"exp":1e999,"sub":"ann","tenant_id":"acme"}"#), Malformed),
        ("not yet valid", hs256(&json!({ "nbf": NOW + 6 })), NotYetValid),
        ("nbf as text", hs256(&json!({ "nbf": "0" })), Malformed),
        ("no sub", hs256(&json!({ "sub": null })), NoSubject),
        ("empty sub", hs256(&json!({ "sub": "" })), NoSubject),
        ("long sub", hs256(&json!({ "sub": "x".repeat(257) })), NoSubject),
        ("sub with a line break", hs256(&json!({ "sub": "ann\nadmin" })), NoSubject),
        ("sub as number", hs256(&json!({ "sub": 7 })), Malformed),
        ("no tenant", hs256(&json!({ "tenant_id": null })), NoTenant),
        ("empty tenant", hs256(&json!({ "tenant_id": "" })), BadTenant),
        ("tenant that would be two keys", hs256(&json!({ "tenant_id": "acme#campaign:c-1" })), BadTenant),
        ("tenant as list", hs256(&json!({ "tenant_id": ["acme"] })), Malformed),
        ("permissions as text", hs256(&json!({ "permissions": READ_LIVE })), Malformed),
        ("permissions of numbers", hs256(&json!({ "permissions": [1] })), Malformed),
        ("two tenants", duplicate("tenant_id", r#""evil""#), Malformed),
        ("two users", duplicate("sub", r#""eve""#), Malformed),
        ("two ends", duplicate("exp", "4102444800"), Malformed),
        ("two lists of permissions", duplicate("permissions", "[]"), Malformed),
    ];
    for (name, token, reason) in cases {
        assert_eq!(verifier().verify(&token, at(NOW)), Err(AuthError::Unauthorized(reason)), "{name}");
    }
}

#[test]
fn the_time_is_the_callers_and_clocks_may_differ_a_little() {
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    let token = hs256(&json!({ "exp": NOW, "nbf": NOW - 60 }));
    let verify = |seconds| verifier().verify(&token, at(seconds)).map(|principal| principal.expires_at);
    assert_eq!(verify(NOW - 60 - leeway), Ok(at(NOW)));
    assert_eq!(verify(NOW - 61 - leeway), Err(Unauthorized::NotYetValid.into()));
    assert_eq!(verify(NOW + leeway - 1), Ok(at(NOW)));
    assert_eq!(verify(NOW + leeway), Err(Unauthorized::Expired.into()));
}

#[test]
fn a_date_may_have_a_fraction_and_may_be_far_away() {
    let end = |exp: Value| verifier().verify(&hs256(&json!({ "exp": exp })), at(NOW)).map(|p| p.expires_at);
    assert_eq!(end(json!(1_768_473_000.25)), Ok(Timestamp::from_millis(1_768_473_000_250)));
    assert_eq!(end(json!(1e300)), Ok(Timestamp::from_millis(i64::MAX)));
}

#[test]
fn the_first_tenant_claim_in_order_counts() {
    let names = ["tenant_id", "tenantId", "org_id", "organizationId", "custom:tenant_id"];
    for first in 0..names.len() {
        let mut changes = json!({ "tenant_id": null });
        for (index, name) in names.iter().enumerate().skip(first) {
            changes[name] = json!(format!("t{index}"));
        }
        for verifier in [verifier(), verifier_with_default()] {
            let principal = verifier.verify(&hs256(&changes), at(NOW)).unwrap();
            assert_eq!(principal.tenant.as_str(), format!("t{first}"));
        }
    }
}

#[test]
fn the_default_tenant_is_for_tokens_that_claim_none() {
    let verify =
        |changes: &Value| verifier_with_default().verify(&hs256(changes), at(NOW)).map(|p| p.tenant.to_string());
    assert_eq!(verify(&json!({ "tenant_id": null })).as_deref(), Ok("house"));
    assert_eq!(verify(&json!({ "tenant_id": "" })), Err(Unauthorized::BadTenant.into()));
    assert_eq!(verify(&json!({ "tenant_id": "a b" })), Err(Unauthorized::BadTenant.into()));
}

#[test]
fn a_valid_token_without_the_permission_is_forbidden() {
    let verify = |changes: Value| verifier().verify(&hs256(&changes), at(NOW)).map(|principal| principal.permissions);
    for changes in [
        json!({ "permissions": null }),
        json!({ "permissions": [] }),
        json!({ "permissions": ["dashboard:read"] }),
        json!({ "permissions": null, "scope": "openid dashboard:read:live2" }),
        // A list of permissions is the whole list.
        json!({ "permissions": [], "scope": READ_LIVE }),
    ] {
        assert_eq!(verify(changes.clone()), Err(AuthError::Forbidden), "{changes}");
    }
    let scope = json!({ "permissions": null, "scope": format!("openid  {READ_LIVE}") });
    assert_eq!(verify(scope), Ok(vec!["openid".to_owned(), READ_LIVE.to_owned()]));
}

#[test]
fn a_token_for_another_audience_is_still_ours() {
    assert!(verifier().verify(&hs256(&json!({ "aud": ["dialer"], "iss": "https://id.example" })), at(NOW)).is_ok());
}

#[test]
fn what_is_logged_of_a_refused_token_holds_nothing_of_it() {
    for changes in [json!({ "sub": 5_550_100 }), json!({ "tenant_id": "+15550100" }), json!({ "exp": "5550100" })] {
        let error = verifier().verify(&hs256(&changes), at(NOW)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("5550100"), "{error:?}");
    }
}

#[test]
fn a_weak_secret_or_another_algorithm_is_refused_at_the_start() {
    assert_eq!(Verifier::new("HS256", &[7; 31], None).err(), Some(ConfigError::WeakSecret));
    assert!(Verifier::new("HS256", &[7; 32], None).is_ok());
    for algorithm in ["", "none", "hs256", "HS512", "RS256"] {
        assert_eq!(Verifier::new(algorithm, SECRET, None).err(), Some(ConfigError::UnknownAlgorithm), "{algorithm:?}");
    }
}
