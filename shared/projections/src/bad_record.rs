//! The reasons why a record cannot be counted.

/// Why a record cannot be counted. The text is safe to log and to show: it names fields, never their contents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Nothing reads this topic.
    #[error("unknown topic")]
    UnknownTopic,
    /// No value, as in a tombstone.
    #[error("empty value")]
    Empty,
    /// The envelope around the record does not hold base64, or lacks a part.
    #[error("broken envelope: {0}")]
    Envelope(&'static str),
    /// A format that others use, and that is not opened.
    #[error("not a plain record: it looks like {0}")]
    Foreign(&'static str),
    /// Bytes that are no UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Text that is no JSON.
    #[error("not JSON (line {line}, column {column})")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// JSON that is no object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A field stands in the object twice.
    #[error("a field is given twice")]
    TwiceGiven,
    /// A field that this kind of record needs.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field of another type than it should be.
    #[error("field `{field}` is not {expected}")]
    WrongType {
        /// The field's name.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// An id with a character that keys cannot hold, or too long.
    #[error("field `{0}` is no id (1 to 128 of A-Z a-z 0-9 . _ : -)")]
    BadId(&'static str),
    /// A word that is none of those allowed.
    #[error("field `{0}` has an unknown value")]
    UnknownValue(&'static str),
    /// An event type that this version does not know. A producer may be newer than we are, so this is no fault of the
    /// record's: after an upgrade it can be counted.
    #[error("field `{0}` has an event type that is not known")]
    UnknownEventType(&'static str),
    /// Neither the record nor the configuration names a tenant.
    #[error("no tenant: `tenantId` is missing and there is no default")]
    NoTenant,
}

impl BadRecord {
    /// A stable word for the kind of reason, for counting and filtering: the text may be reworded, this is not.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnknownTopic => "unknown_topic",
            Self::Empty => "empty",
            Self::Envelope(_) => "broken_envelope",
            Self::Foreign(_) => "foreign_format",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::TwiceGiven => "field_twice",
            Self::Missing(_) => "missing_field",
            Self::WrongType { .. } => "wrong_type",
            Self::BadId(_) => "bad_id",
            Self::UnknownValue(_) => "unknown_value",
            Self::UnknownEventType(_) => "unknown_event_type",
            Self::NoTenant => "no_tenant",
        }
    }

    /// Whether the record is of an event type that only a later version may know: nothing is wrong with it, so nobody
    /// has to be woken.
    #[must_use]
    pub const fn is_unknown_type(&self) -> bool {
        matches!(self, Self::UnknownEventType(_))
    }
}
