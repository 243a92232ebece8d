//! From a request to a channel's view.

use admission::RestAdmission;
use auth::Action;
use lambda_http::{
    Body, Request, RequestExt, Response,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    request::RequestContext,
};
use projections::{ChannelId, Timestamp};
use protocol::{ErrorCode, rest};
use views::{Reader, Rendered};

use crate::{
    compression,
    route::{self, Shown},
    span,
};

/// What answers requests.
pub(crate) struct Api {
    pub(crate) admission: RestAdmission,
    pub(crate) reader: Reader,
    /// The length of an id in the name of a channel.
    pub(crate) channel_id_length: usize,
}

impl Api {
    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        let method = request.method();
        if let Some(response) = admission::other_method(method, admission::READ) {
            return response;
        }
        let response = match self.view(&request, now).await {
            Ok(view) => show(&view, request.headers()),
            Err(code) => admission::refuse(code, now),
        };
        admission::as_asked(method, response)
    }

    async fn view(&self, request: &Request, now: Timestamp) -> Result<Rendered, ErrorCode> {
        let source_ip = source_ip(request);
        // What there is, is told to nobody who may not see it.
        let principal = self.admission.admit(request.headers(), source_ip, now).await?;
        let (channel, shown) = route::channel(request.raw_http_path())?;
        let channel = self.within(channel)?;
        if !auth::allows(&principal, Action::Read(&channel)) {
            return Err(admission::deny(&principal, Some(&channel), source_ip));
        }
        let sees_names = auth::allows(&principal, Action::SeeNames);
        let tenant = &principal.tenant;
        let view = match (shown, route::status(request, &channel)?) {
            (Shown::History, _) if !matches!(channel, ChannelId::One(kind, _) if kind.has_windows()) => {
                return Err(ErrorCode::NotFound);
            }
            (Shown::History, _) => self.reader.history(tenant, &channel, &span::span(request, now)?, now).await,
            (Shown::View, Some(status)) => self.reader.campaigns(tenant, status, sees_names, now).await,
            (Shown::View, None) => self.reader.view(tenant, &channel, sees_names, now).await,
        };
        let view = view.map_err(|error| admission::failed(&error))?;
        if view.is_known { Ok(view) } else { Err(ErrorCode::NotFound) }
    }

    /// The channel, if its id is not too long here.
    fn within(&self, channel: ChannelId) -> Result<ChannelId, ErrorCode> {
        let is_within = channel.id().is_none_or(|id| id.as_str().len() <= self.channel_id_length);
        if is_within { Ok(channel) } else { Err(ErrorCode::UnknownChannel) }
    }
}

/// The address that the request comes from.
fn source_ip(request: &Request) -> Option<&str> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        _ => None,
    }
}

fn show(view: &Rendered, asked: &HeaderMap) -> Response<Body> {
    let body = rest::success(&view.data);
    let compressed = compression::compressed(&body, asked);
    let strong = rest::etag(&view.cursor, &body);
    // In other bytes it is still the same view, which is what a weak tag says.
    let etag = if compressed.is_some() { format!("W/{strong}") } else { strong.clone() };
    let has_it = asked
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|listed| listed.to_str().ok())
        .any(|listed| rest::matches(listed, &strong));
    let mut response = if has_it {
        admission::respond(StatusCode::NOT_MODIFIED, Body::Empty)
    } else {
        match compressed {
            Some(compressed) => {
                let mut response = admission::respond(StatusCode::OK, Body::Binary(compressed));
                response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                response
            }
            None => admission::respond(StatusCode::OK, Body::Text(body)),
        }
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A cursor is digits and base64url, which a header may hold.
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests;
