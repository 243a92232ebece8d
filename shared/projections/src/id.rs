//! Identifiers that are safe in keys, URLs and logs.

use std::{borrow::Borrow, fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, de};

/// The longest id.
pub const MAX_LENGTH: usize = 128;

/// 1–128 of `A–Z a–z 0–9 . _ : -`. `#` separates the parts of a key and so can be in none of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Id(Arc<str>);

/// The text is no [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 128 of A-Z a-z 0-9 . _ : -")]
pub struct BadId;

impl Id {
    /// Checks `text` and keeps it.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        is_valid(text).then(|| Self(text.into())).ok_or(BadId)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` is an id.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Who owns data. A type of its own, so that no other id is ever taken for one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(Id);

impl TenantId {
    /// Checks `text` and keeps it.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        Id::parse(text).map(Self)
    }

    /// The tenant as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl From<Id> for TenantId {
    fn from(id: Id) -> Self {
        Self(id)
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Borrow<str> for TenantId {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_the_length_are_checked() {
        assert!(Id::parse("evt_1:a.B-9").is_ok());
        assert!(Id::parse(&"x".repeat(128)).is_ok());
        for bad in ["", "a#b", "a b", "é", "a/b", &"x".repeat(129)] {
            assert_eq!(Id::parse(bad), Err(BadId), "{bad:?}");
        }
    }
}
