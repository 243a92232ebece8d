//! Who sees the names of people.

use e2e::READ_LIVE;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::{ANN, BOB, secrets, subscribe, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_people_are_initials_for_whoever_may_not_read_them() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let without = token(&secrets, ANN, &json!({}));
    let permissions = json!({"permissions": [READ_LIVE, "attendees:read:names"]});
    let with_names = token(&secrets, BOB, &permissions);
    let mut socket = system.socket(&without).await.unwrap();
    let mut full = system.socket(&with_names).await.unwrap();
    for socket in [&mut socket, &mut full] {
        socket.ask(&subscribe("event:evt-1"), "dashboard.update").await.unwrap();
    }
    let producer = system.producer().unwrap();
    let people = ["Ada Byron Lovelace", "Łucja Żądło-Nowak", "plato the elder", "12345 67890"];
    let initials = ["A. L.", "Ł. Ż.", "P. E.", "?"];
    for (n, name) in people.into_iter().enumerate() {
        let check_in = json!({"type": "CHECK_IN_PROCESSED", "tenantId": "acme", "eventId": "evt-1",
            "timestamp": format!("2026-01-15T10:30:{n:02}Z"), "phoneNumber": secrets.keep("+4915550100999"),
            "checkInData": {"id": format!("u{n}"), "name": secrets.keep(name)}});
        producer.send_bytes("platform.analytics.check-in.v1", None, check_in.to_string().as_bytes()).await.unwrap();
    }
    let names = |data: &Value| -> Vec<String> {
        let feed = data["liveCheckInFeed"].as_array().cloned().unwrap_or_default();
        feed.iter().rev().map(|arrival| arrival["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut seen = Vec::new();
    socket
        .wait_for("four people", |m| {
            seen.push(m.to_string());
            names(&m["data"]).len() == 4
        })
        .await
        .unwrap();
    let update = full.wait_for("four people", |m| names(&m["data"]).len() == 4).await.unwrap();
    assert_eq!(names(&update["data"]), people);
    for name in ["Ada", "Byron", "Lovelace", "Żądło", "plato", "12345"] {
        assert!(!seen.concat().contains(name), "{name} was shown on the way");
    }

    for path in ["/events/evt-1/dashboard", "/channels/event:evt-1"] {
        let data = system.rest(Some(&without)).data(path).await.unwrap();
        assert_eq!(names(&data), initials, "{path}");
        let data = system.rest(Some(&with_names)).data(path).await.unwrap();
        assert_eq!(names(&data), people, "{path}");
    }
    // What is answered to a subscription is no different, and a new token changes what is seen.
    let answer = socket.ask(&subscribe("event:evt-1"), "dashboard.update").await.unwrap();
    assert_eq!(names(&answer["data"]), initials);
    let promoted = token(&secrets, ANN, &permissions);
    socket.ask(&json!({"action": "authenticate", "token": promoted}), "authenticated").await.unwrap();
    let answer = socket.ask(&subscribe("event:evt-1"), "dashboard.update").await.unwrap();
    assert_eq!(names(&answer["data"]), people);
    // ETags tell the two apart: neither gets a 304 for what only the other has seen.
    let etag = |headers: &HeaderMap| headers["etag"].to_str().unwrap().to_owned();
    let path = "/events/evt-1/dashboard";
    let of_initials = etag(system.rest(Some(&without)).response(path, None).await.unwrap().headers());
    let of_names = etag(system.rest(Some(&with_names)).response(path, None).await.unwrap().headers());
    assert_ne!(of_initials, of_names);
    secrets.assert_not_logged(&system);
}
