//! What a request asks of a table, and what its answer says that it took.
//!
//! Units are the server's own: each request is made to ask for them (`ReturnConsumedCapacity`), for only the server knows
//! how large an item was that is overwritten. Where a condition does not hold it tells none; DynamoDB then charges a write of
//! the item that is there
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>), so requests are also
//! made to ask for that (`ReturnValuesOnConditionCheckFailure`), and it is measured here.

use std::{borrow::Cow, collections::HashMap};

use axum::http::StatusCode;
use bytes::Bytes;
use dynoxide::{Item, types};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use super::throughput::Access;

/// A write of at most 1 KB.
const LEAST_WRITE: f64 = 1.0;

/// A consistent read of at most 4 KB, or of nothing. Any other takes half.
const LEAST_READ: f64 = 1.0;

const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// A request that takes units of one table and one partition key.
#[derive(Debug, PartialEq)]
pub(super) struct Call {
    pub(super) table: String,
    /// The value of the partition key; nothing where none can be found.
    pub(super) key: Option<String>,
    pub(super) access: Access,
    /// What it takes at least.
    pub(super) least: f64,
    asks_for_units: bool,
    asks_for_item: bool,
}

/// What is read of a request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    table_name: String,
    #[serde(borrow)]
    key: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(borrow)]
    item: Option<HashMap<Cow<'a, str>, &'a RawValue>>,
    #[serde(default)]
    key_condition_expression: String,
    #[serde(default)]
    expression_attribute_names: HashMap<String, String>,
    #[serde(default, borrow)]
    expression_attribute_values: HashMap<Cow<'a, str>, &'a RawValue>,
    #[serde(default)]
    consistent_read: bool,
    return_consumed_capacity: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
}

/// What is read of an answer.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(rename = "ConsumedCapacity")]
    consumed: Option<Consumed>,
    #[serde(rename = "Item", borrow)]
    item: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Consumed {
    #[serde(rename = "CapacityUnits")]
    units: f64,
}

impl Call {
    /// Reads a request; nothing where it is none of those that are metered, or none at all. `partition_key` names the
    /// attribute of a table.
    pub(super) fn read<'a>(
        operation: &str,
        body: &[u8],
        partition_key: impl FnOnce(&str) -> Option<&'a str>,
    ) -> Option<Self> {
        let access = match operation {
            "GetItem" | "Query" => Access::Read,
            "PutItem" | "UpdateItem" | "DeleteItem" => Access::Write,
            _ => return None,
        };
        let request: Request = serde_json::from_slice(body).ok()?;
        let attribute = partition_key(&request.table_name)?;
        let by_name = request.key.as_ref().or(request.item.as_ref()).and_then(|key| key.get(attribute));
        let key = by_name.or_else(|| request.partition(attribute)).and_then(|value| scalar(value));
        let least = match access {
            Access::Read if request.consistent_read => LEAST_READ,
            Access::Read => LEAST_READ / 2.0,
            Access::Write => LEAST_WRITE,
        };
        Some(Self {
            key,
            access,
            least,
            asks_for_units: request.return_consumed_capacity.is_some(),
            asks_for_item: access == Access::Read || request.return_values_on_condition_check_failure.is_some(),
            table: request.table_name,
        })
    }

    /// The request, made to ask for what tells its units.
    pub(super) fn asking(&self, body: &Bytes) -> Bytes {
        let mut members = String::new();
        if !self.asks_for_units {
            members.push_str(r#""ReturnConsumedCapacity":"TOTAL","#);
        }
        if !self.asks_for_item {
            members.push_str(r#""ReturnValuesOnConditionCheckFailure":"ALL_OLD","#);
        }
        // It is an object, and not an empty one: it names a table.
        match body.iter().position(|byte| *byte == b'{') {
            Some(brace) => [&body[..=brace], members.as_bytes(), &body[brace + 1..]].concat().into(),
            None => body.clone(),
        }
    }

    /// The units that it took, and the answer for who asked: without the item of a failed condition that they did not ask for.
    /// The units may stay in it; whoever does not want them does not read them.
    pub(super) fn answered(&self, status: StatusCode, body: Bytes) -> (f64, Bytes) {
        let Ok(answer) = serde_json::from_slice::<Answer>(&body) else { return (0.0, body) };
        if status.is_success() {
            return (answer.consumed.map_or(self.least, |consumed| consumed.units), body);
        }
        if answer.kind.rsplit('#').next() != Some(CONDITION_FAILED) {
            return (0.0, body);
        }
        let item = answer.item.and_then(|item| serde_json::from_str::<Item>(item.get()).ok());
        let units = item.map_or(LEAST_WRITE, |item| types::write_capacity_units(types::item_size(&item)));
        let stripped = (!self.asks_for_item).then(|| without_item(&body)).flatten();
        (units, stripped.unwrap_or(body))
    }
}

impl<'a> Request<'a> {
    /// The value that a query's key condition has for an attribute.
    fn partition(&self, attribute: &str) -> Option<&&'a RawValue> {
        let spaced = self.key_condition_expression.replace('=', " = ").replace(['(', ')'], " ");
        let words: Vec<_> = spaced.split_whitespace().collect();
        let is_it = |name: &str| self.expression_attribute_names.get(name).map_or(name, String::as_str) == attribute;
        let value = words.windows(3).find(|words| is_it(words[0]) && words[1] == "=").map(|words| words[2]);
        self.expression_attribute_values.get(value?)
    }
}

/// The text of `{"S": "…"}`, `{"N": "…"}` or `{"B": "…"}`.
fn scalar(value: &RawValue) -> Option<String> {
    let value: HashMap<&str, String> = serde_json::from_str(value.get()).ok()?;
    value.into_values().next()
}

fn without_item(body: &[u8]) -> Option<Bytes> {
    let mut answer: Map<String, Value> = serde_json::from_slice(body).ok()?;
    answer.remove("Item");
    serde_json::to_vec(&answer).ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(operation: &str, request: &Value) -> Call {
        Call::read(operation, request.to_string().as_bytes(), |table| (table == "t").then_some("pk")).unwrap()
    }

    #[test]
    fn a_request_is_known_by_its_table_its_key_and_how_it_reads() {
        let key = json!({"pk": {"S": "a\"#1"}, "sk": {"S": "x"}});
        let get = read("GetItem", &json!({"TableName": "t", "Key": key}));
        assert_eq!((get.key.as_deref(), get.access, get.least), (Some("a\"#1"), Access::Read, 0.5));
        let consistent = read("GetItem", &json!({"TableName": "t", "Key": key, "ConsistentRead": true}));
        assert!(consistent.least > get.least, "{consistent:?}");
        for (operation, member) in [("UpdateItem", "Key"), ("DeleteItem", "Key"), ("PutItem", "Item")] {
            let write = read(operation, &json!({"TableName": "t", member: key}));
            assert_eq!((write.key.as_deref(), write.access, write.least), (Some("a\"#1"), Access::Write, 1.0));
        }
    }

    #[test]
    fn a_query_has_its_key_in_an_expression() {
        for expression in ["pk = :pk", "begins_with(sk, :sk) AND (#p=:pk)", "sk >= :sk AND pk=:pk"] {
            let query = read(
                "Query",
                &json!({
                    "TableName": "t",
                    "KeyConditionExpression": expression,
                    "ExpressionAttributeNames": {"#p": "pk"},
                    "ExpressionAttributeValues": {":sk": {"S": "s"}, ":pk": {"S": "a"}},
                }),
            );
            assert_eq!(query.key.as_deref(), Some("a"), "{expression}");
        }
    }

    #[test]
    fn what_is_not_metered_is_no_call() {
        let none = |_: &str| None;
        assert_eq!(Call::read("ListTables", b"{}", none), None);
        assert_eq!(Call::read("GetItem", br#"{"TableName":"other","Key":{}}"#, none), None);
        assert_eq!(Call::read("GetItem", b"garbage", none), None);
    }

    #[test]
    fn a_request_asks_once_for_what_tells_its_units() {
        let asked = |operation: &str, request: &Value| {
            let asking = read(operation, request).asking(&Bytes::from(request.to_string()));
            serde_json::from_slice::<Value>(&asking).unwrap()
        };
        let delete = asked("DeleteItem", &json!({"TableName": "t", "Key": {}}));
        let [units, item] = ["ReturnConsumedCapacity", "ReturnValuesOnConditionCheckFailure"];
        assert_eq!((&delete[units], &delete[item]), (&json!("TOTAL"), &json!("ALL_OLD")));
        let put = json!({"TableName": "t", "Item": {}, units: "INDEXES", item: "NONE"});
        assert_eq!(asked("PutItem", &put), put);
        assert_eq!(asked("GetItem", &json!({"TableName": "t", "Key": {}}))[item], Value::Null);
    }

    #[test]
    fn a_failed_condition_costs_a_write_of_the_item_that_is_there() {
        let delete = read("DeleteItem", &json!({"TableName": "t", "Key": {}}));
        // "pk" + "a", "data" + 2,042: 2,049 bytes, one more than 2 KB.
        let item = json!({"pk": {"S": "a"}, "data": {"S": "x".repeat(2_042)}});
        let failed =
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": item});
        let (units, body) = delete.answered(StatusCode::BAD_REQUEST, failed.to_string().into());
        assert!((units - 3.0).abs() < f64::EPSILON, "{units}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["Item"], Value::Null);
        let nothing_there = json!({"__type": "x#ConditionalCheckFailedException"}).to_string();
        assert!((delete.answered(StatusCode::BAD_REQUEST, nothing_there.into()).0 - 1.0).abs() < f64::EPSILON);
        let invalid = json!({"__type": "x#ValidationException"}).to_string();
        assert!(delete.answered(StatusCode::BAD_REQUEST, invalid.into()).0.abs() < f64::EPSILON);
    }

    #[test]
    fn who_asked_for_the_item_gets_it() {
        let delete =
            read("DeleteItem", &json!({"TableName": "t", "Key": {}, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}));
        let failed = json!({"__type": CONDITION_FAILED, "Item": {"pk": {"S": "a"}}}).to_string();
        assert_eq!(delete.answered(StatusCode::BAD_REQUEST, failed.clone().into()).1, failed);
    }
}
