//! One cold start: a process in a system that is otherwise empty and idle.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use axum::{
    Router,
    http::StatusCode,
    routing::{post, put},
    serve::ListenerExt as _,
};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{
    event::{Event, ORIGIN},
    memory::Memory,
};
use crate::{
    dynamodb::{self, EmbeddedDynamoDb},
    environment::{self, Endpoints},
    invoke::Invoke as _,
    lambda::{self, Host, INVOCATIONS, Log},
    secrets,
    template::{Function, Template},
};

/// Where CloudFormation has answers put.
const ANSWERS: &str = "/_aws/cloudformation";

/// What was measured of one start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    /// From the process's start to its first request for an invocation.
    pub(super) init: Duration,
    /// From the first invocation to its answer.
    pub(super) invocation: Duration,
    /// After the first invocation.
    pub(super) memory: Option<Memory>,
}

/// What is started, with what.
pub(super) struct Stage<'a> {
    pub(super) template: &'a Template,
    pub(super) function: &'a Function,
    pub(super) binary: PathBuf,
    pub(super) event: Event,
    pub(super) logs: &'a Path,
}

/// What is read of an answer. API Gateway's functions have a status in theirs.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status_code: Option<u16>,
}

impl Stage<'_> {
    /// Starts the function once. Tables are new each time, so that each first invocation has the same to do.
    pub(super) async fn play(&self) -> anyhow::Result<Start> {
        let name = &self.function.name;
        let embedded = EmbeddedDynamoDb::start(0, None).await?;
        let dynamodb = embedded.url().replace("//localhost:", "//127.0.0.1:");
        dynamodb::create_tables(&dynamodb, &self.template.tables).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free")?;
        let address = listener.local_addr()?.to_string();

        let endpoints = Endpoints { gateway: format!("http://{address}"), dynamodb };
        let given = [("ALLOWED_ORIGINS".to_owned(), ORIGIN.to_owned())];
        let mut launch = environment::launch(self.function, &endpoints, &given, Path::new(""));
        launch.binary.clone_from(&self.binary);
        let log = Log::create(self.logs, name, false);
        let log = log.with_context(|| format!("no log can be written in {}", self.logs.display()))?;
        let see_log = format!("{name} does not start; {} says why", log.path().display());

        let host = Host::start(vec![(launch, log)], &address);
        let router = lambda::runtime_router(host.clone())
            .merge(secrets::router(self.template.secret.clone()))
            // Other functions are invoked in the background, if at all, and would start here beside this one.
            .route(INVOCATIONS, post(|| async { StatusCode::ACCEPTED }))
            .route(ANSWERS, put(|| async { StatusCode::OK }));
        let _serving = serve(listener, router);

        let started = host.start_process(name).await.context(see_log)?;
        let payload = self.event.payload(&format!("http://{address}{ANSWERS}"));
        let begun = Instant::now();
        let answer = host.invoke(name, payload).await;
        let invocation = begun.elapsed();
        let memory = Memory::of(started.pid);
        host.shut_down().await;

        let answer = answer.with_context(|| format!("{name} does not answer {}", self.event.file))?;
        // A refusal would be measured instead of the work.
        let status = serde_json::from_slice::<Answer>(&answer).ok().and_then(|answer| answer.status_code);
        if let Some(status) = status.filter(|status| *status >= 400) {
            bail!("{name} answers {} with status {status}", self.event.file);
        }
        Ok(Start { init: started.took, invocation, memory })
    }
}

fn serve(listener: TcpListener, router: Router) -> AbortOnDropHandle<()> {
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    AbortOnDropHandle::new(tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    }))
}
