//! The audit trail: who came, who was refused, who watched what, and why. One line each, which is a metric too.
//!
//! No token, ticket, cookie, user name or other personal data is in it but the address that a request came from; who it
//! was is told by a pseudonym ([`Principal::pseudonym`]).

use auth::Principal;
use metrique_writer_core::{Entry, EntryWriter};
use projections::ChannelId;

use crate::metrics;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// A connection was let in.
    Connect,
    /// A connection or a request was refused: nobody knows who asks, or from where they may.
    Refuse,
    /// A connection watches one more channel.
    Subscribe,
    /// Somebody who is known asked for what they may not have.
    Deny,
    /// A connection was closed because its token or its permission to stay ended.
    Expire,
    /// Somebody's access was revoked.
    Revoke,
    /// A connection's token was renewed.
    Authenticate,
    /// A ticket was given.
    Ticket,
    /// Somebody went over a limit.
    Limit,
    /// It could not be told whether they may, because something that we need did not answer: nobody was let in.
    Fail,
}

/// Who, what, why and from where, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audit<'a> {
    /// Who.
    pub principal: Option<&'a Principal>,
    /// What it was about.
    pub channel: Option<&'a ChannelId>,
    /// Why: an error code or fixed words of ours, never anything that was sent.
    pub reason: Option<&'a str>,
    /// Where the request came from, as API Gateway saw it.
    pub source_ip: Option<&'a str>,
    /// The pseudonym of the user that it was done to, where that is somebody else.
    pub target: Option<&'a str>,
}

/// Writes down what happened.
pub fn record(event: AuditEvent, audit: &Audit<'_>) {
    metrics::emit(&Line { event, audit });
}

impl AuditEvent {
    /// What it is called in the trail, and the name of its metric.
    #[must_use]
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Connect => ("connect", "Connected"),
            Self::Refuse => ("refuse", "Refused"),
            Self::Subscribe => ("subscribe", "Subscribed"),
            Self::Deny => ("deny", "Denied"),
            Self::Expire => ("expire", "Expired"),
            Self::Revoke => ("revoke", "Revoked"),
            Self::Authenticate => ("authenticate", "Authenticated"),
            Self::Ticket => ("ticket", "TicketsGiven"),
            Self::Limit => ("limit", "Limited"),
            Self::Fail => ("fail", "Undecided"),
        }
    }
}

struct Line<'a> {
    event: AuditEvent,
    audit: &'a Audit<'a>,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let (name, metric) = self.event.names();
        writer.value("audit", name);
        if let Some(principal) = self.audit.principal {
            writer.value("tenant", principal.tenant.as_str());
            writer.value("principal", principal.pseudonym().as_str());
        }
        if let Some(channel) = self.audit.channel {
            writer.value("channel", channel.to_string().as_str());
        }
        if let Some(reason) = self.audit.reason {
            writer.value("reason", reason);
        }
        if let Some(source_ip) = self.audit.source_ip {
            writer.value("sourceIp", source_ip);
        }
        if let Some(target) = self.audit.target {
            writer.value("target", target);
        }
        writer.value(metric, &1_u64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;

    use projections::{TenantId, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    fn line(event: AuditEvent, audit: &Audit<'_>) -> Value {
        let mut format = metrics::in_namespace("Livefold/test".to_owned());
        let line = metrics::line(&mut format, &Line { event, audit }).unwrap();
        assert!(line.ends_with(b"\n") && line.lines().count() == 1, "one line");
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn what_happened_is_a_line_and_a_metric_without_dimensions() {
        let principal = Principal {
            tenant: TenantId::parse("acme").unwrap(),
            user: "ann@example.com".into(),
            permissions: Vec::new(),
            channels: None,
            issued_at: Timestamp::EPOCH,
            expires_at: Timestamp::EPOCH,
        };
        let channel = "campaign:c-17".parse().unwrap();
        let audit = Audit {
            principal: Some(&principal),
            channel: Some(&channel),
            reason: Some("forbidden"),
            source_ip: Some("203.0.113.7"),
            target: Some("0123456789abcdef"),
        };
        let line = line(AuditEvent::Deny, &audit);
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "Livefold/test");
        assert_eq!(directive["Dimensions"], json!([[]]));
        assert_eq!(directive["Metrics"], json!([{"Name": "Denied"}]));
        assert!(line["_aws"]["Timestamp"].is_number());
        assert_eq!((&line["Denied"], &line["audit"]), (&json!(1), &json!("deny")));
        assert_eq!((&line["tenant"], &line["channel"]), (&json!("acme"), &json!("campaign:c-17")));
        assert_eq!((&line["reason"], &line["sourceIp"]), (&json!("forbidden"), &json!("203.0.113.7")));
        assert_eq!((&line["principal"], &line["target"]), (&json!(principal.pseudonym()), &json!("0123456789abcdef")));
        assert!(!line.to_string().contains("example.com"), "a user name was logged");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let line = line(AuditEvent::Refuse, &Audit { reason: Some("unauthorized"), ..Audit::default() });
        let mut fields: Vec<&String> = line.as_object().unwrap().keys().collect();
        fields.sort();
        assert_eq!(fields, ["Refused", "_aws", "audit", "reason"]);
    }
}
