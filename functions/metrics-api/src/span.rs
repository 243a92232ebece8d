//! Which time a request for history asks for, and in which steps.

use std::time::Duration;

use jiff::{Zoned, tz::TimeZone};
use lambda_http::{Request, RequestExt};
use projections::Timestamp;
use protocol::ErrorCode;
use store::Resolution;
use views::Span;

/// The most steps of one answer: a day in minutes, two months in hours, four years in days.
const MAX_STEPS: usize = 1_500;

/// The most days of one answer: hours are kept two years, and each is an item that is read.
const MAX_DAYS: usize = 750;

/// How long the steps are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Minute,
    Hour,
    Day,
}

/// The span that a request asks for: `step` (`minute` where it does not say), until `to` (now), from `from` (60 steps before; 24
/// hours, 30 days). Days are those of `timeZone`, or of UTC. It begins with the step that `from` lies in, and ends with the one
/// before `to`, or that `to` lies in.
pub(crate) fn span(request: &Request, now: Timestamp) -> Result<Span, ErrorCode> {
    let query = request.query_string_parameters_ref();
    // What is named twice is not what anybody means.
    let value = |name: &str| match query.and_then(|query| query.all(name)).as_deref() {
        None | Some([]) => Ok(None),
        Some([value]) => Ok(Some((*value).to_owned())),
        Some(_) => Err(ErrorCode::InvalidRequest),
    };
    let step = match value("step")?.as_deref() {
        None | Some("minute") => Step::Minute,
        Some("hour") => Step::Hour,
        Some("day") => Step::Day,
        Some(_) => return Err(ErrorCode::InvalidRequest),
    };
    let zone = match value("timeZone")? {
        None => TimeZone::UTC,
        Some(name) if step == Step::Day => TimeZone::get(&name).map_err(|_| ErrorCode::InvalidRequest)?,
        Some(_) => return Err(ErrorCode::InvalidRequest),
    };
    let to = value("to")?.map_or(Ok(now), |to| time(&to))?;
    let from = match value("from")? {
        Some(from) => time(&from)?,
        None => step.before(to),
    };
    if from >= to {
        return Err(ErrorCode::InvalidRequest);
    }
    let edges = step.edges(from, to, &zone)?;
    Ok(Span { step: step.name(), resolution: step.resolution(), edges })
}

/// RFC 3339, or milliseconds since 1970.
fn time(text: &str) -> Result<Timestamp, ErrorCode> {
    // A plus sign in a query is a space.
    let text = text.replace(' ', "+");
    let millis = || text.parse().ok().map(Timestamp::from_millis);
    text.parse().ok().or_else(millis).ok_or(ErrorCode::InvalidRequest)
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    const fn resolution(self) -> Resolution {
        match self {
            Self::Minute => Resolution::Minute,
            Self::Hour | Self::Day => Resolution::Hour,
        }
    }

    fn before(self, to: Timestamp) -> Timestamp {
        let length = match self {
            Self::Minute => Duration::from_hours(1),
            Self::Hour => Duration::from_hours(24),
            Self::Day => Duration::from_hours(30 * 24),
        };
        Timestamp::from_millis(to.as_millis().saturating_sub(i64::try_from(length.as_millis()).unwrap_or(0)))
    }

    /// When each step begins, and when the last one ends.
    fn edges(self, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Result<Vec<Timestamp>, ErrorCode> {
        let most = if self == Self::Day { MAX_DAYS } else { MAX_STEPS };
        let mut edges = Vec::new();
        let mut edge = self.floor(from, zone)?;
        while edge < to {
            edges.push(edge);
            if edges.len() > most {
                return Err(ErrorCode::InvalidRequest);
            }
            edge = self.next(edge, zone)?;
        }
        edges.push(edge);
        Ok(edges)
    }

    fn floor(self, at: Timestamp, zone: &TimeZone) -> Result<Timestamp, ErrorCode> {
        let millis = match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => return start_of_day(&zoned(at, zone)?),
        };
        Ok(Timestamp::from_millis(at.as_millis().div_euclid(millis) * millis))
    }

    fn next(self, edge: Timestamp, zone: &TimeZone) -> Result<Timestamp, ErrorCode> {
        match self {
            Self::Minute => Ok(edge.plus(Duration::from_mins(1))),
            Self::Hour => Ok(edge.plus(Duration::from_hours(1))),
            // A day has 23 to 25 hours.
            Self::Day => start_of_day(&zoned(edge, zone)?.tomorrow().map_err(|_| ErrorCode::InvalidRequest)?),
        }
    }
}

fn zoned(at: Timestamp, zone: &TimeZone) -> Result<Zoned, ErrorCode> {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).map_err(|_| ErrorCode::InvalidRequest)?;
    Ok(at.to_zoned(zone.clone()))
}

fn start_of_day(day: &Zoned) -> Result<Timestamp, ErrorCode> {
    let start = day.start_of_day().map_err(|_| ErrorCode::InvalidRequest)?;
    Ok(Timestamp::from_millis(start.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-15T10:30:00Z".parse().unwrap()
    }

    fn asked(query: &[(&str, &str)]) -> Result<Span, ErrorCode> {
        let query: HashMap<String, String> =
            query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        span(&Request::default().with_query_string_parameters(query), now())
    }

    fn edges(query: &[(&str, &str)]) -> (String, String, usize) {
        let Span { edges, .. } = asked(query).unwrap();
        (edges[0].to_string(), edges[edges.len() - 1].to_string(), edges.len() - 1)
    }

    #[test]
    fn what_is_not_asked_for_is_the_last_hour_in_minutes_the_last_day_in_hours_the_last_month_in_days() {
        let span = |from: &str, to: &str, steps| (format!("{from}:00.000Z"), format!("{to}:00.000Z"), steps);
        assert_eq!(edges(&[]), span("2026-01-15T09:30", "2026-01-15T10:30", 60));
        assert_eq!(edges(&[("step", "hour")]), span("2026-01-14T10:00", "2026-01-15T11:00", 25));
        assert_eq!(edges(&[("step", "day")]), span("2025-12-16T00:00", "2026-01-16T00:00", 31));
    }

    #[test]
    fn days_are_those_of_the_zone_and_as_long_as_they_are_there() {
        let query = |from, to, zone| [("step", "day"), ("from", from), ("to", to), ("timeZone", zone)];
        let berlin = asked(&query("2026-03-28T12:00:00Z", "2026-03-30T00:00:00Z", "Europe/Berlin")).unwrap();
        let hours: Vec<u64> = berlin.edges.windows(2).map(|day| day[1].since(day[0]).as_secs() / 3600).collect();
        assert_eq!((berlin.edges[0].to_string().as_str(), hours), ("2026-03-27T23:00:00.000Z", vec![24, 23, 24]));
        for (zone, start) in [
            ("Asia/Kathmandu", "2026-01-14T18:15:00.000Z"),
            ("Asia/Kolkata", "2026-01-14T18:30:00.000Z"),
            ("Asia/Tokyo", "2026-01-14T15:00:00.000Z"),
            ("America/New_York", "2026-01-15T05:00:00.000Z"),
        ] {
            let (from, ..) = edges(&query("2026-01-15T10:00:00Z", "2026-01-15T10:30:00Z", zone));
            assert_eq!(from, start, "{zone}");
        }
    }

    #[test]
    fn times_are_taken_as_text_and_in_milliseconds() {
        let text = edges(&[("from", "2026-01-15T11:00:00+01:00"), ("to", "2026-01-15T10:05:00Z")]);
        assert_eq!(text, edges(&[("from", "1768471200000"), ("to", "1768471500000")]));
        assert_eq!(text, edges(&[("from", "2026-01-15T11:00:00 01:00"), ("to", "2026-01-15T10:05:00Z")]));
    }

    #[test]
    fn what_makes_no_sense_or_would_be_too_much_is_refused() {
        for query in [
            &[("step", "week")][..],
            &[("from", "yesterday")],
            &[("from", "2026-01-15T10:30:00Z")],
            &[("from", "2026-01-16T10:30:00Z"), ("to", "2026-01-15T10:30:00Z")],
            &[("from", "2026-01-14T09:29:00Z")],
            &[("step", "hour"), ("from", "2025-11-01T00:00:00Z")],
            &[("step", "day"), ("from", "2020-01-01T00:00:00Z")],
            &[("step", "day"), ("timeZone", "Mars/Olympus")],
            &[("timeZone", "Europe/Berlin")],
            &[("from", "-99999999999999999"), ("to", "99999999999999999")],
        ] {
            assert_eq!(asked(query), Err(ErrorCode::InvalidRequest), "{query:?}");
        }
    }
}
