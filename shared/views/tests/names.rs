//! What a reader shows of people, from a real table.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use projections::{ChannelId, Record, TenantId, Timestamp, topic};
use store::{Committer, Entry, SliceId, SliceKey};
use testing::TestTable;
use views::{Reader, Rendered};

const NOW: Timestamp = Timestamp::EPOCH;

fn acme() -> TenantId {
    TenantId::parse("acme").unwrap()
}

/// A reader of a table in which somebody has checked in to `event:e`.
async fn reader() -> Reader {
    let table = TestTable::create().await;
    let channels = table.channels(None);
    let value = br#"{"type":"CHECK_IN_PROCESSED","eventId":"e","checkInData":{"id":"u1","name":"Ada Lovelace"}}"#;
    let topic = "platform.analytics.check-in.v1";
    let record = Record { topic, timestamp: NOW, default_tenant: Some(&acme()), value };
    let routed = topic::decode(&record).unwrap().remove(0);
    let slice = SliceId { epoch: 1, topic: topic.to_owned(), partition: 0 };
    let key = SliceKey { tenant: acme(), channel: routed.channel, slice };
    let entry = Entry { offset: 0, at: routed.at, event: routed.event };
    Committer::new(channels.clone()).commit(&key, &[entry], NOW).await.unwrap();
    Reader::new(channels, table.leases(), 1)
}

async fn view(reader: &Reader, channel: &str, sees_names: bool) -> Rendered {
    let channel: ChannelId = channel.parse().unwrap();
    reader.view(&acme(), &channel, sees_names, NOW).await.unwrap()
}

#[tokio::test]
async fn names_are_for_who_may_see_them_and_the_view_is_told_apart_by_them() {
    let reader = reader().await;
    let (full, concealed) = (view(&reader, "event:e", true).await, view(&reader, "event:e", false).await);
    assert!(full.data.get().contains(r#"[{"id":"u1","name":"Ada Lovelace"}]"#), "{}", full.data);
    assert!(concealed.data.get().contains(r#"[{"id":"u1","name":"A. L."}]"#), "{}", concealed.data);
    assert_ne!(full.fingerprint, concealed.fingerprint, "who may see names since has not got them");
    assert_eq!(full.cursor.to_string(), concealed.cursor.to_string());
}

#[tokio::test]
async fn views_without_people_are_the_same_for_everybody() {
    let reader = reader().await;
    for channel in ["campaign:c", "campaigns", "system"] {
        let (full, concealed) = (view(&reader, channel, true).await, view(&reader, channel, false).await);
        assert_eq!(full.data.get(), concealed.data.get(), "{channel}");
    }
}
