//! Subscribing and unsubscribing: one channel, or a list of them at once.

use auth::Action;
use futures_util::{StreamExt, stream};
use projections::ChannelId;
use protocol::{
    ChannelList, ErrorCode, Named, Rejection, channel_message, subscribed, unsubscribed, unsubscribed_from_all,
};
use runtime::audit::AuditEvent;
use store::{SubscribeError, Terms};

use crate::{
    answer::{Answer, ListAnswer, View, is_collection},
    dispatcher::{Dispatcher, Session},
};

/// Channels of a list that are read at the same time. What is read in vain, for it fits no more, is at most this.
const READ_AHEAD: usize = 16;

impl Dispatcher {
    /// Lets the connection watch what is named.
    pub(crate) async fn subscribe(
        &self,
        session: &Session<'_>,
        named: &Named,
        batch: bool,
    ) -> Result<Answer, ErrorCode> {
        let terms = Terms { max: self.limits.subscriptions, batch };
        match named {
            Named::One(channel) => {
                self.subscribe_to_one(session, self.within(channel)?, terms).await.map(Answer::Message)
            }
            Named::List(list) => self.subscribe_to_all(session, list, terms).await,
        }
    }

    /// Lets the connection watch no more what is named.
    pub(crate) async fn unsubscribe(&self, session: &Session<'_>, named: &Named) -> Result<Answer, ErrorCode> {
        match named {
            Named::One(channel) => {
                let channel = self.within(channel)?;
                self.connections.unsubscribe(&session.connection.id, channel).await.map_err(refused)?;
                Ok(Answer::Message(unsubscribed(channel, session.now)))
            }
            Named::List(list) => self.unsubscribe_from_all(session, list).await,
        }
    }

    /// The channel, if its id is not too long here.
    fn within<'a>(&self, channel: &'a ChannelId) -> Result<&'a ChannelId, ErrorCode> {
        let is_within = channel.id().is_none_or(|id| id.as_str().len() <= self.limits.channel_id_length);
        is_within.then_some(channel).ok_or(ErrorCode::UnknownChannel)
    }

    async fn subscribe_to_one(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
        terms: Terms,
    ) -> Result<String, ErrorCode> {
        check_permitted(session, channel)?;
        self.spend(session, std::slice::from_ref(channel)).await?;
        if let ChannelId::All(_) = channel {
            // Its views are too many for one message; the publisher sends each by itself, from its next tick on.
            self.watch(session, channel, "", terms).await?;
            return Ok(subscribed(channel, session.now));
        }
        let View { message, fingerprint } = self.view(session, channel).await?;
        // The view is read before the connection watches: what changes in between differs from it and will be posted.
        self.watch(session, channel, &fingerprint, terms).await?;
        Ok(message)
    }

    /// The channel's view as it is now.
    async fn view(&self, session: &Session<'_>, channel: &ChannelId) -> Result<View, ErrorCode> {
        let principal = &session.connection.principal;
        let sees_names = auth::allows(principal, Action::SeeNames);
        let view = self.reader.view(&principal.tenant, channel, sees_names, session.now).await;
        let view = view.map_err(|error| admission::failed(&error))?;
        let message = channel_message(view.message_type, channel, &view.data, session.now, &view.cursor);
        Ok(View { message, fingerprint: format!("{:x}", view.fingerprint) })
    }

    /// Lets the connection watch; `answered` tells the publisher what it has got already.
    async fn watch(
        &self,
        session: &Session<'_>,
        channel: &ChannelId,
        answered: &str,
        terms: Terms,
    ) -> Result<(), ErrorCode> {
        let id = &session.connection.id;
        let watching = self.connections.subscribe(id, channel, answered, terms).await;
        watching.map_err(|error| {
            let code = refused(error);
            if code == ErrorCode::TooManySubscriptions {
                session.record(AuditEvent::Limit, Some(channel), Some(code));
            }
            code
        })?;
        session.record(AuditEvent::Subscribe, Some(channel), None);
        self.wake(session).await;
        Ok(())
    }

    async fn wake(&self, session: &Session<'_>) {
        self.waker.wake_unless_leased(self.connections.shard_of(&session.connection.id), session.now).await;
    }

    /// Of a list, the channels that there are here and that pass the `check`; and the others, each with why not.
    fn sort(
        &self,
        list: &ChannelList,
        action: &str,
        check: impl Fn(&ChannelId) -> Result<(), ErrorCode>,
    ) -> (Vec<ChannelId>, Vec<Rejection>) {
        let reject = |code, channel: &str| Rejection::of(action, code).for_channel(channel);
        let mut rejected: Vec<Rejection> =
            list.unknown.iter().map(|name| reject(ErrorCode::UnknownChannel, name)).collect();
        let mut channels = Vec::new();
        for channel in &list.channels {
            match self.within(channel).and_then(&check) {
                Ok(()) => channels.push(channel.clone()),
                Err(code) => rejected.push(reject(code, &channel.to_string())),
            }
        }
        (channels, rejected)
    }

    async fn subscribe_to_all(
        &self,
        session: &Session<'_>,
        list: &ChannelList,
        terms: Terms,
    ) -> Result<Answer, ErrorCode> {
        let known = &session.connection;
        let (mut channels, rejected) = self.sort(list, "subscribe", |channel| check_permitted(session, channel));
        // Known before anything is read for them.
        let mut beyond = known.beyond(&channels, terms.max);
        channels.retain(|channel| !beyond.contains(channel));
        self.spend(session, &channels).await?;

        let mut answer = ListAnswer::new(rejected, known.batch || terms.batch);
        answer.reject_all(&beyond, ErrorCode::TooManySubscriptions);
        // Read before the connection watches, as for one channel.
        let unread = self.read(session, &channels, &mut answer).await?;
        channels.retain(|channel| !unread.contains(channel));
        let answered: Vec<_> = channels.iter().map(|channel| (channel.clone(), answer.answered(channel))).collect();
        if !answered.is_empty() {
            // More than were thought to be, where another message of the same connection came in between.
            let late = self.connections.subscribe_all(known, &answered, terms).await.map_err(refused)?;
            channels.retain(|channel| !late.contains(channel));
            answer.reject_all(&late, ErrorCode::TooManySubscriptions);
            beyond.extend(late);
        }
        for channel in &channels {
            session.record(AuditEvent::Subscribe, Some(channel), None);
        }
        if let Some(first) = beyond.first() {
            // Once for the list: they were too many together.
            session.record(AuditEvent::Limit, Some(first), Some(ErrorCode::TooManySubscriptions));
        }
        if !channels.is_empty() {
            self.wake(session).await;
        }
        Ok(answer.into_answer(&channels, session.now))
    }

    /// Reads views in the order of the channels, as many as the answer has room for. Returns the channels whose view cannot
    /// be had, whenever it is asked for: one that is broken must not hide the others. An error where nothing answers.
    async fn read(
        &self,
        session: &Session<'_>,
        channels: &[ChannelId],
        answer: &mut ListAnswer,
    ) -> Result<Vec<ChannelId>, ErrorCode> {
        let mut unread = Vec::new();
        let Some(mut room) = answer.room(channels, session.now) else { return Ok(unread) };
        let readable = channels.iter().filter(|channel| !is_collection(channel)).cloned();
        let mut reads = stream::iter(readable)
            .map(|channel| async move { (self.view(session, &channel).await, channel) })
            .buffered(READ_AHEAD);
        while let Some((view, channel)) = reads.next().await {
            match view {
                Ok(view) if room.take(view.message.len()) => answer.show(channel, view),
                Ok(_) => break,
                Err(ErrorCode::Unavailable) => return Err(ErrorCode::Unavailable),
                Err(code) => {
                    answer.reject(&channel, code);
                    unread.push(channel);
                }
            }
        }
        Ok(unread)
    }

    async fn unsubscribe_from_all(&self, session: &Session<'_>, list: &ChannelList) -> Result<Answer, ErrorCode> {
        let known = &session.connection;
        let (channels, rejected) = self.sort(list, "unsubscribe", |_| Ok(()));
        self.connections.unsubscribe_all(known, &channels).await.map_err(refused)?;
        if !known.batch {
            return Ok(Answer::Message(unsubscribed_from_all(&channels, &rejected, session.now)));
        }
        let errors = rejected.iter().map(|rejection| protocol::error_message(rejection, session.now));
        let done = channels.iter().map(|channel| unsubscribed(channel, session.now));
        Ok(Answer::Batch(errors.chain(done).collect()))
    }
}

/// Refuses a channel that the connection may not watch.
fn check_permitted(session: &Session<'_>, channel: &ChannelId) -> Result<(), ErrorCode> {
    let principal = &session.connection.principal;
    if auth::allows(principal, Action::Read(channel)) {
        return Ok(());
    }
    Err(admission::deny(principal, Some(channel), session.source_ip))
}

fn refused(error: SubscribeError) -> ErrorCode {
    match error {
        // It was there a moment ago: a post has found it gone in between.
        SubscribeError::Gone => ErrorCode::Unauthorized,
        SubscribeError::TooMany => ErrorCode::TooManySubscriptions,
        SubscribeError::Store(error) => admission::failed(&error),
    }
}
