//! Ports of the loopback interface.

use std::{
    io::{Error, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr},
};

use anyhow::anyhow;
use tokio::net::TcpListener;

/// Listens on `port` of the loopback interface, on IPv6 as well where there is one: `localhost` may mean either. 0 takes
/// any port that is free. `who` wants it, `flag` chooses another.
pub(crate) async fn listen(port: u16, who: &str, flag: &str) -> anyhow::Result<Vec<TcpListener>> {
    let failed = |error: Error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!("port {port} is in use; choose another for {who} with {flag}"),
        _ => anyhow!("{who} cannot listen on port {port}: {error}"),
    };
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
    match TcpListener::bind((Ipv6Addr::LOCALHOST, v4.local_addr()?.port())).await {
        Ok(v6) => Ok(vec![v4, v6]),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(failed(error)),
        // No IPv6 on this machine.
        Err(_) => Ok(vec![v4]),
    }
}

/// The port that `listen` got.
pub(crate) fn port(listeners: &[TcpListener]) -> anyhow::Result<u16> {
    Ok(listeners.first().ok_or_else(|| anyhow!("nothing listens"))?.local_addr()?.port())
}
