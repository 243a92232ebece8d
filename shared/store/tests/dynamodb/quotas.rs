//! How many connections a user and a tenant may have.

use std::num::NonZeroU32;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::{join, join_all};
use projections::Timestamp;
use store::{ConnectError, Connection, Connections, Limits, MAX_CONNECTION_AGE, StoreError};
use testing::{TestTable, s};

use crate::{
    acme, ada, after,
    connections::{self, LIMITS},
    faults::{Fault, Faults},
    now, of_tenant, user,
};

/// How much longer a lost `$disconnect` may count for the tenant than for the user.
pub const BUCKET: u64 = 600;

const FEW_OF_USER: Limits = Limits { per_user: 3, ..LIMITS };
const FEW_OF_TENANT: Limits = Limits { per_tenant: 3, ..LIMITS };

/// The connection of this id, of a user of its own.
pub fn connection(id: &str, at: Timestamp) -> Connection {
    Connection { principal: user(id), connected_at: at, ..connections::connection(id) }
}

/// A connection of one user.
async fn by_ada(connections: &Connections, id: &str, at: Timestamp) -> Result<(), ConnectError> {
    connections.connect(&Connection { principal: ada(), ..connection(id, at) }, FEW_OF_USER, at).await
}

/// A connection of one tenant.
async fn by_somebody(connections: &Connections, id: &str, at: Timestamp) -> Result<(), ConnectError> {
    connections.connect(&connection(id, at), FEW_OF_TENANT, at).await
}

/// A tenant's total, which has to be the sum of its buckets.
pub async fn total(table: &TestTable, tenant: &str) -> u64 {
    let Some(item) = table.item(&format!("tenant#{tenant}"), "#connections").await else { return 0 };
    let number = |value: &AttributeValue| -> u64 { value.as_n().unwrap().parse().unwrap() };
    let total = number(&item["total"]);
    assert_eq!(total, item["buckets"].as_m().unwrap().values().map(number).sum::<u64>());
    total
}

#[tokio::test]
async fn a_user_has_as_many_connections_as_allowed() {
    let connections = TestTable::create().await.connections(1);
    for id in ["a", "b", "c"] {
        by_ada(&connections, id, now()).await.unwrap();
    }
    assert_eq!(by_ada(&connections, "d", now()).await, Err(ConnectError::TooManyOfUser));
    assert_eq!(connections.get("d").await.unwrap(), None);
    for other in [user("bob"), of_tenant("other", ada())] {
        let connection = Connection { principal: other.clone(), ..connection(&other.pseudonym(), now()) };
        connections.connect(&connection, FEW_OF_USER, now()).await.unwrap();
    }
    connections.disconnect("b").await.unwrap();
    by_ada(&connections, "d", now()).await.unwrap();
    assert_eq!(by_ada(&connections, "f", now()).await, Err(ConnectError::TooManyOfUser));
}

#[tokio::test]
async fn a_tenant_has_as_many_connections_as_allowed() {
    let table = TestTable::create().await;
    let connections = table.connections(4);
    for id in ["a", "b", "c"] {
        by_somebody(&connections, id, now()).await.unwrap();
    }
    assert_eq!(by_somebody(&connections, "d", now()).await, Err(ConnectError::TooManyOfTenant));
    assert_eq!(connections.get("d").await.unwrap(), None);
    assert!(connections.of_user(&acme(), "d").await.unwrap().is_empty(), "the user's place is free again");
    let other = Connection { principal: of_tenant("acme2", ada()), ..connection("e", now()) };
    connections.connect(&other, FEW_OF_TENANT, now()).await.unwrap();

    connections.disconnect("b").await.unwrap();
    by_somebody(&connections, "d", now()).await.unwrap();
    assert_eq!(by_somebody(&connections, "f", now()).await, Err(ConnectError::TooManyOfTenant));
    assert_eq!((total(&table, "acme").await, total(&table, "acme2").await), (3, 1));
}

#[tokio::test]
async fn connections_at_once_never_exceed_the_users_limit_and_reach_it() {
    let connections = TestTable::create().await.connections(1);
    let ids: Vec<String> = (0..10).map(|n| format!("c{n}")).collect();
    let results = join_all(ids.iter().map(|id| by_ada(&connections, id, now()))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 3);
    assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(ConnectError::TooManyOfUser))), "{results:?}");
}

#[tokio::test]
async fn connections_at_once_never_exceed_the_tenants_limit_and_reach_it() {
    let table = TestTable::create().await;
    let connections = table.connections(4);
    for round in 1..=3 {
        let ids: Vec<String> = (0..20).map(|n| format!("c{round}-{n}")).collect();
        let limits = Limits { per_tenant: 7 * round, ..LIMITS };
        let comers: Vec<Connection> = ids.iter().map(|id| connection(id, now())).collect();
        let results = join_all(comers.iter().map(|connection| connections.connect(connection, limits, now()))).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 7);
        assert!(results.iter().all(|result| matches!(result, Ok(()) | Err(ConnectError::TooManyOfTenant))));
        assert_eq!(total(&table, "acme").await, 7 * round);
    }
}

#[tokio::test]
async fn connecting_again_as_a_retry_does_takes_no_second_place_of_the_user() {
    let connections = TestTable::create().await.connections(1);
    for id in ["a", "b", "c", "c", "a"] {
        by_ada(&connections, id, now()).await.unwrap();
    }
    assert_eq!(connections.connections(0).await.unwrap().len(), 3);
}

#[tokio::test]
async fn nobody_is_let_in_where_no_connection_is_allowed() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    let none = |per_user, per_tenant| Limits { per_user, per_tenant };
    let connect = async |limits| connections.connect(&connection("a", now()), limits, now()).await;
    assert_eq!(connect(none(0, 9)).await, Err(ConnectError::TooManyOfUser));
    assert_eq!(connect(none(9, 0)).await, Err(ConnectError::TooManyOfTenant));
    assert_eq!(connections.get("a").await.unwrap(), None);
    assert!(connections.of_user(&acme(), "a").await.unwrap().is_empty());
    assert_eq!(total(&table, "acme").await, 0);
}

#[tokio::test]
async fn a_lost_disconnect_does_not_lock_the_user_out() {
    let connections = TestTable::create().await.connections(1);
    for (id, at) in [("a", now()), ("b", after(10)), ("c", after(20))] {
        by_ada(&connections, id, at).await.unwrap();
    }
    let age = MAX_CONNECTION_AGE.as_secs();
    assert_eq!(by_ada(&connections, "d", after(age - 1)).await, Err(ConnectError::TooManyOfUser));
    by_ada(&connections, "d", after(age + 10)).await.unwrap();
    by_ada(&connections, "e", after(age + 10)).await.unwrap();
    assert_eq!(
        by_ada(&connections, "f", after(age + 10)).await,
        Err(ConnectError::TooManyOfUser),
        "c may be open still"
    );
}

#[tokio::test]
async fn a_lost_disconnect_does_not_lock_the_tenant_out() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for (id, at) in [("a", now()), ("b", after(BUCKET - 1)), ("c", after(BUCKET))] {
        by_somebody(&connections, id, at).await.unwrap();
    }
    let age = MAX_CONNECTION_AGE.as_secs();
    let late = after(BUCKET + age - 1);
    assert_eq!(by_somebody(&connections, "d", late).await, Err(ConnectError::TooManyOfTenant), "b may be open still");
    by_somebody(&connections, "d", after(BUCKET + age)).await.unwrap();
    by_somebody(&connections, "e", after(BUCKET + age)).await.unwrap();
    let full = by_somebody(&connections, "f", after(BUCKET + age)).await;
    assert_eq!(full, Err(ConnectError::TooManyOfTenant), "c may be open still");

    // A `$disconnect` that comes later than it can frees nothing that is another's by now.
    connections.disconnect("a").await.unwrap();
    assert_eq!(total(&table, "acme").await, 3);
}

#[tokio::test]
async fn what_is_over_is_dropped_also_where_the_limit_is_far() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for n in 0..40 {
        let at = after(n * BUCKET);
        connections.connect(&connection(&format!("c{n}"), at), LIMITS, at).await.unwrap();
    }
    let in_use = MAX_CONNECTION_AGE.as_secs() / BUCKET + 1;
    assert_eq!(total(&table, "acme").await, in_use);
    let item = table.item("tenant#acme", "#connections").await.unwrap();
    assert_eq!(item["buckets"].as_m().unwrap().len() as u64, in_use);
    let last = after(39 * BUCKET + BUCKET + MAX_CONNECTION_AGE.as_secs());
    assert!(item["ttl"].as_n().unwrap().parse::<i64>().unwrap() >= last.as_seconds());
}

#[tokio::test]
async fn disconnecting_twice_frees_one_place() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for id in ["a", "b", "c"] {
        by_somebody(&connections, id, now()).await.unwrap();
    }
    for _ in 0..2 {
        connections.disconnect("a").await.unwrap();
        assert_eq!(total(&table, "acme").await, 2);
    }
    // At the same time, as when a client leaves while the publisher finds it gone.
    let both = join(connections.disconnect("b"), connections.disconnect("b")).await;
    assert_eq!(both, (Ok(()), Ok(())));
    assert_eq!(total(&table, "acme").await, 1);
}

#[tokio::test]
async fn a_connection_that_could_not_enter_leaves_no_place_taken() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    // No item can hold this, so that the write after the places' fails.
    let mut large = connection("a", now());
    large.source_ip = Some("1".repeat(500 * 1024));
    let refused = connections.connect(&large, LIMITS, now()).await;
    assert!(matches!(refused, Err(ConnectError::Store(StoreError::Refused(_)))));
    assert!(connections.of_user(&acme(), "a").await.unwrap().is_empty());
    assert_eq!(total(&table, "acme").await, 0);
}

#[tokio::test]
async fn a_connection_that_cannot_be_read_is_forgotten_and_frees_its_places() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    for id in ["a", "b"] {
        by_somebody(&connections, id, now()).await.unwrap();
    }
    for attribute in ["channels", "is_default", "ending"] {
        table.set("shard#0", "a", attribute, s("no such thing")).await;
    }
    connections.disconnect("a").await.unwrap();
    assert_eq!(table.item("shard#0", "a").await, None);
    assert!(connections.of_user(&acme(), "a").await.unwrap().is_empty());
    assert_eq!(total(&table, "acme").await, 1);
}

#[tokio::test]
async fn a_connection_that_is_nobodys_any_more_is_forgotten_too() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    by_somebody(&connections, "a", now()).await.unwrap();
    table.set("shard#0", "a", "principal", s("ada")).await;
    connections.disconnect("a").await.unwrap();
    assert_eq!(table.item("shard#0", "a").await, None);
    assert_eq!(table.entered(0).await, ["a", "a"]);
    assert_eq!(total(&table, "acme").await, 1, "until its bucket is dropped");
}

/// A table, and connections whose requests fail as they are told to.
pub async fn faulty() -> (TestTable, Connections, Faults) {
    let (table, faults) = (TestTable::create().await, Faults::default());
    let client = faults.on(&table.client);
    let connections = Connections::new(client, table.name.clone(), NonZeroU32::MIN, now);
    (table, connections, faults)
}

#[tokio::test]
async fn freeing_a_tenants_place_is_tried_again_when_it_was_throttled_and_never_when_nobody_knows() {
    let cases: [(&[Fault], bool, u64); 4] = [
        (&[], true, 2),
        (&[Fault::Throttled; 2], true, 2),
        (&[Fault::Throttled; 3], false, 3),
        (&[Fault::Lost], false, 2),
    ];
    for (at_last, is_freed, expected) in cases {
        let (table, connections, faults) = faulty().await;
        for id in ["a", "b", "c"] {
            by_somebody(&connections, id, now()).await.unwrap();
        }
        // Read the item, free the user's place, delete the item; then the tenant's.
        faults.set(&[&[Fault::None; 3], at_last].concat());
        let disconnected = connections.disconnect("a").await;
        assert_eq!(disconnected.is_ok(), is_freed, "{at_last:?}: {disconnected:?}");
        assert_eq!(total(&table, "acme").await, expected, "{at_last:?}");
        assert_eq!(table.entered(0).await, ["a", "a", "b", "c"], "the publisher learns of it all the same");
    }
}

#[tokio::test]
async fn a_lost_answer_lets_a_place_count_twice_at_most_until_its_bucket_is_dropped() {
    let (table, connections, faults) = faulty().await;
    by_somebody(&connections, "a", now()).await.unwrap();
    // The user's place is there already, so taking it is one request.
    connections.disconnect("a").await.unwrap();
    faults.set(&[Fault::None, Fault::Lost]);
    by_somebody(&connections, "a", now()).await.unwrap();
    assert_eq!(total(&table, "acme").await, 2);
    let later = after(BUCKET + MAX_CONNECTION_AGE.as_secs());
    by_somebody(&connections, "b", later).await.unwrap();
    assert_eq!(total(&table, "acme").await, 1);
}
