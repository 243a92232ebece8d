//! What clients send on the socket. Input: the message.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use projections::Timestamp;
use protocol::{ClientMessage, ErrorCode, MAX_LISTED, MAX_MESSAGE_BYTES, Named, Rejection, error_message};
use serde_json::{Value, json};

const ACTIONS: [&str; 4] = ["subscribe", "unsubscribe", "ping", "authenticate"];

/// A limit that some inputs are over.
const NARROW: usize = 64;

fuzz_target!(|input: &str| {
    let outcome = ClientMessage::parse(input, MAX_MESSAGE_BYTES);
    let narrow = ClientMessage::parse(input, NARROW);
    if input.len() > NARROW {
        assert_eq!(narrow, Err(Rejection::new(ErrorCode::MessageTooLarge)));
    } else {
        assert_eq!(narrow, outcome, "a limit that is not reached changes nothing");
    }
    match outcome {
        Ok(message) => check(input, &message),
        Err(rejection) => check_rejection(input, &rejection),
    }
});

/// What was understood is what was said.
fn check(input: &str, message: &ClientMessage) {
    assert!(input.len() <= MAX_MESSAGE_BYTES);
    // A number too large for any type is none where nobody reads it, and an error in here.
    let Ok(said) = serde_json::from_str::<Value>(input) else { return };
    assert!(said.is_object());
    assert_eq!(said["action"], message.action());
    let again = match message {
        ClientMessage::Subscribe { named, batch } => {
            assert_eq!(said["batch"].as_bool().unwrap_or_default(), *batch);
            again(&said, message.action(), named, *batch)
        }
        ClientMessage::Unsubscribe(named) => again(&said, message.action(), named, false),
        ClientMessage::Ping => json!({"action": "ping"}),
        ClientMessage::Authenticate(token) => {
            assert_eq!(said["token"], **token);
            let shown = format!("{message:?}");
            assert_eq!(shown, "Authenticate(Token(…))", "a token is not shown");
            json!({"action": "authenticate", "token": **token})
        }
    };
    let again = again.to_string();
    // Escapes may make it longer than it came.
    assert_eq!(ClientMessage::parse(&again, usize::MAX).as_ref(), Ok(message));
}

/// The message that names the same channels, which are those that were said.
fn again(said: &Value, action: &str, named: &Named, batch: bool) -> Value {
    match named {
        Named::One(channel) => {
            let name = channel.to_string();
            let as_campaign = || said["campaignId"].as_str().map(|id| format!("campaign:{id}"));
            assert!(said["channel"] == name || (said["channel"].is_null() && as_campaign() == Some(name.clone())));
            assert!(said["campaignId"].is_null() || as_campaign() == Some(name.clone()));
            assert!(said["channels"].is_null());
            json!({"action": action, "channel": name, "batch": batch})
        }
        Named::List(list) => {
            assert!(said["channel"].is_null() && said["campaignId"].is_null());
            let names: Vec<String> =
                list.channels.iter().map(ToString::to_string).chain(list.unknown.iter().cloned()).collect();
            let said: HashSet<&str> = said["channels"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(names.iter().map(String::as_str).collect::<HashSet<_>>(), said);
            assert!(names.len() == said.len() && (1..=MAX_LISTED).contains(&names.len()), "each of them once");
            json!({"action": action, "channels": names, "batch": batch})
        }
    }
}

/// The client is told a code, and nothing of what it has sent but an action that is ours.
fn check_rejection(input: &str, rejection: &Rejection) {
    assert_eq!(rejection.code == ErrorCode::MessageTooLarge, input.len() > MAX_MESSAGE_BYTES);
    if let Some(action) = &rejection.action {
        assert!(ACTIONS.contains(&action.as_str()) && input.contains('{'));
    }
    let told: Value = serde_json::from_str(&error_message(rejection, Timestamp::EPOCH)).expect("an error is JSON");
    assert_eq!(told["data"]["code"], rejection.code.as_str());
    assert_eq!(told["data"]["message"], rejection.code.message());
    assert_eq!(told["data"]["action"].as_str(), rejection.action.as_deref());
}
