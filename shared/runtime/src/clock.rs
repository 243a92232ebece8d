//! The one place where the time comes from; everything else gets it passed in.

use std::time::{SystemTime, UNIX_EPOCH};

use projections::Timestamp;

/// The time.
#[must_use]
pub fn now() -> Timestamp {
    // A clock before 1970 is set wrongly; it counts as 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::EPOCH.plus(since)
}
