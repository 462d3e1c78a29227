//! Where the figures come from.

use std::path::Path;

use anyhow::Context as _;
use polydesk_runtime::decisions::clean;
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
/// A process runs and does not answer as it should, or the journal cannot be read.
pub fn find(data: &Path) -> anyhow::Result<Option<Found>> {
    if let Some(answer) = client::ask_if_there(data, "GET", "/v1/status")? {
        if answer.status != 200 {
            anyhow::bail!("a process runs, and does not show its state: {}", answer.why());
        }
        let read = || "a process runs, and this program does not understand its answer";
        let mut value = serde_json::from_slice(&answer.body).with_context(read)?;
        clean_all(&mut value);
        let status = serde_json::from_value(value).with_context(read)?;
        return Ok(Some(Found::Live(Box::new(status))));
    }
    let Some((glance, age)) = offline::read(data)? else { return Ok(None) };
    let mut value = serde_json::to_value(glance)?;
    clean_all(&mut value);
    Ok(Some(Found::Journal(Box::new(serde_json::from_value(value)?), age)))
}

/// Every text goes to a terminal, and some of it comes from the venue.
fn clean_all(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::String(text) => *text = clean(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(clean_all),
        serde_json::Value::Object(values) => values.values_mut().for_each(clean_all),
        _ => {}
    }
}
