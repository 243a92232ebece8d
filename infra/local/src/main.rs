//! stub
mod backoff;
mod clock;
mod invoke;
mod kafka;
mod load;
mod producer;
mod quarantine;
mod simulate;
mod token;
mod trigger;
fn main() {}
