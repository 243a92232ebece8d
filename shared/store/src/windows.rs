//! Windows of time in the table of channels: what a slice's records counted in each minute and hour.
//!
//! An item says up to which of the slice's commits it has taken in what they closed (`through`). Adding what it has changes
//! nothing, so that everyone may: the writer that committed, and whoever finds the slice after that one died.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use projections::{Counts, Kind, Offset, Slice, Timestamp, window::Minute};

use crate::{
    Channels, SliceId, SliceKey, StoreError,
    expiry::{VACANT, is_expired},
    keys::{self, Key},
    table::{Conditional, Item, Range, Reading, addressed_by, key_of, number, number_of, to_item},
};

/// How long the windows are that items are kept of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// One minute.
    Minute,
    /// One hour, in quarters: days begin at those in every time zone.
    Hour,
}

/// Which window of a slice has an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowId {
    /// How long it is.
    pub resolution: Resolution,
    /// The minute that it begins with.
    pub start: Minute,
}

/// A window's item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredWindow {
    /// Up to which commit of the slice it has taken in what that closed.
    pub through: Offset,
    /// What was counted, by the part of the window, which is 0 for a minute and the quarter of an hour.
    pub parts: BTreeMap<u8, Counts>,
}

/// What a reader may see of a slice's windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Visible {
    /// What came, by the minute that each part of a window begins with.
    pub counts: BTreeMap<Minute, Counts>,
    /// Hours whose items have gone further than the slice that was read. What of the slice they have cannot be told; their
    /// minutes can.
    pub overtaken: BTreeSet<Minute>,
}

impl Resolution {
    /// All that items are kept of.
    pub const ALL: [Self; 2] = [Self::Minute, Self::Hour];

    /// How long items are kept.
    #[must_use]
    pub const fn kept(self) -> Duration {
        match self {
            Self::Minute => Duration::from_hours(7 * 24),
            Self::Hour => Duration::from_hours(2 * 365 * 24),
        }
    }

    /// How long the parts are that a window of it consists of.
    #[must_use]
    pub const fn part(self) -> Duration {
        match self {
            Self::Minute => Duration::from_mins(1),
            Self::Hour => Duration::from_mins(15),
        }
    }

    /// The minute that a part of a window begins with.
    fn part_start(self, start: Minute, part: u8) -> Minute {
        Minute(start.0 + i64::from(part) * (self.part().as_secs().cast_signed() / 60))
    }

    const fn minutes(self) -> i64 {
        match self {
            Self::Minute => 1,
            Self::Hour => 60,
        }
    }

    const fn prefix(self) -> &'static str {
        match self {
            Self::Minute => "minute#",
            Self::Hour => "hour#",
        }
    }
}

impl WindowId {
    /// The window that a minute lies in, and in which part of it.
    #[must_use]
    pub fn of(resolution: Resolution, minute: Minute) -> (Self, u8) {
        let start = minute.0.div_euclid(resolution.minutes()) * resolution.minutes();
        let part = (minute.0 - start) * 60 / resolution.part().as_secs().cast_signed();
        (Self { resolution, start: Minute(start) }, u8::try_from(part).unwrap_or_default())
    }

    /// Whether an item would be kept of it `now`.
    #[must_use]
    pub fn is_kept(self, now: Timestamp) -> bool {
        self.expiry() > now.as_seconds()
    }

    fn expiry(self) -> i64 {
        self.start.start().plus(self.resolution.kept()).as_seconds()
    }

    fn sort_key(self, slice: &SliceId) -> String {
        sort_key(self.resolution, slice, self.start.start())
    }
}

impl Channels {
    /// The items of a slice's windows that begin in the time from `from` until before `to`, by their start. To be read after the
    /// slice ([`visible`]).
    pub async fn windows(
        &self,
        SliceKey { tenant, channel, slice }: &SliceKey,
        resolution: Resolution,
        from: Timestamp,
        to: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeMap<Minute, StoredWindow>, StoreError> {
        let (first, _) = WindowId::of(resolution, Minute::of(from));
        let last = Timestamp::from_millis(to.as_millis().saturating_sub(1));
        let (first, last) = (first.sort_key(slice), sort_key(resolution, slice, last));
        if first > last {
            return Ok(BTreeMap::new());
        }
        let pk = keys::channel(tenant, channel);
        let reading = Reading { is_consistent: true, ..Reading::default() };
        let items = self.table.query(&pk, Range::Between(&first, &last), reading, usize::MAX).await?;
        read_all(channel.kind(), resolution, slice, items, now)
    }

    /// The item of the newest window of a slice that begins before `before`, by its start.
    pub async fn window_before(
        &self,
        SliceKey { tenant, channel, slice }: &SliceKey,
        resolution: Resolution,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<BTreeMap<Minute, StoredWindow>, StoreError> {
        let first = format!("{}{}#", resolution.prefix(), slice.in_key());
        let last = sort_key(resolution, slice, Timestamp::from_millis(before.as_millis().saturating_sub(1)));
        let pk = keys::channel(tenant, channel);
        let reading = Reading { is_consistent: true, is_reversed: true };
        let items = self.table.query(&pk, Range::Between(&first, &last), reading, 1).await?;
        read_all(channel.kind(), resolution, slice, items, now)
    }

    pub(crate) async fn get_window(
        &self,
        key: &SliceKey,
        window: WindowId,
        now: Timestamp,
    ) -> Result<Option<StoredWindow>, StoreError> {
        let item = self.table.get(&address(key, window)).await?.filter(|item| !is_expired(item, now));
        item.map(|item| read(key.channel.kind(), item)).transpose()
    }

    pub(crate) async fn put_window_if(
        &self,
        key: &SliceKey,
        window: WindowId,
        stored: &StoredWindow,
        expected: Option<Offset>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let parts: BTreeMap<String, &Counts> =
            stored.parts.iter().map(|(part, counts)| (part.to_string(), counts)).collect();
        let mut item = to_item(&BTreeMap::from([("parts", parts)]))?;
        item.insert("through".to_owned(), number(stored.through));
        item.insert("version".to_owned(), number(key.channel.kind().version()));
        item.insert("ttl".to_owned(), number(window.expiry()));
        let condition = expected.map_or(VACANT, |_| "#through = :expected AND #ttl > :now");
        let values = expected.map(|through| (":expected", number(through)));
        let values = values.into_iter().chain([(":now", number(now.as_seconds()))]);
        let written = self.table.put_if(&address(key, window), item, condition, values).await?;
        Ok(matches!(written, Conditional::Met(_)))
    }
}

/// What a reader may see that has read a slice and then the items of its windows. An item that has not come as far as the
/// slice lacks what the slice has; one that has come further has all of it that is closed by then.
#[must_use]
pub fn visible(resolution: Resolution, slice: &Slice, stored: &BTreeMap<Minute, StoredWindow>) -> Visible {
    let mut visible = Visible::default();
    for (start, window) in stored {
        for (part, counts) in &window.parts {
            visible.counts.insert(resolution.part_start(*start, *part), counts.clone());
        }
    }
    let closed = slice.closed().into_iter().map(|window| (window, true));
    let open = slice.open().into_iter().map(|window| (window, false));
    for ((minute, counts), is_closed) in closed.chain(open) {
        let (window, part) = WindowId::of(resolution, minute);
        let through = stored.get(&window.start).map(|stored| stored.through);
        if through > slice.watermark() && resolution == Resolution::Hour {
            visible.overtaken.insert(window.start);
        }
        let is_missing = if is_closed { through < slice.watermark() } else { through <= slice.watermark() };
        if is_missing {
            let part = resolution.part_start(window.start, part);
            visible.counts.entry(part).or_insert_with(|| slice.kind().no_counts()).follow(&counts);
        }
    }
    visible
}

fn read_all(
    kind: Kind,
    resolution: Resolution,
    slice: &SliceId,
    items: Vec<Item>,
    now: Timestamp,
) -> Result<BTreeMap<Minute, StoredWindow>, StoreError> {
    let living = items.into_iter().filter(|item| !is_expired(item, now));
    living
        .map(|item| {
            let start = start_in(resolution, slice, &addressed_by(&item).sk);
            Ok((start.ok_or_else(|| corrupt(&item, "its sort key names no window"))?, read(kind, item)?))
        })
        .collect()
}

fn address(key: &SliceKey, window: WindowId) -> Key {
    Key { pk: keys::channel(&key.tenant, &key.channel), sk: window.sort_key(&key.slice) }
}

/// The start is written to the minute or hour, in UTC: it sorts as times do, and an operator can read it.
fn sort_key(resolution: Resolution, slice: &SliceId, at: Timestamp) -> String {
    let at = at.to_string();
    let digits = match resolution {
        Resolution::Minute => "2026-01-15T10:30".len(),
        Resolution::Hour => "2026-01-15T10".len(),
    };
    format!("{}{}#{}", resolution.prefix(), slice.in_key(), at.get(..digits).unwrap_or(&at))
}

fn start_in(resolution: Resolution, slice: &SliceId, sk: &str) -> Option<Minute> {
    let start = sk.strip_prefix(resolution.prefix())?.strip_prefix(&slice.in_key())?.strip_prefix('#')?;
    let rest = match resolution {
        Resolution::Minute => ":00Z",
        Resolution::Hour => ":00:00Z",
    };
    Some(Minute::of(format!("{start}{rest}").parse().ok()?))
}

fn read(kind: Kind, mut item: Item) -> Result<StoredWindow, StoreError> {
    let version = number_of(&item, "version")?;
    if version > u64::from(kind.version()) {
        return Err(corrupt(&item, &format!("it is of version {version}, this build reads up to {}", kind.version())));
    }
    let through = item.get("through").and_then(|through| through.as_n().ok()?.parse().ok());
    let through = through.ok_or_else(|| corrupt(&item, "no number is its through"))?;
    let key = key_of(&item);
    let not_of_its_form = || StoreError::Corrupt { key: key.clone(), reason: "not of its form".into() };
    let parts = item.remove("parts").and_then(|parts| parts.as_m().ok().cloned()).ok_or_else(not_of_its_form)?;
    let part = |(part, counts): (String, aws_sdk_dynamodb::types::AttributeValue)| {
        let counts = serde_dynamo::AttributeValue::from(counts);
        let counts = kind.read_counts(serde_dynamo::Deserializer::from_attribute_value(counts));
        Ok((part.parse().map_err(|_| not_of_its_form())?, counts.map_err(|_| not_of_its_form())?))
    };
    Ok(StoredWindow { through, parts: parts.into_iter().map(part).collect::<Result<_, StoreError>>()? })
}

fn corrupt(item: &Item, reason: &str) -> StoreError {
    StoreError::Corrupt { key: key_of(item), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice() -> SliceId {
        SliceId { epoch: 1, topic: "t".into(), partition: 0 }
    }

    fn minute(text: &str) -> Minute {
        Minute::of(text.parse().unwrap())
    }

    #[test]
    fn windows_are_found_by_their_start_which_sorts_as_time_does() {
        let (window, part) = WindowId::of(Resolution::Minute, minute("2026-01-15T10:47:00Z"));
        assert_eq!((window.sort_key(&slice()), part), ("minute#1#t#0#2026-01-15T10:47".to_owned(), 0));
        let (window, part) = WindowId::of(Resolution::Hour, minute("2026-01-15T10:47:00Z"));
        assert_eq!((window.sort_key(&slice()), part), ("hour#1#t#0#2026-01-15T10".to_owned(), 3));
        for resolution in Resolution::ALL {
            let (window, _) = WindowId::of(resolution, minute("2026-01-15T10:47:00Z"));
            assert_eq!(start_in(resolution, &slice(), &window.sort_key(&slice())), Some(window.start));
        }
    }

    #[test]
    fn minutes_are_kept_a_week_and_hours_two_years() {
        let now: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
        let is_kept = |resolution, start: &str| WindowId::of(resolution, minute(start)).0.is_kept(now);
        assert!(is_kept(Resolution::Minute, "2026-01-08T10:01:00Z"));
        assert!(!is_kept(Resolution::Minute, "2026-01-08T10:00:00Z"));
        assert!(is_kept(Resolution::Hour, "2024-01-16T12:00:00Z"));
        assert!(!is_kept(Resolution::Hour, "2024-01-15T09:00:00Z"));
    }
}
