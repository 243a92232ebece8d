//! Where a token may be, which of several counts, and whose pages may bring one.

use e2e::{Algorithm, Issuer, Secrets};

use crate::{
    AMBIGUOUS, NO_ORIGIN, OPENED, ORIGIN, UNAUTHORIZED, USER, over_rest, over_the_handshake, refusal, system_with,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_place_that_holds_a_token_counts_and_browsers_say_where_they_come_from() {
    let issuer = Issuer::start().await.unwrap();
    let system = system_with(&issuer).await;
    let secrets = Secrets::default();
    let good = secrets.keep_token(issuer.token(Algorithm::Es256, &issuer.claims("acme", USER)));
    let bad = secrets.keep_token(Issuer::start().await.unwrap().token(Algorithm::Es256, &issuer.claims("acme", USER)));
    let mut tickets = Vec::new();
    for _ in 0..5 {
        tickets.push(secrets.keep(system.rest(Some(&good)).ticket().await.unwrap()));
    }

    let header = |token: &str| ("authorization", format!("Bearer {token}"));
    let cookie = |token: &str| ("cookie", format!("token={token}"));
    let subprotocol = |token: &str| ("sec-websocket-protocol", format!("livefold.v1, bearer.{token}"));
    let origin = |origin: &str| ("origin", origin.to_owned());
    let ours = || ("origin", system.origin());
    let query = |token: &str| format!("?token={token}");
    let ticket = |n: usize| format!("?ticket={}", tickets[n]);
    let nothing = String::new;

    // What it is, headers, query, and how it goes at the handshake and over REST, which never looks at the query.
    #[rustfmt::skip]
    let cases = [
        ("nothing", vec![], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("another scheme", vec![("authorization", "Basic YW5uOmFubg==".to_owned())], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("a scheme without a token", vec![("authorization", "Bearer ".to_owned())], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("a header without a scheme", vec![("authorization", good.clone())], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("a good header", vec![header(&good)], nothing(), OPENED, OPENED),
        ("a good query", vec![], query(&good), OPENED, UNAUTHORIZED),
        ("a good subprotocol", vec![subprotocol(&good)], nothing(), OPENED, UNAUTHORIZED),
        ("an empty query", vec![], query(""), UNAUTHORIZED, UNAUTHORIZED),
        ("a good header and a bad query", vec![header(&good)], query(&bad), OPENED, OPENED),
        ("a bad header and a good query", vec![header(&bad)], query(&good), UNAUTHORIZED, UNAUTHORIZED),
        ("a bad header and a good cookie", vec![header(&bad), cookie(&good), ours()], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("a good header and a bad cookie", vec![header(&good), cookie(&bad), ours()], nothing(), OPENED, OPENED),
        ("a bad cookie and a good query", vec![cookie(&bad), ours()], query(&good), UNAUTHORIZED, UNAUTHORIZED),
        ("a bad cookie and a good subprotocol", vec![cookie(&bad), ours(), subprotocol(&good)], nothing(), UNAUTHORIZED, UNAUTHORIZED),
        ("a good subprotocol and a bad query", vec![subprotocol(&good)], query(&bad), OPENED, UNAUTHORIZED),
        ("a good ticket", vec![], ticket(0), OPENED, UNAUTHORIZED),
        ("a stale cookie and a good ticket", vec![cookie(&bad), ours()], ticket(1), OPENED, UNAUTHORIZED),
        ("a good cookie and a garbage ticket", vec![cookie(&good), ours()], "?ticket=garbage".to_owned(), UNAUTHORIZED, OPENED),
        ("a good ticket and a bad token", vec![], format!("{}&token={bad}", ticket(2)), OPENED, UNAUTHORIZED),
        ("a good ticket of a foreign page", vec![origin("https://evil.example")], ticket(3), ORIGIN, ORIGIN),
        ("the same ticket twice", vec![], format!("{}&ticket={}", ticket(4), tickets[4]), AMBIGUOUS, UNAUTHORIZED),
        ("a token in place of a ticket", vec![], format!("?ticket={good}"), UNAUTHORIZED, UNAUTHORIZED),
        ("the same token twice", vec![], format!("{}&token={good}", query(&good)), AMBIGUOUS, UNAUTHORIZED),
        ("a good token and a bad one", vec![], format!("{}&token={bad}", query(&good)), AMBIGUOUS, UNAUTHORIZED),
        ("a bad token and a good one", vec![], format!("{}&token={good}", query(&bad)), AMBIGUOUS, UNAUTHORIZED),
        ("two headers", vec![header(&good), header(&good)], nothing(), AMBIGUOUS, AMBIGUOUS),
        ("two cookies", vec![("cookie", format!("token={good}; token={bad}")), ours()], nothing(), AMBIGUOUS, AMBIGUOUS),
        ("two subprotocols", vec![("sec-websocket-protocol", format!("livefold.v1, bearer.{good}, bearer.{bad}"))], nothing(), AMBIGUOUS, UNAUTHORIZED),
        ("a cookie of our page", vec![cookie(&good), ours()], nothing(), OPENED, OPENED),
        ("a cookie without an origin", vec![cookie(&good)], nothing(), NO_ORIGIN, NO_ORIGIN),
        ("a cookie of a foreign page", vec![cookie(&good), origin("https://evil.example")], nothing(), ORIGIN, ORIGIN),
        ("a cookie of a page from a file", vec![cookie(&good), origin("null")], nothing(), ORIGIN, ORIGIN),
        ("a cookie of a page whose host begins like ours", vec![cookie(&good), origin(&format!("{}.evil.example", system.origin()))], nothing(), ORIGIN, ORIGIN),
        ("a cookie of a page on another port", vec![cookie(&good), origin(&format!("{}0", system.origin()))], nothing(), ORIGIN, ORIGIN),
        ("a cookie of our page over another scheme", vec![cookie(&good), origin(&system.origin().replace("http:", "https:"))], nothing(), ORIGIN, ORIGIN),
        ("a header of our page", vec![header(&good), ours()], nothing(), OPENED, OPENED),
        ("a header of a foreign page", vec![header(&good), origin("https://evil.example")], nothing(), ORIGIN, ORIGIN),
        ("a header of a page from a file", vec![header(&good), origin("null")], nothing(), ORIGIN, ORIGIN),
        ("a query of a foreign page", vec![origin("https://evil.example")], query(&good), ORIGIN, ORIGIN),
    ];
    let mut wrong = Vec::new();
    for (what, headers, query, handshake, rest) in cases {
        for (way, outcome, expected) in [
            ("handshake", over_the_handshake(&system, &query, &headers).await, handshake),
            ("REST", over_rest(&system, &query, &headers).await, rest),
        ] {
            if outcome != refusal(expected) {
                wrong.push(format!("{what}, {way}: {outcome:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    secrets.assert_not_logged(&system);
}
