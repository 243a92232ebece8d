//! What the mapping is told of a batch.
//!
//! A mapping with `ReportBatchItemFailures`, which Lambda offers for Kafka with provisioned pollers alone, has single
//! partitions brought back. Any other takes every answer for success: it has to be told by an error.
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>

use projections::Offset;
use serde::Serialize;

use crate::intake::{IntakeError, Resumption};

/// The answer that a mapping with `ReportBatchItemFailures` reads. Without failures it acknowledges the batch.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<BatchItemFailure>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct BatchItemFailure {
    item_identifier: ItemIdentifier,
}

/// From where a partition comes again. What was not in the batch brings all of it back.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ItemIdentifier {
    /// `{topic}-{partition}`, as in the event.
    partition: String,
    offset: Offset,
}

impl BatchResponse {
    /// The answer that brings the failed partitions back and acknowledges the others. Where nothing is to be acknowledged
    /// the error stays one: Lambda then waits longer from one try to the next, and counts it.
    pub(crate) fn acknowledging_others(error: IntakeError) -> Result<Self, IntakeError> {
        match error {
            IntakeError::NotStored { resumptions, others: Some(_), .. } => {
                Ok(Self { batch_item_failures: resumptions.into_iter().map(BatchItemFailure::from).collect() })
            }
            error => Err(error),
        }
    }
}

impl From<Resumption> for BatchItemFailure {
    fn from(Resumption { topic, partition, offset }: Resumption) -> Self {
        Self { item_identifier: ItemIdentifier { partition: format!("{topic}-{partition}"), offset } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_form_that_lambda_reads() {
        let failed = Resumption { topic: "campaign.events.v1".to_owned(), partition: 2, offset: 41 };
        let response = BatchResponse { batch_item_failures: vec![failed.into()] };
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"campaign.events.v1-2","offset":41}}]}"#
        );
        assert_eq!(serde_json::to_string(&BatchResponse::default()).unwrap(), r#"{"batchItemFailures":[]}"#);
    }
}
