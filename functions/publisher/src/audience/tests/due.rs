//! Since when a view is due to whom.

use super::*;

/// Makes the view after so many calls, in a tick that begins `at` then.
fn make(board: &mut Board, calls: i64, at: Timestamp) -> Place {
    let place = board.place(&key("campaign:c"));
    board.clear_notices();
    read_at(board, place, answered(calls), at);
    place
}

/// Since when each view of the parcels is due.
fn due_since(parcels: &[Parcel]) -> Vec<Timestamp> {
    let of_view = |message: &Message| if let Message::View(view) = message { Some(view.due_at) } else { None };
    parcels.iter().flat_map(|parcel| parcel.messages.iter().filter_map(of_view)).collect()
}

#[test]
fn who_has_just_come_is_due_the_view_since_then_and_all_others_since_it_was_made() {
    let mut board = Board::new(Duration::from_secs(1));
    make(&mut board, 1, T0);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let parcels = due(&mut audience, &board, at(5_000));
    assert_eq!(due_since(&parcels), [at(5_000)], "it was made before anybody was there");
    audience.note(arrived(&parcels[0]), at(5_010));
    make(&mut board, 2, at(6_000));
    assert_eq!(due_since(&due(&mut audience, &board, at(6_000))), [at(6_000)]);
}

#[test]
fn the_time_that_a_connection_is_left_alone_counts_from_when_the_newest_view_was_made() {
    let mut board = Board::new(Duration::from_secs(1));
    make(&mut board, 1, T0);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
    let parcels = due(&mut audience, &board, T0);
    audience.note(arrived(&parcels[0]), T0);
    make(&mut board, 2, at(1_000));
    due(&mut audience, &board, at(1_000));
    let limited = Receipt { end: Err(PostError::Limited), ..Receipt::to("a".to_owned()) };
    audience.note(limited, at(1_000));
    make(&mut board, 3, at(1_100));
    assert!(due(&mut audience, &board, at(1_100)).is_empty());
    make(&mut board, 3, at(1_500));
    assert_eq!(due_since(&due(&mut audience, &board, at(1_500))), [at(1_100)]);
}

#[test]
fn who_watches_all_campaigns_is_due_their_views_with_an_overview() {
    let mut board = Board::new(Duration::from_secs(1));
    let place = make(&mut board, 1, T0);
    let mut rosters = Rosters::new();
    rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
    let mut audience = audience(&mut board, vec![connection("a", &[("campaigns", "")])]);
    let parcels = audience.parcels(&board, &rosters, true, T0);
    audience.note(arrived(&parcels[0]), T0);
    make(&mut board, 2, at(300));
    assert!(audience.parcels(&board, &rosters, false, at(300)).is_empty());
    assert_eq!(due_since(&audience.parcels(&board, &rosters, true, at(1_000))), [at(1_000)]);
}
