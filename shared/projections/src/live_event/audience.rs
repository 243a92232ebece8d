//! What is counted of an audience: over an event's life, and in each window of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Event;
use crate::window::Counts;

/// What the audience did, in a partition or in a window of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    pub(super) messages: u64,
    pub(super) votes: u64,
    pub(super) questions: u64,
    pub(super) upvotes: u64,
    pub(super) reactions: u64,
    #[serde(default)]
    arrivals: u64,
}

impl Audience {
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::MessageSent => self.messages += 1,
            Event::PollVoteCast => self.votes += 1,
            Event::QuestionAsked => self.questions += 1,
            Event::QuestionUpvoted => self.upvotes += 1,
            Event::ReactionSent => self.reactions += 1,
            Event::CheckIn { .. } => self.arrivals += 1,
        }
    }
}

impl Counts for Audience {
    fn follow(&mut self, later: &Self) {
        self.merge(later);
    }

    fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.votes += other.votes;
        self.questions += other.questions;
        self.upvotes += other.upvotes;
        self.reactions += other.reactions;
        self.arrivals += other.arrivals;
    }

    fn values(&self, _: Duration) -> Map<String, Value> {
        [
            ("totalMessages", self.messages),
            ("totalVotes", self.votes),
            ("totalQuestions", self.questions),
            ("totalUpvotes", self.upvotes),
            ("totalReactions", self.reactions),
            ("checkIns", self.arrivals),
        ]
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect()
    }
}
