use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::loopback::bucket;

fn question(url: String) -> Question {
    let stack = format!("arn:aws:cloudformation:eu-central-1:123456789012:stack/{}/1", "s".repeat(128));
    Question { url, stack, request: "5a1c9ad1-6f1b-4a0e-9c53-6a1f0f9f1a01".into(), logical_id: "l".repeat(255) }
}

fn within(time: Duration) -> Instant {
    Instant::now() + time
}

#[tokio::test]
async fn an_answer_that_is_refused_once_is_put_again_without_a_content_type() {
    let (url, puts) = bucket(&[403, 200]).await;
    let question = question(url);
    let answer = question.released("topics of arn".to_owned());
    Answerer::new().unwrap().put(&question, &answer, within(Duration::from_secs(10))).await.unwrap();

    let puts = puts.lock().unwrap();
    assert_eq!(puts.len(), 2);
    for (headers, body) in puts.iter() {
        assert!(!headers.contains_key("content-type"), "{headers:?}");
        assert_eq!(headers["content-length"], body.len().to_string());
        let body: Value = serde_json::from_str(body).unwrap();
        let expected = json!({
            "Status": "SUCCESS", "Reason": "Topics and their records stay.", "PhysicalResourceId": "topics of arn",
            "StackId": question.stack, "RequestId": question.request, "LogicalResourceId": question.logical_id,
            "NoEcho": false, "Data": {},
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_with_the_time_and_tells_no_address() {
    let (refusing, puts) = bucket(&[500]).await;
    let nowhere = "http://127.0.0.1:1/arn%3Aaws?X-Amz-Signature=5ec7e7".to_owned();
    for url in [refusing, nowhere] {
        let question = question(url);
        let answer = question.released("topics".to_owned());
        let before = Instant::now();
        let put = Answerer::new().unwrap().put(&question, &answer, within(Duration::from_millis(500))).await;
        let AnswerError::NotTaken { attempts, last } = put.unwrap_err() else { panic!("it was written") };
        // The same words are in the log.
        assert!(attempts >= 2 && !last.contains("5ec7e7"), "{attempts} attempts, {last}");
        assert!(before.elapsed() < Duration::from_secs(2));
    }
    assert!(puts.lock().unwrap().len() >= 2);
}

#[tokio::test]
async fn an_answer_is_tried_once_even_if_there_is_no_time_left() {
    let (url, puts) = bucket(&[200]).await;
    let question = question(url);
    let answer = question.released("topics".to_owned());
    Answerer::new().unwrap().put(&question, &answer, Instant::now()).await.unwrap();
    assert_eq!(puts.lock().unwrap().len(), 1);
}

/// Names of these lengths, all different and as many as a resource may have.
fn names(lengths: &[usize]) -> Vec<String> {
    let mut left = 250;
    let mut names = Vec::new();
    for (index, length) in lengths.iter().enumerate() {
        let name = format!("{index:02}{}", "t".repeat(*length));
        if name.len() < left {
            left -= name.len() + 1;
            names.push(name);
        }
    }
    names
}

proptest! {
    #[test]
    fn whatever_happens_cloudformation_gets_no_more_than_it_takes(
        lengths in prop::collection::vec(1..=247_usize, 1..60),
        made in 0..3_usize,
        reasons in prop::collection::vec((0..400_usize).prop_map(|length| "\"r\n".repeat(length)), 0..5),
        brokers in prop::option::of((1..500_usize).prop_map(|length| "b".repeat(length))),
        decides_replication in any::<bool>(),
    ) {
        let topics = names(&lengths);
        let resource = format!("cluster/{}/1", "c".repeat(200));
        let properties = json!({
            "ClusterArn": format!("arn:aws:kafka:eu-central-1:123456789012:{resource}"),
            "Topics": topics, "Partitions": "1000", "ReplicationFactor": "10", "RetentionHours": "87600",
        });
        let wanted = Wanted::parse(&properties, None).unwrap();
        let cluster = Cluster { ways: Vec::new(), brokers, decides_replication, reasons: reasons.clone() };
        let mut outcome = Outcome { reasons, ..Outcome::default() };
        for (index, topic) in topics.into_iter().enumerate() {
            match (index + made) % 3 {
                0 => outcome.missing.push(topic),
                1 => {
                    outcome.fewer.push(topic.clone());
                    outcome.existing.push(topic);
                }
                _ => {
                    outcome.unconfigured.push(topic.clone());
                    outcome.made.push(topic);
                }
            }
        }
        let question = question(String::new());
        let id = format!("topics of {}", wanted.cluster.as_str());
        let answer = serde_json::to_string(&question.done(id, &outcome, &wanted, &cluster)).unwrap();
        prop_assert!(answer.len() <= LIMIT, "{} bytes: {answer}", answer.len());
    }
}
