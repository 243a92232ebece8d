//! What a path does.

use lambda_http::http::Method;
use protocol::ErrorCode;

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A ticket.
    Ticket,
    /// That somebody's access ends.
    Revoke,
}

impl Route {
    /// What this method does to this path.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, ErrorCode> {
        let route = match path {
            "/auth/ticket" => Self::Ticket,
            "/auth/revoke" => Self::Revoke,
            _ => return Err(ErrorCode::NotFound),
        };
        // Each of them changes something.
        if *method == Method::POST { Ok(route) } else { Err(ErrorCode::MethodNotAllowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_post_does_something_and_only_to_what_there_is() {
        assert_eq!(Route::of(&Method::POST, "/auth/ticket"), Ok(Route::Ticket));
        assert_eq!(Route::of(&Method::POST, "/auth/revoke"), Ok(Route::Revoke));
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::OPTIONS] {
            assert_eq!(Route::of(&method, "/auth/revoke"), Err(ErrorCode::MethodNotAllowed), "{method}");
        }
        for path in ["", "/", "/auth", "/auth/", "/auth/ticket/", "/AUTH/TICKET", "/auth/%74icket", "/auth/ticket?"] {
            assert_eq!(Route::of(&Method::POST, path), Err(ErrorCode::NotFound), "{path}");
        }
    }
}
