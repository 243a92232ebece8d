//! The port through which triggers and gateways reach a function.

use bytes::Bytes;

/// Whatever runs functions.
pub(crate) trait Invoke: Send + Sync + 'static {
    /// Invokes `function` and waits for its answer.
    fn invoke(&self, function: &str, payload: Bytes) -> impl Future<Output = Result<Bytes, InvokeError>> + Send;
}

/// Why an invocation gave no answer. A trigger delivers again after any of these; a gateway tells its client that the
/// function failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvokeError {
    /// The handler returned an error. Its text is in the function's own log and not repeated here: it may hold data.
    #[error("the function returned an error ({error_type})")]
    Function {
        /// The error's type as the Runtime API names it.
        error_type: String,
    },
    /// The process died before it answered.
    #[error("the function's process died")]
    Crashed,
    /// The function took longer than its timeout.
    #[error("the function timed out")]
    TimedOut,
    /// The payload is more than an invocation carries.
    #[error("the payload is too large for an invocation")]
    TooLarge,
    /// The template has no function of this name.
    #[error("there is no such function")]
    Unknown,
    /// The system is going down and takes no new work.
    #[error("the system is shutting down")]
    ShuttingDown,
}
