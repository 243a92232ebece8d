//! The wall clock.

use projections::Timestamp;

/// The current time.
#[must_use]
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
