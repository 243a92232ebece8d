//! Who goes when a user comes who has as many connections as allowed.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use projections::Timestamp;
use store::{CloseReason, ConnectError, Connection, Connections, Limits};
use testing::{TestTable, s};

use crate::{
    acme, ada, after,
    connections::LIMITS,
    faults::Fault,
    quotas::{connection, faulty, total},
};

const THREE: Limits = Limits { per_user: 3, ..LIMITS };

fn of_ada(id: &str, at: Timestamp) -> Connection {
    Connection { principal: ada(), ..connection(id, at) }
}

/// Ada comes, and whoever she replaces goes.
async fn come(connections: &Connections, id: &str, at: Timestamp) -> Result<Option<String>, ConnectError> {
    connections.connect_replacing(&of_ada(id, at), THREE, at).await
}

/// Three connections of ada's, one a second.
async fn full() -> (TestTable, Connections) {
    let table = TestTable::create().await;
    let connections = table.connections(2);
    for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
        assert_eq!(come(&connections, id, after(n as u64)).await, Ok(None));
    }
    (table, connections)
}

async fn places(connections: &Connections) -> BTreeSet<String> {
    connections.of_user(&acme(), "ada#1").await.unwrap().into_iter().collect()
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

async fn reason(connections: &Connections, id: &str) -> Option<CloseReason> {
    connections.get(id).await.unwrap().unwrap().ending
}

#[tokio::test]
async fn the_connection_that_has_been_silent_longest_goes_and_is_told_why() {
    let (table, connections) = full().await;
    connections.message("a", after(60)).await.unwrap();
    connections.message("a", after(61)).await.unwrap();
    let entered = async || table.entered(connections.shard_of("b")).await.iter().filter(|id| *id == "b").count();
    assert_eq!(entered().await, 1, "it has come");
    assert_eq!(come(&connections, "d", after(62)).await, Ok(Some("b".to_owned())));
    assert_eq!(reason(&connections, "b").await, Some(CloseReason::Replaced));
    assert_eq!(entered().await, 2, "its publisher learns of it");
    assert_eq!(places(&connections).await, ids(&["a", "c", "d"]));
    // What has only come counts as active too, and who is on the way out is not taken for one that stays.
    assert_eq!(come(&connections, "e", after(63)).await, Ok(Some("c".to_owned())));
    assert_eq!(come(&connections, "f", after(64)).await, Ok(Some("a".to_owned())));
    for id in ["d", "e", "f"] {
        assert_eq!(reason(&connections, id).await, None);
    }
}

#[tokio::test]
async fn the_count_is_exact_whether_the_one_that_was_replaced_ever_says_goodbye_or_not() {
    let (table, connections) = full().await;
    come(&connections, "d", after(10)).await.unwrap();
    assert_eq!(total(&table, "acme").await, 4, "it is open still");
    for _ in 0..2 {
        connections.disconnect("a").await.unwrap();
        assert_eq!(places(&connections).await, ids(&["b", "c", "d"]));
        assert_eq!(total(&table, "acme").await, 3);
    }
}

#[tokio::test]
async fn newcomers_at_once_take_one_place_each() {
    let (_table, connections) = full().await;
    let came = join_all(["d", "e", "f"].map(|id| come(&connections, id, after(100)))).await;
    let replaced: BTreeSet<String> = came.into_iter().map(|came| came.unwrap().unwrap()).collect();
    assert_eq!(replaced, ids(&["a", "b", "c"]));
    assert_eq!(places(&connections).await, ids(&["d", "e", "f"]));
    for id in ["a", "b", "c"] {
        assert_eq!(reason(&connections, id).await, Some(CloseReason::Replaced));
    }
}

#[tokio::test]
async fn one_that_is_being_closed_already_goes_first() {
    let (_table, connections) = full().await;
    connections.end("c", CloseReason::Revoked, after(5)).await.unwrap();
    assert_eq!(come(&connections, "d", after(10)).await, Ok(Some("c".to_owned())));
    assert_eq!(reason(&connections, "c").await, Some(CloseReason::Revoked), "the first reason stays");
    assert_eq!(reason(&connections, "a").await, None);
}

#[tokio::test]
async fn a_handshake_that_failed_half_way_frees_its_place_also_where_newcomers_are_refused() {
    let (table, connections) = full().await;
    // `$connect` was killed between taking the place and storing the connection.
    table.delete(&format!("shard#{}", connections.shard_of("b")), "b").await;
    let refuse = async |id, at| connections.connect(&of_ada(id, at), THREE, at).await;
    assert_eq!(refuse("d", after(20)).await, Err(ConnectError::TooManyOfUser), "it may be on its way still");
    refuse("d", after(40)).await.unwrap();
    assert_eq!(places(&connections).await, ids(&["a", "c", "d"]));
    assert_eq!(refuse("e", after(40)).await, Err(ConnectError::TooManyOfUser));
}

#[tokio::test]
async fn a_handshake_that_is_under_way_is_nobodys_to_replace() {
    let (table, connections) = full().await;
    for id in ["a", "b", "c"] {
        table.delete(&format!("shard#{}", connections.shard_of(id)), id).await;
    }
    assert_eq!(come(&connections, "d", after(10)).await, Err(ConnectError::TooManyOfUser));
    assert_eq!(places(&connections).await, ids(&["a", "b", "c"]));
}

#[tokio::test]
async fn where_the_tenant_is_full_nobody_is_replaced() {
    let (table, connections) = full().await;
    let limits = Limits { per_tenant: 3, ..THREE };
    let refused = connections.connect_replacing(&of_ada("d", after(10)), limits, after(10)).await;
    assert_eq!(refused, Err(ConnectError::TooManyOfTenant));
    assert_eq!(reason(&connections, "a").await, None);
    assert_eq!((places(&connections).await, total(&table, "acme").await), (ids(&["a", "b", "c"]), 3));
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_is_taken_for_the_least_active() {
    let (table, connections) = full().await;
    table.set(&format!("shard#{}", connections.shard_of("c")), "c", "connected_at", s("no such thing")).await;
    assert_eq!(come(&connections, "d", after(10)).await, Ok(Some("c".to_owned())));
}

#[tokio::test]
async fn wherever_an_answer_is_lost_no_place_is_held_by_two() {
    for lost_at in 0..16 {
        let (table, connections, faults) = faulty().await;
        for (n, id) in ["a", "b", "c"].into_iter().enumerate() {
            come(&connections, id, after(n as u64)).await.unwrap();
        }
        let mut requests = vec![Fault::None; lost_at];
        requests.push(Fault::Lost);
        faults.set(&requests);
        let came = come(&connections, "d", after(60)).await;
        faults.set(&[]);
        let held = places(&connections).await;
        assert!(held.len() <= 3, "{lost_at}: {held:?}");
        assert_eq!(held.contains("d"), came.is_ok(), "{lost_at}: {came:?}");
        let mut open = Vec::new();
        for connection in connections.connections(0).await.unwrap() {
            if connection.ending.is_none() {
                open.push(connection.id);
            }
        }
        assert!(open.iter().all(|id| held.contains(id)), "{lost_at}: {open:?} are open, and counted are {held:?}");
        assert!(total(&table, "acme").await >= open.len() as u64, "{lost_at}");
    }
}
