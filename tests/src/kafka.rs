//! A producer on librdkafka.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::{StreamExt, stream};
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use serde_json::Value;

/// An ordinary Kafka client.
pub struct Producer(FutureProducer);

impl Producer {
    /// A producer for the broker at `address`.
    pub fn new(address: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address).set("message.timeout.ms", "30000").set("linger.ms", "1");
        Ok(Self(config.create()?))
    }

    /// Sends bytes and waits until the broker has them.
    pub async fn send_bytes(&self, topic: &str, key: Option<&str>, value: &[u8]) -> Result<()> {
        let mut record = FutureRecord::<str, [u8]>::to(topic).payload(value);
        record.key = key;
        self.0.send(record, Duration::from_secs(30)).await.map_err(|(error, _)| error)?;
        Ok(())
    }

    /// Sends an event of a campaign, keyed as dialers do.
    pub async fn send_campaign(&self, event: &Value) -> Result<()> {
        let key = event["campaignId"].as_str().context("a campaign's event names the campaign")?;
        self.send_bytes("campaign.events.v1", Some(key), event.to_string().as_bytes()).await
    }

    /// Sends many events of campaigns, in their order per campaign.
    pub async fn send_campaigns(&self, events: &[Value]) -> Result<()> {
        // librdkafka keeps the order in which `send` was called; waiting is done in the background, bounded.
        let mut sent = stream::iter(events).map(|event| self.send_campaign(event)).buffered(2000);
        while let Some(result) = sent.next().await {
            result?;
        }
        Ok(())
    }
}
