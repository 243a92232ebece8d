//! The proxy between the SDK and the embedded DynamoDB, as functions meet it.

#![expect(clippy::float_cmp, reason = "units are whole or half ones, which a float has exactly")]

use aws_config::{BehaviorVersion, Region, retry::RetryConfig};
use aws_sdk_dynamodb::{
    Client,
    config::Credentials,
    error::ProvideErrorMetadata as _,
    operation::RequestId as _,
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure},
};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::{
    dynamodb::{EmbeddedDynamoDb, create_tables},
    limits::{DynamoDbQuotas, Rate, TableQuota},
    template::{Key, Table},
};

struct Running {
    client: Client,
    meter: Arc<Meter>,
    _embedded: EmbeddedDynamoDb,
    _serving: AbortOnDropHandle<()>,
}

impl Running {
    /// A table `items` behind a proxy.
    async fn start(quotas: Option<DynamoDbQuotas>) -> Self {
        let embedded = EmbeddedDynamoDb::start(0, None).await.unwrap();
        let key = |name: &str| Key { name: name.to_owned(), kind: "S".to_owned() };
        let tables = [Table { name: "items".to_owned(), keys: vec![key("pk"), key("sk")], ttl: None }];
        create_tables(&embedded.url(), &tables).await.unwrap();
        let meter = Arc::new(Meter::new(quotas, &tables, Instant::now()));
        let router = router(&embedded.url(), meter.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{DYNAMODB}", listener.local_addr().unwrap());
        let serving = AbortOnDropHandle::new(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "local"))
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_initial_backoff(std::time::Duration::from_millis(1)),
            )
            .endpoint_url(url)
            .load()
            .await;
        Self { client: Client::new(&config), meter, _embedded: embedded, _serving: serving }
    }

    /// Puts an item that has as many bytes: `pk` + "a", `sk` + "b", `d` + the rest.
    async fn put(&self, bytes: usize) {
        let put = self.client.put_item().table_name("items").item("pk", text("a")).item("sk", text("b"));
        put.item("d", text(&"x".repeat(bytes - 7))).send().await.unwrap();
    }

    async fn delete(&self) {
        self.client.delete_item().table_name("items").key("pk", text("a")).key("sk", text("b")).send().await.unwrap();
    }

    /// Read and write units so far.
    fn units(&self) -> [f64; 2] {
        [Access::Read, Access::Write]
            .map(|access| self.meter.usage().into_iter().find(|usage| usage.access == access).unwrap().units)
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Asserts what was taken since.
macro_rules! assert_taken {
    ($running:expr, $before:expr, $reads:expr, $writes:expr) => {
        let [reads, writes] = $running.units();
        assert_eq!([reads - $before[0], writes - $before[1]], [$reads, $writes]);
    };
}

#[tokio::test]
async fn a_write_takes_a_unit_for_each_kb_of_the_larger_of_the_item_before_and_after() {
    let running = Running::start(None).await;
    for (bytes, units) in [(1_024, 1.0), (1_025, 2.0), (100, 2.0), (100, 1.0), (5_000, 5.0)] {
        let before = running.units();
        running.put(bytes).await;
        assert_taken!(running, before, 0.0, units);
    }
    let before = running.units();
    let update = running.client.update_item().table_name("items").key("pk", text("a")).key("sk", text("b"));
    update.update_expression("SET d = :d").expression_attribute_values(":d", text("small")).send().await.unwrap();
    assert_taken!(running, before, 0.0, 5.0);
    running.put(2_049).await;
    let before = running.units();
    running.delete().await;
    assert_taken!(running, before, 0.0, 3.0);
    // Nothing is there any more.
    let before = running.units();
    running.delete().await;
    assert_taken!(running, before, 0.0, 1.0);
}

#[tokio::test]
async fn a_read_takes_half_a_unit_for_each_4_kb_and_a_whole_one_where_it_is_consistent() {
    let running = Running::start(None).await;
    let get = async |is_consistent| {
        let get = running.client.get_item().table_name("items").key("pk", text("a")).key("sk", text("b"));
        get.consistent_read(is_consistent).send().await.unwrap();
    };
    for (bytes, units) in [(None, 1.0), (Some(4_096), 1.0), (Some(4_097), 2.0)] {
        if let Some(bytes) = bytes {
            running.put(bytes).await;
        }
        for (is_consistent, units) in [(true, units), (false, units / 2.0)] {
            let before = running.units();
            get(is_consistent).await;
            assert_taken!(running, before, units, 0.0);
        }
    }
}

#[tokio::test]
async fn a_query_takes_the_sum_of_its_items_rounded_up_once() {
    let running = Running::start(None).await;
    let query = async |pk: &str| {
        let query = running.client.query().table_name("items").key_condition_expression("pk = :pk");
        query.expression_attribute_values(":pk", text(pk)).consistent_read(true).send().await.unwrap();
    };
    // Ten of 820 bytes are 8,200: three times 4 KB.
    for n in 0..10 {
        let put = running.client.put_item().table_name("items").item("pk", text("a")).item("sk", text(&n.to_string()));
        put.item("d", text(&"x".repeat(820 - 7))).send().await.unwrap();
    }
    let before = running.units();
    query("a").await;
    assert_taken!(running, before, 3.0, 0.0);
    let before = running.units();
    query("nobody").await;
    assert_taken!(running, before, 1.0, 0.0);
}

#[tokio::test]
async fn a_condition_that_does_not_hold_costs_a_write_and_tells_the_item_to_who_asked_alone() {
    let running = Running::start(None).await;
    running.put(2_500).await;
    for (asked, is_told) in [(None, false), (Some(ReturnValuesOnConditionCheckFailure::AllOld), true)] {
        let before = running.units();
        let delete = running.client.delete_item().table_name("items").key("pk", text("a")).key("sk", text("b"));
        let delete = delete.condition_expression("attribute_not_exists(pk)");
        let error = delete.set_return_values_on_condition_check_failure(asked).send().await.unwrap_err();
        let error = error.into_service_error();
        assert!(error.is_conditional_check_failed_exception(), "{error:?}");
        let aws_sdk_dynamodb::Error::ConditionalCheckFailedException(failed) = error.into() else { panic!() };
        assert_eq!(failed.item.is_some(), is_told);
        assert_taken!(running, before, 0.0, 3.0);
    }
}

/// One read unit and one write unit of a key at once, and hardly any more; twice that of the table.
fn tiny() -> DynamoDbQuotas {
    let rate = |burst| Rate { per_second: 1e-6, burst };
    let quota = TableQuota { per_key: rate(1.0), per_table: rate(2.0) };
    DynamoDbQuotas { reads: quota, writes: quota }
}

#[tokio::test]
async fn the_sdk_tries_a_hot_key_again_and_then_says_that_it_is_throttled() {
    let running = Running::start(Some(tiny())).await;
    running.put(100).await;
    let put = running.client.put_item().table_name("items").item("pk", text("a")).item("sk", text("b"));
    let error = put.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ThrottlingException"));
    let aws_sdk_dynamodb::Error::ThrottlingException(throttled) = error.into() else { panic!() };
    let reason = &throttled.throttling_reasons()[0];
    assert_eq!(reason.reason(), Some("TableWriteKeyRangeThroughputExceeded"));
    assert_eq!(reason.resource(), Some("arn:aws:dynamodb:us-east-1:123456789012:table/items"));
    let usage = running.meter.usage();
    let writes = usage.iter().find(|usage| usage.access == Access::Write).unwrap();
    assert_eq!((writes.throttled_by_key, writes.throttled_by_table), (3, 0), "an attempt and two more");
    assert_taken!(running, [0.0; 2], 0.0, 1.0);
}

#[tokio::test]
async fn a_table_that_is_used_up_says_that_the_account_has_a_limit() {
    let running = Running::start(Some(tiny())).await;
    let get = async |pk: &str| {
        let get = running.client.get_item().table_name("items").key("pk", text(pk)).key("sk", text("b"));
        get.consistent_read(true).send().await
    };
    get("a").await.unwrap();
    get("b").await.unwrap();
    let error = get("c").await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("RequestLimitExceeded"));
    let aws_sdk_dynamodb::Error::RequestLimitExceeded(exceeded) = error.into() else { panic!() };
    assert_eq!(exceeded.throttling_reasons()[0].reason(), Some("TableReadAccountLimitExceeded"));
}

#[tokio::test]
async fn other_operations_and_what_was_asked_for_pass_as_they_are() {
    let running = Running::start(Some(tiny())).await;
    for _ in 0..5 {
        assert_eq!(running.client.list_tables().send().await.unwrap().table_names(), ["items"]);
    }
    let get = running.client.get_item().table_name("items").key("pk", text("a")).key("sk", text("b"));
    let got = get.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert!(got.request_id().is_some());
    assert_eq!(got.consumed_capacity().unwrap().capacity_units(), Some(0.5));
    let missing = running.client.get_item().table_name("none").key("pk", text("a")).key("sk", text("b"));
    let error = missing.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));
}
