//! A batch into real tables: what the other functions find there.

use base64::{Engine, engine::general_purpose::STANDARD};
use ingest::{batch::Reading, intake::Intake};
use projections::{Kind, TenantId, Timestamp};
use serde_json::{Value, json};
use store::Consistency;
use testing::TestTable;

fn record(offset: i64, value: &str) -> Value {
    json!({
        "topic": "campaign.events.v1", "partition": 2, "offset": offset, "timestamp": 1_768_473_000_000_i64,
        "timestampType": "CREATE_TIME", "value": STANDARD.encode(value), "headers": [],
    })
}

#[tokio::test]
async fn a_batch_leaves_a_slice_a_listing_a_note_and_what_is_bad_of_it() {
    let channels = TestTable::create().await.channels(None);
    let acme = TenantId::parse("acme").unwrap();
    let intake = Intake::new(channels.clone(), Reading { default_tenant: Some(acme.clone()), epoch: 3 });
    let now = Timestamp::from_millis(1_768_473_000_500);
    let batch = json!({ "records": { "campaign.events.v1-2": [
        record(7, r#"{"eventType":"campaign_status_changed","campaignId":"c","status":"paused","name":"Spring"}"#),
        record(8, r#"{"eventType":"call_queued","campaignId":"c"}"#),
        record(9, "+15550100"),
    ] } });
    for _ in 0..2 {
        intake.take(&batch.to_string(), now, || now).await.unwrap();
    }

    let channel = "campaign:c".parse().unwrap();
    let slices = channels.slices(&acme, &channel, Consistency::Strong, now).await.unwrap();
    assert_eq!(slices.len(), 1);
    let (id, slice) = &slices[0];
    assert_eq!((id.name().as_str(), slice.watermark()), ("3/campaign.events.v1/2", Some(8)));

    let listed = channels.directory(&acme, Kind::Campaign, Consistency::Eventual, now).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_deref(), listed[0].active), (Some("Spring"), true));

    let bad = channels.quarantined("campaign.events.v1", 2, 10).await.unwrap().records;
    assert_eq!(bad.len(), 1);
    assert_eq!((bad[0].offset, bad[0].value.as_slice()), (9, b"+15550100".as_slice()));
    assert!(!bad[0].reason.contains("555"));

    let noted = channels.last_records(&acme).await.unwrap();
    assert_eq!(noted["campaign.events.v1"].as_millis(), 1_768_473_000_000);
}
