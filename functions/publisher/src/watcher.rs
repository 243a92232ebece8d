//! One connection: what it watches, and what of that it has got.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use gateway::PostError;
use projections::{ChannelId, Kind, TenantId, Timestamp};
use store::Connection;

use crate::{
    board::{Board, Notice, Place},
    published,
    roster::{Roster, Rosters},
};

/// API Gateway answers 410 until the handshake is over. A connection that is gone within this time of connecting may
/// only be on its way in.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection whose buffer is full, or that answered with an error, is left alone for this long.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Notices that wait for a connection, for each channel that it named: two ticks' worth. The oldest are dropped.
const MAX_WAITING: usize = 40;

/// A message to a connection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    /// Something told beside the views. It is told once.
    Notice(Notice),
    /// A view: where it stands, its revision, and the message. A newer one takes its place.
    View(Place, u64, Bytes),
}

/// What became of the messages to one connection.
#[derive(Debug)]
pub(crate) struct Receipt {
    /// Whose.
    pub(crate) connection: String,
    /// The views that arrived.
    pub(crate) got: Vec<(Place, u64)>,
    /// The notices that did not arrive, oldest first.
    pub(crate) unsent: Vec<Notice>,
    /// How many messages arrived, views and notices.
    pub(crate) posted: u64,
    /// How it ended.
    pub(crate) end: Result<(), PostError>,
}

/// One connection.
pub(crate) struct Watcher {
    /// Whose data it may see.
    pub(crate) tenant: TenantId,
    /// The channels that it named.
    pub(crate) direct: Vec<Direct>,
    /// The kinds of which it watches all.
    pub(crate) collections: Vec<Kind>,
    fingerprint: u64,
    connected_at: Timestamp,
    expires_at: Timestamp,
    got: HashMap<Place, u64>,
    waiting: VecDeque<Notice>,
    is_busy: bool,
    alone_until: Timestamp,
}

/// A channel that a connection named.
pub(crate) struct Direct {
    /// Where it stands on the board.
    pub(crate) place: Place,
    /// Fingerprint of the view that answered its `subscribe`.
    answered: Option<u64>,
}

impl Watcher {
    /// Somebody who has got nothing yet.
    pub(crate) fn new(connection: &Connection, board: &mut Board) -> Self {
        let mut watcher = Self {
            tenant: connection.tenant.clone(),
            direct: Vec::new(),
            collections: Vec::new(),
            fingerprint: 0,
            connected_at: connection.connected_at,
            expires_at: connection.expires_at,
            got: HashMap::new(),
            waiting: VecDeque::new(),
            is_busy: false,
            alone_until: Timestamp::EPOCH,
        };
        watcher.watch(connection, board);
        watcher
    }

    /// Tells it apart from itself with other subscriptions.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Takes for granted what a predecessor has published.
    pub(crate) fn trust(&mut self, board: &Board) {
        self.got = board.restored().collect();
    }

    /// Watches what the connection watches now. A channel subscribed to anew is got anew.
    pub(crate) fn watch(&mut self, connection: &Connection, board: &mut Board) {
        let fingerprint = published::fingerprint(connection);
        if fingerprint == self.fingerprint {
            return;
        }
        self.fingerprint = fingerprint;
        self.expires_at = connection.expires_at;
        let of_collection = |channel: &ChannelId| if let ChannelId::All(kind) = channel { Some(*kind) } else { None };
        let collections: Vec<Kind> = connection.channels.keys().filter_map(of_collection).collect();
        // A collection watched anew is got anew, too.
        let is_new = |kind: &Kind| collections.contains(kind) && !self.collections.contains(kind);
        self.got.retain(|place, _| !is_new(&board.poster(*place).key.1.kind()));
        self.collections = collections;
        let before = std::mem::take(&mut self.direct);
        for (channel, answered) in &connection.channels {
            if matches!(channel, ChannelId::All(_)) {
                continue;
            }
            let place = board.place(&(connection.tenant.clone(), channel.clone()));
            let answered = u64::from_str_radix(answered, 16).ok();
            if !before.iter().any(|direct| direct.place == place && direct.answered == answered) {
                self.got.remove(&place);
            }
            self.direct.push(Direct { place, answered });
        }
    }

    /// What it is to get `now`, if anything and if it can be posted to. From then on it is busy.
    pub(crate) fn take(&mut self, board: &Board, rosters: &Rosters, is_overview: bool, now: Timestamp) -> Vec<Message> {
        self.hear(board, rosters);
        if self.is_busy || now < self.alone_until || now >= self.expires_at {
            return Vec::new();
        }
        let messages = self.messages(board, rosters, is_overview);
        self.is_busy = !messages.is_empty();
        messages
    }

    /// Notes what became of the messages; true if the connection is gone for good.
    pub(crate) fn note(&mut self, receipt: Receipt, now: Timestamp) -> bool {
        self.is_busy = false;
        self.got.extend(receipt.got);
        for notice in receipt.unsent.into_iter().rev() {
            self.waiting.push_front(notice);
        }
        match receipt.end {
            Ok(()) => false,
            // Within the handshake, which takes milliseconds, the next tick tries again.
            Err(PostError::Gone) => now.since(self.connected_at) > HANDSHAKE,
            Err(_) => {
                self.alone_until = now.plus(BACK_OFF);
                false
            }
        }
    }

    /// Whether it has got all that is on the board for it.
    pub(crate) fn is_up_to_date(&self, board: &Board, rosters: &Rosters) -> bool {
        !self.is_busy && self.views(board, rosters, true).next().is_none()
    }

    /// Puts the notices of this tick with those that wait.
    fn hear(&mut self, board: &Board, rosters: &Rosters) {
        let direct = self.direct.iter().flat_map(|direct| board.poster(direct.place).notices.iter());
        let members = self
            .members(rosters)
            .flat_map(|place| board.poster(place).notices.iter().filter(|notice| notice.is_for_collection));
        let heard: Vec<Notice> = direct.chain(members).cloned().collect();
        self.waiting.extend(heard);
        let limit = MAX_WAITING * self.direct.len().max(1);
        while self.waiting.len() > limit {
            // Call events go first: who misses a change of status goes on showing a wrong one.
            let oldest = self.waiting.iter().position(|notice| !notice.is_for_collection).unwrap_or(0);
            self.waiting.remove(oldest);
        }
    }

    fn messages(&mut self, board: &Board, rosters: &Rosters, is_overview: bool) -> Vec<Message> {
        let answered = |direct: &&Direct| direct.answered == board.poster(direct.place).fingerprint();
        for direct in self.direct.iter().filter(answered) {
            self.got.entry(direct.place).or_insert(board.poster(direct.place).revision);
        }
        let views: Vec<Message> = self.views(board, rosters, is_overview).collect();
        self.waiting.drain(..).map(Message::Notice).chain(views).collect()
    }

    /// The views that it has not got.
    fn views(&self, board: &Board, rosters: &Rosters, is_overview: bool) -> impl Iterator<Item = Message> {
        let direct = self.direct.iter().map(|direct| direct.place);
        let members = self.members(rosters).filter(move |place| is_overview || !self.got.contains_key(place));
        direct.chain(members).filter_map(move |place| {
            let poster = board.poster(place);
            let is_old = self.got.get(&place).is_some_and(|revision| *revision >= poster.revision);
            let message = poster.message.as_ref().filter(|_| !is_old)?;
            Some(Message::View(place, poster.revision, message.clone()))
        })
    }

    /// The members of its collections, but for those that it named itself.
    fn members(&self, rosters: &Rosters) -> impl Iterator<Item = Place> {
        self.collections
            .iter()
            .filter_map(|kind| rosters.get(&(self.tenant.clone(), *kind)))
            .flat_map(Roster::places)
            .filter(|place| !self.direct.iter().any(|direct| direct.place == *place))
    }
}
