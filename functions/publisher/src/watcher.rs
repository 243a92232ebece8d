//! One connection: what it watches, and what of that it has got.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use auth::{Action, Principal};
use gateway::PostError;
use projections::{ChannelId, Kind, Timestamp};
use store::Connection;

use crate::{
    board::{Board, Forms, Notice, Place},
    closing::{Closing, Outcome, Stage},
    delivery::{DueView, Message, Receipt, Until},
    published,
    roster::{Roster, Rosters},
};

/// API Gateway answers 410 until the handshake is over. A connection that is gone within this time of connecting may
/// only be on its way in.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection whose buffer is full, or that answered with an error, is left alone for this long.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Notices that wait for a connection, for each channel that it named: two ticks' worth. The oldest are dropped.
const MAX_WAITING: usize = 40;

/// One connection.
pub(crate) struct Watcher {
    /// Who is there.
    pub(crate) principal: Principal,
    /// The channels that it named.
    pub(crate) direct: Vec<Direct>,
    /// The kinds of which it watches all.
    pub(crate) collections: Vec<Kind>,
    /// Until when it may be sent anything.
    pub(crate) until: Until,
    /// Whether it takes several messages in one frame.
    pub(crate) batches: bool,
    fingerprint: u64,
    sees_names: bool,
    source_ip: Option<String>,
    connected_at: Timestamp,
    got: HashMap<Place, u64>,
    waiting: VecDeque<Notice>,
    is_busy: bool,
    alone_until: Timestamp,
    /// How far its end has come, and when that goes on.
    stage: Stage,
    closing_at: Timestamp,
}

/// A channel that a connection named.
pub(crate) struct Direct {
    /// Where it stands on the board.
    pub(crate) place: Place,
    /// Fingerprint of the view that answered its `subscribe`.
    answered: Option<u64>,
    /// Whether that answer showed names.
    with_names: bool,
}

impl Watcher {
    /// Somebody who has got nothing yet.
    pub(crate) fn new(connection: &Connection, board: &mut Board) -> Self {
        let mut watcher = Self {
            principal: connection.principal.clone(),
            direct: Vec::new(),
            collections: Vec::new(),
            until: Until::new(Timestamp::EPOCH),
            batches: connection.batch,
            fingerprint: 0,
            sees_names: auth::allows(&connection.principal, Action::SeeNames),
            source_ip: connection.source_ip.clone(),
            connected_at: connection.connected_at,
            got: HashMap::new(),
            waiting: VecDeque::new(),
            is_busy: false,
            alone_until: Timestamp::EPOCH,
            stage: Stage::default(),
            closing_at: Timestamp::EPOCH,
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

    /// Watches what the connection watches and may see now. A channel subscribed to anew is got anew, and so are names
    /// that it may see since, or no longer.
    pub(crate) fn watch(&mut self, connection: &Connection, board: &mut Board) {
        self.principal.clone_from(&connection.principal);
        self.batches = connection.batch;
        if connection.ending.is_some() {
            self.stage.ending = connection.ending;
        }
        self.until.set(if self.stage.ending.is_some() { Timestamp::EPOCH } else { self.principal.expires_at });
        let fingerprint = published::fingerprint(connection);
        if fingerprint == self.fingerprint {
            return;
        }
        self.fingerprint = fingerprint;
        let sees_names = auth::allows(&self.principal, Action::SeeNames);
        if std::mem::replace(&mut self.sees_names, sees_names) != sees_names {
            self.got.retain(|place, _| !board.poster(*place).shows_names());
        }
        let of_collection =
            |(channel, _): (&ChannelId, _)| if let ChannelId::All(kind) = channel { Some(*kind) } else { None };
        let collections: Vec<Kind> = published::permitted(connection).filter_map(of_collection).collect();
        // A collection watched anew is got anew, too.
        let is_new = |kind: &Kind| collections.contains(kind) && !self.collections.contains(kind);
        self.got.retain(|place, _| !is_new(&board.poster(*place).key.1.kind()));
        self.collections = collections;
        let before = std::mem::take(&mut self.direct);
        for (channel, answered) in published::permitted(connection) {
            if matches!(channel, ChannelId::All(_)) {
                continue;
            }
            let place = board.place(&(self.principal.tenant.clone(), channel.clone()));
            let answered = u64::from_str_radix(answered, 16).ok();
            let known = before.iter().find(|direct| direct.place == place && direct.answered == answered);
            if known.is_none() {
                self.got.remove(&place);
            }
            let with_names = known.map_or(sees_names, |direct| direct.with_names);
            self.direct.push(Direct { place, answered, with_names });
        }
    }

    /// What it is to get `now`, if anything and if it can be posted to. From then on it is busy.
    pub(crate) fn take(&mut self, board: &Board, rosters: &Rosters, is_overview: bool, now: Timestamp) -> Vec<Message> {
        self.hear(board, rosters);
        if self.is_busy || now < self.alone_until || self.until.is_over(now) {
            return Vec::new();
        }
        let messages = self.messages(board, rosters, is_overview, now);
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
            Err(PostError::NoConnection) => true,
            // Within the handshake, which takes milliseconds, the next tick tries again.
            Err(PostError::Gone) => now.since(self.connected_at) > HANDSHAKE,
            Err(_) => {
                self.alone_until = now.plus(BACK_OFF);
                false
            }
        }
    }

    /// How it is to be closed `now`, if it is and if nothing is under way to it. From then on it is busy.
    pub(crate) fn closing(&mut self, id: &str, now: Timestamp) -> Option<Closing> {
        if self.is_busy || now < self.closing_at || !self.until.is_over(now) {
            return None;
        }
        self.is_busy = true;
        Some(Closing {
            connection: id.to_owned(),
            principal: self.principal.clone(),
            source_ip: self.source_ip.clone(),
            connected_at: self.connected_at,
            stage: self.stage,
        })
    }

    /// Notes how far an attempt to close it has come. One that is spared says with the next audience until when.
    pub(crate) fn note_closing(&mut self, stage: Stage, outcome: Outcome, now: Timestamp) {
        self.is_busy = false;
        // What it ends for may have become known while the attempt was under way.
        let known = self.stage.ending;
        self.stage = stage;
        self.stage.ending = stage.ending.or(known);
        if self.stage.ending.is_some() {
            self.until.set(Timestamp::EPOCH);
        }
        if outcome == Outcome::Unfinished {
            self.closing_at = now.plus(BACK_OFF);
        }
    }

    /// Whether it has got all that is on the board for it.
    pub(crate) fn is_up_to_date(&self, board: &Board, rosters: &Rosters) -> bool {
        !self.is_busy && self.missing(board, rosters, true).next().is_none()
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

    fn messages(&mut self, board: &Board, rosters: &Rosters, is_overview: bool, now: Timestamp) -> Vec<Message> {
        let has_it = |direct: &&Direct| {
            let poster = board.poster(direct.place);
            let as_shown = direct.with_names == self.sees_names || !poster.shows_names();
            as_shown && direct.answered == poster.fingerprint()
        };
        for direct in self.direct.iter().filter(has_it) {
            self.got.entry(direct.place).or_insert(board.poster(direct.place).revision);
        }
        let views: Vec<Message> = self
            .missing(board, rosters, is_overview)
            .map(|(place, forms, is_prompt)| {
                let poster = board.poster(place);
                let due_at = if is_prompt && self.got.contains_key(&place) { poster.published_at } else { now };
                let message = forms.shown(self.sees_names).clone();
                Message::View(DueView { place, revision: poster.revision, message, due_at })
            })
            .collect();
        let mut waiting = std::mem::take(&mut self.waiting);
        // What has waited since before an unsubscribe, or a token that opens less, is told no more.
        waiting.retain(|notice| self.is_for_us(notice, board));
        let waiting = waiting.into_iter().map(|notice| Message::Notice(notice.shown(self.sees_names)));
        waiting.chain(views).collect()
    }

    fn is_for_us(&self, notice: &Notice, board: &Board) -> bool {
        let is_direct = self.direct.iter().any(|direct| board.poster(direct.place).key.1 == notice.channel);
        is_direct || (notice.is_for_collection && self.collections.contains(&notice.channel.kind()))
    }

    /// The views that it has not got, and of each whether it is to have that at once, and not with overviews only.
    fn missing<'a>(
        &'a self,
        board: &'a Board,
        rosters: &'a Rosters,
        is_overview: bool,
    ) -> impl Iterator<Item = (Place, &'a Forms, bool)> {
        let direct = self.direct.iter().map(|direct| (direct.place, true));
        let members = self.members(rosters).filter(move |place| is_overview || !self.got.contains_key(place));
        direct.chain(members.map(|place| (place, false))).filter_map(move |(place, is_prompt)| {
            let poster = board.poster(place);
            let is_old = self.got.get(&place).is_some_and(|revision| *revision >= poster.revision);
            let forms = poster.message.as_ref().filter(|_| !is_old)?;
            Some((place, forms, is_prompt))
        })
    }

    /// The members of its collections, but for those that it named itself.
    fn members(&self, rosters: &Rosters) -> impl Iterator<Item = Place> {
        self.collections
            .iter()
            .filter_map(|kind| rosters.get(&(self.principal.tenant.clone(), *kind)))
            .flat_map(Roster::places)
            .filter(|place| !self.direct.iter().any(|direct| direct.place == *place))
    }
}
