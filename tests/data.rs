//! What is there again when a system is started with the data of one that was killed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use e2e::{Options, Rest, System, eventually};
use serde_json::{Value, json};

fn call(n: usize) -> Value {
    json!({"eventType": "call_initiated", "campaignId": "c", "callId": format!("k{n}")})
}

async fn counted(rest: &Rest, calls: usize) {
    let what = format!("{calls} calls are counted");
    eventually(&what, async || rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == calls)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_outlive_kill_9_and_new_records_add_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().join("data")), ..Options::default() };
    for start in 0..3 {
        let system = System::start(options()).await.unwrap();
        let token = system.tenant_token("acme").await.unwrap();
        let (producer, rest) = (system.producer().unwrap(), system.rest(Some(&token)));
        if start > 0 {
            let kept = rest.campaign("c").await.unwrap();
            assert_eq!(kept["totalAttempts"], start * 20, "{kept}");
        }
        // The embedded Kafka begins at offset 0 again each time.
        let calls: Vec<Value> = (0..20).map(|n| call(start * 20 + n)).collect();
        producer.send_campaigns(&calls).await.unwrap();
        counted(&rest, (start + 1) * 20).await;
        let mut socket = system.socket(&token).await.unwrap();
        socket.send(r#"{"action":"subscribe","campaignId":"c"}"#).await.unwrap();
        let total = (start + 1) * 20;
        socket.wait_for("the view", |message| message["data"]["totalAttempts"] == total).await.unwrap();
        system.kill().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_system_on_the_same_data_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { data: Some(folder.path().to_owned()), ..Options::default() };
    let _system = System::start(options()).await.unwrap();
    let error = System::start(options()).await.err().unwrap().to_string();
    let log = error.split("see ").nth(1).unwrap();
    let printed = std::fs::read_to_string(log).unwrap();
    let refused = format!("--data: {} is in use by another system", folder.path().display());
    assert!(printed.contains(&refused), "{printed}");
}
