//! What the stack wants: the properties of the resource, checked.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use serde_json::Value;

/// The most bytes that the names of all topics may have. Each is named twice in an answer, and
/// CloudFormation takes 4,096 bytes of one.
const NAMES: usize = 250;

/// Kafka's limit of a topic's name (`org.apache.kafka.common.internals.Topic`).
const NAME: usize = 249;

/// The most bytes of the addresses of brokers; three of them, which is as many as MSK names, have fewer.
pub(crate) const BROKERS: usize = 400;

/// The longest ARN that is one; it stands in the answer as well.
const ARN: usize = 256;

/// The topics that should exist, and how one that does not is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Where.
    pub(crate) cluster: ClusterArn,
    /// Where its brokers are, `host:port` with commas between, if the template knows. From where MSK cannot be asked the
    /// brokers still can.
    pub(crate) brokers: Option<String>,
    /// Their names, none twice.
    pub(crate) topics: Vec<String>,
    /// How many partitions a topic has.
    pub(crate) partitions: i32,
    /// On how many brokers a partition lies, where the cluster lets us say so.
    pub(crate) replication: i16,
    /// How long records are kept; the cluster's default where it is not said.
    pub(crate) retention: Option<Duration>,
    /// Whether a topic that exists gets more partitions if it has fewer. Keys move to other partitions then, so it
    /// happens only where this update asks for more than the last one did.
    pub(crate) is_raised: bool,
}

/// The largest batch that a topic takes: Kafka's own default, said here because a cluster may have another. A record has to fit
/// into the 6 MB of an invocation in base64 and with what is around it, or its partition would stand still: over 4 MB none does.
const MAX_MESSAGE_BYTES: u32 = 1_048_588;

impl Wanted {
    /// How a topic that is made is configured, `name=value` each.
    pub(crate) fn configs(&self) -> Vec<String> {
        let retention = self.retention.map(|retention| format!("retention.ms={}", retention.as_millis()));
        // A record's time is when the broker got it: a producer whose clock is wrong would set Kafka's time too.
        let always =
            ["message.timestamp.type=LogAppendTime".to_owned(), format!("max.message.bytes={MAX_MESSAGE_BYTES}")];
        retention.into_iter().chain(always).collect()
    }
}

/// `arn:{partition}:kafka:{region}:{account}:cluster/{name}/{id}`. It is safe to stand in a shell's command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClusterArn {
    text: String,
    region: String,
}

/// A property is not what it has to be. CloudFormation is told, and the deployment fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PropertyError {
    /// It has to be there.
    #[error("the property {0} is missing")]
    Missing(&'static str),
    /// It is something that it cannot be.
    #[error("the property {name} is not {expected}")]
    Invalid {
        /// Which property.
        name: &'static str,
        /// What it should be.
        expected: String,
    },
}

impl Wanted {
    /// Reads the resource's properties; `old` are those of the last deployment, where there was one.
    pub(crate) fn parse(properties: &Value, old: Option<&Value>) -> Result<Self, PropertyError> {
        let partitions = partitions(properties)?;
        // What was asked for last was checked then; if it cannot be read now, nothing is raised on a guess.
        let before = old.and_then(|old| self::partitions(old).ok());
        Ok(Self {
            cluster: cluster(properties)?,
            brokers: brokers(properties)?,
            topics: topics(properties)?,
            partitions,
            replication: required(properties, "ReplicationFactor", 1..=10)?,
            retention: number(properties, "RetentionHours", 1..=87_600)?.map(Duration::from_hours),
            is_raised: before.is_some_and(|before| before < partitions),
        })
    }
}

impl ClusterArn {
    fn parse(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || ":/_.-".contains(c);
        if text.len() > ARN || !text.chars().all(is_plain) {
            return None;
        }
        let mut parts = text.split(':');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (arn, _partition, service, region, _account, resource) =
            (next()?, next()?, next()?, next()?, next()?, next()?);
        let is_cluster = arn == "arn" && service == "kafka" && parts.next().is_none();
        let mut resource = resource.split('/');
        (is_cluster && resource.next()? == "cluster" && resource.count() == 2)
            .then(|| Self { text: text.to_owned(), region: region.to_owned() })
    }

    /// All of it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The region that the cluster is in.
    pub(crate) fn region(&self) -> &str {
        &self.region
    }
}

fn cluster(properties: &Value) -> Result<ClusterArn, PropertyError> {
    const PROPERTY: &str = "ClusterArn";
    let text = text(properties, PROPERTY)?.ok_or(PropertyError::Missing(PROPERTY))?;
    ClusterArn::parse(&text).ok_or_else(|| invalid(PROPERTY, "the ARN of an MSK cluster"))
}

fn brokers(properties: &Value) -> Result<Option<String>, PropertyError> {
    const PROPERTY: &str = "Brokers";
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:,-".contains(c);
    match text(properties, PROPERTY)? {
        Some(text) if text.len() > BROKERS || !text.chars().all(is_plain) => {
            Err(invalid(PROPERTY, "a list of host:port with commas between"))
        }
        brokers => Ok(brokers),
    }
}

fn topics(properties: &Value) -> Result<Vec<String>, PropertyError> {
    const PROPERTY: &str = "Topics";
    let listed = properties.get(PROPERTY).ok_or(PropertyError::Missing(PROPERTY))?;
    let expected = || {
        let names = format!("each of 1 to {NAME} of A-Z a-z 0-9 . _ - and all of {NAMES} bytes at most");
        invalid(PROPERTY, &format!("a list of names, {names}"))
    };
    let mut topics: Vec<String> = Vec::new();
    for name in listed.as_array().filter(|names| !names.is_empty()).ok_or_else(expected)? {
        let name = name.as_str().filter(|name| is_topic(name)).ok_or_else(expected)?;
        if topics.iter().all(|topic| topic != name) {
            topics.push(name.to_owned());
        }
    }
    if topics.iter().map(|topic| topic.len() + 1).sum::<usize>() > NAMES {
        return Err(expected());
    }
    Ok(topics)
}

fn is_topic(name: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=NAME).contains(&name.len()) && name.chars().all(is_legal) && name != "." && name != ".."
}

fn partitions(properties: &Value) -> Result<i32, PropertyError> {
    required(properties, "Partitions", 1..=1000)
}

fn required<T>(properties: &Value, name: &'static str, bounds: RangeInclusive<T>) -> Result<T, PropertyError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    number(properties, name, bounds)?.ok_or(PropertyError::Missing(name))
}

fn number<T>(properties: &Value, name: &'static str, bounds: RangeInclusive<T>) -> Result<Option<T>, PropertyError>
where
    T: FromStr + PartialOrd + std::fmt::Display,
{
    let Some(text) = text(properties, name)? else { return Ok(None) };
    let number = text.parse().ok().filter(|number| bounds.contains(number));
    let expected = || invalid(name, &format!("a number from {} to {}", bounds.start(), bounds.end()));
    number.ok_or_else(expected).map(Some)
}

/// A property as text: CloudFormation makes text of numbers. An empty one counts as missing.
fn text(properties: &Value, name: &'static str) -> Result<Option<String>, PropertyError> {
    match properties.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(invalid(name, "a text or a number")),
    }
}

fn invalid(name: &'static str, expected: &str) -> PropertyError {
    PropertyError::Invalid { name, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/6b1f4c2e-0001-4000-8000-1f2e3d4c5b6a-5";

    fn properties(changes: &Value) -> Value {
        let mut properties = json!({
            "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:topics",
            "ClusterArn": ARN, "Topics": ["campaign.events.v1", "dialer.health.v1"],
            "Partitions": "3", "ReplicationFactor": "2",
        });
        for (name, value) in changes.as_object().unwrap() {
            properties[name] = value.clone();
        }
        properties
    }

    fn refused(changes: &Value) -> String {
        Wanted::parse(&properties(changes), None).unwrap_err().to_string()
    }

    #[test]
    fn numbers_come_as_text_and_a_topic_counts_once() {
        let changes = json!({ "Topics": ["a", "b", "a"], "RetentionHours": "72" });
        let wanted = Wanted::parse(&properties(&changes), None).unwrap();
        assert_eq!((wanted.partitions, wanted.replication, wanted.is_raised), (3, 2, false));
        assert_eq!(wanted.topics, ["a", "b"]);
        assert_eq!(wanted.retention, Some(Duration::from_hours(72)));
        assert_eq!((wanted.cluster.as_str(), wanted.cluster.region()), (ARN, "eu-central-1"));
    }

    #[test]
    fn a_retention_may_be_left_out_or_left_empty() {
        assert_eq!(Wanted::parse(&properties(&json!({})), None).unwrap().retention, None);
        assert_eq!(Wanted::parse(&properties(&json!({ "RetentionHours": "" })), None).unwrap().retention, None);
    }

    #[test]
    fn partitions_are_raised_only_by_an_update_that_asks_for_more_than_the_last_one() {
        let raised = |old: &Value| Wanted::parse(&properties(&json!({})), Some(old)).unwrap().is_raised;
        assert!(raised(&json!({ "Partitions": "2" })));
        for old in [json!({ "Partitions": "3" }), json!({ "Partitions": "6" }), json!({}), json!({ "Partitions": [] })]
        {
            assert!(!raised(&old), "{old}");
        }
    }

    #[test]
    fn a_property_that_makes_no_sense_is_named() {
        let name = |length: usize| "a".repeat(length);
        for (changes, message) in [
            (json!({ "Partitions": "many" }), "the property Partitions is not a number from 1 to 1000"),
            (json!({ "Partitions": 0 }), "the property Partitions is not a number from 1 to 1000"),
            (json!({ "Partitions": "" }), "the property Partitions is missing"),
            (json!({ "ReplicationFactor": null }), "the property ReplicationFactor is missing"),
            (json!({ "ReplicationFactor": ["3"] }), "the property ReplicationFactor is not a text or a number"),
            (json!({ "RetentionHours": "-1" }), "the property RetentionHours is not a number from 1 to 87600"),
            (json!({ "ClusterArn": "" }), "the property ClusterArn is missing"),
            (
                json!({ "Brokers": "b-1:9098' ;" }),
                "the property Brokers is not a list of host:port with commas between",
            ),
        ] {
            assert_eq!(refused(&changes), message);
        }
        for topics in [json!([]), json!("a"), json!(["a b"]), json!([".."]), json!([7]), json!([name(250)])] {
            assert!(refused(&json!({ "Topics": topics })).starts_with("the property Topics is not a list"), "{topics}");
        }
        let many = json!([name(249), name(248), name(1)]);
        assert!(refused(&json!({ "Topics": many })).contains("250 bytes at most"));
    }

    #[test]
    fn what_is_no_clusters_arn_or_could_do_something_in_a_shell_is_refused() {
        for arn in [
            "livefold",
            "arn:aws:kafka:eu-central-1:123456789012:topic/livefold/6b1f/orders",
            "arn:aws:sqs:eu-central-1:123456789012:cluster/livefold/6b1f",
            "arn:aws:kafka::123456789012:cluster/livefold/6b1f",
            "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold",
            "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/6b1f:more",
            "arn:aws:kafka:eu-central-1:123456789012:cluster/live';reboot;'/6b1f",
        ] {
            let message = "the property ClusterArn is not the ARN of an MSK cluster";
            assert_eq!(refused(&json!({ "ClusterArn": arn })), message, "{arn}");
        }
    }
}
