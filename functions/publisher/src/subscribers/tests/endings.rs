//! Who is closed, and when.

use store::CloseReason;

use super::*;

/// When the token of [`connection`] expires, in milliseconds.
const EXPIRES: u64 = 3_600_000;

/// A cache with a campaign, and one connection that watches it.
fn stage(watching: Connection) -> Stage {
    let mut stage = Stage::new();
    stage.refresh("campaign:c", 1);
    stage.connect(vec![watching]);
    stage
}

fn watching() -> Connection {
    connection("a", &[("campaign:c", "")])
}

fn renewed() -> Connection {
    let mut connection = watching();
    connection.principal.expires_at = at(2 * EXPIRES);
    connection
}

fn revoked() -> Connection {
    Connection { ending: Some(CloseReason::Revoked), ..watching() }
}

#[test]
fn a_connection_gets_views_until_its_token_expires() {
    let mut stage = stage(watching());
    assert!(stage.subscribers.closings(at(EXPIRES - 1)).is_empty());
    assert_eq!(stage.due(at(EXPIRES - 1)).len(), 1);
    let mut stage = self::stage(watching());
    assert!(stage.due(at(EXPIRES)).is_empty());
}

#[test]
fn a_connection_whose_token_has_expired_is_closed_and_there_until_it_is() {
    let mut stage = stage(watching());
    let closings = stage.subscribers.closings(at(EXPIRES));
    assert_eq!(closings.len(), 1);
    assert_eq!(closings[0].stage.ending, None, "the table is yet to be asked");
    assert!(stage.subscribers.closings(at(EXPIRES + 1000)).is_empty(), "one attempt at a time");
    assert!(!stage.subscribers.is_empty());
    stage.note_closing(&closings[0], Outcome::Over, at(EXPIRES));
    assert!(stage.subscribers.is_empty());
}

#[test]
fn a_connection_whose_access_was_ended_is_closed_at_once_and_gets_nothing_more() {
    let mut stage = stage(watching());
    stage.connect(vec![revoked()]);
    assert!(stage.due(T0).is_empty());
    assert_eq!(stage.subscribers.closings(T0)[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn a_publisher_that_meets_a_connection_with_its_end_closes_it_too() {
    let mut stage = stage(revoked());
    assert!(stage.due(T0).is_empty());
    assert_eq!(stage.subscribers.closings(T0)[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn what_is_under_way_to_a_connection_ends_with_it_and_it_is_closed_after_that() {
    let mut stage = stage(watching());
    let delivery = stage.due(T0).remove(0);
    assert!(!delivery.until.is_over(T0));
    stage.connect(vec![revoked()]);
    assert!(delivery.until.is_over(T0));
    assert!(stage.subscribers.closings(T0).is_empty(), "why it ends comes after all else");
    stage.note(arrived(&delivery), T0);
    assert_eq!(stage.subscribers.closings(T0).len(), 1);
}

#[test]
fn a_renewal_counts_for_what_is_under_way_too() {
    let mut stage = stage(watching());
    let delivery = stage.due(T0).remove(0);
    assert!(delivery.until.is_over(at(EXPIRES)));
    stage.connect(vec![renewed()]);
    assert!(!delivery.until.is_over(at(EXPIRES)));
}

#[test]
fn an_attempt_that_fails_is_made_again_after_a_while_from_where_it_stopped() {
    let mut stage = stage(watching());
    let mut closing = stage.subscribers.closings(at(EXPIRES)).remove(0);
    closing.stage.ending = Some(CloseReason::TokenExpired);
    stage.note_closing(&closing, Outcome::Unfinished, at(EXPIRES));
    assert!(stage.subscribers.closings(at(EXPIRES + 499)).is_empty());
    assert_eq!(stage.subscribers.closings(at(EXPIRES + 500))[0].stage, closing.stage);
}

#[test]
fn who_is_marked_while_an_attempt_is_under_way_stays_marked() {
    let mut stage = stage(watching());
    let closing = stage.subscribers.closings(at(EXPIRES)).remove(0);
    stage.connect(vec![Connection { ending: Some(CloseReason::Revoked), ..renewed() }]);
    stage.note_closing(&closing, Outcome::Spared, at(EXPIRES));
    assert!(stage.due(at(EXPIRES)).is_empty());
    assert_eq!(stage.subscribers.closings(at(EXPIRES))[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn who_was_spared_gets_views_again_once_the_renewal_is_read() {
    let mut stage = stage(watching());
    let closing = stage.subscribers.closings(at(EXPIRES)).remove(0);
    stage.note_closing(&closing, Outcome::Spared, at(EXPIRES));
    assert!(stage.due(at(EXPIRES)).is_empty(), "until when it may stay is not known yet");
    stage.connect(vec![renewed()]);
    assert!(stage.subscribers.closings(at(EXPIRES)).is_empty());
    assert_eq!(stage.due(at(EXPIRES)).len(), 1);
}
