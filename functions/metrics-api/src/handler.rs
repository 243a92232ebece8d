//! From a request to a channel's view.

use auth::{Action, AuthError, Principal, Verifier};
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};
use projections::Timestamp;
use protocol::{ErrorCode, rest};
use store::StoreError;
use views::{Reader, Rendered};

use crate::route;

/// What answers requests.
pub(crate) struct Api {
    pub(crate) verifier: Verifier,
    pub(crate) reader: Reader,
}

impl Api {
    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        match self.view(&request, now).await {
            Ok(view) => show(&view, request.headers()),
            Err(code) => refuse(code),
        }
    }

    async fn view(&self, request: &Request, now: Timestamp) -> Result<Rendered, ErrorCode> {
        if request.method() != Method::GET {
            return Err(ErrorCode::MethodNotAllowed);
        }
        let channel = route::channel(request.raw_http_path());
        // What there is, is told to nobody who may not see it.
        let principal = self.principal(request.headers(), now)?;
        let channel = channel?;
        if !auth::allows(&principal, Action::Read, &channel) {
            return Err(ErrorCode::Forbidden);
        }
        let view = self.reader.view(&principal.tenant, &channel, now).await.map_err(|error| {
            tracing::error!(%error, tenant = %principal.tenant, %channel, "no view");
            match error {
                StoreError::Unavailable(_) => ErrorCode::Unavailable,
                _ => ErrorCode::Internal,
            }
        })?;
        if view.is_known { Ok(view) } else { Err(ErrorCode::NotFound) }
    }

    fn principal(&self, headers: &HeaderMap, now: Timestamp) -> Result<Principal, ErrorCode> {
        let token = auth::bearer(headers).ok_or(ErrorCode::Unauthorized)?;
        self.verifier.verify(token, now).map_err(|error| {
            tracing::info!(%error, "refused");
            match error {
                AuthError::Unauthorized(_) => ErrorCode::Unauthorized,
                AuthError::Forbidden => ErrorCode::Forbidden,
            }
        })
    }
}

fn show(view: &Rendered, asked: &HeaderMap) -> Response<Body> {
    let body = rest::success(&view.data);
    let etag = rest::etag(&view.cursor, &body);
    let has_it = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|listed| listed.to_str().ok())
        .any(|listed| rest::matches(listed, &etag));
    let mut response =
        if has_it { respond(StatusCode::NOT_MODIFIED, Body::Empty) } else { respond(StatusCode::OK, Body::Text(body)) };
    // A cursor is digits and base64url, which a header may hold.
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    // Only for whoever asked, and asked for again each time: most of the answers are then a 304.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    response
}

fn refuse(code: ErrorCode) -> Response<Body> {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, Body::Text(rest::failure(code)));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match code {
        // RFC 9110 wants both.
        ErrorCode::Unauthorized => headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        ErrorCode::MethodNotAllowed => headers.insert(header::ALLOW, HeaderValue::from_static("GET")),
        _ => None,
    };
    response
}

fn respond(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
