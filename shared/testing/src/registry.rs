//! What a shard's journal says.

use std::time::SystemTime;

use projections::Timestamp;
use store::{Connections, Follower};

/// How many changes of a shard's connections its journal has, from the first on.
pub async fn changes(connections: &Connections, shard: u32) -> usize {
    changed(connections, shard).await.len()
}

/// The connections that a shard's journal names, from the first entry on.
pub async fn changed(connections: &Connections, shard: u32) -> Vec<String> {
    let mut follower = Follower::new(Timestamp::EPOCH);
    connections.changes(shard, &mut follower, now()).await.unwrap().entries
}

/// The time, for what is entered in a journal.
#[must_use]
pub fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap())
}
