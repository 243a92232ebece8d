//! Which campaigns the overview shows, from a real table.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use projections::{ChannelId, Record, TenantId, Timestamp, topic};
use serde_json::Value;
use store::{Channels, Committer, Entry, SliceId, SliceKey};
use testing::TestTable;
use views::Reader;

const TOPIC: &str = "campaign.events.v1";

fn now() -> Timestamp {
    "2026-01-15T10:30:00Z".parse().unwrap()
}

/// Takes in records of one campaign, as ingest does.
async fn take(channels: &Channels, campaign: &str, records: &[&str]) {
    let tenant = TenantId::parse("acme").unwrap();
    let entry = |(offset, fields): (i64, &&str)| {
        let value = format!(r#"{{"campaignId":"{campaign}","callId":"k",{fields}}}"#);
        let record = Record { topic: TOPIC, timestamp: now(), default_tenant: Some(&tenant), value: value.as_bytes() };
        let routed = topic::decode(&record).unwrap().remove(0);
        Entry { offset, at: routed.at, event: routed.event }
    };
    let entries: Vec<Entry> = (0..).zip(records).map(entry).collect();
    let channel: ChannelId = format!("campaign:{campaign}").parse().unwrap();
    let slice = SliceId { epoch: 1, topic: TOPIC.to_owned(), partition: 0 };
    let key = SliceKey { tenant: tenant.clone(), channel: channel.clone(), slice };
    let committed = Committer::new(channels.clone()).commit(&key, &entries, now()).await.unwrap();
    channels.describe(&tenant, &channel, committed.listing.as_ref(), now(), now()).await.unwrap();
}

async fn view(reader: &Reader, channel: &str) -> Value {
    let tenant = TenantId::parse("acme").unwrap();
    let rendered = reader.view(&tenant, &channel.parse().unwrap(), true, now()).await.unwrap();
    serde_json::from_str(rendered.data.get()).unwrap()
}

#[tokio::test]
async fn active_and_paused_campaigns_are_shown_and_those_whose_calls_go_on_and_their_calls_are_in_the_totals() {
    const CALL: &str = r#""eventType":"call_initiated""#;
    const PAUSED: &str = r#""eventType":"campaign_status_changed","status":"paused""#;
    const COMPLETED: &str = r#""eventType":"campaign_status_changed","status":"completed""#;
    let table = TestTable::create().await;
    let channels = table.channels(None);
    take(&channels, "active", &[CALL]).await;
    take(&channels, "over", &[CALL, COMPLETED, r#""eventType":"call_ended""#]).await;
    take(&channels, "paused", &[CALL, CALL, PAUSED]).await;
    take(&channels, "waning", &[CALL, COMPLETED]).await;
    let reader = Reader::new(channels, table.leases(), 1);
    let overview = view(&reader, "campaigns").await;
    let ids: Vec<_> = overview.as_array().unwrap().iter().map(|campaign| campaign["campaignId"].clone()).collect();
    assert_eq!(ids, ["active", "paused", "waning"]);
    let health = view(&reader, "system").await;
    assert_eq!((&health["activeCalls"], &health["activeCampaigns"]), (&4.into(), &1.into()));
}
