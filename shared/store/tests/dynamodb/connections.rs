use std::collections::BTreeSet;

use projections::Timestamp;
use store::{CloseReason, ConnectError, Connection, Connections, Limits, MAX_CONNECTION_AGE, StoreError};
use testing::{TestTable, s};

use crate::{acme, ada, channel, now, of_tenant, user};

pub const LIMITS: Limits = Limits { per_user: 100, per_tenant: 1_000 };

pub fn connection(id: &str) -> Connection {
    Connection {
        id: id.into(),
        principal: ada(),
        channels: [channel("campaigns"), channel("system")].map(|channel| (channel, String::new())).into(),
        is_default: true,
        batch: false,
        connected_at: now(),
        source_ip: Some("203.0.113.7".into()),
        ending: None,
    }
}

pub async fn connect(connections: &Connections, id: &str, at: Timestamp) -> Result<(), ConnectError> {
    connections.connect(&Connection { connected_at: at, ..connection(id) }, LIMITS, at).await
}

#[tokio::test]
async fn a_connection_is_kept_in_one_item_that_outlives_it_by_ten_minutes() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    connections.connect(&connection("L0SM9cOFvHcCIhw="), LIMITS, now()).await.unwrap();
    assert_eq!(connections.get("L0SM9cOFvHcCIhw=").await.unwrap(), Some(connection("L0SM9cOFvHcCIhw=")));
    assert_eq!(connections.connections(0).await.unwrap(), [connection("L0SM9cOFvHcCIhw=")]);
    assert_eq!(table.ttl("shard#0", "L0SM9cOFvHcCIhw=").await, Some(now().as_seconds() + 7_800));
    assert_eq!(table.ttl("user#acme#ada#1", "#connections").await, Some(now().as_seconds() + 7_800));
}

#[tokio::test]
async fn connections_are_found_in_their_shard_without_what_the_publisher_keeps_there() {
    let table = TestTable::create().await;
    let connections = table.connections(4);
    let ids: Vec<String> = (0..40).map(|n| format!("c{n}=")).collect();
    for id in &ids {
        connections.connect(&connection(id), LIMITS, now()).await.unwrap();
    }
    for shard in 0..4 {
        table.leases().acquire(shard, "p", now(), MAX_CONNECTION_AGE).await.unwrap();
        let found = connections.connections(shard).await.unwrap();
        let expected = ids.iter().filter(|id| connections.shard_of(id) == shard).count();
        assert!(expected > 0, "the hash spreads");
        assert_eq!(found.len(), expected);
        assert_eq!(table.entered(shard).await.len(), expected);
    }
}

#[tokio::test]
async fn a_connections_shard_never_changes() {
    let connections = TestTable::create().await.connections(4);
    assert_eq!(["L0SM9cOFvHcCIhw=", "a", "b", ""].map(|id| connections.shard_of(id)), [1, 2, 2, 2]);
}

#[tokio::test]
async fn more_connections_than_a_page_holds_are_all_found() {
    let connections = TestTable::create().await.connections(1);
    // Some 20 KB each, so that a page ends after fifty.
    let mut principal = ada();
    principal.permissions = vec!["p".repeat(20 * 1024)];
    for n in 0..60 {
        let connection = Connection { principal: principal.clone(), ..connection(&format!("c{n}")) };
        connections.connect(&connection, LIMITS, now()).await.unwrap();
    }
    assert_eq!(connections.connections(0).await.unwrap().len(), 60);
}

#[tokio::test]
async fn disconnecting_twice_is_no_error() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for _ in 0..2 {
        connections.disconnect("a").await.unwrap();
        assert!(connections.connections(0).await.unwrap().is_empty());
    }
    connections.disconnect("never-there").await.unwrap();
}

#[tokio::test]
async fn connecting_again_leaves_a_connection_as_it_has_become() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.end("a", CloseReason::Revoked, now()).await.unwrap();
    connect(&connections, "a", now()).await.unwrap();
    let found = connections.connections(0).await.unwrap();
    assert_eq!(found, [Connection { ending: Some(CloseReason::Revoked), ..connection("a") }]);
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_does_not_silence_the_others() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for id in ["a", "b"] {
        connect(&connections, id, now()).await.unwrap();
    }
    table.set("shard#0", "a", "is_default", s("perhaps")).await;
    assert_eq!(connections.connections(0).await.unwrap(), [connection("b")]);
    assert!(matches!(connections.get("a").await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(connections.message("a", now()).await, Err(StoreError::Corrupt { .. })));
}

#[tokio::test]
async fn a_user_is_found_by_their_connections_and_by_nobody_elses() {
    let connections = TestTable::create().await.connections(4);
    let others = [user("ada"), user("ada#"), of_tenant("other", ada())];
    for (n, principal) in [ada(), ada(), ada()].into_iter().chain(others).enumerate() {
        let connection = Connection { principal, ..connection(&format!("c{n}")) };
        connections.connect(&connection, LIMITS, now()).await.unwrap();
    }
    let found =
        async || -> BTreeSet<String> { connections.of_user(&acme(), "ada#1").await.unwrap().into_iter().collect() };
    assert_eq!(found().await, BTreeSet::from(["c0", "c1", "c2"].map(str::to_owned)));
    connections.disconnect("c1").await.unwrap();
    assert_eq!(found().await, BTreeSet::from(["c0", "c2"].map(str::to_owned)));
    assert!(connections.of_user(&acme(), "nobody").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_tenants_connections_are_found_in_all_shards_and_no_other_tenants() {
    let connections = TestTable::create().await.connections(4);
    for n in 0..20 {
        let tenant = if n % 2 == 0 { "acme" } else { "acme2" };
        let principal = of_tenant(tenant, user(&format!("u{}", n % 3)));
        let connection = Connection { principal, ..connection(&format!("c{n}")) };
        connections.connect(&connection, LIMITS, now()).await.unwrap();
    }
    let found: BTreeSet<String> =
        connections.of_tenant(&acme()).await.unwrap().into_iter().map(|connection| connection.id).collect();
    assert_eq!(found, (0..20).step_by(2).map(|n| format!("c{n}")).collect());
    assert!(connections.of_tenant(&of_tenant("acm", ada()).tenant).await.unwrap().is_empty());
}
