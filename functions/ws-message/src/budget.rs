//! What a user may cause over all of their sockets: each socket has its messages a minute, and a message may have hundreds of
//! channels read.

use projections::ChannelId;
use protocol::ErrorCode;
use runtime::audit::AuditEvent;
use store::Requests;

use crate::dispatcher::{Dispatcher, Session};

/// What a channel with all others of a kind behind it counts: it is read, or posted, channel by channel, up to 500 of them.
const COLLECTION_COST: u64 = 5;

/// Channels of a list that count as one request.
const CHANNELS_PER_REQUEST: usize = 10;

/// How much a user may cause in a minute, counted with what they ask over REST.
pub(crate) struct Budget {
    pub(crate) requests: Requests,
    pub(crate) requests_per_minute: u64,
}

impl Dispatcher {
    /// Counts what subscribing to these channels costs, before any of them is read. A single channel of many costs nothing: its
    /// message is counted already.
    pub(crate) async fn spend(&self, session: &Session<'_>, channels: &[ChannelId]) -> Result<(), ErrorCode> {
        let cost = cost(channels);
        if cost == 0 {
            return Ok(());
        }
        let Budget { requests, requests_per_minute } = &self.budget;
        let principal = &session.connection.principal;
        let spent = requests.count_as(&principal.tenant, &principal.user, cost, session.now).await;
        let spent = spent.map_err(|error| admission::failed(&error))?;
        if spent <= *requests_per_minute {
            return Ok(());
        }
        if spent - cost <= *requests_per_minute {
            // Once for each time that the minute's budget runs out.
            session.record(AuditEvent::Limit, None, Some(ErrorCode::RateLimited));
        }
        Err(ErrorCode::RateLimited)
    }
}

/// What subscribing to these channels counts in requests.
fn cost(channels: &[ChannelId]) -> u64 {
    let (many, few): (Vec<_>, Vec<_>) = channels.iter().partition(|channel| channel.id().is_none());
    let lists = if channels.len() > 1 { few.len().div_ceil(CHANNELS_PER_REQUEST) } else { 0 };
    many.len() as u64 * COLLECTION_COST + lists as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_much_read_counts_and_a_single_channel_does_not() {
        let campaigns = |count| (0..count).map(|n| format!("campaign:{n}")).collect::<Vec<_>>();
        let cases = [
            (campaigns(0), 0),
            (campaigns(1), 0),
            (campaigns(2), 1),
            (campaigns(10), 1),
            (campaigns(11), 2),
            (campaigns(200), 20),
            (vec!["system".to_owned()], 5),
            (vec!["campaigns".to_owned()], 5),
            (["campaigns", "system", "event:e"].map(str::to_owned).to_vec(), 11),
        ];
        for (names, expected) in cases {
            let channels: Vec<ChannelId> = names.iter().map(|name| name.parse().unwrap()).collect();
            assert_eq!(cost(&channels), expected, "{names:?}");
        }
    }
}
