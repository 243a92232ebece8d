//! What competes for the end of a connection: renewal, a mark, expiry.

use futures_util::future::{join, join_all};
use projections::ChannelId;
use store::{CloseReason, Connection, RenewError, StoreError};
use testing::TestTable;

use crate::{
    ada, after, channel,
    connections::{LIMITS, connect, connection},
    now, of_tenant, user,
};

/// Ada with a token that expires in an hour.
fn renewed() -> auth::Principal {
    auth::Principal {
        issued_at: after(600),
        expires_at: after(3_600),
        permissions: vec![auth::READ_NAMES.into()],
        ..ada()
    }
}

#[tokio::test]
async fn a_renewed_connection_goes_on_with_the_new_token_and_without_the_dropped_channels() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for name in ["campaign:1", "campaign:2", "event:1"] {
        connections.subscribe("a", &channel(name), "f", store::Terms { max: 9, batch: false }).await.unwrap();
    }
    let dropped = ["event:1", "campaign:2", "campaign:never-watched"].map(channel);
    connections.renew("a", &renewed(), &dropped, after(600)).await.unwrap();
    let expected = Connection {
        principal: renewed(),
        channels: [(channel("campaign:1"), "f".to_owned())].into(),
        is_default: false,
        batch: false,
        ..connection("a")
    };
    assert_eq!(connections.get("a").await.unwrap(), Some(expected.clone()));
    connections.renew("a", &renewed(), &[], after(601)).await.unwrap();
    assert_eq!(connections.get("a").await.unwrap(), Some(expected));
}

#[tokio::test]
async fn more_channels_can_be_dropped_than_one_expression_holds() {
    let connections = TestTable::create().await.connections(1);
    let all: Vec<ChannelId> = (0..500).map(|n| channel(&format!("event:{n}"))).collect();
    let watching = all.iter().cloned().map(|channel| (channel, String::new())).collect();
    connections.connect(&Connection { channels: watching, ..connection("a") }, LIMITS, now()).await.unwrap();
    connections.renew("a", &renewed(), &all[1..], now()).await.unwrap();
    let left = connections.get("a").await.unwrap().unwrap();
    assert_eq!(left.channels.into_keys().collect::<Vec<_>>(), all[..1]);
    assert_eq!(left.principal, renewed());
}

#[tokio::test]
async fn nobody_renews_a_connection_with_a_token_of_somebody_else() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    for somebody in [user("ada"), of_tenant("other", ada())] {
        let refused = connections.renew("a", &somebody, &[channel("system")], now()).await;
        assert!(matches!(refused, Err(RenewError::Store(StoreError::Refused(_)))), "{refused:?}");
    }
    assert_eq!(connections.get("a").await.unwrap(), Some(connection("a")));
}

#[tokio::test]
async fn a_connection_that_is_gone_is_neither_renewed_nor_ended() {
    let table = TestTable::create().await;
    let connections = table.connections(1);
    assert_eq!(connections.renew("a", &renewed(), &[channel("system")], now()).await, Err(RenewError::Gone));
    assert!(!connections.end("a", CloseReason::Revoked, now()).await.unwrap());
    assert_eq!(connections.expire("a", after(9_999)).await.unwrap(), None);
    assert_eq!(table.item("shard#0", "a").await, None);
    assert!(table.entered(0).await.is_empty());
}

#[tokio::test]
async fn the_first_reason_to_end_stays() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    assert!(connections.end("a", CloseReason::RateLimited, now()).await.unwrap());
    assert!(connections.end("a", CloseReason::Revoked, now()).await.unwrap(), "it is there and it is ending");
    assert_eq!(connections.expire("a", after(9_999)).await.unwrap(), Some(CloseReason::RateLimited));
    assert_eq!(connections.get("a").await.unwrap().unwrap().ending, Some(CloseReason::RateLimited));
    assert_eq!(connections.connections(0).await.unwrap()[0].ending, Some(CloseReason::RateLimited));
}

#[tokio::test]
async fn a_connection_expires_with_its_token_and_no_millisecond_earlier() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    let a_millisecond_before = projections::Timestamp::from_millis(after(900).as_millis() - 1);
    assert_eq!(connections.expire("a", a_millisecond_before).await.unwrap(), None);
    assert_eq!(connections.get("a").await.unwrap().unwrap().ending, None);
    for _ in 0..2 {
        assert_eq!(connections.expire("a", after(900)).await.unwrap(), Some(CloseReason::TokenExpired));
    }
    assert_eq!(connections.get("a").await.unwrap().unwrap().ending, Some(CloseReason::TokenExpired));
}

#[tokio::test]
async fn a_connection_that_was_renewed_in_time_does_not_expire() {
    let connections = TestTable::create().await.connections(1);
    connect(&connections, "a", now()).await.unwrap();
    connections.renew("a", &renewed(), &[], after(899)).await.unwrap();
    assert_eq!(connections.expire("a", after(900)).await.unwrap(), None);
    assert_eq!(connections.expire("a", after(3_600)).await.unwrap(), Some(CloseReason::TokenExpired));
}

#[tokio::test]
async fn it_is_too_late_to_renew_what_is_ending_or_has_expired() {
    let connections = TestTable::create().await.connections(1);
    for id in ["expired", "marked", "revoked"] {
        connect(&connections, id, now()).await.unwrap();
    }
    connections.expire("marked", after(900)).await.unwrap();
    connections.end("revoked", CloseReason::Revoked, now()).await.unwrap();
    let cases = [
        ("expired", CloseReason::TokenExpired),
        ("marked", CloseReason::TokenExpired),
        ("revoked", CloseReason::Revoked),
    ];
    for (id, ending) in cases {
        let late = connections.renew(id, &renewed(), &[channel("system")], after(900)).await;
        assert_eq!(late, Err(RenewError::Closing(ending)), "{id}");
        let unchanged = connections.get(id).await.unwrap().unwrap();
        assert_eq!((unchanged.principal, unchanged.channels.len()), (ada(), 2), "{id}");
    }
}

#[tokio::test]
async fn of_a_renewal_and_an_expiry_at_once_one_wins_and_both_know() {
    let connections = TestTable::create().await.connections(1);
    let ids: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    for id in &ids {
        connect(&connections, id, now()).await.unwrap();
    }
    // The client's function and the publisher do not agree on the time: for the one it is early enough.
    let race = async |id: &String| {
        let new = renewed();
        let renewal = connections.renew(id, &new, &[], after(899));
        join(renewal, connections.expire(id, after(900))).await
    };
    for (id, raced) in ids.iter().zip(join_all(ids.iter().map(race)).await) {
        let stored = connections.get(id).await.unwrap().unwrap();
        match raced {
            (Ok(()), Ok(None)) => assert_eq!((stored.principal, stored.ending), (renewed(), None)),
            (Err(RenewError::Closing(CloseReason::TokenExpired)), Ok(Some(CloseReason::TokenExpired))) => {
                assert_eq!((stored.principal, stored.ending), (ada(), Some(CloseReason::TokenExpired)));
            }
            raced => panic!("{raced:?}"),
        }
    }
}

#[tokio::test]
async fn a_revocation_is_never_lost_to_a_renewal_at_the_same_time() {
    let connections = TestTable::create().await.connections(1);
    let ids: Vec<String> = (0..30).map(|n| format!("c{n}")).collect();
    for id in &ids {
        connect(&connections, id, now()).await.unwrap();
    }
    let race = async |id: &String| {
        let new = renewed();
        let renewal = connections.renew(id, &new, &[], now());
        join(renewal, connections.end(id, CloseReason::Revoked, now())).await
    };
    for (id, (renewal, ended)) in ids.iter().zip(join_all(ids.iter().map(race)).await) {
        assert_eq!(ended, Ok(true));
        assert!(matches!(renewal, Ok(()) | Err(RenewError::Closing(CloseReason::Revoked))), "{renewal:?}");
        assert_eq!(connections.get(id).await.unwrap().unwrap().ending, Some(CloseReason::Revoked));
    }
}
