//! A function whose environment lacks a variable, or has one that makes no sense, does not start, and says which it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::Duration,
};

use e2e::function_binary;
use futures_util::future::join_all;
use tokio::process::Command;

const FUNCTIONS: [&str; 8] =
    ["auth-api", "health-api", "ingest", "metrics-api", "publisher", "ws-connect", "ws-disconnect", "ws-message"];

/// Every variable that any function may ask for: one that it takes, and one that it must not take, where there is such.
const VARIABLES: [(&str, &str, Option<&str>); 23] = [
    ("ALLOWED_ORIGINS", "https://dashboard.example.com", Some("dashboard.example.com/")),
    ("CHANNELS_TABLE", "channels", None),
    ("CHANNEL_ID_LENGTH", "128", Some("129")),
    ("CONNECTION_LIMIT", "replace", Some("both")),
    ("CONNECTIONS_PER_TENANT", "10000", Some("many")),
    ("CONNECTIONS_PER_USER", "25", Some("few")),
    ("CONNECTIONS_TABLE", "connections", None),
    ("CONNECTIONS_URL", "http://127.0.0.1:1/api/ws", None),
    ("DEFAULT_TENANT", "acme", Some("ac#me")),
    ("JOURNAL_BUCKETS", "1", Some("none")),
    ("MESSAGES_PER_MINUTE", "120", Some("-1")),
    ("MESSAGE_BYTES", "8192", Some("32769")),
    ("OVERVIEW_INTERVAL_MS", "1000", Some("1s")),
    ("PARTIAL_RESPONSES", "false", Some("perhaps")),
    ("PUBLISHER_FUNCTION", "publisher", None),
    ("REQUESTS_PER_MINUTE", "600", Some("1e3")),
    ("RETENTION_DAYS", "30", Some("30 days")),
    ("SHARDS", "1", Some("none")),
    ("SUBSCRIPTIONS_PER_CONNECTION", "100", Some("100.5")),
    ("TICK_MS", "100", Some("0x64")),
    ("TOKEN_SECRET_ID", "secret", None),
    ("TOKEN_SIGNING", "secret", Some("nobody")),
    ("TOPIC_EPOCH", "1", Some("4294967296")),
];

/// With all that it asks for it goes on until it finds that there is neither a Lambda nor an AWS.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a function has to say of an environment before it ends.
async fn start(function: &str, environment: &BTreeMap<&str, &str>) -> String {
    let child = Command::new(function_binary(function).unwrap())
        .env_clear()
        // Nobody listens there.
        .envs([("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:1")])
        .envs([("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    assert!(!output.status.success(), "{function} is content with {environment:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The variable that is said to be missing or wrong.
fn named(said: &str) -> Option<&str> {
    said.split_once("the environment variable ")?.1.split(' ').next()
}

/// All that a function needs, found from nothing: each start names one more.
async fn needed(function: &str) -> BTreeMap<&'static str, &'static str> {
    let mut environment = BTreeMap::new();
    loop {
        let said = start(function, &environment).await;
        let Some(missing) = named(&said) else { return environment };
        assert!(said.contains("is not set"), "{function} misses {missing} and says {said}");
        let known = VARIABLES.iter().find(|(name, ..)| *name == missing);
        let (name, good, _) = known.unwrap_or_else(|| panic!("{function} misses {missing}, which is not known here"));
        assert_eq!(environment.insert(*name, *good), None, "{function} has {name} and misses it still");
    }
}

/// The variables that a function takes amiss when they make no sense.
async fn taken_amiss(function: &str) -> BTreeSet<&'static str> {
    let environment = needed(function).await;
    assert!(!environment.is_empty(), "{function} starts with nothing");
    let bad = VARIABLES.iter().filter_map(|(name, _, bad)| Some((*name, (*bad)?)));
    let starts = bad.map(async |(name, bad)| {
        let wrong = environment.iter().map(|(name, value)| (*name, *value)).chain([(name, bad)]).collect();
        let said = start(function, &wrong).await;
        if environment.contains_key(name) {
            assert_eq!(named(&said), Some(name), "{function} has {name}={bad} and says {said}");
            assert!(!said.contains(bad), "{function} repeats what {name} is: {said}");
        }
        // Those that it does not need it may ask for all the same.
        (named(&said) == Some(name)).then_some(name)
    });
    join_all(starts).await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_function_names_each_variable_that_it_misses_and_each_that_makes_no_sense() {
    let tried: BTreeSet<_> = join_all(FUNCTIONS.map(taken_amiss)).await.into_iter().flatten().collect();
    let known = VARIABLES.iter().filter(|(.., bad)| bad.is_some()).map(|(name, ..)| *name);
    let untried: Vec<_> = known.filter(|name| !tried.contains(name)).collect();
    assert!(untried.is_empty(), "no function takes {untried:?} amiss");
}
