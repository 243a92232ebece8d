//! Whatever happens to a tenant's connections, on a network that fails: none that may be open goes uncounted.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join;
use projections::Timestamp;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use store::{ConnectError, Connection, Connections, Limits, MAX_CONNECTION_AGE};
use testing::TestTable;

use crate::{
    faults::{Fault, Faults},
    now, of_tenant,
    quotas::{BUCKET, connection, faulty, total},
    user,
};

/// What happens to a tenant's connections, each step with faults on the way.
#[derive(Clone, Debug)]
enum Step {
    /// One of three users comes.
    Connect(u8, Vec<Fault>),
    /// One that ever came is told to be gone, by one or by two at once.
    Disconnect(prop::sample::Index, bool, Vec<Fault>),
    /// Minutes go by.
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = prop_oneof![6 => Just(Fault::None), 2 => Just(Fault::Lost), 1 => Just(Fault::Throttled)];
    let faults = prop_oneof![2 => Just(Vec::new()), 3 => vec(fault, 1..16)];
    let step = prop_oneof![
        5 => (0..3_u8, faults.clone()).prop_map(|(user, faults)| Step::Connect(user, faults)),
        4 => (any::<prop::sample::Index>(), prop::bool::weighted(0.3), faults)
            .prop_map(|(which, twice, faults)| Step::Disconnect(which, twice, faults)),
        2 => (1..100_u64).prop_map(Step::Pass),
    ];
    vec(step, 1..30)
}

/// A history of one tenant, and what is known of it.
struct History<'a> {
    table: &'a TestTable,
    connections: &'a Connections,
    faults: &'a Faults,
    tenant: String,
    now: Timestamp,
    /// Everyone who ever came: whose it was, when, and whether it may be open.
    came: Vec<(Connection, bool)>,
    /// Whether every request so far did what it should.
    is_calm: bool,
}

impl History<'_> {
    const LIMITS: Limits = Limits { per_user: 3, per_tenant: 5 };

    fn open(&self) -> impl Iterator<Item = &Connection> {
        self.came.iter().filter(|(_, is_open)| *is_open).map(|(connection, _)| connection)
    }

    fn is_young(&self, connection: &Connection, than: Duration) -> bool {
        self.now.since(connection.connected_at) < than
    }

    /// Open for all that can be known: a `$disconnect` that never comes is in here.
    fn live(&self) -> u64 {
        self.open().filter(|connection| self.is_young(connection, MAX_CONNECTION_AGE)).count() as u64
    }

    async fn connect(&mut self, user_name: &str, faults: &[Fault]) -> Result<(), ConnectError> {
        let connection = Connection {
            principal: of_tenant(&self.tenant, user(user_name)),
            ..connection(&format!("{}-{}", self.tenant, self.came.len()), self.now)
        };
        self.faults.set(faults);
        let result = self.connections.connect(&connection, Self::LIMITS, self.now).await;
        self.faults.set(&[]);
        self.came.push((connection, result.is_ok()));
        result
    }

    async fn disconnect(&mut self, which: usize, twice: bool, faults: &[Fault]) {
        let id = self.came[which].0.id.clone();
        self.faults.set(faults);
        if twice {
            let _ = join(self.connections.disconnect(&id), self.connections.disconnect(&id)).await;
        } else {
            let _ = self.connections.disconnect(&id).await;
        }
        self.faults.set(&[]);
        self.came[which].1 = false;
    }

    async fn follow(&mut self, step: Step) {
        match step {
            Step::Connect(who, faults) => {
                self.is_calm &= faults.iter().all(|fault| *fault == Fault::None);
                let name = format!("u{who}");
                let of_user = self.open().filter(|c| c.principal.user == name && self.is_young(c, MAX_CONNECTION_AGE));
                let of_user = of_user.count();
                let in_bucket = |c: &&Connection| {
                    let bucket = c.connected_at.as_seconds() / BUCKET.cast_signed() + 1;
                    bucket * BUCKET.cast_signed() + MAX_CONNECTION_AGE.as_secs().cast_signed() > self.now.as_seconds()
                };
                let of_tenant = self.open().filter(in_bucket).count() as u64;
                let expected = match () {
                    () if of_user >= Self::LIMITS.per_user => Err(ConnectError::TooManyOfUser),
                    () if of_tenant >= Self::LIMITS.per_tenant => Err(ConnectError::TooManyOfTenant),
                    () => Ok(()),
                };
                let result = self.connect(&name, &faults).await;
                if self.is_calm {
                    assert_eq!(result, expected);
                }
            }
            Step::Disconnect(which, twice, faults) => {
                if !self.came.is_empty() {
                    self.is_calm &= faults.iter().all(|fault| *fault == Fault::None);
                    self.disconnect(which.index(self.came.len()), twice, &faults).await;
                }
            }
            Step::Pass(minutes) => self.now = self.now.plus(Duration::from_mins(minutes)),
        }
        let (total, live) = (total(self.table, &self.tenant).await, self.live());
        assert!(total >= live, "{live} may be open, {total} are counted");
        assert!(total <= Self::LIMITS.per_tenant);
        let mut users = BTreeMap::<&str, usize>::new();
        for open in self.open().filter(|connection| self.is_young(connection, MAX_CONNECTION_AGE)) {
            *users.entry(&open.principal.user).or_default() += 1;
        }
        assert!(users.values().all(|open| *open <= Self::LIMITS.per_user));
    }
}

#[test]
fn whatever_happens_no_connection_goes_uncounted_and_in_the_end_all_is_forgotten() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (table, connections, faults) = runtime.block_on(faulty());
    let mut runner =
        TestRunner::new(Config { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..Config::default() });
    let result = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut history = History {
                table: &table,
                connections: &connections,
                faults: &faults,
                tenant: uuid::Uuid::new_v4().to_string(),
                now: now(),
                came: Vec::new(),
                is_calm: true,
            };
            for step in steps {
                history.follow(step).await;
            }
            history.follow(Step::Pass(MAX_CONNECTION_AGE.as_secs() / 60 + BUCKET / 60)).await;
            assert_eq!(history.connect("u0", &[]).await, Ok(()));
            assert_eq!(total(&table, &history.tenant).await, 1);
        });
        Ok(())
    });
    result.unwrap();
}
