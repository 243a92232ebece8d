//! From an MSK event to the intake.

use lambda_runtime::{Diagnostic, LambdaEvent};
use projections::Timestamp;
use runtime::metrics::Metrics;
use serde_json::value::RawValue;
use store::SliceTable;

use crate::{
    Bookkeeping,
    intake::{Intake, IntakeError, Taken},
    metrics::Line,
    response::BatchResponse,
};

/// Takes one batch in, and prints a line of metrics about it. The payload comes as text, so that what is read of it can
/// be borrowed. An error brings the whole batch back; where the mapping `reads_responses`, a response may bring back
/// single partitions.
pub async fn handle<S: SliceTable + Bookkeeping>(
    intake: &Intake<S>,
    event: LambdaEvent<Box<RawValue>>,
    clock: impl Fn() -> Timestamp,
    metrics: &Metrics,
    reads_responses: bool,
) -> Result<Option<BatchResponse>, IntakeError> {
    let began_at = clock();
    let outcome = intake.take(event.payload.get(), began_at, &clock).await;
    metrics.emit(&Line { outcome: &outcome, reads_responses, began_at, ended_at: clock() });
    let Taken { slices, applied, seen, regressed, conflicts, quarantined, unknown, .. } = match outcome {
        Ok(taken) => taken,
        Err(error) if reads_responses => return BatchResponse::acknowledging_others(error).map(Some),
        Err(error) => return Err(error),
    };
    if seen + regressed + conflicts + quarantined + unknown > 0 {
        tracing::info!(slices, applied, seen, regressed, conflicts, quarantined, unknown, "batch taken in");
    } else {
        tracing::debug!(slices, applied, "batch taken in");
    }
    Ok(reads_responses.then(BatchResponse::default))
}

impl From<IntakeError> for Diagnostic {
    fn from(error: IntakeError) -> Self {
        Self { error_type: error.name().to_owned(), error_message: error.to_string() }
    }
}
