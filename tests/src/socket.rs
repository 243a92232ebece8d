//! A plain WebSocket client.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::PATIENCE;

/// An open socket.
pub struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

/// A handshake that was refused.
#[derive(Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// The body, if it was JSON.
    pub body: Value,
}

impl Socket {
    /// Opens a socket; `Ok(Err(…))` if the server refused.
    pub async fn open(url: &str, header: Option<(&'static str, &str)>) -> Result<Result<Self, Refused>> {
        let mut request = url.into_client_request()?;
        if let Some((name, value)) = header {
            request.headers_mut().insert(name, HeaderValue::from_str(value)?);
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Ok(Self(socket))),
            Err(tungstenite::Error::Http(response)) => Ok(Err(Refused {
                status: response.status().as_u16(),
                body: response.body().as_ref().and_then(|b| serde_json::from_slice(b).ok()).unwrap_or(Value::Null),
            })),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends text.
    pub async fn send(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.0.send(Message::text(text.into())).await?)
    }

    /// Sends bytes, which API Gateway does not take.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> Result<()> {
        Ok(self.0.send(Message::binary(bytes)).await?)
    }

    /// The next message; an error if the socket is closed or silent for too long.
    pub async fn next(&mut self) -> Result<Value> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.context("the socket is silent")?;
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

    /// Whether nothing comes within `silence`.
    pub async fn is_silent_for(&mut self, silence: std::time::Duration) -> bool {
        loop {
            match tokio::time::timeout(silence, self.0.next()).await {
                Err(_) => return true,
                Ok(None | Some(Ok(Message::Text(_)) | Err(_))) => return false,
                Ok(Some(Ok(_))) => {}
            }
        }
    }

    /// The code of the close frame that ends the socket.
    pub async fn close_code(&mut self) -> Result<u16> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, self.0.next()).await.context("the socket stays open")?;
            if let Message::Close(frame) = frame.context("the socket ended without a close frame")?? {
                return Ok(frame.context("a close frame without a code")?.code.into());
            }
        }
    }
}
