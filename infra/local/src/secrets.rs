//! Secrets Manager, as far as functions use it: `GetSecretValue` of the template's one secret.
//!
//! Own code, as it is one request with one answer. `winterbaume-secretsmanager` has all of the service in 3,700 lines on
//! a server core of its own, and would have to be filled through its API at every start.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{template::Secret, token::LOCAL_SECRET};

/// Where functions find it.
pub(crate) const SECRETS_MANAGER: &str = "/_aws/secretsmanager";

/// The staging label of the value that counts. No other value has been before, so that `AWSPREVIOUS` is on none.
const CURRENT: &str = "AWSCURRENT";

const VERSION: &str = "00000000-0000-4000-8000-000000000000";

/// Serves the secret that `cargo dev token` signs with, under the name and ARN that it has in the template.
pub(crate) fn router(secret: Option<Secret>) -> Router {
    // The SDK puts a slash behind the endpoint's path.
    Router::new()
        .route(SECRETS_MANAGER, post(answer))
        .route(&format!("{SECRETS_MANAGER}/"), post(answer))
        .with_state(secret)
}

/// What is read of a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSecretValue {
    secret_id: String,
    version_stage: Option<String>,
    version_id: Option<String>,
}

async fn answer(State(secret): State<Option<Secret>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get("x-amz-target").is_none_or(|target| target != "secretsmanager.GetSecretValue") {
        return refuse("UnknownOperationException", "The local system knows GetSecretValue only");
    }
    let Ok(wanted) = serde_json::from_slice::<GetSecretValue>(&body) else {
        return refuse("ValidationException", "A SecretId is wanted");
    };
    let is_it = |secret: &Secret| secret.arn == wanted.secret_id || secret.name == wanted.secret_id;
    let Some(secret) = secret.filter(is_it) else {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
    };
    let is_current = wanted.version_stage.is_none_or(|stage| stage == CURRENT);
    if !is_current || wanted.version_id.is_some_and(|version| version != VERSION) {
        return refuse("ResourceNotFoundException", "Secrets Manager can't find the specified secret value.");
    }
    let value = json!({
        "ARN": secret.arn,
        "Name": secret.name,
        "VersionId": VERSION,
        "VersionStages": [CURRENT],
        "SecretString": LOCAL_SECRET,
        "CreatedDate": 0,
    });
    respond(StatusCode::OK, &value)
}

fn refuse(kind: &str, message: &str) -> Response {
    respond(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "Message": message }))
}

fn respond(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_secretsmanager::{
        Client, config::Credentials, operation::get_secret_value::GetSecretValueOutput as Output,
    };

    use super::*;
    use crate::template::REGION;

    const ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:TokenSecret-000000";

    /// A client as functions have it, and what it talks to.
    async fn client() -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let secret = Secret { name: "TokenSecret".to_owned(), arn: ARN.to_owned() };
        tokio::spawn(async move { axum::serve(listener, router(Some(secret))).await });
        let config = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new("local", "local", None, None, "test"))
            .endpoint_url(format!("http://{address}{SECRETS_MANAGER}"));
        Client::from_conf(config.build())
    }

    /// A secret's value; or whether there is no such secret, and not another error.
    async fn value(id: &str, stage: Option<&str>) -> Result<Output, bool> {
        let request = client().await.get_secret_value().secret_id(id).set_version_stage(stage.map(ToOwned::to_owned));
        request.send().await.map_err(|error| error.into_service_error().is_resource_not_found_exception())
    }

    #[tokio::test]
    async fn the_sdk_gets_the_secret_by_arn_and_by_name() {
        for (id, stage) in [(ARN, None), (ARN, Some("AWSCURRENT")), ("TokenSecret", None)] {
            let output = value(id, stage).await.unwrap();
            assert_eq!((output.secret_string(), output.arn()), (Some(LOCAL_SECRET), Some(ARN)));
            assert_eq!(output.version_stages(), ["AWSCURRENT"]);
        }
    }

    #[tokio::test]
    async fn there_is_no_previous_value_and_no_other_secret() {
        for (id, stage) in [(ARN, Some("AWSPREVIOUS")), ("Other", None), ("", None)] {
            assert!(value(id, stage).await.unwrap_err(), "{id} {stage:?}");
        }
    }

    #[tokio::test]
    async fn nothing_can_be_written() {
        let error = client().await.put_secret_value().secret_id(ARN).secret_string("x").send().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 400);
    }
}
