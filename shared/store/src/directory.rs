//! The directory: how a tenant's channels are listed.

use aws_sdk_dynamodb::types::AttributeValue;
use projections::{ChannelId, Kind, Listing, TenantId, Timestamp, campaign::Status, slice::MAX_CLOCK_LEAD};
use serde::Deserialize;

use crate::{
    Channels, Consistency, StoreError,
    expiry::{LIVES, VACANT, is_expired},
    keys::{self, Key},
    table::{Conditional, Item, Range, Reading, Update, boolean, from_item, number, optional_text, text},
};

/// The most channels of a kind that are read: some 2 MB, and a second of reading. A tenant with more needs an index
/// over the active ones.
pub const MAX_LISTED: usize = 10_000;

/// A channel as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Listed {
    /// Which channel.
    #[serde(rename = "sk")]
    pub channel: ChannelId,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The status, in the words of its kind.
    #[serde(default)]
    pub status: Option<String>,
    /// Whether the collection of its kind shows it, as it was when this was written: see [`Self::is_shown`].
    pub active: bool,
    /// The latest time of any record.
    pub last_activity: Timestamp,
}

impl Listed {
    /// Whether the collection of its kind shows it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        // Items from before paused campaigns were shown say that they are not, and are written again only when records come.
        self.active || self.status.as_deref() == Some(Status::Paused.as_str())
    }
}

impl Channels {
    /// A tenant's channels of a kind that have not expired, in the order of their ids, at most [`MAX_LISTED`].
    pub async fn directory(
        &self,
        tenant: &TenantId,
        kind: Kind,
        consistency: Consistency,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let reading = Reading { is_consistent: consistency == Consistency::Strong, ..Reading::default() };
        let prefix = if kind.is_keyed() { format!("{}:", kind.name()) } else { kind.name().to_owned() };
        let range = Range::StartingWith(&prefix);
        let items = self.table.query(&keys::directory(tenant), range, reading, MAX_LISTED).await?;
        if items.len() == MAX_LISTED {
            tracing::warn!(%tenant, kind = kind.name(), limit = MAX_LISTED, "the directory is read only in part");
        }
        items.into_iter().filter(|item| !is_expired(item, now)).map(from_item).collect()
    }

    /// Notes how a channel stands. A listing holds from its time on, and activity only moves forward: what is older than
    /// what is stored changes nothing, unless that is from the future: a producer's clock that led must not have the last
    /// word for as long as it led. A channel that never had a listing is active, and one that has expired begins anew.
    pub async fn describe(
        &self,
        tenant: &TenantId,
        channel: &ChannelId,
        listing: Option<&Listing>,
        last_activity: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let key = Key::listed(tenant, channel);
        if !self.relist(&key, listing, last_activity, now).await? {
            // Whoever lists it anew first leaves an entry that lives.
            self.list_anew(&key, listing, last_activity, now).await?;
            self.relist(&key, listing, last_activity, now).await?;
        }
        Ok(())
    }

    /// Moves an entry forward, or makes it where there is none; false where there is one that has expired.
    async fn relist(
        &self,
        key: &Key,
        listing: Option<&Listing>,
        last_activity: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const NOT_LISTED_LATER: &str =
            "(attribute_not_exists(#listed_at) OR #listed_at <= :listed_at OR #listed_at > :latest)";
        const NOT_ACTIVE_LATER: &str = "(attribute_not_exists(#last_activity) OR #last_activity <= :last_activity)";
        const LISTING: &str = "#name = :name, #status = :status, #active = :active, #listed_at = :listed_at";
        const ACTIVITY: &str = "#last_activity = :last_activity";

        let ttl = self.expiry(now);
        let update = |changes: String, condition: &str| {
            let expires = if ttl.is_some() { ", #ttl = :ttl" } else { "" };
            let update = self.table.update(key, &format!("SET {changes}{expires}"));
            let update = update.on_condition(&format!("{condition} AND {LIVES}"));
            let update = update.value(":last_activity", text(last_activity)).value(":now", number(now.as_seconds()));
            ttl.into_iter().fold(update, |update, ttl| update.value(":ttl", number(ttl)))
        };
        if let Some(listing) = listing {
            let listed = |update: Update| {
                listing_of(listing)
                    .into_iter()
                    .fold(update, |update, (name, value)| update.value(&format!(":{name}"), value))
                    .value(":latest", text(now.plus(MAX_CLOCK_LEAD)))
            };
            let both = update(format!("{LISTING}, {ACTIVITY}"), &format!("{NOT_LISTED_LATER} AND {NOT_ACTIVE_LATER}"));
            match listed(both).send().await? {
                Conditional::Met(_) => return Ok(true),
                Conditional::Failed(Some(item)) if is_expired(&item, now) => return Ok(false),
                Conditional::Failed(_) => {}
            }
            // One of the two is no news. The other may be, so they go one by one.
            let first_activity = "#last_activity = if_not_exists(#last_activity, :last_activity)";
            listed(update(format!("{LISTING}, {first_activity}"), NOT_LISTED_LATER)).send().await?;
        }
        let active_unless_listed = "#active = if_not_exists(#active, :active)";
        let active = update(format!("{ACTIVITY}, {active_unless_listed}"), NOT_ACTIVE_LATER);
        let sent = active.value(":active", boolean(true)).send().await?;
        Ok(!matches!(sent, Conditional::Failed(Some(item)) if is_expired(&item, now)))
    }

    /// Lists a channel in the place of an entry that has expired.
    async fn list_anew(
        &self,
        key: &Key,
        listing: Option<&Listing>,
        last_activity: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut item = Item::from([("active".to_owned(), boolean(true))]);
        item.extend(listing.into_iter().flat_map(listing_of).map(|(name, value)| (name.to_owned(), value)));
        item.insert("last_activity".to_owned(), text(last_activity));
        item.extend(self.expiry(now).map(|ttl| ("ttl".to_owned(), number(ttl))));
        self.table.put_if(key, item, VACANT, [(":now", number(now.as_seconds()))]).await?;
        Ok(())
    }
}

/// The attributes that a listing is stored in.
fn listing_of(listing: &Listing) -> [(&'static str, AttributeValue); 4] {
    [
        ("name", optional_text(listing.name.as_ref())),
        ("status", optional_text(listing.status)),
        ("active", boolean(listing.active)),
        ("listed_at", text(listing.at)),
    ]
}
