//! Configuration: environment variables, set by `template.yaml` and nowhere else.

use std::{
    fmt::{self, Display},
    num::NonZeroU32,
    ops::RangeInclusive,
    str::FromStr,
    time::Duration,
};

use auth::Origins;
use projections::TenantId;

/// A variable is missing or makes no sense. The function does not start.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It has to be set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It is set to something that it cannot be.
    #[error("the environment variable {name} is not {expected}")]
    Invalid {
        /// Which variable.
        name: &'static str,
        /// What it should be. What it is, is not repeated: it may be a secret.
        expected: String,
    },
}

/// What `main` prints of an error is its `Debug`, and an operator reads it.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The variables of this process. An empty one counts as not set: CloudFormation cannot leave one out.
#[derive(Clone, Copy)]
pub struct Variables {
    read: fn(&str) -> Option<String>,
}

impl Variables {
    /// The process's environment.
    #[must_use]
    pub fn from_env() -> Self {
        Self { read: |name| std::env::var(name).ok() }
    }

    /// A variable that may be left out.
    #[must_use]
    pub fn optional(&self, name: &'static str) -> Option<String> {
        (self.read)(name).filter(|value| !value.is_empty())
    }

    /// A variable that has to be there.
    pub fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// A number within bounds.
    pub fn number<T>(&self, name: &'static str, bounds: RangeInclusive<T>) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + Display,
    {
        let number = self.required(name)?.parse().ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| ConfigError::Invalid {
            name,
            expected: format!("a number from {} to {}", bounds.start(), bounds.end()),
        })
    }

    /// Whether something is so: `true` or `false`.
    pub fn flag(&self, name: &'static str) -> Result<bool, ConfigError> {
        let expected = || "true or false".to_owned();
        self.required(name)?.parse().map_err(|_| ConfigError::Invalid { name, expected: expected() })
    }

    /// A duration in milliseconds, within bounds.
    pub fn duration_ms(&self, name: &'static str, bounds: RangeInclusive<u64>) -> Result<Duration, ConfigError> {
        self.number(name, bounds).map(Duration::from_millis)
    }

    /// A number of days; nothing for 0, which stands for ever.
    pub fn days(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        let days = self.number(name, 0..=3650_u32)?;
        Ok((days > 0).then(|| Duration::from_hours(u64::from(days) * 24)))
    }

    /// The number of connection shards.
    pub fn shards(&self) -> Result<NonZeroU32, ConfigError> {
        self.number("SHARDS", 1..=1000).map(|shards| NonZeroU32::new(shards).unwrap_or(NonZeroU32::MIN))
    }

    /// Over how many partitions the journal of channels is spread.
    pub fn journal_buckets(&self) -> Result<NonZeroU32, ConfigError> {
        self.number("JOURNAL_BUCKETS", 1..=100).map(|buckets| NonZeroU32::new(buckets).unwrap_or(NonZeroU32::MIN))
    }

    /// The origins whose pages may come; none where the variable is not set.
    pub fn origins(&self) -> Result<Origins, ConfigError> {
        const NAME: &str = "ALLOWED_ORIGINS";
        let expected = || "a comma-separated list of origins like https://dashboard.example.com".to_owned();
        Origins::parse(&self.optional(NAME).unwrap_or_default())
            .map_err(|_| ConfigError::Invalid { name: NAME, expected: expected() })
    }

    /// A tenant that may be left out.
    pub fn tenant(&self, name: &'static str) -> Result<Option<TenantId>, ConfigError> {
        let expected = || "1 to 128 of A-Z a-z 0-9 . _ : -".to_owned();
        self.optional(name)
            .map(|tenant| TenantId::parse(&tenant).map_err(|_| ConfigError::Invalid { name, expected: expected() }))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: Variables = Variables {
        read: |name| match name {
            "TABLE" => Some("channels".to_owned()),
            "EMPTY" => Some(String::new()),
            "TICK_MS" => Some("100".to_owned()),
            "WORD" => Some("soon".to_owned()),
            "SHARDS" => Some("0".to_owned()),
            "ON" => Some("true".to_owned()),
            _ => None,
        },
    };

    #[test]
    fn a_missing_variable_is_named_and_an_empty_one_is_missing() {
        assert_eq!(VARIABLES.required("TABLE").as_deref(), Ok("channels"));
        let error = VARIABLES.required("NOWHERE").unwrap_err();
        assert_eq!(error.to_string(), "the environment variable NOWHERE is not set");
        assert_eq!(VARIABLES.required("EMPTY"), Err(ConfigError::Missing("EMPTY")));
        assert_eq!(VARIABLES.tenant("EMPTY"), Ok(None));
    }

    #[test]
    fn a_wrong_variable_is_named_and_not_repeated() {
        assert_eq!(VARIABLES.duration_ms("TICK_MS", 50..=1000), Ok(Duration::from_millis(100)));
        let error = VARIABLES.number("WORD", 1..=10_u32).unwrap_err();
        assert_eq!(error.to_string(), "the environment variable WORD is not a number from 1 to 10");
        assert!(VARIABLES.shards().is_err());
        assert_eq!(VARIABLES.flag("ON"), Ok(true));
        assert!(VARIABLES.flag("WORD").is_err());
    }
}
