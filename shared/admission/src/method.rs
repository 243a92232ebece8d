//! The methods that a path has, and what any other is told. API Gateway hands over all of them.

use http::{HeaderValue, Method, Response, StatusCode, header};
use protocol::{ErrorCode, rest};

use crate::respond;

/// The methods of a path that shows something.
pub const READ: &str = "GET, HEAD";

/// The method of a path that changes something.
pub const WRITE: &str = "POST";

/// The answer to a method that is none of `allowed`: which ones there are. `OPTIONS` asks for just that, and API Gateway
/// may leave a page's preflight to us: whatever its status is, it has to be one of success.
#[must_use]
pub fn other_method<B: From<String> + Default>(method: &Method, allowed: &'static str) -> Option<Response<B>> {
    if allowed.split(", ").any(|known| known == method.as_str()) {
        return None;
    }
    let mut response = if *method == Method::OPTIONS {
        respond(StatusCode::NO_CONTENT, B::default())
    } else {
        respond(StatusCode::METHOD_NOT_ALLOWED, rest::failure(ErrorCode::MethodNotAllowed).into())
    };
    // RFC 9110 §15.5.6 wants it with a 405.
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    Some(response)
}

/// The response as this method gets it: `HEAD` all but the body (RFC 9110 §9.3.2).
#[must_use]
pub fn as_asked<B: Default>(method: &Method, response: Response<B>) -> Response<B> {
    if *method == Method::HEAD { response.map(|_| B::default()) } else { response }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(method: &Method, allowed: &'static str) -> Option<(u16, String, String)> {
        let response: Response<String> = other_method(method, allowed)?;
        let allow = response.headers()[header::ALLOW].to_str().unwrap().to_owned();
        Some((response.status().as_u16(), allow, response.into_body()))
    }

    #[test]
    fn a_method_that_a_path_has_is_for_the_path_to_answer() {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(other(&method, READ), None);
        }
        assert_eq!(other(&Method::POST, WRITE), None);
    }

    #[test]
    fn another_one_is_told_which_there_are_and_a_preflight_succeeds() {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::from_bytes(b"GE").unwrap()] {
            let (status, allow, body) = other(&method, READ).unwrap();
            assert_eq!((status, allow.as_str()), (405, "GET, HEAD"), "{method}");
            assert!(body.contains("method_not_allowed"));
        }
        assert_eq!(
            other(&Method::HEAD, WRITE).map(|(status, allow, _)| (status, allow)),
            Some((405, "POST".to_owned()))
        );
        assert_eq!(other(&Method::OPTIONS, WRITE), Some((204, "POST".to_owned(), String::new())));
    }

    #[test]
    fn head_gets_all_but_the_body() {
        let response = || respond(StatusCode::NOT_FOUND, "body".to_owned());
        assert_eq!(as_asked(&Method::GET, response()).body(), "body");
        let head = as_asked(&Method::HEAD, response());
        assert_eq!((head.status(), head.body().as_str()), (StatusCode::NOT_FOUND, ""));
        assert_eq!(head.headers(), response().headers());
    }
}
