//! Until when a channel is kept: as a whole, for as long as records come to any part of it.
//!
//! DynamoDB expires items one by one, but a slice may rest while its channel lives: partitions are added, an epoch is
//! raised, a status stands in another partition. So whatever is written on one day (UTC) expires at one moment, and who
//! is the first to write to a channel on a day moves what rests of it to that moment, too. The day decides and not the
//! writer: writers that do not know of each other agree, and the second one finds nothing left to move.
//!
//! DynamoDB deletes an item up to days after its moment. Until then it is as good as deleted, or a channel would end
//! piece by piece, and one that begins anew would be joined by its past.

use std::time::Duration;

use futures_util::{TryStreamExt, stream};
use projections::{ChannelId, TenantId, Timestamp};

use crate::{
    Channels, StoreError,
    keys::{self, Key},
    table::{Item, Range, Reading, addressed_by, number, number_of},
};

const DAY: Duration = Duration::from_hours(24);

/// Items of a channel that are moved at the same time.
const AT_ONCE: usize = 16;

/// Holds for an item that has not expired by `:now`.
pub(crate) const LIVES: &str = "(attribute_not_exists(#ttl) OR #ttl > :now)";

/// Holds where there is no item, or one that has expired by `:now`.
pub(crate) const VACANT: &str = "(attribute_not_exists(#pk) OR #ttl <= :now)";

/// When what is written `now` expires, in seconds since the epoch: the retention after the end of the day, and a day
/// more, for a write that began before midnight may land after it.
pub(crate) fn expiry(retention: Duration, now: Timestamp) -> i64 {
    let days = now.as_seconds().div_euclid(seconds(DAY)) + 2;
    days * seconds(DAY) + seconds(retention)
}

/// Whether an item is as good as deleted.
pub(crate) fn is_expired(item: &Item, now: Timestamp) -> bool {
    number_of(item, "ttl").is_ok_and(|ttl| i64::try_from(ttl).is_ok_and(|ttl| ttl <= now.as_seconds()))
}

fn seconds(duration: Duration) -> i64 {
    duration.as_secs().cast_signed()
}

impl Channels {
    /// Keeps all that is stored of a channel for as long as what is written `now`. To be called for each channel that is
    /// written to, once a day by each writer; what others have moved already costs no write.
    pub async fn extend(&self, tenant: &TenantId, channel: &ChannelId, now: Timestamp) -> Result<(), StoreError> {
        let ttl = self.expiry(now);
        let pk = keys::channel(tenant, channel);
        // What is too new for this read has been written today.
        let mut resting =
            self.table.query(&pk, Range::StartingWith(keys::SLICE), Reading::default(), usize::MAX).await?;
        let listed = Key::listed(tenant, channel);
        if channel.id().is_some() {
            resting.extend(self.table.get(&listed).await?);
        }
        resting.retain(|item| !is_expired(item, now) && ends_before(item, ttl));
        let moved = resting.iter().map(|item| Ok(self.move_expiry(addressed_by(item), ttl, now)));
        stream::iter(moved).try_for_each_concurrent(AT_ONCE, |moved| moved).await
    }

    /// Moves when an item expires, never forward and never that of one that has expired.
    async fn move_expiry(&self, key: Key, ttl: Option<i64>, now: Timestamp) -> Result<(), StoreError> {
        let update = match ttl {
            Some(ttl) => self
                .table
                .update(&key, "SET #ttl = :ttl")
                .on_condition("attribute_exists(#pk) AND (attribute_not_exists(#ttl) OR (#ttl > :now AND #ttl < :ttl))")
                .value(":ttl", number(ttl)),
            None => self.table.update(&key, "REMOVE #ttl").on_condition("#ttl > :now"),
        };
        update.value(":now", number(now.as_seconds())).send().await?;
        Ok(())
    }
}

/// Whether an item ends earlier than this, or otherwise than it should: what was kept for ever may end by now, and the
/// other way round.
fn ends_before(item: &Item, ttl: Option<i64>) -> bool {
    let ends = number_of(item, "ttl").ok().and_then(|ends| i64::try_from(ends).ok());
    match (ends, ttl) {
        (Some(ends), Some(ttl)) => ends < ttl,
        (ends, ttl) => ends.is_some() != ttl.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_a_day_expires_at_one_moment_after_the_retention_and_not_two_days_later() {
        let retention = 30 * DAY;
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = expiry(retention, at("2026-01-15T00:00:00Z"));
        let last = expiry(retention, at("2026-01-15T23:59:59.999Z"));
        assert_eq!((first, last), (at("2026-02-16T00:00:00Z").as_seconds(), first));
        assert_eq!(expiry(retention, at("2026-01-16T00:00:00Z")), first + seconds(DAY));
    }
}
