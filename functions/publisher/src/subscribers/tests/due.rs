//! Since when a view is due to whom.

use super::*;

/// Makes the view after so many calls, in a tick that begins `at` then.
fn make(stage: &mut Stage, calls: i64, at: Timestamp) -> Slot {
    let slot = stage.cache.slot(&key("campaign:c"));
    stage.read(slot, answered(calls), at);
    slot
}

/// Since when each view of the deliveries is due.
fn due_since(deliveries: &[Delivery]) -> Vec<Timestamp> {
    let of_view = |message: &Message| if let Message::View(view) = message { Some(view.due_at) } else { None };
    deliveries.iter().flat_map(|delivery| delivery.messages.iter().filter_map(of_view)).collect()
}

#[test]
fn who_has_just_come_is_due_the_view_since_then_and_all_others_since_it_was_made() {
    let mut stage = Stage::new();
    make(&mut stage, 1, T0);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let deliveries = stage.due(at(5_000));
    assert_eq!(due_since(&deliveries), [at(5_000)], "it was made before anybody was there");
    stage.note(arrived(&deliveries[0]), at(5_010));
    make(&mut stage, 2, at(6_000));
    assert_eq!(due_since(&stage.due(at(6_000))), [at(6_000)]);
}

#[test]
fn the_time_that_a_connection_is_left_alone_counts_from_when_the_newest_view_was_made() {
    let mut stage = Stage::new();
    make(&mut stage, 1, T0);
    stage.connect(vec![connection("a", &[("campaign:c", "")])]);
    let deliveries = stage.due(T0);
    stage.note(arrived(&deliveries[0]), T0);
    make(&mut stage, 2, at(1_000));
    stage.due(at(1_000));
    let limited = Delivered { end: Err(PostError::Limited), ..Delivered::to("a".to_owned()) };
    stage.note(limited, at(1_000));
    make(&mut stage, 3, at(1_100));
    assert!(stage.due(at(1_100)).is_empty());
    make(&mut stage, 3, at(1_500));
    assert_eq!(due_since(&stage.due(at(1_500))), [at(1_100)]);
}

#[test]
fn who_watches_all_campaigns_is_due_their_views_with_an_overview() {
    let mut stage = Stage::new();
    let slot = make(&mut stage, 1, T0);
    stage.collect(slot);
    stage.connect(vec![connection("a", &[("campaigns", "")])]);
    let deliveries = stage.deliveries(true, T0);
    stage.note(arrived(&deliveries[0]), T0);
    make(&mut stage, 2, at(300));
    assert!(stage.deliveries(false, at(300)).is_empty());
    assert_eq!(due_since(&stage.deliveries(true, at(1_000))), [at(1_000)]);
}
