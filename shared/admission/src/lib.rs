//! What comes before the work of every function that somebody outside asks for something: who asks, whether they may
//! come in, and how those are answered who may not. The decision about a permission is [`auth::allows`]'s.

mod admission;
mod method;
mod refusal;
mod response;
mod ticket;

pub use admission::RestAdmission;
pub use method::{READ, WRITE, as_asked, other_method};
pub use refusal::{Refusal, deny, failed};
pub use response::{refuse, respond};
pub use ticket::digest;
