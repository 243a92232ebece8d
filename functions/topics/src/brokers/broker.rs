//! A Kafka broker as tests play it, on this machine: TLS, OAUTHBEARER, metadata and the making of topics, in another
//! library's encoding than the client's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{RootCertStore, ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use tansu_sans_io::{
    ApiKey as _, ApiVersionsRequest, ApiVersionsResponse, Body, CreateTopicsRequest, CreateTopicsResponse, ErrorCode,
    Frame, Header, MetadataRequest, MetadataResponse, SaslAuthenticateRequest, SaslAuthenticateResponse,
    SaslHandshakeRequest, SaslHandshakeResponse,
    api_versions_response::ApiVersion,
    create_topics_response::CreatableTopicResult,
    metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::brokers::{Access, tls_with};

const NODE: i32 = 1;

/// What the broker knows, and what it was told.
#[derive(Debug, Default)]
pub(crate) struct Knows {
    /// The topics and their partitions.
    pub(crate) topics: BTreeMap<String, i32>,
    /// Topics that exist as well, but are not listed.
    pub(crate) hidden: Vec<String>,
    /// The replication factors that topics were made with.
    pub(crate) replication: Vec<i16>,
    /// The tokens that opened connections, decoded.
    pub(crate) tokens: Vec<String>,
    /// Whether it lets nobody in.
    pub(crate) is_closed: bool,
}

/// A broker that runs for as long as its test.
pub(crate) struct Broker {
    /// `host:port`.
    pub(crate) address: String,
    /// What it knows.
    pub(crate) knows: Arc<Mutex<Knows>>,
    /// What believes it, and no other.
    pub(crate) access: Access,
}

impl Broker {
    /// Starts to listen.
    pub(crate) async fn start(knows: Knows) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![cert.der().clone()], key.into()).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let knows = Arc::new(Mutex::new(knows));
        let (acceptor, shared) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&knows));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, knows) = (acceptor.clone(), Arc::clone(&shared));
                tokio::spawn(async move {
                    // A client that does not believe the certificate goes here.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        converse(stream, &knows, port).await;
                    }
                });
            }
        });
        let access = Access {
            tls: tls_with(roots).unwrap(),
            credentials: crate::loopback::credentials(),
            region: "eu-central-1".to_owned(),
        };
        Self { address: format!("localhost:{port}"), knows, access }
    }
}

/// Answers one connection until it ends; who asks for anything before it has shown a token is sent away.
async fn converse(mut stream: TlsStream<TcpStream>, knows: &Mutex<Knows>, port: u16) {
    let mut is_open = false;
    while let Ok(size) = stream.read_i32().await {
        let mut bytes = vec![0; 4 + usize::try_from(size).unwrap()];
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        stream.read_exact(&mut bytes[4..]).await.unwrap();
        let frame = Frame::request_from_bytes(Bytes::from(bytes)).unwrap();
        let Header::Request { api_key, api_version, correlation_id, .. } = frame.header else { return };
        let body: Body = match frame.body {
            Body::ApiVersionsRequest(_) => versions().into(),
            Body::SaslHandshakeRequest(_) => {
                SaslHandshakeResponse::default().mechanisms(Some(vec!["OAUTHBEARER".to_owned()])).into()
            }
            Body::SaslAuthenticateRequest(request) => {
                is_open = admit(&request.auth_bytes, &mut knows.lock().unwrap());
                let error = if is_open { ErrorCode::None } else { ErrorCode::SaslAuthenticationFailed };
                let response = SaslAuthenticateResponse::default().error_code(error.into());
                response.auth_bytes(Bytes::new()).session_lifetime_ms(Some(0)).into()
            }
            _ if !is_open => return,
            Body::MetadataRequest(request) => metadata(&request, &knows.lock().unwrap(), port).into(),
            Body::CreateTopicsRequest(request) => create(request, &mut knows.lock().unwrap()).into(),
            other => panic!("nobody asks for {other:?}"),
        };
        let header = Header::Response { correlation_id };
        let answer = Frame::response(header, body, api_key, api_version).unwrap();
        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
}

fn versions() -> ApiVersionsResponse {
    let version = |(key, min, max)| ApiVersion::default().api_key(key).min_version(min).max_version(max);
    let versions = [
        (ApiVersionsRequest::KEY, 0, 3),
        (SaslHandshakeRequest::KEY, 0, 1),
        (SaslAuthenticateRequest::KEY, 0, 2),
        (MetadataRequest::KEY, 0, 9),
        (CreateTopicsRequest::KEY, 0, 7),
    ];
    ApiVersionsResponse::default().api_keys(Some(versions.map(version).into())).throttle_time_ms(Some(0))
}

/// RFC 7628 §3.1, without a user to act for.
fn admit(message: &[u8], knows: &mut Knows) -> bool {
    let message = str::from_utf8(message).unwrap();
    let token = message.strip_prefix("n,,\x01auth=Bearer ").and_then(|rest| rest.strip_suffix("\x01\x01")).unwrap();
    knows.tokens.push(String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap());
    !knows.is_closed
}

fn metadata(request: &MetadataRequest, knows: &Knows, port: u16) -> MetadataResponse {
    let is_asked = |name: &String| {
        let asked = request.topics.as_deref();
        asked.is_none_or(|asked| asked.iter().any(|topic| topic.name.as_ref() == Some(name)))
    };
    let partition = |index| {
        let partition = MetadataResponsePartition::default().partition_index(index).leader_id(NODE);
        partition.replica_nodes(Some(vec![NODE])).isr_nodes(Some(vec![NODE]))
    };
    let topic = |(name, partitions): (&String, &i32)| {
        let topic = MetadataResponseTopic::default().name(Some(name.clone())).is_internal(Some(false));
        topic.partitions(Some((0..*partitions).map(partition).collect()))
    };
    let topics = knows.topics.iter().filter(|(name, _)| is_asked(name)).map(topic).collect();
    let broker = MetadataResponseBroker::default().node_id(NODE).host("localhost".to_owned()).port(port.into());
    MetadataResponse::default()
        .throttle_time_ms(Some(0))
        .brokers(Some(vec![broker]))
        .controller_id(Some(NODE))
        .topics(Some(topics))
}

fn create(request: CreateTopicsRequest, knows: &mut Knows) -> CreateTopicsResponse {
    let results = request.topics.unwrap_or_default().into_iter().map(|topic| {
        let result = CreatableTopicResult::default().name(topic.name.clone()).num_partitions(Some(-1));
        let result = result.replication_factor(Some(-1)).configs(Some(Vec::new()));
        if knows.topics.contains_key(&topic.name) || knows.hidden.contains(&topic.name) {
            return result.error_code(ErrorCode::TopicAlreadyExists.into());
        }
        if topic.name.starts_with("forbidden") {
            let result = result.error_code(ErrorCode::TopicAuthorizationFailed.into());
            return result.error_message(Some("Access denied".to_owned()));
        }
        knows.replication.push(topic.replication_factor);
        knows.topics.insert(topic.name, topic.num_partitions);
        result
    });
    CreateTopicsResponse::default().throttle_time_ms(Some(0)).topics(Some(results.collect()))
}
