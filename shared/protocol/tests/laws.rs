//! What holds for all messages and cursors.

use proptest::{collection, prelude::*};
use protocol::{ClientMessage, Cursor, FrameRoom, MAX_CURSOR_BYTES, MAX_FRAME_BYTES, batch};

/// Texts that come near to a message.
fn bodies() -> impl Strategy<Value = String> {
    let field =
        prop_oneof![Just("action"), Just("channel"), Just("campaignId"), Just("channels"), Just("batch"), Just("x")];
    let value = prop_oneof![
        Just("\"subscribe\"".to_owned()),
        Just("\"unsubscribe\"".to_owned()),
        Just("\"ping\"".to_owned()),
        Just("\"campaign:c-17\"".to_owned()),
        Just("\"c-17\"".to_owned()),
        Just("[\"campaign:c-17\",\"x\"]".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        "\\PC{0,20}",
    ];
    let fields = collection::vec((field, value).prop_map(|(field, value)| format!("\"{field}\":{value}")), 0..4);
    prop_oneof![any::<String>(), fields.prop_map(|fields| format!("{{{}}}", fields.join(",")))]
}

/// A channel's slices with their watermarks, each name once, with as many records as fit into the sum.
fn positions() -> impl Strategy<Value = Vec<(String, i64)>> {
    let positions = collection::btree_map("[0-9]{1,10}/[A-Za-z0-9._-]{1,249}/[0-9]{1,10}", 0..1_i64 << 56, 0..40);
    positions.prop_map(|positions| positions.into_iter().collect())
}

fn cursor(positions: &[(String, i64)]) -> Cursor {
    Cursor::of(positions.iter().map(|(slice, offset)| (slice.as_str(), *offset)))
}

proptest! {
    #[test]
    fn whatever_a_client_sends_is_read_or_rejected_without_repeating_it(body in bodies()) {
        if let Err(rejection) = ClientMessage::parse(&body, protocol::MAX_MESSAGE_BYTES) {
            prop_assert!(rejection.action.is_none_or(|action| ["subscribe", "unsubscribe"].contains(&action.as_str())));
        }
    }

    #[test]
    fn what_found_room_makes_a_frame_that_is_small_enough(sizes in collection::vec(2..9_000_usize, 1..40)) {
        let messages: Vec<String> = sizes.iter().map(|size| format!("\"{}\"", "x".repeat(size - 2))).collect();
        let mut room = FrameRoom::new();
        let taken = messages.iter().take_while(|message| room.take(message.len())).count();
        let frame = |count: usize| batch(messages.iter().take(count).map(String::as_bytes), projections::Timestamp::EPOCH);
        prop_assert!(frame(taken).len() <= MAX_FRAME_BYTES);
        prop_assert!(taken == messages.len() || frame(taken + 1).len() > MAX_FRAME_BYTES, "no smaller than it has to be");
        let read: serde_json::Value = serde_json::from_slice(&frame(taken)).expect("a frame is JSON");
        prop_assert_eq!(read["messages"].as_array().map(Vec::len), Some(taken));
    }

    #[test]
    fn a_cursor_reads_back_whatever_it_stands_for(positions in positions()) {
        let cursor = cursor(&positions);
        prop_assert!(cursor.to_string().len() <= MAX_CURSOR_BYTES);
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn the_order_of_the_slices_makes_no_difference(
        (positions, shuffled) in positions().prop_flat_map(|positions| (Just(positions.clone()), Just(positions).prop_shuffle())),
    ) {
        prop_assert_eq!(cursor(&positions), cursor(&shuffled));
    }

    #[test]
    fn any_further_record_makes_another_and_greater_cursor(mut positions in positions(), pick: prop::sample::Index) {
        prop_assume!(!positions.is_empty());
        let before = cursor(&positions);
        pick.get_mut(&mut positions).1 += 1;
        let after = cursor(&positions);
        prop_assert!(after.ordinal() > before.ordinal() && after != before);
    }
}
