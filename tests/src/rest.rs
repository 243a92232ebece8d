//! A client that polls.

use anyhow::{Context, Result};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

/// An HTTP client. Somebody in the workspace builds reqwest without a crypto provider, and then it wants to be told of
/// one before it speaks plain HTTP.
pub(crate) fn client() -> reqwest::Client {
    // An error only says that there is one already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::new()
}

/// How something was refused: the HTTP status and the error's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub u16, pub String);

impl Refusal {
    pub(crate) fn new(status: u16, body: &Value) -> Self {
        Self(status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
    }
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

    /// A request, to be completed and sent.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Posts JSON; the status and the body, whatever they are.
    pub async fn post(&self, path: &str, body: &str) -> Result<(u16, Value)> {
        let request = self.request(Method::POST, path).header("content-type", "application/json").body(body.to_owned());
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or(Value::Null)))
    }

    /// A ticket for a socket.
    pub async fn ticket(&self) -> Result<String> {
        let (status, body) = self.post("/auth/ticket", "").await?;
        let ticket = body["data"]["ticket"].as_str().map(ToOwned::to_owned);
        ticket.with_context(|| format!("no ticket: {status}, {}", body["error"]["code"]))
    }

    /// How a GET is refused; nothing if it is not.
    pub async fn refusal(&self, path: &str) -> Result<Option<Refusal>> {
        let (status, body) = self.get(path).await?;
        Ok((!status.is_success()).then(|| Refusal::new(status.as_u16(), &body)))
    }

    /// The whole response of a GET, with a header if one is given.
    pub async fn response(&self, path: &str, header: Option<(&str, &str)>) -> Result<Response> {
        let mut request = self.request(Method::GET, path);
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
