//! Tickets: one socket each.

use e2e::now;
use futures_util::future::join_all;
use serde_json::json;

use crate::{ANN, BOB, open, refusal, refused, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_one_socket_and_carries_what_its_token_permits() {
    let system = system_with(&["CONNECTIONS_PER_USER=3", "CONNECTION_LIMIT=refuse"]).await;
    let secrets = secrets();
    let ann = token(&secrets, ANN, &json!({"channels": ["campaign:c-1"]}));
    let rest = system.rest(Some(&ann));
    let ticket = async || secrets.keep(rest.ticket().await.unwrap());
    let by = |ticket: &str| format!("?ticket={ticket}");

    let (status, body) = rest.post("/auth/ticket", "").await.unwrap();
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    let first = secrets.keep(body["data"]["ticket"].as_str().unwrap());
    assert!(first.len() >= 43, "32 random bytes");
    let expires_at: String = body["data"]["expiresAt"].as_str().unwrap().to_owned();
    assert!(expires_at.ends_with('Z') && expires_at.contains('T'), "{expires_at}");

    // Of several that come at once with the same ticket, one is let in.
    let query = by(&first);
    let races = join_all((0..4).map(|_| open(&system, &query))).await;
    let (mut opened, lost): (Vec<_>, Vec<_>) = races.into_iter().partition(Result::is_ok);
    assert_eq!(opened.len(), 1);
    assert!(lost.into_iter().all(|lost| lost.err() == refusal(401, "unauthorized")));
    assert_eq!(refused(&system, &query).await, refusal(401, "unauthorized"));
    let mut socket = opened.remove(0).ok().unwrap();
    socket.ask(&subscribe("campaign:c-1"), "metrics_update").await.unwrap();
    socket.send(subscribe("campaign:c-2").to_string()).await.unwrap();
    let error = socket.error("forbidden").await.unwrap();
    assert_eq!(error["data"]["action"], "subscribe");

    // A ticket is no token, and a token no ticket.
    let second = ticket().await;
    for query in
        ["?ticket=".to_owned(), "?ticket=garbage".to_owned(), format!("?ticket={ann}"), format!("?token={second}")]
    {
        assert_eq!(refused(&system, &query).await, refusal(401, "unauthorized"));
    }
    assert_eq!(system.rest(Some(&second)).refusal("/analytics/metrics").await.unwrap(), refusal(401, "unauthorized"));
    let _second = open(&system, &by(&second)).await.expect("none of that has used it up");

    // Its user's limit holds, however they come.
    let _third = system.socket(&ann).await.unwrap();
    assert_eq!(refused(&system, &by(&ticket().await)).await, refusal(429, "too_many_connections"));

    // Nobody gets a ticket without the permission to connect, without a token, or for another ticket.
    let nobody = token(&secrets, BOB, &json!({"permissions": ["access:revoke"]}));
    for (token, status) in [(Some(nobody.as_str()), 403), (None, 401), (Some(second.as_str()), 401)] {
        assert_eq!(system.rest(token).post("/auth/ticket", "").await.unwrap().0, status);
    }
    // A ticket lasts no longer than the token behind it.
    let brief = token(&secrets, BOB, &json!({"exp": now() + 4}));
    let ticket = secrets.keep(system.rest(Some(&brief)).ticket().await.unwrap());
    let mut socket = open(&system, &by(&ticket)).await.unwrap();
    socket.error("token_expired").await.unwrap();
    socket.close_code().await.unwrap();
    secrets.assert_not_logged(&system);
}
