//! Keys that come and go, and issuers that do not answer.

use std::time::{Duration, Instant};

use e2e::{Algorithm, Issuer, Key, eventually};
use serde_json::json;

use crate::{UNAUTHORIZED, USER, header, over_rest, over_the_handshake, refusal, system_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_keys_are_followed_and_a_silent_issuer_is_not_missed() {
    let issuer = Issuer::start().await.unwrap();
    let system = system_with(&issuer).await;
    let outcomes = async |token: &str| {
        let bearer = [("authorization", format!("Bearer {token}"))];
        [over_rest(&system, "", &bearer).await, over_the_handshake(&system, "", &bearer).await]
    };
    let claims = issuer.claims("acme", USER);
    let old = issuer.token(Algorithm::EdDsa, &claims);
    assert_eq!(outcomes(&old).await, [None, None]);

    // Whoever makes up ids of keys does not make the functions ask for each.
    let unknown = Key::new(Algorithm::Es256, "made-up");
    let (fetches, begun) = (issuer.fetches(), Instant::now());
    for n in 0..25 {
        let token = unknown.sign(&header(&unknown, &json!({"kid": format!("made-up-{n}")})), &claims.to_string());
        assert_eq!(outcomes(&token).await, [refusal(UNAUTHORIZED), refusal(UNAUTHORIZED)]);
    }
    // Two functions, two documents each, at most once in ten seconds and once at the begin.
    let most = 2 * 2 * (1 + begun.elapsed().as_secs() / 10);
    assert!(issuer.fetches() - fetches <= usize::try_from(most).unwrap(), "{} fetches", issuer.fetches() - fetches);

    issuer.rotate();
    let new = issuer.token(Algorithm::EdDsa, &claims);
    eventually("the new keys are known to both", async || (outcomes(&new).await == [None, None]).then_some(())).await;
    assert_eq!(outcomes(&old).await, [refusal(UNAUTHORIZED), refusal(UNAUTHORIZED)], "a key that was withdrawn");

    issuer.fall_silent();
    let newest = Key::new(Algorithm::EdDsa, "newest").token(&claims);
    assert_eq!(outcomes(&newest).await, [refusal(UNAUTHORIZED), refusal(UNAUTHORIZED)], "nobody vouches for it");
    let begun = Instant::now();
    assert_eq!(outcomes(&new).await, [None, None], "known keys go on working");
    assert!(begun.elapsed() < Duration::from_secs(3), "nobody is asked about a key that is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_keys_nothing_opens_until_the_issuer_answers() {
    let issuer = Issuer::start().await.unwrap();
    issuer.fall_silent();
    let system = system_with(&issuer).await;
    let bearer =
        [("authorization", format!("Bearer {}", issuer.token(Algorithm::Rs256, &issuer.claims("acme", USER))))];
    let unavailable = refusal(Some((503, "unavailable")));
    assert_eq!(over_rest(&system, "", &bearer).await, unavailable);
    assert_eq!(over_the_handshake(&system, "", &bearer).await, unavailable);
    issuer.answer();
    eventually("the keys are had", async || {
        let outcomes = [over_rest(&system, "", &bearer).await, over_the_handshake(&system, "", &bearer).await];
        (outcomes == [None, None]).then_some(())
    })
    .await;
}
