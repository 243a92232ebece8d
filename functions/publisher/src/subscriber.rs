//! One connection: what it watches, and what of that has been delivered to it.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use auth::{Action, Principal};
use gateway::PostError;
use projections::{ChannelId, Kind, Timestamp};
use store::Connection;

use crate::{
    cached_view::{Notice, Posted},
    closing::{Closing, Outcome, Stage},
    delivery::{Delivered, DueView, Message, Until},
    handover,
    members::{Collections, Members},
    view_cache::{Slot, ViewCache},
};

/// API Gateway answers 410 until the handshake is over. A connection that is gone within this time of connecting may
/// only be on its way in.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection whose buffer is full, or that answered with an error, is left alone for this long.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Notices that wait for a connection, for each channel that it named: two ticks' worth. The oldest are dropped.
const MAX_WAITING: usize = 40;

/// One connection.
pub(crate) struct Subscriber {
    /// Who is there.
    pub(crate) principal: Principal,
    /// The channels that it named.
    pub(crate) direct: Vec<Subscription>,
    /// The kinds of which it watches all.
    pub(crate) collections: Vec<Kind>,
    /// Until when it may be sent anything.
    pub(crate) until: Until,
    /// Whether it takes several messages in one frame.
    pub(crate) batches: bool,
    /// When it was opened.
    pub(crate) connected_at: Timestamp,
    /// Tells it apart from itself with other subscriptions or rights, for a successor to know it by.
    pub(crate) subscription: u64,
    source_ip: Option<String>,
    /// The view of each channel that it has, by fingerprint of the form in which it was shown: from a delivery, from the
    /// answer to its `subscribe`, or from a predecessor's. Who has got what, this alone decides.
    delivered: HashMap<Slot, u64>,
    waiting: VecDeque<Notice>,
    is_posted_to: bool,
    alone_until: Timestamp,
    /// How far its end has come, and when that goes on.
    stage: Stage,
    closing_at: Timestamp,
}

/// A channel that a connection named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Where it is in the cache.
    pub(crate) slot: Slot,
    /// Fingerprint of the view that answered its `subscribe`. Another one says that it was subscribed to anew.
    answered: Option<u64>,
}

impl Subscriber {
    /// Somebody to whom nothing has been delivered but what answered their subscriptions.
    pub(crate) fn new(connection: &Connection, cache: &mut ViewCache) -> Self {
        let mut subscriber = Self {
            principal: connection.principal.clone(),
            direct: Vec::new(),
            collections: Vec::new(),
            until: Until::new(Timestamp::EPOCH),
            batches: connection.batch,
            connected_at: connection.connected_at,
            subscription: 0,
            source_ip: connection.source_ip.clone(),
            delivered: HashMap::new(),
            waiting: VecDeque::new(),
            is_posted_to: false,
            alone_until: Timestamp::EPOCH,
            stage: Stage::default(),
            closing_at: Timestamp::EPOCH,
        };
        subscriber.update(connection, cache);
        subscriber
    }

    /// Has got all that a predecessor has published.
    pub(crate) fn inherit(&mut self, cache: &ViewCache) {
        let sees_names = self.sees_names();
        self.delivered.extend(cache.inherited().map(|(slot, inherited)| (slot, inherited.shown(sees_names))));
    }

    /// Watches what the connection watches and may see now. A channel subscribed to anew has the view that answered, or none.
    pub(crate) fn update(&mut self, connection: &Connection, cache: &mut ViewCache) {
        self.principal.clone_from(&connection.principal);
        self.batches = connection.batch;
        self.subscription = handover::subscription(connection);
        if connection.ending.is_some() {
            self.stage.ending = connection.ending;
        }
        self.until.set(if self.stage.ending.is_some() { Timestamp::EPOCH } else { self.principal.expires_at });
        let of_collection =
            |(channel, _): (&ChannelId, _)| if let ChannelId::All(kind) = channel { Some(*kind) } else { None };
        let collections: Vec<Kind> = handover::permitted(connection).filter_map(of_collection).collect();
        // A collection watched anew is shown anew, too.
        let is_new = |kind: &Kind| collections.contains(kind) && !self.collections.contains(kind);
        self.delivered.retain(|slot, _| !is_new(&cache.view(*slot).key.1.kind()));
        self.collections = collections;
        let before = std::mem::take(&mut self.direct);
        for (channel, answered) in handover::permitted(connection) {
            if matches!(channel, ChannelId::All(_)) {
                continue;
            }
            let slot = cache.slot(&(self.principal.tenant.clone(), channel.clone()));
            let subscription = Subscription { slot, answered: u64::from_str_radix(answered, 16).ok() };
            if !before.contains(&subscription) {
                match subscription.answered {
                    Some(answered) => self.delivered.insert(slot, answered),
                    None => self.delivered.remove(&slot),
                };
            }
            self.direct.push(subscription);
        }
        let (direct, collections) = (&self.direct, &self.collections);
        self.delivered.retain(|slot, _| {
            direct.iter().any(|subscription| subscription.slot == *slot)
                || collections.contains(&cache.view(*slot).key.1.kind())
        });
    }

    /// Whether the connection, as an eventually consistent read has found it, is what this one was made of.
    pub(crate) fn is_as(&self, connection: &Connection) -> bool {
        self.subscription == handover::subscription(connection)
            && self.principal == connection.principal
            && self.batches == connection.batch
            && (self.stage.ending.is_some() || connection.ending.is_none())
    }

    /// Whether it may see names of people.
    pub(crate) fn sees_names(&self) -> bool {
        auth::allows(&self.principal, Action::SeeNames)
    }

    /// Takes notices in that are for it. They wait until it can be posted to.
    pub(crate) fn hear<'a>(&mut self, notices: impl Iterator<Item = &'a Notice>) {
        self.waiting.extend(notices.cloned());
        let limit = MAX_WAITING * self.direct.len().max(1);
        while self.waiting.len() > limit {
            // Call events go first: who misses a change of status goes on showing a wrong one.
            let oldest = self.waiting.iter().position(|notice| !notice.is_for_collection).unwrap_or(0);
            self.waiting.remove(oldest);
        }
    }

    /// Whether it named a channel itself.
    pub(crate) fn names(&self, slot: Slot) -> bool {
        self.direct.iter().any(|subscription| subscription.slot == slot)
    }

    /// What it is to get `now`, if anything; nothing where it cannot be posted to. From then on it is being posted to.
    pub(crate) fn take(
        &mut self,
        cache: &ViewCache,
        collections: &Collections,
        is_overview: bool,
        now: Timestamp,
    ) -> Taken {
        if self.is_posted_to || now < self.alone_until {
            return Taken::Later;
        }
        if self.until.is_over(now) {
            return Taken::Nothing;
        }
        let messages = self.messages(cache, collections, is_overview, now);
        if messages.is_empty() {
            return Taken::Nothing;
        }
        self.is_posted_to = true;
        Taken::Messages(messages)
    }

    /// Notes what became of the messages; true if the connection is gone for good.
    pub(crate) fn note(&mut self, delivered: Delivered, now: Timestamp) -> bool {
        self.is_posted_to = false;
        self.delivered.extend(delivered.views);
        for notice in delivered.unsent.into_iter().rev() {
            self.waiting.push_front(notice);
        }
        match delivered.end {
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

    /// How it is to be closed `now`, if it is and if nothing is under way to it. From then on it is being posted to.
    pub(crate) fn closing(&mut self, id: &str, now: Timestamp) -> Option<Closing> {
        if self.is_posted_to || now < self.closing_at || !self.until.is_over(now) {
            return None;
        }
        self.is_posted_to = true;
        Some(Closing {
            connection: id.to_owned(),
            principal: self.principal.clone(),
            source_ip: self.source_ip.clone(),
            connected_at: self.connected_at,
            stage: self.stage,
        })
    }

    /// Notes how far an attempt to close it has come. One that is spared is looked at again, and then says until when.
    pub(crate) fn note_closing(&mut self, stage: Stage, outcome: Outcome, now: Timestamp) {
        self.is_posted_to = false;
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

    /// Whether it has got every view that is there for it.
    pub(crate) fn is_up_to_date(&self, cache: &ViewCache, collections: &Collections) -> bool {
        !self.is_posted_to && self.missing(cache, collections, true).next().is_none()
    }

    fn messages(
        &mut self,
        cache: &ViewCache,
        collections: &Collections,
        is_overview: bool,
        now: Timestamp,
    ) -> Vec<Message> {
        let sees_names = self.sees_names();
        let views: Vec<Message> = self
            .missing(cache, collections, is_overview)
            .map(|(slot, posted, is_prompt)| {
                let due_at = if is_prompt && self.delivered.contains_key(&slot) { posted.made_at } else { now };
                let message = posted.message(sees_names).clone();
                Message::View(DueView { slot, fingerprint: posted.fingerprint(sees_names), message, due_at })
            })
            .collect();
        let mut waiting = std::mem::take(&mut self.waiting);
        // What has waited since before an unsubscribe, or a token that opens less, is told no more.
        waiting.retain(|notice| self.is_for_us(notice, cache));
        let waiting = waiting.into_iter().map(|notice| Message::Notice(notice.shown(sees_names)));
        waiting.chain(views).collect()
    }

    fn is_for_us(&self, notice: &Notice, cache: &ViewCache) -> bool {
        let is_direct = self.direct.iter().any(|direct| cache.view(direct.slot).key.1 == notice.channel);
        is_direct || (notice.is_for_collection && self.collections.contains(&notice.channel.kind()))
    }

    /// The views that it has not got, and of each whether it is to have that at once, and not with overviews only.
    fn missing<'a>(
        &'a self,
        cache: &'a ViewCache,
        collections: &'a Collections,
        is_overview: bool,
    ) -> impl Iterator<Item = (Slot, &'a Posted, bool)> {
        let sees_names = self.sees_names();
        let direct = self.direct.iter().map(|direct| (direct.slot, true));
        let members = self.members(collections).filter(move |slot| is_overview || !self.delivered.contains_key(slot));
        direct.chain(members.map(|slot| (slot, false))).filter_map(move |(slot, is_prompt)| {
            let posted = cache.view(slot).posted()?;
            let has_it = self.delivered.get(&slot) == Some(&posted.fingerprint(sees_names));
            (!has_it).then_some((slot, posted, is_prompt))
        })
    }

    /// The members of its collections, but for those that it named itself.
    fn members(&self, collections: &Collections) -> impl Iterator<Item = Slot> {
        self.collections
            .iter()
            .filter_map(|kind| collections.get(&(self.principal.tenant.clone(), *kind)))
            .flat_map(Members::slots)
            .filter(|slot| !self.names(*slot))
    }
}

/// What somebody is to get.
pub(crate) enum Taken {
    /// There is nothing for them.
    Nothing,
    /// They are being posted to, or left alone for a while: to be asked again.
    Later,
    /// Notices first, then views.
    Messages(Vec<Message>),
}
