//! When keys are fetched, and what counts while they cannot be.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod issuer;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use auth::{
    AuthError, Expectations, KEYS_EXPIRE_AFTER, KeySet, KeySource, REFETCH_INTERVAL, Unauthorized, Unfetched, Verifier,
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use issuer::{CURVE, EDWARDS, Key, NOW, SECRET, at, claims, published, secrets, verify_at};
use projections::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;

/// Where keys come from in these tests: counts how often it is asked, and answers when it is let.
struct Source {
    answer: Mutex<Result<KeySet, Unfetched>>,
    fetches: AtomicUsize,
    gate: Semaphore,
}

impl KeySource for Source {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, Unfetched>> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            self.gate.acquire().await.unwrap().forget();
            self.answer.lock().unwrap().clone()
        })
    }
}

/// A verifier, and the source that it asks.
struct Scene {
    source: Arc<Source>,
    verifier: Verifier,
}

impl Scene {
    /// The source answers with this as often as it is asked.
    fn new(answer: Result<KeySet, Unfetched>) -> Self {
        let scene = Self::closed(answer);
        scene.source.gate.add_permits(1000);
        scene
    }

    /// The source lets everybody wait for its answer.
    fn closed(answer: Result<KeySet, Unfetched>) -> Self {
        let source =
            Arc::new(Source { answer: Mutex::new(answer), fetches: AtomicUsize::new(0), gate: Semaphore::new(0) });
        Self { verifier: Verifier::new(source.clone(), Expectations::default()), source }
    }

    fn answer(&self, answer: Result<KeySet, Unfetched>) {
        *self.source.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.source.fetches.load(Ordering::SeqCst)
    }

    /// What the token opens at this time, without any waiting.
    fn verify(&self, token: &str, now: Timestamp) -> Result<(), AuthError> {
        verify_at(&self.verifier, token, now).map(drop)
    }
}

fn failed() -> Result<KeySet, Unfetched> {
    Err(Unfetched("503".to_owned()))
}

fn named(key: &Key, kid: &str) -> String {
    let alg = if matches!(key, Key::Curve(_)) { "ES256" } else { "EdDSA" };
    key.token(&json!({ "alg": alg, "kid": kid }), &claims(json!({ "exp": NOW + 86_400 })))
}

fn curve() -> KeySet {
    published(&[CURVE.jwk(json!({ "kid": "old" }))])
}

fn both() -> KeySet {
    published(&[CURVE.jwk(json!({ "kid": "old" })), EDWARDS.jwk(json!({ "kid": "new" }))])
}

fn after(duration: Duration) -> Timestamp {
    at(NOW).plus(duration)
}

fn just_before(duration: Duration) -> Timestamp {
    Timestamp::from_millis(after(duration).as_millis() - 1)
}

const UNKNOWN: Result<(), AuthError> = Err(AuthError::Unauthorized(Unauthorized::UnknownKey));

#[test]
fn fresh_keys_are_not_fetched_again_until_they_expire() {
    let scene = Scene::new(Ok(curve()));
    let token = named(&CURVE, "old");
    for now in [at(NOW), at(NOW + 1), after(Duration::from_mins(10)), just_before(KEYS_EXPIRE_AFTER)] {
        assert_eq!(scene.verify(&token, now), Ok(()));
        assert_eq!(scene.fetches(), 1, "{now}");
    }
    assert_eq!(scene.verify(&token, after(KEYS_EXPIRE_AFTER)), Ok(()));
    assert_eq!(scene.fetches(), 2);
}

#[test]
fn a_withdrawn_key_counts_no_longer_than_keys_do() {
    let scene = Scene::new(Ok(both()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), at(NOW)), Ok(()));
    scene.answer(Ok(published(&[EDWARDS.jwk(json!({ "kid": "new" }))])));
    assert_eq!(scene.verify(&named(&CURVE, "old"), just_before(KEYS_EXPIRE_AFTER)), Ok(()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), after(KEYS_EXPIRE_AFTER)), UNKNOWN);
    assert_eq!(scene.verify(&named(&EDWARDS, "new"), after(KEYS_EXPIRE_AFTER)), Ok(()));
}

#[test]
fn prefetched_keys_serve_the_first_token() {
    let scene = Scene::new(Ok(curve()));
    assert_eq!(scene.verifier.prefetch(at(NOW)).now_or_never().unwrap(), Ok(()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), at(NOW + 1)), Ok(()));
    assert_eq!(scene.fetches(), 1);
}

#[test]
fn a_key_that_is_not_known_yet_is_looked_for_at_most_once_in_an_interval() {
    let scene = Scene::new(Ok(curve()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), at(NOW)), Ok(()));
    scene.answer(Ok(both()));
    let token = named(&EDWARDS, "new");
    assert_eq!(scene.verify(&token, just_before(REFETCH_INTERVAL)), UNKNOWN);
    assert_eq!(scene.fetches(), 1);
    assert_eq!(scene.verify(&token, after(REFETCH_INTERVAL)), Ok(()));
    assert_eq!(scene.fetches(), 2);
    assert_eq!(scene.verify(&named(&CURVE, "old"), after(REFETCH_INTERVAL)), Ok(()));
    for attempt in 0..1000 {
        let invented = named(&EDWARDS, &format!("invented-{attempt}"));
        assert_eq!(scene.verify(&invented, just_before(REFETCH_INTERVAL * 2)), UNKNOWN);
    }
    assert_eq!(scene.fetches(), 2);
    assert_eq!(scene.verify(&named(&EDWARDS, "invented"), after(REFETCH_INTERVAL * 2)), UNKNOWN);
    assert_eq!(scene.verify(&named(&EDWARDS, "invented"), after(REFETCH_INTERVAL * 2)), UNKNOWN);
    assert_eq!(scene.fetches(), 3);
}

#[test]
fn what_no_key_could_make_good_has_none_fetched() {
    let scene = Scene::new(Ok(curve()));
    let alg = |alg: &str| CURVE.token(&json!({ "alg": alg, "kid": "other" }), &claims(json!({})));
    for token in [String::new(), "a.b.c".to_owned(), alg("none"), alg("ES512"), "x".repeat(9000)] {
        assert!(matches!(scene.verify(&token, at(NOW)), Err(AuthError::Unauthorized(_))));
    }
    assert_eq!(scene.fetches(), 0);
    assert_eq!(scene.verify(&named(&CURVE, "old"), at(NOW)), Ok(()));
    let forged = named(&Key::other_curve(), "old");
    let other_algorithm = CURVE.token(&json!({ "alg": "RS256", "kid": "old" }), &claims(json!({})));
    for token in [forged, other_algorithm, alg("HS256")] {
        assert!(matches!(scene.verify(&token, after(REFETCH_INTERVAL * 2)), Err(AuthError::Unauthorized(_))));
    }
    assert_eq!(scene.fetches(), 1);
}

#[test]
fn a_token_that_names_no_key_may_be_of_a_newer_one() {
    let unnamed = |key: &Key| key.token(&json!({ "alg": "ES256" }), &claims(json!({})));
    let next = Key::other_curve();
    let scene = Scene::new(Ok(curve()));
    assert_eq!(scene.verify(&unnamed(&CURVE), at(NOW)), Ok(()));
    scene.answer(Ok(published(&[next.jwk(json!({ "kid": "next" }))])));
    assert_eq!(scene.verify(&unnamed(&next), after(REFETCH_INTERVAL)), Ok(()));
    assert_eq!(scene.verify(&unnamed(&CURVE), after(REFETCH_INTERVAL)), Err(Unauthorized::Signature.into()));
    assert_eq!(scene.fetches(), 2);
}

#[test]
fn a_secret_that_is_rotated_takes_over_and_the_previous_one_stays_for_a_while() {
    const NEXT: &[u8] = b"the next secret has 32 bytes too";
    let token = |secret: &[u8]| Key::secret(secret).token(&json!({ "alg": "HS256" }), &claims(json!({})));
    let wrong = Err(AuthError::Unauthorized(Unauthorized::Signature));
    let scene = Scene::new(Ok(secrets(&[SECRET])));
    assert_eq!(scene.verify(&token(SECRET), at(NOW)), Ok(()));
    scene.answer(Ok(secrets(&[NEXT, SECRET])));
    assert_eq!(scene.verify(&token(NEXT), just_before(REFETCH_INTERVAL)), wrong);
    assert_eq!(scene.verify(&token(NEXT), after(REFETCH_INTERVAL)), Ok(()));
    assert_eq!(scene.verify(&token(SECRET), after(REFETCH_INTERVAL)), Ok(()));
    assert_eq!(scene.fetches(), 2);
    scene.answer(Ok(secrets(&[NEXT])));
    assert_eq!(scene.verify(&token(SECRET), after(REFETCH_INTERVAL + KEYS_EXPIRE_AFTER)), wrong);
}

#[test]
fn a_fetch_that_fails_leaves_known_keys_working_and_is_tried_again_later() {
    let scene = Scene::new(Ok(curve()));
    let token = named(&CURVE, "old");
    assert_eq!(scene.verify(&token, at(NOW)), Ok(()));
    scene.answer(failed());
    assert_eq!(scene.verify(&named(&EDWARDS, "new"), after(REFETCH_INTERVAL)), UNKNOWN);
    assert_eq!(scene.fetches(), 2);
    for now in [after(KEYS_EXPIRE_AFTER), just_before(KEYS_EXPIRE_AFTER + REFETCH_INTERVAL)] {
        assert_eq!(scene.verify(&token, now), Ok(()));
        assert_eq!(scene.fetches(), 3, "{now}");
    }
    assert_eq!(scene.verify(&token, after(KEYS_EXPIRE_AFTER + REFETCH_INTERVAL)), Ok(()));
    assert_eq!(scene.fetches(), 4);
    scene.answer(Ok(both()));
    assert_eq!(scene.verify(&named(&EDWARDS, "new"), after(KEYS_EXPIRE_AFTER + REFETCH_INTERVAL * 2)), Ok(()));
    assert_eq!(scene.fetches(), 5);
}

#[test]
fn without_any_keys_nobody_can_be_verified_and_nobody_is_called_unauthorized() {
    let scene = Scene::new(failed());
    let token = named(&CURVE, "old");
    assert_eq!(scene.verifier.prefetch(at(NOW)).now_or_never().unwrap(), Err(Unfetched("503".to_owned())));
    for now in [at(NOW), just_before(REFETCH_INTERVAL)] {
        assert_eq!(scene.verify(&token, now), Err(AuthError::Unavailable));
        assert_eq!(scene.fetches(), 1);
    }
    assert_eq!(scene.verify(&token, after(REFETCH_INTERVAL)), Err(AuthError::Unavailable));
    assert_eq!(scene.fetches(), 2);
    scene.answer(Ok(curve()));
    assert_eq!(scene.verify(&token, after(REFETCH_INTERVAL * 2)), Ok(()));
}

#[tokio::test]
async fn many_who_need_keys_at_a_time_fetch_them_once() {
    for answer in [Ok(curve()), failed()] {
        let expected = answer.as_ref().map(drop).map_err(|_| AuthError::Unavailable);
        let scene = Scene::closed(answer);
        let token = named(&CURVE, "old");
        let verifiers = vec![scene.verifier.clone(); 50];
        // Each has read the clock at another time.
        let verify = |(index, verifier): (usize, &Verifier)| {
            let (verifier, token) = (verifier.clone(), token.clone());
            async move { verifier.verify(&token, after(Duration::from_millis(50 - index as u64))).await.map(drop) }
        };
        let open = async { scene.source.gate.add_permits(1000) };
        let (results, ()) = tokio::join!(join_all(verifiers.iter().enumerate().map(verify)), open);
        assert!(results.iter().all(|result| *result == expected), "{results:?}");
        assert_eq!(scene.fetches(), 1);
    }
}

#[tokio::test]
async fn many_tokens_of_a_new_key_at_a_time_have_it_fetched_once() {
    let scene = Scene::closed(Ok(curve()));
    scene.source.gate.add_permits(1);
    scene.verifier.prefetch(at(NOW)).await.unwrap();
    scene.answer(Ok(both()));
    let token = named(&EDWARDS, "new");
    let verify = |_| scene.verifier.verify(&token, after(REFETCH_INTERVAL));
    let open = async { scene.source.gate.add_permits(1000) };
    let (results, ()) = tokio::join!(join_all((0..50).map(verify)), open);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test]
async fn while_one_fetches_the_others_go_on_with_the_keys_that_are_known() {
    let scene = Scene::closed(Ok(curve()));
    scene.source.gate.add_permits(1);
    scene.verifier.prefetch(at(NOW)).await.unwrap();
    let token = named(&CURVE, "old");
    let mut first = Box::pin(scene.verifier.verify(&token, after(KEYS_EXPIRE_AFTER)));
    assert!(first.as_mut().now_or_never().is_none(), "the first one waits for newer keys");
    assert_eq!(scene.verify(&token, after(KEYS_EXPIRE_AFTER)), Ok(()));
    scene.source.gate.add_permits(1);
    assert!(first.await.is_ok());
    assert_eq!(scene.fetches(), 2);
}

#[tokio::test]
async fn a_fetch_that_is_given_up_keeps_nobody_from_the_next_one() {
    let scene = Scene::closed(Ok(curve()));
    let token = named(&CURVE, "old");
    let mut given_up = Box::pin(scene.verifier.verify(&token, at(NOW)));
    assert!(given_up.as_mut().now_or_never().is_none());
    drop(given_up);
    scene.source.gate.add_permits(1);
    assert_eq!(scene.verify(&token, at(NOW)), Ok(()));
    assert_eq!(scene.fetches(), 2);
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_keys_for_ever() {
    let scene = Scene::new(Ok(curve()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), after(Duration::from_hours(2))), Ok(()));
    assert_eq!(scene.verify(&named(&CURVE, "old"), at(NOW)), Ok(()));
    assert_eq!(scene.fetches(), 2);
}

#[test]
fn clones_share_the_keys() {
    let scene = Scene::new(Ok(curve()));
    for verifier in vec![scene.verifier.clone(); 3] {
        assert!(verify_at(&verifier, &named(&CURVE, "old"), at(NOW)).is_ok());
    }
    assert_eq!(scene.fetches(), 1);
}
