//! The host with a real process: this test binary itself, which is then a function on the real `lambda_runtime`.

use std::os::unix::fs::PermissionsExt as _;

use axum::{body::Body, http::Request};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

/// The function. It does what its payload says; without a Runtime API it is no function and has nothing to do.
#[tokio::test]
#[ignore = "it is the function that the other tests run"]
async fn function() {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        let _ = lambda_runtime::run(service_fn(obey)).await;
    }
}

async fn obey(event: LambdaEvent<Value>) -> Result<Value, std::io::Error> {
    match event.payload["do"].as_str() {
        Some("fail") => return Err(std::io::Error::other("secret")),
        Some("exit") => std::process::exit(3),
        Some("sleep") => tokio::time::sleep(Duration::from_millis(300)).await,
        Some("hang") => std::future::pending().await,
        _ => {}
    }
    Ok(
        json!({"pid": std::process::id(), "deadline": event.context.deadline, "arn": event.context.invoked_function_arn}),
    )
}

struct Running {
    host: Arc<Host>,
    _folder: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let this = std::env::current_exe().unwrap();
        Self::script(&format!("exec '{}' --exact lambda::tests::function --ignored", this.display())).await
    }

    /// A function that is a line of shell.
    async fn script(line: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("work");
        std::fs::write(&binary, format!("#!/bin/sh\n{line}\n")).unwrap();
        std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
        let environment = [
            ("AWS_LAMBDA_FUNCTION_NAME", "work"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("PATH", "/usr/bin:/bin"),
        ];
        let launch = Launch {
            memory_mb: 128,
            name: "work".to_owned(),
            binary,
            environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            timeout: Duration::from_secs(2),
            retries: 0,
        };
        let log = Log::create(folder.path(), "work", false).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = Host::start(vec![(launch, log)], &listener.local_addr().unwrap().to_string());
        let router = router(host.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, _folder: folder }
    }

    async fn invoke(&self, what: &str) -> Result<Value, InvokeError> {
        let payload = Bytes::from(json!({"do": what}).to_string());
        self.host.invoke("work", payload).await.map(|answer| serde_json::from_slice(&answer).unwrap())
    }

    /// Status and `x-amz-function-error` of a request to the Invoke API.
    async fn call(&self, function: &str, kind: &str) -> (u16, bool) {
        let uri = format!("/2015-03-31/functions/{function}/invocations");
        let request = Request::post(uri).header("x-amz-invocation-type", kind);
        let request = request.body(Body::from(r#"{"do":"fail"}"#)).unwrap();
        let response = router(self.host.clone()).oneshot(request).await.unwrap();
        (response.status().as_u16(), response.headers().contains_key("x-amz-function-error"))
    }
}

fn is_alive(pid: u64) -> bool {
    let pid = pid.to_string();
    std::process::Command::new("kill")
        .args(["-0", &pid])
        .stderr(std::process::Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[tokio::test]
async fn a_process_is_used_again() {
    let running = Running::start().await;
    let first = running.invoke("answer").await.unwrap();
    let second = running.invoke("answer").await.unwrap();
    assert_eq!(first["pid"], second["pid"]);
    assert_eq!(first["arn"], "arn:aws:lambda:us-east-1:123456789012:function:work");
    assert!(first["deadline"].as_u64().unwrap() > 1_700_000_000_000);
}

#[tokio::test]
async fn a_busy_function_gets_more_processes() {
    let running = Running::start().await;
    let (a, b) = tokio::join!(running.invoke("sleep"), running.invoke("sleep"));
    assert_ne!(a.unwrap()["pid"], b.unwrap()["pid"]);
    assert_eq!(running.host.status()[0].processes.len(), 2);
}

#[tokio::test]
async fn never_more_than_the_bound() {
    let running = Running::start().await;
    let invocations = (0..2 * pool::MAX_PROCESSES).map(|_| running.invoke("sleep"));
    for answer in futures_util::future::join_all(invocations).await {
        answer.unwrap();
    }
    assert_eq!(running.host.status()[0].processes.len(), pool::MAX_PROCESSES);
}

#[tokio::test]
async fn an_error_of_the_handler_has_its_type_and_leaves_the_process() {
    let running = Running::start().await;
    let before = running.invoke("answer").await.unwrap();
    let error = running.invoke("fail").await.unwrap_err();
    assert!(matches!(&error, InvokeError::Function { error_type } if error_type.contains("Error")), "{error:?}");
    assert!(!error.to_string().contains("secret"));
    assert_eq!(running.invoke("answer").await.unwrap()["pid"], before["pid"]);
}

#[tokio::test]
async fn a_process_that_dies_is_replaced() {
    let running = Running::start().await;
    let before = running.invoke("answer").await.unwrap();
    assert_eq!(running.invoke("exit").await.unwrap_err(), InvokeError::Crashed);
    assert_ne!(running.invoke("answer").await.unwrap()["pid"], before["pid"]);
    assert_eq!(running.host.status()[0].errors, 1);
}

#[tokio::test]
async fn a_function_that_does_not_start_says_why_in_one_line() {
    let reason = "the environment variable TICK_MS is not a number from 10 to 10000";
    let running = Running::script(&format!("echo 'Error: {reason}' >&2; exit 1")).await;
    let error = running.host.warm().await.unwrap_err().to_string();
    assert_eq!(error, format!("work does not start: {reason}"));
}

#[tokio::test]
async fn a_process_that_takes_too_long_is_killed() {
    let running = Running::start().await;
    let before = running.invoke("answer").await.unwrap()["pid"].as_u64().unwrap();
    assert_eq!(running.invoke("hang").await.unwrap_err(), InvokeError::TimedOut);
    let after = running.invoke("answer").await.unwrap()["pid"].as_u64().unwrap();
    assert_ne!(after, before);
    assert!(!is_alive(before));
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_process_usable() {
    let running = Running::start().await;
    let before = running.invoke("answer").await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(50), running.invoke("sleep")).await;
    // It comes to its end, though nobody waits for it.
    let given_back = async {
        while running.host.status()[0].processes[0].state != State::Idle {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_back).await.unwrap();
    assert_eq!(running.invoke("answer").await.unwrap()["pid"], before["pid"]);
}

#[tokio::test]
async fn shutting_down_leaves_no_process() {
    let running = Running::start().await;
    let pid = running.invoke("answer").await.unwrap()["pid"].as_u64().unwrap();
    running.host.shut_down().await;
    assert!(!is_alive(pid));
    assert_eq!(running.invoke("answer").await.unwrap_err(), InvokeError::ShuttingDown);
}

#[tokio::test]
async fn the_invoke_api_answers_as_lambda_does() {
    let running = Running::start().await;
    assert_eq!(running.call("work", "RequestResponse").await, (200, true));
    assert_eq!(running.call("work", "Event").await, (202, false));
    assert_eq!(running.call("arn:aws:lambda:us-east-1:123456789012:function:work", "Event").await, (202, false));
    assert_eq!(running.call("other", "Event").await, (404, false));
    assert_eq!(running.call("work", "Other").await, (400, false));
}
