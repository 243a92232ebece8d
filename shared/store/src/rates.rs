//! Rates: how often something happens, in windows that all containers share.
//!
//! A window is a minute of the clock, so that around its end twice the limit may pass within sixty seconds. One number
//! and one write are all that it costs.

use std::time::Duration;

use projections::Timestamp;

use crate::{
    Connection, Connections, StoreError,
    keys::Key,
    table::{Conditional, Item, Table, from_item, number, number_of, text},
};

/// How long a window lasts. It begins with a minute of the clock.
pub const RATE_WINDOW: Duration = Duration::from_mins(1);

/// How often counting starts over because another one has begun the window in between; it does so once.
const MAX_ROUNDS: usize = 3;

/// What a window is counted in.
pub(crate) enum Counter {
    /// In an item that has to be there.
    Within,
    /// In an item of its own, which expires; as so many at once.
    Alone(u64),
}

impl Connections {
    /// Counts a message of a connection. Returns the connection and how many messages came in this minute, this one
    /// included; `None` if it is gone. The connection counts as active from then on. One write, and a second one for the first message of a minute. Where the SDK tries
    /// again after a lost answer, a message counts twice.
    pub async fn message(&self, id: &str, now: Timestamp) -> Result<Option<(Connection, u64)>, StoreError> {
        match count(&self.table, &self.key(id), &Counter::Within, now).await? {
            Some((item, messages)) => Ok(Some((from_item(item)?, messages))),
            None => Ok(None),
        }
    }
}

/// Counts one more, or several, in the window of `now` and returns the item and the count; `None` if there has to be an item and is
/// none. A clock that is behind counts in the window that another one has begun already.
pub(crate) async fn count(
    table: &Table,
    key: &Key,
    counter: &Counter,
    now: Timestamp,
) -> Result<Option<(Item, u64)>, StoreError> {
    const WINDOW: Duration = RATE_WINDOW;
    let some = if let Counter::Alone(some) = counter { *some } else { 1 };
    let minute = number(now.as_seconds().div_euclid(WINDOW.as_secs().cast_signed()));
    for _ in 0..MAX_ROUNDS {
        let another = match counter {
            // When it was last active is what decides who of a user's connections goes first (`replacement.rs`).
            Counter::Within => table.update(key, "ADD #count :some SET #active_at = :now").value(":now", text(now)),
            Counter::Alone(_) => table.update(key, "ADD #count :some"),
        };
        let another =
            another.on_condition("#minute >= :minute").value(":minute", minute.clone()).value(":some", number(some));
        if let Conditional::Met(item) = another.send().await? {
            let count = number_of(&item, "count")?;
            return Ok(Some((item, count)));
        }
        let first = match counter {
            Counter::Within => table
                .update(key, "SET #minute = :minute, #count = :some, #active_at = :now")
                .on_condition("attribute_exists(#pk) AND (attribute_not_exists(#minute) OR #minute < :minute)")
                .value(":now", text(now)),
            Counter::Alone(_) => table
                .update(key, "SET #minute = :minute, #count = :some, #ttl = :ttl")
                .on_condition("attribute_not_exists(#minute) OR #minute < :minute")
                // Whose clock is a window behind still finds it.
                .value(":ttl", number(now.plus(2 * WINDOW).as_seconds())),
        };
        match first.value(":minute", minute.clone()).value(":some", number(some)).send().await? {
            Conditional::Met(item) => return Ok(Some((item, some))),
            Conditional::Failed(None) if matches!(counter, Counter::Within) => return Ok(None),
            Conditional::Failed(_) => {}
        }
    }
    Err(StoreError::Unavailable("too many counted at once".into()))
}
