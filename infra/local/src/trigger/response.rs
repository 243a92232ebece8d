//! What a function says of a batch, where its mapping reads that.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/kafka-retry-configurations.html>

use std::collections::BTreeMap;

use serde::Deserialize;

use super::event::Encoded;

/// A response of the form that `ReportBatchItemFailures` asks for.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(default)]
    batch_item_failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    item_identifier: Identifier,
}

#[derive(Deserialize)]
struct Identifier {
    partition: String,
    offset: i64,
}

/// The response says nothing that could be followed, so all of the batch comes again.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("its response names no records of the batch")]
pub(super) struct Unreadable;

/// From which offset each partition comes again; the others are done.
pub(super) fn failed(response: &[u8], topic: &str, records: &[Encoded]) -> Result<BTreeMap<i32, i64>, Unreadable> {
    // No answer, or `null`, is a success as an empty list is.
    let response: Option<Response> = match response {
        b"" => None,
        response => serde_json::from_slice(response).map_err(|_| Unreadable)?,
    };
    let mut failed = BTreeMap::new();
    for Failure { item_identifier: Identifier { partition, offset } } in
        response.and_then(|response| response.batch_item_failures).unwrap_or_default()
    {
        let number = partition.strip_prefix(topic).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
        let number: i32 = number.ok_or(Unreadable)?;
        if !records.iter().any(|record| record.partition == number && record.offset == offset) {
            return Err(Unreadable);
        }
        let first = failed.entry(number).or_insert(offset);
        *first = offset.min(*first);
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn records() -> Vec<Encoded> {
        let record = |partition, offset| Encoded { partition, offset, json: RawValue::NULL.to_owned() };
        vec![record(0, 5), record(0, 6), record(3, 5)]
    }

    #[test]
    fn no_failures_are_said_in_several_ways() {
        for response in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(failed(response.as_bytes(), "t-1", &records()), Ok(BTreeMap::new()), "{response}");
        }
    }

    #[test]
    fn a_partition_comes_again_from_the_lowest_of_its_offsets() {
        let response = br#"{"batchItemFailures":[
            {"itemIdentifier":{"partition":"t-1-0","offset":6}},{"itemIdentifier":{"partition":"t-1-0","offset":5}}]}"#;
        assert_eq!(failed(response, "t-1", &records()), Ok(BTreeMap::from([(0, 5)])));
    }

    #[test]
    fn what_was_not_in_the_batch_or_is_of_another_form_brings_all_of_it_back() {
        for response in [
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"t-1-0","offset":7}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":5}}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"t-1-0-5"}]}"#,
            "7",
        ] {
            assert_eq!(failed(response.as_bytes(), "t-1", &records()), Err(Unreadable), "{response}");
        }
    }
}
