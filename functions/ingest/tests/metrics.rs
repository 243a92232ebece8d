//! What is counted of a batch, as the line that CloudWatch reads.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

#[expect(dead_code, reason = "these tests look at lines, not into storage")]
mod memory;

use std::{
    cell::Cell,
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use ingest::{
    batch::Reading,
    handler,
    intake::{Intake, IntakeError},
    response::BatchResponse,
};
use lambda_runtime::{Context, LambdaEvent};
use memory::{Fault, Memory};
use projections::{TenantId, Timestamp};
use runtime::metrics::Metrics;
use serde_json::{Value, json};

/// When the batch comes; it is stored 40 ms later.
const BEGAN_AT: i64 = 1_768_473_000_000;

struct Container {
    memory: Memory,
    intake: Intake<Memory>,
    metrics: Metrics,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Container {
    fn start() -> Self {
        let (memory, lines) = (Memory::default(), Arc::<Mutex<Vec<Value>>>::default());
        let printed = Arc::clone(&lines);
        let print = move |line: &[u8]| printed.lock().unwrap().push(serde_json::from_slice(line).unwrap());
        Self {
            intake: Intake::new(
                memory.clone(),
                Reading { default_tenant: Some(TenantId::parse("acme").unwrap()), epoch: 1 },
            ),
            memory,
            metrics: Metrics::new("Livefold/test".to_owned(), print),
            lines,
        }
    }

    /// Takes a payload in: the outcome, and the one line that it makes.
    async fn handle(&self, payload: &Value) -> (Result<(), IntakeError>, Value) {
        let (outcome, line) = self.answer(payload, false).await;
        let nothing = outcome.map(|response| assert!(response.is_none(), "a mapping would take it for success"));
        (nothing, line)
    }

    /// Takes a payload in from a mapping that reads responses or does not.
    async fn answer(
        &self,
        payload: &Value,
        reads_responses: bool,
    ) -> (Result<Option<BatchResponse>, IntakeError>, Value) {
        // Forty milliseconds pass after the first look.
        let passed = Cell::new(0);
        let clock = || Timestamp::from_millis(BEGAN_AT + passed.replace(40));
        let event = LambdaEvent::new(serde_json::value::to_raw_value(payload).unwrap(), Context::default());
        let outcome = handler::handle(&self.intake, event, clock, &self.metrics, reads_responses).await;
        let mut lines = std::mem::take(&mut *self.lines.lock().unwrap());
        assert_eq!(lines.len(), 1, "one line a batch: {lines:?}");
        (outcome, lines.remove(0))
    }
}

fn record(partition: i32, offset: i64, timestamp: i64, value: &str) -> Value {
    json!({
        "topic": "campaign.events.v1", "partition": partition, "offset": offset, "timestamp": timestamp,
        "timestampType": "CREATE_TIME", "value": STANDARD.encode(value), "headers": [],
    })
}

fn call(offset: i64, timestamp: i64) -> Value {
    record(0, offset, timestamp, r#"{"eventType":"call_queued","campaignId":"c","phoneNumber":"+15550100"}"#)
}

fn msk_event(records: &[Value]) -> Value {
    json!({ "eventSource": "aws:kafka", "records": { "campaign.events.v1-0": records } })
}

/// The head of a line with these metrics.
fn head(metrics: &Value) -> Value {
    json!({
        "Timestamp": BEGAN_AT + 40,
        "CloudWatchMetrics": [{ "Namespace": "Livefold/test", "Dimensions": [[]], "Metrics": metrics }],
    })
}

#[tokio::test]
async fn a_batch_that_is_stored_makes_one_line_that_says_what_became_of_its_records() {
    let container = Container::start();
    container.handle(&msk_event(&[call(5, BEGAN_AT)])).await.0.unwrap();
    let batch = msk_event(&[
        // Delivered again, and the oldest.
        call(5, BEGAN_AT - 900),
        call(6, BEGAN_AT - 800),
        call(7, BEGAN_AT - 700),
        record(0, 8, BEGAN_AT - 600, "garbage"),
        record(0, 9, BEGAN_AT - 500, r#"{"eventType":"call_queued","campaignId":"d"}"#),
    ]);
    let (outcome, line) = container.handle(&batch).await;
    outcome.unwrap();
    assert_eq!(
        line,
        json!({
            "_aws": head(&json!([
                {"Name": "RecordsIn", "Unit": "Count"},
                {"Name": "RecordsApplied", "Unit": "Count"},
                {"Name": "RecordsSeen", "Unit": "Count"},
                {"Name": "RecordsQuarantined", "Unit": "Count"},
                {"Name": "RecordsUnknown", "Unit": "Count"},
                {"Name": "OffsetRegressions", "Unit": "Count"},
                {"Name": "CommitConflicts", "Unit": "Count"},
                {"Name": "SlicesCommitted", "Unit": "Count"},
                {"Name": "UnknownWords", "Unit": "Count"},
                {"Name": "GaugesBelowZero", "Unit": "Count"},
                {"Name": "RecordAge", "Unit": "Milliseconds"},
                {"Name": "BatchDuration", "Unit": "Milliseconds"},
            ])),
            "topic": "campaign.events.v1",
            "RecordsIn": 5,
            "RecordsApplied": 3,
            "RecordsSeen": 1,
            "RecordsQuarantined": 1,
            "RecordsUnknown": 0,
            "OffsetRegressions": 0,
            "CommitConflicts": 0,
            "SlicesCommitted": 2,
            "UnknownWords": 0,
            "GaugesBelowZero": 0,
            "RecordAge": 940,
            "BatchDuration": 40,
        })
    );
}

#[tokio::test]
async fn a_batch_that_is_not_stored_counts_as_failed_and_as_nothing_else() {
    let container = Container::start();
    container.memory.state().faults = vec![Some(Fault::Before)];
    let (outcome, line) = container.handle(&msk_event(&[call(5, BEGAN_AT)])).await;
    assert!(matches!(outcome, Err(IntakeError::NotStored { .. })));
    let failed = |error| {
        let head = head(&json!([{"Name": "BatchesFailed", "Unit": "Count"}]));
        json!({ "_aws": head, "error": error, "BatchesFailed": 1 })
    };
    assert_eq!(line, failed("NotStored"));
    let (outcome, line) = container.handle(&json!({"Records": []})).await;
    assert!(matches!(outcome, Err(IntakeError::NotAnEvent(_))));
    assert_eq!(line, failed("NotAnEvent"));
}

#[tokio::test]
async fn writers_that_meet_and_topics_made_again_are_counted() {
    let (one, other) = (Container::start(), Container::start());
    one.handle(&msk_event(&[call(5, BEGAN_AT - 9)])).await.0.unwrap();
    // Somebody else goes on from there; the first does not know yet.
    other.handle(&msk_event(&[call(6, BEGAN_AT - 8)])).await.0.unwrap();
    let newer = other.memory.state().slices.clone();
    one.memory.state().slices = newer;
    let (_, line) = one.handle(&msk_event(&[call(7, BEGAN_AT - 7)])).await;
    assert_eq!((&line["CommitConflicts"], &line["RecordsApplied"]), (&json!(1), &json!(1)));
    let (_, line) = one.handle(&msk_event(&[call(0, BEGAN_AT - 1)])).await;
    assert_eq!((&line["OffsetRegressions"], &line["RecordsSeen"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn a_mapping_that_reads_responses_is_told_which_partition_has_to_come_again_and_the_others_count() {
    let container = Container::start();
    let other = record(1, 7, BEGAN_AT, r#"{"eventType":"call_queued","campaignId":"d"}"#);
    let batch = msk_event(&[call(5, BEGAN_AT), call(6, BEGAN_AT), other]);
    container.memory.state().unwritable = Some("campaign:c".to_owned());
    let (outcome, line) = container.answer(&batch, true).await;
    assert_eq!(
        serde_json::to_value(outcome.unwrap()).unwrap(),
        json!({"batchItemFailures": [{"itemIdentifier": {"partition": "campaign.events.v1-0", "offset": 5}}]})
    );
    let counted = ["RecordsIn", "RecordsApplied", "BatchesFailed"].map(|metric| line[metric].as_u64());
    assert_eq!((counted, &line["error"]), ([Some(1), Some(1), Some(1)], &json!("NotStored")));

    let (outcome, line) = container.answer(&msk_event(&[call(5, BEGAN_AT)]), true).await;
    assert!(outcome.is_err(), "nothing is to be acknowledged");
    assert_eq!(line.get("RecordsIn"), None);
    container.memory.state().unwritable = None;
    let (outcome, _) = container.answer(&batch, true).await;
    assert_eq!(serde_json::to_value(outcome.unwrap()).unwrap(), json!({"batchItemFailures": []}));
}

#[tokio::test]
async fn records_of_an_unknown_type_are_told_from_bad_ones() {
    let container = Container::start();
    let transferred = record(0, 4, BEGAN_AT, r#"{"eventType":"call_transferred","campaignId":"c"}"#);
    let (_, line) = container.handle(&msk_event(&[transferred, record(0, 5, BEGAN_AT, "{}")])).await;
    assert_eq!((&line["RecordsUnknown"], &line["RecordsQuarantined"]), (&json!(1), &json!(1)));
    assert_eq!(container.memory.state().quarantine.len(), 2);
}

#[tokio::test]
async fn the_oldest_record_makes_the_age_bad_ones_with_it_and_a_clock_that_leads_makes_none() {
    let container = Container::start();
    let bad = record(0, 4, BEGAN_AT - 5_000, "garbage");
    let (_, line) = container.handle(&msk_event(&[call(3, BEGAN_AT - 1_000), bad])).await;
    assert_eq!(line["RecordAge"], 5_040);
    let (_, line) = container.handle(&msk_event(&[call(5, BEGAN_AT + 60_000)])).await;
    assert_eq!(line["RecordAge"], 0);
}

#[tokio::test]
async fn words_that_are_not_known_and_gauges_below_zero_are_counted() {
    let container = Container::start();
    let ended = r#"{"eventType":"call_ended","campaignId":"c","callId":"k","status":"congestion","outcome":"odd"}"#;
    let (_, line) = container.handle(&msk_event(&[record(0, 3, BEGAN_AT, ended)])).await;
    assert_eq!(
        (&line["UnknownWords"], &line["GaugesBelowZero"], &line["RecordsApplied"]),
        (&json!(2), &json!(1), &json!(1))
    );
    let sampled = r#"{"eventType":"queue_sampled","campaignId":"c","activeCalls":0}"#;
    let (_, line) = container.handle(&msk_event(&[record(0, 4, BEGAN_AT, sampled)])).await;
    assert_eq!((&line["UnknownWords"], &line["GaugesBelowZero"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn a_record_of_a_clock_that_leads_counts_when_it_came_and_delivered_again_is_no_topic_made_again() {
    let container = Container::start();
    let ahead = [call(5, BEGAN_AT + 600_000), call(6, BEGAN_AT + 31_536_000_000)];
    container.handle(&msk_event(&ahead)).await.0.unwrap();
    let slices = container.memory.state().slices.clone();
    assert!(slices.values().all(|slice| slice.event_time() == Some(Timestamp::from_millis(BEGAN_AT))));
    let (_, line) = container.handle(&msk_event(&ahead)).await;
    assert_eq!((&line["RecordsSeen"], &line["OffsetRegressions"]), (&json!(2), &json!(0)));
}

#[tokio::test]
async fn a_record_without_a_time_has_no_age() {
    let container = Container::start();
    let (_, line) = container.handle(&msk_event(&[call(3, -1), call(4, 0), call(5, BEGAN_AT)])).await;
    assert_eq!((&line["RecordAge"], &line["RecordsIn"]), (&json!(40), &json!(3)));
    let (_, line) = container.handle(&msk_event(&[call(6, -1)])).await;
    assert_eq!((line.get("RecordAge"), &line["RecordsIn"]), (None, &json!(1)));
}

#[tokio::test]
async fn nothing_of_a_records_value_is_in_a_line() {
    let container = Container::start();
    let (_, line) = container.handle(&msk_event(&[call(3, BEGAN_AT), record(0, 4, BEGAN_AT, "+15550100")])).await;
    assert!(!line.to_string().contains("555") && !line.to_string().contains("acme"), "{line}");
}
