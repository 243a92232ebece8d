use std::collections::BTreeMap;

use futures_util::future::join_all;
use store::{Quarantined, Replay};
use testing::TestTable;

use crate::now;

fn bad(offset: i64, value: &[u8]) -> Quarantined {
    Quarantined::new("campaign.events.v1", 2, offset, "field `eventType` has an unknown value", value, now())
}

#[tokio::test]
async fn a_record_is_claimed_by_one_and_a_second_run_sees_what_was_sent() {
    let channels = TestTable::create().await.channels(None);
    let record = bad(7, b"x");
    let claims = join_all((0..4).map(|_| channels.claim_replay(&record, now()))).await;
    assert_eq!(claims.into_iter().filter(|claim| *claim == Ok(true)).count(), 1);
    let replays = async || channels.replays("campaign.events.v1", 2).await.unwrap();
    assert_eq!(replays().await, BTreeMap::from([(record.id(), Replay::Claimed)]));
    channels.note_replay(&record, now()).await.unwrap();
    assert_eq!(replays().await, BTreeMap::from([(record.id(), Replay::Sent)]));
    assert_eq!(channels.claim_replay(&record, now()).await, Ok(false));
    assert!(channels.quarantined("campaign.events.v1", 2, 10).await.unwrap().records.is_empty());
}

#[tokio::test]
async fn a_claim_that_is_given_back_can_be_taken_again_and_another_record_at_its_offset_is_another() {
    let channels = TestTable::create().await.channels(None);
    assert_eq!(channels.claim_replay(&bad(7, b"x"), now()).await, Ok(true));
    assert_eq!(channels.claim_replay(&bad(7, b"y"), now()).await, Ok(true));
    channels.release_replay(&bad(7, b"x")).await.unwrap();
    assert_eq!(channels.claim_replay(&bad(7, b"x"), now()).await, Ok(true));
    assert_eq!(channels.claim_replay(&bad(7, b"y"), now()).await, Ok(false));
}
