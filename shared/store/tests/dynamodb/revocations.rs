use auth::Principal;
use futures_util::future::join_all;
use projections::Timestamp;
use store::{Revocations, StoreError};
use testing::{TestTable, s};

use crate::{acme, ada, after, now, of_tenant, user};

fn issued(at: Timestamp) -> Principal {
    Principal { issued_at: at, ..ada() }
}

async fn is_revoked(revocations: &Revocations, principal: &Principal) -> bool {
    revocations.is_revoked(principal).await.unwrap()
}

#[tokio::test]
async fn nothing_is_revoked_until_somebody_does() {
    let revocations = TestTable::create().await.revocations();
    assert!(!is_revoked(&revocations, &ada()).await);
    assert!(!is_revoked(&revocations, &issued(Timestamp::EPOCH)).await);
}

#[tokio::test]
async fn a_revoked_user_is_let_in_with_a_later_token_alone() {
    let revocations = TestTable::create().await.revocations();
    revocations.revoke(&acme(), Some("ada#1"), after(60)).await.unwrap();
    let millis = |millis| Timestamp::from_millis(after(60).as_millis() + millis);
    for (issued_at, revoked) in
        [(Timestamp::EPOCH, true), (after(59), true), (millis(-1), true), (millis(0), true), (millis(1), false)]
    {
        assert_eq!(is_revoked(&revocations, &issued(issued_at)).await, revoked, "{issued_at}");
    }
}

#[tokio::test]
async fn a_token_of_whole_seconds_is_revoked_with_the_second_that_it_was_issued_in() {
    let revocations = TestTable::create().await.revocations();
    let within = Timestamp::from_millis(after(60).as_millis() + 500);
    revocations.revoke(&acme(), Some("ada#1"), within).await.unwrap();
    assert!(is_revoked(&revocations, &issued(after(60))).await);
    assert!(!is_revoked(&revocations, &issued(after(61))).await);
}

#[tokio::test]
async fn a_user_is_revoked_alone() {
    let revocations = TestTable::create().await.revocations();
    revocations.revoke(&acme(), Some("ada#1"), after(60)).await.unwrap();
    for other in [user("ada"), user("#everyone"), user("ada#1 "), of_tenant("other", ada())] {
        assert!(!is_revoked(&revocations, &other).await, "{}", other.user);
    }
    assert!(is_revoked(&revocations, &ada()).await);
}

#[tokio::test]
async fn revoking_everyone_is_revoking_the_whole_tenant_and_no_other() {
    let revocations = TestTable::create().await.revocations();
    revocations.revoke(&acme(), None, after(60)).await.unwrap();
    for somebody in [ada(), user("bob"), user("#everyone")] {
        assert!(is_revoked(&revocations, &somebody).await);
    }
    assert!(!is_revoked(&revocations, &issued(after(61))).await);
    assert!(!is_revoked(&revocations, &of_tenant("acme2", ada())).await);
}

#[tokio::test]
async fn who_takes_the_name_of_everyone_is_revoked_alone() {
    let revocations = TestTable::create().await.revocations();
    revocations.revoke(&acme(), Some("#everyone"), after(60)).await.unwrap();
    assert!(is_revoked(&revocations, &user("#everyone")).await);
    assert!(!is_revoked(&revocations, &ada()).await);
}

#[tokio::test]
async fn a_revocation_never_moves_back() {
    let revocations = TestTable::create().await.revocations();
    for user in [Some("ada#1"), None] {
        for at in [after(60), after(60), after(30), now()] {
            revocations.revoke(&acme(), user, at).await.unwrap();
            assert!(is_revoked(&revocations, &issued(after(60))).await, "{at}");
        }
    }
    revocations.revoke(&acme(), None, after(90)).await.unwrap();
    assert!(is_revoked(&revocations, &issued(after(90))).await);
}

#[tokio::test]
async fn of_revocations_at_once_the_latest_holds() {
    let revocations = TestTable::create().await.revocations();
    let tenant = acme();
    let all = (0..20).map(|n| revocations.revoke(&tenant, Some("ada#1"), after(n * 7 % 20)));
    assert!(join_all(all).await.into_iter().all(|revoked| revoked.is_ok()));
    assert!(is_revoked(&revocations, &issued(after(19))).await);
    assert!(!is_revoked(&revocations, &issued(after(20))).await);
}

#[tokio::test]
async fn a_revocation_never_expires() {
    let table = TestTable::create().await;
    table.revocations().revoke(&acme(), Some("ada#1"), now()).await.unwrap();
    table.revocations().revoke(&acme(), None, now()).await.unwrap();
    for sk in ["user#ada#1", "#everyone"] {
        assert_eq!(table.ttl("acme#revoked", sk).await, None);
    }
}

#[tokio::test]
async fn a_revocation_that_cannot_be_read_lets_nobody_in_and_the_user_is_not_told() {
    let table = TestTable::create().await;
    let revocations = table.revocations();
    for (user, sk) in [(Some("ada#1"), "user#ada#1"), (None, "#everyone")] {
        revocations.revoke(&acme(), user, now()).await.unwrap();
        table.set("acme#revoked", sk, "before", s("some day")).await;
        let error = revocations.is_revoked(&issued(after(60))).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }));
        assert!(!format!("{error} {error:?}").contains("ada"), "{error}");
    }
}
