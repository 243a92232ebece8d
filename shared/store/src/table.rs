//! One DynamoDB table, and requests to it that say which items they met.

use std::{collections::HashMap, fmt::Display};

use aws_sdk_dynamodb::{
    Client, Error as ServiceError,
    config::{
        self,
        http::HttpResponse,
        interceptors::InterceptorContext,
        retry::{ClassifyRetry, RetryAction},
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::update_item::builders::UpdateItemFluentBuilder,
    primitives::Blob,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{StoreError, keys::Key};

/// An item as the SDK has it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// A table with the keys `pk` and `sk`.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    client: Client,
    name: String,
}

/// What became of a conditional write.
pub(crate) enum Conditional {
    /// It was written; for an update, what the item is now, and for a deletion, what it was.
    Met(Item),
    /// The condition did not hold; the item as it was then, if there was one.
    Failed(Option<Item>),
}

/// Which items of a partition to read.
pub(crate) enum Range<'a> {
    All,
    StartingWith(&'a str),
    After(&'a str),
    /// Both ends belong to it.
    Between(&'a str, &'a str),
}

impl Table {
    pub(crate) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    pub(crate) async fn get(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.client.get_item().table_name(&self.name).consistent_read(true);
        Ok(request.key("pk", text(&key.pk)).key("sk", text(&key.sk)).send().await?.item)
    }

    /// Asks for an item that is not there: opens the connection, and tells whether the table answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.get(&Key::nowhere()).await.map(drop)
    }

    pub(crate) async fn put(&self, key: &Key, item: Item) -> Result<(), StoreError> {
        let request = self.client.put_item().table_name(&self.name).set_item(Some(addressed(item, key)));
        request.send().await?;
        Ok(())
    }

    /// Puts the item if the condition holds for the one that is there. `#name` in the condition is the attribute
    /// `name`, `:value` the value of that name.
    pub(crate) async fn put_if(
        &self,
        key: &Key,
        item: Item,
        condition: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<Conditional, StoreError> {
        let mut request = self
            .client
            .put_item()
            .table_name(&self.name)
            .set_item(Some(addressed(item, key)))
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        for (placeholder, attribute) in attributes(condition) {
            request = request.expression_attribute_names(placeholder, attribute);
        }
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        conditional(request.send().await, |_| Item::new())
    }

    /// Updates an item. `#name` in an expression is the attribute `name`.
    pub(crate) fn update(&self, key: &Key, expression: &str) -> Update {
        let request = self
            .client
            .update_item()
            .table_name(&self.name)
            .key("pk", text(&key.pk))
            .key("sk", text(&key.sk))
            .update_expression(expression)
            .return_values(ReturnValue::AllNew);
        Update(request).naming(expression)
    }

    /// Deletes an item, and returns it to the only one who did. When the SDK tries again after a lost answer, that is
    /// nobody.
    pub(crate) async fn delete(&self, key: &Key) -> Result<Option<Item>, StoreError> {
        let request = self.client.delete_item().table_name(&self.name).return_values(ReturnValue::AllOld);
        Ok(request.key("pk", text(&key.pk)).key("sk", text(&key.sk)).send().await?.attributes)
    }

    /// Deletes the item if the condition holds for it, and returns it as it was.
    pub(crate) async fn delete_if(
        &self,
        key: &Key,
        condition: &str,
        values: impl IntoIterator<Item = (&'static str, AttributeValue)>,
    ) -> Result<Conditional, StoreError> {
        let mut request = self
            .client
            .delete_item()
            .table_name(&self.name)
            .key("pk", text(&key.pk))
            .key("sk", text(&key.sk))
            .condition_expression(condition)
            .return_values(ReturnValue::AllOld);
        for (placeholder, attribute) in attributes(condition) {
            request = request.expression_attribute_names(placeholder, attribute);
        }
        for (placeholder, value) in values {
            request = request.expression_attribute_values(placeholder, value);
        }
        conditional(request.send().await, |output| output.attributes.unwrap_or_default())
    }

    /// Reads items of one partition in the order of their sort keys, page by page, until there are `limit`.
    pub(crate) async fn query(
        &self,
        pk: &str,
        range: Range<'_>,
        reading: Reading,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut from = None;
        loop {
            // What does not fit into the type is no limit.
            let left = i32::try_from(limit - items.len()).ok();
            let request = self
                .client
                .query()
                .table_name(&self.name)
                .consistent_read(reading.is_consistent)
                .scan_index_forward(!reading.is_reversed)
                .set_limit(left)
                .expression_attribute_values(":pk", text(pk))
                .set_exclusive_start_key(from);
            let request = match range {
                Range::All => request.key_condition_expression("pk = :pk"),
                Range::StartingWith(prefix) => request
                    .key_condition_expression("pk = :pk AND begins_with(sk, :sk)")
                    .expression_attribute_values(":sk", text(prefix)),
                Range::After(sk) => request
                    .key_condition_expression("pk = :pk AND sk > :sk")
                    .expression_attribute_values(":sk", text(sk)),
                Range::Between(first, last) => request
                    .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                    .expression_attribute_values(":first", text(first))
                    .expression_attribute_values(":last", text(last)),
            };
            let page = request.send().await?;
            items.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() || items.len() >= limit {
                return Ok(items);
            }
        }
    }
}

/// How a query reads.
#[derive(Clone, Copy, Default)]
pub(crate) struct Reading {
    /// Whether it sees every write that was acknowledged before it, at twice the price.
    pub(crate) is_consistent: bool,
    /// Whether it begins with the last sort key.
    pub(crate) is_reversed: bool,
}

/// An update on its way.
pub(crate) struct Update(UpdateItemFluentBuilder);

impl Update {
    fn naming(self, expression: &str) -> Self {
        attributes(expression).fold(self, |update, (placeholder, attribute)| update.name(placeholder, attribute))
    }

    /// Updates only an item that this holds for.
    pub(crate) fn on_condition(self, condition: &str) -> Self {
        let request = self
            .0
            .condition_expression(condition)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Self(request).naming(condition)
    }

    /// Lets `placeholder` stand for an attribute of another name.
    pub(crate) fn name(self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Self {
        Self(self.0.expression_attribute_names(placeholder, attribute))
    }

    pub(crate) fn value(self, placeholder: &str, value: AttributeValue) -> Self {
        Self(self.0.expression_attribute_values(placeholder, value))
    }

    pub(crate) async fn send(self) -> Result<Conditional, StoreError> {
        conditional(self.0.send().await, |output| output.attributes.unwrap_or_default())
    }

    /// Sends what must not happen twice where no condition could tell: the SDK tries again only after an answer that says
    /// that nothing was written. After an error nobody knows whether it was.
    pub(crate) async fn send_at_most_once(self) -> Result<Conditional, StoreError> {
        let cautious = config::Builder::new().retry_classifier(Unwritten);
        let request = self.0.customize().config_override(cautious);
        conditional(request.send().await, |output| output.attributes.unwrap_or_default())
    }
}

/// Forbids to try again, except after an answer of status 4xx: a request that DynamoDB refuses, or throttles, it has not
/// carried out.
#[derive(Debug)]
struct Unwritten;

impl ClassifyRetry for Unwritten {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(response) if response.status().is_client_error() => RetryAction::NoActionIndicated,
            _ => RetryAction::RetryForbidden,
        }
    }

    fn name(&self) -> &'static str {
        "unwritten"
    }
}

fn conditional<T, E>(
    result: Result<T, SdkError<E, HttpResponse>>,
    written: impl FnOnce(T) -> Item,
) -> Result<Conditional, StoreError>
where
    E: ProvideErrorMetadata,
    ServiceError: From<E>,
{
    const FAILED: &str = "ConditionalCheckFailedException";
    match result {
        Ok(output) => Ok(Conditional::Met(written(output))),
        Err(SdkError::ServiceError(answer)) if answer.err().code() == Some(FAILED) => {
            match ServiceError::from(answer.into_err()) {
                ServiceError::ConditionalCheckFailedException(failed) => Ok(Conditional::Failed(failed.item)),
                _ => Ok(Conditional::Failed(None)),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The placeholders `#name` of an expression with the attributes that they stand for. Every name is written so: which
/// words DynamoDB has reserved nobody needs to know.
fn attributes(expression: &str) -> impl Iterator<Item = (&str, &str)> {
    expression
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '#'))
        .filter_map(|word| Some((word, word.strip_prefix('#')?)))
}

fn addressed(mut item: Item, key: &Key) -> Item {
    item.insert("pk".to_owned(), text(&key.pk));
    item.insert("sk".to_owned(), text(&key.sk));
    item
}

/// A string attribute.
pub(crate) fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number attribute.
pub(crate) fn number(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A string attribute, or the attribute that says there is none.
pub(crate) fn optional_text(value: Option<impl Display>) -> AttributeValue {
    value.map_or(AttributeValue::Null(true), text)
}

/// A truth value as an attribute.
pub(crate) fn boolean(value: bool) -> AttributeValue {
    AttributeValue::Bool(value)
}

/// A binary attribute.
pub(crate) fn binary(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// Writes a value's fields as attributes.
pub(crate) fn to_item(value: &impl Serialize) -> Result<Item, StoreError> {
    serde_dynamo::to_item(value).map_err(|_| StoreError::Refused("the value cannot be an item".into()))
}

/// Reads a value from its attributes.
pub(crate) fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, StoreError> {
    let key = key_of(&item);
    // serde's own text quotes what it found.
    serde_dynamo::from_item(item).map_err(|_| StoreError::Corrupt { key, reason: "not of its form".into() })
}

/// The number that an attribute of an item is.
pub(crate) fn number_of(item: &Item, attribute: &str) -> Result<u64, StoreError> {
    let value = item.get(attribute).and_then(|value| value.as_n().ok()).and_then(|number| number.parse().ok());
    value.ok_or_else(|| StoreError::Corrupt { key: key_of(item), reason: format!("no number is its {attribute}") })
}

/// The key of an item that was read.
pub(crate) fn addressed_by(item: &Item) -> Key {
    let part = |name| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    Key { pk: part("pk"), sk: part("sk") }
}

/// The key of an item that was read, for an error to name.
pub(crate) fn key_of(item: &Item) -> String {
    addressed_by(item).to_string()
}
