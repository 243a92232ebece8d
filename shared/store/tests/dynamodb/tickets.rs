use auth::Principal;
use futures_util::future::join_all;
use projections::Timestamp;
use store::{StoreError, TICKET_LIFETIME};
use testing::{TestTable, s};

use crate::{ada, after, now, user};

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[tokio::test]
async fn a_ticket_opens_for_whom_it_was_issued_and_once() {
    let tickets = TestTable::create().await.tickets();
    tickets.issue(HASH, &ada(), now()).await.unwrap();
    assert_eq!(tickets.redeem("another", after(1)).await.unwrap(), None);
    assert_eq!(tickets.redeem(HASH, after(1)).await.unwrap(), Some(ada()));
    assert_eq!(tickets.redeem(HASH, after(1)).await.unwrap(), None);
}

#[tokio::test]
async fn of_many_who_redeem_a_ticket_at_once_one_gets_it() {
    let table = TestTable::create().await;
    let tickets = table.tickets();
    for n in 0..5 {
        let hash = format!("{HASH}{n}");
        tickets.issue(&hash, &ada(), now()).await.unwrap();
        let redeemed = join_all((0..20).map(|_| tickets.redeem(&hash, now()))).await;
        let got: Vec<Principal> = redeemed.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(got, [ada()]);
        assert_eq!(table.item(&format!("ticket#{hash}"), "#ticket").await, None);
    }
}

#[tokio::test]
async fn a_ticket_holds_for_thirty_seconds() {
    let table = TestTable::create().await;
    let tickets = table.tickets();
    let last = Timestamp::from_millis(now().plus(TICKET_LIFETIME).as_millis() - 1);
    for (n, (at, holds)) in [(now(), true), (last, true), (after(30), false), (after(3_600), false)].iter().enumerate()
    {
        let hash = n.to_string();
        tickets.issue(&hash, &ada(), now()).await.unwrap();
        assert_eq!(tickets.redeem(&hash, *at).await.unwrap().is_some(), *holds, "{at}");
        assert_eq!(tickets.redeem(&hash, *at).await.unwrap(), None);
    }
    tickets.issue(HASH, &ada(), now()).await.unwrap();
    assert_eq!(table.ttl(&format!("ticket#{HASH}"), "#ticket").await, Some(after(30).as_seconds()));
}

#[tokio::test]
async fn a_ticket_does_not_outlive_the_token_that_it_was_got_with() {
    let tickets = TestTable::create().await.tickets();
    let short = Principal { expires_at: after(10), ..ada() };
    for (hash, at, expected) in [("in-time", after(9), Some(short.clone())), ("late", after(10), None)] {
        tickets.issue(hash, &short, now()).await.unwrap();
        assert_eq!(tickets.redeem(hash, at).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn nobody_is_issued_a_ticket_that_another_one_holds() {
    let tickets = TestTable::create().await.tickets();
    tickets.issue(HASH, &ada(), now()).await.unwrap();
    tickets.issue(HASH, &ada(), now()).await.unwrap();
    assert!(matches!(tickets.issue(HASH, &user("bob"), now()).await, Err(StoreError::Refused(_))));
    assert_eq!(tickets.redeem(HASH, now()).await.unwrap(), Some(ada()));
}

#[tokio::test]
async fn a_ticket_that_cannot_be_read_opens_nothing_and_its_digest_is_not_told() {
    let table = TestTable::create().await;
    table.tickets().issue(HASH, &ada(), now()).await.unwrap();
    table.set(&format!("ticket#{HASH}"), "#ticket", "principal", s("ada#1")).await;
    let error = table.tickets().redeem(HASH, now()).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }));
    let told = format!("{error} {error:?}");
    assert!(!told.contains("9f86") && !told.contains("ada"), "{told}");
}
