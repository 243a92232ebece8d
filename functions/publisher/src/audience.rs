//! Who watches what, and what each of them is to get.

use std::collections::{BTreeMap, HashMap, HashSet};

use projections::{Kind, TenantId, Timestamp};
use store::Connection;

use crate::{
    board::{Board, Place},
    roster::Rosters,
    watcher::{Message, Receipt, Watcher},
};

/// Everyone who watches something in one shard.
#[derive(Default)]
pub(crate) struct Audience {
    watchers: HashMap<String, Watcher>,
}

/// Messages for one connection, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Parcel {
    /// To whom.
    pub(crate) connection: String,
    /// What: notices first, then views.
    pub(crate) messages: Vec<Message>,
}

impl Audience {
    /// Takes the connections as they are now; what the known ones have got stays known. `up_to_date` are those that a
    /// predecessor has served already.
    pub(crate) fn replace(&mut self, connections: Vec<Connection>, board: &mut Board, up_to_date: &HashSet<u64>) {
        let mut known = std::mem::take(&mut self.watchers);
        for connection in connections {
            let watcher = if let Some(mut watcher) = known.remove(&connection.id) {
                watcher.watch(&connection, board);
                watcher
            } else {
                let mut watcher = Watcher::new(&connection, board);
                if up_to_date.contains(&watcher.fingerprint()) {
                    watcher.trust(board);
                }
                watcher
            };
            self.watchers.insert(connection.id, watcher);
        }
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// How many connections each tenant has.
    pub(crate) fn count(&self) -> BTreeMap<String, u64> {
        let mut count = BTreeMap::new();
        for watcher in self.watchers.values() {
            *count.entry(watcher.tenant.to_string()).or_default() += 1;
        }
        count
    }

    /// The channels that somebody named.
    pub(crate) fn direct(&self) -> HashSet<Place> {
        self.watchers.values().flat_map(|watcher| watcher.direct.iter().map(|direct| direct.place)).collect()
    }

    /// The collections that somebody watches, by tenant.
    pub(crate) fn collections(&self) -> HashSet<(TenantId, Kind)> {
        let of_watcher = |watcher: &Watcher| {
            watcher.collections.iter().map(|kind| (watcher.tenant.clone(), *kind)).collect::<Vec<_>>()
        };
        self.watchers.values().flat_map(of_watcher).collect()
    }

    /// What each connection is to get `now`. Connections that are being posted to are left for the next tick: the newest
    /// view wins, and nothing queues up but a few notices. Members of collections are due at overviews, and at any tick
    /// to who has not seen them yet.
    pub(crate) fn parcels(
        &mut self,
        board: &Board,
        rosters: &Rosters,
        is_overview: bool,
        now: Timestamp,
    ) -> Vec<Parcel> {
        self.watchers
            .iter_mut()
            .map(|(id, watcher)| Parcel {
                connection: id.clone(),
                messages: watcher.take(board, rosters, is_overview, now),
            })
            .filter(|parcel| !parcel.messages.is_empty())
            .collect()
    }

    /// Notes what became of a parcel; true if the connection is gone for good and is to be deleted.
    pub(crate) fn note(&mut self, receipt: Receipt, now: Timestamp) -> bool {
        let id = receipt.connection.clone();
        let is_gone = self.watchers.get_mut(&id).is_some_and(|watcher| watcher.note(receipt, now));
        if is_gone {
            self.watchers.remove(&id);
        }
        is_gone
    }

    /// Fingerprints of the connections that have got all that is on the board.
    pub(crate) fn up_to_date(&self, board: &Board, rosters: &Rosters) -> HashSet<u64> {
        let up_to_date = self.watchers.values().filter(|watcher| watcher.is_up_to_date(board, rosters));
        up_to_date.map(Watcher::fingerprint).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gateway::PostError;
    use projections::{Record, topic};
    use store::SliceId;

    use super::*;
    use crate::{board::Key, published};

    const T0: Timestamp = Timestamp::EPOCH;

    fn key(channel: &str) -> Key {
        (TenantId::parse("acme").unwrap(), channel.parse().unwrap())
    }

    fn connection(id: &str, channels: &[(&str, &str)]) -> Connection {
        Connection {
            id: id.to_owned(),
            tenant: TenantId::parse("acme").unwrap(),
            user: "ada".to_owned(),
            permissions: Vec::new(),
            channels: channels.iter().map(|(channel, told)| (channel.parse().unwrap(), (*told).to_owned())).collect(),
            is_default: false,
            connected_at: T0,
            expires_at: T0.plus(Duration::from_hours(1)),
        }
    }

    /// The slice of a campaign after so many calls were answered.
    fn answered(calls: i64) -> Vec<(SliceId, projections::Slice)> {
        let tenant = TenantId::parse("acme").unwrap();
        let mut slice = Kind::Campaign.empty_slice();
        for offset in 0..calls {
            let value = br#"{"eventType":"call_answered","campaignId":"c","callId":"k"}"#;
            let record = Record { topic: "campaign.events.v1", timestamp: T0, default_tenant: Some(&tenant), value };
            let routed = topic::decode(&record).unwrap();
            slice.fold(offset, routed.at, &routed.event);
        }
        vec![(SliceId { epoch: 1, topic: "campaign.events.v1".to_owned(), partition: 0 }, slice)]
    }

    fn refresh(board: &mut Board, channel: &str, calls: i64) -> Place {
        let place = board.place(&key(channel));
        board.clear_notices();
        board.refresh(place, answered(calls), T0);
        place
    }

    fn at(millis: u64) -> Timestamp {
        T0.plus(Duration::from_millis(millis))
    }

    fn arrived(parcel: &Parcel) -> Receipt {
        let view = |message: &Message| match message {
            Message::View(place, revision, _) => Some((*place, *revision)),
            Message::Notice(_) => None,
        };
        let got = parcel.messages.iter().filter_map(view).collect();
        Receipt { connection: parcel.connection.clone(), got, unsent: Vec::new(), posted: 1, end: Ok(()) }
    }

    /// An audience of these connections before a board, and no collection.
    fn audience(board: &mut Board, connections: Vec<Connection>) -> Audience {
        let mut audience = Audience::default();
        audience.replace(connections, board, &HashSet::new());
        audience
    }

    fn due(audience: &mut Audience, board: &Board, now: Timestamp) -> Vec<Parcel> {
        audience.parcels(board, &Rosters::new(), false, now)
    }

    #[test]
    fn a_view_goes_once_to_everyone_who_watches() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let watching = ["a", "b"].map(|id| connection(id, &[("campaign:c", "")]));
        let mut audience = audience(&mut board, watching.into());
        let parcels = due(&mut audience, &board, T0);
        assert_eq!(parcels.len(), 2);
        let bytes = |parcel: &Parcel| match &parcel.messages[0] {
            Message::View(_, _, bytes) => bytes.as_ptr(),
            Message::Notice(_) => panic!("a notice where nothing happened"),
        };
        assert_eq!(bytes(&parcels[0]), bytes(&parcels[1]), "serialised once");
        for parcel in &parcels {
            audience.note(arrived(parcel), T0);
        }
        assert!(due(&mut audience, &board, T0).is_empty());
        refresh(&mut board, "campaign:c", 2);
        assert_eq!(due(&mut audience, &board, T0).len(), 2);
    }

    #[test]
    fn a_busy_connection_gets_the_newest_view_when_it_is_free_and_nothing_in_between() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
        let first = due(&mut audience, &board, T0);
        for calls in 2..=5 {
            refresh(&mut board, "campaign:c", calls);
            assert!(due(&mut audience, &board, T0).is_empty());
        }
        audience.note(arrived(&first[0]), T0);
        let next = due(&mut audience, &board, T0);
        let views: Vec<_> = next[0].messages.iter().filter(|message| matches!(message, Message::View(..))).collect();
        let [Message::View(_, _, view)] = views[..] else { panic!("not one view: {views:?}") };
        assert!(std::str::from_utf8(view).unwrap().contains(r#""answered":5"#));
    }

    #[test]
    fn the_view_that_answered_a_subscription_is_not_sent_again() {
        let mut board = Board::new(Duration::from_secs(1));
        let place = refresh(&mut board, "campaign:c", 1);
        let told = format!("{:x}", board.poster(place).fingerprint().unwrap());
        let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", &told)])]);
        assert!(due(&mut audience, &board, T0).is_empty());
        refresh(&mut board, "campaign:c", 2);
        assert_eq!(due(&mut audience, &board, T0).len(), 1);
    }

    #[test]
    fn a_failed_post_is_made_good_after_a_while_and_a_gone_connection_is_deleted() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
        let failed =
            |end| Receipt { connection: "a".to_owned(), got: Vec::new(), unsent: Vec::new(), posted: 0, end: Err(end) };
        due(&mut audience, &board, T0);
        assert!(!audience.note(failed(PostError::Limited), T0));
        assert!(due(&mut audience, &board, T0).is_empty(), "left alone for now");
        assert_eq!(due(&mut audience, &board, at(500)).len(), 1);

        assert!(!audience.note(failed(PostError::Gone), at(600)), "the handshake may not be over yet");
        assert_eq!(due(&mut audience, &board, at(700)).len(), 1);
        assert!(audience.note(failed(PostError::Gone), at(10_001)));
        assert!(audience.is_empty());
    }

    #[test]
    fn nothing_is_sent_after_the_token_has_expired() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
        assert!(due(&mut audience, &board, at(3_600_000)).is_empty());
        assert_eq!(due(&mut audience, &board, at(3_599_999)).len(), 1);
    }

    #[test]
    fn members_of_a_collection_come_at_overviews_and_at_once_to_who_is_new() {
        let mut board = Board::new(Duration::from_secs(1));
        let place = refresh(&mut board, "campaign:c", 1);
        let mut rosters = Rosters::new();
        rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaigns", ""), ("system", "")])]);
        let first = audience.parcels(&board, &rosters, false, T0);
        assert_eq!(first.len(), 1, "who is new does not wait");
        audience.note(arrived(&first[0]), T0);
        refresh(&mut board, "campaign:c", 2);
        assert!(audience.parcels(&board, &rosters, false, T0).is_empty());
        assert_eq!(audience.parcels(&board, &rosters, true, T0).len(), 1);
    }

    #[test]
    fn another_tenants_collection_is_not_seen() {
        let mut board = Board::new(Duration::from_secs(1));
        let place = refresh(&mut board, "campaign:c", 1);
        let mut rosters = Rosters::new();
        rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
        let mut stranger = connection("a", &[("campaigns", ""), ("campaign:c", "")]);
        stranger.tenant = TenantId::parse("other").unwrap();
        let mut audience = audience(&mut board, vec![stranger]);
        assert!(audience.parcels(&board, &rosters, true, T0).is_empty());
    }

    #[test]
    fn notices_go_to_who_named_the_campaign_and_wait_while_it_is_busy() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let watching = vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaigns", "")])];
        let mut audience = audience(&mut board, watching);
        let first = due(&mut audience, &board, T0);
        assert!(first.iter().all(|parcel| parcel.connection == "a"));
        refresh(&mut board, "campaign:c", 3);
        assert!(due(&mut audience, &board, T0).is_empty());
        board.clear_notices();
        audience.note(arrived(&first[0]), T0);
        let next = due(&mut audience, &board, T0);
        assert_eq!(next.len(), 1, "call events are not for those who watch all campaigns");
        let types: Vec<_> = next[0].messages.iter().map(|message| matches!(message, Message::View(..))).collect();
        assert_eq!(types, [false, false, true], "two calls, then the view");
    }

    #[test]
    fn a_successor_repeats_nothing_to_those_who_have_got_it() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let watching = || vec![connection("a", &[("campaign:c", "")]), connection("b", &[("campaign:c", "")])];
        let mut predecessor = audience(&mut board, watching());
        for parcel in due(&mut predecessor, &board, T0) {
            if parcel.connection == "a" {
                predecessor.note(arrived(&parcel), T0);
            }
        }
        let up_to_date = predecessor.up_to_date(&board, &Rosters::new());

        let mut next_board = Board::new(Duration::from_secs(1));
        board.baselines(T0).for_each(|baseline| next_board.restore(baseline));
        let mut successor = Audience::default();
        successor.replace(watching(), &mut next_board, &up_to_date);
        refresh(&mut next_board, "campaign:c", 1);
        let parcels = due(&mut successor, &next_board, T0);
        assert_eq!(parcels.iter().map(|parcel| parcel.connection.as_str()).collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn a_notice_that_did_not_arrive_is_told_when_the_connection_is_free_again() {
        let mut board = Board::new(Duration::from_secs(1));
        refresh(&mut board, "campaign:c", 1);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaign:c", "")])]);
        let first = due(&mut audience, &board, T0);
        audience.note(arrived(&first[0]), T0);
        refresh(&mut board, "campaign:c", 2);
        let parcel = due(&mut audience, &board, T0).remove(0);
        let unsent = parcel.messages.iter().filter_map(|message| match message {
            Message::Notice(notice) => Some(notice.clone()),
            Message::View(..) => None,
        });
        let receipt = Receipt {
            connection: parcel.connection.clone(),
            got: Vec::new(),
            unsent: unsent.collect(),
            posted: 0,
            end: Err(PostError::Limited),
        };
        audience.note(receipt, T0);
        board.clear_notices();
        assert_eq!(due(&mut audience, &board, at(500))[0].messages, parcel.messages);
    }

    #[test]
    fn a_collection_that_is_watched_again_is_shown_again() {
        let mut board = Board::new(Duration::from_secs(1));
        let place = refresh(&mut board, "campaign:c", 1);
        let mut rosters = Rosters::new();
        rosters.entry((TenantId::parse("acme").unwrap(), Kind::Campaign)).or_default().replace(vec![place], T0);
        let mut audience = audience(&mut board, vec![connection("a", &[("campaigns", "")])]);
        let first = audience.parcels(&board, &rosters, true, T0);
        audience.note(arrived(&first[0]), T0);
        audience.replace(vec![connection("a", &[("event:e", "")])], &mut board, &HashSet::new());
        assert!(audience.parcels(&board, &rosters, true, T0).is_empty());
        audience.replace(vec![connection("a", &[("event:e", ""), ("campaigns", "")])], &mut board, &HashSet::new());
        assert_eq!(audience.parcels(&board, &rosters, false, T0).len(), 1);
    }

    #[test]
    fn subscriptions_are_part_of_who_somebody_is() {
        let once = connection("a", &[("campaign:c", "1f")]);
        let again = connection("a", &[("campaign:c", "2f")]);
        assert_ne!(published::fingerprint(&once), published::fingerprint(&again));
    }
}
