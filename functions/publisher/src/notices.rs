//! Which notices of a channel one tick delivers.

use std::collections::BTreeMap;

use projections::notice::{KEPT, NewNotices, NoticeMessage};

/// Of each type the newest [`KEPT`] over all slices, oldest first. The first of a type says how many were left out.
pub(crate) fn select(news: Vec<NewNotices>) -> Vec<NoticeMessage> {
    let mut by_type: BTreeMap<&str, Vec<NoticeMessage>> = BTreeMap::new();
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    for news in news {
        for message in news.messages {
            by_type.entry(message.message_type).or_default().push(message);
        }
        for (message_type, count) in news.left_out {
            *left_out.entry(message_type).or_default() += count;
        }
    }
    let mut selected = Vec::new();
    for (message_type, mut messages) in by_type {
        // Stable: notices of one slice keep their order even at the same instant.
        messages.sort_by_key(|message| message.at);
        let surplus = messages.len().saturating_sub(KEPT);
        let left_out = left_out.get(message_type).copied().unwrap_or(0) + surplus as u64;
        let mut messages = messages.split_off(surplus);
        if let (true, Some(data)) = (left_out > 0, messages.first_mut().and_then(|first| first.data.as_object_mut())) {
            data.insert("leftOut".to_owned(), left_out.into());
        }
        selected.extend(messages);
    }
    selected
}

#[cfg(test)]
mod tests {
    use projections::Timestamp;
    use serde_json::json;

    use super::*;

    fn calls(range: std::ops::Range<i64>, left_out: u64) -> NewNotices {
        let messages = range
            .map(|n| NoticeMessage {
                message_type: "call_event",
                at: Timestamp::from_millis(n),
                data: json!({ "callId": n }),
                is_for_collection: false,
            })
            .collect();
        NewNotices { messages, left_out: [("call_event".to_owned(), left_out)].into() }
    }

    #[test]
    fn the_newest_twenty_of_all_slices_are_told_and_the_rest_is_counted() {
        let selected = select(vec![calls(0..20, 5), calls(10..25, 0)]);
        assert_eq!(selected.len(), KEPT);
        assert_eq!(selected[0].data["leftOut"], 5 + 35 - 20);
        assert!(selected[1].data.get("leftOut").is_none());
        assert!(selected.is_sorted_by_key(|message| message.at));
        assert_eq!(selected[19].data["callId"], 24);
    }

    #[test]
    fn nothing_is_said_of_what_was_left_out_when_nothing_was() {
        let selected = select(vec![calls(0..3, 0)]);
        assert_eq!(selected.len(), 3);
        assert!(selected[0].data.get("leftOut").is_none());
    }
}
