//! What a journal tells of is shown at once, and what none tells of within a minute.

use std::num::NonZeroU32;

use super::{metrics::racing, *};

impl Stage {
    /// The connections as somebody stores them whose entries in the journal nobody finds: they are of 1970.
    fn untold(&self) -> Connections {
        let (client, name) = (self.table.client.clone(), self.table.name.clone());
        Connections::new(client, name, NonZeroU32::MIN, || Timestamp::EPOCH)
    }

    /// A publisher whose minutes last three seconds.
    fn racing_publisher(&self) -> LeaseTerm<Notebook> {
        let mut publisher = self.publisher("first", false);
        publisher.services.clock = racing;
        publisher.deadline = racing().plus(Duration::from_mins(20));
        publisher
    }
}

#[tokio::test]
async fn the_first_campaign_of_a_tenant_is_shown_to_who_watches_all_as_soon_as_the_journal_tells_of_it() {
    let campaigns = BTreeMap::from([(ChannelId::campaigns(), String::new())]);
    let mut stage = Stage::set_for(&Connection { channels: campaigns, ..connection() }).await;
    let mut publisher = stage.publisher("first", false);
    publisher.services.overview_interval = Duration::from_millis(50);
    let serving = tokio::spawn(publisher.serve());
    // It has looked at the directory, and found nothing there.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let moved = Moved { listing: ListingChange::Listing, ..stage.count_call().await };
    let now = runtime::clock::now();
    stage.channels.describe(&moved.tenant, &moved.channel, None, now, now).await.unwrap();
    stage.channels.journal(vec![moved], Some(now), now).await.unwrap();
    stage.until_last_answered_is(1).await;
    serving.abort();
}

#[tokio::test]
async fn a_number_that_no_journal_tells_of_is_shown_within_a_minute() {
    let mut stage = Stage::set().await;
    stage.answer_call().await;
    let serving = tokio::spawn(stage.racing_publisher().serve());
    stage.until_last_answered_is(1).await;
    let began_at = racing();
    stage.count_call().await;
    stage.until_last_answered_is(2).await;
    // A sweep, and what reading and posting take twenty times as fast.
    assert!(racing().since(began_at) < Duration::from_secs(90), "{:?}", racing().since(began_at));
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_no_journal_tells_of_is_found_within_a_minute() {
    let mut stage = Stage::set().await;
    let serving = tokio::spawn(stage.racing_publisher().serve());
    stage.answer_calls_until_posted_by("first").await;
    let second = Connection { id: "socket-2".to_owned(), ..connection() };
    let limits = Limits { per_user: 25, per_tenant: 25 };
    stage.untold().connect(&second, limits, runtime::clock::now()).await.unwrap();
    for _ in 0..1000 {
        if stage.reached.lock().unwrap().contains("socket-2") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(stage.reached.lock().unwrap().contains("socket-2"));
    // Both leave, and no entry says so.
    for id in ["socket", "socket-2"] {
        stage.untold().disconnect(id).await.unwrap();
    }
    assert_eq!(serving.await.unwrap().unwrap(), End::NobodyWatches);
}
