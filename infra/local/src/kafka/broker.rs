//! A Kafka broker within this process.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use rama::{Context, Layer, Service};
use tansu_broker::{
    Error as BrokerError,
    coordinator::group::administrator::Controller,
    service::{auth, coordinator, storage},
};
use tansu_service::{FrameRouteService, TcpBytesLayer, TcpContext, TcpContextLayer};
use tansu_storage::StorageContainer;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::{records::Records, wire::Wire};

const CLUSTER: &str = "livefold-local";
const NODE: i32 = 1;

/// A Kafka broker within this process, on the wire at `localhost`, for as long as this value lives.
///
/// Tansu speaks the protocol and keeps topics, groups and committed offsets. The records themselves are kept in
/// [`Records`], as Tansu 0.6's own memory storage neither deletes nor forgets any, lists all batches for each fetch,
/// skips the rest of a batch when asked for its middle, and answers a fetch only when its maximum wait is over.
pub(crate) struct EmbeddedBroker {
    address: String,
    _serving: AbortOnDropHandle<()>,
}

impl EmbeddedBroker {
    /// Starts to listen on `port` of the loopback interface; 0 takes any that is free.
    pub(crate) async fn start(port: u16) -> anyhow::Result<Self> {
        let listeners = listen(port).await?;
        let port = listeners[0].local_addr()?.port();
        let address = format!("localhost:{port}");
        let topics = StorageContainer::builder()
            .cluster_id(CLUSTER)
            .node_id(NODE)
            .advertised_listener(Url::parse(&format!("tcp://{address}"))?)
            .storage(Url::parse("memory://livefold/")?)
            .silent(true)
            .build()
            .await
            .context("the embedded Kafka broker does not start")?;
        let route = storage::services(FrameRouteService::builder(), topics.clone())
            .and_then(|routes| coordinator::services(routes, Controller::with_storage(topics.clone())?))
            .and_then(auth::services)
            .and_then(|routes| routes.build().map_err(BrokerError::from))
            .context("the embedded Kafka broker does not start")?;
        let service = (
            TcpContextLayer::new(TcpContext::default().cluster_id(Some(CLUSTER.to_owned()))),
            TcpBytesLayer::default(),
        )
            .into_layer(Wire::new(Records::new(topics, route)));
        Ok(Self { address, _serving: AbortOnDropHandle::new(tokio::spawn(serve(listeners, Arc::new(service)))) })
    }

    /// Where clients find it.
    #[must_use]
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }
}

/// Listens on both loopback addresses, as `localhost` may mean either.
async fn listen(port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let v4 = v4.map_err(|error| in_use(error, port))?;
    let port = v4.local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(in_use(error, port)),
        // No IPv6 on this machine.
        Err(_) => Ok(vec![v4]),
    }
}

fn in_use(error: std::io::Error, port: u16) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => anyhow::anyhow!(
            "port {port} is in use; is another Kafka running? Choose another with --kafka-port, or use it with --kafka"
        ),
        _ => anyhow::Error::new(error).context(format!("Kafka cannot listen on port {port}")),
    }
}

async fn serve<S>(listeners: Vec<TcpListener>, service: Arc<S>)
where
    S: Service<(), TcpStream>,
{
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let service = Arc::clone(&service);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((stream, _)) = accepted else {
                            // Out of file descriptors: others may close theirs.
                            tokio::time::sleep(Duration::from_millis(100)).await;
                            continue;
                        };
                        let service = Arc::clone(&service);
                        connections.spawn(async move {
                            stream.set_nodelay(true).ok();
                            // It ends with an error when the client goes.
                            service.serve(Context::default(), stream).await.ok();
                        });
                    }
                    Some(_) = connections.join_next() => {}
                }
            }
        });
    }
    accepting.join_all().await;
}
