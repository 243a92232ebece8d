//! Folds batches of Kafka records into slices: each record exactly once, however often Kafka delivers it.
//!
//! [`handler`] takes an MSK event, [`batch`] decodes it and sorts it by slice, [`intake`] stores what it says before
//! the batch is acknowledged.

pub mod batch;
mod bookkeeping;
mod envelope;
pub mod handler;
pub mod intake;
mod last_written;
mod metrics;
pub mod response;

pub use bookkeeping::Bookkeeping;
pub use envelope::NotAnEvent;
