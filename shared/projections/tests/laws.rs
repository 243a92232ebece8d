//! What every projection must hold for all inputs: merging is associative and commutative and has an identity,
//! folding is deterministic, a redelivered record changes nothing, and what is stored reads back.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use projections::{
    ChannelId, HistoryEntry, Kind, Projection, Record, Slice, TenantId, Timestamp, View, kind, slice::MAX_CLOCK_LEAD,
    topic,
};
use proptest::{prelude::*, sample::select};

const NOW: i64 = 1_768_473_000_000;

/// Records of every topic, as JSON, with times that collide, run backwards and lead.
fn record() -> impl Strategy<Value = (&'static str, i64, String)> {
    let campaign = (
        select(vec![
            "call_queued",
            "call_initiated",
            "call_answered",
            "call_ended",
            "dtmf_pressed",
            "action_triggered",
            "queue_sampled",
            "campaign_status_changed",
        ]),
        select(vec!["active", "paused", "completed"]),
        select(vec!["busy", "failed", "no_answer", "completed"]),
        select(vec!["converted", "opted_out", "none"]),
        0..100_000_u32,
    )
        .prop_map(|(event, state, line, outcome, n)| {
            let status = if event == "campaign_status_changed" { state } else { line };
            let value = format!(
                r#""eventType":"{event}","campaignId":"c","callId":"k{n}","status":"{status}","outcome":"{outcome}",
                   "duration":{}.{n},"cost":0.{n},"queueDepth":{n},"activeCalls":"{n}","name":"N{}""#,
                n % 100,
                n % 3
            );
            ("campaign.events.v1", value)
        });
    let live = (
        select(vec![
            "MESSAGE_SENT",
            "POLL_VOTE_CAST",
            "QUESTION_ASKED",
            "QUESTION_UPVOTED",
            "REACTION_SENT",
            "CHECK_IN_PROCESSED",
            "CHECK_IN_PROCESSED",
        ]),
        0..30_u32,
    )
        .prop_map(|(event, n)| {
            let value =
                format!(r#""type":"{event}","eventId":"e","checkInData":{{"id":"u{n}","name":"Ulla {}"}}"#, n % 7);
            ("platform.analytics.events.v1", value)
        });
    let node = (0..260_u32, 0..100_u32)
        .prop_map(|(n, cpu)| ("dialer.health.v1", format!(r#""nodeId":"n{n}","cpuUsage":{cpu},"memoryUsage":1.5"#)));
    (prop_oneof![campaign, live, node], -20_000..20_000_i64, -400_000..400_000_i64).prop_map(
        |((topic, fields), recorded, ahead)| {
            let given = Timestamp::from_millis(NOW + recorded + ahead);
            (topic, NOW + recorded, format!(r#"{{{fields},"timestamp":"{given}"}}"#))
        },
    )
}

fn records() -> impl Strategy<Value = Vec<(&'static str, i64, String)>> {
    prop::collection::vec(record(), 0..60)
}

/// One slice for each kind, each with the records that are routed to it.
fn folded(records: &[(&'static str, i64, String)]) -> Vec<Slice> {
    let mut slices: Vec<Slice> = Kind::ALL.into_iter().map(Kind::empty_slice).collect();
    fold_into(&mut slices, records);
    slices
}

fn fold_into(slices: &mut [Slice], records: &[(&'static str, i64, String)]) {
    let tenant = TenantId::parse("acme").unwrap();
    for (offset, (topic, timestamp, value)) in (0..).zip(records) {
        let routed = topic::decode(&Record {
            topic,
            timestamp: Timestamp::from_millis(*timestamp),
            default_tenant: Some(&tenant),
            value: value.as_bytes(),
        })
        .unwrap()
        .remove(0);
        let slice = slices.iter_mut().find(|slice| slice.kind() == routed.event.kind()).unwrap();
        slice.fold(offset, routed.at, &routed.event).unwrap();
    }
}

/// All that has happened, as it reads back from what is stored.
fn history(slice: &mut Slice) -> Vec<HistoryEntry> {
    let chunks = slice.cut(None);
    chunks.iter().flat_map(|chunk| slice.kind().read_entries(&chunk.entries).unwrap()).collect()
}

fn channel_of(kind: Kind) -> ChannelId {
    let name = match kind {
        Kind::Campaign => "campaign:c",
        Kind::LiveEvent => "event:e",
        Kind::System => "system",
    };
    name.parse().unwrap()
}

/// A slice as it is stored.
fn stored(slices: &[Slice]) -> Vec<serde_json::Value> {
    slices.iter().map(|slice| serde_json::to_value(slice).unwrap()).collect()
}

fn merged<P: Projection>(states: &[&P]) -> serde_json::Value {
    let mut sum = P::default();
    for state in states {
        sum.merge(state);
    }
    serde_json::to_value(&sum).unwrap()
}

fn check_merge<P: Projection>(a: &P, b: &P, c: &P) -> Result<(), TestCaseError> {
    let mut bc = b.clone();
    bc.merge(c);
    let mut a_bc = a.clone();
    a_bc.merge(&bc);
    let together = merged(&[a, b, c]);
    prop_assert_eq!(&serde_json::to_value(&a_bc).unwrap(), &together, "associative");
    prop_assert_eq!(&merged(&[c, a, b]), &together, "commutative");
    prop_assert_eq!(&merged(&[b, a, c]), &together, "commutative");
    let mut with_nothing = a.clone();
    with_nothing.merge(&P::default());
    prop_assert_eq!(serde_json::to_value(&with_nothing).unwrap(), serde_json::to_value(a).unwrap(), "identity, right");
    prop_assert_eq!(merged(&[a]), serde_json::to_value(a).unwrap(), "identity, left");
    Ok(())
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative_and_has_an_identity(a in records(), b in records(), c in records()) {
        for ((a, b), c) in folded(&a).iter().zip(&folded(&b)).zip(&folded(&c)) {
            match (a, b, c) {
                (Slice::Campaign(a), Slice::Campaign(b), Slice::Campaign(c)) => {
                    check_merge(a.state(), b.state(), c.state())?;
                }
                (Slice::LiveEvent(a), Slice::LiveEvent(b), Slice::LiveEvent(c)) => {
                    check_merge(a.state(), b.state(), c.state())?;
                }
                (Slice::System(a), Slice::System(b), Slice::System(c)) => {
                    check_merge(a.state(), b.state(), c.state())?;
                }
                _ => unreachable!("slices of the same place are of the same kind"),
            }
        }
    }

    #[test]
    fn folding_is_deterministic_and_a_redelivery_changes_nothing(records in records(), from in 0..60_usize) {
        let once = folded(&records);
        let mut twice = folded(&records);
        prop_assert_eq!(stored(&once), stored(&twice));
        let tail = &records[from.min(records.len())..];
        fold_into(&mut twice, &records[..records.len() - tail.len()]);
        fold_into(&mut twice, &records);
        prop_assert_eq!(stored(&once), stored(&twice));
    }

    #[test]
    fn the_newest_sample_wins_whatever_the_order_in_which_samples_come(
        samples in prop::collection::btree_map(-7200..0_i64, 0..1000_u32, 1..20).prop_map(Vec::from_iter),
        order in any::<prop::sample::Index>(),
        partitions in 1..4_usize,
    ) {
        let records: Vec<_> = samples
            .iter()
            .map(|(seconds, n)| {
                let at = Timestamp::from_millis(NOW + seconds * 1000);
                let value = format!(
                    r#"{{"eventType":"queue_sampled","campaignId":"c","queueDepth":{n},"activeCalls":{n},"timestamp":"{at}"}}"#
                );
                ("campaign.events.v1", NOW, value)
            })
            .collect();
        let mut shuffled = records.clone();
        shuffled.rotate_left(order.index(records.len()));
        let (front, back) = shuffled.split_at_mut(records.len() / 2);
        front.reverse();
        back.reverse();
        let slices: Vec<Slice> = shuffled.chunks(shuffled.len().div_ceil(partitions)).flat_map(folded).collect();
        let View::Campaign(view) = kind::view(&channel_of(Kind::Campaign), &slices, [], Timestamp::from_millis(NOW)) else {
            unreachable!("a campaign's view")
        };
        let newest = samples.last().map(|(_, n)| u64::from(*n));
        prop_assert_eq!((Some(view.queue_depth), Some(view.active_calls)), (newest, newest));
    }

    #[test]
    fn nothing_in_a_state_is_later_than_its_records_came(records in records()) {
        let latest = records.iter().map(|(_, recorded, _)| *recorded).max().unwrap_or(NOW);
        for slice in folded(&records) {
            let mut believed = slice.clone();
            believed.disbelieve_future(Timestamp::from_millis(latest - i64::try_from(MAX_CLOCK_LEAD.as_millis()).unwrap()));
            prop_assert_eq!(stored(&[believed]), stored(&[slice]));
        }
    }

    #[test]
    fn what_is_stored_reads_back_and_shows_the_same(records in records()) {
        for slice in folded(&records) {
            let text = serde_json::to_string(&slice).unwrap();
            let read = slice.kind().read_slice(&mut serde_json::Deserializer::from_str(&text)).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
            let channel = channel_of(slice.kind());
            let now = Timestamp::from_millis(NOW);
            prop_assert_eq!(kind::view(&channel, [&read], [], now), kind::view(&channel, [&slice], [], now));
        }
    }

    #[test]
    fn a_kind_that_shows_no_names_conceals_nothing_and_the_others_conceal_every_name(records in records()) {
        for mut slice in folded(&records) {
            let history = history(&mut slice);
            let view = kind::view(&channel_of(slice.kind()), [&slice], &history, Timestamp::from_millis(NOW));
            for entry in history {
                let told = entry.concealed().data(&channel_of(slice.kind())).to_string();
                prop_assert!(!told.contains(r#""name":"Ulla "#));
            }
            prop_assert!(slice.kind().shows_names() || view.clone().concealed() == view);
            prop_assert!(!serde_json::to_string(&view.concealed()).unwrap().contains(r#""name":"Ulla "#));
        }
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200), topic in 0..4_usize) {
        let (topic, _) = topic::TOPICS[topic];
        let record = Record { topic, timestamp: Timestamp::from_millis(NOW), default_tenant: None, value: &bytes };
        prop_assert!(projections::topic::decode(&record).is_err());
    }
}
