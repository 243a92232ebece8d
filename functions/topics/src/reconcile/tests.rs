use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    future::pending,
};

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// A cluster as a model: topics, of which the list does not show the hidden, and names that it refuses.
#[derive(Clone, Debug, Default)]
struct Model {
    topics: RefCell<BTreeMap<String, i32>>,
    hidden: BTreeSet<String>,
    refused: BTreeSet<String>,
    is_silent: bool,
    asked: Cell<u32>,
}

impl Model {
    fn with(topics: &[(&str, i32)]) -> Self {
        let topics = topics.iter().map(|(name, partitions)| ((*name).to_owned(), *partitions)).collect();
        Self { topics: RefCell::new(topics), ..Self::default() }
    }

    async fn answer(&self, topic: &str) -> Result<(), AdminError> {
        self.asked.set(self.asked.get() + 1);
        if self.is_silent {
            pending::<()>().await;
        }
        if self.refused.contains(topic) { Err(AdminError::Refused(format!("not {topic}"))) } else { Ok(()) }
    }
}

impl TopicAdmin for Model {
    fn name(&self) -> &'static str {
        "the model"
    }

    async fn list(&self, topics: &[String]) -> Result<BTreeMap<String, i32>, AdminError> {
        self.answer("").await?;
        let mut existing = self.topics.borrow().clone();
        existing.retain(|name, _| topics.contains(name) && !self.hidden.contains(name));
        Ok(existing)
    }

    async fn create(&self, topic: &str, wanted: &Wanted) -> Result<Created, AdminError> {
        self.answer(topic).await?;
        if self.topics.borrow().contains_key(topic) {
            return Ok(Created::AlreadyThere);
        }
        self.topics.borrow_mut().insert(topic.to_owned(), wanted.partitions);
        Ok(Created::AsWanted)
    }

    async fn raise(&self, topic: &str, partitions: i32) -> Result<(), AdminError> {
        self.answer(topic).await?;
        self.topics.borrow_mut().insert(topic.to_owned(), partitions);
        Ok(())
    }
}

fn wanted(topics: &[String], partitions: i32, before: Option<i32>) -> Wanted {
    let properties = json!({
        "ClusterArn": "arn:aws:kafka:eu-central-1:123456789012:cluster/livefold/1",
        "Topics": topics, "Partitions": partitions, "ReplicationFactor": 3,
    });
    Wanted::parse(&properties, before.map(|before| json!({ "Partitions": before })).as_ref()).unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_mins(1)
}

#[tokio::test]
async fn what_is_missing_is_made_and_what_exists_is_left_as_it_is() {
    let model = Model::with(&[("a", 1), ("b", 9), ("other", 2)]);
    let outcome = reconcile(std::slice::from_ref(&model), &wanted(&names(&["a", "b", "c"]), 3, None), soon()).await;
    assert_eq!((outcome.made, outcome.existing), (names(&["c"]), names(&["a", "b"])));
    assert_eq!((outcome.fewer, outcome.missing), (names(&["a"]), names(&[])));
    assert_eq!(model.topics, Model::with(&[("a", 1), ("b", 9), ("c", 3), ("other", 2)]).topics);
}

#[tokio::test]
async fn an_update_that_asks_for_more_partitions_raises_them_and_one_that_asks_for_fewer_does_nothing() {
    let model = Model::with(&[("a", 3), ("b", 9)]);
    let topics = names(&["a", "b"]);
    let outcome = reconcile(std::slice::from_ref(&model), &wanted(&topics, 6, Some(3)), soon()).await;
    assert_eq!((outcome.raised, outcome.existing), (names(&["a"]), topics.clone()));
    let outcome = reconcile(std::slice::from_ref(&model), &wanted(&topics, 3, Some(6)), soon()).await;
    assert_eq!((outcome.raised, outcome.fewer), (names(&[]), names(&[])));
    assert_eq!(model.topics, Model::with(&[("a", 6), ("b", 9)]).topics);
}

#[tokio::test]
async fn what_one_way_refuses_is_tried_in_the_next_and_nothing_else_is() {
    let refusing = Model { refused: BTreeSet::from(["b".to_owned()]), ..Model::default() };
    let ways = [refusing, Model::default()];
    let outcome = reconcile(&ways, &wanted(&names(&["a", "b"]), 3, None), soon()).await;
    assert_eq!((outcome.made, outcome.missing), (names(&["a", "b"]), names(&[])));
    assert_eq!(ways[1].topics, Model::with(&[("b", 3)]).topics);
    assert_eq!(outcome.reasons, ["the model: not b"]);
}

#[tokio::test]
async fn where_all_is_well_the_next_way_is_not_asked() {
    let ways = [Model::with(&[("a", 3)]), Model::default()];
    reconcile(&ways, &wanted(&names(&["a"]), 3, None), soon()).await;
    assert_eq!(ways[1].asked.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_way_that_is_silent_is_given_up_after_one_question() {
    let silent = Model { is_silent: true, ..Model::default() };
    let ways = [silent, Model::default()];
    let before = Instant::now();
    let outcome = reconcile(&ways, &wanted(&names(&["a", "b"]), 3, None), soon()).await;
    assert_eq!((outcome.made, ways[0].asked.get()), (names(&["a", "b"]), 1));
    assert_eq!(outcome.reasons, ["the model: there was no answer in time"]);
    assert!(before.elapsed() < PATIENCE + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_ends_and_all_that_is_not_done_is_missing() {
    let silent = || Model { is_silent: true, ..Model::default() };
    let (before, deadline) = (Instant::now(), Instant::now() + Duration::from_secs(3));
    let ways = [silent(), silent()];
    let outcome = reconcile(&ways, &wanted(&names(&["a", "b"]), 3, None), deadline).await;
    assert_eq!(outcome.missing, names(&["a", "b"]));
    assert_eq!((ways[0].asked.get(), ways[1].asked.get()), (1, 0));
    assert!(before.elapsed() < Duration::from_secs(4));
}

prop_compose! {
    fn model()(
        topics in prop::collection::btree_map("[a-f]", 1..=8_i32, 0..=6),
        hidden in prop::collection::btree_set("[a-f]", 0..=3),
        refused in prop::collection::btree_set("[a-f]", 0..=3),
    ) -> Model {
        Model { topics: RefCell::new(topics), hidden, refused, ..Model::default() }
    }
}

proptest! {
    #[test]
    fn nothing_is_ever_deleted_or_shrunk_and_a_second_time_changes_nothing(
        ways in prop::collection::vec(model(), 0..=2),
        topics in prop::collection::btree_set("[a-f]", 1..=6),
        partitions in 1..=8_i32,
        before in prop::option::of(1..=8_i32),
    ) {
        let topics: Vec<_> = topics.into_iter().collect();
        let wanted = wanted(&topics, partitions, before);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let run = || runtime.block_on(reconcile(&ways, &wanted, soon()));
        let state = || ways.iter().map(|way| way.topics.borrow().clone()).collect::<Vec<_>>();

        let at_first = state();
        let outcome = run();
        let then = state();
        for (before, after) in at_first.iter().zip(&then) {
            for (topic, partitions) in before {
                prop_assert!(after.get(topic).is_some_and(|now| now >= partitions), "{topic} of {before:?} in {after:?}");
            }
            prop_assert!(after.keys().all(|topic| before.contains_key(topic) || topics.contains(topic)));
        }
        // Each topic is in exactly one list.
        let mut told = [outcome.made, outcome.existing, outcome.missing.clone()].concat();
        told.sort();
        prop_assert_eq!(&told, &topics);

        let again = run();
        prop_assert_eq!(state(), then);
        prop_assert_eq!((again.made.len(), again.missing), (0, outcome.missing));
    }
}
