//! Connections that end while they are published to: a real table, a gateway that fails.

use store::{CloseReason, RenewError};
use tokio::task::JoinHandle;

use super::*;

/// A connection that has long been there and whose token expires now.
fn expired() -> Connection {
    let mut connection = old();
    connection.principal.expires_at = runtime::clock::now();
    connection
}

/// A connection that has long been there.
fn old() -> Connection {
    Connection { connected_at: before(runtime::clock::now(), 60_000), ..connection() }
}

fn before(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - millis)
}

/// A new token, which expires that much later than now.
fn token(later: Duration) -> Principal {
    Principal { expires_at: runtime::clock::now().plus(later), ..connection().principal }
}

impl Stage {
    fn fail_farewell(&self, fault: PostError) {
        self.faults.lock().unwrap().farewells.push_back(fault);
    }

    fn fail_closes(&self, faults: impl IntoIterator<Item = PostError>) {
        self.faults.lock().unwrap().closes.extend(faults);
    }

    /// What was posted: `metrics_update`, `close`, …, and of errors the code.
    fn types(&self) -> Vec<String> {
        let posts = self.posts.lock().unwrap();
        let name = |message: &Value| message["data"]["code"].as_str().or(message["type"].as_str()).unwrap().to_owned();
        posts.iter().map(|(_, message)| name(message)).collect()
    }

    fn times(&self, message_type: &str) -> Vec<Timestamp> {
        let posts = self.posts.lock().unwrap();
        let of_type = posts.iter().filter(|(_, message)| message["type"] == message_type);
        of_type.map(|(_, message)| message["timestamp"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Counts calls, so that there always is a new view, until the publisher ends.
    pub(super) async fn answer_calls_until_ended(&mut self, serving: JoinHandle<Result<End, StoreError>>) -> End {
        for _ in 0..1000 {
            if serving.is_finished() {
                return serving.await.unwrap().unwrap();
            }
            self.answer_call().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the publisher goes on: {:?}", self.types());
    }

    async fn renew(&self, token: Principal) -> Principal {
        self.connections.renew("socket", &token, &[], runtime::clock::now()).await.unwrap();
        token
    }

    async fn until_closed_once(&self) {
        for _ in 0..1000 {
            if !self.times("close").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody is closed: {:?}", self.types());
    }

    async fn stored(&self) -> Option<Connection> {
        self.connections.get("socket").await.unwrap()
    }
}

#[tokio::test]
async fn who_has_an_expired_token_is_told_closed_and_forgotten_and_sees_nothing_after() {
    let mut stage = Stage::set_for(&old()).await;
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    stage.answer_calls_until_posted_by("first").await;
    let Principal { expires_at, .. } = stage.renew(token(Duration::from_millis(300))).await;
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
    let types = stage.types();
    assert_eq!(types[types.len() - 2..], ["token_expired", "close"]);
    assert_eq!(stage.times("close").len(), 1);
    let views = stage.times("metrics_update");
    assert!(views.iter().all(|at| *at < expires_at), "{views:?} after {expires_at}");
    assert!(stage.times("error")[0] >= expires_at);
    assert_eq!(stage.stored().await, None);
}

#[tokio::test]
async fn whose_access_is_ended_while_they_watch_is_told_and_closed() {
    for (ending, code) in [
        (CloseReason::Revoked, "revoked"),
        (CloseReason::RateLimited, "rate_limited"),
        (CloseReason::Replaced, "replaced"),
    ] {
        let mut stage = Stage::set().await;
        let serving = tokio::spawn(stage.publisher("first", false).serve());
        stage.answer_calls_until_posted_by("first").await;
        assert!(stage.connections.end("socket", ending, runtime::clock::now()).await.unwrap());
        assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
        let types = stage.types();
        assert_eq!(types[types.len() - 2..], [code, "close"]);
        assert_eq!(stage.stored().await, None);
    }
}

#[tokio::test]
async fn a_close_that_fails_is_tried_again_after_a_while_and_its_reason_told_once() {
    let mut stage = Stage::set_for(&expired()).await;
    stage.fail_closes([PostError::Limited, PostError::Limited]);
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches, "it goes on until that is done");
    assert_eq!(stage.types(), ["token_expired", "close", "close", "close"]);
    let times = stage.times("close");
    assert!(times.windows(2).all(|two| two[1].since(two[0]) >= Duration::from_millis(400)), "{times:?}");
    assert_eq!(stage.stored().await, None);
}

#[tokio::test]
async fn who_does_not_read_why_is_closed_all_the_same() {
    let mut stage = Stage::set_for(&expired()).await;
    stage.fail_farewell(PostError::Limited);
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
    assert_eq!(stage.types(), ["token_expired", "close"]);
}

#[tokio::test]
async fn who_is_gone_already_counts_as_closed() {
    let mut stage = Stage::set_for(&expired()).await;
    stage.fail_farewell(PostError::Gone);
    stage.fail_closes([PostError::Gone]);
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
    assert_eq!(stage.types(), ["token_expired", "close"]);
    assert_eq!(stage.stored().await, None);
}

#[tokio::test]
async fn who_is_still_in_the_handshake_is_closed_after_it() {
    let mut stage = Stage::set_for(&Connection { ending: Some(CloseReason::Revoked), ..connection() }).await;
    stage.fail_farewell(PostError::Gone);
    stage.fail_closes([PostError::Gone]);
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
    assert_eq!(stage.types(), ["revoked", "close", "revoked", "close"]);
}

#[tokio::test]
async fn a_successor_closes_whom_its_predecessor_could_not() {
    let mut stage = Stage::set_for(&expired()).await;
    stage.fail_closes(vec![PostError::Limited; 1000]);
    let first = tokio::spawn(stage.publisher("first", true).serve());
    stage.until_closed_once().await;
    let second = tokio::spawn(stage.publisher("second", true).serve());
    assert_eq!(stage.answer_calls_until_ended(first).await, End::HandedOver);
    assert_eq!(stage.stored().await.unwrap().ending, Some(CloseReason::TokenExpired));
    stage.faults.lock().unwrap().closes.clear();
    assert_eq!(stage.answer_calls_until_ended(second).await, End::NobodyWatches);
    assert_eq!(stage.posts.lock().unwrap().last().unwrap().0, "second");
    assert!(stage.views().is_empty(), "no view after the end, from neither");
    assert_eq!(stage.stored().await, None);
}

#[tokio::test]
async fn a_renewal_that_lands_between_the_look_and_the_mark_keeps_the_connection() {
    let connection = expired();
    let mut stage = Stage::set_for(&connection).await;
    stage.answer_call().await;
    let mut shard = Shard::new(0, stage.publisher("first", false).services, Handover::default());
    let is_overview = shard.read(runtime::clock::now()).await.unwrap();
    // It was asked for just in time.
    let asked_at = before(connection.principal.expires_at, 1);
    stage.connections.renew("socket", &token(Duration::from_hours(1)), &[], asked_at).await.unwrap();
    shard.post(is_overview, runtime::clock::now());
    for _ in 0..1000 {
        if !stage.views().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let is_overview = shard.read(runtime::clock::now()).await.unwrap();
        shard.post(is_overview, runtime::clock::now());
    }
    assert_eq!(stage.types(), ["metrics_update"], "neither told nor closed, it watches on");
    assert_eq!(stage.stored().await.unwrap().ending, None);
}

#[tokio::test]
async fn a_renewal_in_time_keeps_the_connection_and_one_after_the_mark_comes_too_late() {
    let mut stage = Stage::set_for(&old()).await;
    stage.fail_closes(vec![PostError::Limited; 1000]);
    let serving = tokio::spawn(stage.publisher("first", false).serve());
    stage.answer_calls_until_posted_by("first").await;
    stage.renew(token(Duration::from_secs(1))).await;
    let Principal { expires_at, .. } = stage.renew(token(Duration::from_millis(1500))).await;
    stage.until_closed_once().await;
    assert!(stage.times("error")[0] >= expires_at, "the end of the token before was none");
    let late = token(Duration::from_hours(1));
    let late = stage.connections.renew("socket", &late, &[], before(expires_at, 1)).await;
    assert_eq!(late, Err(RenewError::Closing(CloseReason::TokenExpired)));
    stage.faults.lock().unwrap().closes.clear();
    assert_eq!(stage.answer_calls_until_ended(serving).await, End::NobodyWatches);
}
