//! The sections that only a running process reads: where the venue is, start, journal, health, logs.

use serde::{Deserialize, Serialize};

use crate::bounds::within;
use crate::origin::Lines;
use crate::problem::Problem;

/// The section `venue`: base URLs without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VenueSettings {
    /// CLOB REST.
    pub clob: String,
    /// Gamma (metadata).
    pub gamma: String,
    /// Market socket.
    pub ws_market: String,
}

/// The section `start`: what a process checks before the gate can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSettings {
    /// Most that the local clock may differ from the venue's, in milliseconds.
    pub max_clock_offset_ms: u32,
    /// Seconds between two measurements of it.
    pub clock_check_secs: u32,
    /// Seconds that the first answer of the venue may take.
    pub reach_secs: u32,
}

/// The section `journal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalSettings {
    /// What a flush survives.
    pub durable: Durable,
    /// Size of a segment in MiB.
    pub segment_mib: u32,
    /// Keep all segments.
    pub recording: bool,
    /// Months after which the record log loses the reasons why strategies skipped markets and the gate denied orders; 0:
    /// never.
    pub keep_skips_months: u32,
}

/// What an order's journal entry has survived when the order is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durable {
    /// The end of the process.
    Process,
    /// A power loss.
    Power,
}

/// The section `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthSettings {
    /// Address and port of `/health`, `/ready` and `/metrics`; empty: none.
    pub listen: String,
}

impl HealthSettings {
    /// The address to listen on, `None` for none.
    pub fn address(&self) -> Option<std::net::SocketAddr> {
        self.listen.parse().ok()
    }
}

/// The section `logs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Least urgent level in the files: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: String,
    /// Files kept, one a day.
    pub keep_files: u32,
    /// Bytes of one file in MiB; above it only errors are added, up to twice as many.
    pub most_mib: u32,
}

/// Everything that only a running process reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// Where the venue is.
    pub venue: VenueSettings,
    /// What is checked at the start.
    pub start: StartSettings,
    /// The journal.
    pub journal: JournalSettings,
    /// The health server.
    pub health: HealthSettings,
    /// Log files.
    pub logs: LogSettings,
    /// Which markets are followed.
    pub markets: crate::MarketSettings,
    /// Real orders.
    pub live: crate::LiveSettings,
    /// Rehearsals of crashes.
    pub rehearsal: crate::RehearsalSettings,
}

impl VenueSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        let rules = [
            ("clob", &self.clob, ["https://", "http://"]),
            ("gamma", &self.gamma, ["https://", "http://"]),
            ("ws_market", &self.ws_market, ["wss://", "ws://"]),
        ];
        for (key, url, schemes) in rules {
            if !schemes.iter().any(|scheme| url.starts_with(scheme)) || url.ends_with('/') {
                let text = format!(
                    "venue.{key} is {url:?}; it must begin with {} and not end with a slash",
                    schemes[0]
                );
                problems.push(Problem::rule(text, lines));
            }
        }
    }
}

impl StartSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        within("start.max_clock_offset_ms", self.max_clock_offset_ms, 100, 60_000, lines, problems);
        within("start.clock_check_secs", self.clock_check_secs, 1, 3_600, lines, problems);
        within("start.reach_secs", self.reach_secs, 1, 600, lines, problems);
    }
}

impl JournalSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        within("journal.segment_mib", self.segment_mib, 1, 1_024, lines, problems);
        within("journal.keep_skips_months", self.keep_skips_months, 0, 1_200, lines, problems);
    }
}

impl HealthSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        if !self.listen.is_empty() && self.address().is_none() {
            let text = format!(
                "health.listen is {:?}; it must be an address and a port as in 127.0.0.1:8730, or empty for none",
                self.listen
            );
            problems.push(Problem::rule(text, lines));
        }
    }
}

impl LogSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
        if !LEVELS.contains(&self.level.as_str()) {
            let text = format!("logs.level is {:?}; it must be one of {LEVELS:?}", self.level);
            problems.push(Problem::rule(text, lines));
        }
        within("logs.keep_files", self.keep_files, 1, 3_650, lines, problems);
        within("logs.most_mib", self.most_mib, 1, 65_536, lines, problems);
    }
}
