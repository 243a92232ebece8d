//! What tests of several crates need: a DynamoDB table of their own, with the stores that lie in it.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(clippy::missing_panics_doc, reason = "they all panic where the server does not answer")]

mod requests;
mod table;

pub use requests::RequestCounter;
pub use table::{TestTable, client, s};
