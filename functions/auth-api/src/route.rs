//! What a path does.

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
    /// What a path is for. Each of them changes something, and so has one method, [`admission::WRITE`].
    pub(crate) fn of(path: &str) -> Result<Self, ErrorCode> {
        match path {
            "/auth/ticket" => Ok(Self::Ticket),
            "/auth/revoke" => Ok(Self::Revoke),
            _ => Err(ErrorCode::NotFound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_exactly_what_there_is() {
        assert_eq!(Route::of("/auth/ticket"), Ok(Route::Ticket));
        assert_eq!(Route::of("/auth/revoke"), Ok(Route::Revoke));
        for path in ["", "/", "/auth", "/auth/", "/auth/ticket/", "/AUTH/TICKET", "/auth/%74icket", "/auth/ticket?"] {
            assert_eq!(Route::of(path), Err(ErrorCode::NotFound), "{path}");
        }
    }
}
