//! Who may see what, for how long and how much of it: tickets, expiry, renewal, revocation, limits, names, browsers, and
//! what logs tell of all that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "access/audit.rs"]
mod audit;
#[path = "access/browsers.rs"]
mod browsers;
#[path = "access/channels.rs"]
mod channels;
#[path = "access/expiry.rs"]
mod expiry;
#[path = "access/limits.rs"]
mod limits;
#[path = "access/names.rs"]
mod names;
#[path = "access/revocation.rs"]
mod revocation;
#[path = "access/tickets.rs"]
mod tickets;

use e2e::{Options, Refusal, Secrets, Socket, System, local_token};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

pub(crate) const ANN: &str = "ann.quillfeather@example.com";
pub(crate) const BOB: &str = "bob.underhill@example.com";

/// A page that is being written, which the local system lets in.
pub(crate) const PAGE: &str = "http://localhost:5173";

pub(crate) async fn system_with(environment: &[&str]) -> System {
    let environment = environment.iter().map(|variable| (*variable).to_owned()).collect();
    System::start(Options { environment, ..Options::default() }).await.unwrap()
}

/// Secrets that hold the users' names already.
pub(crate) fn secrets() -> Secrets {
    let secrets = Secrets::default();
    secrets.keep(ANN);
    secrets.keep(BOB);
    secrets
}

/// A token of tenant acme whose parts are to be in no log.
pub(crate) fn token(secrets: &Secrets, user: &str, changes: &Value) -> String {
    secrets.keep_token(local_token("acme", user, changes))
}

/// A socket, or how it is refused.
pub(crate) async fn open(system: &System, query: &str) -> Result<Socket, Refusal> {
    Socket::open(&system.socket_url(query), None).await.unwrap().map_err(|refused| refused.refusal())
}

/// How a socket is refused; nothing if it opens.
pub(crate) async fn refused(system: &System, query: &str) -> Option<Refusal> {
    open(system, query).await.err()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what is nothing where somebody was let in")]
pub(crate) fn refusal(status: u16, code: &str) -> Option<Refusal> {
    Some(Refusal(status, code.to_owned()))
}

/// Whether the socket still answers.
pub(crate) async fn is_open(socket: &mut Socket) -> bool {
    socket.ask(&json!({"action": "ping"}), "pong").await.is_ok()
}

pub(crate) fn subscribe(channel: &str) -> Value {
    json!({"action": "subscribe", "channel": channel})
}

/// What every answer of a function carries.
pub(crate) fn assert_hardened(headers: &HeaderMap, what: &str) {
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ("referrer-policy", "no-referrer"),
    ] {
        let found: Vec<_> = headers.get_all(name).iter().collect();
        assert_eq!(found, [value], "{name} of {what}");
    }
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/json"), "{what}");
    assert!(headers["strict-transport-security"].to_str().unwrap().starts_with("max-age="), "{what}");
}
