//! From CloudFormation's request to topics, and to an answer.

use std::time::Duration;

use aws_lambda_events::cloudformation::{
    CloudFormationCustomResourceRequest as Request, CloudFormationCustomResourceResponse as Answer,
};
use serde_json::Value;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::{
    answer::{AnswerError, Answerer, Question},
    cluster::Clusters,
    reconcile::reconcile,
    request::Wanted,
};

/// What is kept of the invocation's time for answering, beside [`MARGIN`].
const ANSWERING: Duration = Duration::from_secs(10);

/// What is left unused of the invocation's time, so that Lambda never ends us before we have answered.
const MARGIN: Duration = Duration::from_secs(5);

/// What answers CloudFormation.
pub(crate) struct Resource {
    /// Where topics are made.
    pub(crate) clusters: Clusters,
    /// Where answers go.
    pub(crate) answerer: Answerer,
}

/// What is asked of the resource.
enum Task {
    /// It should be so.
    Make { properties: Value, old: Option<Value>, physical_id: Option<String> },
    /// It is not wanted any more.
    Release { physical_id: String },
}

impl Resource {
    /// Does what is asked and answers, within the time that is left to this invocation.
    pub(crate) async fn handle(&self, request: Request, left: Duration) -> Result<(), AnswerError> {
        let now = Instant::now();
        let answer_until = now + left.saturating_sub(MARGIN);
        let work_until = now + left.saturating_sub(MARGIN + ANSWERING);
        let Some((question, task)) = read(request) else {
            // The SDK's type may grow; there is no fourth kind of request.
            warn!("a request of an unknown kind is left alone");
            return Ok(());
        };
        let answer = match task {
            Task::Make { properties, old, physical_id } => {
                self.make(&question, &properties, old.as_ref(), physical_id, work_until).await
            }
            // Nothing is deleted, ever: records that somebody may want are worth more than a tidy cluster.
            Task::Release { physical_id } => question.released(physical_id),
        };
        self.answerer.put(&question, &answer, answer_until).await
    }

    async fn make(
        &self,
        question: &Question,
        properties: &Value,
        old: Option<&Value>,
        physical_id: Option<String>,
        until: Instant,
    ) -> Answer {
        let wanted = match Wanted::parse(properties, old) {
            Ok(wanted) => wanted,
            Err(error) => {
                warn!(%error, "the resource's properties make no sense");
                // A failed update keeps its id, or CloudFormation would take the resource for a new one.
                let physical_id = physical_id.unwrap_or_else(|| format!("topics of {}", question.logical_id));
                return question.refused(physical_id, &error);
            }
        };
        let cluster = self.clusters.find(&wanted, until).await;
        let outcome = reconcile(&cluster.ways, &wanted, until).await;
        info!(
            made = ?outcome.made, existing = ?outcome.existing, raised = ?outcome.raised, fewer = ?outcome.fewer,
            missing = ?outcome.missing, "topics are as far as they get"
        );
        question.done(format!("topics of {}", wanted.cluster.as_str()), &outcome, &wanted, &cluster)
    }
}

fn read(request: Request) -> Option<(Question, Task)> {
    let (url, stack, request, logical_id, task) = match request {
        Request::Create(create) => {
            let task = Task::Make { properties: create.resource_properties, old: None, physical_id: None };
            (create.response_url, create.stack_id, create.request_id, create.logical_resource_id, task)
        }
        Request::Update(update) => {
            let (old, physical_id) = (Some(update.old_resource_properties), Some(update.physical_resource_id));
            let task = Task::Make { properties: update.resource_properties, old, physical_id };
            (update.response_url, update.stack_id, update.request_id, update.logical_resource_id, task)
        }
        Request::Delete(delete) => {
            let task = Task::Release { physical_id: delete.physical_resource_id };
            (delete.response_url, delete.stack_id, delete.request_id, delete.logical_resource_id, task)
        }
        _ => return None,
    };
    Some((Question { url, stack, request, logical_id }, task))
}

#[cfg(test)]
mod tests;
