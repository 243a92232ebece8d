//! What CloudWatch is told of a shard: a line every half minute while it is being served, and one when a lease term ends.
//! Without dimensions: shards and tenants are not told apart.

use gateway::PostError;
use metrique_writer_core::{Entry, EntryWriter, unit::AsCount};
use projections::Timestamp;
use runtime::metrics::{Times, time};

use crate::{closing::Outcome, delivery::Delivered};

/// What became of posts and closes. Each post is one of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Frames that arrived: messages, or batches of them. What a connection is told as it is closed is not among them.
    pub(crate) posted: u64,
    /// Frames that were answered with 410. Within the handshake that is no reason to worry.
    pub(crate) gone: u64,
    /// Frames that were refused because the client reads too slowly, or too much is posted at all.
    pub(crate) throttled: u64,
    /// Frames that did not arrive for any other reason; those that are too large with them.
    pub(crate) failed: u64,
    /// Connections that were closed because their token or their access ended.
    pub(crate) closed: u64,
    /// Reads of a journal, a channel, a directory or connections that failed, after all that the SDK tries.
    pub(crate) reads_failed: u64,
}

/// What a shard has come to since the last line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Which shard. A property for those who search the log; not a dimension.
    pub(crate) shard: u32,
    /// When the line was printed.
    pub(crate) at: Timestamp,
    /// What became of posts and closes.
    pub(crate) tally: Tally,
    /// How long each view that arrived had been due: from the start of the tick that read its channel, or first had this
    /// connection to serve, to API Gateway's answer ([`DueView::due_at`](crate::delivery::DueView::due_at)). That is what a
    /// publisher can be held to account for: reading, waiting for other posts and for a connection that is left alone,
    /// posting. What comes before, ingest's `RecordAge` tells, but for the wait for the next tick. Event times are no
    /// better beginning: they are of the producers' clocks.
    pub(crate) latency: Times,
    /// How long each tick took, from its start until all that it has found is on its way: renewing the lease, reading,
    /// making views. Not the posts themselves.
    pub(crate) ticks: Times,
    /// The shard's connections; nothing where they have not been read, or not lately.
    pub(crate) connections: Option<u64>,
    /// 1 if the lease had expired when it was taken: its holder had died, or could not reach the table. Told once.
    pub(crate) leases_expired: u64,
}

impl Tally {
    /// Frames to a connection have come to this.
    pub(crate) fn note_delivered(&mut self, delivered: &Delivered) {
        self.posted += delivered.posted;
        self.failed += delivered.too_large;
        match delivered.end {
            Ok(()) => {}
            Err(PostError::Gone | PostError::NoConnection) => self.gone += 1,
            Err(PostError::Limited) => self.throttled += 1,
            Err(PostError::TooLarge | PostError::Other(_)) => self.failed += 1,
        }
    }

    /// An attempt to close a connection has come to this.
    pub(crate) fn note_closing(&mut self, outcome: Outcome) {
        if outcome == Outcome::Over {
            self.closed += 1;
        }
    }
}

impl Entry for Line {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let Tally { posted, gone, throttled, failed, closed, reads_failed } = self.tally;
        writer.timestamp(time(self.at));
        writer.value("shard", &self.shard.to_string());
        writer.value("Posts", &AsCount::from(posted));
        writer.value("PostsGone", &AsCount::from(gone));
        writer.value("PostsThrottled", &AsCount::from(throttled));
        writer.value("PostsFailed", &AsCount::from(failed));
        writer.value("ConnectionsClosed", &AsCount::from(closed));
        writer.value("ReadsFailed", &AsCount::from(reads_failed));
        writer.value("PublishLatency", &self.latency);
        writer.value("TickDuration", &self.ticks);
        writer.value("Connections", &self.connections.map(AsCount::from));
        writer.value("LeasesExpired", &AsCount::from(self.leases_expired));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use runtime::metrics::Metrics;
    use serde_json::{Value, json};

    use super::*;

    fn delivered(posted: u64, too_large: u64, end: Result<(), PostError>) -> Delivered {
        Delivered { posted, too_large, end, ..Delivered::to("a".to_owned()) }
    }

    fn times(millis: &[u64]) -> Times {
        let mut times = Times::default();
        for millis in millis {
            times.note(Duration::from_millis(*millis));
        }
        times
    }

    fn printed(line: &Line) -> Value {
        let printed: Arc<Mutex<Vec<u8>>> = Arc::default();
        let page = Arc::clone(&printed);
        let metrics =
            Metrics::new("Livefold/test".to_owned(), move |line| page.lock().unwrap().extend_from_slice(line));
        metrics.emit(line);
        serde_json::from_slice(&printed.lock().unwrap()).expect("one line of JSON, and no other")
    }

    #[test]
    fn a_post_is_counted_by_what_became_of_it() {
        let mut tally = Tally::default();
        for delivered in [
            delivered(3, 0, Ok(())),
            delivered(1, 1, Ok(())),
            delivered(1, 0, Err(PostError::Gone)),
            delivered(0, 0, Err(PostError::Limited)),
            delivered(0, 0, Err(PostError::Limited)),
            delivered(0, 2, Err(PostError::Other("ForbiddenException".to_owned()))),
        ] {
            tally.note_delivered(&delivered);
        }
        assert_eq!(tally, Tally { posted: 5, gone: 1, throttled: 2, failed: 4, ..Tally::default() });
    }

    #[test]
    fn a_close_counts_once_it_is_over() {
        let mut tally = Tally::default();
        for outcome in [Outcome::Unfinished, Outcome::Spared, Outcome::Over] {
            tally.note_closing(outcome);
        }
        assert_eq!(tally, Tally { closed: 1, ..Tally::default() });
    }

    #[test]
    fn a_line_has_all_metrics_with_their_units_and_no_dimension() {
        let line = Line {
            shard: 2,
            at: Timestamp::from_millis(1_768_473_000_120),
            tally: Tally { posted: 50, gone: 1, throttled: 2, failed: 3, closed: 4, reads_failed: 5 },
            latency: times(&[9, 9, 9, 250]),
            ticks: times(&[7]),
            connections: Some(12),
            leases_expired: 1,
        };
        assert_eq!(
            printed(&line),
            json!({
                "_aws": {
                    "Timestamp": 1_768_473_000_120_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "Livefold/test",
                        "Dimensions": [[]],
                        "Metrics": [
                            {"Name": "Posts", "Unit": "Count"},
                            {"Name": "PostsGone", "Unit": "Count"},
                            {"Name": "PostsThrottled", "Unit": "Count"},
                            {"Name": "PostsFailed", "Unit": "Count"},
                            {"Name": "ConnectionsClosed", "Unit": "Count"},
                            {"Name": "ReadsFailed", "Unit": "Count"},
                            {"Name": "PublishLatency", "Unit": "Milliseconds"},
                            {"Name": "TickDuration", "Unit": "Milliseconds"},
                            {"Name": "Connections", "Unit": "Count"},
                            {"Name": "LeasesExpired", "Unit": "Count"},
                        ],
                    }],
                },
                "shard": "2",
                "Posts": 50,
                "PostsGone": 1,
                "PostsThrottled": 2,
                "PostsFailed": 3,
                "ConnectionsClosed": 4,
                "ReadsFailed": 5,
                "PublishLatency": {"Values": [9, 248], "Counts": [3, 1]},
                "TickDuration": {"Values": [7], "Counts": [1]},
                "Connections": 12,
                "LeasesExpired": 1,
            })
        );
    }
}
