//! What clients send on the socket. Input: the message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use projections::Timestamp;
use protocol::{ClientMessage, ErrorCode, MAX_MESSAGE_BYTES, Rejection, error_message};
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
        ClientMessage::Subscribe(channel) | ClientMessage::Unsubscribe(channel) => {
            let name = channel.to_string();
            let as_campaign = || said["campaignId"].as_str().map(|id| format!("campaign:{id}"));
            assert!(said["channel"] == name || (said["channel"].is_null() && as_campaign() == Some(name.clone())));
            assert!(said["campaignId"].is_null() || as_campaign() == Some(name.clone()));
            json!({"action": message.action(), "channel": name})
        }
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
