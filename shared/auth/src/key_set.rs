//! The keys that tokens may be signed with.

use std::sync::Arc;

use jsonwebtoken::{
    Algorithm, DecodingKey, DecodingKeyKind,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{error::Unauthorized, token::Token};

/// RFC 7518 §3.2: a key for HS256 has at least the size of the hash.
pub const MIN_SECRET_BYTES: usize = 32;

/// The largest key set that is read. The largest known ones, with certificates, have some 20 KB.
pub const MAX_KEY_SET_BYTES: usize = 256 * 1024;

/// The most keys of a set. Issuers publish a handful: the one in use, the next, and the last.
pub const MAX_KEYS: usize = 100;

/// RFC 7518 §3.3 demands 2048 bits; more than 8192 make verifying slow, and the cryptography refuses them.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// The length of an Ed25519 key and of each coordinate of a P-256 key.
const CURVE_BYTES: usize = 32;

/// Public keys of an issuer, each for one algorithm, or secrets for HS256. Never both, so that nobody's public key can
/// be taken for a secret.
#[derive(Clone, Debug)]
pub struct KeySet(Arc<Keys>);

#[derive(Debug)]
enum Keys {
    Published(Vec<PublicKey>),
    Secrets(Vec<DecodingKey>),
}

#[derive(Debug)]
struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// What is wrong with a key set. The texts hold nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeySet {
    /// It is no JSON object with an array of keys.
    #[error("the key set is malformed")]
    Malformed,
    /// It has more than [`MAX_KEY_SET_BYTES`].
    #[error("the key set has more than {MAX_KEY_SET_BYTES} bytes")]
    TooLarge,
    /// It has more than [`MAX_KEYS`].
    #[error("the key set has more than {MAX_KEYS} keys")]
    TooMany,
    /// No token could be verified with it. Whoever publishes such a set has made a mistake.
    #[error("the key set has no key that can be used")]
    Empty,
    /// It could be guessed.
    #[error("a secret is shorter than {MIN_SECRET_BYTES} bytes")]
    WeakSecret,
}

/// The body of RFC 7517 §5. Each key is read on its own, for one that we cannot read must not take the others with it.
#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

impl KeySet {
    /// The keys that an issuer publishes (RFC 7517). Keys that are of another type, for another use or too weak are
    /// left out, and so are all that share their `kid` with another one.
    pub fn from_jwks(json: &[u8]) -> Result<Self, BadKeySet> {
        if json.len() > MAX_KEY_SET_BYTES {
            return Err(BadKeySet::TooLarge);
        }
        let published: Published<'_> = serde_json::from_slice(json).map_err(|_| BadKeySet::Malformed)?;
        if published.keys.len() > MAX_KEYS {
            return Err(BadKeySet::TooMany);
        }
        let usable = |json: &&RawValue| serde_json::from_str(json.get()).ok().and_then(PublicKey::of);
        let all: Vec<PublicKey> = published.keys.iter().filter_map(usable).collect();
        let kids: Vec<Option<String>> = all.iter().map(|key| key.kid.clone()).collect();
        let is_unique = |key: &PublicKey| key.kid.is_none() || kids.iter().filter(|kid| **kid == key.kid).count() == 1;
        let keys: Vec<PublicKey> = all.into_iter().filter(is_unique).collect();
        if keys.is_empty() { Err(BadKeySet::Empty) } else { Ok(Self(Arc::new(Keys::Published(keys)))) }
    }

    /// Secrets for HS256: the current one and, while tokens signed with it are about, the previous one.
    pub fn from_secrets(secrets: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<Self, BadKeySet> {
        let key = |secret: &[u8]| {
            let is_strong = secret.len() >= MIN_SECRET_BYTES;
            is_strong.then(|| DecodingKey::from_secret(secret)).ok_or(BadKeySet::WeakSecret)
        };
        let keys = secrets.into_iter().map(|secret| key(secret.as_ref())).collect::<Result<Vec<_>, _>>()?;
        match keys.len() {
            0 => Err(BadKeySet::Empty),
            1..=MAX_KEYS => Ok(Self(Arc::new(Keys::Secrets(keys)))),
            _ => Err(BadKeySet::TooMany),
        }
    }

    /// Whether one of the keys made the token's signature.
    pub(crate) fn check(&self, token: &Token<'_>) -> Result<(), Unauthorized> {
        let is_signed = match &*self.0 {
            Keys::Published(keys) => {
                let PublicKey { key, algorithm, .. } = find(keys, token)?;
                if *algorithm != token.algorithm {
                    return Err(Unauthorized::Algorithm);
                }
                token.is_signed_with(key, *algorithm)
            }
            Keys::Secrets(_) if token.algorithm != Algorithm::HS256 => return Err(Unauthorized::Algorithm),
            Keys::Secrets(secrets) => secrets.iter().any(|key| token.is_signed_with(key, Algorithm::HS256)),
        };
        is_signed.then_some(()).ok_or(Unauthorized::Signature)
    }

    /// Whether a token that was refused for this might be good with a newer set. One that names its key and does not
    /// fit is wrong; any other may be signed with a key that is not known yet.
    pub(crate) fn may_be_old(&self, token: &Token<'_>, refused: Unauthorized) -> bool {
        let names_its_key = token.kid.is_some() && matches!(*self.0, Keys::Published(_));
        match refused {
            Unauthorized::UnknownKey => true,
            Unauthorized::Signature => !names_its_key,
            _ => false,
        }
    }
}

/// The one key that may have signed the token: the one of its `kid`; where it has none, the only one of its algorithm.
fn find<'a>(keys: &'a [PublicKey], token: &Token<'_>) -> Result<&'a PublicKey, Unauthorized> {
    if token.algorithm == Algorithm::HS256 {
        return Err(Unauthorized::Algorithm);
    }
    let mut candidates = keys.iter().filter(|key| match &token.kid {
        Some(kid) => key.kid.as_ref() == Some(kid),
        None => key.algorithm == token.algorithm,
    });
    match (candidates.next(), candidates.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(Unauthorized::UnknownKey),
    }
}

impl PublicKey {
    /// The key and what it is for, if tokens may be signed with it.
    fn of(jwk: Jwk) -> Option<Self> {
        let Jwk { common, algorithm: parameters } = jwk;
        let is_for_signing = common.public_key_use.is_none_or(|purpose| purpose == PublicKeyUse::Signature);
        let may_verify = common.key_operations.is_none_or(|allowed| allowed.contains(&KeyOperations::Verify));
        if !(is_for_signing && may_verify) {
            return None;
        }
        let (key, usual) = match parameters {
            AlgorithmParameters::RSA(rsa) => (rsa_key(&rsa.n, &rsa.e)?, Algorithm::RS256),
            AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P256 => {
                (curve_key(DecodingKey::from_ec_components(&point.x, &point.y), 1 + 2 * CURVE_BYTES)?, Algorithm::ES256)
            }
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
                (curve_key(DecodingKey::from_ed_components(&pair.x), CURVE_BYTES)?, Algorithm::EdDSA)
            }
            _ => return None,
        };
        let algorithm = match (common.key_algorithm, usual) {
            (None, usual) => usual,
            (Some(KeyAlgorithm::PS256), Algorithm::RS256) => Algorithm::PS256,
            (Some(named), usual) if named == KeyAlgorithm::from(usual) => usual,
            _ => return None,
        };
        Some(Self { kid: common.key_id, algorithm, key })
    }
}

/// An RSA key that is strong enough. With the exponent 1 every text would be its own signature.
fn rsa_key(modulus: &str, exponent: &str) -> Option<DecodingKey> {
    let key = DecodingKey::from_rsa_components(modulus, exponent).ok()?;
    let DecodingKeyKind::RsaModulusExponent { n, e } = key.kind() else { return None };
    let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
    // 2048 bits: 256 bytes, and the first bit of the first one is set.
    let is_long = RSA_MODULUS_BYTES.contains(&n.len()) && (n.len() > *RSA_MODULUS_BYTES.start() || n[0] >= 0x80);
    let is_exponent = (1..=4).contains(&e.len()) && e != [1] && e.last().is_some_and(|last| last % 2 == 1);
    (is_long && is_exponent).then(|| DecodingKey::from_rsa_raw_components(n, e))
}

/// A key on a curve, if it has the right size. Whether it is a point of the curve is checked whenever it is used.
fn curve_key(key: jsonwebtoken::errors::Result<DecodingKey>, bytes: usize) -> Option<DecodingKey> {
    key.ok().filter(|key| key.try_get_as_bytes().is_ok_and(|key| key.len() == bytes))
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
