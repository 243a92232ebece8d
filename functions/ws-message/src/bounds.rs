//! Keeping an answer within what a socket carries.

use serde_json::value::{RawValue, to_raw_value};

/// API Gateway closes the socket over a message of more than 128 KB; the envelope takes some hundred bytes.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html>
const MAX_DATA: usize = 120 * 1024;

/// Data that a message can carry. Of a collection too long for that the first members stay, those active last; the
/// publisher sends every member in a message of its own anyway.
pub(crate) fn fit(data: Box<RawValue>) -> Box<RawValue> {
    if data.get().len() <= MAX_DATA {
        return data;
    }
    let Ok(members) = serde_json::from_str::<Vec<&RawValue>>(data.get()) else { return data };
    let mut length = 2;
    let fitting = members.iter().take_while(|member| {
        length += member.get().len() + 1;
        length <= MAX_DATA
    });
    to_raw_value(&fitting.collect::<Vec<_>>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: String) -> Box<RawValue> {
        RawValue::from_string(text).unwrap()
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let data = raw(format!("[{}]", "1".repeat(MAX_DATA - 2)));
        assert_eq!(fit(data.clone()).get(), data.get());
    }

    #[test]
    fn of_a_collection_too_long_the_first_members_stay() {
        let members: Vec<String> = (0..500).map(|n| format!(r#"{{"campaignId":"{n:0300}"}}"#)).collect();
        let fitting = fit(raw(format!("[{}]", members.join(","))));
        assert!((MAX_DATA - 400..=MAX_DATA).contains(&fitting.get().len()));
        let kept: Vec<&RawValue> = serde_json::from_str(fitting.get()).unwrap();
        assert!(kept.iter().zip(&members).all(|(kept, member)| kept.get() == member));
    }
}
