//! The lines of metrics that publishers print: when, and what they count.

use std::{sync::LazyLock, time::Instant};

use super::*;

/// A clock that starts now and runs twenty times as fast as others do.
pub(super) fn racing() -> Timestamp {
    static START: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| (runtime::clock::now(), Instant::now()));
    START.0.plus(START.1.elapsed() * 20)
}

impl Stage {
    /// The lines printed so far.
    fn lines(&self) -> Vec<Value> {
        self.metrics.lock().unwrap().clone()
    }

    /// The only line that was printed.
    fn line(&self) -> Value {
        let [line] = &self.lines()[..] else { panic!("not one line: {:?}", self.lines()) };
        line.clone()
    }
}

/// What a metric amounts to over some lines; of one that was measured, how often.
fn sum(lines: &[Value], metric: &str) -> u64 {
    let times = |value: &Value| value["Counts"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    lines.iter().filter_map(|line| line.get(metric)).map(|value| value.as_u64().unwrap_or_else(|| times(value))).sum()
}

#[tokio::test]
async fn what_became_of_each_post_is_told_when_the_lease_term_ends() {
    let connected_at = Timestamp::from_millis(runtime::clock::now().as_millis() - 60_000);
    let mut stage = Stage::set_for(&Connection { connected_at, ..connection() }).await;
    stage.answer_call().await;
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    stage.until_last_answered_is(1).await;
    stage.faults.lock().unwrap().messages.extend([
        PostError::Limited,
        PostError::Limited,
        PostError::Other("ForbiddenException".to_owned()),
        PostError::TooLarge,
        PostError::Gone,
    ]);
    stage.answer_calls_until_ended(serving).await;

    // It may look for connections once more before it ends, and tells that too.
    let lines = stage.lines();
    let posts = u64::try_from(stage.posts.lock().unwrap().len()).unwrap();
    assert_eq!(sum(&lines, "PostsGone"), 1);
    assert_eq!(sum(&lines, "PostsThrottled"), 2);
    assert_eq!(sum(&lines, "PostsFailed"), 2, "one refused, one too large");
    assert_eq!(sum(&lines, "Posts"), posts - 5, "those that arrived");
    assert_eq!((sum(&lines, "Connections"), sum(&lines, "ConnectionsClosed")), (0, 0));
    assert!(sum(&lines, "PublishLatency") >= 1, "the first view arrived");
}

#[tokio::test]
async fn who_finds_that_nobody_watches_says_that_it_was_there() {
    let stage = Stage::set().await;
    stage.connections.disconnect("socket").await.unwrap();
    assert_eq!(stage.publisher("first", true).serve().await.unwrap(), End::NobodyWatches);
    let line = stage.line();
    for metric in ["Posts", "PostsGone", "PostsThrottled", "PostsFailed", "Connections", "LeasesExpired"] {
        assert_eq!(line[metric], 0, "{metric}");
    }
    assert_eq!(sum(&stage.lines(), "TickDuration"), 1);
    assert_eq!(line.get("PublishLatency"), None, "where nothing was posted nothing took its time");
}

#[tokio::test]
async fn who_is_not_given_the_lease_tells_nothing() {
    let stage = Stage::set().await;
    stage.leases.acquire(0, "holder", runtime::clock::now(), Duration::from_mins(1)).await.unwrap();
    assert_eq!(stage.publisher("first", false).serve().await.unwrap(), End::Busy);
    assert!(stage.lines().is_empty());
}

#[tokio::test]
async fn a_lease_that_its_holder_let_expire_is_counted_once() {
    let stage = Stage::set().await;
    stage.connections.disconnect("socket").await.unwrap();
    let long_ago = Timestamp::from_millis(runtime::clock::now().as_millis() - 60_000);
    stage.leases.acquire(0, "dead", long_ago, LEASE).await.unwrap();
    for publisher in ["first", "second"] {
        assert_eq!(stage.publisher(publisher, false).serve().await.unwrap(), End::NobodyWatches);
    }
    let expired: Vec<_> = stage.lines().iter().map(|line| line["LeasesExpired"].clone()).collect();
    assert_eq!(expired, [1, 0, 0], "the first says so at once, and not again; the second found it given back");
    assert_eq!(stage.lines()[0].get("Connections"), None, "they have not been counted yet");
}

#[tokio::test]
async fn who_is_closed_is_counted() {
    let mut stage = Stage::set().await;
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    stage.answer_calls_until_posted_by("first").await;
    stage.connections.end("socket", store::CloseReason::Revoked, runtime::clock::now()).await.unwrap();
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
    assert_eq!(sum(&stage.lines(), "ConnectionsClosed"), 1);
}

#[tokio::test]
async fn every_half_minute_has_a_line_and_each_post_is_in_one() {
    let mut stage = Stage::set().await;
    let mut publisher = stage.publisher("first", false);
    publisher.services.clock = racing;
    publisher.deadline = racing().plus(Duration::from_mins(10));
    stage.leases.acquire(0, "dead", Timestamp::EPOCH, LEASE).await.unwrap();
    let serving = tokio::spawn(publisher.serve());
    for _ in 0..1000 {
        if stage.lines().len() >= 3 {
            break;
        }
        stage.answer_call().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    stage.connections.disconnect("socket").await.unwrap();
    assert_eq!(serving.await.unwrap().unwrap(), End::NobodyWatches);

    let lines = stage.lines();
    let times: Vec<i64> = lines.iter().map(|line| line["_aws"]["Timestamp"].as_i64().unwrap()).collect();
    assert!(times.len() >= 4, "one of the expired lease, two of its time, and one at its end");
    let apart: Vec<i64> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(apart[0] >= 30_000 && apart[0] < 60_000, "{apart:?}");
    assert_eq!(sum(&lines, "Posts"), u64::try_from(stage.posts.lock().unwrap().len()).unwrap(), "each once");
    assert_eq!(sum(&lines, "PublishLatency"), u64::try_from(stage.views().len()).unwrap(), "views alone");
    assert_eq!(lines[1]["Connections"], 1);
    assert_eq!(sum(&lines, "LeasesExpired"), 1, "told once");
}
