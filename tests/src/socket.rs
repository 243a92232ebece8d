//! A plain WebSocket client.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::{PATIENCE, Refusal};

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    protocol: Option<String>,
}

/// A handshake that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body, if it was JSON.
    pub body: Value,
    /// All that came: headers and body.
    pub text: String,
}

impl Refused {
    /// Status and code.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        Refusal::new(self.status, &self.body)
    }
}

impl Socket {
    /// Opens a socket; `Ok(Err(…))` if the server refused.
    pub async fn open(url: &str, header: Option<(&'static str, &str)>) -> Result<Result<Self, Refused>> {
        let headers: Vec<_> = header.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        Self::handshake(url, &headers).await
    }

    /// Opens a socket with these header lines, some of which may have the same name; `Ok(Err(…))` if the server refused.
    pub async fn handshake(url: &str, headers: &[(&'static str, String)]) -> Result<Result<Self, Refused>> {
        let mut request = url.into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value)?);
        }
        match connect_async(request).await {
            Ok((stream, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                let protocol = protocol.map(|value| value.to_str().map(ToOwned::to_owned)).transpose()?;
                Ok(Ok(Self { stream, protocol }))
            }
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().as_deref().unwrap_or_default();
                Ok(Err(Refused {
                    status: response.status().as_u16(),
                    body: serde_json::from_slice(body).unwrap_or(Value::Null),
                    text: format!("{:?} {}", response.headers(), String::from_utf8_lossy(body)),
                }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The subprotocol that the server chose.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Sends text.
    pub async fn send(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.stream.send(Message::text(text.into())).await?)
    }

    /// Sends bytes, which API Gateway does not take.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.stream.send(Message::binary(bytes)).await?)
    }

    /// The next message; an error if the socket is closed or silent for too long.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.context("the socket is silent")?;
            match frame.context("the socket is closed")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => bail!("the socket was closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The first message from now on that fits.
    pub async fn wait_for(&mut self, what: &str, mut fits: impl FnMut(&Value) -> bool) -> Result<Value> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let message = self.next().await.with_context(|| format!("waiting for {what}"))?;
            if fits(&message) {
                return Ok(message);
            }
        }
        bail!("never came: {what}")
    }

    /// The error of this code, as answer to a message or on its own.
    pub async fn error(&mut self, code: &str) -> Result<Value> {
        self.wait_for(code, |message| message["type"] == "error" && message["data"]["code"] == code).await
    }

    /// Sends a message; its answer is the first of this type. An error is none.
    pub async fn ask(&mut self, message: &Value, answer: &str) -> Result<Value> {
        self.send(message.to_string()).await?;
        // What API Gateway says itself has no type.
        let is_answer =
            |message: &Value| message["type"] == answer || message["type"] == "error" || message["type"].is_null();
        let answered = self.wait_for(answer, is_answer).await?;
        ensure!(answered["type"] == answer, "{answered}");
        Ok(answered)
    }

    /// Whether nothing comes within `silence`.
    pub async fn is_silent_for(&mut self, silence: std::time::Duration) -> bool {
        loop {
            match tokio::time::timeout(silence, self.stream.next()).await {
                Err(_) => return true,
                Ok(None | Some(Ok(Message::Text(_)) | Err(_))) => return false,
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// The code of the close frame that ends the socket.
    pub async fn close_code(&mut self) -> Result<u16> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.stream.next()).await.context("the socket stays open")?;
            if let Message::Close(frame) = frame.context("the socket ended without a close frame")?? {
                return Ok(frame.context("a close frame without a code")?.code.into());
            }
        }
    }
}
