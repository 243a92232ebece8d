//! Keys that sign tokens, made when a test needs one. They sign without the library that the functions verify with, so
//! that a token may be wrong in every way.

use aws_lc_rs::{
    digest,
    encoding::{AsDer, PublicKeyX509Der},
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// What `cargo dev` signs with. It protects nothing; every reader of the repository knows it.
pub const LOCAL_SECRET: &str = "livefold-local-secret-not-for-any-deployment";

/// How a key signs (RFC 7518, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSA, PKCS #1 v1.5.
    Rs256,
    /// RSA, PSS.
    Ps256,
    /// P-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// HMAC with a secret.
    Hs256,
}

impl Algorithm {
    /// Those that an issuer publishes keys of.
    pub const PUBLIC: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// As a header says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Hs256 => "HS256",
        }
    }
}

/// A key that signs tokens.
pub struct Key {
    id: String,
    algorithm: Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Box<hmac::Key>),
}

impl Key {
    /// A new key, RSA with 2048 bits.
    ///
    /// # Panics
    /// When asked for a secret: [`Key::secret`] makes those.
    #[must_use]
    pub fn new(algorithm: Algorithm, id: impl Into<String>) -> Self {
        let pair = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key can be made"))
            }
            Algorithm::Es256 => {
                Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key can be made"))
            }
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key can be made")),
            Algorithm::Hs256 => panic!("a secret is given, not made"),
        };
        Self { id: id.into(), algorithm, pair }
    }

    /// A key for HS256.
    #[must_use]
    pub fn secret(secret: &[u8], id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            algorithm: Algorithm::Hs256,
            pair: Pair::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret))),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What is published of it (RFC 7517).
    ///
    /// # Panics
    /// When it is a secret.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "kty": "RSA",
                    "n": encode(public.modulus().big_endian_without_leading_zero()),
                    "e": encode(public.exponent().big_endian_without_leading_zero()),
                })
            }
            Pair::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())}),
            Pair::Secret(_) => panic!("a secret is not published"),
        };
        jwk["kid"] = self.id.clone().into();
        jwk["alg"] = self.algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// The public key as PEM, which anybody may have.
    ///
    /// # Panics
    /// When it is no RSA key.
    #[must_use]
    pub fn pem(&self) -> String {
        let Pair::Rsa(pair) = &self.pair else { panic!("only RSA keys are asked for") };
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key has a form");
        let text = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The header of its tokens.
    #[must_use]
    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "typ": "JWT", "kid": self.id})
    }

    /// A token as it should be.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// A token of whatever header and claims.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn sign(&self, header: &str, claims: &str) -> String {
        self.sign_as(self.algorithm, header, claims)
    }

    /// A token signed with another algorithm than the key is for; only RSA keys can do more than one.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn sign_as(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let bytes = message.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding =
                    if algorithm == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, bytes, &mut signature).expect("an RSA key signs");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, bytes).expect("a P-256 key signs").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(bytes).as_ref().to_vec(),
            Pair::Secret(key) => hmac::sign(key, bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }
}

/// Base64 as tokens have it.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// What logs say instead of a user's name.
///
/// # Panics
/// Never: a digest is long enough.
#[must_use]
pub fn pseudonym(tenant: &str, user: &str) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{tenant}#{user}").as_bytes());
    let first: [u8; 8] = digest.as_ref()[..8].try_into().expect("a digest is longer");
    format!("{:016x}", u64::from_be_bytes(first))
}
