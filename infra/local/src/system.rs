//! The system: what is started in which order, and how it is stopped.

use std::{
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    binaries,
    cli::Start,
    clock, console,
    costs::Bill,
    dashboard,
    data::DataFolder,
    deliveries::Deliveries,
    dynamodb::{self, DYNAMODB, EmbeddedDynamoDb},
    environment::{self, Endpoints},
    gateway::{
        self, connection::Connections, http::HttpGateway, management, socket::SocketGateway, socket_event::SocketEvents,
    },
    kafka::{self, EmbeddedBroker, PARTITIONS},
    lambda::{self, Host, Log},
    listen,
    page::{self, Page, Place},
    scheduler, secrets, signals,
    simulate::{self, Simulate},
    template::Template,
    token::{DEFAULT_TENANT, Token},
    trigger,
};

/// How long sockets, triggers and the simulator may take to end once the system is to stop.
const GRACE: Duration = Duration::from_secs(3);

/// How long the token that is printed is valid: a day's work.
const TOKEN_TTL: Duration = Duration::from_hours(12);

/// The simulator that runs along: few enough campaigns to read, fast enough to see them move.
const CAMPAIGNS: u32 = 5;
const CALLS_PER_SECOND: f64 = 5.0;
const LIVE_EVENTS: u32 = 2;

/// Starts the system and runs it until it is asked to stop.
pub(crate) async fn run(start: &Start) -> anyhow::Result<()> {
    let began = Instant::now();
    follow_log();
    let stop = CancellationToken::new();
    signals::cancel(stop.clone())?;
    // Each socket is a file, and the usual limit is far below what `cargo dev load` opens.
    let _: Result<_, _> = rlimit::increase_nofile_limit(u64::MAX);
    let Some(system) = stop.run_until_cancelled(System::start(start, &stop)).await else { return Ok(()) };
    let system = system?;
    console::heading(&format!("ready in {}", console::duration(began.elapsed())));
    system.greet(start)?;
    stop.cancelled().await;
    system.tell_costs();
    console::line("\n  stopping …");
    system.stop().await;
    Ok(())
}

/// Shows what libraries warn of.
fn follow_log() {
    // Dynoxide warns of each condition that does not hold; here that is how writers find out about each other.
    let filter = format!("warn,dynoxide=error,{}", kafka::QUIET);
    let log = tracing_subscriber::fmt().with_env_filter(filter).without_time();
    log.with_ansi(::console::colors_enabled_stderr()).with_writer(std::io::stderr).init();
}

/// The running system.
struct System {
    host: Arc<Host>,
    /// What ends by itself once the system is to stop.
    tasks: TaskTracker,
    port: u16,
    bill: Bill,
    /// What is stopped by being dropped.
    _servers: Vec<AbortOnDropHandle<()>>,
    _kafka: Option<EmbeddedBroker>,
    _dynamodb: Option<EmbeddedDynamoDb>,
    /// It is this system's alone for as long as the system runs.
    _data: Option<DataFolder>,
}

impl System {
    async fn start(start: &Start, stop: &CancellationToken) -> anyhow::Result<Self> {
        console::title("the whole system on this machine");
        let begun = Instant::now();
        // The port is part of the origins that the template is told of.
        let listeners = listen::listen(start.port, "the APIs", "--port").await?;
        let port = listen::port(&listeners)?;
        let template = read_template(port).await?;
        environment::check(&start.environment, &template.functions)?;
        let counts = format!(
            "{} functions, {} topics, {} tables",
            template.functions.len(),
            template.topics().len(),
            template.tables.len()
        );
        console::ready("template", &counts, begun.elapsed());

        // Ports first: whether they are free is known at once, a build may take minutes.
        let begun = Instant::now();
        let broker = match start.kafka {
            Some(_) => None,
            None => Some(EmbeddedBroker::start(start.kafka_port).await?),
        };
        let kafka = broker.as_ref().map(EmbeddedBroker::address).or(start.kafka.clone()).unwrap_or_default();
        kafka::create_topics(&kafka, &template.topics(), PARTITIONS).await?;
        console::ready("Kafka", &kafka, begun.elapsed());

        let begun = Instant::now();
        let mut data = start.data.as_deref().map(DataFolder::open).transpose()?;
        let file = data.as_ref().map(DataFolder::database);
        let embedded = match start.dynamodb {
            Some(_) => None,
            None => Some(EmbeddedDynamoDb::start(start.dynamodb_port, file.as_deref()).await?),
        };
        let dynamodb = embedded.as_ref().map(EmbeddedDynamoDb::url).or(start.dynamodb.clone()).unwrap_or_default();
        dynamodb::create_tables(&dynamodb, &template.tables).await?;
        let kept = file.map_or(String::new(), |file| format!(", kept in {}", file.display()));
        console::ready("DynamoDB", &format!("{dynamodb}{kept}"), begun.elapsed());

        let begun = Instant::now();
        let binaries = binaries::build().await?;
        let folder = binaries.file_name().unwrap_or_default().to_string_lossy().into_owned();
        console::ready("functions", &format!("built ({folder})"), begun.elapsed());

        let begun = Instant::now();
        let host = host(&template, start, epoch(start, data.as_mut())?, port, &binaries)?;
        let tasks = TaskTracker::new();
        let apis = apis(&template, port);
        let mut places = apis.clone();
        places.extend([Place::new("Kafka", kafka.clone()), Place::new("DynamoDB", dynamodb.clone())]);
        let deliveries = Deliveries::default();
        let bill = Bill::begin(start.limits, &template.tables);
        // An address again, for the same reason as functions are told one.
        let to_dynamodb = dynamodb.replace("//localhost:", "//127.0.0.1:");
        let to_dynamodb = dynamodb::router(&to_dynamodb, bill.dynamodb.clone())?;
        let status = Page { host: host.clone(), connections: Connections::default(), places, bill: bill.clone() };
        let router = router(&template, status, deliveries.clone(), port, stop, &tasks).merge(to_dynamodb);
        let servers = listeners.into_iter().map(|listener| serve(listener, router.clone())).collect();
        if let Err(error) = host.warm().await {
            host.shut_down().await;
            return Err(error);
        }
        let processes = format!("a process of each is warm, logs in {}", logs(port).display());
        console::ready("Lambda", &processes, begun.elapsed());

        let begun = Instant::now();
        for mapping in template.mappings {
            let (topic, kafka, host, stop) = (mapping.topic.clone(), kafka.clone(), host.clone(), stop.clone());
            let deliveries = deliveries.clone();
            tasks.spawn(async move {
                if let Err(error) = trigger::run(mapping, kafka, host, deliveries, stop).await {
                    console::warn(&format!("{topic} is no longer read: {error:#}"));
                }
            });
        }
        for schedule in template.schedules {
            tasks.spawn(scheduler::run(schedule, host.clone(), stop.clone()));
        }
        for api in apis {
            console::ready(api.name, &api.address, begun.elapsed());
        }
        if !start.no_simulator {
            tasks.spawn(run_simulator(kafka, stop.clone()));
            let pace = format!("{CAMPAIGNS} campaigns, {CALLS_PER_SECOND} calls a second");
            console::ready("simulator", &pace, begun.elapsed());
        }
        Ok(Self { host, tasks, port, bill, _servers: servers, _kafka: broker, _dynamodb: embedded, _data: data })
    }

    /// Says where everything is, and what to try.
    fn greet(&self, start: &Start) -> anyhow::Result<()> {
        let port = self.port;
        let token = Token::to_read(DEFAULT_TENANT, "dev", TOKEN_TTL).mint(clock::now())?;
        let hours = TOKEN_TTL.as_secs() / 3600;
        console::heading(&format!("a token, tenant {DEFAULT_TENANT}, valid for {hours} hours"));
        console::line(&format!("    {token}"));
        console::heading("try, in another terminal");
        // What a command has to be told is what differs from its defaults.
        let kafka = match (&start.kafka, start.kafka_port) {
            (Some(address), _) => format!(" --kafka {address}"),
            (None, 9092) => String::new(),
            (None, port) => format!(" --kafka localhost:{port}"),
        };
        let url = if port == 4000 { String::new() } else { format!(" --url ws://localhost:{port}/ws") };
        let api = format!("http://localhost:{port}/api");
        let rest = if port == 4000 { String::new() } else { format!(" --rest {api}") };
        console::command(
            &format!("python3 -m websockets \"ws://localhost:{port}/ws?ticket=$(cargo dev ticket{rest})\""),
            "numbers, live; a ticket opens one socket within 30 s (pip install websockets)",
        );
        let bearer = "-H \"Authorization: Bearer $(cargo dev token)\"";
        console::command(&format!("curl {bearer} {api}/analytics/metrics"), "the same, by polling");
        console::command(&format!("cargo dev simulate --rate 50{kafka}"), "more calls");
        console::command(
            &format!("cargo dev load --connections 200 --campaigns 20 --rate 200 --seconds 10{url}{kafka}"),
            "how long a record takes to a socket",
        );
        console::heading("Ctrl-C stops everything");
        Ok(())
    }

    /// Says what it would have cost on AWS.
    fn tell_costs(&self) {
        self.bill.costs(&self.host, tokio::time::Instant::now()).print();
    }

    async fn stop(self) {
        self.tasks.close();
        let _ = tokio::time::timeout(GRACE, self.tasks.wait()).await;
        self.host.shut_down().await;
    }
}

async fn read_template(port: u16) -> anyhow::Result<Template> {
    let path = binaries::workspace().join("template.yaml");
    let text = tokio::fs::read_to_string(&path).await.with_context(|| format!("{} cannot be read", path.display()))?;
    let parameters = environment::parameters(port);
    Ok(Template::read(&text, &parameters.each_ref().map(|(name, value)| (*name, value.as_str())))?)
}

/// Where the functions of the system on a port log.
fn logs(port: u16) -> std::path::PathBuf {
    Path::new("target/local").join(port.to_string()).join("logs")
}

/// The epoch of the topics, where it is not the template's.
///
/// The embedded Kafka counts its offsets from 0 at every start. In a DynamoDB that outlives it, new records would look
/// already seen; so every start is an epoch of its own.
fn epoch(start: &Start, data: Option<&mut DataFolder>) -> anyhow::Result<Option<i64>> {
    let now = clock::now().as_seconds();
    match data {
        _ if start.kafka.is_some() => Ok(None),
        Some(data) => data.next_epoch(now).map(Some),
        None => Ok(start.dynamodb.is_some().then_some(now)),
    }
}

fn host(
    template: &Template,
    start: &Start,
    epoch: Option<i64>,
    port: u16,
    binaries: &Path,
) -> anyhow::Result<Arc<Host>> {
    // Functions are told an address, not a name: resolving one takes a thread and time.
    let address = format!("127.0.0.1:{port}");
    let gateway = format!("http://{address}");
    let endpoints = Endpoints { dynamodb: format!("{gateway}{DYNAMODB}"), gateway };
    let mut given: Vec<_> = epoch.map(|epoch| ("TOPIC_EPOCH".to_owned(), epoch.to_string())).into_iter().collect();
    given.extend_from_slice(&start.environment);
    let folder = binaries::workspace().join(logs(port));
    let mut functions = Vec::new();
    for function in &template.functions {
        let log = Log::create(&folder, &function.name, start.verbose);
        let log = log.with_context(|| format!("no log can be written in {}", folder.display()))?;
        functions.push((environment::launch(function, &endpoints, &given, binaries), log));
    }
    Ok(Host::start(functions, &address))
}

/// What people open.
fn apis(template: &Template, port: u16) -> Vec<Place> {
    let socket = template.socket_api.as_ref().map(|_| Place::new("WebSocket", format!("ws://localhost:{port}/ws")));
    let rest = template.http_api.as_ref().map(|_| Place::new("REST", format!("http://localhost:{port}/api")));
    let dashboard = Some(Place::new("dashboard", format!("http://localhost:{port}/")));
    let page = Some(Place::new("status", format!("http://localhost:{port}/_local/")));
    [socket, rest, dashboard, page].into_iter().flatten().collect()
}

/// All that answers on the APIs' port.
fn router(
    template: &Template,
    status: Page,
    deliveries: Deliveries,
    port: u16,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Router {
    let domain = format!("localhost:{port}");
    let (host, connections, meter) = (status.host.clone(), status.connections.clone(), status.bill.gateway.clone());
    let pages = page::router(status, deliveries);
    let mut router = lambda::router(host.clone())
        .merge(secrets::router(template.secret.clone()))
        .merge(dashboard::router(port, binaries::workspace(), pages));
    if let Some(api) = &template.socket_api {
        let gateway = SocketGateway {
            events: SocketEvents::new(api, domain.clone()),
            api: api.clone(),
            invoker: host.clone(),
            connections: connections.clone(),
            meter: meter.clone(),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        router = router
            .merge(management::router(&api.id, &api.stage, connections, meter.clone()))
            .merge(gateway::socket::router(Arc::new(gateway)));
    }
    if let Some(api) = &template.http_api {
        let gateway = HttpGateway { api: api.clone(), invoker: host, domain, meter };
        router = router.merge(gateway::http::router(gateway));
    }
    router
}

fn serve(listener: TcpListener, router: Router) -> AbortOnDropHandle<()> {
    // Small messages must not wait for the acknowledgement of those before them.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    AbortOnDropHandle::new(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, service).await {
            console::warn(&format!("the APIs are no longer served: {error}"));
        }
    }))
}

async fn run_simulator(kafka: String, stop: CancellationToken) {
    let args = Simulate {
        campaigns: CAMPAIGNS,
        rate: CALLS_PER_SECOND,
        events: LIVE_EVENTS,
        kafka,
        tenant: DEFAULT_TENANT.to_owned(),
        is_background: true,
    };
    if let Err(error) = simulate::run(args, stop).await {
        console::warn(&format!("the simulator ended: {error:#}"));
    }
}
