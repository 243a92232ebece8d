//! The secret of tokens signed with HS256, out of Secrets Manager.

use auth::{KeySet, KeySource, MIN_SECRET_BYTES, Unfetched};
use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{Client, error::ProvideErrorMetadata};
use futures_util::{FutureExt, future::BoxFuture};

/// The secret that tokens are signed with now, and the one before: while a new secret reaches whoever issues tokens,
/// tokens of either are out there.
/// <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html>
const STAGES: [&str; 2] = ["AWSCURRENT", "AWSPREVIOUS"];

/// A secret of Secrets Manager.
pub(crate) struct Secret {
    client: Client,
    id: String,
}

impl Secret {
    /// The secret of this ARN or name.
    pub(crate) fn new(sdk: &SdkConfig, id: String) -> Self {
        Self { client: Client::new(sdk), id }
    }

    /// One version's text; nothing where there is no such version.
    async fn version(&self, stage: &str) -> Result<Option<String>, Unfetched> {
        let answer = self.client.get_secret_value().secret_id(&self.id).version_stage(stage).send().await;
        match answer {
            Ok(value) => Ok(value.secret_string),
            Err(error) => {
                let error = error.into_service_error();
                if error.is_resource_not_found_exception() {
                    return Ok(None);
                }
                Err(Unfetched(format!("Secrets Manager: {}", error.code().unwrap_or("no answer"))))
            }
        }
    }
}

impl KeySource for Secret {
    fn fetch(&self) -> BoxFuture<'_, Result<KeySet, Unfetched>> {
        async {
            let versions = futures_util::future::try_join_all(STAGES.map(|stage| self.version(stage))).await?;
            let [current, previous] = versions.try_into().unwrap_or_default();
            // A previous secret that is no good must not take the current one with it: it is what was wrong until now.
            let previous = previous.filter(|secret: &String| {
                let is_strong = secret.len() >= MIN_SECRET_BYTES;
                if !is_strong {
                    tracing::warn!("the previous secret is too short; tokens signed with it are refused");
                }
                is_strong
            });
            let secrets: Vec<String> = current.into_iter().chain(previous).collect();
            if secrets.is_empty() {
                return Err(Unfetched("Secrets Manager: the secret has no value".to_owned()));
            }
            KeySet::from_secrets(&secrets).map_err(|error| Unfetched(format!("Secrets Manager: {error}")))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, body::Bytes, http::StatusCode, routing::post};
    use serde_json::{Value, json};

    use super::*;
    use crate::loopback;

    /// What Secrets Manager answers for each stage: a secret, or the name of an error.
    type Answers = [(&'static str, Result<&'static str, &'static str>); 2];

    const LONG: &str = "a secret of at least thirty-two bytes";
    const MISSING: Result<&str, &str> = Err("ResourceNotFoundException");

    async fn fetched(answers: Answers) -> Result<KeySet, Unfetched> {
        let answer = async move |body: Bytes| {
            let request: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(request["SecretId"], "arn:secret");
            let (_, answer) = answers.into_iter().find(|(stage, _)| request["VersionStage"] == *stage).unwrap();
            match answer {
                Ok(secret) => (StatusCode::OK, Json(json!({"SecretString": secret}))),
                Err(error) => (StatusCode::BAD_REQUEST, Json(json!({"__type": error, "message": LONG}))),
            }
        };
        let sdk = loopback::serve(Router::new().route("/", post(answer))).await;
        Secret::new(&sdk, "arn:secret".to_owned()).fetch().await
    }

    #[tokio::test]
    async fn the_current_secret_counts_and_the_one_before_where_there_is_one() {
        fetched([("AWSCURRENT", Ok(LONG)), ("AWSPREVIOUS", Ok(LONG))]).await.unwrap();
        fetched([("AWSCURRENT", Ok(LONG)), ("AWSPREVIOUS", MISSING)]).await.unwrap();
        fetched([("AWSCURRENT", Ok(LONG)), ("AWSPREVIOUS", Ok("short"))]).await.unwrap();
    }

    #[tokio::test]
    async fn without_a_secret_that_is_one_there_are_no_keys() {
        for answers in [
            [("AWSCURRENT", MISSING), ("AWSPREVIOUS", MISSING)],
            [("AWSCURRENT", Ok("short")), ("AWSPREVIOUS", MISSING)],
            [("AWSCURRENT", Err("AccessDeniedException")), ("AWSPREVIOUS", Ok(LONG))],
            [("AWSCURRENT", Ok(LONG)), ("AWSPREVIOUS", Err("InternalServiceError"))],
        ] {
            let error = fetched(answers).await.expect_err("no keys");
            assert!(!error.to_string().contains("thirty"), "{error}");
        }
    }
}
