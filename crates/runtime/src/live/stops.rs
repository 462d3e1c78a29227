//! Points at which a rehearsal stops the process, to be killed there: `W6:57` is the 57th order at step W6.

use std::io::Write as _;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A step of an order's way, as `docs/live.md` numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The event is appended.
    W1,
    /// The engine has handled it.
    W2,
    /// What it changed is appended.
    W3,
    /// The request is in its lane.
    W4,
    /// It is signed.
    W5,
    /// Its entry is durable.
    W6,
    /// It is checked for the last time.
    W7,
    /// Its first byte leaves.
    W8,
    /// Its answer is an event.
    W9,
}

const STEPS: [(&str, Step); 9] = [
    ("W1", Step::W1),
    ("W2", Step::W2),
    ("W3", Step::W3),
    ("W4", Step::W4),
    ("W5", Step::W5),
    ("W6", Step::W6),
    ("W7", Step::W7),
    ("W8", Step::W8),
    ("W9", Step::W9),
];

/// A point at which the process waits to be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopAt {
    /// The step.
    pub step: Step,
    /// The how-manieth order of the run, from 1.
    pub number: u64,
}

/// A stop that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no point to stop at: write a step W1 to W9, a colon and a number from 1, as in W6:57"
)]
pub struct BadStop(String);

impl FromStr for StopAt {
    type Err = BadStop;
    fn from_str(text: &str) -> Result<StopAt, BadStop> {
        let bad = || BadStop(text.chars().take(40).collect());
        let (name, number) = text.split_once(':').ok_or_else(bad)?;
        let step = STEPS.iter().find(|(known, _)| *known == name).ok_or_else(bad)?.1;
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(bad)?;
        Ok(StopAt { step, number })
    }
}

/// Counts orders at one step, and stops the process at the one that was asked for. Without a stop it costs nothing.
#[derive(Clone, Default)]
pub struct Stops {
    at: Option<(StopAt, Arc<AtomicU64>)>,
}

impl Stops {
    /// Stops there.
    pub fn new(at: Option<StopAt>) -> Stops {
        Stops { at: at.map(|at| (at, Arc::default())) }
    }

    /// `orders` orders reached a step. At the stop the calling thread says so and waits for the signal that ends the process.
    pub fn reached(&self, step: Step, orders: usize) {
        let Some((at, seen)) = &self.at else { return };
        if at.step != step || orders == 0 {
            return;
        }
        let before = seen.fetch_add(orders as u64, Ordering::Relaxed);
        if before < at.number && before + orders as u64 >= at.number {
            let _ =
                writeln!(std::io::stderr(), "rehearsal: stopped at {:?}:{}", at.step, at.number);
            loop {
                std::thread::park();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_a_step_and_a_number() {
        assert_eq!("W6:57".parse(), Ok(StopAt { step: Step::W6, number: 57 }));
        for bad in ["", "W6", "W10:1", "W6:0", "W6:-1", "w6:1", "W6:1 "] {
            assert!(bad.parse::<StopAt>().is_err(), "{bad:?}");
        }
    }
}
