//! Cursors and entity tags. Input: a cursor, and after a line break what a client lists in `If-None-Match`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use projections::Timestamp;
use protocol::{Cursor, MAX_CURSOR_BYTES, rest};

fuzz_target!(|input: &str| {
    let (text, listed) = input.split_once('\n').unwrap_or((input, ""));
    if let Ok(cursor) = text.parse::<Cursor>() {
        let shown = cursor.to_string();
        assert!(text.len() <= MAX_CURSOR_BYTES && shown.len() <= text.len());
        assert_eq!(shown.parse(), Ok(cursor.clone()));
        // Zeros in front are all that may be lost.
        assert_eq!(text.trim_start_matches('0'), shown.trim_start_matches('0'));
        assert!(shown.starts_with(&format!("{}.", cursor.ordinal())));
        assert_eq!(serde_json::to_string(&cursor).expect("a cursor is written"), format!("\"{shown}\""));
        check_tag(&cursor, listed);
    }
    check_order(text.as_bytes());
});

/// A tag is one that a header can hold, and found in a list exactly if it stands there.
fn check_tag(cursor: &Cursor, listed: &str) {
    let tag = rest::etag(cursor, listed);
    assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'));
    assert!(tag[1..tag.len() - 1].bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b','));
    assert!(rest::matches(&tag, &tag) && rest::matches("*", &tag) && rest::matches(&format!("{listed},{tag}"), &tag));
    if rest::matches(listed, &tag) {
        assert!(listed.trim() == "*" || listed.contains(&tag));
    }
    let other = format!("{listed} ");
    assert_ne!(rest::etag(cursor, &other), tag, "another body");
}

/// Cursors of positions: the same in any order, greater with every record. Each byte is a partition and how far it is.
fn check_order(bytes: &[u8]) {
    let names: Vec<String> = (0..bytes.len().min(20)).map(|partition| format!("1/t/{partition}")).collect();
    let positions: Vec<(&str, i64)> =
        names.iter().map(String::as_str).zip(bytes.iter().map(|byte| i64::from(*byte))).collect();
    let cursor = Cursor::of(positions.clone());
    assert_eq!(cursor, Cursor::of(positions.iter().rev().copied()));
    assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
    if let Some((first, _)) = bytes.split_first() {
        let mut later = positions.clone();
        later[usize::from(*first) % positions.len()].1 += 1;
        let later = Cursor::of(later);
        assert!(later.ordinal() > cursor.ordinal() && later != cursor);
    }
    let at = Timestamp::from_millis(
        bytes.iter().fold(0, |time: i64, byte| time.wrapping_mul(257).wrapping_add(i64::from(*byte))),
    );
    let composite = Cursor::composite(at, positions);
    assert_eq!(composite.to_string().parse(), Ok(composite.clone()));
    assert_eq!(composite.ordinal(), u64::try_from(at.as_millis()).unwrap_or(0));
}
