//! Logs: one JSON object a line, as Lambda and CloudWatch read them, with the request's id from the span that the
//! Lambda runtime opens around every invocation.
//!
//! Nothing that a client or a record has sent is ever an argument of a log call.

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
};

/// Logs to standard output, down to `LOG_LEVEL` (`error`, `warn`, `info`, `debug` or `trace`; `info` where it is not
/// set). The libraries below us speak up at warnings only.
///
/// # Panics
/// When called twice.
#[expect(clippy::expect_used, reason = "start-up: it is called once, first thing in every main")]
pub fn init() {
    let level = std::env::var("LOG_LEVEL").unwrap_or_default();
    tracing::subscriber::set_global_default(subscriber(&level, std::io::stdout)).expect("logging is set up once");
}

fn subscriber<W>(level: &str, writer: W) -> impl Subscriber
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level.parse().ok().filter(|level| *level != LevelFilter::OFF).unwrap_or(LevelFilter::INFO);
    // The debug output of hyper and the SDK holds headers, and with them credentials; the Lambda runtime's holds events.
    // Its span, which carries the request's id, is made at `info`, also where only errors are logged.
    let libraries =
        ["aws_config", "aws_runtime", "aws_smithy_runtime", "h2", "hyper", "hyper_util", "reqwest", "rustls"];
    // `EnvFilter` would do the same with regular expressions, which are a megabyte of every function.
    let targets = Targets::new()
        .with_default(level)
        .with_targets(libraries.map(|library| (library, LevelFilter::WARN)))
        .with_target("lambda_runtime", LevelFilter::INFO);
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(true);
    tracing_subscriber::registry().with(lines.with_writer(writer)).with(targets)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_json_with_the_requests_id_and_libraries_stay_quiet() {
        let page = Page::default();
        let writer = page.clone();
        tracing::subscriber::with_default(subscriber("warn", move || writer.clone()), || {
            let _invoke = tracing::info_span!(target: "lambda_runtime::layers", "invoke", requestId = "r-1").entered();
            let _inner = tracing::error_span!("inner").entered();
            tracing::warn!(applied = 3, "folded");
            tracing::info!("not wanted");
            tracing::debug!(target: "hyper", "authorization: Bearer secret");
        });
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        let line: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON, and no other");
        assert_eq!((&line["message"], &line["applied"]), (&"folded".into(), &3.into()));
        assert_eq!(line["spans"][0]["requestId"], "r-1");
    }
}
