use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{BadRecord, Event as AnyEvent, Id, Kind, Record, Routed, TenantId, history::Happened};

const T0: i64 = 1_768_473_000_000;

fn now() -> Timestamp {
    Timestamp::from_millis(T0)
}

fn decoded(value: &str) -> Result<Routed, BadRecord> {
    let tenant = TenantId::parse("acme").unwrap();
    let record = Record {
        topic: "campaign.events.v1",
        timestamp: now(),
        default_tenant: Some(&tenant),
        value: value.as_bytes(),
    };
    crate::topic::decode(&record).map(|mut routed| routed.remove(0))
}

/// Folds one event in; what is remembered of it.
fn apply(campaign: &mut Campaign, event: &Event, at: Timestamp) -> Option<CampaignEntry> {
    let mut entries = Vec::new();
    campaign.apply(event, at, &mut Recorder { offset: 0, at, entries: &mut entries });
    entries.pop().map(|entry| entry.what)
}

/// Folds records given as the fields that differ.
fn folded(records: &[&str]) -> Campaign {
    let mut campaign = Campaign::default();
    for fields in records {
        let routed = decoded(&format!(r#"{{"campaignId":"c-17","callId":"k1",{fields}}}"#)).unwrap();
        let AnyEvent::Campaign(event) = routed.event else { panic!("routed elsewhere") };
        apply(&mut campaign, &event, routed.at);
    }
    campaign
}

fn seen(campaign: &Campaign, now: Timestamp) -> CampaignMetrics {
    campaign.view(&ChannelId::campaign(Id::parse("c-17").unwrap()), &[], now)
}

#[test]
fn a_call_moves_the_counters_that_the_design_names() {
    let metrics = seen(
        &folded(&[
            r#""eventType":"call_queued""#,
            r#""eventType":"call_queued""#,
            r#""eventType":"call_initiated""#,
            r#""eventType":"call_initiated""#,
            r#""eventType":"call_answered""#,
            r#""eventType":"dtmf_pressed""#,
            r#""eventType":"call_ended","outcome":"converted","duration":41.5,"cost":0.02"#,
            r#""eventType":"call_ended","status":"busy","cost":0.01"#,
        ]),
        now(),
    );
    assert_eq!((metrics.total_attempts, metrics.answered, metrics.busy, metrics.failed), (2, 1, 1, 0));
    assert_eq!((metrics.active_calls, metrics.queue_depth), (0, 0));
    assert_eq!((metrics.converted, metrics.opt_outs), (1, 0));
    assert_eq!((metrics.answer_rate, metrics.conversion_rate, metrics.opt_out_rate), (50.0, 100.0, 0.0));
    assert_eq!((metrics.average_call_duration, metrics.total_cost), (41.5, 0.03));
    assert_eq!(metrics.status, Status::Active);
}

#[test]
fn gauges_that_went_below_zero_show_zero_and_recover() {
    let mut campaign = folded(&[r#""eventType":"call_ended""#]);
    assert_eq!(seen(&campaign, now()).active_calls, 0);
    campaign.merge(&folded(&[r#""eventType":"call_initiated""#, r#""eventType":"call_initiated""#]));
    assert_eq!(seen(&campaign, now()).active_calls, 1);
}

#[test]
fn a_sample_sets_the_queue_and_calls_move_it_from_there() {
    let sampled = folded(&[
        r#""eventType":"call_queued""#,
        r#""eventType":"queue_sampled","queueDepth":230"#,
        r#""eventType":"call_initiated""#,
    ]);
    assert_eq!(seen(&sampled, now()).queue_depth, 229);
    let mut merged = folded(&[r#""eventType":"call_queued""#]);
    merged.merge(&sampled);
    assert_eq!(seen(&merged, now()).queue_depth, 229, "a sample counts, not what another partition has summed");
}

#[test]
fn a_sample_sets_the_calls_going_on_and_an_older_one_does_not() {
    let mut campaign =
        folded(&[r#""eventType":"call_ended""#, r#""eventType":"call_ended""#, r#""eventType":"call_initiated""#]);
    assert_eq!((seen(&campaign, now()).active_calls, campaign.gauges_below_zero()), (0, 2));
    let samples = folded(&[
        r#""eventType":"queue_sampled","activeCalls":4,"queueDepth":0"#,
        r#""eventType":"queue_sampled","activeCalls":99,"timestamp":"2026-01-15T08:30:00Z""#,
        r#""eventType":"call_ended""#,
    ]);
    assert_eq!((seen(&samples, now()).active_calls, samples.gauges_below_zero()), (3, 0));
    campaign.merge(&samples);
    assert_eq!((seen(&campaign, now()).active_calls, campaign.gauges_below_zero()), (3, 0));
}

#[test]
fn a_sample_of_the_calls_leaves_the_queue_alone() {
    let campaign = folded(&[r#""eventType":"call_queued""#, r#""eventType":"queue_sampled","activeCalls":4"#]);
    assert_eq!((seen(&campaign, now()).active_calls, seen(&campaign, now()).queue_depth), (4, 1));
    assert_eq!(
        decoded(r#"{"eventType":"queue_sampled","campaignId":"c"}"#).unwrap_err(),
        BadRecord::Missing("queueDepth")
    );
}

#[test]
fn rates_are_never_over_a_hundred_percent() {
    let metrics = seen(
        &folded(&[
            r#""eventType":"call_initiated""#,
            r#""eventType":"call_answered""#,
            r#""eventType":"call_answered""#,
            r#""eventType":"call_ended","outcome":"converted""#,
            r#""eventType":"call_ended","outcome":"converted""#,
            r#""eventType":"call_ended","outcome":"converted""#,
            r#""eventType":"call_ended","outcome":"opted_out""#,
            r#""eventType":"call_ended","outcome":"opted_out""#,
        ]),
        now(),
    );
    assert_eq!((metrics.answer_rate, metrics.conversion_rate, metrics.opt_out_rate), (100.0, 100.0, 100.0));
    assert_eq!((metrics.answered, metrics.converted, metrics.opt_outs), (2, 3, 2), "counts are what they are");
}

#[test]
fn calls_of_a_clock_that_is_a_year_ahead_are_in_the_rate_and_dated_when_they_came() {
    let call = r#""eventType":"call_initiated","timestamp":"2027-01-15T10:30:00Z""#;
    let metrics = seen(&folded(&[call; 20]), now());
    assert_eq!((metrics.dialing_rate, metrics.updated_at), (2.0, Some(now())));
}

/// What a slice of `13ceb2a` looks like that a producer of 2027 has written to: name, status, sample and rate are its.
const FROZEN: &str = r#"{
    "name": {"at": "2027-01-15T10:30:00.000Z", "value": "Spring"},
    "status": {"at": "2027-01-15T10:30:00.000Z", "value": "paused"},
    "active_calls": -3,
    "queue": {"sampled_at": "2027-01-15T10:30:00.000Z", "depth": 230},
    "total_attempts": 7, "answered": 3, "busy": 1, "failed": 1, "converted": 1, "opt_outs": 0,
    "timed_calls": 1, "duration_ms": 41500, "cost_micros": 20000,
    "dialed": [[1800009000, 7]],
    "updated_at": "2027-01-15T10:30:00.000Z"
}"#;

fn frozen() -> Campaign {
    serde_json::from_str(FROZEN).unwrap()
}

#[test]
fn what_a_leading_clock_has_frozen_thaws_when_fresh_records_come() {
    let mut campaign = frozen().believed(now()).into_owned();
    for fields in [
        r#""eventType":"campaign_status_changed","status":"active""#,
        r#""eventType":"queue_sampled","queueDepth":5,"activeCalls":2"#,
        r#""eventType":"call_initiated""#,
    ] {
        let routed = decoded(&format!(r#"{{"campaignId":"c-17","callId":"k1",{fields}}}"#)).unwrap();
        let AnyEvent::Campaign(event) = routed.event else { panic!("routed elsewhere") };
        apply(&mut campaign, &event, routed.at);
    }
    let metrics = seen(&campaign, now());
    assert_eq!((metrics.status, metrics.campaign_name.as_deref()), (Status::Active, Some("Spring")));
    assert_eq!((metrics.queue_depth, metrics.active_calls), (4, 3));
    assert_eq!((metrics.dialing_rate, metrics.updated_at), (0.1, Some(now())));
    assert_eq!(metrics.total_attempts, 8, "what was counted stays");
    assert_eq!(campaign.listing().map(|listing| listing.at), Some(now()));
}

#[test]
fn what_is_frozen_in_one_partition_loses_against_what_is_fresh_in_another() {
    let fresh = folded(&[
        r#""eventType":"campaign_status_changed","status":"active""#,
        r#""eventType":"queue_sampled","queueDepth":5"#,
    ]);
    let mut merged = fresh.clone();
    merged.merge(&frozen().believed(now()));
    let metrics = seen(&merged, now());
    assert_eq!((metrics.status, metrics.queue_depth, metrics.updated_at), (Status::Active, 5, Some(now())));
    let alone = seen(&frozen().believed(now()), now());
    assert_eq!((alone.status, alone.queue_depth, alone.updated_at), (Status::Paused, 230, None));
    assert!(matches!(fresh.believed(now()), Cow::Borrowed(_)), "nothing is copied of what can be believed");
}

#[test]
fn what_version_1_stored_is_read_and_stored_anew_reads_the_same() {
    let campaign = frozen();
    let metrics = seen(&campaign, now());
    assert_eq!((metrics.total_attempts, metrics.answered, metrics.busy, metrics.failed), (7, 3, 1, 1));
    assert_eq!((metrics.converted, metrics.average_call_duration, metrics.total_cost), (1, 41.5, 0.02));
    assert_eq!((metrics.queue_depth, metrics.active_calls), (230, 0));
    let rate_then =
        campaign.view(&ChannelId::campaign(Id::parse("c").unwrap()), &[], Timestamp::from_millis(1_800_009_001_000));
    assert_eq!(rate_then.dialing_rate, 0.7);
    let stored = serde_json::to_string(&campaign).unwrap();
    assert_eq!(serde_json::from_str::<Campaign>(&stored).unwrap(), campaign);
}

#[test]
fn the_stored_form_is_pinned() {
    let campaign = folded(&[
        r#""eventType":"campaign_status_changed","status":"active","name":"Spring""#,
        r#""eventType":"queue_sampled","queueDepth":5"#,
        r#""eventType":"call_initiated""#,
        r#""eventType":"call_initiated","timestamp":"2026-01-15T10:29:57Z""#,
        r#""eventType":"call_answered""#,
    ]);
    assert_eq!(
        serde_json::to_value(&campaign).unwrap(),
        json!({
            "name": {"at": T0, "value": "Spring"},
            "status": {"at": T0, "value": "active"},
            "active_calls": 2,
            "queue": [3, T0],
            "calls": [2, 1],
            "dialed": [T0 / 1000 - 3, [1, 0, 0, 1]],
            "updated_at": T0,
        })
    );
}

#[test]
fn a_window_counts_what_came_in_it_and_shows_gauges_as_they_stood_at_its_end() {
    let mut slice = crate::slice::Slice::<Campaign>::default();
    for (offset, (fields, second)) in (0..).zip([
        (r#""eventType":"call_initiated""#, 1),
        (r#""eventType":"call_answered""#, 59),
        (r#""eventType":"call_initiated""#, 61),
        (r#""eventType":"call_ended","status":"busy","cost":0.5"#, 62),
        (r#""eventType":"call_initiated""#, 2),
    ]) {
        let routed = decoded(&format!(r#"{{"campaignId":"c","callId":"k",{fields}}}"#)).unwrap();
        let AnyEvent::Campaign(event) = routed.event else { panic!("routed elsewhere") };
        slice.fold(offset, Timestamp::from_millis(T0 + second * 1000), &event);
    }
    let open = slice.windows().open();
    let values: Vec<_> =
        open.iter().map(|window| crate::window::Counts::values(&window.counts, Duration::from_mins(1))).collect();
    let of = |name: &str| values.iter().map(|values| values[name].clone()).collect::<Vec<_>>();
    assert_eq!(of("totalAttempts"), [json!(2), json!(1)]);
    assert_eq!(of("activeCalls"), [json!(1), json!(1)], "a late record does not say how things stood");
    assert_eq!(
        (of("answered"), of("busy"), of("totalCost")),
        (vec![json!(1), json!(0)], vec![json!(0), json!(1)], vec![json!(0.0), json!(0.5)])
    );
}

#[test]
fn words_are_taken_as_producers_write_them() {
    let metrics = seen(
        &folded(&[
            r#""eventType":"CALL_INITIATED""#,
            r#""eventType":"callAnswered""#,
            r#""eventType":"call.ended","status":"BUSY""#,
            r#""eventType":"call-ended","status":"no-answer","outcome":"CONVERTED""#,
            r#""eventType":"Call Ended","status":"Failed","outcome":"optedOut""#,
            r#""eventType":"campaignStatusChanged","status":"PAUSED""#,
        ]),
        now(),
    );
    assert_eq!((metrics.total_attempts, metrics.answered, metrics.busy, metrics.failed), (1, 1, 1, 2));
    assert_eq!((metrics.converted, metrics.opt_outs, metrics.status), (1, 1, Status::Paused));
}

#[test]
fn a_word_that_is_not_known_ends_the_call_and_is_told_of() {
    let of = |fields: &str| {
        let value = format!(r#"{{"eventType":"call_ended","campaignId":"c","callId":"k",{fields}}}"#);
        decoded(&value).unwrap().event.unknown_words()
    };
    assert_eq!(of(r#""status":"congestion","outcome":"callback""#), 2);
    assert_eq!(of(r#""status":7"#), 1);
    for known in [r#""x":1"#, r#""status":"","outcome":null"#, r#""status":"completed","outcome":"no_interest""#] {
        assert_eq!(of(known), 0, "{known}");
    }
    let campaign = folded(&[
        r#""eventType":"queue_sampled","activeCalls":1"#,
        r#""eventType":"call_ended","status":"congestion","cost":0.5"#,
    ]);
    assert_eq!((seen(&campaign, now()).active_calls, seen(&campaign, now()).total_cost), (0, 0.5));
}

#[test]
fn a_record_is_not_refused_for_fields_that_are_no_keys() {
    for fields in [
        r#""contactId":"ada@example.com""#,
        r#""contactId":"+15550100""#,
        r#""contactId":17"#,
        r#""contactId":"""#,
        r#""callId":"a84b4c76e66710@pc33.example.com""#,
        r#""callId":"{3F2504E0-4F89-11D3-9A0C-0305E82C3301}""#,
        r#""callId":"q8Wv+/=""#,
        r#""callId":17"#,
    ] {
        let call_id = if fields.contains("callId") { "" } else { r#""callId":"k","# };
        let value = format!(r#"{{"eventType":"call_answered","campaignId":456,{call_id}{fields}}}"#);
        assert_eq!(decoded(&value).unwrap().channel.to_string(), "campaign:456", "{value}");
    }
}

#[test]
fn numbers_are_taken_as_text_and_a_byte_order_mark_is_none_of_the_records() {
    let mut campaign = folded(&[r#""eventType":"call_ended","duration":"41.5","cost":"0.02""#]);
    campaign.merge(&folded(&[r#""eventType":"queue_sampled","queueDepth":5.0,"activeCalls":"3""#]));
    let metrics = seen(&campaign, now());
    assert_eq!((metrics.average_call_duration, metrics.total_cost), (41.5, 0.02));
    assert_eq!((metrics.queue_depth, metrics.active_calls), (5, 3));
    assert!(decoded("\u{feff}{\"eventType\":\"call_queued\",\"campaignId\":\"c\"}").is_ok());
}

#[test]
fn a_cloud_event_is_opened_and_a_foreign_format_is_named() {
    let data = r#"{"eventType":"call_queued","campaignId":"c","timestamp":1768472999}"#;
    let routed =
        decoded(&format!(r#"{{"specversion":"1.0","id":"1","source":"/d","type":"call","data":{data}}}"#)).unwrap();
    assert_eq!((routed.channel.to_string().as_str(), routed.at), ("campaign:c", Timestamp::from_millis(T0 - 1000)));
    let inner = decoded(r#"{"specversion":"1.0","data":{"eventType":"call_queued"}}"#).unwrap_err();
    assert_eq!(inner, BadRecord::Missing("campaignId"), "the reason is that of the data");
    assert_eq!(decoded(&format!("[{data}]")).unwrap_err().code(), "foreign_format");
    assert_eq!(decoded(&format!("{data}\n{data}")).unwrap_err().code(), "foreign_format");
}

#[test]
fn the_overview_lists_active_campaigns_and_paused_ones_and_those_with_calls_going_on() {
    let listed = |records: &[&str]| folded(records).listing().unwrap().active;
    let (call, ended) = (r#""eventType":"call_initiated""#, r#""eventType":"call_ended""#);
    for (status, shown) in [("active", true), ("paused", true), ("completed", false), ("draft", false)] {
        let status = format!(r#""eventType":"campaign_status_changed","status":"{status}""#);
        assert_eq!(listed(&[&status]), shown, "{status}");
        assert!(listed(&[call, &status]), "{status}, a call goes on");
        assert_eq!(listed(&[call, &status, ended]), shown, "{status}, the call is over");
    }
}

#[test]
fn the_dialing_rate_is_gone_ten_seconds_after_the_last_call() {
    let campaign = folded(&[r#""eventType":"call_initiated""#; 5]);
    assert_eq!(seen(&campaign, now()).dialing_rate, 0.5);
    assert_eq!(seen(&campaign, now().plus(Duration::from_secs(10))).dialing_rate, 0.0);
}

#[test]
fn a_dialer_whose_clock_leads_does_not_push_others_out_of_the_rate() {
    let ahead = format!(r#""eventType":"call_initiated","timestamp":"{}""#, now().plus(Duration::from_mins(4)));
    let campaign = folded(&[r#""eventType":"call_initiated""#, &ahead]);
    assert_eq!(seen(&campaign, now()).dialing_rate, 0.2);
}

#[test]
fn a_status_change_tells_what_was_before() {
    let mut campaign = folded(&[r#""eventType":"campaign_status_changed","status":"active","name":"Spring""#]);
    let change = Event::StatusChanged { status: Status::Paused, name: None };
    let entry = apply(&mut campaign, &change, now()).unwrap();
    let channel = ChannelId::campaign(Id::parse("c-17").unwrap());
    assert_eq!(entry.data(&channel), json!({"campaignId": "c-17", "status": "paused", "previousStatus": "active"}));
    assert_eq!(apply(&mut campaign, &change, now()), None, "the same status again is no change");
    assert_eq!(seen(&campaign, now()).campaign_name.as_deref(), Some("Spring"));
}

#[test]
fn the_view_is_pinned() {
    let campaign = Campaign { updated_at: Some(now()), ..folded(&[]) };
    assert_eq!(
        serde_json::to_string(&seen(&campaign, now())).unwrap(),
        concat!(
            r#"{"campaignId":"c-17","campaignName":null,"status":"active","activeCalls":0,"queueDepth":0,"#,
            r#""dialingRate":0.0,"totalAttempts":0,"answered":0,"busy":0,"failed":0,"converted":0,"optOuts":0,"#,
            r#""answerRate":0.0,"conversionRate":0.0,"optOutRate":0.0,"averageCallDuration":0.0,"totalCost":0.0,"#,
            r#""updatedAt":"2026-01-15T10:30:00.000Z"}"#
        )
    );
}

#[test]
fn bad_records_are_told_apart() {
    let bad = |value: &str| decoded(value).unwrap_err();
    assert_eq!(bad(r#"{"eventType":"call_queued"}"#), BadRecord::Missing("campaignId"));
    assert_eq!(bad(r#"{"campaignId":"c"}"#), BadRecord::Missing("eventType"));
    assert_eq!(bad(r#"{"eventType":"call_answered","campaignId":"c"}"#), BadRecord::Missing("callId"));
    assert_eq!(bad(r#"{"eventType":"nope","campaignId":"c"}"#), BadRecord::UnknownEventType("eventType"));
    assert_eq!(bad(r#"{"eventType":"call_queued","campaignId":"c#1"}"#), BadRecord::BadId("campaignId"));
    assert_eq!(bad(r#"{"eventType":"call_queued","campaignId":"c","tenantId":""}"#), BadRecord::BadId("tenantId"));
    assert_eq!(
        bad(r#"{"eventType":"call_ended","campaignId":"c","callId":"k","duration":-1}"#),
        BadRecord::WrongType { field: "duration", expected: "a quantity from 0, within reason" }
    );
    assert_eq!(
        bad(r#"{"eventType":"queue_sampled","campaignId":"c","queueDepth":-1}"#),
        BadRecord::WrongType { field: "queueDepth", expected: "a whole number from 0" }
    );
    assert_eq!(
        bad(r#"{"eventType":"campaign_status_changed","campaignId":"c","status":"odd"}"#),
        BadRecord::UnknownValue("status")
    );
}

#[test]
fn an_event_type_that_is_not_known_is_told_apart_whatever_its_fields_are() {
    for value in [
        r#"{"eventType":"call_transferred","campaignId":"c","callId":"k"}"#,
        r#"{"eventType":"call_transferred","callId":"k@host"}"#,
        r#"{"eventType":"call_transferred"}"#,
    ] {
        let bad = decoded(value).unwrap_err();
        assert!(bad.is_unknown_type(), "{bad}");
        assert_eq!(bad.code(), "unknown_event_type");
    }
    assert!(!decoded(r#"{"eventType":"call_answered"}"#).unwrap_err().is_unknown_type());
}

#[test]
fn an_organization_is_a_tenant_and_unknown_fields_are_ignored() {
    let routed = decoded(r#"{"eventType":"call_queued","campaignId":"c","organizationId":"org_1","x":[1]}"#).unwrap();
    assert_eq!(routed.tenant.as_str(), "org_1");
    assert_eq!(routed.channel.kind(), Kind::Campaign);
}
