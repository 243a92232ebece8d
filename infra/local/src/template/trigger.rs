//! What invokes functions by itself: Kafka mappings and schedules.

use std::time::Duration;

use super::{arn::function_name, document::Document, error::TemplateError, function, node::Node};
use crate::trigger::Mapping;

/// Lambda's default for Kafka.
const BATCH_SIZE: usize = 100;

/// The most that Lambda allows.
const MAX_BATCH_SIZE: usize = 10_000;

/// Lambda's default for Kafka; once changed it is whole seconds.
const WINDOW: Duration = Duration::from_millis(500);

/// A schedule of a function.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) function: String,
    pub(crate) period: Duration,
    /// The payload, as text.
    pub(crate) input: String,
}

/// Mappings are events of a function or resources of their own, which can have a condition.
pub(super) fn read_mappings(document: &Document) -> Result<Vec<Mapping>, TemplateError> {
    let mut mappings = Vec::new();
    for event in function::events(document, "MSK")? {
        let group = event.properties.text("ConsumerGroupId")?;
        mappings.extend(mapping(&event.properties, event.function, group)?);
    }
    for node in Node::all(document, "AWS::Lambda::EventSourceMapping")? {
        let function = function_name(&node.required("FunctionName", Node::text)?).to_owned();
        let group = match node.node("AmazonManagedKafkaEventSourceConfig")? {
            Some(config) => config.text("ConsumerGroupId")?,
            None => None,
        };
        mappings.extend(mapping(&node, function, group)?);
    }
    Ok(mappings)
}

fn mapping(node: &Node, function: String, group: Option<String>) -> Result<Option<Mapping>, TemplateError> {
    if node.flag("Enabled")? == Some(false) {
        return Ok(None);
    }
    let [topic] = <[String; 1]>::try_from(node.required("Topics", Node::texts)?)
        .map_err(|_| node.error("Topics", "must be exactly one, which is all that MSK allows"))?;
    let pollers = match node.node("ProvisionedPollerConfig")? {
        Some(config) => config.number("MinimumPollers")?,
        None => None,
    };
    let batch_size = node.number("BatchSize")?.unwrap_or(BATCH_SIZE);
    if !(1..=MAX_BATCH_SIZE).contains(&batch_size) {
        return Err(node.error("BatchSize", format!("is not from 1 to {MAX_BATCH_SIZE}")));
    }
    let responses = node.texts("FunctionResponseTypes")?.unwrap_or_default();
    let reads_responses = responses.iter().any(|response| response == "ReportBatchItemFailures");
    if reads_responses && pollers.is_none() {
        return Err(node.error("FunctionResponseTypes", "is for provisioned pollers alone"));
    }
    let window = node.number("MaximumBatchingWindowInSeconds")?.map(Duration::from_secs);
    Ok(Some(Mapping {
        consumer_group: group.unwrap_or_else(|| topic.clone()),
        topic,
        function,
        batch_size,
        window: window.unwrap_or(WINDOW),
        pollers: pollers.unwrap_or(1),
        reads_responses,
    }))
}

pub(super) fn read_schedules(document: &Document) -> Result<Vec<Schedule>, TemplateError> {
    let mut schedules = Vec::new();
    for event in function::events(document, "ScheduleV2")? {
        let node = event.properties;
        if node.text("State")?.as_deref() == Some("DISABLED") {
            continue;
        }
        let expression = node.required("ScheduleExpression", Node::text)?;
        let period =
            rate(&expression).ok_or_else(|| node.error("ScheduleExpression", "only rate(…) is run locally"))?;
        let input = node.text("Input")?.unwrap_or_else(|| "{}".to_owned());
        schedules.push(Schedule { function: event.function, period, input });
    }
    Ok(schedules)
}

/// `rate(1 minute)`, `rate(5 minutes)`, `rate(2 hours)`, `rate(1 day)`.
fn rate(expression: &str) -> Option<Duration> {
    let (value, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    value.parse().ok().filter(|v| *v > 0).and_then(|v: u64| v.checked_mul(seconds)).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_minutes_hours_and_days() {
        assert_eq!(rate("rate(1 minute)"), Some(Duration::from_mins(1)));
        assert_eq!(rate("rate(5 minutes)"), Some(Duration::from_mins(5)));
        assert_eq!(rate("rate(2 hours)"), Some(Duration::from_hours(2)));
        for none in
            ["rate(0 minutes)", "rate(1 second)", "rate(minute)", "cron(* * * * ? *)", "at(2026-01-01T00:00:00)"]
        {
            assert_eq!(rate(none), None, "{none}");
        }
    }
}
