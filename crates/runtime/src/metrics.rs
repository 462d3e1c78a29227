//! Counters and latency histograms.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use polydesk_domain::{NoteLevel, OrderState, Record, Span};

/// Upper bounds of the buckets in microseconds.
const BOUNDS: [u64; 15] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 5_000_000,
];

/// A histogram of latencies.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one latency; negative ones count as zero.
    pub fn observe(&self, span: Span) {
        let micros = u64::try_from(span.as_nanos() / 1_000).unwrap_or(0);
        if let Some(bucket) = BOUNDS.iter().position(|bound| micros <= *bound) {
            self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn write(&self, name: &str, help: &str, out: &mut String) {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut below = 0;
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            below += bucket.load(Ordering::Relaxed);
            let seconds = decimal(bound);
            let _ = writeln!(out, "{name}_bucket{{le=\"{seconds}\"}} {below}");
        }
        let count = self.count();
        let sum = decimal(self.sum_micros.load(Ordering::Relaxed));
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {sum}\n{name}_count {count}");
    }
}

/// Micro-units as a decimal number.
pub(crate) fn decimal(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Counters of a running process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// From reading a frame to the engine taking its row.
    pub received_to_engine: Histogram,
    /// From the engine taking an event to its decision.
    pub decision: Histogram,
    /// From a decision to its entry in the journal being durable.
    pub decision_to_durable: Histogram,
    /// From a decision to the first byte of its order.
    pub decision_to_sent: Histogram,
    /// From a decision to the venue's answer.
    pub decision_to_answer: Histogram,
    /// Events handled.
    pub events: AtomicU64,
    /// Signals emitted.
    pub signals: AtomicU64,
    /// Orders placed.
    pub placed: AtomicU64,
    /// Orders denied by the gate.
    pub denied: AtomicU64,
    /// Orders rejected by the venue.
    pub rejected: AtomicU64,
    /// Orders completely filled.
    pub filled: AtomicU64,
    /// Orders cancelled or expired.
    pub cancelled: AtomicU64,
    /// Orders whose outcome was unknown at some time.
    pub unknown: AtomicU64,
    /// Reports of fills and of their settlement.
    pub fills: AtomicU64,
    /// Critical notes.
    pub critical: AtomicU64,
    /// Tasks that were started again.
    pub restarts: AtomicU64,
    /// Log lines that were dropped because the disk did not keep up.
    pub log_lines_dropped: AtomicU64,
}

impl Metrics {
    /// Counts a record.
    pub fn record(&self, record: &Record) {
        let counter = match record {
            Record::Signal(_) => &self.signals,
            Record::Placed(_) => &self.placed,
            Record::Denied { .. } => &self.denied,
            Record::OrderChanged { state, .. } => match state {
                OrderState::Rejected => &self.rejected,
                OrderState::Filled => &self.filled,
                OrderState::Cancelled | OrderState::Expired => &self.cancelled,
                OrderState::Unknown => &self.unknown,
                _ => return,
            },
            Record::Fill(_) => &self.fills,
            Record::Note { level: NoteLevel::Critical, .. } => &self.critical,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counters and histograms as Prometheus text.
    pub fn write(&self, out: &mut String) {
        let counters = [
            ("events", "events handled by the engine", &self.events),
            ("signals", "signals emitted", &self.signals),
            ("orders_placed", "orders that passed the gate", &self.placed),
            ("orders_denied", "orders denied by the gate", &self.denied),
            ("orders_rejected", "orders rejected by the venue", &self.rejected),
            ("orders_filled", "orders completely filled", &self.filled),
            ("orders_cancelled", "orders cancelled or expired", &self.cancelled),
            ("orders_unknown", "orders whose outcome was unknown at some time", &self.unknown),
            ("fill_reports", "reports of fills and of their settlement", &self.fills),
            ("critical_notes", "notes that somebody should read at once", &self.critical),
            ("task_restarts", "tasks that were started again", &self.restarts),
            ("log_lines_dropped", "log lines dropped", &self.log_lines_dropped),
        ];
        for (name, help, counter) in counters {
            let value = counter.load(Ordering::Relaxed);
            let name = format!("polydesk_{name}_total");
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}");
        }
        self.received_to_engine.write(
            "polydesk_received_to_engine_seconds",
            "from reading a frame to the engine taking its row",
            out,
        );
        self.decision.write(
            "polydesk_decision_seconds",
            "from the engine taking an event to its decision",
            out,
        );
        self.decision_to_durable.write(
            "polydesk_decision_to_durable_seconds",
            "from a decision to its journal entry being durable",
            out,
        );
        self.decision_to_sent.write(
            "polydesk_decision_to_sent_seconds",
            "from a decision to the first byte of its order",
            out,
        );
        self.decision_to_answer.write(
            "polydesk_decision_to_answer_seconds",
            "from a decision to the answer of the venue",
            out,
        );
    }
}

/// Resident memory of this process, where the system tells.
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_is_below_them_and_the_last_one_everything() {
        let histogram = Histogram::default();
        for micros in [-5, 50, 51, 150, 900_000, 7_000_000] {
            histogram.observe(Span::nanos(micros * 1_000));
        }
        let mut text = String::new();
        histogram.write("h", "help", &mut text);
        let bucket = |bound: &str| {
            let start = format!("h_bucket{{le=\"{bound}\"}} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
            line.parse::<u64>().unwrap()
        };
        for (bound, want) in [
            ("0.00005", 2),
            ("0.0001", 3),
            ("0.0002", 4),
            ("0.5", 4),
            ("1", 5),
            ("5", 5),
            ("+Inf", 6),
        ] {
            assert_eq!(bucket(bound), want, "{bound}: {text}");
        }
        assert!(text.contains("h_sum 7.900251\nh_count 6\n"), "{text}");
    }

    #[test]
    fn micro_units_are_written_without_loss() {
        let cases =
            [(0, "0"), (1, "0.000001"), (50, "0.00005"), (1_000_000, "1"), (10_500_000, "10.5")];
        for (micros, want) in cases {
            assert_eq!(decimal(micros), want);
        }
    }
}
