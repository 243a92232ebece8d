//! What to run where a topic could not be made: commands to copy, of Kafka's own tools.

use crate::{
    cluster::Cluster,
    reconcile::Outcome,
    request::{BROKERS, Wanted},
};

/// What is said where all is done.
const NOTHING: &str = "nothing to do";

/// The most bytes of one reason; the whole of it is in the log.
const REASON: usize = 120;

/// As many reasons as there are ways, and one for MSK.
const REASONS: usize = 3;

/// The client's configuration for IAM, as MSK documents it.
const CLIENT: [&str; 4] = [
    "security.protocol=SASL_SSL",
    "sasl.mechanism=AWS_MSK_IAM",
    "sasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;",
    "sasl.client.callback.handler.class=software.amazon.msk.auth.iam.IAMClientCallbackHandler",
];

/// Says what is left to do, and why it was not done.
pub(crate) fn instructions(outcome: &Outcome, wanted: &Wanted, cluster: &Cluster) -> String {
    let commands = [
        for_each(&outcome.missing, || create(wanted, cluster)),
        for_each(&outcome.fewer, || alter(wanted.partitions)),
        for_each(&outcome.unconfigured, || configure(wanted)),
    ];
    let commands: Vec<_> = commands.into_iter().flatten().collect();
    if commands.is_empty() {
        return NOTHING.to_owned();
    }
    let mut lines = Vec::new();
    if !outcome.missing.is_empty() {
        lines.extend(reasons(outcome, cluster));
    }
    if !outcome.fewer.is_empty() {
        lines.push("# --alter moves keys to other partitions.".to_owned());
    }
    lines.push("# With Kafka's tools and aws-msk-iam-auth, where the brokers can be reached:".to_owned());
    lines.push(bootstrap(wanted, cluster));
    lines.push(format!("printf '%s\\n' {} > client.properties", CLIENT.map(|line| format!("'{line}'")).join(" ")));
    lines.extend(commands);
    lines.join("\n")
}

fn reasons<'a>(outcome: &'a Outcome, cluster: &'a Cluster) -> impl Iterator<Item = String> + 'a {
    let reasons = outcome.reasons.iter().chain(&cluster.reasons).take(REASONS);
    reasons.map(|reason| format!("# {}", cut(reason)))
}

/// One line, of plain characters: it stands in a comment of a shell, and each of its bytes is one in JSON.
fn cut(reason: &str) -> String {
    let is_plain = |c: &char| c.is_ascii() && !c.is_ascii_control() && !"\"\\".contains(*c);
    reason.chars().filter(is_plain).take(REASON).collect()
}

fn bootstrap(wanted: &Wanted, cluster: &Cluster) -> String {
    match cluster.brokers.as_deref().filter(|brokers| brokers.len() <= BROKERS && !brokers.contains('\'')) {
        Some(brokers) => format!("BROKERS='{brokers}'"),
        None => format!(
            "BROKERS=$(aws kafka get-bootstrap-brokers --region {} --cluster-arn {} \
             --query BootstrapBrokerStringSaslIam --output text)",
            wanted.cluster.region(),
            wanted.cluster.as_str()
        ),
    }
}

/// A loop, as each name then stands here once: what CloudFormation takes of an answer is little.
fn for_each(topics: &[String], command: impl Fn() -> String) -> Option<String> {
    (!topics.is_empty()).then(|| format!("for topic in {}; do {}; done", topics.join(" "), command()))
}

fn create(wanted: &Wanted, cluster: &Cluster) -> String {
    let factor = (!cluster.decides_replication).then(|| format!(" --replication-factor {}", wanted.replication));
    let configs: String = wanted.configs().into_iter().map(|config| " --config ".to_owned() + &config).collect();
    topics(&format!(
        "--create --if-not-exists --topic $topic --partitions {}{}{}",
        wanted.partitions,
        factor.unwrap_or_default(),
        configs
    ))
}

fn alter(partitions: i32) -> String {
    topics(&format!("--alter --topic $topic --partitions {partitions}"))
}

fn topics(what: &str) -> String {
    format!("kafka-topics.sh --bootstrap-server $BROKERS --command-config client.properties {what}")
}

fn configure(wanted: &Wanted) -> String {
    format!(
        "kafka-configs.sh --bootstrap-server $BROKERS --command-config client.properties --alter --entity-type topics \
         --entity-name $topic --add-config {}",
        wanted.configs().join(",")
    )
}
