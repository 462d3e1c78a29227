//! `certificate.json`: what an import saw, counted, and what had to be assumed.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;

use polydesk_domain::{Span, Time};
use serde::{Deserialize, Serialize};

use crate::TapeError;
use crate::manifest::{CERTIFICATE_FILE, TimeSpan};

/// How long books are trusted after the last row of a tape whose certificate states no threshold.
const UNSTATED_SILENCE: Span = Span::secs(120);

/// A row that did not become an event: kept, never silently dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// File name (without folders, so that the tape does not depend on where it was made).
    pub file: String,
    /// Where in it: `line 12`, `row 5`.
    pub place: String,
    /// Stable code, counted in the certificate.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
    /// The row as far as it could be read, cut to 2,000 characters.
    pub raw: String,
}

/// A stretch without any row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SilentSpan {
    /// Last row before it.
    pub from: Time,
    /// How long it lasted, in nanoseconds.
    pub length: Span,
}

/// A fact that was assumed because it was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumedFact {
    /// The fact and its source.
    pub fact: String,
    /// How many markets it is assumed for.
    pub markets: u64,
}

/// Where an input ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncation {
    /// File name.
    pub file: String,
    /// File and line or row where reading stopped.
    pub place: String,
    /// What was found there.
    pub problem: String,
}

/// What an import saw.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The format it was imported from; `synthetic` or `recorded` for tapes without an import.
    pub format: String,
    /// Source files with the SHA-256 of their bytes, in import order.
    pub inputs: BTreeMap<String, String>,
    /// Rows (or messages) read from the inputs, rejects included.
    pub rows_read: u64,
    /// Rows of markets that were not selected (large archives hold all markets).
    pub rows_not_selected: u64,
    /// Events written, listings and interruptions included.
    pub events: u64,
    /// Events by kind.
    pub kinds: BTreeMap<String, u64>,
    /// First and last event.
    pub span: Option<TimeSpan>,
    /// Silence longer than this counts as a gap, in nanoseconds.
    pub gap_threshold: Span,
    /// How many gaps there are.
    pub gaps: u64,
    /// A silence of the whole stream longer than this interrupts every book, in nanoseconds; zero: none does.
    /// Absent on tapes made before silences were looked for: [`Certificate::silence`] says what holds for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_threshold: Option<Span>,
    /// How many interruptions were written for such silences.
    #[serde(default)]
    pub silences: u64,
    /// The longest gaps, longest first.
    pub longest_gaps: Vec<SilentSpan>,
    /// Rows that equal an earlier one of the same venue time in every field. They are kept: levels
    /// are totals, so a repeated one changes nothing.
    pub exact_duplicates: u64,
    /// How many of them are prints, which do count twice where volume is summed.
    pub duplicate_prints: u64,
    /// Rows whose venue time is before that of the row just before.
    pub backward_rows: u64,
    /// Rows whose venue time is before the latest one seen: `at` holds the latest, `venue_at` theirs.
    pub late_rows: u64,
    /// The most a row was late, in nanoseconds.
    pub latest_by: Span,
    /// Books that match the venue's hash.
    pub hash_ok: u64,
    /// Books that differ from the venue's hash after their batch.
    pub hash_mismatches: u64,
    /// Batches after which hashes were not checked for lack of tick, size, group or last price.
    pub hash_unchecked: u64,
    /// Batches of all books.
    pub batches: u64,
    /// Batches after which a book was crossed.
    pub crossed_batches: u64,
    /// Batches after which the carried best prices differed from the book built.
    pub carried_best_mismatches: u64,
    /// Levels taken out of the book because the carried best prices proved them gone: their removal
    /// was not recorded.
    pub stale_levels: u64,
    /// Level changes that found the level as they left it (the mirrored half, repetitions).
    pub no_op_changes: u64,
    /// Tick sizes inferred from prices between two ticks.
    pub inferred_ticks: u64,
    /// Floats that were no multiple of the unit, by more than binary representation, and were rounded.
    pub snapped_floats: u64,
    /// Facts assumed, with their sources.
    pub assumed: Vec<AssumedFact>,
    /// Refused rows by reason; the rows are in `rejects.jsonl`.
    pub rejects: BTreeMap<String, u64>,
    /// Messages of kinds this program does not know or need, by name.
    pub unknown_kinds: BTreeMap<String, u64>,
    /// Inputs that ended early.
    pub truncated: Vec<Truncation>,
    /// What else a reader should know.
    pub notes: Vec<String>,
}

impl Certificate {
    /// How long after its last row the books of a stream are trusted; `None`: for ever.
    ///
    /// A certificate that does not say is held to two minutes, the shortest that any format is imported with: an
    /// unknown threshold is no licence to trust.
    pub fn silence(&self) -> Option<Span> {
        match self.silence_threshold {
            Some(Span::ZERO) => None,
            Some(stated) if stated > Span::ZERO => Some(stated),
            _ => Some(UNSTATED_SILENCE),
        }
    }

    /// Reads a tape's certificate.
    ///
    /// # Errors
    /// There is none, or it is not understood.
    pub fn read(dir: &Path) -> Result<Certificate, TapeError> {
        let path = dir.join(CERTIFICATE_FILE);
        let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                TapeError::NotATape { path: dir.to_owned(), missing: CERTIFICATE_FILE }
            }
            _ => TapeError::io(&path, "reading")(error),
        })?;
        serde_json::from_str(&text).map_err(|error| TapeError::corrupt(&path, "its JSON", error))
    }

    /// How many rows were refused.
    pub fn rejected(&self) -> u64 {
        self.rejects.values().sum()
    }

    /// The certificate for a terminal: one fact a line, at most 80 columns where names allow it.
    pub fn render(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write_counts(&mut text)?;
        self.write_quality(&mut text)?;
        self.write_lists(&mut text)?;
        f.write_str(text.trim_end())
    }
}

impl Certificate {
    fn write_counts(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "format            {}", self.format)?;
        writeln!(out, "rows read         {}", self.rows_read)?;
        if self.rows_not_selected != 0 {
            writeln!(out, "  not selected    {}", self.rows_not_selected)?;
        }
        writeln!(out, "events            {}", self.events)?;
        for (kind, count) in &self.kinds {
            writeln!(out, "  {kind:<16}{count}")?;
        }
        if let Some(span) = self.span {
            writeln!(out, "from              {}", span.first)?;
            writeln!(out, "to                {}", span.last)?;
        }
        Ok(())
    }

    fn write_quality(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "gaps over {:<8}{}", self.gap_threshold.to_string(), self.gaps)?;
        for gap in self.longest_gaps.iter().take(3) {
            writeln!(out, "  {:.1} s after {}", gap.length.as_secs_f64(), gap.from)?;
        }
        match (self.silence_threshold, self.silence()) {
            (Some(_), Some(over)) => writeln!(
                out,
                "silent over {:<6}{} (books are not trusted after it)",
                over.to_string(),
                self.silences
            )?,
            (None, Some(over)) => writeln!(
                out,
                "silent over {:<6}not looked for (books are not trusted so long after the end)",
                over.to_string()
            )?,
            (_, None) => (),
        }
        writeln!(
            out,
            "exact duplicates  {} ({} prints)",
            self.exact_duplicates, self.duplicate_prints
        )?;
        writeln!(
            out,
            "venue time        {} backward, {} late by up to {}",
            self.backward_rows, self.late_rows, self.latest_by
        )?;
        writeln!(
            out,
            "venue hashes      {} equal, {} different, {} not checkable",
            self.hash_ok, self.hash_mismatches, self.hash_unchecked
        )?;
        writeln!(
            out,
            "batches           {} ({} crossed after, {} with other best prices)",
            self.batches, self.crossed_batches, self.carried_best_mismatches
        )?;
        writeln!(out, "changing nothing  {}", self.no_op_changes)?;
        writeln!(out, "stale levels      {} (their removal was not recorded)", self.stale_levels)?;
        writeln!(out, "inferred ticks    {}", self.inferred_ticks)?;
        writeln!(out, "snapped floats    {}", self.snapped_floats)
    }

    fn write_lists(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "rejected rows     {}", self.rejected())?;
        for (reason, count) in &self.rejects {
            writeln!(out, "  {reason:<16}{count}")?;
        }
        for (kind, count) in &self.unknown_kinds {
            entry(out, "unknown kind", &format!("{kind} ({count})"))?;
        }
        for cut in &self.truncated {
            let text = format!("{} at {}: {}", cut.file, cut.place, cut.problem);
            entry(out, "cut short", &text)?;
        }
        for assumed in &self.assumed {
            entry(out, "assumed", &format!("{} ({} markets)", assumed.fact, assumed.markets))?;
        }
        for note in &self.notes {
            entry(out, "note", note)?;
        }
        Ok(())
    }
}

/// A label and a text, wrapped at 80 columns under itself.
fn entry(out: &mut String, label: &str, text: &str) -> fmt::Result {
    const INDENT: usize = 18;
    let mut line = format!("{label:<INDENT$}");
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > 80 {
            writeln!(out, "{line}")?;
            line = " ".repeat(INDENT);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(out, "{line}")
}
