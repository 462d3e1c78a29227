//! Importers: recordings of other programs become native tapes with a certificate.
//!
//! An import reads every input once, keeps the order of arrival (or sorts by receive time where the
//! format is stored in another order), refuses single bad rows with a reason, and stops at damage
//! while keeping what was readable. It writes beside the target and renames at the end, so a folder
//! that bears the tape's name is whole.

use std::path::{Path, PathBuf};

use polydesk_domain::Span;

use crate::manifest::ManifestDraft;
use crate::overlay::Overlay;
use crate::{Certificate, TapeError, TapeWriter, Times, Unfinished};

pub(crate) mod cells;
mod fact;
pub(crate) mod files;
mod frames;
mod hashes;
mod pmxt;
mod polybot;
mod resolvedkit;
mod shapes;
pub(crate) mod sink;
mod sort;
mod survey;
mod table;
mod tickscope;

use sink::Sink;

/// The recordings that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Raw market frames in the `ws_verified` wrapper, as JSON lines.
    WsVerified,
    /// Raw market frames in the rocklabs wrapper, as JSON lines.
    Rocklabs,
    /// PMXT archive, first schema (unverified: made from its published description).
    PmxtV1,
    /// PMXT archive, second schema (unverified: made from its published description).
    PmxtV2,
    /// Tickscope Parquet, with ESPN score polls.
    Tickscope,
    /// resolvedkit books and markets.
    Resolvedkit,
    /// PolyBot parity windows.
    PolybotWindows,
    /// Any other Parquet or CSV table, through a column map.
    Table,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 8] = [
        Format::WsVerified,
        Format::Rocklabs,
        Format::PmxtV1,
        Format::PmxtV2,
        Format::Tickscope,
        Format::Resolvedkit,
        Format::PolybotWindows,
        Format::Table,
    ];

    /// The word used on the command line and in certificates.
    pub const fn name(self) -> &'static str {
        match self {
            Format::WsVerified => "ws-verified",
            Format::Rocklabs => "rocklabs",
            Format::PmxtV1 => "pmxt-v1",
            Format::PmxtV2 => "pmxt-v2",
            Format::Tickscope => "tickscope",
            Format::Resolvedkit => "resolvedkit",
            Format::PolybotWindows => "polybot-windows",
            Format::Table => "table",
        }
    }

    /// The format of this name, underscores and case aside.
    pub fn from_name(name: &str) -> Option<Format> {
        let name = name.trim().to_ascii_lowercase().replace('_', "-");
        Format::ALL.into_iter().find(|format| format.name() == name)
    }

    /// How long a whole stream may be silent before its books are not trusted any more. An archive of all markets
    /// is never silent for long; a recording of a few may be.
    pub const fn silence(self) -> Span {
        match self {
            Format::PmxtV1 | Format::PmxtV2 => Span::secs(120),
            _ => Span::secs(900),
        }
    }

    const fn times(self) -> Times {
        match self {
            Format::WsVerified
            | Format::Rocklabs
            | Format::PmxtV1
            | Format::PmxtV2
            | Format::PolybotWindows => Times::Received,
            Format::Tickscope | Format::Resolvedkit | Format::Table => Times::VenueOnly,
        }
    }
}

/// An import job.
#[derive(Debug, Clone)]
pub struct ImportJob {
    /// What the files are.
    pub format: Format,
    /// The files, in the order of recording.
    pub files: Vec<PathBuf>,
    /// The overlay; absent means `overlay.toml` beside the first file, if there is one.
    pub overlay: Option<PathBuf>,
    /// The column map, for [`Format::Table`].
    pub column_map: Option<PathBuf>,
    /// The tape's folder: absent or empty.
    pub out: PathBuf,
    /// Silence longer than this counts as a gap.
    pub gap_threshold: Span,
    /// A silence of the whole stream longer than this is written as an interruption: whether the books still
    /// stood, nobody can know. `None`: none is.
    pub silence: Option<Span>,
}

impl ImportJob {
    /// A job with the overlay beside the files and a gap threshold of 30 seconds.
    pub fn new(format: Format, files: Vec<PathBuf>, out: PathBuf) -> ImportJob {
        ImportJob {
            format,
            files,
            overlay: None,
            column_map: None,
            out,
            gap_threshold: Span::secs(30),
            silence: Some(format.silence()),
        }
    }
}

/// Imports a recording into a new tape.
///
/// # Errors
/// A file cannot be read at all, markets without metadata, an impossible overlay or column map, a
/// target that is not empty, nothing importable. Bad rows and damage further in are no errors: they
/// are counted in the certificate.
pub fn import(job: &ImportJob) -> Result<Certificate, TapeError> {
    let Some(first) = job.files.first() else {
        let problem = "no file was named".to_owned();
        return Err(TapeError::Empty { path: job.out.clone(), problem });
    };
    let overlay = read_overlay(job, first)?;
    let map = read_column_map(job)?;
    let partial = partial_folder(job)?;
    let named = job.out.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let unstated = || "not stated".to_owned();
    let draft = ManifestDraft {
        name: overlay.recording.name.clone().unwrap_or(named),
        source: overlay.recording.source.clone().unwrap_or_else(unstated),
        licence: overlay.recording.licence.clone().unwrap_or_else(unstated),
        times: if map.as_ref().is_some_and(table::ColumnMap::has_receive_time) {
            Times::Received
        } else {
            job.format.times()
        },
        synthetic: false,
    };
    let outcome = run(job, &overlay, map.as_ref(), TapeWriter::create(&partial, draft)?);
    match outcome {
        Ok(certificate) => {
            if job.out.exists() {
                std::fs::remove_dir(&job.out).map_err(TapeError::io(&job.out, "replacing"))?;
            }
            std::fs::rename(&partial, &job.out).map_err(TapeError::io(&job.out, "renaming to"))?;
            Ok(certificate)
        }
        Err(error) => {
            // The half-made tape is ours; the error that stopped it is what matters.
            let _ = std::fs::remove_dir_all(&partial);
            Err(error)
        }
    }
}

/// Drafts the overlay a recording lacks: markets not yet described, with their tokens paired.
///
/// Write the text to `overlay.toml` beside the recording and complete it. Archives that hold all
/// markets (PMXT) need an overlay that selects some, so nothing is drafted for them.
///
/// # Errors
/// As [`import`], missing metadata aside.
pub fn overlay_template(job: &ImportJob) -> Result<String, TapeError> {
    if matches!(job.format, Format::PmxtV1 | Format::PmxtV2) {
        let rule = "its files hold every market: state [[market]] with the tokens wanted";
        return Err(TapeError::setting(&job.out, "format", job.format.name(), rule));
    }
    let Some(first) = job.files.first() else {
        let problem = "no file was named".to_owned();
        return Err(TapeError::Empty { path: job.out.clone(), problem });
    };
    let overlay = read_overlay(job, first)?;
    let map = read_column_map(job)?;
    let partial = partial_folder(job)?;
    let writer = TapeWriter::create(&partial, ManifestDraft::default())?;
    let mut sink = Sink::new(writer, job.format.name(), (job.gap_threshold, job.silence), true);
    sink.begin_survey();
    let outcome = read_files(job, &overlay, map.as_ref(), &mut sink);
    let draft = sink.draft();
    drop(sink);
    std::fs::remove_dir_all(&partial).map_err(TapeError::io(&partial, "removing"))?;
    outcome.map(|()| draft)
}

fn read_overlay(job: &ImportJob, first: &Path) -> Result<Overlay, TapeError> {
    if let Some(path) = &job.overlay {
        return Overlay::read(path);
    }
    let beside = first.with_file_name("overlay.toml");
    if beside.is_file() { Overlay::read(&beside) } else { Ok(Overlay::absent(beside)) }
}

fn read_column_map(job: &ImportJob) -> Result<Option<table::ColumnMap>, TapeError> {
    match (&job.column_map, job.format) {
        (Some(path), Format::Table) => table::ColumnMap::read(path).map(Some),
        (None, Format::Table) => Err(TapeError::setting(
            &job.out,
            "the column map",
            "missing",
            "a table needs one: name its TOML file",
        )),
        _ => Ok(None),
    }
}

/// `<out>.partial`, where nothing stands but what an earlier import left; the target itself must be absent or empty.
fn partial_folder(job: &ImportJob) -> Result<PathBuf, TapeError> {
    let occupied = match std::fs::read_dir(&job.out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(TapeError::io(&job.out, "listing")(error)),
    };
    if occupied {
        let rule = "a tape needs a new or empty folder; name another one or empty it";
        return Err(TapeError::setting(&job.out, "the output folder", "not empty", rule));
    }
    let mut name = job.out.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = job.out.with_file_name(name);
    // Whatever else lies there may be somebody's only copy.
    match TapeWriter::unfinished(&partial) {
        Unfinished::Absent => {}
        Unfinished::Ours => {
            std::fs::remove_dir_all(&partial).map_err(TapeError::io(&partial, "removing"))?;
        }
        Unfinished::Busy => {
            let rule = "another import writes there; wait for it, or name another folder";
            return Err(TapeError::setting(&partial, "the folder of the import", "in use", rule));
        }
        Unfinished::Other => {
            let rule = "it is needed for the import and holds something else; move it away";
            return Err(TapeError::setting(&partial, "the folder of the import", "in use", rule));
        }
    }
    Ok(partial)
}

fn run(
    job: &ImportJob,
    overlay: &Overlay,
    map: Option<&table::ColumnMap>,
    writer: TapeWriter,
) -> Result<Certificate, TapeError> {
    let selecting = matches!(job.format, Format::PmxtV1 | Format::PmxtV2);
    let mut sink =
        Sink::new(writer, job.format.name(), (job.gap_threshold, job.silence), selecting);
    sink.known_payouts(overlay.payouts()?);
    for path in &job.files {
        let hash = files::file_hash(path)?;
        sink.certificate.inputs.insert(files::file_name(path), hash);
    }
    sink.certificate.notes.extend(overlay.recording.notes.iter().cloned());
    read_files(job, overlay, map, &mut sink)?;
    if sink.events() == 0 && sink.certificate.rows_not_selected == 0 {
        let problem = match sink.certificate.truncated.first() {
            Some(cut) => format!("{} at {}: {}", cut.file, cut.place, cut.problem),
            None => format!(
                "{} rows, {} of them refused",
                sink.certificate.rows_read,
                sink.certificate.rejected()
            ),
        };
        let path = job.files.first().cloned().unwrap_or_default();
        return Err(TapeError::Empty { path, problem });
    }
    sink.finish().map(|(_, certificate)| certificate)
}

fn read_files(
    job: &ImportJob,
    overlay: &Overlay,
    map: Option<&table::ColumnMap>,
    sink: &mut Sink,
) -> Result<(), TapeError> {
    match job.format {
        Format::WsVerified => {
            frames::import(sink, &job.files, overlay, frames::Wrapper::Verified)?;
        }
        Format::Rocklabs => {
            frames::import(sink, &job.files, overlay, frames::Wrapper::Rocklabs)?;
        }
        Format::PmxtV1 => pmxt::import(sink, &job.files, overlay, pmxt::Version::One)?,
        Format::PmxtV2 => pmxt::import(sink, &job.files, overlay, pmxt::Version::Two)?,
        Format::Tickscope => tickscope::import(sink, &job.files, overlay)?,
        Format::Resolvedkit => resolvedkit::import(sink, &job.files, overlay)?,
        Format::PolybotWindows => polybot::import(sink, &job.files, overlay)?,
        Format::Table => {
            if let Some(map) = map {
                table::import(sink, &job.files, overlay, map)?;
            }
        }
    }
    Ok(())
}
