//! What each function is invoked with first: real events, of `events/`.

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use serde_json::Value;

use crate::binaries;

/// An event and the file that it is from.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) file: &'static str,
    payload: Value,
}

/// For each function the event that makes it do what it is there for, on tables that are empty.
const EVENTS: [(&str, &str); 9] = [
    ("ingest", "msk-campaign-events.json"),
    // Finds nobody who watches, and ends.
    ("publisher", "wake-publisher.json"),
    ("ws-connect", "ws-connect-token-in-header.json"),
    ("ws-disconnect", "ws-disconnect-by-client.json"),
    ("ws-message", "ws-message-subscribe.json"),
    ("metrics-api", "rest-campaigns.json"),
    ("auth-api", "rest-auth-ticket.json"),
    ("health-api", "rest-health-ready.json"),
    // Touches nothing, and says so.
    ("topics", "cloudformation-topics-delete.json"),
];

/// The origin that events come from. `events/README.md` says that it is one to allow.
pub(super) const ORIGIN: &str = "https://dashboard.example.com";

/// The event of a function.
pub(super) fn read(function: &str) -> anyhow::Result<Event> {
    let file = file(function)?;
    let path = binaries::workspace().join("events").join(file);
    let read = || anyhow::Ok(serde_json::from_slice(&std::fs::read(&path)?)?);
    let payload = read().with_context(|| format!("the event of {function}, {}, cannot be read", path.display()))?;
    Ok(Event { file, payload })
}

impl Event {
    /// What the function gets. CloudFormation has its answers put elsewhere, which here is `answers`.
    pub(super) fn payload(&self, answers: &str) -> Bytes {
        let mut payload = self.payload.clone();
        if let Some(url) = payload.get_mut("ResponseURL") {
            *url = answers.into();
        }
        payload.to_string().into()
    }
}

fn file(function: &str) -> anyhow::Result<&'static str> {
    let event = EVENTS.iter().find(|(name, _)| *name == function);
    event
        .map(|(_, file)| *file)
        .ok_or_else(|| anyhow!("{function} has no event to start with; infra/local/src/cold_start/event.rs wants one"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_event_is_there() {
        for (function, _) in EVENTS {
            read(function).unwrap();
        }
    }

    #[test]
    fn answers_to_cloudformation_stay_on_this_machine() {
        let event = Event { file: "", payload: json!({ "ResponseURL": "https://s3.amazonaws.com/" }) };
        assert_eq!(event.payload("http://127.0.0.1:1/answers"), r#"{"ResponseURL":"http://127.0.0.1:1/answers"}"#);
    }

    #[test]
    fn a_function_without_an_event_is_named() {
        let error = read("other").unwrap_err().to_string();
        assert_eq!(error, "other has no event to start with; infra/local/src/cold_start/event.rs wants one");
    }
}
