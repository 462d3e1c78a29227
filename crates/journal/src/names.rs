//! Names of the files in the folder, and the month of a time.

use crate::frame::Seq;

/// Ending of files that are not complete: recovery removes them.
pub(crate) const TEMPORARY: &str = ".tmp";
/// The compaction that is being written.
pub(crate) const COMPACTION_TEMPORARY: &str = "compaction.tmp";
/// The latch.
pub(crate) const LATCH: &str = "kill";
/// Folder of the record log.
pub(crate) const RECORDS: &str = "records";

const SEGMENT: &str = ".seg";
const COMPACTION: &str = ".cmp";
const LOG: &str = ".log";
const PACKED: &str = ".log.zst";
const THINNED: &str = ".thin";

/// A segment, by its first record.
pub(crate) fn segment(first: Seq) -> String {
    format!("{:020}{SEGMENT}", first.0)
}

/// A compaction, by its last record.
pub(crate) fn compaction(seq: Seq) -> String {
    format!("{:020}{COMPACTION}", seq.0)
}

pub(crate) fn spare(number: u64) -> String {
    format!("spare-{number}{TEMPORARY}")
}

/// Where a cut tail is kept.
pub(crate) fn cut(run: u32, first: Seq) -> String {
    format!("cut-{run}-{:020}.bin", first.0)
}

/// Where damaged bytes of a month of the record log are kept.
pub(crate) fn cut_rows(run: u32, month: Month, offset: usize) -> String {
    format!("cut-{run}-{}-{offset}.bin", month.name())
}

/// Where a month's compressed file is kept that cannot be used.
pub(crate) fn cut_packed(run: u32, month: Month) -> String {
    format!("cut-{run}-{}{PACKED}", month.name())
}

pub(crate) fn read_segment(name: &str) -> Option<Seq> {
    number(name, SEGMENT)
}

pub(crate) fn read_compaction(name: &str) -> Option<Seq> {
    number(name, COMPACTION)
}

fn number(name: &str, ending: &str) -> Option<Seq> {
    let digits = name.strip_suffix(ending)?;
    let plain = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Seq)).flatten()
}

/// A month of the calendar, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Month {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
}

impl Month {
    /// The month of a time in milliseconds since 1970.
    #[must_use]
    pub fn of_ms(at_ms: i64) -> Month {
        // Years from March on: the leap day is the last day of its year. 0000-03-01 is day 0.
        let days = at_ms.div_euclid(86_400_000) + 719_468;
        let era = days.div_euclid(146_097);
        let day = days.rem_euclid(146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let march = (5 * day + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        Month { year: era * 400 + year + i64::from(month <= 2), month: month as u8 }
    }

    /// The month after.
    #[must_use]
    pub fn next(self) -> Month {
        match self.month {
            12 => Month { year: self.year + 1, month: 1 },
            month => Month { year: self.year, month: month + 1 },
        }
    }

    /// The month that a row of this time is filed under. A time outside of the years 0 to 9999 cannot be right: it
    /// opens no month of its own and closes none, so that the row goes where the log stands.
    pub(crate) fn of_row(at_ms: i64) -> Month {
        let month = Month::of_ms(at_ms);
        if (0..=9_999).contains(&month.year) { month } else { Month::FIRST }
    }

    const FIRST: Month = Month { year: 0, month: 1 };

    /// As in `2026-11`.
    pub(crate) fn name(self) -> String {
        format!("{:04}-{:02}", self.year, self.month)
    }

    fn stem(self) -> String {
        format!("{RECORDS}/{}", self.name())
    }

    pub(crate) fn log(self) -> String {
        self.stem() + LOG
    }

    pub(crate) fn packed(self) -> String {
        self.stem() + PACKED
    }

    /// An empty file: the compressed month has lost the rows that are not kept.
    pub(crate) fn thinned(self) -> String {
        self.stem() + THINNED
    }

    /// The month whose rows were thinned, by the name of the file that says so.
    pub(crate) fn read_thinned(name: &str) -> Option<Month> {
        Month::read(&format!("{}{PACKED}", name.strip_suffix(THINNED)?)).map(|(month, _)| month)
    }

    /// Months from this one to a later one; 0 when it is not later.
    pub(crate) fn until(self, later: Month) -> u64 {
        let number = |month: Month| month.year * 12 + i64::from(month.month);
        u64::try_from(number(later) - number(self)).unwrap_or(0)
    }

    /// The month of a file in [`RECORDS`], and whether it is compressed.
    pub(crate) fn read(name: &str) -> Option<(Month, bool)> {
        let (stem, packed) = match name.strip_suffix(PACKED) {
            Some(stem) => (stem, true),
            None => (name.strip_suffix(LOG)?, false),
        };
        // The last one: years before 0 begin with another.
        let (year, month) = stem.rsplit_once('-')?;
        let month = Month { year: year.parse().ok()?, month: month.parse().ok()? };
        // Any other spelling is no file of the log: it would be opened under another name.
        let whole = month.name() == stem && (1..=12).contains(&month.month);
        whole.then_some((month, packed))
    }
}
