//! What no log may hold.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::System;

/// Tokens, tickets, names, numbers: all that a run has used and that nobody is to read in a log.
#[derive(Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    /// Remembers one, and gives it back.
    ///
    /// # Panics
    /// When it is so short that it may stand anywhere by chance.
    pub fn keep(&self, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 8, "too short to be told from other text: {secret}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.clone());
        secret
    }

    /// Remembers a token, and its claims and signature by themselves; gives it back.
    pub fn keep_token(&self, token: impl Into<String>) -> String {
        let token = token.into();
        // The header is no secret, and the same for all.
        for part in token.split('.').skip(1).filter(|part| part.len() >= 8) {
            self.keep(part);
        }
        token
    }

    /// Fails if one stands in a log of the system or of one of its functions.
    ///
    /// # Panics
    /// When one does, or when there are no logs that could hold any.
    pub fn assert_not_logged(&self, system: &System) {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let logs = system.logs().expect("the logs can be read");
        assert!(logs.iter().any(|(_, log)| log.contains(r#""audit":"#)), "logs without an audit trail prove nothing");
        for (name, log) in &logs {
            for secret in secrets.iter() {
                // Who sees the failure may not see the secret either.
                let shown: String = secret.chars().take(6).collect();
                assert!(!log.contains(secret.as_str()), "{name} holds a secret that begins with {shown}");
            }
        }
    }
}
