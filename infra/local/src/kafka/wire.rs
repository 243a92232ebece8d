//! Requests as they come over the wire, and what is answered to those that the broker does not know.

use bytes::{Buf as _, Bytes};
use rama::{Context, Service};
use tansu_broker::Error;
use tansu_sans_io::{
    ApiKey as _, ApiVersionsRequest, ApiVersionsResponse, Body, ErrorCode, Frame, Header, RootMessageMeta,
    api_versions_response::ApiVersion,
};

use crate::console;

/// Reads requests, has them served, and writes the answers.
///
/// Tansu's own layer for this closes the connection of a client that is newer than itself, and answers where `acks=0` asks
/// for no answer.
pub(super) struct Wire<S> {
    inner: S,
}

impl<S> Wire<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner }
    }
}

/// What every version of every request begins with.
#[derive(Clone, Copy, Debug)]
struct Head {
    api_key: i16,
    api_version: i16,
    correlation_id: i32,
}

impl Head {
    /// Reads it behind the request's length.
    fn read(mut request: &[u8]) -> Option<Self> {
        request.try_get_i32().ok()?;
        Some(Self {
            api_key: request.try_get_i16().ok()?,
            api_version: request.try_get_i16().ok()?,
            correlation_id: request.try_get_i32().ok()?,
        })
    }

    fn is_known(self) -> bool {
        versions(self.api_key).is_some_and(|(oldest, newest)| (oldest..=newest).contains(&self.api_version))
    }

    fn answer(self, body: Body, version: i16) -> Result<Bytes, Error> {
        let header = Header::Response { correlation_id: self.correlation_id };
        Ok(Frame::response(header, body, self.api_key, version)?)
    }

    /// Kafka answers a version of `ApiVersions` that it does not know in version 0, with the versions that it does know
    /// (KIP-511); the client then asks again. No other answer could be read, so that of any other request is the end of the
    /// connection.
    fn refuse(self) -> Result<Bytes, Error> {
        let Self { api_key, api_version, .. } = self;
        match versions(api_key) {
            Some((oldest, newest)) if api_key == ApiVersionsRequest::KEY => {
                let own = ApiVersion::default().api_key(api_key).min_version(oldest).max_version(newest);
                let body = ApiVersionsResponse::default()
                    .error_code(ErrorCode::UnsupportedVersion.into())
                    .api_keys(Some(vec![own]));
                self.answer(body.into(), 0)
            }
            _ => {
                console::warn(&format!(
                    "a Kafka client was disconnected: the embedded broker does not know request {api_key} in version {api_version}"
                ));
                Err(Error::Message(format!("request {api_key} in version {api_version}")))
            }
        }
    }
}

/// The oldest and the newest version that is known of a request.
fn versions(api_key: i16) -> Option<(i16, i16)> {
    let request = RootMessageMeta::messages().requests().get(&api_key)?;
    Some((request.version.valid.start, request.version.valid.end))
}

impl<S> Service<(), Bytes> for Wire<S>
where
    S: Service<(), Frame, Response = Frame, Error = Error>,
{
    type Response = Bytes;
    type Error = Error;

    async fn serve(&self, context: Context<()>, request: Bytes) -> Result<Bytes, Error> {
        let head = Head::read(&request).ok_or_else(|| Error::Message("a request without a header".to_owned()))?;
        if !head.is_known() {
            return head.refuse();
        }
        let frame = Frame::request_from_bytes(request)?;
        let is_answered = !matches!(&frame.body, Body::ProduceRequest(request) if request.acks == 0);
        let answer = self.inner.serve(context, frame).await?;
        if is_answered { head.answer(answer.body, head.api_version) } else { Ok(Bytes::new()) }
    }
}
