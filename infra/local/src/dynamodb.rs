//! DynamoDB: the embedded server, the template's tables on whatever server there is, and the way of functions to it.

mod call;
mod meter;
mod proxy;
mod throughput;

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use aws_config::{BehaviorVersion, Region, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{
    Client,
    config::Credentials,
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TimeToLiveSpecification,
    },
};
use dynoxide::Database;
use tokio_util::task::AbortOnDropHandle;

#[cfg(test)]
pub(crate) use self::throughput::Busiest;
pub(crate) use self::{
    meter::{Meter, TableUsage},
    proxy::{DYNAMODB, router},
    throughput::Access,
};
use crate::{
    listen,
    template::{REGION, Table},
};

/// A server that answers later than this is not there.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A DynamoDB within this process, for as long as this value lives.
pub(crate) struct EmbeddedDynamoDb {
    port: u16,
    _serving: Vec<AbortOnDropHandle<()>>,
}

impl EmbeddedDynamoDb {
    /// Starts to listen on `port` of the loopback interface, with what is in `file`, or in memory.
    pub(crate) async fn start(port: u16, file: Option<&Path>) -> anyhow::Result<Self> {
        let listeners = listen::listen(port, "DynamoDB", "--dynamodb-port").await?;
        let port = listen::port(&listeners)?;
        let database = match file {
            Some(file) => open(file)?,
            None => Database::memory().context("the embedded DynamoDB does not start")?,
        };
        let serve = |listener| {
            let serving = dynoxide::server::serve_on(listener, database.clone());
            AbortOnDropHandle::new(tokio::spawn(serving))
        };
        Ok(Self { port, _serving: listeners.into_iter().map(serve).collect() })
    }

    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        format!("http://localhost:{}", self.port)
    }
}

/// Opens a database, and makes it where there is none. It is `SQLite`'s: what was answered is there after a `kill -9`.
fn open(file: &Path) -> anyhow::Result<Database> {
    let path = file.to_str().with_context(|| format!("{} is no path in UTF-8", file.display()))?;
    Database::new(path).with_context(|| format!("the embedded DynamoDB cannot be kept in {path}"))
}

/// Makes the tables that are not there yet.
pub(crate) async fn create_tables(url: &str, tables: &[Table]) -> anyhow::Result<()> {
    let client = client(url).await;
    let there = client.list_tables().send().await;
    let there = there.map_err(|_| anyhow::anyhow!("no DynamoDB answers at {url}"))?;
    for table in tables.iter().filter(|table| !there.table_names().contains(&table.name)) {
        let made = create_table(&client, table).await;
        made.with_context(|| format!("DynamoDB at {url} does not make the table {}", table.name))?;
    }
    Ok(())
}

/// A client of a server that takes any credentials.
async fn client(url: &str) -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
        .endpoint_url(url)
        .load()
        .await;
    Client::new(&config)
}

async fn create_table(client: &Client, table: &Table) -> anyhow::Result<()> {
    let mut request = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for (key, role) in table.keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let kind = ScalarAttributeType::from(key.kind.as_str());
        request = request
            .key_schema(KeySchemaElement::builder().attribute_name(&key.name).key_type(role).build()?)
            .attribute_definitions(
                AttributeDefinition::builder().attribute_name(&key.name).attribute_type(kind).build()?,
            );
    }
    request.send().await.map_err(|error| said(&error))?;
    if let Some(attribute) = &table.ttl {
        let ttl = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true).build()?;
        let request = client.update_time_to_live().table_name(&table.name).time_to_live_specification(ttl);
        request.send().await.map_err(|error| said(&error))?;
    }
    Ok(())
}

/// What the server said, in one line.
fn said(error: &impl ProvideErrorMetadata) -> anyhow::Error {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow::anyhow!("{code}: {message}"),
        (Some(code), None) => anyhow::anyhow!("{code}"),
        _ => anyhow::anyhow!("it does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Key;

    fn table(name: &str) -> Table {
        let key = |name: &str| Key { name: name.to_owned(), kind: "S".to_owned() };
        Table { name: name.to_owned(), keys: vec![key("pk"), key("sk")], ttl: Some("ttl".to_owned()) }
    }

    #[tokio::test]
    async fn tables_are_made_where_they_are_missing() {
        let server = EmbeddedDynamoDb::start(0, None).await.unwrap();
        create_tables(&server.url(), &[table("first")]).await.unwrap();
        create_tables(&server.url(), &[table("first"), table("second")]).await.unwrap();
        let tables = client(&server.url()).await.list_tables().send().await.unwrap();
        assert_eq!(tables.table_names(), ["first", "second"]);
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_made_is_one_line() {
        let server = EmbeddedDynamoDb::start(0, None).await.unwrap();
        let error = create_tables(&server.url(), &[table("a")]).await.unwrap_err();
        let line = format!("{error:#}");
        assert!(line.contains("does not make the table a: ValidationException: "), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_one_line() {
        let error = create_tables("http://127.0.0.1:9", &[]).await.unwrap_err();
        assert_eq!(error.to_string(), "no DynamoDB answers at http://127.0.0.1:9");
    }
}
