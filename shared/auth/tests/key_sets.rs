//! Which keys of a published set are used, and which sets are refused altogether.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod issuer;

use auth::{BadKeySet, KeySet, MAX_KEY_SET_BYTES, MAX_KEYS, MIN_SECRET_BYTES, Unauthorized};
use aws_lc_rs::{
    rsa::{self, KeySize},
    signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use issuer::{CURVE, EDWARDS, Key, RSA, SECRET, claims, encoded, published, strict, verify};
use serde_json::{Value, json};

/// Whether a set that has this key, and a good one beside it, lets in who signs with the key.
fn is_used(jwk: Value, key: &Key, alg: &str) -> bool {
    let keys = published(&[jwk, CURVE.jwk(json!({ "kid": "good" }))]);
    let token = |key: &Key, alg, kid| key.token(&json!({ "alg": alg, "kid": kid }), &claims(json!({})));
    let verifier = strict(keys);
    assert!(verify(&verifier, &token(&CURVE, "ES256", "good")).is_ok(), "the good key is used");
    match verify(&verifier, &token(key, alg, "key")) {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, Unauthorized::UnknownKey.into());
            false
        }
    }
}

fn set(keys: &[Value]) -> Result<(), BadKeySet> {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).map(drop)
}

#[test]
fn a_key_is_used_for_signing_alone() {
    let curve = |changes: Value| is_used(CURVE.jwk(issuer::with(json!({ "kid": "key" }), changes)), &CURVE, "ES256");
    for changes in [
        json!({}),
        json!({ "use": "sig" }),
        json!({ "key_ops": ["verify"] }),
        json!({ "key_ops": ["sign", "verify"] }),
        json!({ "use": "sig", "key_ops": ["verify"], "alg": "ES256", "x5c": ["MIIB"], "ext": true, "nbf": 7 }),
    ] {
        assert!(curve(changes.clone()), "{changes}");
    }
    for changes in [
        json!({ "use": "enc" }),
        json!({ "use": "SIG" }),
        json!({ "use": "" }),
        json!({ "key_ops": [] }),
        json!({ "key_ops": ["sign"] }),
        json!({ "use": "sig", "key_ops": ["encrypt"] }),
        json!({ "alg": "ES384" }),
        json!({ "alg": "RS256" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "none" }),
        json!({ "alg": "ECDH-ES" }),
        json!({ "crv": "P-384" }),
        json!({ "crv": "secp256k1" }),
        json!({ "crv": "Ed25519" }),
        json!({ "kty": "RSA" }),
        json!({ "kty": "oct", "k": encoded(SECRET) }),
        json!({ "x": encoded(&[1; 31]) }),
        json!({ "y": "not base64!" }),
        json!({ "y": 7 }),
    ] {
        assert!(!curve(changes.clone()), "{changes}");
    }
}

#[test]
fn an_rsa_key_is_for_the_algorithm_that_it_names() {
    let rsa = |alg: Value, signed: &str| is_used(RSA.jwk(json!({ "kid": "key", "alg": alg })), &RSA, signed);
    assert!(rsa(json!("RS256"), "RS256"));
    assert!(rsa(json!("PS256"), "PS256"));
    assert!(rsa(json!(null), "RS256"));
    for alg in ["RS384", "RS512", "PS512", "RSA-OAEP", "ES256", "HS256"] {
        assert!(!rsa(json!(alg), "RS256"), "{alg}");
    }
    assert!(is_used(EDWARDS.jwk(json!({ "kid": "key", "alg": "EdDSA" })), &EDWARDS, "EdDSA"));
}

#[test]
fn a_weak_rsa_key_is_left_out() {
    let modulus = |bytes: &[u8]| RSA.jwk(json!({ "kid": "key", "n": encoded(bytes) }));
    for weak in [&[0xff; 128][..], &[0xff; 255], &[0], &[], &[0xff; 1025]] {
        assert!(!is_used(modulus(weak), &RSA, "RS256"), "{} bytes", weak.len());
    }
    // 2047 bits, and as many with zeros before them.
    let mut short = vec![0xff; 256];
    short[0] = 0x7f;
    assert!(!is_used(modulus(&short), &RSA, "RS256"));
    assert!(!is_used(modulus(&[vec![0; 8], short].concat()), &RSA, "RS256"));
    for exponent in [&[][..], &[0], &[1], &[0, 0, 1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
        let jwk = RSA.jwk(json!({ "kid": "key", "e": encoded(exponent) }));
        assert!(!is_used(jwk, &RSA, "RS256"), "{exponent:?}");
    }
    let large = Key::Rsa(rsa::KeyPair::generate(KeySize::Rsa3072).unwrap());
    assert!(is_used(large.jwk(json!({ "kid": "key" })), &large, "RS256"));
    // Some write the sign's zero before it.
    let Key::Rsa(pair) = &*RSA else { panic!("an RSA key") };
    let padded = [&[0], pair.public_key().modulus().big_endian_without_leading_zero()].concat();
    assert!(is_used(modulus(&padded), &RSA, "RS256"));
}

#[test]
fn a_larger_curve_is_left_out() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let jwk =
        json!({ "kty": "EC", "crv": "P-384", "kid": "key", "x": encoded(&point[1..49]), "y": encoded(&point[49..]) });
    assert!(!is_used(jwk.clone(), &CURVE, "ES256"));
    assert!(!is_used(issuer::with(jwk, json!({ "crv": "P-256" })), &CURVE, "ES256"));
}

#[test]
fn keys_that_share_an_id_are_all_left_out() {
    let other = Key::other_curve();
    let keys = published(&[
        CURVE.jwk(json!({ "kid": "twice" })),
        EDWARDS.jwk(json!({ "kid": "once" })),
        other.jwk(json!({ "kid": "twice" })),
    ]);
    let verifier = strict(keys);
    let verify = |key: &Key, alg: &str, kid: &str| {
        let token = key.token(&json!({ "alg": alg, "kid": kid }), &claims(json!({})));
        verify(&verifier, &token).map(|principal| principal.user)
    };
    assert_eq!(verify(&CURVE, "ES256", "twice"), Err(Unauthorized::UnknownKey.into()));
    assert_eq!(verify(&other, "ES256", "twice"), Err(Unauthorized::UnknownKey.into()));
    assert_eq!(verify(&EDWARDS, "EdDSA", "once").as_deref(), Ok("ann"));
    // One that is not for signing is none, so that its id is free.
    let encrypting = RSA.jwk(json!({ "kid": "key", "use": "enc" }));
    let shared = strict(published(&[encrypting, CURVE.jwk(json!({ "kid": "key" }))]));
    let token = CURVE.token(&json!({ "alg": "ES256", "kid": "key" }), &claims(json!({})));
    assert!(issuer::verify(&shared, &token).is_ok());
}

#[test]
fn a_set_of_no_use_is_refused() {
    assert_eq!(set(&[]), Err(BadKeySet::Empty));
    assert_eq!(set(&[Key::secret(SECRET).jwk(json!({ "kid": "a" })), json!({}), json!(7)]), Err(BadKeySet::Empty));
    for json in ["", "7", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[]"#, "\u{feff}{\"keys\":[]}"] {
        assert_eq!(KeySet::from_jwks(json.as_bytes()).map(drop), Err(BadKeySet::Malformed), "{json}");
    }
    assert_eq!(KeySet::from_jwks(&[0xff, 0xfe]).map(drop), Err(BadKeySet::Malformed));
}

#[test]
fn a_set_is_as_large_as_is_allowed() {
    let keys = |count: usize| {
        let key = |index: usize| CURVE.jwk(json!({ "kid": index.to_string() }));
        set(&(0..count).map(key).collect::<Vec<_>>())
    };
    assert_eq!(keys(MAX_KEYS), Ok(()));
    assert_eq!(keys(MAX_KEYS + 1), Err(BadKeySet::TooMany));
    let mut json = json!({ "keys": [CURVE.jwk(json!({}))] }).to_string().into_bytes();
    json.resize(MAX_KEY_SET_BYTES, b' ');
    assert!(KeySet::from_jwks(&json).is_ok());
    json.push(b' ');
    assert_eq!(KeySet::from_jwks(&json).map(drop), Err(BadKeySet::TooLarge));
}

#[test]
fn a_weak_secret_is_refused() {
    let set = |secrets: &[&[u8]]| KeySet::from_secrets(secrets).map(drop);
    assert_eq!(set(&[&[7; MIN_SECRET_BYTES]]), Ok(()));
    assert_eq!(set(&[&[7; MIN_SECRET_BYTES - 1]]), Err(BadKeySet::WeakSecret));
    assert_eq!(set(&[SECRET, b"short"]), Err(BadKeySet::WeakSecret));
    assert_eq!(set(&[]), Err(BadKeySet::Empty));
}

#[test]
fn a_set_that_is_logged_shows_no_secret() {
    let set = KeySet::from_secrets([SECRET]).unwrap();
    let shown = format!("{set:?}");
    assert!(!shown.contains("secret of") && !shown.contains("97, 32"), "{shown}");
}
