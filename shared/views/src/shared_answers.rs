//! Answers that many ask for: what hundreds of users of one tenant look at is read once a second, whoever asks and however
//! often.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use projections::{ChannelId, TenantId, Timestamp, View, campaign::Status};
use protocol::Cursor;
use serde::Serialize;

use crate::{Rendered, reader::render};

/// For how long a reading answers whoever asks, from when it began. The publisher shows these channels once a second.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The most answers that are kept, some 500 KB each at worst. Those older than [`SHARED_FOR`] go first.
const MAX_KEPT: usize = 100;

/// What many ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// The view of a channel that a tenant has one of.
    View(ChannelId),
    /// The tenant's campaigns of a status.
    Campaigns(Status),
}

/// The answer to it, with names of people: what of them an asker gets to see is decided for each.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) shown: Shown,
    pub(crate) cursor: Cursor,
    pub(crate) fingerprint: u64,
}

/// One view, or those of a collection.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    One(View),
    Many(Vec<View>),
}

/// An answer, or a place for it while it is being read.
type Place = Arc<tokio::sync::Mutex<Option<(Timestamp, Arc<Answer>)>>>;

/// The places of all questions, and when each was asked last.
type Places = BTreeMap<(TenantId, Question), (Timestamp, Place)>;

/// The answers of a container. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedAnswers {
    places: Arc<Mutex<Places>>,
}

impl Answer {
    /// The answer as somebody gets it.
    pub(crate) fn render(&self, channel: &ChannelId, sees_names: bool) -> Rendered {
        let (cursor, fingerprint) = (self.cursor.clone(), self.fingerprint);
        if sees_names {
            return render(channel, true, cursor, &self.shown, fingerprint);
        }
        let concealed = match self.shown.clone() {
            Shown::One(view) => Shown::One(view.concealed()),
            Shown::Many(views) => Shown::Many(views.into_iter().map(View::concealed).collect()),
        };
        render(channel, true, cursor, &concealed, fingerprint)
    }
}

impl SharedAnswers {
    /// What answers the tenant's question at `now`: a reading that began less than [`SHARED_FOR`] before, else `read`. Who asks
    /// meanwhile waits for it. An error is told to who had it read, and the next one reads.
    pub(crate) async fn get<E>(
        &self,
        tenant: &TenantId,
        question: Question,
        now: Timestamp,
        read: impl Future<Output = Result<Answer, E>>,
    ) -> Result<Arc<Answer>, E> {
        let place = self.place((tenant.clone(), question), now);
        let mut kept = place.lock().await;
        if let Some((read_at, answer)) = &*kept
            && now.since(*read_at) < SHARED_FOR
        {
            return Ok(answer.clone());
        }
        let answer = Arc::new(read.await?);
        *kept = Some((now, answer.clone()));
        Ok(answer)
    }

    fn place(&self, key: (TenantId, Question), now: Timestamp) -> Place {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked_at, place)) = places.get_mut(&key) {
            *asked_at = now;
            return place.clone();
        }
        // What waits for a reading, or reads, holds its place.
        places.retain(|_, (asked_at, place)| now.since(*asked_at) < SHARED_FOR || Arc::strong_count(place) > 1);
        if places.len() >= MAX_KEPT
            && let Some(oldest) = places.iter().min_by_key(|(_, (asked_at, _))| *asked_at).map(|(key, _)| key.clone())
        {
            places.remove(&oldest);
        }
        let place = Place::default();
        places.insert(key, (now, place.clone()));
        place
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn system() -> Question {
        Question::View("system".parse().unwrap())
    }

    /// Asks, and tells the number of the reading that answered.
    async fn ask(answers: &SharedAnswers, who: &str, question: Question, now: Timestamp, readings: &Cell<u64>) -> u64 {
        let read = async {
            tokio::task::yield_now().await;
            readings.set(readings.get() + 1);
            let cursor = Cursor::composite(now, []);
            Ok::<_, ()>(Answer { shown: Shown::Many(Vec::new()), cursor, fingerprint: readings.get() })
        };
        answers.get(&tenant(who), question, now, read).await.unwrap().fingerprint
    }

    #[tokio::test]
    async fn a_reading_answers_for_less_than_a_second() {
        let (answers, readings) = (SharedAnswers::default(), Cell::default());
        let mut told = Vec::new();
        // The asker at 300 has a clock that is behind.
        for millis in [0, 999, 300, 1_000, 1_999, 2_500] {
            told.push(ask(&answers, "acme", system(), at(millis), &readings).await);
        }
        assert_eq!(told, [1, 1, 1, 2, 2, 3], "from its beginning, however often it is asked for");
    }

    #[tokio::test]
    async fn nobody_gets_the_answer_to_another_question_or_of_another_tenant() {
        let (answers, readings) = (SharedAnswers::default(), Cell::default());
        let questions = [
            ("acme", system()),
            ("globex", system()),
            ("acme", Question::View("campaigns".parse().unwrap())),
            ("acme", Question::Campaigns(Status::Active)),
            ("acme", Question::Campaigns(Status::Paused)),
        ];
        for _ in 0..2 {
            for (number, (who, question)) in (1..).zip(questions.clone()) {
                assert_eq!(ask(&answers, who, question, at(0), &readings).await, number);
            }
        }
    }

    #[tokio::test]
    async fn who_asks_while_it_is_read_waits_for_that_reading() {
        let (answers, readings) = (SharedAnswers::default(), Cell::default());
        let askers = (0..50).map(|n| ask(&answers, "acme", system(), at(n), &readings));
        assert_eq!(futures_util::future::join_all(askers).await, [1; 50]);
    }

    #[tokio::test]
    async fn an_error_is_not_kept_and_whoever_waited_reads() {
        let (answers, readings) = (SharedAnswers::default(), Cell::new(0));
        let acme = tenant("acme");
        let failing = answers.get(&acme, system(), at(0), async {
            tokio::task::yield_now().await;
            Err::<Answer, _>("throttled")
        });
        let (failed, answered) =
            futures_util::future::join(failing, ask(&answers, "acme", system(), at(1), &readings)).await;
        assert_eq!((failed.unwrap_err(), answered), ("throttled", 1));
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_what_is_old_goes_first() {
        let (answers, readings) = (SharedAnswers::default(), Cell::default());
        let kept = || answers.places.lock().unwrap().len();
        for n in 0..500 {
            ask(&answers, &format!("t{n}"), system(), at(n), &readings).await;
            assert!(kept() <= MAX_KEPT);
        }
        assert_eq!(ask(&answers, "t499", system(), at(500), &readings).await, 500, "the newest are there");
        ask(&answers, "late", system(), at(5_000), &readings).await;
        assert_eq!(kept(), 1);
    }
}
