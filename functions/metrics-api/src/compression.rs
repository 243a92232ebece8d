//! Bodies that are compressed, for clients that take them so.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use lambda_http::http::{HeaderMap, header};

/// What is smaller fits a packet or two as it is.
const MIN_BYTES: usize = 1024;

/// The body in gzip, where it is large enough and the client accepts that.
pub(crate) fn compressed(body: &str, asked: &HeaderMap) -> Option<Vec<u8>> {
    if body.len() < MIN_BYTES || !accepts_gzip(asked) {
        return None;
    }
    // The fastest level: of a view's numbers the best one makes little less, in several times the time.
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// Whether `Accept-Encoding` lists gzip, or all there are, with another weight than 0 (RFC 9110 §12.5.3). Who does not say
/// gets the body as it is.
fn accepts_gzip(asked: &HeaderMap) -> bool {
    let lines = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut by_name = None;
    let mut by_any = false;
    for listed in lines.flat_map(|line| line.split(',')) {
        let (coding, weight) = listed.split_once(';').unwrap_or((listed, "q=1"));
        let weight = weight.trim().trim_start_matches(['q', 'Q']).trim_start().trim_start_matches('=');
        let is_accepted = weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0);
        match coding.trim() {
            "*" => by_any = is_accepted,
            coding if coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip") => {
                by_name = Some(is_accepted);
            }
            _ => {}
        }
    }
    by_name.unwrap_or(by_any)
}

#[cfg(test)]
mod tests {
    use lambda_http::http::HeaderValue;

    use super::*;

    fn asked(accept: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accept))])
    }

    #[test]
    fn gzip_is_taken_where_it_is_listed_and_not_forbidden() {
        for accepting in
            ["gzip", "GZIP", "x-gzip", "br, gzip", "gzip;q=0.1", "br;q=1.0, gzip; q=0.8, *;q=0", "*", "gzip, *;q=0"]
        {
            assert!(accepts_gzip(&asked(accepting)), "{accepting}");
        }
        for refusing in
            ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "gzip;q=0, *", "gzip;q=much", "gzipped"]
        {
            assert!(!accepts_gzip(&asked(refusing)), "{refusing}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn what_is_small_stays_as_it_is() {
        assert_eq!(compressed(&"x".repeat(MIN_BYTES - 1), &asked("gzip")), None);
        assert!(compressed(&"x".repeat(MIN_BYTES), &asked("gzip")).is_some_and(|body| body.len() < MIN_BYTES));
        assert_eq!(compressed(&"x".repeat(MIN_BYTES), &HeaderMap::new()), None);
    }
}
