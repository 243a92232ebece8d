//! A new token on an open connection.

use store::{CloseReason, Revocations};
use testing::client;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// The token of `AUTHENTICATE`: ann's, issued a second later, for one campaign only.
fn second() -> Timestamp {
    now().plus(Duration::from_secs(1))
}

async fn authenticate(dispatcher: &Dispatcher) -> Value {
    answer_at(dispatcher, AUTHENTICATE, second()).await
}

fn with_token(token: &str) -> String {
    let mut event: Value = serde_json::from_str(AUTHENTICATE).unwrap();
    event["body"] = json!(json!({ "action": "authenticate", "token": token }).to_string());
    event.to_string()
}

#[tokio::test]
async fn a_new_token_takes_the_place_of_the_old_one_and_closes_what_it_does_not_open() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    answer(&dispatcher, SUBSCRIBE).await;
    answer(&dispatcher, SUBSCRIBE_CHANNEL).await;
    let entered = table.entered(0).await.len();
    let message = authenticate(&dispatcher).await;
    assert_eq!(message["type"], "authenticated", "{message}");
    let data = json!({ "expiresAt": "2100-01-01T00:00:05.000Z", "unsubscribed": ["event:evt_1"] });
    assert_eq!(message["data"], data);
    assert_eq!(watched(&dispatcher).await, ["campaign:c-17"]);
    let renewed = stored(&dispatcher).await;
    assert_eq!((renewed.principal.issued_at, renewed.ending), (second(), None));
    assert_eq!(table.entered(0).await.len(), entered + 1, "the publisher notices");
    // Beyond the end of the first token.
    let later = answer_at(&dispatcher, SUBSCRIBE, now().plus(Duration::from_hours(2))).await;
    assert_eq!(later["type"], "metrics_update");
    let closed = answer_at(&dispatcher, SUBSCRIBE_CHANNEL, now().plus(Duration::from_hours(2))).await;
    assert_eq!(closed["data"]["code"], "forbidden");
}

#[tokio::test]
async fn only_a_valid_token_of_the_same_user_with_the_permission_renews() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    let query = |text: &str| -> String {
        let event: Value = serde_json::from_str(text).unwrap();
        event["queryStringParameters"]["token"].as_str().unwrap().to_owned()
    };
    let no_permission = query(include_str!("../../../../../events/ws-connect-no-permission.json"));
    let root: Value = serde_json::from_str(include_str!("../../../../../events/rest-auth-revoke-user.json")).unwrap();
    let root = root["headers"]["authorization"].as_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let ours = query(include_str!("../../../../../events/ws-connect-token-in-query.json"));
    let forged = ours.replace(".MGDom0mUXG9m5", ".MGDom0mUXG9m6");
    for (token, code) in [
        (root.as_str(), "forbidden"),
        (&no_permission, "forbidden"),
        (&forged, "unauthorized"),
        ("", "unauthorized"),
        ("a.b.c", "unauthorized"),
    ] {
        let message = answer(&dispatcher, &with_token(token)).await;
        assert_eq!((&message["data"]["code"], &message["data"]["action"]), (&json!(code), &json!("authenticate")));
    }
    assert_eq!(stored(&dispatcher).await.principal, ann(), "as before");
    assert_eq!(answer(&dispatcher, &with_token(&ours)).await["type"], "authenticated");
}

#[tokio::test]
async fn another_tenants_user_of_the_same_name_does_not_renew() {
    let table = TestTable::create().await;
    let tenant = TenantId::parse("globex").unwrap();
    let dispatcher = dispatcher(&table, &Connection { principal: Principal { tenant, ..ann() }, ..connection() }).await;
    assert_eq!(authenticate(&dispatcher).await["data"]["code"], "forbidden");
}

#[tokio::test]
async fn a_revoked_token_does_not_renew_and_ends_the_connection() {
    let table = TestTable::create().await;
    let dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.revocations.revoke(&ann().tenant, Some("ann"), second()).await.unwrap();
    assert_eq!(authenticate(&dispatcher).await["data"]["code"], "revoked");
    let connection = stored(&dispatcher).await;
    assert_eq!((connection.ending, connection.principal), (Some(CloseReason::Revoked), ann()));
}

#[tokio::test]
async fn while_nobody_knows_what_was_revoked_everything_stays_as_it_is() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.revocations = Revocations::new(client("http://127.0.0.1:1"), table.name.clone());
    assert_eq!(authenticate(&dispatcher).await["data"]["code"], "unavailable");
    let connection = stored(&dispatcher).await;
    assert_eq!((connection.ending, connection.principal), (None, ann()));
}

/// Revocations in a table that answers like this, one request after the other, and the last one for ever. Each look at
/// what was revoked is two requests.
async fn answering(answers: &'static [(u16, &str)]) -> Revocations {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut answers = answers.iter().peekable();
        while let Ok((mut stream, _)) = listener.accept().await {
            let (status, body) = *answers.peek().copied().unwrap();
            if answers.len() > 1 {
                answers.next();
            }
            let mut request = vec![0; 8192];
            let _ = stream.read(&mut request).await.unwrap();
            let (length, head) = (body.len(), "content-type: application/x-amz-json-1.0\r\nconnection: close");
            let answer = format!("HTTP/1.1 {status} Answer\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    Revocations::new(client(&url), "revocations".into())
}

#[tokio::test]
async fn a_revocation_that_comes_while_a_token_is_renewed_ends_the_connection() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.revocations =
        answering(&[(200, "{}"), (200, "{}"), (200, r#"{"Item":{"before":{"S":"2026-01-15T10:30:01.000Z"}}}"#)]).await;
    assert_eq!(authenticate(&dispatcher).await["data"]["code"], "revoked");
    assert_eq!(stored(&dispatcher).await.ending, Some(CloseReason::Revoked));
}

#[tokio::test]
async fn a_renewed_connection_of_which_nobody_knows_whether_it_may_stay_has_to_come_again() {
    let table = TestTable::create().await;
    let mut dispatcher = dispatcher(&table, &connection()).await;
    dispatcher.revocations =
        answering(&[(200, "{}"), (200, "{}"), (400, r#"{"__type":"com.amazon#AccessDeniedException"}"#)]).await;
    assert_eq!(authenticate(&dispatcher).await["data"]["code"], "internal");
    assert_eq!(stored(&dispatcher).await.ending, Some(CloseReason::TokenExpired));
}
