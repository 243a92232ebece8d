//! REST answers, with the headers that all of them carry.

use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use projections::Timestamp;
use protocol::{ErrorCode, rest};
use store::RATE_WINDOW;

/// An answer with this status and body.
#[must_use]
pub fn respond<B>(status: StatusCode, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in rest::HEADERS {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// The answer to a request that is not followed.
#[must_use]
pub fn refuse<B: From<String>>(code: ErrorCode, now: Timestamp) -> Response<B> {
    let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, rest::failure(code).into());
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §11.6.1 wants it with every 401.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if code == ErrorCode::RateLimited {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds_left(now)));
    }
    response
}

/// Seconds until the window of `now` ends, and counting begins again.
fn seconds_left(now: Timestamp) -> u64 {
    let window = RATE_WINDOW.as_secs();
    window - now.as_seconds().rem_euclid(window.cast_signed()).unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: &str, code: ErrorCode) -> Response<String> {
        refuse(code, now.parse().unwrap())
    }

    #[test]
    fn every_answer_carries_the_headers_of_all() {
        for response in [respond(StatusCode::OK, String::new()), at("2026-01-15T10:30:00Z", ErrorCode::NotFound)] {
            for (name, value) in rest::HEADERS {
                assert_eq!(response.headers()[name], value);
            }
        }
    }

    #[test]
    fn a_refusal_says_what_helps() {
        for (code, status) in [(ErrorCode::Unauthorized, 401), (ErrorCode::Revoked, 401)] {
            let response = at("2026-01-15T10:30:00Z", code);
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
            assert!(response.body().contains(code.as_str()));
        }
        let forbidden = at("2026-01-15T10:30:00Z", ErrorCode::Forbidden);
        assert_eq!(forbidden.headers().get(header::WWW_AUTHENTICATE), None);
        assert_eq!(forbidden.headers().get(header::RETRY_AFTER), None);
    }

    #[test]
    fn who_asks_too_often_is_told_when_the_minute_ends() {
        for (now, seconds) in
            [("2026-01-15T10:30:00Z", "60"), ("2026-01-15T10:30:00.999Z", "60"), ("2026-01-15T10:30:59.999Z", "1")]
        {
            let response = at(now, ErrorCode::RateLimited);
            assert_eq!(
                (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
                (429, &seconds.parse().unwrap())
            );
        }
    }
}
