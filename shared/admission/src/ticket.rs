//! What is kept of a ticket.

use sha2::{Digest, Sha256};

/// What the table knows a ticket by, where it is issued and where it is redeemed: the SHA-256 of its text, in
/// hexadecimal. A ticket cannot be guessed, so that nothing slower is needed.
#[must_use]
pub fn digest(ticket: &str) -> String {
    hex::encode(Sha256::digest(ticket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
