//! Names of channels, ids, and the patterns that tokens list. Input: a name, and after a line break a pattern.

#![no_main]

use auth::ChannelPattern;
use libfuzzer_sys::fuzz_target;
use projections::{ChannelId, Id, Kind, TenantId};

/// The longest name of a channel: a kind, a colon, an id.
const LONGEST: usize = 160;

/// Whether it is what `projections::id` promises; written anew, so that the two can differ.
fn is_id(text: &str) -> bool {
    let allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    !text.is_empty() && text.len() <= 128 && text.chars().all(|char| allowed.contains(char))
}

fuzz_target!(|input: &str| {
    let (name, pattern) = input.split_once('\n').unwrap_or((input, ""));
    for text in [name, pattern] {
        assert_eq!(Id::parse(text).is_ok(), is_id(text));
        assert_eq!(TenantId::parse(text).is_ok(), is_id(text));
    }
    let pattern = ChannelPattern::new(pattern);
    let shown = serde_json::to_string(&pattern).expect("a pattern is written");
    assert_eq!(serde_json::from_str::<ChannelPattern>(&shown).expect("and read"), pattern);

    let Ok(channel) = name.parse::<ChannelId>() else {
        assert!(serde_json::from_value::<ChannelId>(name.into()).is_err(), "it is read in JSON only");
        return;
    };
    // What is stored, compared and shown is what was asked for, and can be no part of another key.
    assert_eq!(channel.to_string(), name);
    assert!(name.len() <= LONGEST && !name.contains(['#', '/', '%', '\0', ' ']));
    assert_eq!(
        serde_json::from_value::<ChannelId>(serde_json::to_value(&channel).expect("written")).expect("read"),
        channel
    );
    let kind = channel.kind();
    match channel.id() {
        Some(id) => {
            assert!(is_id(id.as_str()) && kind.is_keyed());
            assert_eq!(name.split_once(':'), Some((kind.name(), id.as_str())));
        }
        None => assert!(name == kind.name() || Some(name) == kind.collection()),
    }

    // A pattern opens what it names, all, or a kind; a token for one kind opens no other.
    assert!(ChannelPattern::new(name).matches(&channel) && ChannelPattern::new("*").matches(&channel));
    for other in Kind::ALL {
        let matches = ChannelPattern::new(format!("{}:*", other.name())).matches(&channel);
        assert_eq!(matches, other == kind && kind.is_keyed(), "{other:?}");
    }
    if pattern.matches(&channel) {
        let pattern = shown.trim_matches('"');
        assert!(pattern == name || pattern == "*" || pattern == format!("{}:*", kind.name()), "{pattern}");
    }
});
