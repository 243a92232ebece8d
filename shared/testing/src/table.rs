//! A table for each test, with the keys and the expiry that `template.yaml` gives both tables.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    time::{Duration, SystemTime},
};

use aws_sdk_dynamodb::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TimeToLiveSpecification,
    },
};
use projections::Timestamp;
use store::{Channels, Connections, Leases, Requests, Revocations, Tickets};

/// A table of a test's own.
pub struct TestTable {
    /// Reaches its server, for what the stores do not do.
    pub client: Client,
    /// What it is called there.
    pub name: String,
}

impl TestTable {
    /// A new table: on the server that `TEST_DYNAMODB_URL` names, else on one of its own in memory, which ends with the
    /// test's runtime.
    pub async fn create() -> Self {
        let url = match std::env::var("TEST_DYNAMODB_URL") {
            Ok(url) => url,
            Err(_) => serve().await,
        };
        let table = Self { client: client(&url), name: format!("livefold-test-{}", uuid::Uuid::new_v4()) };
        let attribute = |name| {
            let definition = AttributeDefinition::builder().attribute_name(name);
            definition.attribute_type(ScalarAttributeType::S).build().unwrap()
        };
        let key = |name, key_type| KeySchemaElement::builder().attribute_name(name).key_type(key_type).build().unwrap();
        table
            .client
            .create_table()
            .table_name(&table.name)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute("pk"))
            .attribute_definitions(attribute("sk"))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .send()
            .await
            .unwrap();
        let expiry = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build().unwrap();
        let request = table.client.update_time_to_live().table_name(&table.name);
        request.time_to_live_specification(expiry).send().await.unwrap();
        table
    }

    /// The table as that of channels, whose items expire `retention` after their last write.
    #[must_use]
    pub fn channels(&self, retention: Option<Duration>) -> Channels {
        Channels::new(self.client.clone(), self.name.clone(), retention)
    }

    /// The connections in it, on so many shards.
    #[must_use]
    pub fn connections(&self, shards: u32) -> Connections {
        Connections::new(self.client.clone(), self.name.clone(), NonZeroU32::new(shards).unwrap(), now)
    }

    /// The leases in it.
    #[must_use]
    pub fn leases(&self) -> Leases {
        Leases::new(self.client.clone(), self.name.clone())
    }

    /// The tickets in it.
    #[must_use]
    pub fn tickets(&self) -> Tickets {
        Tickets::new(self.client.clone(), self.name.clone())
    }

    /// What was revoked.
    #[must_use]
    pub fn revocations(&self) -> Revocations {
        Revocations::new(self.client.clone(), self.name.clone())
    }

    /// The counters of requests in it.
    #[must_use]
    pub fn requests(&self) -> Requests {
        Requests::new(self.client.clone(), self.name.clone())
    }

    /// An item as it is stored.
    pub async fn item(&self, pk: &str, sk: &str) -> Option<HashMap<String, AttributeValue>> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        request.key("pk", s(pk)).key("sk", s(sk)).send().await.unwrap().item
    }

    /// When an item expires, in seconds since the epoch.
    pub async fn ttl(&self, pk: &str, sk: &str) -> Option<i64> {
        self.item(pk, sk).await.unwrap().get("ttl").map(|ttl| ttl.as_n().unwrap().parse().unwrap())
    }

    /// The items of a partition, as they are stored and in the order of their sort keys.
    pub async fn items(&self, pk: &str) -> Vec<HashMap<String, AttributeValue>> {
        let request = self.client.query().table_name(&self.name).consistent_read(true);
        let request = request.key_condition_expression("pk = :pk").expression_attribute_values(":pk", s(pk));
        request.into_paginator().items().send().collect::<Result<_, _>>().await.unwrap()
    }

    /// The ids of the connections that are entered in a shard's journal, sorted; each as often as it is entered.
    pub async fn entered(&self, shard: u32) -> Vec<String> {
        let entries = self.items(&format!("shard#{shard}#journal")).await;
        let mut ids: Vec<String> = entries.iter().map(|entry| entry["connection"].as_s().unwrap().clone()).collect();
        ids.sort_unstable();
        ids
    }

    /// Puts an item behind the store's back.
    pub async fn put(&self, item: HashMap<String, AttributeValue>) {
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    /// Deletes an item behind the store's back.
    pub async fn delete(&self, pk: &str, sk: &str) {
        let request = self.client.delete_item().table_name(&self.name);
        request.key("pk", s(pk)).key("sk", s(sk)).send().await.unwrap();
    }

    /// Changes an attribute behind the store's back.
    pub async fn set(&self, pk: &str, sk: &str, attribute: &str, value: AttributeValue) {
        let request = self.client.update_item().table_name(&self.name).key("pk", s(pk)).key("sk", s(sk));
        let request = request.update_expression("SET #a = :v").expression_attribute_names("#a", attribute);
        request.expression_attribute_values(":v", value).send().await.unwrap();
    }
}

/// A string attribute.
#[must_use]
pub fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A client of the server at this address, with credentials that no real one takes.
#[must_use]
pub fn client(url: &str) -> Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .build();
    Client::from_conf(config)
}

/// A server of its own for each test: it ends with the test's runtime.
async fn serve() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, dynoxide::Database::memory().unwrap()));
    url
}

/// The time, for what is entered in a journal.
fn now() -> Timestamp {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap())
}
