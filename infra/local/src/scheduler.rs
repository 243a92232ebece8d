//! EventBridge Scheduler: invokes functions at the template's rates, the first time at once.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{console, lambda::Host, template::Schedule};

/// Runs a schedule until `stop`. As on AWS, an invocation does not wait for the one before it.
pub(crate) async fn run(schedule: Schedule, host: Arc<Host>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(schedule.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let input = Bytes::from(schedule.input);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if host.invoke_later(&schedule.function, input.clone()).is_err() {
            console::warn(&format!("the schedule of {} was skipped: too many invocations wait", schedule.function));
        }
    }
}
