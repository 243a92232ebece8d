//! The page at `/`: what is where and what functions do. `/_local` says the same as JSON.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{gateway::connection::Connections, lambda::Host};

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

/// Serves the page, its JSON, and a 404 for all that nobody else serves.
pub(crate) fn router(host: Arc<Host>, connections: Connections, places: Vec<Place>) -> Router {
    let page = Page { host, connections, places, since: Timestamp::now() };
    Router::new()
        .route("/", get(|| async { Html(include_str!("page.html")) }))
        .route("/_local", get(status))
        .fallback(nothing)
        .with_state(Arc::new(page))
}

async fn status(State(page): State<Arc<Page>>) -> Json<Value> {
    Json(json!({
        "since": page.since.to_string(),
        "places": page.places,
        "connections": page.connections.count(),
        "functions": page.host.status(),
    }))
}

async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "Nothing is here. Start at /\n").into_response()
}
