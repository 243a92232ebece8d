//! What is read, and when.

use projections::{Record, topic};

use super::*;

const T0: Timestamp = Timestamp::EPOCH;

fn at(millis: u64) -> Timestamp {
    T0.plus(Duration::from_millis(millis))
}

fn key(channel: &str) -> Key {
    (TenantId::parse("acme").unwrap(), channel.parse().unwrap())
}

fn slice_id() -> SliceId {
    SliceId { epoch: 1, topic: "campaign.events.v1".to_owned(), partition: 0 }
}

/// A campaign of which records up to this offset were read, placed at T0.
fn state(offset: Offset) -> ChannelState {
    let (tenant, mut slice) = (TenantId::parse("acme").unwrap(), Kind::Campaign.empty_slice());
    let value = br#"{"eventType":"call_initiated","campaignId":"c","callId":"k"}"#;
    let record = Record { topic: "campaign.events.v1", timestamp: at(1_000), default_tenant: Some(&tenant), value };
    let routed = topic::decode(&record).unwrap().remove(0);
    for offset in 0..=offset {
        slice.fold(offset, routed.at, &routed.event);
    }
    let mut state = ChannelState::default();
    state.update([(slice_id(), slice)]);
    state
}

fn moved(channel: &str, watermark: Offset) -> Moved {
    let (tenant, channel) = key(channel);
    Moved { tenant, channel, slice: slice_id(), watermark, latest: T0, listing: store::ListingChange::None }
}

/// A cache in which one campaign is watched, and read up to offset 5.
fn watching() -> (ViewCache, Slot) {
    let mut cache = ViewCache::new(Duration::from_secs(1));
    let slot = cache.slot(&key("campaign:c"));
    cache.watch([slot].into(), T0);
    assert_eq!(due(&mut cache, T0), [slot], "what is new is read");
    cache.refresh(slot, state(5), Vec::new(), T0);
    (cache, slot)
}

fn due(cache: &mut ViewCache, now: Timestamp) -> Vec<Slot> {
    cache.take_due(now, |_, _| true)
}

#[test]
fn only_what_has_moved_is_read() {
    let (mut cache, slot) = watching();
    assert!(due(&mut cache, at(100)).is_empty());
    cache.note_move(moved("campaign:c", 6));
    cache.note_move(moved("campaign:nobody-watches-it", 6));
    assert_eq!(due(&mut cache, at(200)), [slot]);
    assert!(due(&mut cache, at(300)).is_empty(), "once");
}

#[test]
fn what_is_read_already_is_not_read_for_an_entry_that_comes_late_or_twice() {
    let (mut cache, _) = watching();
    for watermark in [3, 5, 5] {
        cache.note_move(moved("campaign:c", watermark));
    }
    assert!(due(&mut cache, at(100)).is_empty());
}

#[test]
fn what_is_read_is_as_far_as_the_furthest_entry_says_in_whatever_order_they_come() {
    let (mut cache, slot) = watching();
    for watermark in [9, 7, 8] {
        cache.note_move(moved("campaign:c", watermark));
    }
    let expected = cache.view(slot).expected();
    assert!(CachedView::is_behind(&state(8), &expected));
    assert!(!CachedView::is_behind(&state(9), &expected));
}

#[test]
fn what_could_not_be_read_is_due_again() {
    let (mut cache, slot) = watching();
    cache.note_move(moved("campaign:c", 6));
    assert_eq!(due(&mut cache, at(100)), [slot]);
    cache.put_back(slot);
    assert_eq!(due(&mut cache, at(200)), [slot]);
}

#[test]
fn what_only_collections_show_stays_due_until_an_overview() {
    let (mut cache, slot) = watching();
    cache.note_move(moved("campaign:c", 6));
    assert!(cache.take_due(at(100), |_, _| false).is_empty());
    assert!(cache.is_due(slot));
    assert_eq!(due(&mut cache, at(1_000)), [slot]);
}

#[test]
fn everything_that_is_watched_is_read_once_a_minute_and_not_all_at_once() {
    let mut cache = ViewCache::new(Duration::from_secs(1));
    let slots: HashSet<Slot> = (0..600).map(|n| cache.slot(&key(&format!("campaign:{n}")))).collect();
    cache.watch(slots.clone(), T0);
    due(&mut cache, T0);
    let mut read: HashMap<Slot, Vec<u64>> = HashMap::new();
    for second in 1..=120 {
        let due = due(&mut cache, at(second * 1_000));
        assert!(due.len() <= 40, "{} of 600 in one second", due.len());
        for slot in due {
            read.entry(slot).or_default().push(second);
        }
    }
    assert!(slots.iter().all(|slot| read[slot].len() == 2), "each in each minute");
    assert!(read.values().all(|seconds| (60..=61).contains(&(seconds[1] - seconds[0]))));
}

#[test]
fn who_leaves_and_comes_back_is_swept_once_a_minute_all_the_same() {
    let (mut cache, slot) = watching();
    for second in 1..=5 {
        cache.watch(HashSet::new(), at(second * 1_000));
        cache.watch([slot].into(), at(second * 1_000 + 500));
        assert_eq!(due(&mut cache, at(second * 1_000 + 500)), [slot], "there may be something new");
    }
    let read: usize = (6..=125).map(|second| due(&mut cache, at(second * 1_000)).len()).sum();
    assert!((1..=2).contains(&read), "{read} times in two minutes");
}

#[test]
fn nothing_is_read_of_what_nobody_watches_any_more() {
    let (mut cache, _) = watching();
    cache.note_move(moved("campaign:c", 6));
    cache.watch(HashSet::new(), at(100));
    cache.note_move(moved("campaign:c", 7));
    assert!(due(&mut cache, at(200_000)).is_empty());
}

#[test]
fn a_journal_that_cannot_be_followed_makes_everything_due() {
    let (mut cache, slot) = watching();
    cache.distrust();
    assert_eq!(due(&mut cache, at(100)), [slot]);
}

#[test]
fn a_rate_falls_by_the_clock_alone_and_then_rests() {
    let (mut cache, slot) = watching();
    let rate = |cache: &ViewCache| {
        let message = cache.view(slot).posted().unwrap().message(true);
        let message: serde_json::Value = serde_json::from_slice(message).unwrap();
        message["data"]["dialingRate"].as_f64().unwrap()
    };
    let changed: Vec<u64> = (0..60).map(|n| n * 500).filter(|n| !cache.fade(at(*n)).is_empty()).collect();
    assert!(!changed.is_empty(), "six calls were placed, and then none");
    assert!(rate(&cache).abs() < f64::EPSILON);
    assert!(cache.fading.is_empty(), "nothing is computed for a campaign at rest");
}

#[test]
fn what_happened_while_nobody_watched_is_old_unless_that_was_a_moment() {
    let (mut cache, slot) = watching();
    for (away, is_told) in [(9_999, true), (10_000, false)] {
        cache.refresh(slot, state(5), Vec::new(), T0);
        cache.watch(HashSet::new(), T0);
        cache.watch([slot].into(), at(away));
        assert_eq!(cache.view(slot).told.is_some(), is_told, "away for {away} ms");
    }
}
