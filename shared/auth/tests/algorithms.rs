//! Which keys a token may be signed with, and how: the key says it, and never the token (RFC 8725 §3.1).
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod issuer;

use auth::{AuthError, Unauthorized, Verifier};
use aws_lc_rs::{
    rsa::{self, KeySize},
    signature::KeyPair,
};
use issuer::{CURVE, EDWARDS, Key, RSA, SECRET, claims, encoded, published, secrets, strict, verify};
use serde_json::{Value, json};

/// One key of each kind, and one RSA key for PS256.
fn verifier() -> Verifier {
    strict(published(&[
        RSA.jwk(json!({ "kid": "rsa", "use": "sig" })),
        RSA.jwk(json!({ "kid": "pss", "alg": "PS256" })),
        CURVE.jwk(json!({ "kid": "curve", "alg": "ES256" })),
        EDWARDS.jwk(json!({ "kid": "edwards", "key_ops": ["verify"] })),
    ]))
}

fn token(key: &Key, header: &Value) -> String {
    key.token(header, &claims(json!({})))
}

fn user(verifier: &Verifier, token: &str) -> Result<String, AuthError> {
    verify(verifier, token).map(|principal| principal.user)
}

#[test]
fn every_algorithm_opens_a_dashboard() {
    for (key, kid, alg) in
        [(&*RSA, "rsa", "RS256"), (&*RSA, "pss", "PS256"), (&*CURVE, "curve", "ES256"), (&*EDWARDS, "edwards", "EdDSA")]
    {
        let token = token(key, &json!({ "alg": alg, "kid": kid, "typ": "JWT" }));
        assert_eq!(user(&verifier(), &token).as_deref(), Ok("ann"), "{alg}");
    }
    let token = token(&Key::secret(SECRET), &json!({ "alg": "HS256", "kid": "any" }));
    assert_eq!(user(&strict(secrets(&[SECRET])), &token).as_deref(), Ok("ann"));
}

#[test]
fn a_token_that_is_not_signed_is_refused_however_it_says_so() {
    for alg in ["none", "None", "NONE", "nOnE", "", " none", "null", "RS256 ", "rs256", "HS1", "RSA"] {
        for verifier in [verifier(), strict(secrets(&[SECRET]))] {
            for kid in [json!("rsa"), json!(null)] {
                let header = json!({ "alg": alg, "kid": kid });
                let signed = token(&RSA, &header);
                let (message, _) = signed.rsplit_once('.').unwrap();
                for token in [format!("{message}."), signed.clone()] {
                    assert_eq!(user(&verifier, &token), Err(Unauthorized::Algorithm.into()), "{header}");
                }
            }
        }
    }
}

/// The oldest trick: the public key, which everybody has, as the secret of an HMAC.
#[test]
fn a_public_key_is_never_a_secret() {
    let Key::Rsa(pair) = &*RSA else { panic!("an RSA key") };
    let jwk = RSA.jwk(json!({ "kid": "rsa", "use": "sig" }));
    let modulus = jwk["n"].as_str().unwrap().to_owned();
    for secret in [
        pair.public_key().as_ref().to_vec(),
        pair.public_key().modulus().big_endian_without_leading_zero().to_vec(),
        modulus.into_bytes(),
        jwk.to_string().into_bytes(),
        Vec::new(),
    ] {
        let secret = Key::Secret(secret);
        for kid in [json!("rsa"), json!("curve"), json!("other"), json!(null)] {
            for alg in ["HS256", "HS384", "HS512"] {
                let header = json!({ "alg": alg, "kid": kid });
                assert_eq!(
                    user(&verifier(), &token(&secret, &header)),
                    Err(Unauthorized::Algorithm.into()),
                    "{header}"
                );
            }
            // The same, with a header that does not say so.
            let header = json!({ "alg": "RS256", "kid": "rsa" });
            assert_eq!(user(&verifier(), &token(&secret, &header)), Err(Unauthorized::Signature.into()));
        }
    }
}

#[test]
fn the_algorithm_is_the_keys_own() {
    for (key, kid, alg) in [
        // One and the same RSA key, but each of its names is for one algorithm.
        (&*RSA, "rsa", "PS256"),
        (&*RSA, "pss", "RS256"),
        (&*RSA, "rsa", "RS384"),
        (&*RSA, "rsa", "RS512"),
        (&*RSA, "curve", "RS256"),
        (&*CURVE, "rsa", "ES256"),
        (&*CURVE, "curve", "ES384"),
        (&*EDWARDS, "curve", "EdDSA"),
        (&*EDWARDS, "edwards", "Ed25519"),
    ] {
        let token = token(key, &json!({ "alg": alg, "kid": kid }));
        assert_eq!(user(&verifier(), &token), Err(Unauthorized::Algorithm.into()), "{kid} {alg}");
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "EdDSA"] {
        let token = token(&Key::secret(SECRET), &json!({ "alg": alg }));
        assert_eq!(user(&strict(secrets(&[SECRET])), &token), Err(Unauthorized::Algorithm.into()), "{alg}");
    }
}

#[test]
fn a_signature_by_another_key_does_not_fit() {
    let other_rsa = Key::Rsa(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap());
    let other_edwards = Key::Edwards(aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap());
    for (key, kid, alg) in [
        (&other_rsa, "rsa", "RS256"),
        (&other_rsa, "pss", "PS256"),
        (&Key::other_curve(), "curve", "ES256"),
        (&other_edwards, "edwards", "EdDSA"),
        // The algorithm of the key's name, but the padding of the other one.
        (&Key::secret(SECRET), "rsa", "RS256"),
    ] {
        let token = token(key, &json!({ "alg": alg, "kid": kid }));
        assert_eq!(user(&verifier(), &token), Err(Unauthorized::Signature.into()), "{alg}");
    }
    let padding = RSA.token_of_text(r#"{"alg":"PS256","kid":"pss"}"#, &claims(json!({})).to_string(), "RS256");
    assert_eq!(user(&verifier(), &padding), Err(Unauthorized::Signature.into()));
    let secret = token(&Key::secret(b"another secret of more than 32 bytes"), &json!({ "alg": "HS256" }));
    assert_eq!(user(&strict(secrets(&[SECRET])), &secret), Err(Unauthorized::Signature.into()));
}

#[test]
fn a_signature_of_zeros_or_nothing_does_not_fit() {
    // CVE-2022-21449: some took r = s = 0 for a signature of everything.
    for (kid, alg, length) in
        [("curve", "ES256", 64), ("edwards", "EdDSA", 64), ("rsa", "RS256", 256), ("rsa", "RS256", 0)]
    {
        let header = encoded(json!({ "alg": alg, "kid": kid }).to_string().as_bytes());
        let claims = encoded(claims(json!({})).to_string().as_bytes());
        let token = format!("{header}.{claims}.{}", encoded(&vec![0; length]));
        assert_eq!(user(&verifier(), &token), Err(Unauthorized::Signature.into()), "{alg}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_not_looked_at() {
    let evil = Key::other_curve();
    let jwk = evil.jwk(json!({ "kid": "curve" }));
    let brought = json!({
        "alg": "ES256",
        "jwk": jwk,
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/cert.pem",
        "x5c": ["MIIB"],
        "x5t": "AA",
    });
    for (kid, reason) in [
        (json!("curve"), Unauthorized::Signature),
        (json!("evil"), Unauthorized::UnknownKey),
        (json!("https://evil.example/jwks.json"), Unauthorized::UnknownKey),
        (json!("../../dev/null"), Unauthorized::UnknownKey),
        (json!(null), Unauthorized::Signature),
    ] {
        let header = issuer::with(brought.clone(), json!({ "kid": kid }));
        assert_eq!(user(&verifier(), &token(&evil, &header)), Err(reason.into()), "{header}");
    }
    // And it takes nothing from a good token either, whatever it is.
    for odd in [brought, json!({ "alg": "ES256", "jwk": 7, "jku": [], "x5c": {}, "x5u": null })] {
        let header = issuer::with(odd, json!({ "kid": "curve" }));
        assert_eq!(user(&verifier(), &token(&CURVE, &header)).as_deref(), Ok("ann"), "{header}");
    }
}

#[test]
fn a_token_without_a_key_id_needs_the_only_key_of_its_algorithm() {
    let unnamed = |key: &Key, alg: &str| token(key, &json!({ "alg": alg }));
    for (key, alg) in [(&*RSA, "RS256"), (&*RSA, "PS256"), (&*CURVE, "ES256"), (&*EDWARDS, "EdDSA")] {
        assert_eq!(user(&verifier(), &unnamed(key, alg)).as_deref(), Ok("ann"), "{alg}");
    }
    let two = strict(published(&[CURVE.jwk(json!({ "kid": "a" })), Key::other_curve().jwk(json!({ "kid": "b" }))]));
    assert_eq!(user(&two, &unnamed(&CURVE, "ES256")), Err(Unauthorized::UnknownKey.into()));
    assert_eq!(user(&two, &unnamed(&RSA, "RS256")), Err(Unauthorized::UnknownKey.into()));
    // A key without an id is for tokens without one.
    let nameless = strict(published(&[CURVE.jwk(json!({}))]));
    assert_eq!(user(&nameless, &unnamed(&CURVE, "ES256")).as_deref(), Ok("ann"));
    let named = token(&CURVE, &json!({ "alg": "ES256", "kid": "" }));
    assert_eq!(user(&nameless, &named), Err(Unauthorized::UnknownKey.into()));
}
