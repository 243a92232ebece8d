//! From a request to a ticket, or to somebody's access ended.

use admission::RestAdmission;
use auth::{Action, Principal};
use lambda_http::{Body, Request, RequestExt, Response, http::StatusCode, request::RequestContext};
use projections::Timestamp;
use protocol::{ErrorCode, rest};
use runtime::audit::{self, Audit, AuditEvent};
use serde::Serialize;

use crate::{
    revocation::{Registry, RevocationTarget, Revoked},
    route::Route,
    ticket::{Issued, Mint},
};

/// What answers requests.
pub(crate) struct Api {
    pub(crate) admission: RestAdmission,
    pub(crate) mint: Mint,
    pub(crate) registry: Registry,
}

/// Who asks, and when.
struct Visitor<'a> {
    principal: Principal,
    source_ip: Option<&'a str>,
    now: Timestamp,
}

impl Visitor<'_> {
    /// Refuses what the principal may not do.
    fn check(&self, action: Action<'_>) -> Result<(), ErrorCode> {
        if auth::allows(&self.principal, action) {
            return Ok(());
        }
        Err(admission::deny(&self.principal, None, self.source_ip))
    }

    /// Writes into the audit trail what the principal did.
    fn record(&self, event: AuditEvent, reason: Option<&str>, target: Option<&str>) {
        let (principal, source_ip) = (Some(&self.principal), self.source_ip);
        audit::record(event, &Audit { principal, channel: None, reason, source_ip, target });
    }
}

impl Api {
    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request, now: Timestamp) -> Response<Body> {
        let response = self.follow(&request, now).await.unwrap_or_else(|code| admission::refuse(code, now));
        admission::as_asked(request.method(), response)
    }

    async fn follow(&self, request: &Request, now: Timestamp) -> Result<Response<Body>, ErrorCode> {
        let route = Route::of(request.raw_http_path())?;
        if let Some(response) = admission::other_method(request.method(), admission::WRITE) {
            return Ok(response);
        }
        let source_ip = source_ip(request);
        let principal = self.admission.admit(request.headers(), source_ip, now).await?;
        let visitor = Visitor { principal, source_ip, now };
        Ok(match route {
            Route::Ticket => succeed(&self.ticket(&visitor).await?),
            Route::Revoke => succeed(&self.revoke(&visitor, request.body()).await?),
        })
    }

    async fn ticket(&self, visitor: &Visitor<'_>) -> Result<Issued, ErrorCode> {
        visitor.check(Action::Connect)?;
        let issued = self.mint.issue(&visitor.principal, visitor.now).await?;
        visitor.record(AuditEvent::Ticket, None, None);
        Ok(issued)
    }

    async fn revoke(&self, visitor: &Visitor<'_>, body: &[u8]) -> Result<Revoked, ErrorCode> {
        visitor.check(Action::Revoke)?;
        let target = RevocationTarget::parse(body)?;
        let tenant = &visitor.principal.tenant;
        self.registry.revoke(tenant, &target, visitor.now).await.map_err(|error| admission::failed(&error))?;
        // It holds from here on, whatever becomes of the connections.
        let pseudonym = target.user().map(|user| auth::pseudonym(&visitor.principal.tenant, user));
        visitor.record(AuditEvent::Revoke, Some(target.described()), pseudonym.as_deref());
        self.registry.close(tenant, &target, visitor.now).await.map_err(|error| admission::failed(&error))
    }
}

/// The address that the request comes from.
fn source_ip(request: &Request) -> Option<&str> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.as_deref(),
        _ => None,
    }
}

#[expect(clippy::expect_used, reason = "strings and numbers with string keys")]
fn succeed(data: &impl Serialize) -> Response<Body> {
    let data = serde_json::value::to_raw_value(data).expect("an answer is JSON");
    admission::respond(StatusCode::OK, rest::success(&data).into())
}

#[cfg(test)]
mod tests;
