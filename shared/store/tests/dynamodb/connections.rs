use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
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
    let source_ip = Some("1".repeat(20 * 1024));
    for n in 0..60 {
        let connection = Connection { source_ip: source_ip.clone(), ..connection(&format!("c{n}")) };
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

/// What a value counts in an item, as DynamoDB's documentation has it.
fn size(value: &AttributeValue) -> usize {
    let name_and_value = |(name, value): (&String, &AttributeValue)| name.len() + size(value);
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::L(values) => 3 + values.iter().map(|value| 1 + size(value)).sum::<usize>(),
        AttributeValue::M(values) => 3 + values.iter().map(|entry| 1 + name_and_value(entry)).sum::<usize>(),
        other => panic!("no connection has {other:?}"),
    }
}

#[tokio::test]
async fn of_a_token_full_of_other_services_permissions_a_connection_keeps_its_own_and_fits_a_write_unit() {
    const UUID: &str = "8f14e45f-ceea-467f-a8d1-2d8c1b0c4f5e";
    let table = TestTable::create().await;
    let connections = table.connections(1);
    let foreign = (0..40).map(|n| format!("billing:invoices:{n}:read-write"));
    let permissions: Vec<String> = foreign.chain([auth::READ_LIVE, auth::READ_NAMES].map(str::to_owned)).collect();
    let token = auth::Principal { permissions, ..user(UUID) };
    let opened = Connection {
        principal: token.clone(),
        source_ip: Some("2001:0db8:85a3:0000:0000:8a2e:0370:7334".into()),
        batch: true,
        ..connection("L0SM9cOFvHcCIhw=")
    };
    connections.connect(&opened, LIMITS, now()).await.unwrap();
    for n in 0..5 {
        let watched = channel(&format!("campaign:{UUID}-{n}"));
        let terms = store::Terms { max: 9, batch: true };
        connections.subscribe(&opened.id, &watched, "0123456789abcdef", terms).await.unwrap();
    }
    connections.message(&opened.id, now()).await.unwrap();
    let stored = async || AttributeValue::M(table.item("shard#0", &opened.id).await.unwrap());
    let first = size(&stored().await);
    connections.renew(&opened.id, &token, &[], now()).await.unwrap();
    connections.end(&opened.id, CloseReason::TokenExpired, now()).await.unwrap();
    let last = size(&stored().await);
    assert!(first <= 1_024 && last <= 1_024, "{first} bytes, and {last} in the end");
    let kept = connections.get(&opened.id).await.unwrap().unwrap().principal;
    assert_eq!(kept.permissions, [auth::READ_LIVE, auth::READ_NAMES]);
    let foreign: usize = token.permissions[..40].iter().map(|permission| 1 + permission.len()).sum();
    assert!(first + foreign > 1_024, "which it would not do with all of them");
}
