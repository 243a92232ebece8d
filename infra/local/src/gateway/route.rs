//! Which route a request takes.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::template::{HttpApi, HttpRoute, SocketApi};

/// The key of the route that a message takes; none if not even `$default` is there.
pub(crate) fn of_message<'a>(api: &'a SocketApi, body: &str) -> Option<&'a str> {
    let key = serde_json::from_str::<Value>(body).ok().and_then(|mut body| {
        let selected = api.selection.iter().try_fold(&mut body, |value, name| value.get_mut(name))?;
        selected.as_str().map(ToOwned::to_owned)
    });
    // `$connect` and `$disconnect` are not for messages to name.
    let key = key.filter(|key| !key.starts_with('$')).and_then(|key| api.routes.get_key_value(&key));
    key.or_else(|| api.routes.get_key_value("$default")).map(|(key, _)| key.as_str())
}

/// A route of the HTTP API and what its path's variables are.
#[derive(Debug)]
pub(crate) struct Matched<'a> {
    pub(crate) route: &'a HttpRoute,
    pub(crate) parameters: BTreeMap<String, String>,
}

/// The most specific route for a method and a path whose percent-encoding is undone: literal segments before variables,
/// variables before greedy ones, a method before `ANY`, and `$default` last.
pub(crate) fn of_request<'a>(api: &'a HttpApi, method: &str, path: &str) -> Option<Matched<'a>> {
    let candidates = api.routes.iter().filter(|route| route.method == method || route.method == "ANY");
    let matching = candidates.filter_map(|route| {
        let (rank, parameters) =
            if route.path == "$default" { (Vec::new(), BTreeMap::new()) } else { fit(&route.path, path)? };
        Some(((rank, route.method == method), Matched { route, parameters }))
    });
    matching.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, matched)| matched)
}

/// How well a path fits a template, segment by segment, and the variables' values.
fn fit(template: &str, path: &str) -> Option<(Vec<u8>, BTreeMap<String, String>)> {
    const GREEDY: u8 = 1;
    const VARIABLE: u8 = 2;
    const LITERAL: u8 = 3;
    let mut rank = Vec::new();
    let mut parameters = BTreeMap::new();
    let mut rest = Some(path.strip_prefix('/')?);
    for part in template.strip_prefix('/')?.split('/') {
        let remaining = rest?;
        let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
        if let Some(name) = variable.and_then(|name| name.strip_suffix('+')) {
            rank.push(GREEDY);
            parameters.insert(name.to_owned(), remaining.to_owned());
            rest = None;
            continue;
        }
        let (segment, after) = remaining.split_once('/').map_or((remaining, None), |(s, after)| (s, Some(after)));
        match variable {
            Some(name) if !segment.is_empty() => {
                rank.push(VARIABLE);
                parameters.insert(name.to_owned(), segment.to_owned());
            }
            None if part == segment => rank.push(LITERAL),
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some((rank, parameters))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::SocketRoute;

    fn socket_api(routes: &[&str]) -> SocketApi {
        let route = || SocketRoute { function: "f".to_owned(), answers: false };
        SocketApi {
            id: "api".to_owned(),
            stage: "ws".to_owned(),
            selection: vec!["action".to_owned()],
            routes: routes.iter().map(|key| ((*key).to_owned(), route())).collect(),
        }
    }

    #[test]
    fn a_message_takes_the_route_that_it_names() {
        let api = socket_api(&["$connect", "$default", "subscribe"]);
        assert_eq!(of_message(&api, r#"{"action":"subscribe"}"#), Some("subscribe"));
    }

    #[test]
    fn all_other_messages_take_the_default_route() {
        let api = socket_api(&["$connect", "$default", "subscribe"]);
        for body in [r#"{"action":"other"}"#, r#"{"action":"$connect"}"#, r#"{"action":1}"#, "{}", "[]", "no json", ""]
        {
            assert_eq!(of_message(&api, body), Some("$default"), "{body}");
        }
    }

    #[test]
    fn without_a_default_route_other_messages_take_none() {
        assert_eq!(of_message(&socket_api(&["subscribe"]), "{}"), None);
    }

    fn http_api(routes: &[(&str, &str)]) -> HttpApi {
        let route = |(method, path): &(&str, &str)| HttpRoute {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            function: "f".to_owned(),
        };
        HttpApi { id: "rest".to_owned(), routes: routes.iter().map(route).collect(), cors: None }
    }

    fn path<'a>(api: &'a HttpApi, method: &str, path: &str) -> Option<&'a str> {
        of_request(api, method, path).map(|matched| matched.route.path.as_str())
    }

    #[test]
    fn a_path_finds_its_route_and_its_variables() {
        let api = http_api(&[("GET", "/a/{id}/metrics"), ("GET", "/health")]);
        let matched = of_request(&api, "GET", "/a/c-17/metrics").unwrap();
        assert_eq!(matched.parameters, BTreeMap::from([("id".to_owned(), "c-17".to_owned())]));
        assert_eq!(path(&api, "GET", "/health"), Some("/health"));
        for none in ["/", "/a", "/a//metrics", "/a/b/metrics/c", "/health/", "/HEALTH"] {
            assert_eq!(path(&api, "GET", none), None, "{none}");
        }
        assert_eq!(path(&api, "POST", "/health"), None);
    }

    #[test]
    fn the_most_specific_route_wins() {
        let api =
            http_api(&[("ANY", "$default"), ("GET", "/{all+}"), ("GET", "/a/{id}"), ("GET", "/a/b"), ("ANY", "/a/b")]);
        assert_eq!(path(&api, "GET", "/a/b"), Some("/a/b"));
        assert_eq!(of_request(&api, "GET", "/a/b").unwrap().route.method, "GET");
        assert_eq!(path(&api, "GET", "/a/c"), Some("/a/{id}"));
        let greedy = of_request(&api, "GET", "/x/y/z").unwrap();
        assert_eq!(greedy.parameters["all"], "x/y/z");
        assert_eq!(path(&api, "DELETE", "/x"), Some("$default"));
    }
}
