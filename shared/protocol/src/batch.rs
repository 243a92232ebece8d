//! Several messages in one frame, for connections that asked for it.

use projections::Timestamp;

/// API Gateway meters a post by 32 KB: what is in one frame beyond that is paid as another.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
pub const MAX_FRAME_BYTES: usize = 32 * 1024;

const HEAD: &[u8] = br#"{"type":"batch","messages":["#;
const BEFORE_TIMESTAMP: &[u8] = br#"],"timestamp":""#;
const TAIL: &[u8] = br#""}"#;

/// `2026-01-15T10:30:00.120Z`.
const TIMESTAMP_BYTES: usize = 24;

/// What a frame takes beside its messages and the commas between them.
const ENVELOPE_BYTES: usize = HEAD.len() + BEFORE_TIMESTAMP.len() + TIMESTAMP_BYTES + TAIL.len();

/// The room that is left in a frame.
#[derive(Clone, Copy, Debug)]
pub struct FrameRoom {
    left: usize,
    is_empty: bool,
}

impl FrameRoom {
    /// The room in an empty frame.
    #[must_use]
    pub fn new() -> Self {
        Self { left: MAX_FRAME_BYTES - ENVELOPE_BYTES, is_empty: true }
    }

    /// Takes room for one more message of so many bytes; false, and nothing is taken, if there is not enough.
    #[must_use]
    pub fn take(&mut self, message_bytes: usize) -> bool {
        let needed = message_bytes + usize::from(!self.is_empty);
        let fits = needed <= self.left;
        if fits {
            *self = Self { left: self.left - needed, is_empty: false };
        }
        fits
    }
}

impl Default for FrameRoom {
    fn default() -> Self {
        Self::new()
    }
}

/// The frame of these messages, each of them JSON. They are copied as they are: a view is written once, however many
/// connections get it.
#[must_use]
pub fn batch<'a>(messages: impl IntoIterator<Item = &'a [u8]>, now: Timestamp) -> Vec<u8> {
    let mut frame = HEAD.to_vec();
    for (index, message) in messages.into_iter().enumerate() {
        if index > 0 {
            frame.push(b',');
        }
        frame.extend_from_slice(message);
    }
    frame.extend_from_slice(BEFORE_TIMESTAMP);
    frame.extend_from_slice(now.to_string().as_bytes());
    frame.extend_from_slice(TAIL);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-01-15T10:30:00.120Z".parse().unwrap()
    }

    #[test]
    fn a_batch_holds_its_messages_as_they_are() {
        let messages: [&[u8]; 2] = [br#"{"type":"pong"}"#, br#"{"type":"x", "n":1}"#];
        let frame = batch(messages, now());
        let expected = r#"{"type":"batch","messages":[{"type":"pong"},{"type":"x", "n":1}],"timestamp":"2026-01-15T10:30:00.120Z"}"#;
        assert_eq!(String::from_utf8(frame).unwrap(), expected);
    }

    #[test]
    fn room_is_taken_up_to_the_last_byte_and_no_further() {
        let most = MAX_FRAME_BYTES - batch([], now()).len();
        assert!(FrameRoom::new().take(most) && !FrameRoom::new().take(most + 1));
        let mut room = FrameRoom::new();
        assert!(room.take(most - 11));
        assert!(!room.take(11), "the comma counts");
        assert!(room.take(10) && !room.take(0));
    }
}
