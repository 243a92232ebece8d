//! Answering CloudFormation, which waits for an hour if nobody does.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html>

use std::time::Duration;

use aws_lambda_events::cloudformation::{
    CloudFormationCustomResourceResponse as Answer, CloudFormationCustomResourceResponseStatus as Status,
};
use reqwest::{Client, redirect::Policy};
use tokio::time::{Instant, sleep};
use tracing::warn;

use crate::{
    cluster::Cluster,
    instructions::instructions,
    reconcile::Outcome,
    request::{BROKERS, PropertyError, Wanted},
};

/// The most bytes that CloudFormation takes of an answer.
#[cfg(test)]
pub(crate) const LIMIT: usize = 4096;

/// One attempt; S3 takes a few kilobytes in less than a second.
const ATTEMPT: Duration = Duration::from_secs(3);

/// An attempt that begins at the last moment still gets a chance.
const LAST_ATTEMPT: Duration = Duration::from_millis(500);

/// The first pause between attempts; each later one is twice as long, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Where an answer goes, and what it is about. The URL is a credential: whoever has it can answer.
pub(crate) struct Question {
    /// Where the answer is put.
    pub(crate) url: String,
    /// The stack that asks.
    pub(crate) stack: String,
    /// Its question.
    pub(crate) request: String,
    /// The resource's name in the template.
    pub(crate) logical_id: String,
}

/// CloudFormation has not got the answer. Lambda invokes again, which does no harm.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It was tried until there was no time left.
    #[error("CloudFormation did not take the answer in {attempts} attempts: {last}")]
    NotTaken {
        /// How often it was tried.
        attempts: u32,
        /// What became of the last attempt.
        last: String,
    },
    /// It cannot be written, which nothing changes.
    #[error("the answer cannot be written: {0}")]
    NotWritten(#[from] serde_json::Error),
}

/// Puts answers where CloudFormation looks for them.
pub(crate) struct Answerer {
    http: Client,
}

impl Question {
    /// All is well, and nothing was touched.
    pub(crate) fn released(&self, physical_id: String) -> Answer {
        self.answer(Status::Success, physical_id, "Topics and their records stay.".to_owned())
    }

    /// The properties make no sense.
    pub(crate) fn refused(&self, physical_id: String, error: &PropertyError) -> Answer {
        self.answer(Status::Failed, physical_id, error.to_string())
    }

    /// What was done and what is left. A success even if all is left: the rest of the stack works without, and a topic may
    /// well be there where we cannot see it.
    pub(crate) fn done(&self, physical_id: String, outcome: &Outcome, wanted: &Wanted, cluster: &Cluster) -> Answer {
        let (made, existing, missing) = (outcome.made.len(), outcome.existing.len(), outcome.missing.len());
        let reason = format!("Topics: {made} made, {existing} existing, {missing} missing.");
        let mut answer = self.answer(Status::Success, physical_id, reason);
        let brokers = cluster.brokers.clone().filter(|brokers| brokers.len() <= BROKERS).unwrap_or_default();
        answer.data = [
            // What refers to the cluster by this comes after its topics.
            ("ClusterArn", wanted.cluster.as_str().to_owned()),
            ("Brokers", brokers),
            ("Made", outcome.made.join(",")),
            ("Existing", outcome.existing.join(",")),
            ("Missing", outcome.missing.join(",")),
            ("Instructions", instructions(outcome, wanted, cluster)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        answer
    }

    fn answer(&self, status: Status, physical_id: String, reason: String) -> Answer {
        let mut answer = Answer::default();
        answer.status = status;
        answer.reason = Some(reason);
        answer.physical_resource_id = physical_id;
        answer.stack_id.clone_from(&self.stack);
        answer.request_id.clone_from(&self.request);
        answer.logical_resource_id.clone_from(&self.logical_id);
        answer
    }
}

impl Answerer {
    /// Follows no redirects: S3 takes an answer where it was told to be put.
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        Ok(Self { http: Client::builder().redirect(Policy::none()).build()? })
    }

    /// Puts the answer, as often as it takes and there is time.
    pub(crate) async fn put(&self, question: &Question, answer: &Answer, until: Instant) -> Result<(), AnswerError> {
        let body = serde_json::to_string(answer)?;
        let (mut pause, mut attempts) = (PAUSE, 0);
        loop {
            attempts += 1;
            let time = until.saturating_duration_since(Instant::now()).clamp(LAST_ATTEMPT, ATTEMPT);
            // Without a content type, for the URL was signed without one.
            let sent = self.http.put(&question.url).timeout(time).body(body.clone()).send().await;
            let last = match sent {
                Ok(response) if response.status().is_success() => return Ok(()),
                Ok(response) => response.status().to_string(),
                // The URL must not get into a log.
                Err(error) => error.without_url().to_string(),
            };
            warn!(attempts, last, "CloudFormation did not take the answer");
            if Instant::now() + pause >= until {
                return Err(AnswerError::NotTaken { attempts, last });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

#[cfg(test)]
mod tests;
