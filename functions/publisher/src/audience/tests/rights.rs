//! Who may see what of what they watch.

use super::*;

const TOPIC: &str = "platform.analytics.check-in.v1";

/// A live event at which these people have arrived.
fn arrive(board: &mut Board, names: &[&str]) -> Place {
    let tenant = TenantId::parse("acme").unwrap();
    let mut slice = Kind::LiveEvent.empty_slice();
    for (offset, name) in (0..).zip(names) {
        let check_in = format!(r#"{{"id":"u{offset}","name":"{name}"}}"#);
        let value = format!(r#"{{"type":"CHECK_IN_PROCESSED","eventId":"e","checkInData":{check_in}}}"#);
        let record = Record { topic: TOPIC, timestamp: T0, default_tenant: Some(&tenant), value: value.as_bytes() };
        let routed = topic::decode(&record).unwrap().remove(0);
        slice.fold(offset, routed.at, &routed.event);
    }
    let place = board.place(&key("event:e"));
    read(board, place, slice);
    place
}

fn guest(id: &str, sees_names: bool, answered: &str) -> Connection {
    let mut guest = connection(id, &[("event:e", answered)]);
    if sees_names {
        guest.principal.permissions.push(auth::READ_NAMES.to_owned());
    }
    guest
}

/// The bytes of a parcel's only message.
fn view(parcel: &Parcel) -> &[u8] {
    let [Message::View(view)] = &parcel.messages[..] else { panic!("not one view: {parcel:?}") };
    &view.message
}

/// The names in a parcel's only message.
fn names(parcel: &Parcel) -> Vec<String> {
    let message: serde_json::Value = serde_json::from_slice(view(parcel)).unwrap();
    let feed = message["data"]["liveCheckInFeed"].as_array().unwrap();
    feed.iter().map(|arrival| arrival["name"].as_str().unwrap().to_owned()).collect()
}

fn look_again(audience: &mut Audience, board: &mut Board, connection: Connection) {
    audience.replace(vec![connection], board, &HashSet::new());
}

#[test]
fn names_go_to_who_may_see_them_and_initials_to_everybody_else_each_serialised_once() {
    let mut board = Board::new(Duration::from_secs(1));
    arrive(&mut board, &["Ada Lovelace"]);
    let guests = [("a", true), ("b", false), ("c", true), ("d", false)].map(|(id, sees)| guest(id, sees, ""));
    let mut audience = audience(&mut board, guests.into());
    let mut parcels = due(&mut audience, &board, T0);
    parcels.sort_by(|a, b| a.connection.cmp(&b.connection));
    let shown: Vec<_> = parcels.iter().map(names).collect();
    assert_eq!(shown, [["Ada Lovelace"], ["A. L."], ["Ada Lovelace"], ["A. L."]]);
    let bytes: Vec<_> = parcels.iter().map(|parcel| view(parcel).as_ptr()).collect();
    assert_eq!(bytes[..2], bytes[2..]);
}

#[test]
fn where_nobody_is_named_everybody_gets_the_same_bytes() {
    let mut board = Board::new(Duration::from_secs(1));
    arrive(&mut board, &[]);
    let mut audience = audience(&mut board, vec![guest("a", true, ""), guest("b", false, "")]);
    let parcels = due(&mut audience, &board, T0);
    assert_eq!(view(&parcels[0]).as_ptr(), view(&parcels[1]).as_ptr());
}

#[test]
fn who_may_see_names_since_gets_them_at_once_and_who_may_no_longer_gets_initials() {
    let mut board = Board::new(Duration::from_secs(1));
    arrive(&mut board, &["Ada Lovelace"]);
    let mut audience = audience(&mut board, vec![guest("a", false, "")]);
    for (sees_names, form) in [(false, "A. L."), (true, "Ada Lovelace"), (false, "A. L.")] {
        look_again(&mut audience, &mut board, guest("a", sees_names, ""));
        let parcel = due(&mut audience, &board, T0).remove(0);
        assert_eq!(names(&parcel), [form]);
        audience.note(arrived(&parcel), T0);
        assert!(due(&mut audience, &board, T0).is_empty(), "once");
    }
}

#[test]
fn an_answer_with_initials_is_not_taken_for_one_with_names() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = arrive(&mut board, &["Ada Lovelace"]);
    let answered = format!("{:x}", board.poster(place).fingerprint().unwrap());
    let mut audience = audience(&mut board, vec![guest("a", false, &answered)]);
    assert!(due(&mut audience, &board, T0).is_empty());
    look_again(&mut audience, &mut board, guest("a", true, &answered));
    assert_eq!(names(&due(&mut audience, &board, T0)[0]), ["Ada Lovelace"]);
}

#[test]
fn a_renewal_repeats_no_view_that_names_nobody() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let parcel = due(&mut audience, &board, T0).remove(0);
    audience.note(arrived(&parcel), T0);
    let mut renewed = connection("a", &[("campaign:c", "")]);
    renewed.principal.expires_at = at(7_200_000);
    renewed.principal.permissions.push(auth::READ_NAMES.to_owned());
    look_again(&mut audience, &mut board, renewed);
    assert!(due(&mut audience, &board, at(3_600_000)).is_empty());
}

#[test]
fn what_the_token_does_not_open_is_not_shown_though_it_was_subscribed_to() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let place = refresh(&mut board, "campaign:d", 1);
    let mut rosters = Rosters::new();
    rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
    let mut narrow = connection("a", &[("campaign:c", ""), ("campaign:d", ""), ("campaigns", ""), ("system", "")]);
    narrow.principal.channels = Some(vec![auth::ChannelPattern::new("campaign:c")]);
    let mut audience = audience(&mut board, vec![narrow]);
    let parcels = audience.parcels(&board, &rosters, true, T0);
    assert!(std::str::from_utf8(view(&parcels[0])).unwrap().contains("campaign:c"));
}

#[test]
fn a_notice_that_waits_is_not_told_to_who_may_see_its_channel_no_longer() {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let watching = || connection("a", &[("campaign:c", ""), ("event:e", "")]);
    let mut audience = audience(&mut board, vec![watching()]);
    let first = due(&mut audience, &board, T0).remove(0);
    refresh(&mut board, "campaign:c", 2);
    assert!(due(&mut audience, &board, T0).is_empty(), "the notice waits");
    let mut narrow = watching();
    narrow.principal.channels = Some(vec![auth::ChannelPattern::new("event:*")]);
    look_again(&mut audience, &mut board, narrow);
    board.clear_notices();
    audience.note(arrived(&first), T0);
    assert!(due(&mut audience, &board, T0).is_empty());
}

#[test]
fn rights_are_part_of_who_somebody_is() {
    let [full, concealed] = [true, false].map(|sees_names| published::fingerprint(&guest("a", sees_names, "")));
    assert_ne!(full, concealed);
    let mut narrow = guest("a", false, "");
    narrow.principal.channels = Some(Vec::new());
    assert_ne!(published::fingerprint(&narrow), concealed);
    let mut renewed = guest("a", false, "");
    renewed.principal.expires_at = at(7_200_000);
    assert_eq!(published::fingerprint(&renewed), concealed, "a successor repeats nothing for a renewal");
}
