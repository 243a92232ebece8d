use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use projections::Timestamp;
use store::{Acquired, Announced, HANDOVER, Lease, Leases, MAX_PUBLISHED, MAX_PULSE_TENANTS, Pulse, StoreError};
use testing::TestTable;

use crate::{after, now};

const TTL: Duration = Duration::from_secs(10);

async fn leases() -> Leases {
    TestTable::create().await.leases()
}

/// Acquires a lease that has to be free.
async fn held(leases: &Leases, owner: &str, at: Timestamp) -> Lease {
    match leases.acquire(0, owner, at, TTL).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy(lease) => panic!("{owner} found it held: {lease:?}"),
    }
}

async fn is_busy(leases: &Leases, owner: &str, at: Timestamp) -> bool {
    matches!(leases.acquire(0, owner, at, TTL).await.unwrap(), Acquired::Busy(_))
}

#[tokio::test]
async fn a_free_lease_is_taken_and_another_one_finds_it_busy() {
    let leases = leases().await;
    assert_eq!(leases.read(0).await.unwrap(), None);
    let lease = held(&leases, "a", now()).await;
    assert_eq!((lease.owner.as_str(), lease.token), ("a", 1));
    assert_eq!((lease.renewed_at, lease.expires_at), (now(), after(10)));
    assert_eq!(leases.read(0).await.unwrap(), Some(lease.clone()));
    assert_eq!(leases.acquire(0, "b", after(9), TTL).await.unwrap(), Acquired::Busy(lease.clone()));
    assert!(lease.is_held(after(9)) && !lease.is_held(after(10)));
}

#[tokio::test]
async fn shards_have_leases_of_their_own() {
    let leases = leases().await;
    held(&leases, "a", now()).await;
    assert!(matches!(leases.acquire(1, "b", now(), TTL).await.unwrap(), Acquired::Held(_)));
}

#[tokio::test]
async fn of_many_at_once_one_gets_the_lease() {
    let leases = leases().await;
    let owners: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
    for round in 0..3 {
        let at = after(round * 60);
        let results = join_all(owners.iter().map(|owner| leases.acquire(0, owner, at, TTL))).await;
        let held = results.into_iter().filter(|result| matches!(result, Ok(Acquired::Held(_)))).count();
        assert_eq!(held, 1);
    }
    assert_eq!(leases.read(0).await.unwrap().unwrap().token, 3);
}

#[tokio::test]
async fn acquiring_again_after_a_lost_answer_is_acquiring_once() {
    let leases = leases().await;
    let first = held(&leases, "a", now()).await;
    assert_eq!(held(&leases, "a", now()).await, first);
}

#[tokio::test]
async fn an_expired_lease_is_taken_and_its_holder_finds_out() {
    let leases = leases().await;
    let zombie = held(&leases, "a", now()).await;
    let new = held(&leases, "b", after(10)).await;
    assert_eq!(new.token, 2);
    assert_eq!(leases.renew(0, &zombie, after(11), TTL).await.unwrap(), None);
    leases.release(0, &zombie, Some("c"), after(11)).await.unwrap();
    assert_eq!(leases.read(0).await.unwrap(), Some(new), "a holder that lost it changes nothing");
}

#[tokio::test]
async fn who_takes_a_lease_that_its_holder_let_expire_is_told_so_also_when_it_asks_again() {
    let leases = leases().await;
    assert!(!held(&leases, "a", now()).await.was_expired(), "nobody had it");
    let lease = held(&leases, "b", after(10)).await;
    assert!(lease.was_expired());
    assert!(held(&leases, "b", after(11)).await.was_expired(), "the first answer may have been lost");
    assert!(leases.renew(0, &lease, after(12), TTL).await.unwrap().unwrap().was_expired());
    assert!(held(&leases, "c", after(60)).await.was_expired(), "one after the other");
}

#[tokio::test]
async fn a_lease_that_was_given_back_or_handed_over_was_not_let_expire() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    leases.release(0, &lease, None, after(1)).await.unwrap();
    let lease = held(&leases, "b", after(60)).await;
    assert!(!lease.was_expired(), "given back, if long ago");
    leases.release(0, &lease, Some("c"), after(61)).await.unwrap();
    let lease = held(&leases, "c", after(61)).await;
    assert!(!lease.was_expired(), "handed over");
    leases.release(0, &lease, Some("ghost"), after(62)).await.unwrap();
    let lease = held(&leases, "d", after(62).plus(HANDOVER)).await;
    assert!(!lease.was_expired(), "handed over to somebody who never came");
    assert!(held(&leases, "e", after(120)).await.was_expired(), "the hand-over is long past");
}

#[tokio::test]
async fn a_holder_that_lost_its_lease_and_took_it_again_is_fenced_by_its_old_token() {
    let leases = leases().await;
    let old = held(&leases, "a", now()).await;
    held(&leases, "b", after(10)).await;
    let new = held(&leases, "a", after(20)).await;
    assert_eq!(new.token, 3);
    assert_eq!(leases.renew(0, &old, after(21), TTL).await.unwrap(), None);
}

#[tokio::test]
async fn a_renewed_lease_lasts_longer_under_the_same_token() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    let renewed = leases.renew(0, &lease, after(8), TTL).await.unwrap().unwrap();
    assert_eq!((renewed.token, renewed.renewed_at, renewed.expires_at), (1, after(8), after(18)));
    assert!(is_busy(&leases, "b", after(17)).await);
    assert_eq!(leases.renew(0, &renewed, after(8), TTL).await.unwrap(), Some(renewed), "a retry changes nothing");
}

#[tokio::test]
async fn a_holder_that_was_late_keeps_a_lease_that_nobody_took() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    assert!(leases.renew(0, &lease, after(60), TTL).await.unwrap().is_some());
}

#[tokio::test]
async fn a_lease_is_handed_over_to_who_announced_itself_and_to_nobody_else() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    assert_eq!(leases.announce(0, "b", after(1), TTL).await.unwrap(), Announced::Waiting);
    assert!(is_busy(&leases, "b", after(1)).await, "the holder has not handed over yet");

    let lease = leases.renew(0, &lease, after(2), TTL).await.unwrap().unwrap();
    assert_eq!(lease.successor.as_deref(), Some("b"));
    leases.release(0, &lease, lease.successor.as_deref(), after(2)).await.unwrap();
    assert!(is_busy(&leases, "c", after(2)).await);
    assert_eq!(leases.renew(0, &lease, after(2), TTL).await.unwrap(), None);

    let successor = held(&leases, "b", after(3)).await;
    assert_eq!((successor.token, successor.successor.as_deref(), successor.expires_at), (2, None, after(13)));
    assert_eq!(held(&leases, "b", after(3)).await, successor, "taking it up twice is taking it up once");
    assert!(is_busy(&leases, "a", after(4)).await);
}

#[tokio::test]
async fn a_lease_handed_to_a_successor_that_is_gone_is_free_soon() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    leases.release(0, &lease, Some("b"), after(1)).await.unwrap();
    assert!(is_busy(&leases, "c", after(1)).await);
    let taken = held(&leases, "c", after(1).plus(HANDOVER)).await;
    assert_eq!(taken.token, 2);
    assert!(is_busy(&leases, "b", after(1).plus(HANDOVER)).await, "too late");
}

#[tokio::test]
async fn a_lease_given_back_is_free_at_once_even_for_a_clock_that_is_behind() {
    let leases = leases().await;
    let lease = held(&leases, "a", after(5)).await;
    leases.release(0, &lease, None, after(6)).await.unwrap();
    leases.release(0, &lease, None, after(6)).await.unwrap();
    assert!(!leases.read(0).await.unwrap().unwrap().is_held(after(6)));
    assert_eq!(leases.renew(0, &lease, after(6), TTL).await.unwrap(), None);
    let next = held(&leases, "b", after(5)).await;
    assert_eq!(next.token, 2);
}

#[tokio::test]
async fn the_age_of_a_lease_given_back_is_still_known() {
    let leases = leases().await;
    let lease = held(&leases, "a", after(5)).await;
    leases.release(0, &lease, None, after(6)).await.unwrap();
    assert_eq!(leases.read(0).await.unwrap().unwrap().renewed_at, after(5));
}

#[tokio::test]
async fn only_one_successor_waits_until_its_announcement_expires() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    let wish = Duration::from_secs(3);
    assert_eq!(leases.announce(0, "b", now(), wish).await.unwrap(), Announced::Waiting);
    assert_eq!(leases.announce(0, "b", after(1), wish).await.unwrap(), Announced::Waiting);
    assert_eq!(leases.announce(0, "c", after(3), wish).await.unwrap(), Announced::Taken);
    let lease = leases.renew(0, &lease, after(4), TTL).await.unwrap().unwrap();
    assert_eq!(lease.successor, None, "who waits no longer is not handed the lease");
    assert_eq!(leases.announce(0, "c", after(4), wish).await.unwrap(), Announced::Waiting);
}

#[tokio::test]
async fn nobody_waits_for_a_lease_that_nobody_holds() {
    let leases = leases().await;
    assert_eq!(leases.announce(0, "b", now(), TTL).await.unwrap(), Announced::Free);
    let lease = held(&leases, "a", now()).await;
    assert_eq!(leases.announce(0, "b", after(10), TTL).await.unwrap(), Announced::Free, "expired");
    leases.release(0, &lease, None, after(1)).await.unwrap();
    assert_eq!(leases.announce(0, "b", after(1), TTL).await.unwrap(), Announced::Free, "given back");
}

#[tokio::test]
async fn what_was_published_is_left_to_the_successor_and_fenced_by_the_token() {
    let leases = leases().await;
    assert_eq!(leases.published(0).await.unwrap(), None);
    let zombie = held(&leases, "a", now()).await;
    assert!(leases.save_published(0, &zombie, b"1").await.unwrap());
    assert!(leases.save_published(0, &zombie, b"2").await.unwrap());
    let new = held(&leases, "b", after(10)).await;
    assert_eq!(leases.published(0).await.unwrap().as_deref(), Some(b"2".as_slice()));
    assert!(leases.save_published(0, &new, b"3").await.unwrap());
    assert!(!leases.save_published(0, &zombie, b"4").await.unwrap());
    assert_eq!(leases.published(0).await.unwrap().as_deref(), Some(b"3".as_slice()));
}

#[tokio::test]
async fn what_was_published_fits_into_an_item_or_is_refused() {
    let leases = leases().await;
    let lease = held(&leases, "a", now()).await;
    let most = vec![7; MAX_PUBLISHED];
    assert!(leases.save_published(0, &lease, &most).await.unwrap());
    assert_eq!(leases.published(0).await.unwrap(), Some(most));
    let too_large = StoreError::TooLarge { bytes: MAX_PUBLISHED + 1, limit: MAX_PUBLISHED };
    assert_eq!(leases.save_published(0, &lease, &vec![7; MAX_PUBLISHED + 1]).await, Err(too_large));
    assert!(leases.save_published(0, &lease, b"").await.unwrap());
    assert_eq!(leases.published(0).await.unwrap(), Some(Vec::new()));
}

#[tokio::test]
async fn the_pulse_tells_how_the_publisher_goes() {
    let leases = leases().await;
    assert_eq!(leases.pulse(0).await.unwrap(), None);
    let connections = BTreeMap::from([("acme".to_owned(), 3), ("other".to_owned(), 1)]);
    let pulse = Pulse { at: now(), connections, kafka_cluster: Some("ACTIVE".into()) };
    leases.save_pulse(0, &pulse).await.unwrap();
    assert_eq!(leases.pulse(0).await.unwrap(), Some(pulse));
    let none = Pulse { at: after(1), ..Pulse::default() };
    leases.save_pulse(0, &none).await.unwrap();
    assert_eq!(leases.pulse(0).await.unwrap(), Some(none));
}

#[tokio::test]
async fn a_pulse_keeps_the_tenants_with_the_most_connections() {
    let leases = leases().await;
    let connections = (0..2_000).map(|n| (format!("{}-{n:04}", "t".repeat(120)), n)).collect();
    leases.save_pulse(0, &Pulse { at: now(), connections, kafka_cluster: None }).await.unwrap();
    let kept = leases.pulse(0).await.unwrap().unwrap().connections;
    assert_eq!((kept.len(), kept.values().min()), (MAX_PULSE_TENANTS, Some(&1_000)));
}
