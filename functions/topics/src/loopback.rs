//! MSK and CloudFormation's bucket as tests play them, on this machine.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, put},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What MSK plays, and what it was asked to do.
#[derive(Debug, Default)]
pub(crate) struct Msk {
    /// `PROVISIONED` or `SERVERLESS`.
    pub(crate) kind: &'static str,
    /// Where it says that the brokers are.
    pub(crate) brokers: Option<String>,
    /// The topics that it lists, with their partitions.
    pub(crate) topics: BTreeMap<String, i32>,
    /// Topics that exist as well, but only just; the list does not have them.
    pub(crate) fresh: Vec<String>,
    /// The error with which it refuses all topic operations.
    pub(crate) refusal: Option<&'static str>,
    /// The bodies of what it did.
    pub(crate) done: Vec<Value>,
}

type Shared = State<Arc<Mutex<Msk>>>;

/// Serves the routes; returns where.
pub(crate) async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// A configuration of the SDK that takes `url` for AWS, and asks once.
pub(crate) fn sdk(url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(credentials())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build()
}

/// Whom everybody here is.
pub(crate) fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", Some("session".into()), None, "test"))
}

impl Msk {
    /// Starts to play; returns the configuration that leads to it, and what it does.
    pub(crate) async fn play(self) -> (SdkConfig, Arc<Mutex<Self>>) {
        let msk = Arc::new(Mutex::new(self));
        let routes = Router::new()
            .route("/api/v2/clusters/{arn}", get(describe))
            .route("/v1/clusters/{arn}/bootstrap-brokers", get(brokers))
            .route("/v1/clusters/{arn}/topics", get(list).post(create))
            .route("/v1/clusters/{arn}/topics/{topic}", put(update))
            .with_state(Arc::clone(&msk));
        (sdk(&serve(routes).await), msk)
    }

    /// Why it does nothing, if it does nothing.
    fn refusal(&self) -> Option<Response> {
        self.refusal.map(error)
    }
}

fn error(code: &str) -> Response {
    let body = Json(json!({ "message": format!("MSK says {code}"), "invalidParameter": "clusterArn" }));
    (StatusCode::BAD_REQUEST, [("x-amzn-errortype", code.to_owned())], body).into_response()
}

async fn describe(State(msk): Shared, Path(arn): Path<String>) -> Json<Value> {
    Json(json!({ "clusterInfo": { "clusterArn": arn, "clusterType": msk.lock().unwrap().kind, "state": "ACTIVE" } }))
}

async fn brokers(State(msk): Shared) -> Json<Value> {
    Json(json!({ "bootstrapBrokerStringSaslIam": msk.lock().unwrap().brokers }))
}

async fn list(State(msk): Shared) -> Response {
    let msk = msk.lock().unwrap();
    if let Some(refusal) = msk.refusal() {
        return refusal;
    }
    let topic = |(name, partitions): (&String, &i32)| json!({ "topicName": name, "partitionCount": partitions });
    Json(json!({ "topics": msk.topics.iter().map(topic).collect::<Vec<_>>() })).into_response()
}

async fn create(State(msk): Shared, Json(topic): Json<Value>) -> Response {
    let mut msk = msk.lock().unwrap();
    if let Some(refusal) = msk.refusal() {
        return refusal;
    }
    let name = topic["topicName"].as_str().unwrap().to_owned();
    if msk.topics.contains_key(&name) || msk.fresh.contains(&name) {
        return error("TopicExistsException");
    }
    msk.fresh.push(name.clone());
    msk.done.push(topic);
    Json(json!({ "topicName": name, "status": "CREATING" })).into_response()
}

async fn update(
    State(msk): Shared,
    Path((_, topic)): Path<(String, String)>,
    Json(mut change): Json<Value>,
) -> Response {
    let mut msk = msk.lock().unwrap();
    if let Some(refusal) = msk.refusal() {
        return refusal;
    }
    change["topicName"] = json!(topic);
    msk.done.push(change);
    Json(json!({ "topicName": topic, "status": "UPDATING" })).into_response()
}

/// What was put into CloudFormation's bucket, with its headers.
pub(crate) type Put = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// CloudFormation's bucket, which answers with these statuses, the last of them for ever. Returns an address that is
/// signed, and what is put there.
pub(crate) async fn bucket(statuses: &'static [u16]) -> (String, Put) {
    let puts: Put = Arc::default();
    let taken = Arc::clone(&puts);
    let take = async move |headers: HeaderMap, body: String| {
        let mut taken = taken.lock().unwrap();
        taken.push((headers, body));
        StatusCode::from_u16(*statuses.get(taken.len() - 1).unwrap_or(statuses.last().unwrap())).unwrap()
    };
    let url = serve(Router::new().route("/{*key}", put(take))).await;
    (format!("{url}/arn%3Aaws%3A%7CKafkaTopics?X-Amz-Signature=5ec7e7"), puts)
}
