//! A service of AWS as tests play it, on this machine.

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig};
use aws_sdk_kafka::config::{Credentials, SharedCredentialsProvider};
use axum::Router;
use tokio::net::TcpListener;

/// Serves the routes, and tells the SDK that they are AWS; it asks once and does not try again.
pub(crate) async fn serve(routes: Router) -> SdkConfig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .retry_config(RetryConfig::disabled())
        .endpoint_url(url)
        .build()
}
