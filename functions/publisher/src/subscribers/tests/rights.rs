//! Who may see what of what they watch.

use super::*;

const TOPIC: &str = "platform.analytics.check-in.v1";

/// A live event at which these people have arrived.
fn arrive(stage: &mut Stage, names: &[&str]) -> Slot {
    let tenant = TenantId::parse("acme").unwrap();
    let mut slice = Kind::LiveEvent.empty_slice();
    for (offset, name) in (0..).zip(names) {
        let check_in = format!(r#"{{"id":"u{offset}","name":"{name}"}}"#);
        let value = format!(r#"{{"type":"CHECK_IN_PROCESSED","eventId":"e","checkInData":{check_in}}}"#);
        let record = Record { topic: TOPIC, timestamp: T0, default_tenant: Some(&tenant), value: value.as_bytes() };
        let routed = topic::decode(&record).unwrap().remove(0);
        slice.fold(offset, routed.at, &routed.event);
    }
    let slot = stage.cache.slot(&key("event:e"));
    stage.read(slot, slice, T0);
    slot
}

fn guest(id: &str, sees_names: bool, answered: &str) -> Connection {
    let mut guest = connection(id, &[("event:e", answered)]);
    if sees_names {
        guest.principal.permissions.push(auth::READ_NAMES.to_owned());
    }
    guest
}

/// The bytes of a delivery's only message.
fn view(delivery: &Delivery) -> &[u8] {
    let [Message::View(view)] = &delivery.messages[..] else { panic!("not one view: {delivery:?}") };
    &view.message
}

/// The names in a delivery's only message.
fn names(delivery: &Delivery) -> Vec<String> {
    let message: serde_json::Value = serde_json::from_slice(view(delivery)).unwrap();
    let feed = message["data"]["liveCheckInFeed"].as_array().unwrap();
    feed.iter().map(|arrival| arrival["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn names_go_to_who_may_see_them_and_initials_to_everybody_else_each_serialised_once() {
    let mut stage = Stage::new();
    arrive(&mut stage, &["Ada Lovelace"]);
    let guests = [("a", true), ("b", false), ("c", true), ("d", false)].map(|(id, sees)| guest(id, sees, ""));
    stage.connect(guests.into());
    let mut deliveries = stage.due(T0);
    deliveries.sort_by(|a, b| a.connection.cmp(&b.connection));
    let shown: Vec<_> = deliveries.iter().map(names).collect();
    assert_eq!(shown, [["Ada Lovelace"], ["A. L."], ["Ada Lovelace"], ["A. L."]]);
    let bytes: Vec<_> = deliveries.iter().map(|delivery| view(delivery).as_ptr()).collect();
    assert_eq!(bytes[..2], bytes[2..]);
}

#[test]
fn where_nobody_is_named_everybody_gets_the_same_bytes() {
    let mut stage = Stage::new();
    arrive(&mut stage, &[]);
    stage.connect(vec![guest("a", true, ""), guest("b", false, "")]);
    let deliveries = stage.due(T0);
    assert_eq!(view(&deliveries[0]).as_ptr(), view(&deliveries[1]).as_ptr());
}

#[test]
fn who_may_see_names_since_gets_them_at_once_and_who_may_no_longer_gets_initials() {
    let mut stage = Stage::new();
    arrive(&mut stage, &["Ada Lovelace"]);
    stage.connect(vec![guest("a", false, "")]);
    for (sees_names, form) in [(false, "A. L."), (true, "Ada Lovelace"), (false, "A. L.")] {
        stage.connect(vec![guest("a", sees_names, "")]);
        let delivery = stage.due(T0).remove(0);
        assert_eq!(names(&delivery), [form]);
        stage.note(arrived(&delivery), T0);
        assert!(stage.due(T0).is_empty(), "once");
    }
}

#[test]
fn an_answer_with_initials_is_not_taken_for_one_with_names() {
    let mut stage = Stage::new();
    let slot = arrive(&mut stage, &["Ada Lovelace"]);
    let answered = format!("{:x}", stage.fingerprint(slot, false));
    stage.connect(vec![guest("a", false, &answered)]);
    assert!(stage.due(T0).is_empty());
    stage.connect(vec![guest("a", true, &answered)]);
    assert_eq!(names(&stage.due(T0)[0]), ["Ada Lovelace"]);
}

#[test]
fn a_renewal_repeats_no_view_that_names_nobody() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let delivery = stage.due(T0).remove(0);
    stage.note(arrived(&delivery), T0);
    let mut renewed = connection("a", &[("campaign:c", "")]);
    renewed.principal.expires_at = at(7_200_000);
    renewed.principal.permissions.push(auth::READ_NAMES.to_owned());
    stage.connect(vec![renewed]);
    assert!(stage.due(at(3_600_000)).is_empty());
}

#[test]
fn what_the_token_does_not_open_is_not_shown_though_it_was_subscribed_to() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    let slot = stage.refresh("campaign:d", 1);
    stage.collect(slot);
    let mut narrow = connection("a", &[("campaign:c", ""), ("campaign:d", ""), ("campaigns", ""), ("system", "")]);
    narrow.principal.channels = Some(vec![auth::ChannelPattern::new("campaign:c")]);
    stage.connect(vec![narrow]);
    let deliveries = stage.deliveries(true, T0);
    assert!(std::str::from_utf8(view(&deliveries[0])).unwrap().contains("campaign:c"));
}

#[test]
fn a_notice_that_waits_is_not_told_to_who_may_see_its_channel_no_longer() {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    let watching = || connection("a", &[("campaign:c", ""), ("event:e", "")]);
    stage.connect(vec![watching()]);
    let first = stage.due(T0).remove(0);
    stage.refresh("campaign:c", 2);
    assert!(stage.due(T0).is_empty(), "the notice waits");
    let mut narrow = watching();
    narrow.principal.channels = Some(vec![auth::ChannelPattern::new("event:*")]);
    stage.connect(vec![narrow]);
    stage.note(arrived(&first), T0);
    assert!(stage.due(T0).is_empty());
}

#[test]
fn rights_are_part_of_who_somebody_is() {
    let [full, concealed] = [true, false].map(|sees_names| handover::subscription(&guest("a", sees_names, "")));
    assert_ne!(full, concealed);
    let mut narrow = guest("a", false, "");
    narrow.principal.channels = Some(Vec::new());
    assert_ne!(handover::subscription(&narrow), concealed);
    let mut renewed = guest("a", false, "");
    renewed.principal.expires_at = at(7_200_000);
    assert_eq!(handover::subscription(&renewed), concealed, "a successor repeats nothing for a renewal");
}
