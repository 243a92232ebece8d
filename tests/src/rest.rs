//! A client that polls.

use anyhow::Result;
use reqwest::{Response, StatusCode};
use serde_json::Value;

/// An HTTP client. Somebody in the workspace builds reqwest without a crypto provider, and then it wants to be told of
/// one before it speaks plain HTTP.
pub(crate) fn client() -> reqwest::Client {
    // An error only says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::new()
}

/// A REST client with a token.
pub struct Rest {
    client: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Rest {
    pub(crate) fn new(base: String, token: Option<String>) -> Self {
        Self { client: client(), base, token }
    }

    /// The whole response of a GET, with a header if one is given.
    pub async fn response(&self, path: &str, header: Option<(&str, &str)>) -> Result<Response> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        Ok(request.send().await?)
    }

    /// Status and JSON body of a GET.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Value)> {
        let response = self.response(path, None).await?;
        let status = response.status();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or(Value::Null)))
    }

    /// The `data` of a successful GET; nothing otherwise.
    pub async fn data(&self, path: &str) -> Option<Value> {
        let (status, mut body) = self.get(path).await.ok()?;
        (status == StatusCode::OK && body["success"] == true).then(|| body["data"].take())
    }

    /// A campaign's metrics; nothing while it is unknown.
    pub async fn campaign(&self, id: &str) -> Option<Value> {
        self.data(&format!("/analytics/campaigns/{id}/metrics")).await
    }
}
