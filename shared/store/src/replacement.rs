//! Replacement: who comes while their user has as many connections as allowed takes the place of the one that has been
//! silent longest.
//!
//! A network that goes without a FIN leaves connections behind that nobody but their user can tell from live ones, and
//! the user must not be locked out by them. The connection that goes is marked first and loses its place then: whoever is
//! stopped in between has cost it a reconnect, and never a place that two of them hold.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use projections::Timestamp;
use serde::Deserialize;

use crate::{
    CloseReason, ConnectError, Connection, Connections, Limits, StoreError,
    table::from_item,
    user_quota::{self, Place},
};

/// The most connections of one user that are looked at, of more those that were opened first: whoever comes again and
/// again shall not have thousands read each time.
const LOOKED_AT: usize = 100;

/// Connections that are looked at, at the same time.
const AT_ONCE: usize = 25;

/// A place whose handshake has not stored its connection after this long is nobody's: `$connect` may take 10 s, and
/// clocks of containers differ by less than the rest.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// What is to be known of a connection to choose among a user's.
#[derive(Deserialize)]
struct Activity {
    connected_at: Timestamp,
    active_at: Option<Timestamp>,
    ending: Option<CloseReason>,
}

/// A connection that may go. The least goes first: those that are being closed already, then those that have been
/// silent longest.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    is_open: bool,
    active_at: Timestamp,
    id: String,
}

/// What has become of the holder of a place.
enum Holder {
    Open(Candidate),
    /// Its handshake is not over.
    Entering,
    /// There is none: its handshake failed half-way, or it was forgotten.
    Nobody(String),
}

/// What the user's places are found to be.
pub(crate) struct Occupancy {
    /// Who may go, whoever goes first at the front.
    candidates: Vec<Candidate>,
    /// Places that are nobody's.
    abandoned: Vec<String>,
}

impl Connections {
    /// Lets a connection in as [`Self::connect`] does, but where its user has as many as allowed has the least recently
    /// active of them closed for [`CloseReason::Replaced`], and returns its id: its publisher is to be woken. The
    /// tenant's limit refuses, before anybody is replaced; and so does the user's where all of its places are taken by
    /// handshakes that are under way.
    pub async fn connect_replacing(
        &self,
        connection: &Connection,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Option<String>, ConnectError> {
        self.let_in(connection, limits, true, now).await
    }

    /// Takes one of the user's places, after those are freed that are nobody's; where none is left, who might go.
    pub(crate) async fn take_place(
        &self,
        connection: &Connection,
        limit: usize,
        now: Timestamp,
    ) -> Result<Result<(), Occupancy>, StoreError> {
        let Place::Full(places) = user_quota::take(&self.table, connection, limit, now).await? else {
            return Ok(Ok(()));
        };
        let occupancy = self.look_at(places, now).await?;
        if occupancy.abandoned.is_empty() {
            return Ok(Err(occupancy));
        }
        user_quota::free(&self.table, connection, &occupancy.abandoned).await?;
        let taken = user_quota::take(&self.table, connection, limit, now).await?;
        Ok(if matches!(taken, Place::Taken) { Ok(()) } else { Err(occupancy) })
    }

    /// Gives the connection the place of the first who may go, or one that has become free since; who was marked to be
    /// closed for that.
    pub(crate) async fn replace(
        &self,
        occupancy: Occupancy,
        connection: &Connection,
        limit: usize,
        now: Timestamp,
    ) -> Result<Option<String>, ConnectError> {
        for Candidate { id, is_open, .. } in occupancy.candidates {
            if is_open {
                self.end(&id, CloseReason::Replaced, now).await?;
            }
            if user_quota::hand_over(&self.table, connection, &id).await? {
                return Ok(Some(id));
            }
            // Another newcomer was faster, or it has left by itself.
            if let Place::Taken = user_quota::take(&self.table, connection, limit, now).await? {
                return Ok(Some(id));
            }
        }
        Err(ConnectError::TooManyOfUser)
    }

    async fn look_at(&self, mut places: Vec<(String, Timestamp)>, now: Timestamp) -> Result<Occupancy, StoreError> {
        places.sort_by(|(a, first), (b, second)| first.cmp(second).then_with(|| a.cmp(b)));
        places.truncate(LOOKED_AT);
        let look = |(id, taken_at)| self.holder(id, taken_at, now);
        let mut holders = stream::iter(places).map(look).buffer_unordered(AT_ONCE);
        let mut occupancy = Occupancy { candidates: Vec::new(), abandoned: Vec::new() };
        while let Some(holder) = holders.next().await {
            match holder? {
                Holder::Open(candidate) => occupancy.candidates.push(candidate),
                Holder::Entering => {}
                Holder::Nobody(id) => occupancy.abandoned.push(id),
            }
        }
        occupancy.candidates.sort();
        Ok(occupancy)
    }

    async fn holder(&self, id: String, taken_at: Timestamp, now: Timestamp) -> Result<Holder, StoreError> {
        let Some(item) = self.table.get(&self.key(&id)).await? else {
            return Ok(if now.since(taken_at) > HANDSHAKE { Holder::Nobody(id) } else { Holder::Entering });
        };
        Ok(Holder::Open(match from_item::<Activity>(item) {
            Ok(Activity { connected_at, active_at, ending }) => {
                Candidate { is_open: ending.is_none(), active_at: active_at.unwrap_or_default().max(connected_at), id }
            }
            // What cannot be read gets no view either.
            Err(error) => {
                tracing::warn!(%error, "a connection is taken for the least active");
                Candidate { is_open: true, active_at: Timestamp::EPOCH, id }
            }
        }))
    }
}
