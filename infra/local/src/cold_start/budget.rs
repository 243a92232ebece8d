//! What a cold start may cost.

use std::time::Duration;

/// From a process's start to its first request for an invocation. Printed and marked, never a reason to fail: it depends
/// on the machine and on who else is using it.
pub(super) const START: Duration = Duration::from_millis(50);

/// Bytes of a binary, each: Lambda unpacks what it fetched, and maps it.
pub(super) const BINARY: u64 = 12_000_000;

/// Bytes of each function's binary in a zip file, which is what Lambda fetches before a cold start can begin.
///
/// A tenth above what was measured when the row was written, on `x86_64`: room for small things and for another processor,
/// and none for a second TLS stack to come in unnoticed. What all have in common, the runtime and DynamoDB's client with TLS,
/// is nearly all of `ws-disconnect`.
const ZIPPED: [(&str, u64); 9] = [
    ("ingest", 4_300_000),
    ("publisher", 4_800_000),
    ("ws-connect", 5_050_000),
    ("ws-disconnect", 4_200_000),
    ("ws-message", 5_050_000),
    ("metrics-api", 5_050_000),
    ("auth-api", 5_100_000),
    ("health-api", 4_400_000),
    ("topics", 4_900_000),
];

/// A function's budget of zipped bytes, if it has one.
pub(super) fn zipped(function: &str) -> Option<u64> {
    ZIPPED.iter().find(|(name, _)| *name == function).map(|(_, bytes)| *bytes)
}
