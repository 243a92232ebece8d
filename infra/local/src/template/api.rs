//! `AWS::Serverless::WebSocketApi` and `AWS::Serverless::HttpApi`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{arn::function_name, document::Document, error::TemplateError, function, node::Node};

/// The WebSocket API.
#[derive(Clone, Debug)]
pub(crate) struct SocketApi {
    pub(crate) id: String,
    pub(crate) stage: String,
    /// The path within a message's JSON whose text is the key of its route: `["action"]`.
    pub(crate) selection: Vec<String>,
    pub(crate) routes: BTreeMap<String, SocketRoute>,
}

/// A route of the WebSocket API.
#[derive(Clone, Debug)]
pub(crate) struct SocketRoute {
    pub(crate) function: String,
    /// Whether the function's answer is sent to the client.
    pub(crate) answers: bool,
}

/// The HTTP API, of stage `$default`.
#[derive(Clone, Debug)]
pub(crate) struct HttpApi {
    pub(crate) id: String,
    pub(crate) routes: Vec<HttpRoute>,
    pub(crate) cors: Option<Cors>,
}

/// A route of the HTTP API.
#[derive(Clone, Debug)]
pub(crate) struct HttpRoute {
    /// In capitals; `ANY` for all.
    pub(crate) method: String,
    /// With `{name}` and `{name+}`; or `$default`.
    pub(crate) path: String,
    pub(crate) function: String,
}

/// Which pages of other origins may use the HTTP API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) headers: Vec<String>,
    pub(crate) exposed: Vec<String>,
    pub(crate) max_age: Option<u64>,
    pub(crate) credentials: bool,
}

/// Resources that would be APIs too, but in a form that is not read here.
const OTHER_FORMS: [&str; 3] = ["AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Route", "AWS::Serverless::Api"];

pub(super) fn read_socket_api(document: &Document) -> Result<Option<SocketApi>, TemplateError> {
    for kind in OTHER_FORMS {
        if let Some(node) = Node::all(document, kind)?.first() {
            return Err(node.error("Type", format!("{kind} is not known to the local system, only SAM's APIs")));
        }
    }
    let Some(node) = Node::only(document, "AWS::Serverless::WebSocketApi")? else { return Ok(None) };
    let expression = node.required("RouteSelectionExpression", Node::text)?;
    let Some(selection) = expression.strip_prefix("$request.body.") else {
        return Err(node.error("RouteSelectionExpression", "only $request.body.… is known to the local system"));
    };
    let mut responses = Vec::new();
    for response in Node::all(document, "AWS::ApiGatewayV2::RouteResponse")? {
        responses.push(response.required("RouteId", Node::text)?);
    }
    let mut routes = BTreeMap::new();
    for (key, route) in node.nodes("Routes")? {
        let expression = route.text("RouteResponseSelectionExpression")?;
        let has_response = responses.contains(&route_id(node.place(), &key));
        routes.insert(
            key,
            SocketRoute {
                function: function_name(&route.required("FunctionArn", Node::text)?).to_owned(),
                answers: expression.as_deref() == Some("$default") && has_response,
            },
        );
    }
    Ok(Some(SocketApi {
        id: node.place().to_lowercase(),
        // SAM's default.
        stage: node.text("StageName")?.unwrap_or_else(|| "default".to_owned()),
        selection: selection.split('.').map(ToOwned::to_owned).collect(),
        routes,
    }))
}

/// The id that SAM gives to the resource of a route: `SocketApi` and `$connect` make `SocketApiConnectRoute`.
fn route_id(api: &str, key: &str) -> String {
    let key = key.trim_start_matches('$').to_lowercase();
    let (first, rest) = key.split_at_checked(1).unwrap_or(("", ""));
    format!("{api}{}{rest}Route", first.to_uppercase())
}

pub(super) fn read_http_api(document: &Document) -> Result<Option<HttpApi>, TemplateError> {
    let Some(node) = Node::only(document, "AWS::Serverless::HttpApi")? else { return Ok(None) };
    let id = node.place().to_lowercase();
    let mut routes = Vec::new();
    for event in function::events(document, "HttpApi")? {
        let api = event.properties.required("ApiId", Node::text)?;
        if api != id {
            return Err(event.properties.error("ApiId", format!("there is no HTTP API {api}")));
        }
        let path = event.properties.text("Path")?.unwrap_or_else(|| "$default".to_owned());
        let method = event.properties.text("Method")?.unwrap_or_else(|| "ANY".to_owned()).to_uppercase();
        routes.push(HttpRoute {
            method: if method == "*" { "ANY".to_owned() } else { method },
            path,
            function: event.function,
        });
    }
    Ok(Some(HttpApi { id, routes, cors: cors(&node)? }))
}

fn cors(node: &Node) -> Result<Option<Cors>, TemplateError> {
    let any = || vec!["*".to_owned()];
    match node.value("CorsConfiguration")? {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(Cors { origins: any(), methods: any(), headers: any(), ..Cors::default() })),
        Some(_) => {
            let node = node.required("CorsConfiguration", Node::node)?;
            let texts = |property: &str| Ok::<_, TemplateError>(node.texts(property)?.unwrap_or_default());
            let credentials = node.flag("AllowCredentials")?.unwrap_or(false);
            let origins = texts("AllowOrigins")?;
            if credentials && origins.iter().any(|origin| origin == "*") {
                return Err(node.error("AllowOrigins", "cannot be * with AllowCredentials"));
            }
            Ok(Some(Cors {
                origins,
                methods: texts("AllowMethods")?,
                headers: texts("AllowHeaders")?,
                exposed: texts("ExposeHeaders")?,
                max_age: node.number("MaxAge")?,
                credentials,
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_routes_are_those_that_sam_makes() {
        assert_eq!(route_id("SocketApi", "$connect"), "SocketApiConnectRoute");
        assert_eq!(route_id("SocketApi", "sendMessage"), "SocketApiSendmessageRoute");
    }
}
