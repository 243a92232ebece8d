use std::sync::{Arc, Mutex};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::{
    brokers::{
        broker::{Broker, Knows},
        tls,
    },
    loopback::{Msk, bucket, sdk},
};

const CREATE: &str = include_str!("../../../../events/cloudformation-topics-create.json");
const UPDATE: &str = include_str!("../../../../events/cloudformation-topics-update.json");
const DELETE: &str = include_str!("../../../../events/cloudformation-topics-delete.json");

const ARN: &str = "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/6b1f4c2e-9d3a-4c58-8f0e-1f2e3d4c5b6a-5";
const TOPICS: &str = "campaign.events.v1,dialer.health.v1,platform.analytics.check-in.v1,platform.analytics.events.v1";

/// What a function has that may run for two minutes.
const LEFT: Duration = Duration::from_mins(2);

/// An event, with `changes` to its properties.
fn event(text: &str, changes: &Value) -> Value {
    let mut event: Value = serde_json::from_str(text).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        event["ResourceProperties"][name] = value.clone();
    }
    event
}

/// Has an event handled; returns what CloudFormation got.
async fn answer(resource: &Resource, mut event: Value, left: Duration) -> Value {
    let (url, puts) = bucket(&[200]).await;
    event["ResponseURL"] = json!(url);
    resource.handle(serde_json::from_value(event.clone()).unwrap(), left).await.unwrap();
    let puts = puts.lock().unwrap();
    assert_eq!(puts.len(), 1);
    let answer: Value = serde_json::from_str(&puts[0].1).unwrap();
    for name in ["StackId", "RequestId", "LogicalResourceId"] {
        assert_eq!(answer[name], event[name]);
    }
    answer
}

/// A resource that takes what is played for MSK, and believes the brokers that `tls` believes.
async fn resource(msk: Msk, broker: Option<&Broker>) -> (Resource, Arc<Mutex<Msk>>) {
    let (sdk, msk) = msk.play().await;
    let tls = broker.map_or_else(|| tls().unwrap(), |broker| Arc::clone(&broker.access.tls));
    (Resource { clusters: Clusters::new(&sdk, tls).unwrap(), answerer: Answerer::new().unwrap() }, msk)
}

fn provisioned() -> Msk {
    Msk { kind: "PROVISIONED", brokers: Some("localhost:1".to_owned()), ..Msk::default() }
}

#[tokio::test]
async fn topics_are_made_by_msk_as_the_stack_wants_them_and_a_second_time_they_exist() {
    let (resource, msk) = resource(provisioned(), None).await;
    let made = answer(&resource, event(CREATE, &json!({})), LEFT).await;
    assert_eq!((&made["Status"], &made["PhysicalResourceId"]), (&json!("SUCCESS"), &json!(format!("topics of {ARN}"))));
    let data = |made, existing| {
        json!({
            "ClusterArn": ARN, "Brokers": "localhost:1",
            "Made": made, "Existing": existing, "Missing": "", "Instructions": "nothing to do",
        })
    };
    assert_eq!(made["Data"], data(TOPICS, ""));
    let done = std::mem::take(&mut msk.lock().unwrap().done);
    let configs = BASE64_STANDARD
        .encode("retention.ms=259200000\nmessage.timestamp.type=LogAppendTime\nmax.message.bytes=1048588\n");
    let topic = |name| json!({ "topicName": name, "partitionCount": 3, "replicationFactor": 3, "configs": configs });
    assert_eq!(done, TOPICS.split(',').map(topic).collect::<Vec<_>>());

    // MSK's list does not have them yet.
    let again = answer(&resource, event(CREATE, &json!({})), LEFT).await;
    assert_eq!((&again["Data"], &again["PhysicalResourceId"]), (&data("", TOPICS), &made["PhysicalResourceId"]));
    assert!(msk.lock().unwrap().done.is_empty());
}

#[tokio::test]
async fn an_update_raises_partitions_where_there_are_fewer_and_never_lowers_them() {
    let topics = [("campaign.events.v1", 3), ("dialer.health.v1", 12)].map(|(name, count)| (name.to_owned(), count));
    let (resource, msk) = resource(Msk { topics: topics.into(), ..provisioned() }, None).await;
    let topics = json!({ "Topics": ["campaign.events.v1", "dialer.health.v1"] });
    let updated = answer(&resource, event(UPDATE, &topics), LEFT).await;
    assert_eq!(updated["Data"]["Existing"], "campaign.events.v1,dialer.health.v1");
    assert_eq!((&updated["Data"]["Missing"], &updated["Data"]["Instructions"]), (&json!(""), &json!("nothing to do")));
    assert_eq!(updated["PhysicalResourceId"], event(UPDATE, &json!({}))["PhysicalResourceId"]);
    let raised = json!({ "topicName": "campaign.events.v1", "partitionCount": 6 });
    assert_eq!(msk.lock().unwrap().done, [raised]);
}

#[tokio::test]
async fn a_topic_that_had_fewer_partitions_before_is_left_alone_and_the_way_to_raise_it_is_told() {
    let topics = [("campaign.events.v1".to_owned(), 1)].into();
    let (resource, msk) = resource(Msk { topics, ..provisioned() }, None).await;
    let created = answer(&resource, event(CREATE, &json!({ "Topics": ["campaign.events.v1"] })), LEFT).await;
    assert_eq!((&created["Data"]["Existing"], &created["Data"]["Missing"]), (&json!("campaign.events.v1"), &json!("")));
    let instructions = created["Data"]["Instructions"].as_str().unwrap();
    assert!(instructions.contains("--alter moves keys to other partitions"), "{instructions}");
    assert!(instructions.contains("for topic in campaign.events.v1; do kafka-topics.sh "), "{instructions}");
    assert!(instructions.contains(" --alter --topic $topic --partitions 3; done"), "{instructions}");
    assert!(msk.lock().unwrap().done.is_empty());
}

#[tokio::test]
async fn a_serverless_clusters_topics_are_made_by_its_brokers() {
    let broker = Broker::start(Knows::default()).await;
    let msk = Msk { kind: "SERVERLESS", brokers: Some(broker.address.clone()), ..Msk::default() };
    let (resource, msk) = resource(msk, Some(&broker)).await;
    let made = answer(&resource, event(CREATE, &json!({ "RetentionHours": "" })), LEFT).await;
    assert_eq!((&made["Data"]["Made"], &made["Data"]["Missing"]), (&json!(TOPICS), &json!("")));
    // Only how they are configured is left to do, without a retention, for none is wanted.
    let instructions = made["Data"]["Instructions"].as_str().unwrap();
    assert!(
        instructions.contains(" --add-config message.timestamp.type=LogAppendTime,max.message.bytes="),
        "{instructions}"
    );
    assert_eq!(made["Data"]["Brokers"], broker.address);
    assert!(msk.lock().unwrap().done.is_empty(), "MSK has no topic operations for it");
    assert_eq!(broker.knows.lock().unwrap().replication, [-1; 4]);
}

#[tokio::test]
async fn whoever_is_told_where_the_brokers_are_asks_them_and_not_msk() {
    let broker = Broker::start(Knows::default()).await;
    // As from subnets that no way leads out of.
    let msk = Msk { refusal: Some("ForbiddenException"), brokers: None, ..provisioned() };
    let (resource, msk) = resource(msk, Some(&broker)).await;
    let told = json!({ "Brokers": broker.address, "RetentionHours": "" });
    let made = answer(&resource, event(CREATE, &told), LEFT).await;
    assert_eq!((&made["Data"]["Made"], &made["Data"]["Missing"]), (&json!(TOPICS), &json!("")));
    // Only how they are configured is left to do, without a retention, for none is wanted.
    let instructions = made["Data"]["Instructions"].as_str().unwrap();
    assert!(
        instructions.contains(" --add-config message.timestamp.type=LogAppendTime,max.message.bytes="),
        "{instructions}"
    );
    assert_eq!((&made["Data"]["ClusterArn"], &made["Data"]["Brokers"]), (&json!(ARN), &told["Brokers"]));
    assert!(msk.lock().unwrap().done.is_empty());
    assert_eq!(broker.knows.lock().unwrap().replication, [-1; 4]);
}

#[tokio::test]
async fn a_provisioned_cluster_that_is_too_old_for_topic_operations_is_asked_by_its_brokers() {
    let broker = Broker::start(Knows::default()).await;
    let msk = Msk { refusal: Some("BadRequestException"), brokers: Some(broker.address.clone()), ..provisioned() };
    let (resource, _) = resource(msk, Some(&broker)).await;
    let made = answer(&resource, event(CREATE, &json!({})), LEFT).await;
    assert_eq!((&made["Data"]["Made"], &made["Data"]["Missing"]), (&json!(TOPICS), &json!("")));
    // Only how they are configured is left to do.
    let instructions = made["Data"]["Instructions"].as_str().unwrap();
    assert!(instructions.contains("--entity-name $topic --add-config retention.ms=259200000,message.timestamp.type=LogAppendTime,max.message.bytes=1048588"), "{instructions}");
    assert!(!instructions.contains("--create"), "{instructions}");
}

#[tokio::test]
async fn where_nothing_works_the_deployment_succeeds_and_is_told_what_to_run() {
    let msk = Msk { refusal: Some("ForbiddenException"), brokers: Some("127.0.0.1:1".to_owned()), ..provisioned() };
    let (resource, _) = resource(msk, None).await;
    let told = answer(&resource, event(CREATE, &json!({})), LEFT).await;
    assert_eq!((&told["Status"], &told["Data"]["Missing"]), (&json!("SUCCESS"), &json!(TOPICS)));
    let instructions = told["Data"]["Instructions"].as_str().unwrap();
    let lines: Vec<_> = instructions.lines().collect();
    assert_eq!(lines[0], "# MSK's topic operations: ForbiddenException: MSK says ForbiddenException");
    let refused = "# the brokers: error connecting to broker 127.0.0.1:1: IO Error: Connection refused";
    assert!(lines[1].starts_with(refused), "{instructions}");
    assert_eq!(lines[3], "BROKERS='127.0.0.1:1'");
    assert_eq!(
        lines[5],
        format!(
            "for topic in {}; do kafka-topics.sh --bootstrap-server $BROKERS --command-config client.properties \
             --create --if-not-exists --topic $topic --partitions 3 --replication-factor 3 \
             --config retention.ms=259200000 --config message.timestamp.type=LogAppendTime \
             --config max.message.bytes=1048588; done",
            TOPICS.replace(',', " ")
        )
    );
}

#[tokio::test]
async fn the_instructions_are_a_script_that_a_shell_runs_as_it_is_meant() {
    let msk =
        Msk { refusal: Some("It's `touch /tmp/no` $(no)"), brokers: Some("127.0.0.1:1".to_owned()), ..provisioned() };
    let (resource, _) = resource(msk, None).await;
    let told = answer(&resource, event(CREATE, &json!({ "Topics": ["a.v1", "b.v1"] })), LEFT).await;
    let script = told["Data"]["Instructions"].as_str().unwrap();
    let folder = std::env::temp_dir().join(format!("livefold-topics-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    // Kafka's tool is not here; what it would be given is told instead.
    let script = script.replace("kafka-topics.sh", "echo");
    let output = std::process::Command::new("sh").args(["-euc", &script]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let properties = std::fs::read_to_string(folder.join("client.properties")).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let run = |topic| {
        format!(
            "--bootstrap-server 127.0.0.1:1 --command-config client.properties --create --if-not-exists --topic {topic} \
             --partitions 3 --replication-factor 3 --config retention.ms=259200000 --config message.timestamp.type=LogAppendTime \
             --config max.message.bytes=1048588\n"
        )
    };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), run("a.v1") + &run("b.v1"));
    assert!(properties.contains("\nsasl.jaas.config=software.amazon.msk.auth.iam.IAMLoginModule required;\n"));
    assert_eq!(properties.lines().count(), 4);
}

#[tokio::test]
async fn where_msk_cannot_be_asked_the_commands_ask_it_for_the_brokers() {
    let sdk = sdk("http://127.0.0.1:1");
    let clusters = Clusters::new(&sdk, tls().unwrap()).unwrap();
    let resource = Resource { clusters, answerer: Answerer::new().unwrap() };
    let told = answer(&resource, event(CREATE, &json!({})), LEFT).await;
    assert_eq!((&told["Status"], &told["Data"]["Missing"]), (&json!("SUCCESS"), &json!(TOPICS)));
    let instructions = told["Data"]["Instructions"].as_str().unwrap();
    assert!(instructions.starts_with("# MSK: MSK cannot be reached\n"), "{instructions}");
    assert!(
        instructions.contains(&format!("--cluster-arn {ARN} --query BootstrapBrokerStringSaslIam")),
        "{instructions}"
    );
}

#[tokio::test]
async fn a_cluster_that_says_nothing_does_not_keep_cloudformation_waiting() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sdk = sdk(&format!("http://{}", silent.local_addr().unwrap()));
    let clusters = Clusters::new(&sdk, tls().unwrap()).unwrap();
    let resource = Resource { clusters, answerer: Answerer::new().unwrap() };
    let before = Instant::now();
    let told = answer(&resource, event(CREATE, &json!({})), ANSWERING + MARGIN + Duration::from_millis(300)).await;
    assert_eq!((&told["Status"], &told["Data"]["Missing"]), (&json!("SUCCESS"), &json!(TOPICS)));
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_property_that_makes_no_sense_fails_the_deployment_and_is_named() {
    let (resource, msk) = resource(provisioned(), None).await;
    let many = json!({ "Partitions": "many" });
    for (event, id) in [
        (event(CREATE, &many), json!("topics of KafkaTopics")),
        (event(UPDATE, &many), event(UPDATE, &many)["PhysicalResourceId"].clone()),
    ] {
        let refused = answer(&resource, event, LEFT).await;
        assert_eq!((&refused["Status"], &refused["PhysicalResourceId"]), (&json!("FAILED"), &id));
        assert_eq!(refused["Reason"], "the property Partitions is not a number from 1 to 1000");
    }
    assert!(msk.lock().unwrap().done.is_empty());
}

#[tokio::test]
async fn a_deletion_succeeds_at_once_and_touches_nothing() {
    // Nobody is there who could be asked.
    let clusters = Clusters::new(&sdk("http://127.0.0.1:1"), tls().unwrap()).unwrap();
    let resource = Resource { clusters, answerer: Answerer::new().unwrap() };
    for changes in [json!({}), json!({ "Partitions": "many", "ClusterArn": "gone" })] {
        let event = event(DELETE, &changes);
        let released = answer(&resource, event.clone(), LEFT).await;
        assert_eq!((&released["Status"], &released["Data"]), (&json!("SUCCESS"), &json!({})));
        assert_eq!(released["PhysicalResourceId"], event["PhysicalResourceId"]);
    }
}
