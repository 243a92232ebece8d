//! No sequence of actions by one tenant's people delivers a byte of another tenant's data.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "tenants/actor.rs"]
mod actor;
#[path = "tenants/foreign.rs"]
mod foreign;

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use actor::{Action, Actor, Seen, Way, Who};
use e2e::{Options, System, eventually};
use foreign::{Foreign, MARKERS, TENANTS};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

/// Sequences of actions; each takes a second or two.
const CASES: u32 = 24;

/// The longest sequence.
const ACTIONS: usize = 30;

/// How often a failing sequence is made shorter before it is shown.
const SHRINKS: u32 = 64;

/// Whose people act. Its name is the beginning of both others', as a key's prefix would be.
const TENANT: &str = "acme";

/// Channels that exist in both, in the other tenants alone, nowhere, and names that mean to reach across.
const CHANNELS: [&str; 24] = [
    "campaign:c-1",
    "campaign:c-2",
    "campaign:only-theirs",
    "event:evt-1",
    "event:only-theirs",
    "campaigns",
    "system",
    "campaign:*",
    "event:*",
    "*",
    "acme2#campaign:c-1",
    "campaign:acme2#c-1",
    "campaign:acme2:c-1",
    "campaign:../acme2/c-1",
    "campaign:c-1\u{0}",
    "campaign:c-1\n",
    "campaign: c-1",
    "Campaign:c-1",
    "campaign:c-1%23acme2",
    "campaigns#acme2",
    "acme:campaign:campaign:c-1",
    "system:acme2",
    "#topics",
    "",
];

/// Paths, to be completed with a channel's name where they have braces.
const PATHS: [&str; 14] = [
    "/analytics/metrics",
    "/analytics/metrics?tenant=acme2&tenantId=acme2&tenant_id=acme2&organizationId=acme2",
    "/analytics/system/health",
    "/analytics/system/health?token=theirs",
    "/analytics/campaigns/c-1/metrics",
    "/analytics/campaigns/only-theirs/metrics",
    "/analytics/campaigns/c-1%2F..%2F..%2Facme2%2Fc-1/metrics",
    "/analytics/campaigns/acme2%23campaign%3Ac-1/metrics",
    "/analytics/campaigns/%2e%2e/metrics",
    "/events/evt-1/dashboard",
    "/events/only-theirs/dashboard",
    "/events/evt-1%00/dashboard",
    "/channels/{}",
    "/analytics/campaigns/{}/metrics",
];

fn channel() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(&CHANNELS[..]).prop_map(str::to_owned),
        1 => "(campaign|event|system|acme2|acme:campaign)?[:#/%.* -]?[a-z0-9:#%./*-]{0,12}",
    ]
}

fn who() -> impl Strategy<Value = Who> {
    prop::sample::select(&Who::ALL[..])
}

fn path() -> impl Strategy<Value = String> {
    (prop::sample::select(&PATHS[..]), channel()).prop_map(|(path, channel)| path.replace("{}", &escaped(&channel)))
}

/// Every character that is no letter or digit as `%XX`.
fn escaped(text: &str) -> String {
    let escape =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(escape).collect()
}

/// Messages that say more than they should.
fn message() -> impl Strategy<Value = String> {
    let crafted = [
        r#"{"action":"subscribe","campaignId":"c-1","tenant":"acme2","tenantId":"acme2","tenant_id":"acme2"}"#,
        r#"{"action":"subscribe","channel":"campaign:c-1","organizationId":"acme2","principal":{"tenant":"acme2"}}"#,
        r#"{"action":"subscribe","channel":["campaigns"],"tenant":"acme2"}"#,
        r#"{"action":"subscribe","channel":"campaigns","channel":"acme2#campaigns"}"#,
        r#"{"action":"$connect","token":"theirs"}"#,
        r#"{"action":"authenticate","token":{"tenant":"acme2"}}"#,
        "not json",
        "[]",
    ];
    prop_oneof![4 => prop::sample::select(crafted.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,40}"]
}

fn action() -> impl Strategy<Value = Action> {
    let socket = || 0..16_usize;
    prop_oneof![
        6 => (who(), prop::sample::select(&Way::ALL[..])).prop_map(|(who, way)| Action::Connect(who, way)),
        8 => (socket(), channel()).prop_map(|(socket, channel)| Action::Subscribe(socket, channel)),
        2 => (socket(), channel()).prop_map(|(socket, channel)| Action::Unsubscribe(socket, channel)),
        2 => socket().prop_map(Action::Ping),
        2 => (socket(), message()).prop_map(|(socket, text)| Action::Send(socket, text)),
        2 => (socket(), who()).prop_map(|(socket, who)| Action::Authenticate(socket, who)),
        3 => (socket(), prop::sample::select(&TENANTS[..])).prop_map(|(socket, tenant)| Action::AuthenticateAs(socket, tenant)),
        1 => socket().prop_map(Action::AuthenticateGarbage),
        6 => (who(), path()).prop_map(|(who, path)| Action::Get(who, path)),
        1 => (who(), any::<bool>()).prop_map(|(who, everyone)| Action::Revoke(who, everyone)),
        1 => socket().prop_map(Action::Close),
    ]
}

/// A number to begin with: the one given, to see a failure again, or the time.
fn seed() -> u64 {
    let given = std::env::var("LIVEFOLD_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        u64::try_from(nanos & u128::from(u64::MAX)).unwrap()
    })
}

/// Lets the tenant's people act while the others' records come, and waits until whatever these have made go out has gone
/// out. What they saw is in `seen`.
async fn play(system: &System, foreign: &Foreign, tenant: &'static str, actions: &[Action]) -> Seen {
    let mut actor = Actor::new(system, tenant);
    for action in actions {
        actor.act(action).await;
    }
    foreign.catch_up().await;
    actor.look_around().await
}

/// What anybody does who wants to see all that there is.
fn curious() -> Vec<Action> {
    let mut actions = vec![Action::Connect(Who::Reader, Way::Query), Action::Connect(Who::Reader, Way::Ticket)];
    actions.extend(["campaign:c-1", "event:evt-1", "system"].map(|channel| Action::Subscribe(0, channel.to_owned())));
    actions.extend(PATHS[..12].iter().map(|path| Action::Get(Who::Names, (*path).to_owned())));
    actions
}

#[test]
fn no_sequence_of_actions_delivers_a_byte_of_another_tenant() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // No limit but the ones on data is to be what keeps anything back.
    let environment = ["REQUESTS_PER_MINUTE=100000", "MESSAGES_PER_MINUTE=10000", "CONNECTIONS_PER_USER=1000"];
    let environment = environment.map(str::to_owned).to_vec();
    let system = runtime.block_on(System::start(Options { environment, ..Options::default() })).unwrap();
    let foreign = runtime.block_on(Foreign::start(&system, TENANT));

    // The markers are there to be seen, by those whose they are: each of them, by the very same actions.
    for tenant in TENANTS {
        runtime.block_on(eventually(
            "the markers are seen by whose they are, or the test could not fail",
            async || {
                let seen = play(&system, &foreign, tenant, &curious()).await;
                (!seen.leaks().is_empty() && MARKERS.iter().all(|marker| seen.holds(marker))).then_some(())
            },
        ));
    }

    let number = seed();
    let bytes: Vec<u8> = number.to_le_bytes().repeat(4);
    let config = Config { cases: CASES, max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let total = RefCell::new(Seen::default());
    let outcome = runner.run(&prop::collection::vec(action(), 10..ACTIONS), |mut actions| {
        // Somebody is in, whatever else happens.
        actions.insert(0, Action::Connect(Who::Reader, Way::Query));
        let seen = runtime.block_on(play(&system, &foreign, TENANT, &actions));
        let leaks = seen.leaks();
        total.borrow_mut().add(seen);
        if leaks.is_empty() { Ok(()) } else { Err(TestCaseError::fail(leaks.join("\n"))) }
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, actions)) => panic!("LIVEFOLD_SEED={number}: {reason}\nafter {actions:#?}"),
        Err(TestError::Abort(reason)) => panic!("LIVEFOLD_SEED={number}: {reason}"),
    }
    let seen = runtime.block_on(play(&system, &foreign, TENANT, &curious()));
    assert_eq!(seen.leaks(), [""; 0]);

    // They were not simply shut out.
    let total = total.into_inner();
    assert!(
        seen.holds("Own campaign") && total.holds("Own campaign"),
        "LIVEFOLD_SEED={number}: saw nothing of their own"
    );
    assert!(total.sockets > 20 && total.messages > 100 && total.answers > 30, "LIVEFOLD_SEED={number}: {total:?}");
    // What they revoked was theirs.
    runtime.block_on(foreign.assert_undisturbed());
    println!("LIVEFOLD_SEED={number}: {total:?}");
}
