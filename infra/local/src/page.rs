//! The page at `/_local/`: what is where and what functions do. `/_local` says the same as JSON.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::header::CONTENT_TYPE, response::Html, routing::get};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
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

struct Page {
    host: Arc<Host>,
    connections: Connections,
    places: Vec<Place>,
    since: Timestamp,
}

/// The page itself. Style and script are files of their own, so that no page here needs either within it.
pub(crate) const STATUS: Html<&str> = Html(include_str!("page/status.html"));

/// Serves the page, what belongs to it, and its JSON.
pub(crate) fn router(host: Arc<Host>, connections: Connections, places: Vec<Place>, deliveries: Deliveries) -> Router {
    let page = Page { host, connections, places, since: Timestamp::now() };
    Router::new()
        .route("/_local", get(status))
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

async fn status(State(page): State<Arc<Page>>) -> Json<Value> {
    Json(json!({
        "since": page.since.to_string(),
        "places": page.places,
        "connections": page.connections.count(),
        "functions": page.host.status(),
    }))
}
