//! One call: what becomes of it, drawn when it is queued.

use std::time::Duration;

use rand::{RngExt as _, rngs::StdRng};

/// A call's fate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fate {
    /// From queued to placed.
    pub(super) wait: Duration,
    /// From placed to answered, or to its end.
    pub(super) rings: Duration,
    /// What happens once it is answered; nothing if nobody does.
    pub(super) talk: Option<Talk>,
    /// The `status` that its end reports.
    pub(super) status: &'static str,
}

/// An answered call. Times are from the answer on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Talk {
    pub(super) length: Duration,
    pub(super) key_pressed: Option<Duration>,
    pub(super) action: Option<Duration>,
    pub(super) outcome: &'static str,
}

impl Fate {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let wait = exponential(rng, 6.0, 0.5..30.0);
        let (status, seconds) = match rng.random_range(0..100) {
            0..52 => ("completed", 3.0..18.0),
            52..66 => ("busy", 1.0..3.0),
            66..90 => ("no_answer", 20.0..30.0),
            _ => ("failed", 0.5..2.0),
        };
        let rings = Duration::from_secs_f64(rng.random_range(seconds));
        let talk = (status == "completed").then(|| Talk::draw(rng));
        Self { wait, rings, talk, status }
    }
}

impl Talk {
    fn draw(rng: &mut StdRng) -> Self {
        let length = exponential(rng, 35.0, 4.0..240.0);
        let key_pressed = rng.random_bool(0.4).then(|| length.mul_f64(rng.random_range(0.2..0.5)));
        let action = rng.random_bool(0.25).then(|| length.mul_f64(rng.random_range(0.5..0.9)));
        let outcome = match rng.random_range(0..100) {
            0..18 => "converted",
            18..21 => "opted_out",
            21..70 => "completed",
            _ => "no_interest",
        };
        Self { length, key_pressed, action, outcome }
    }
}

/// A duration with this mean in seconds, cut to the bounds.
pub(super) fn exponential(rng: &mut StdRng, mean: f64, bounds: std::ops::Range<f64>) -> Duration {
    let uniform: f64 = rng.random_range(f64::EPSILON..1.0);
    Duration::from_secs_f64((-mean * uniform.ln()).clamp(bounds.start, bounds.end))
}
