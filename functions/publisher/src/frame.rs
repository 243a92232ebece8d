//! What is posted at once: a message, or as many as fit for a connection that asked for it.

use std::collections::VecDeque;

use bytes::Bytes;
use projections::Timestamp;
use protocol::FrameRoom;

use crate::delivery::Message;

/// The messages of one post, in order; at least one.
#[derive(Debug)]
pub(crate) struct Frame {
    messages: Vec<Message>,
    /// Whether they are wrapped, also where there is only one: whoever asked for batches then has one path.
    is_batch: bool,
}

impl Frame {
    /// Takes the next frame off the front of a connection's messages. One that is too large for any batch goes by itself,
    /// as it is.
    pub(crate) fn next(messages: &mut VecDeque<Message>, batches: bool) -> Option<Self> {
        let mut room = FrameRoom::new();
        let count =
            if batches { messages.iter().take_while(|message| room.take(message.bytes().len())).count() } else { 0 };
        if count == 0 {
            return messages.pop_front().map(|message| Self { messages: vec![message], is_batch: false });
        }
        Some(Self { messages: messages.drain(..count).collect(), is_batch: true })
    }

    /// What is posted.
    pub(crate) fn bytes(&self, now: Timestamp) -> Bytes {
        match &self.messages[..] {
            [message] if !self.is_batch => message.bytes().clone(),
            messages => protocol::batch(messages.iter().map(|message| &message.bytes()[..]), now).into(),
        }
    }

    /// Its messages.
    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.messages
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use protocol::MAX_FRAME_BYTES;
    use serde_json::Value;

    use super::*;
    use crate::cached_view::Notice;

    /// A message of so many bytes that says which one it is.
    fn message(number: usize, bytes: usize) -> Message {
        let message = format!("{{\"n\":{number},\"x\":\"\"}}");
        let padding = "x".repeat(bytes.saturating_sub(message.len()));
        let message = Bytes::from(message.replace("\"\"", &format!("\"{padding}\"")));
        Message::Notice(Notice {
            channel: "campaign:c".parse().unwrap(),
            message,
            concealed: None,
            is_for_collection: false,
        })
    }

    fn frames(sizes: &[usize], batches: bool) -> Vec<Bytes> {
        let mut messages: VecDeque<Message> = sizes.iter().enumerate().map(|(n, bytes)| message(n, *bytes)).collect();
        let now = Timestamp::EPOCH.plus(Duration::from_secs(1));
        std::iter::from_fn(|| Frame::next(&mut messages, batches)).map(|frame| frame.bytes(now)).collect()
    }

    fn numbers(frame: &[u8]) -> Vec<u64> {
        let frame: Value = serde_json::from_slice(frame).unwrap();
        let messages = frame["messages"].as_array().cloned().unwrap_or_else(|| vec![frame.clone()]);
        messages.iter().map(|message| message["n"].as_u64().unwrap()).collect()
    }

    fn sizes() -> impl Strategy<Value = Vec<usize>> {
        let size = prop_oneof![8 => 20..2_000_usize, 2 => 2_000..32_600_usize, 1 => 32_600..60_000_usize];
        prop::collection::vec(size, 0..60)
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_frame_in_order_and_no_frame_is_too_large(sizes in sizes()) {
            let frames = frames(&sizes, true);
            let sent: Vec<u64> = frames.iter().flat_map(|frame| numbers(frame)).collect();
            prop_assert_eq!(sent, (0..sizes.len() as u64).collect::<Vec<_>>());
            for frame in &frames {
                let is_alone = frame.starts_with(br#"{"n""#);
                prop_assert!(is_alone || frame.len() <= MAX_FRAME_BYTES);
            }
            let total: usize = frames.iter().map(Bytes::len).sum();
            prop_assert!(frames.len() <= 1 + 2 * total / MAX_FRAME_BYTES, "two in a row never fit into one");
        }

        #[test]
        fn who_did_not_ask_gets_each_message_as_it_is(sizes in sizes()) {
            let alone: Vec<Bytes> = sizes.iter().enumerate().map(|(n, bytes)| message(n, *bytes).bytes().clone()).collect();
            prop_assert_eq!(frames(&sizes, false), alone);
        }
    }

    #[test]
    fn a_single_message_is_a_batch_and_one_that_fits_no_batch_goes_as_it_is() {
        let expected = r#"{"type":"batch","messages":[{"n":0,"x":""}],"timestamp":"1970-01-01T00:00:01.000Z"}"#;
        assert_eq!(frames(&[0], true), [expected]);
        assert_eq!(frames(&[40_000], true), [message(0, 40_000).bytes()]);
    }
}
