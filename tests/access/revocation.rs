//! Ending the access of a user, or of everyone.

use e2e::{READ_LIVE, eventually, local_token};
use serde_json::json;

use crate::{ANN, BOB, is_open, open, refusal, refused, secrets, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_revoked_is_out_at_once_and_a_newer_token_lets_in() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let admin = token(&secrets, "root.gatekeeper", &json!({"permissions": ["access:revoke", READ_LIVE]}));
    secrets.keep("root.gatekeeper");
    let (ann, bob) = (token(&secrets, ANN, &json!({})), token(&secrets, BOB, &json!({})));
    // The same name in another tenant is somebody else.
    let namesake = secrets.keep_token(local_token("other", ANN, &json!({})));
    let undated = token(&secrets, ANN, &json!({"iat": null}));
    let mut anns = [system.socket(&ann).await.unwrap(), system.socket(&ann).await.unwrap()];
    let mut bobs = system.socket(&bob).await.unwrap();
    let mut namesakes = system.socket(&namesake).await.unwrap();
    let ticket = secrets.keep(system.rest(Some(&ann)).ticket().await.unwrap());

    let one = json!({"user": ANN}).to_string();
    let everyone = json!({"everyone": true}).to_string();
    for (rest, status) in [(system.rest(Some(&ann)), 403), (system.rest(None), 401)] {
        assert_eq!(rest.post("/auth/revoke", &one).await.unwrap().0, status);
    }
    let rest = system.rest(Some(&admin));
    let large = json!({"user": "x".repeat(2000)}).to_string();
    let both = json!({"user": ANN, "everyone": true}).to_string();
    let more = json!({"user": ANN, "tenant": "other"}).to_string();
    let no_one = r#"{"everyone":false}"#;
    for bad in ["", "{}", "[]", "everyone", r#"{"user":7}"#, r#"{"user":""}"#, no_one, &large, &both, &more] {
        let (status, body) = rest.post("/auth/revoke", bad).await.unwrap();
        assert_eq!((status, &body["error"]["code"]), (400, &json!("invalid_request")), "{bad:.60}");
    }
    assert!(is_open(&mut anns[0]).await, "nothing of that has revoked anything");

    let (status, body) = rest.post("/auth/revoke", &one).await.unwrap();
    assert_eq!((status, &body["data"]["connections"]), (200, &json!(2)), "{body}");
    assert!(body["data"]["revokedBefore"].is_string(), "{body}");
    for socket in &mut anns {
        socket.error("revoked").await.unwrap();
        assert_eq!(socket.close_code().await.unwrap(), 1000);
    }
    let revoked = refusal(401, "revoked");
    for token in [&ann, &undated] {
        assert_eq!(refused(&system, &format!("?token={token}")).await, revoked);
        assert_eq!(system.rest(Some(token)).refusal("/analytics/metrics").await.unwrap(), revoked);
        assert_eq!(system.rest(Some(token)).post("/auth/ticket", "").await.unwrap().0, 401);
    }
    assert_eq!(refused(&system, &format!("?ticket={ticket}")).await, revoked, "a ticket of before");
    assert!(is_open(&mut bobs).await && is_open(&mut namesakes).await);

    // `iat` has whole seconds: one of the same second may have been issued before.
    let mut again = eventually("a newer token lets in", async || {
        let ann = token(&secrets, ANN, &json!({}));
        open(&system, &format!("?token={ann}")).await.ok().map(|socket| (socket, ann))
    })
    .await;
    assert!(is_open(&mut again.0).await);
    assert_eq!(system.rest(Some(&again.1)).refusal("/analytics/metrics").await.unwrap(), None);
    // A connection of a newer token cannot be given an older one.
    again.0.send(json!({"action": "authenticate", "token": ann}).to_string()).await.unwrap();
    again.0.error("revoked").await.unwrap();

    let (status, body) = rest.post("/auth/revoke", &everyone).await.unwrap();
    assert_eq!(status, 200, "{body}");
    bobs.error("revoked").await.unwrap();
    assert_eq!(bobs.close_code().await.unwrap(), 1000);
    for token in [&bob, &admin] {
        assert_eq!(system.rest(Some(token)).refusal("/analytics/metrics").await.unwrap(), revoked);
    }
    assert!(is_open(&mut namesakes).await, "another tenant's");
    assert_eq!(system.rest(Some(&namesake)).refusal("/analytics/metrics").await.unwrap(), None);
    eventually("newer tokens of everyone are good", async || {
        let bob = token(&secrets, BOB, &json!({}));
        system.rest(Some(&bob)).refusal("/analytics/metrics").await.unwrap().is_none().then_some(())
    })
    .await;
    secrets.assert_not_logged(&system);
}
