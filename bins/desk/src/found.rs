//! Where the figures come from.

use std::path::Path;

use polydesk_runtime::glance::Glance;
use polydesk_runtime::reload::ConfigState;
use serde::Deserialize;

use crate::{client, offline};

/// What the process answers to `/v1/status`.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// The engine.
    pub glance: Glance,
    /// The configuration.
    pub config: ConfigState,
}

/// Where a glance comes from.
pub enum Found {
    /// A running process.
    Live(Box<Status>),
    /// The journal, so many milliseconds old.
    Journal(Box<Glance>, Option<i64>),
}

/// The running process, else the journal.
///
/// # Errors
/// The journal cannot be read.
pub fn find(data: &Path) -> anyhow::Result<Option<Found>> {
    if let Ok(answer) = client::ask(data, "GET", "/v1/status")
        && answer.status == 200
    {
        let status = serde_json::from_slice(&answer.body)?;
        return Ok(Some(Found::Live(Box::new(status))));
    }
    let journal = offline::read(data)?;
    Ok(journal.map(|(glance, age)| Found::Journal(Box::new(glance), age)))
}
