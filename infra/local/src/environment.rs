//! What functions find in their environment: the template's variables, with what is different on one machine.

use std::{collections::BTreeMap, path::Path};

use anyhow::bail;

use crate::{
    gateway::management::EXECUTE_API,
    lambda::Launch,
    secrets::SECRETS_MANAGER,
    template::{Function, REGION},
    token::DEFAULT_TENANT,
};

/// Parameters of the template that have another value than their default, in a system whose APIs are on a port.
pub(crate) fn parameters(port: u16) -> [(&'static str, String); 6] {
    [
        // There is a cluster, so the mappings exist.
        ("Kafka", "existing".to_owned()),
        ("KafkaClusterArn", "arn:aws:kafka:us-east-1:123456789012:cluster/local/local".to_owned()),
        // Records and tokens that name no tenant are those of whoever tries it out.
        ("DefaultTenant", DEFAULT_TENANT.to_owned()),
        ("TokenDefaultTenant", DEFAULT_TENANT.to_owned()),
        // `cargo dev token` signs with the secret.
        ("TokenSigning", "secret".to_owned()),
        ("AllowedOrigins", origins(port)),
    ]
}

/// Ports that pages are usually served from while they are written: by Create React App, Next.js and Rails, and by Vite.
const PAGE_PORTS: [u16; 2] = [3000, 5173];

/// The system's own page, by each of its names, and pages that are being written on this machine. Each in full: to
/// functions and gateway an origin is allowed as it stands or not at all.
fn origins(port: u16) -> String {
    let mut origins = vec![format!("http://localhost:{port}"), format!("http://127.0.0.1:{port}")];
    origins.extend(PAGE_PORTS.iter().filter(|page| **page != port).map(|page| format!("http://localhost:{page}")));
    origins.join(",")
}

/// Variables that have another value than the template's, in functions that have them at all.
const VARIABLES: [(&str, &str); 1] = [
    // There is no cluster that AWS could describe.
    ("KAFKA_CLUSTER_ARN", ""),
];

/// Where functions find what they use.
#[derive(Debug)]
pub(crate) struct Endpoints {
    /// `http://127.0.0.1:4000`
    pub(crate) gateway: String,
    pub(crate) dynamodb: String,
}

/// A variable given on the command line.
pub(crate) type Given = (String, String);

/// Checks that each given variable is one of a function.
pub(crate) fn check(given: &[Given], functions: &[Function]) -> anyhow::Result<()> {
    for (name, _) in given {
        if !functions.iter().any(|function| function.environment.contains_key(name)) {
            bail!("--env {name}: no function has a variable of this name");
        }
    }
    Ok(())
}

/// How a function is started.
pub(crate) fn launch(function: &Function, endpoints: &Endpoints, given: &[Given], binaries: &Path) -> Launch {
    let mut environment = function.environment.clone();
    for value in environment.values_mut() {
        if let Some(local) = execute_api(value, &endpoints.gateway) {
            *value = local;
        }
    }
    let given = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in VARIABLES.into_iter().chain(given) {
        if let Some(variable) = environment.get_mut(name) {
            value.clone_into(variable);
        }
    }
    environment.extend(of_lambda(function, endpoints));
    Launch {
        name: function.name.clone(),
        binary: binaries.join(&function.binary),
        environment,
        timeout: function.timeout,
        memory_mb: function.memory_mb,
        retries: function.retries,
    }
}

/// What Lambda itself sets, and where AWS is.
fn of_lambda(function: &Function, endpoints: &Endpoints) -> BTreeMap<String, String> {
    let gateway = &endpoints.gateway;
    let variables = [
        ("_HANDLER", function.handler.clone()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mb.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        // No request may reach AWS itself by mistake: the local system answers 404.
        ("AWS_ENDPOINT_URL", format!("{gateway}/_aws")),
        ("AWS_ENDPOINT_URL_DYNAMODB", endpoints.dynamodb.clone()),
        ("AWS_ENDPOINT_URL_LAMBDA", gateway.clone()),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", format!("{gateway}{SECRETS_MANAGER}")),
        ("TZ", ":UTC".to_owned()),
    ];
    let own = ["PATH", "RUST_BACKTRACE"].into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
    variables.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `https://{api}.execute-api.{region}.{suffix}…`, as it is reached here.
fn execute_api(value: &str, gateway: &str) -> Option<String> {
    let (api, rest) = value.strip_prefix("https://")?.split_once(".execute-api.")?;
    let path = rest.split_once('/').map_or(String::new(), |(_, path)| format!("/{path}"));
    Some(format!("{gateway}{EXECUTE_API}/{api}{path}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn function(variables: &[(&str, &str)]) -> Function {
        Function {
            name: "work".to_owned(),
            binary: "work".to_owned(),
            handler: "bootstrap".to_owned(),
            timeout: Duration::from_secs(1),
            memory_mb: 256,
            environment: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            retries: 0,
        }
    }

    fn environment(variables: &[(&str, &str)], given: &[Given]) -> BTreeMap<String, String> {
        let endpoints =
            Endpoints { gateway: "http://127.0.0.1:4000".to_owned(), dynamodb: "http://127.0.0.1:8000".to_owned() };
        launch(&function(variables), &endpoints, given, Path::new("/bin")).environment
    }

    #[test]
    fn the_management_endpoint_is_the_local_one() {
        let url = "https://api.execute-api.us-east-1.amazonaws.com/ws";
        let environment = environment(&[("CONNECTIONS_URL", url), ("OTHER", "https://example.com/ws")], &[]);
        assert_eq!(environment["CONNECTIONS_URL"], "http://127.0.0.1:4000/_aws/execute-api/api/ws");
        assert_eq!(environment["OTHER"], "https://example.com/ws");
    }

    #[test]
    fn what_is_given_wins_and_only_where_there_is_such_a_variable() {
        let given = [("A".to_owned(), "given".to_owned()), ("B".to_owned(), "given".to_owned())];
        let environment = environment(&[("A", "template"), ("C", "template")], &given);
        assert_eq!((environment["A"].as_str(), environment["C"].as_str()), ("given", "template"));
        assert!(!environment.contains_key("B"));
        assert!(!environment.contains_key("KAFKA_CLUSTER_ARN"));
    }

    #[test]
    fn a_variable_that_no_function_has_is_an_error() {
        let error = check(&[("X".to_owned(), String::new())], &[function(&[("A", "")])]).unwrap_err();
        assert_eq!(error.to_string(), "--env X: no function has a variable of this name");
    }

    #[test]
    fn functions_see_the_local_endpoints() {
        let environment = environment(&[], &[]);
        assert_eq!(environment["AWS_ENDPOINT_URL_DYNAMODB"], "http://127.0.0.1:8000");
        assert_eq!(environment["AWS_ENDPOINT_URL_LAMBDA"], "http://127.0.0.1:4000");
        assert_eq!(environment["AWS_ENDPOINT_URL_SECRETS_MANAGER"], "http://127.0.0.1:4000/_aws/secretsmanager");
        assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    }

    #[test]
    fn the_allowed_origins_are_named_in_full_and_once() {
        let own = "http://localhost:4000,http://127.0.0.1:4000";
        assert_eq!(origins(4000), format!("{own},http://localhost:3000,http://localhost:5173"));
        assert_eq!(origins(3000), "http://localhost:3000,http://127.0.0.1:3000,http://localhost:5173");
        let parsed = auth::Origins::parse(&origins(4000));
        assert!(parsed.is_ok(), "what functions are given is what they take");
    }
}
