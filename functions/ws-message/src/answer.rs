//! What a message is answered with: one frame, for the gateway sends no more.

use std::collections::HashMap;

use projections::{ChannelId, Timestamp};
use protocol::{ErrorCode, FrameRoom, Rejection, error_message, subscribed, subscribed_to_all};

/// The answer to a message.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A message.
    Message(String),
    /// Several messages.
    Batch(Vec<String>),
}

/// A channel's view, ready to be sent.
#[derive(Debug)]
pub(crate) struct View {
    /// The message that carries it.
    pub(crate) message: String,
    /// Tells the publisher what was sent.
    pub(crate) fingerprint: String,
}

/// The answer to a subscription to a list, while it is made.
pub(crate) struct ListAnswer {
    rejected: Vec<Rejection>,
    is_batch: bool,
    views: HashMap<ChannelId, View>,
}

impl Answer {
    /// The frame.
    pub(crate) fn into_frame(self, now: Timestamp) -> String {
        match self {
            Self::Message(message) => message,
            Self::Batch(messages) => {
                let frame = protocol::batch(messages.iter().map(String::as_bytes), now);
                // Made of text; nothing is lost.
                String::from_utf8_lossy(&frame).into_owned()
            }
        }
    }
}

impl ListAnswer {
    /// An answer that tells so far what was not followed.
    pub(crate) fn new(rejected: Vec<Rejection>, is_batch: bool) -> Self {
        Self { rejected, is_batch, views: HashMap::new() }
    }

    /// A channel is not followed. What was read of it is not shown.
    pub(crate) fn reject(&mut self, channel: &ChannelId, code: ErrorCode) {
        self.views.remove(channel);
        self.rejected.push(Rejection::of("subscribe", code).for_channel(channel));
    }

    /// None of these is followed.
    pub(crate) fn reject_all(&mut self, channels: &[ChannelId], code: ErrorCode) {
        for channel in channels {
            self.reject(channel, code);
        }
    }

    /// The room for views, beside all else that is to be told of these channels; nothing where there is none. Views that
    /// find none follow with the publisher's next tick.
    pub(crate) fn room(&self, channels: &[ChannelId], now: Timestamp) -> Option<FrameRoom> {
        let mut room = FrameRoom::new();
        // The list of those that follow is no longer than that of all.
        let all = subscribed_to_all(channels, &[], now);
        let mut rest = self.told(channels, now).into_iter().chain([all]);
        (self.is_batch && rest.all(|message| room.take(message.len()))).then_some(room)
    }

    /// Shows a channel's view, for which there was room.
    pub(crate) fn show(&mut self, channel: ChannelId, view: View) {
        self.views.insert(channel, view);
    }

    /// What the publisher is to know of a channel: which view answered, where one did.
    pub(crate) fn answered(&self, channel: &ChannelId) -> String {
        self.views.get(channel).map(|view| view.fingerprint.clone()).unwrap_or_default()
    }

    /// The answer, now that the connection watches these channels.
    pub(crate) fn into_answer(mut self, channels: &[ChannelId], now: Timestamp) -> Answer {
        if !self.is_batch {
            return Answer::Message(subscribed_to_all(channels, &self.rejected, now));
        }
        let mut messages = self.told(channels, now);
        let follows = |channel: &&ChannelId| !is_collection(channel) && !self.views.contains_key(*channel);
        let following: Vec<ChannelId> = channels.iter().filter(follows).cloned().collect();
        if !following.is_empty() {
            messages.push(subscribed_to_all(&following, &[], now));
        }
        messages.extend(channels.iter().filter_map(|channel| self.views.remove(channel)).map(|view| view.message));
        Answer::Batch(messages)
    }

    /// What is told whatever room there is: errors, and collections whose views always follow.
    fn told(&self, channels: &[ChannelId], now: Timestamp) -> Vec<String> {
        let errors = self.rejected.iter().map(|rejection| error_message(rejection, now));
        let collections = channels.iter().filter(|channel| is_collection(channel));
        errors.chain(collections.map(|channel| subscribed(channel, now))).collect()
    }
}

/// Whether the channel's views are many, and come one by one.
pub(crate) fn is_collection(channel: &ChannelId) -> bool {
    matches!(channel, ChannelId::All(_))
}
