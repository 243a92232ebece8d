//! Batches as the event source mapping of `campaign.events.v1` sends them.

use std::fmt::Write as _;

use base64::{Engine, engine::general_purpose::STANDARD};
use projections::Timestamp;

/// As many records as a mapping sends at most.
pub(crate) const EVENTS: usize = 10_000;

/// When the first call of a batch was queued, in milliseconds since the Unix epoch.
pub(crate) const STARTED_AT: i64 = 1_768_473_000_000;

const CAMPAIGNS: usize = 50;
const PARTITIONS: usize = 3;

/// The `nth` batch: whole lives of 2,500 calls, one event a millisecond, in an event of some 4.6 MB.
pub(crate) fn msk_event(nth: usize) -> String {
    let mut partitions: [Vec<String>; PARTITIONS] = Default::default();
    for n in 0..EVENTS {
        let (call, step) = (n / 4, n % 4);
        let campaign = call % CAMPAIGNS;
        let (event_type, end) = match step {
            0 => ("call_queued", ""),
            1 => ("call_initiated", ""),
            2 => ("call_answered", ""),
            _ => ("call_ended", r#""status":"completed","outcome":"converted","duration":41.52,"cost":0.0182,"#),
        };
        let millis = STARTED_AT + i64::try_from(n).unwrap();
        let value = format!(
            r#"{{"eventType":"{event_type}","tenantId":"acme","campaignId":"campaign-{campaign}","callId":"call-{call:012}","contactId":"contact-{call:08}","phoneNumber":"+1555010{:04}",{end}"timestamp":"{}"}}"#,
            call % 10_000,
            Timestamp::from_millis(millis),
        );
        let partition = campaign % PARTITIONS;
        let records = &mut partitions[partition];
        records.push(format!(
            r#"{{"topic":"campaign.events.v1","partition":{partition},"offset":{},"timestamp":{millis},"timestampType":"CREATE_TIME","key":"{}","value":"{}","headers":[]}}"#,
            nth * EVENTS + records.len(),
            STANDARD.encode(format!("campaign-{campaign}")),
            STANDARD.encode(value),
        ));
    }
    let mut event = String::from(
        r#"{"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/0a1b","bootstrapServers":"b-1.livefold.kafka.eu-central-1.amazonaws.com:9098","records":{"#,
    );
    for (partition, records) in partitions.iter().enumerate() {
        let comma = if partition == 0 { "" } else { "," };
        write!(event, r#"{comma}"campaign.events.v1-{partition}":[{}]"#, records.join(",")).unwrap();
    }
    event + "}}"
}
