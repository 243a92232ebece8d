//! From the topics that are wanted and those that exist to what is done: what is missing is made, a topic may get more
//! partitions, and nothing is ever taken away.

use std::{collections::BTreeMap, future::Future, time::Duration};

use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::request::Wanted;

/// The longest that one question to a cluster takes. Making a topic takes some seconds on a busy one; a broker that is out
/// of reach says nothing at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// One way of managing the topics of a cluster.
pub(crate) trait TopicAdmin {
    /// What it is called in a reason.
    fn name(&self) -> &'static str;

    /// Those of the topics that exist, and how many partitions each has. May be a minute late.
    async fn list(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, AdminError>;

    /// Makes a topic as it is wanted.
    async fn create(&self, topic: &str, wanted: &Wanted) -> Result<Created, AdminError>;

    /// Gives a topic more partitions.
    async fn raise(&self, topic: &str, partitions: i32) -> Result<(), AdminError>;
}

/// What became of a topic that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is as it is wanted.
    AsWanted,
    /// It is configured as the cluster's defaults say.
    WithoutConfigs,
    /// It was there before, and is what it was.
    AlreadyThere,
}

/// Something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AdminError {
    /// The cluster says no to this; another topic, or the same in another way, may still work.
    #[error("{0}")]
    Refused(String),
    /// The cluster cannot be spoken to in this way; nothing else works in it either.
    #[error("{0}")]
    Unreachable(String),
}

/// What has to be done about one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It does not exist.
    Create,
    /// It has fewer partitions than this update asks for.
    Raise,
    /// It has fewer partitions than are wanted, which nobody has asked to change.
    LeaveFewer,
    /// It has as many partitions as are wanted, or more.
    Leave,
}

/// What was done, and what was not. Each topic that is wanted is in exactly one of `made`, `existing` and `missing`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Topics that were made.
    pub(crate) made: Vec<String>,
    /// Topics that were there before.
    pub(crate) existing: Vec<String>,
    /// Topics that are not there, as far as we know.
    pub(crate) missing: Vec<String>,
    /// Of the existing, those that got more partitions.
    pub(crate) raised: Vec<String>,
    /// Of the existing, those that have fewer partitions than are wanted.
    pub(crate) fewer: Vec<String>,
    /// Of the made, those that could not be configured.
    pub(crate) unconfigured: Vec<String>,
    /// Why something was not done.
    pub(crate) reasons: Vec<String>,
}

impl Step {
    /// What to do about a topic that has so many partitions, or none because it does not exist.
    pub(crate) fn of(partitions: Option<i32>, wanted: &Wanted) -> Self {
        match partitions {
            None => Self::Create,
            Some(partitions) if partitions >= wanted.partitions => Self::Leave,
            Some(_) if wanted.is_raised => Self::Raise,
            Some(_) => Self::LeaveFewer,
        }
    }
}

/// Makes what is wanted, in the first way that works; what did not work in one is tried in the next. Ends at the
/// deadline with what there is then.
pub(crate) async fn reconcile<A: TopicAdmin>(ways: &[A], wanted: &Wanted, deadline: Instant) -> Outcome {
    let mut outcome = Outcome { missing: wanted.topics.clone(), ..Outcome::default() };
    for way in ways {
        if outcome.missing.is_empty() {
            break;
        }
        if let Err(error) = attempt(way, wanted, deadline, &mut outcome).await {
            outcome.note(way, &error);
        }
    }
    outcome
}

/// Tries what is still missing in one way. An error means that it leads no further.
async fn attempt<A: TopicAdmin>(
    way: &A,
    wanted: &Wanted,
    deadline: Instant,
    outcome: &mut Outcome,
) -> Result<(), AdminError> {
    let existing = bounded(deadline, way.list(&outcome.missing)).await?;
    for topic in outcome.missing.clone() {
        let step = Step::of(existing.get(&topic).copied(), wanted);
        let done = match step {
            Step::Create => bounded(deadline, way.create(&topic, wanted)).await.map(|created| match created {
                Created::AsWanted => outcome.made.push(topic.clone()),
                Created::WithoutConfigs => {
                    outcome.made.push(topic.clone());
                    outcome.unconfigured.push(topic.clone());
                }
                Created::AlreadyThere => outcome.existing.push(topic.clone()),
            }),
            Step::Raise => {
                let raised = bounded(deadline, way.raise(&topic, wanted.partitions)).await;
                outcome.existing.push(topic.clone());
                let list = if raised.is_ok() { &mut outcome.raised } else { &mut outcome.fewer };
                list.push(topic.clone());
                raised
            }
            Step::LeaveFewer => {
                outcome.existing.push(topic.clone());
                outcome.fewer.push(topic.clone());
                Ok(())
            }
            Step::Leave => {
                outcome.existing.push(topic.clone());
                Ok(())
            }
        };
        outcome.missing.retain(|missing| !outcome.made.contains(missing) && !outcome.existing.contains(missing));
        match done {
            Err(AdminError::Unreachable(why)) => return Err(AdminError::Unreachable(why)),
            Err(refused) => outcome.note(way, &refused),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Waits for an answer, but not for ever.
pub(crate) async fn bounded<T>(
    deadline: Instant,
    answer: impl Future<Output = Result<T, AdminError>>,
) -> Result<T, AdminError> {
    let now = Instant::now();
    if now >= deadline {
        return Err(AdminError::Unreachable("there was no time left".to_owned()));
    }
    let answer = timeout_at(deadline.min(now + PATIENCE), answer).await;
    answer.unwrap_or_else(|_| Err(AdminError::Unreachable("there was no answer in time".to_owned())))
}

impl Outcome {
    fn note<A: TopicAdmin>(&mut self, way: &A, error: &AdminError) {
        warn!(way = way.name(), %error, "a topic was not made");
        let reason = format!("{}: {error}", way.name());
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }
}

#[cfg(test)]
mod tests;
