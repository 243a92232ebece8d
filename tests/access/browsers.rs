//! What browsers are answered.

use e2e::{Rest, eventually};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

use crate::{ANN, BOB, PAGE, assert_hardened, secrets, system_with, token};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_may_read_from_exact_origins_and_every_answer_is_hardened() {
    let system = system_with(&[]).await;
    let secrets = secrets();
    let ann = token(&secrets, ANN, &json!({}));
    let no_permission = token(&secrets, BOB, &json!({"permissions": []}));
    let call = json!({"eventType": "call_initiated", "campaignId": "c-1", "callId": "k"});
    system.producer().unwrap().send_campaign(&call).await.unwrap();
    let rest = system.rest(Some(&ann));
    eventually("c-1 is known", async || rest.campaign("c-1").await).await;

    let preflight = async |path: &str, origin: &str, method: &str, asked: &str| {
        let request = system.rest(None).request(Method::OPTIONS, path).header("origin", origin);
        let request = request.header("access-control-request-method", method);
        let response = request.header("access-control-request-headers", asked).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.headers().clone()
    };
    let listed = |headers: &HeaderMap, name: &str| {
        let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_ascii_lowercase());
        values
            .flat_map(|value| value.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    let same = system.origin();
    for origin in [PAGE, "http://localhost:3000", same.as_str()] {
        for (path, method, asked) in [
            ("/analytics/metrics", "GET", "authorization,if-none-match"),
            ("/auth/ticket", "POST", "authorization,content-type"),
        ] {
            let headers = preflight(path, origin, method, asked).await;
            assert_eq!(headers["access-control-allow-origin"], origin);
            assert_eq!(headers["access-control-allow-credentials"], "true");
            assert!(
                listed(&headers, "access-control-allow-methods").contains(&method.to_ascii_lowercase()),
                "{headers:?}"
            );
            for header in asked.split(',') {
                assert!(listed(&headers, "access-control-allow-headers").contains(&header.to_owned()), "{headers:?}");
            }
        }
        let response = rest.response("/analytics/metrics", Some(("origin", origin))).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["access-control-allow-origin"], origin);
        assert_eq!(response.headers()["access-control-allow-credentials"], "true");
        assert!(listed(response.headers(), "vary").contains(&"origin".to_owned()), "{:?}", response.headers());
        let exposed = listed(response.headers(), "access-control-expose-headers");
        assert!(["etag", "retry-after"].iter().all(|name| exposed.contains(&(*name).to_owned())), "{exposed:?}");
    }
    for origin in [
        "https://evil.example",
        "http://localhost:51730",
        "http://localhost:5173.evil.example",
        "https://localhost:5173",
        "http://localhost",
        "http://localhost:5174",
        "null",
        "http://127.0.0.1:5173.",
    ] {
        let headers = preflight("/analytics/metrics", origin, "GET", "authorization").await;
        assert!(!headers.contains_key("access-control-allow-origin"), "{origin}: {headers:?}");
        let response = rest.response("/analytics/metrics", Some(("origin", origin))).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
        assert!(!response.headers().contains_key("access-control-allow-origin"), "{origin}");
    }

    // Whatever is answered, and by which function.
    let answers = [
        (&rest, Method::GET, "/analytics/metrics", "", 200),
        (&rest, Method::GET, "/analytics/campaigns/c-1/metrics", "", 200),
        (&rest, Method::GET, "/analytics/system/health", "", 200),
        (&rest, Method::GET, "/analytics/campaigns/unknown/metrics", "", 404),
        (&rest, Method::GET, "/channels/planet:mars", "", 404),
        (&rest, Method::POST, "/auth/ticket", "", 200),
        (&rest, Method::POST, "/auth/revoke", "{}", 403),
        (&system.rest(None), Method::GET, "/analytics/metrics", "", 401),
        (&system.rest(None), Method::POST, "/auth/ticket", "", 401),
        (&system.rest(Some(&no_permission)), Method::GET, "/analytics/metrics", "", 403),
        (&system.rest(None), Method::GET, "/health", "", 200),
        (&system.rest(None), Method::GET, "/health/live", "", 200),
        (&system.rest(None), Method::GET, "/health/ready", "", 200),
    ];
    for (rest, method, path, body, status) in answers {
        let what = format!("{method} {path}");
        let response = answer(rest, method, path, body).await;
        assert_eq!(response.status().as_u16(), status, "{what}");
        assert_hardened(response.headers(), &what);
        if status == 401 {
            assert_eq!(response.headers()["www-authenticate"], "Bearer", "{what}");
        }
        if path == "/auth/ticket" && status == 200 {
            let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            secrets.keep(body["data"]["ticket"].as_str().unwrap());
        }
    }
    let first = rest.response("/analytics/campaigns/c-1/metrics", None).await.unwrap();
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = rest.response("/analytics/campaigns/c-1/metrics", Some(("if-none-match", &etag))).await.unwrap();
    assert_eq!((again.status().as_u16(), &again.headers()["cache-control"]), (304, &"no-store".parse().unwrap()));
    secrets.assert_not_logged(&system);
}

async fn answer(rest: &Rest, method: Method, path: &str, body: &'static str) -> reqwest::Response {
    let request = rest.request(method, path);
    let request = if body.is_empty() { request } else { request.header("content-type", "application/json").body(body) };
    request.send().await.unwrap()
}
