//! A token's parts, before anything of it is believed.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{claims::Claims, error::Unauthorized};

/// The longest token that is looked at. API Gateway takes no more than 10 KB of headers altogether.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// What the header's `typ` may be, in any case: a JWT, or an access token that says so (RFC 9068 §2.1). A token of any
/// other type was made for something else (RFC 8725 §3.11).
const TYPES: [&str; 2] = ["JWT", "at+jwt"];

/// The algorithms that a key can be for.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::HS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

/// A signed token, taken apart.
pub(crate) struct Token<'a> {
    /// What is signed: the header and the claims, still encoded.
    message: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// What it says that it is signed with. It has to be what the key is for; it never chooses.
    pub(crate) algorithm: Algorithm,
    /// Which key it says that it is signed with.
    pub(crate) kid: Option<String>,
}

/// All of the header that is read. A key or an address of one (`jwk`, `x5c`, `jku`, `x5u`) is not even looked at: keys
/// come from our configuration alone. A field that is there twice makes it malformed.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(rename = "crit", default, deserialize_with = "is_there")]
    has_critical: bool,
}

impl<'a> Token<'a> {
    /// Takes the token apart, and refuses what no key could make good.
    pub(crate) fn parse(token: &'a str) -> Result<Self, Unauthorized> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Unauthorized::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Unauthorized::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(Unauthorized::Malformed)?;
        if claims.contains('.') {
            return Err(Unauthorized::Malformed);
        }
        let header: Header = decode(header)?;
        if header.has_critical {
            // We know no extension, and one that must be understood may not be ignored (RFC 7515 §4.1.11).
            return Err(Unauthorized::Critical);
        }
        if header.typ.is_some_and(|typ| !TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known))) {
            return Err(Unauthorized::Type);
        }
        let algorithm = header.alg.parse().ok().filter(|algorithm| ALGORITHMS.contains(algorithm));
        let algorithm = algorithm.ok_or(Unauthorized::Algorithm)?;
        Ok(Self { message, claims, signature, algorithm, kid: header.kid })
    }

    /// Whether this key made the signature with this algorithm, which is the key's and not the token's.
    pub(crate) fn is_signed_with(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        crypto::verify(self.signature, self.message.as_bytes(), key, algorithm).unwrap_or(false)
    }

    /// What the token claims. To be believed only when its signature has been found to fit.
    pub(crate) fn claims(&self) -> Result<Claims, Unauthorized> {
        decode(self.claims)
    }
}

/// The JSON object of a part.
fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Unauthorized> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Unauthorized::Malformed)?;
    // The error's own text might repeat what is in the token.
    serde_json::from_slice(&json).map_err(|_| Unauthorized::Malformed)
}

/// True for any value; where the field is absent, serde's default is false.
fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}
