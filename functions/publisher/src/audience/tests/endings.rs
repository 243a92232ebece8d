//! Who is closed, and when.

use store::CloseReason;

use super::*;

/// When the token of [`connection`] expires, in milliseconds.
const EXPIRES: u64 = 3_600_000;

/// A board with a campaign, and one connection that watches it.
fn stage(watching: Connection) -> (Board, Audience) {
    let mut board = Board::new(Duration::from_secs(1));
    refresh(&mut board, "campaign:c", 1);
    let audience = audience(&mut board, vec![watching]);
    (board, audience)
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

fn look_again(audience: &mut Audience, board: &mut Board, connection: Connection) {
    audience.replace(vec![connection], board, &HashSet::new());
}

#[test]
fn a_connection_gets_views_until_its_token_expires() {
    let (board, mut audience) = stage(watching());
    assert!(audience.closings(at(EXPIRES - 1)).is_empty());
    assert!(due(&mut audience, &board, at(EXPIRES)).is_empty());
    assert_eq!(due(&mut audience, &board, at(EXPIRES - 1)).len(), 1);
}

#[test]
fn a_connection_whose_token_has_expired_is_closed_and_there_until_it_is() {
    let (_, mut audience) = stage(watching());
    let closings = audience.closings(at(EXPIRES));
    assert_eq!(closings.len(), 1);
    assert_eq!(closings[0].stage.ending, None, "the table is yet to be asked");
    assert!(audience.closings(at(EXPIRES + 1000)).is_empty(), "one attempt at a time");
    assert!(!audience.is_empty());
    audience.note_closing(&closings[0], Outcome::Over, at(EXPIRES));
    assert!(audience.is_empty());
}

#[test]
fn a_connection_whose_access_was_ended_is_closed_at_once_and_gets_nothing_more() {
    let (mut board, mut audience) = stage(watching());
    look_again(&mut audience, &mut board, revoked());
    assert!(due(&mut audience, &board, T0).is_empty());
    assert_eq!(audience.closings(T0)[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn a_publisher_that_meets_a_connection_with_its_end_closes_it_too() {
    let (board, mut audience) = stage(revoked());
    assert!(due(&mut audience, &board, T0).is_empty());
    assert_eq!(audience.closings(T0)[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn what_is_under_way_to_a_connection_ends_with_it_and_it_is_closed_after_that() {
    let (mut board, mut audience) = stage(watching());
    let parcel = due(&mut audience, &board, T0).remove(0);
    assert!(!parcel.until.is_over(T0));
    look_again(&mut audience, &mut board, revoked());
    assert!(parcel.until.is_over(T0));
    assert!(audience.closings(T0).is_empty(), "why it ends comes after all else");
    audience.note(arrived(&parcel), T0);
    assert_eq!(audience.closings(T0).len(), 1);
}

#[test]
fn a_renewal_counts_for_what_is_under_way_too() {
    let (mut board, mut audience) = stage(watching());
    let parcel = due(&mut audience, &board, T0).remove(0);
    assert!(parcel.until.is_over(at(EXPIRES)));
    look_again(&mut audience, &mut board, renewed());
    assert!(!parcel.until.is_over(at(EXPIRES)));
}

#[test]
fn an_attempt_that_fails_is_made_again_after_a_while_from_where_it_stopped() {
    let (_, mut audience) = stage(watching());
    let mut closing = audience.closings(at(EXPIRES)).remove(0);
    closing.stage.ending = Some(CloseReason::TokenExpired);
    audience.note_closing(&closing, Outcome::Unfinished, at(EXPIRES));
    assert!(audience.closings(at(EXPIRES + 499)).is_empty());
    assert_eq!(audience.closings(at(EXPIRES + 500))[0].stage, closing.stage);
}

#[test]
fn who_is_marked_while_an_attempt_is_under_way_stays_marked() {
    let (mut board, mut audience) = stage(watching());
    let closing = audience.closings(at(EXPIRES)).remove(0);
    look_again(&mut audience, &mut board, Connection { ending: Some(CloseReason::Revoked), ..renewed() });
    audience.note_closing(&closing, Outcome::Spared, at(EXPIRES));
    assert!(due(&mut audience, &board, at(EXPIRES)).is_empty());
    assert_eq!(audience.closings(at(EXPIRES))[0].stage.ending, Some(CloseReason::Revoked));
}

#[test]
fn who_was_spared_gets_views_again_once_the_renewal_is_read() {
    let (mut board, mut audience) = stage(watching());
    let closing = audience.closings(at(EXPIRES)).remove(0);
    audience.note_closing(&closing, Outcome::Spared, at(EXPIRES));
    assert!(due(&mut audience, &board, at(EXPIRES)).is_empty(), "until when it may stay is not known yet");
    look_again(&mut audience, &mut board, renewed());
    assert!(audience.closings(at(EXPIRES)).is_empty());
    assert_eq!(due(&mut audience, &board, at(EXPIRES)).len(), 1);
}
