//! From an MSK event to the intake.

use lambda_runtime::{Diagnostic, LambdaEvent};
use projections::Timestamp;
use serde_json::value::RawValue;
use store::SliceTable;

use crate::{
    Bookkeeping,
    intake::{Intake, IntakeError, Taken},
};

/// Takes one batch in. The payload comes as text, so that what is read of it can be borrowed. An error brings the
/// whole batch back.
pub async fn handle<S: SliceTable + Bookkeeping>(
    intake: &Intake<S>,
    event: LambdaEvent<Box<RawValue>>,
    now: Timestamp,
) -> Result<(), IntakeError> {
    let taken = intake.take(event.payload.get(), now).await?;
    let Taken { slices, applied, seen, regressed, conflicts, quarantined } = taken;
    if seen + regressed + conflicts + quarantined > 0 {
        tracing::info!(slices, applied, seen, regressed, conflicts, quarantined, "batch taken in");
    } else {
        tracing::debug!(slices, applied, "batch taken in");
    }
    Ok(())
}

impl From<IntakeError> for Diagnostic {
    fn from(error: IntakeError) -> Self {
        let error_type = match error {
            IntakeError::NotAnEvent(_) => "NotAnEvent",
            IntakeError::NotStored { .. } => "NotStored",
        };
        Self { error_type: error_type.to_owned(), error_message: error.to_string() }
    }
}
