//! What happens when parts are cut off, die or are stopped.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use e2e::{Options, System, eventually, signal};
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A wire to a DynamoDB that can be cut: while it is, connections are dropped and none is taken.
struct Wire {
    address: String,
    is_whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let is_whole = Arc::new(watch::Sender::new(true));
        let watching = Arc::clone(&is_whole);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut cut) = (target.clone(), watching.subscribe());
                tokio::spawn(async move {
                    if !*cut.borrow() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.wait_for(|is_whole| !is_whole) => {}
                    }
                });
            }
        });
        Self { address, is_whole }
    }

    fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    fn mend(&self) {
        self.is_whole.send_replace(true);
    }
}

fn call(n: usize) -> serde_json::Value {
    json!({"eventType": "call_initiated", "campaignId": "c", "callId": format!("k{n}")})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_dynamodb_is_cut_off_nothing_is_lost_and_readiness_says_so() {
    // One system lends its DynamoDB to the other, through a wire.
    let lender = System::start(Options::default()).await.unwrap();
    let lent = lender.rest(Some(&lender.tenant_token("acme").await.unwrap()));
    for n in 0..3 {
        lender.producer().unwrap().send_campaign(&call(n)).await.unwrap();
    }
    eventually("the lender counts", async || lent.campaign("c").await.filter(|m| m["totalAttempts"] == 3)).await;
    let wire = Wire::to(lender.dynamodb().trim_start_matches("http://").to_owned()).await;
    let options = Options { dynamodb: Some(wire.address.clone()), ..Options::default() };
    let system = System::start(options).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let (producer, rest) = (system.producer().unwrap(), system.rest(Some(&token)));
    let open = system.rest(None);
    producer.send_campaign(&call(0)).await.unwrap();
    // The same offset of the same topic, of another Kafka: an epoch of its own tells the two apart.
    eventually("a fourth call is counted", async || {
        rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == 4)
    })
    .await;

    wire.cut();
    for n in 1..50 {
        producer.send_campaign(&call(n)).await.unwrap();
    }
    eventually("readiness says so", async || {
        let (status, _) = open.get("/health/ready").await.ok()?;
        (status.as_u16() == 503).then_some(())
    })
    .await;
    assert_eq!(open.get("/health/live").await.unwrap().0.as_u16(), 200);

    wire.mend();
    eventually("all calls are counted once", async || {
        rest.campaign("c").await.filter(|metrics| metrics["totalAttempts"] == 3 + 50)
    })
    .await;
    eventually("it is ready again", async || {
        let (status, _) = open.get("/health/ready").await.ok()?;
        (status.as_u16() == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_goes_on_when_its_publisher_is_killed() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let producer = system.producer().unwrap();
    let mut socket = system.socket(&token).await.unwrap();
    socket.send(r#"{"action":"subscribe","campaignId":"c"}"#).await.unwrap();
    producer.send_campaign(&call(0)).await.unwrap();
    socket.wait_for("the first call", |m| m["data"]["totalAttempts"] == 1).await.unwrap();

    let publishers = system.processes("publisher").await.unwrap();
    assert!(!publishers.is_empty());
    for pid in publishers {
        signal(pid, "KILL").await.unwrap();
    }
    producer.send_campaign(&call(1)).await.unwrap();
    // A failed asynchronous invoke is tried again, a client that subscribes wakes a publisher, the schedule starts one.
    socket.wait_for("the second call", |m| m["data"]["totalAttempts"] == 2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_leaves_no_process_behind() {
    let system = System::start(Options::default()).await.unwrap();
    let token = system.tenant_token("acme").await.unwrap();
    let _socket = system.socket(&token).await.unwrap();
    let functions = system.status().await.unwrap();
    let mut pids = Vec::new();
    for name in ["ingest", "publisher", "ws-connect", "health-api"] {
        pids.extend(system.processes(name).await.unwrap());
    }
    assert!(pids.len() >= 2, "{functions}");
    let status = system.stop().await.unwrap();
    assert!(status.success(), "{status}");
    eventually("all processes are gone", async || {
        for pid in &pids {
            let alive = tokio::process::Command::new("kill")
                .args(["-0", &pid.to_string()])
                .stderr(std::process::Stdio::null())
                .status()
                .await
                .ok()?;
            if alive.success() {
                return None;
            }
        }
        Some(())
    })
    .await;
}
