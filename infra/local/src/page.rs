//! The page at `/_local/`: what is where, what functions do and what it would cost. `/_local` and `/_local/costs` say the same
//! as JSON.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::header::CONTENT_TYPE, response::Html, routing::get};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    costs::{Bill, Costs},
    deliveries::{Deliveries, Delivery},
    gateway::connection::Connections,
    lambda::Host,
};

/// Something that can be reached.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) address: String,
}

impl Place {
    pub(crate) fn new(name: &'static str, address: String) -> Self {
        Self { name, address }
    }
}

/// What the page tells of.
pub(crate) struct Page {
    pub(crate) host: Arc<Host>,
    pub(crate) connections: Connections,
    pub(crate) places: Vec<Place>,
    pub(crate) bill: Bill,
}

/// The page itself. Style and script are files of their own, so that no page here needs either within it.
pub(crate) const STATUS: Html<&str> = Html(include_str!("page/status.html"));

/// Serves the page, what belongs to it, and its JSON.
pub(crate) fn router(page: Page, deliveries: Deliveries) -> Router {
    Router::new()
        .route("/_local", get(status))
        .route("/_local/costs", get(costs))
        .with_state(Arc::new(page))
        .route("/_local/deliveries", get(told).with_state(deliveries))
        .route("/_local/", get(|| async { STATUS }))
        .route("/_local/status.css", get(|| async { ([(CONTENT_TYPE, "text/css")], include_str!("page/status.css")) }))
        .route(
            "/_local/status.js",
            get(|| async { ([(CONTENT_TYPE, "text/javascript")], include_str!("page/status.js")) }),
        )
}

async fn told(State(deliveries): State<Deliveries>) -> Json<Vec<Delivery>> {
    Json(deliveries.all())
}

async fn costs(State(page): State<Arc<Page>>) -> Json<Costs> {
    Json(page.bill.costs(&page.host, Instant::now()))
}

async fn status(State(page): State<Arc<Page>>) -> Json<Value> {
    Json(json!({
        "since": page.bill.since.to_string(),
        "places": page.places,
        "connections": page.connections.count(),
        "functions": page.host.status(),
    }))
}
