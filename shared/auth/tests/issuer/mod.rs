//! Issues tokens, good ones and bad ones, with keys that are made at run time. It signs with the cryptography itself and
//! not with the library that verifies, so that a header can say anything.

use std::{fmt, sync::LazyLock};

use auth::{AuthError, Expectations, KeySet, Principal, READ_LIVE, Verifier};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{self, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::FutureExt;
use projections::Timestamp;
use serde_json::{Value, json};

/// 2026-01-15T10:30:00Z.
pub(crate) const NOW: i64 = 1_768_473_000;

pub(crate) const SECRET: &[u8] = b"a secret of thirty-two bytes or so";

pub(crate) const ISSUER: &str = "https://id.example";

pub(crate) static RSA: LazyLock<Key> = LazyLock::new(|| Key::Rsa(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap()));

pub(crate) static CURVE: LazyLock<Key> =
    LazyLock::new(|| Key::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()));

pub(crate) static EDWARDS: LazyLock<Key> = LazyLock::new(|| Key::Edwards(Ed25519KeyPair::generate().unwrap()));

/// What a token can be signed with.
pub(crate) enum Key {
    Secret(Vec<u8>),
    Rsa(rsa::KeyPair),
    Curve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    pub(crate) fn secret(bytes: &[u8]) -> Self {
        Self::Secret(bytes.to_vec())
    }

    pub(crate) fn other_curve() -> Self {
        Self::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// The signature that the algorithm makes with this key. An algorithm that this kind of key does not know gets the
    /// usual one's, for tokens that lie about it.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Secret(secret) => {
                let hash = if algorithm == "HS512" { hmac::HMAC_SHA512 } else { hmac::HMAC_SHA256 };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                if algorithm == "PS256" {
                    pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).unwrap();
                } else {
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
                }
                signature
            }
            Self::Curve(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// The public half as issuers publish it, with this on top; `null` takes a field out.
    pub(crate) fn jwk(&self, changes: Value) -> Value {
        let jwk = match self {
            Self::Secret(secret) => json!({ "kty": "oct", "k": encoded(secret) }),
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({
                    "kty": "RSA",
                    "n": encoded(n.big_endian_without_leading_zero()),
                    "e": encoded(e.big_endian_without_leading_zero()),
                })
            }
            Self::Curve(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..]) })
            }
            Self::Edwards(pair) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key().as_ref()) })
            }
        };
        with(jwk, changes)
    }

    /// A token of this header and these claims, signed as the header says.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of_text(&header.to_string(), &claims.to_string(), header["alg"].as_str().unwrap_or_default())
    }

    /// A token whose header and claims are these texts, duplicates and all.
    pub(crate) fn token_of_text(&self, header: &str, claims: &str, algorithm: &str) -> String {
        let message = format!("{}.{}", encoded(header.as_bytes()), encoded(claims.as_bytes()));
        format!("{message}.{}", encoded(&self.sign(algorithm, message.as_bytes())))
    }
}

pub(crate) fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

/// An object with some fields changed; `null` takes one out.
pub(crate) fn with(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(&name)),
            value => object[name] = value,
        }
    }
    object
}

/// Claims that open a dashboard, with some changed.
pub(crate) fn claims(changes: Value) -> Value {
    let good = json!({
        "iss": ISSUER,
        "aud": "livefold",
        "sub": "ann",
        "tenant_id": "acme",
        "permissions": [READ_LIVE],
        "iat": NOW - 60,
        "exp": NOW + 3600,
    });
    with(good, changes)
}

/// A token of ours, signed with a secret, with some claims changed.
pub(crate) fn hs256(changes: Value) -> String {
    Key::secret(SECRET).token(&json!({ "alg": "HS256", "typ": "JWT" }), &claims(changes))
}

pub(crate) fn secrets(secrets: &[&[u8]]) -> KeySet {
    KeySet::from_secrets(secrets).unwrap()
}

pub(crate) fn published(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

/// A verifier of tokens for `livefold` by [`ISSUER`].
pub(crate) fn strict(keys: KeySet) -> Verifier {
    let expectations = Expectations {
        issuer: Some(ISSUER.to_owned()),
        audiences: vec!["livefold".to_owned(), "dashboards".to_owned()],
        default_tenant: None,
    };
    Verifier::new(std::sync::Arc::new(keys), expectations)
}

/// Verifies with keys that need no waiting for, but for another test that looks at them.
pub(crate) fn verify_at(verifier: &Verifier, token: &str, now: Timestamp) -> Result<Principal, AuthError> {
    for _ in 0..10_000 {
        if let Some(verified) = verifier.verify(token, now).now_or_never() {
            return verified;
        }
        std::thread::yield_now();
    }
    panic!("the keys are waited for");
}

pub(crate) fn verify(verifier: &Verifier, token: &str) -> Result<Principal, AuthError> {
    verify_at(verifier, token, at(NOW))
}
