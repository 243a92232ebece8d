//! Reads that lag: nobody sees a number step back, and what a journal says is there is shown.

use std::{collections::HashSet, sync::Mutex, time::Duration};

use projections::{ChannelId, Kind, Offset, Record, Slice, TenantId, topic};
use proptest::prelude::*;
use store::{History, HistoryRange, ListingChange, Moved, SliceId, SliceKey};

use super::*;

/// A store of one campaign that answers an eventually consistent read with any state that it has had.
#[derive(Default)]
struct Lagging {
    /// The slice after each record.
    states: Vec<Slice>,
    /// How many states back the next eventually consistent reads are.
    lags: Mutex<Vec<usize>>,
    /// Consistent reads.
    consistent: Mutex<usize>,
}

impl ChannelStore for Lagging {
    async fn slices(
        &self,
        _: &TenantId,
        _: &ChannelId,
        consistency: Consistency,
        _: Timestamp,
    ) -> Result<Vec<(SliceId, Slice)>, StoreError> {
        let lag = match consistency {
            Consistency::Strong => {
                *self.consistent.lock().unwrap() += 1;
                0
            }
            Consistency::Eventual => self.lags.lock().unwrap().pop().unwrap_or(0),
        };
        Ok(self.states.iter().rev().nth(lag).map(|slice| (id(), slice.clone())).into_iter().collect())
    }

    async fn history(
        &self,
        _: &SliceKey,
        _: HistoryRange,
        _: Consistency,
        _: Timestamp,
    ) -> Result<History, StoreError> {
        Ok(History { entries: Vec::new(), is_whole: true })
    }
}

fn id() -> SliceId {
    SliceId { epoch: 1, topic: "campaign.events.v1".to_owned(), partition: 0 }
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

impl Lagging {
    /// One more call was answered.
    fn answer(&mut self) -> Offset {
        let mut slice = self.states.last().cloned().unwrap_or_else(|| Kind::Campaign.empty_slice());
        let offset = Offset::try_from(self.states.len()).unwrap();
        let value = br#"{"eventType":"call_answered","campaignId":"c","callId":"k"}"#;
        let tenant = tenant();
        let record =
            Record { topic: "campaign.events.v1", timestamp: Timestamp::EPOCH, default_tenant: Some(&tenant), value };
        let routed = topic::decode(&record).unwrap().remove(0);
        slice.fold(offset, routed.at, &routed.event);
        self.states.push(slice);
        offset
    }
}

/// What the campaign shows as answered.
fn shown(cache: &ViewCache, slot: Slot) -> u64 {
    let message = cache.view(slot).posted().unwrap().message(true);
    let message: serde_json::Value = serde_json::from_slice(message).unwrap();
    message["data"]["answered"].as_u64().unwrap()
}

async fn tick(store: &Lagging, cache: &mut ViewCache, now: Timestamp) {
    let due = cache.take_due(now, |_, _| true);
    let (found, failed) = read(store, cache, due, now).await;
    assert_eq!(failed, 0);
    for ChannelRead { slot, state, news } in found {
        cache.refresh(slot, state, news, now);
    }
}

fn follow(steps: &[(usize, bool, bool)]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut store, mut cache) = (Lagging::default(), ViewCache::new(Duration::from_secs(1)));
    let slot = cache.slot(&(tenant(), "campaign:c".parse().unwrap()));
    cache.watch(HashSet::from([slot]), Timestamp::EPOCH);
    let (mut last, mut late) = (0, Vec::new());
    for (n, (lag, is_late, is_doubled)) in (1_u64..).zip(steps) {
        let moved = Moved {
            tenant: tenant(),
            channel: "campaign:c".parse().unwrap(),
            slice: id(),
            watermark: store.answer(),
            latest: Timestamp::EPOCH,
            listing: ListingChange::None,
        };
        *store.lags.lock().unwrap() = vec![*lag; 3];
        if *is_late {
            late.push(moved);
        } else {
            if *is_doubled {
                cache.note_move(moved.clone());
            }
            cache.note_move(moved);
            // What came late comes now, out of its order.
            late.drain(..).for_each(|moved| cache.note_move(moved));
        }
        runtime.block_on(tick(&store, &mut cache, Timestamp::EPOCH.plus(Duration::from_millis(n))));
        let shown = shown(&cache, slot);
        prop_assert!(shown >= last, "from {} back to {}", last, shown);
        if !is_late {
            prop_assert_eq!(shown, n, "the journal said so");
        }
        last = shown;
    }
    // What no entry has told the sweep finds.
    store.lags.lock().unwrap().clear();
    runtime.block_on(tick(&store, &mut cache, Timestamp::EPOCH.plus(Duration::from_secs(61))));
    prop_assert_eq!(shown(&cache, slot), steps.len() as u64);
    Ok(())
}

proptest! {
    #[test]
    fn no_number_steps_back_and_none_is_missed(steps in prop::collection::vec((0..5_usize, any::<bool>(), any::<bool>()), 1..30)) {
        follow(&steps)?;
    }
}

#[tokio::test]
async fn a_read_that_is_as_far_as_the_journal_is_not_repeated() {
    let (mut store, mut cache) = (Lagging::default(), ViewCache::new(Duration::from_secs(1)));
    let slot = cache.slot(&(tenant(), "campaign:c".parse().unwrap()));
    cache.watch(HashSet::from([slot]), Timestamp::EPOCH);
    store.answer();
    tick(&store, &mut cache, Timestamp::EPOCH).await;
    assert_eq!(*store.consistent.lock().unwrap(), 0);
}
