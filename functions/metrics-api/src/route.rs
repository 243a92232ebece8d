//! Which channel a path shows, and what of it.

use lambda_http::{Request, RequestExt};
use percent_encoding::percent_decode_str;
use projections::{ChannelId, Id, Kind, campaign::Status};
use protocol::ErrorCode;
use serde::{Deserialize, de::IntoDeserializer, de::value::Error};

/// What of a channel is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// How it stands.
    View,
    /// What came in each step of a span of time.
    History,
}

/// The channel that `path` shows, and what of it.
pub(crate) fn channel(path: &str) -> Result<(ChannelId, Shown), ErrorCode> {
    // A client may escape the colon of `campaign:c-17`. An id holds no percent sign, so to decode what the gateway has
    // decoded already changes nothing.
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| ErrorCode::NotFound)?;
    let segments: Vec<&str> = decoded.strip_prefix('/').unwrap_or_default().split('/').collect();
    let named = |name: &str| name.parse().map_err(|_| ErrorCode::UnknownChannel);
    let channel = match segments[..] {
        ["analytics", "metrics"] => ChannelId::campaigns(),
        ["analytics", "campaigns", id, "metrics"] => one(Kind::Campaign, id)?,
        ["analytics", "system", "health"] => ChannelId::system(),
        ["events", id, "dashboard"] => one(Kind::LiveEvent, id)?,
        ["channels", name] => named(name)?,
        ["channels", name, "history"] => return Ok((named(name)?, Shown::History)),
        _ => return Err(ErrorCode::NotFound),
    };
    Ok((channel, Shown::View))
}

/// The status of the campaigns that are asked for; nothing where the query names none, or where the channel shows no
/// campaigns.
pub(crate) fn status(request: &Request, channel: &ChannelId) -> Result<Option<Status>, ErrorCode> {
    let query = request.query_string_parameters_ref();
    let named = query.and_then(|query| query.all("status")).filter(|_| *channel == ChannelId::campaigns());
    match named.as_deref() {
        None => Ok(None),
        Some([status]) => {
            let status: Result<_, Error> = Status::deserialize((*status).into_deserializer());
            status.map(Some).map_err(|_| ErrorCode::InvalidRequest)
        }
        Some(_) => Err(ErrorCode::InvalidRequest),
    }
}

fn one(kind: Kind, id: &str) -> Result<ChannelId, ErrorCode> {
    Id::parse(id).map(|id| ChannelId::One(kind, id)).map_err(|_| ErrorCode::UnknownChannel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_shows_a_channel() {
        for (path, name) in [
            ("/analytics/metrics", "campaigns"),
            ("/analytics/campaigns/c-17/metrics", "campaign:c-17"),
            ("/analytics/system/health", "system"),
            ("/events/evt_1/dashboard", "event:evt_1"),
            ("/channels/campaign:c-17", "campaign:c-17"),
            ("/channels/event%3Aevt_1", "event:evt_1"),
            ("/channels/campaigns", "campaigns"),
        ] {
            let shown = channel(path).map(|(channel, shown)| (channel.to_string(), shown));
            assert_eq!(shown, Ok((name.to_owned(), Shown::View)), "{path}");
        }
        let history = channel("/channels/campaign%3Ac-17/history");
        assert_eq!(history, Ok(("campaign:c-17".parse().unwrap(), Shown::History)));
    }

    #[test]
    fn what_is_no_path_is_told_apart_from_what_is_no_channel() {
        for path in [
            "",
            "/",
            "/analytics",
            "/analytics/metrics/",
            "/analytics/campaigns/a/b/metrics",
            "/%ff",
            "/health",
            "/channels/system/past",
        ] {
            assert_eq!(channel(path), Err(ErrorCode::NotFound), "{path}");
        }
        let long = format!("/events/{}/dashboard", "x".repeat(129));
        for path in ["/analytics/campaigns/a%23b/metrics", "/channels/planet:mars", "/channels/campaign:", &long] {
            assert_eq!(channel(path), Err(ErrorCode::UnknownChannel), "{path}");
        }
    }
}
