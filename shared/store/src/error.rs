//! What can go wrong with a table, told apart by what helps.

use aws_sdk_dynamodb::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

/// A table did not do what it was asked to. No text in here holds what an item contains.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It did not answer, or asked to come back later. Trying again helps; a write may have landed all the same.
    #[error("DynamoDB is unavailable: {0}")]
    Unavailable(String),
    /// It refused, and will until a table, a policy or this code is changed.
    #[error("DynamoDB refuses: {0}")]
    Refused(String),
    /// An item that this build cannot read. It is left as it is; somebody has to look at it, or a newer build to run.
    #[error("the item {key} cannot be read: {reason}")]
    Corrupt {
        /// Partition and sort key of the item.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More than an item can hold. The caller has to write less.
    #[error("{bytes} bytes are more than the {limit} that are allowed")]
    TooLarge {
        /// What was to be written.
        bytes: usize,
        /// What may be.
        limit: usize,
    },
}

/// Errors below status 500 that pass by themselves (developer guide of the database, "Error handling").
const PASSING: [&str; 6] = [
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
];

impl<E: ProvideErrorMetadata> From<SdkError<E, HttpResponse>> for StoreError {
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match error {
            SdkError::ServiceError(answer) => {
                // The code alone: a message may quote what was sent.
                let code = answer.err().code().unwrap_or("no code").to_owned();
                if answer.raw().status().is_server_error() || PASSING.contains(&code.as_str()) {
                    Self::Unavailable(code)
                } else {
                    Self::Refused(code)
                }
            }
            SdkError::ConstructionFailure(_) => Self::Refused("the request could not be built".into()),
            SdkError::TimeoutError(_) => Self::Unavailable("no answer in time".into()),
            SdkError::DispatchFailure(failure) if failure.is_timeout() => {
                Self::Unavailable("no connection in time".into())
            }
            SdkError::DispatchFailure(failure) if failure.is_io() => Self::Unavailable("no connection".into()),
            SdkError::DispatchFailure(_) => Self::Unavailable("the request could not be sent".into()),
            _ => Self::Unavailable("no readable answer".into()),
        }
    }
}
