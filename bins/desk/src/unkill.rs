//! `desk unkill`: a person lifts the kill, through the process that runs, or in a folder that none uses.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use polydesk_polymarket_api::ServerClock;
use polydesk_runtime::kill::door::UNKILL;
use polydesk_runtime::kill::lift::{self, PHRASE};

use crate::say::say;
use crate::{client, show};

/// Arguments of `desk unkill`.
#[derive(Debug, Args)]
pub struct Unkill {
    /// Why orders may leave again.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// For scripts: the phrase that a person would type.
    #[arg(long = "yes-i-mean", value_name = "PHRASE")]
    phrase: Option<String>,
}

/// Lifts the kill. Afterwards trading is paused until `resume`.
///
/// # Errors
/// The phrase is not right, or the kill stays in force for a reason that is named.
pub fn run(data: &Path, args: &Unkill) -> anyhow::Result<ExitCode> {
    let phrase = match &args.phrase {
        Some(phrase) => phrase.clone(),
        None => typed()?,
    };
    if phrase.trim() != PHRASE {
        bail!("nothing was changed: the phrase is {PHRASE:?}");
    }
    let by = std::env::var("USER").unwrap_or_else(|_| "desk".to_owned());
    let body = serde_json::json!({ "why": args.why, "phrase": PHRASE, "by": by });
    let body = serde_json::to_vec(&body)?;
    if let Some(answer) = client::ask_with_if_there(data, "POST", UNKILL, body)? {
        return show::answer(answer);
    }
    lift::offline(data, &by, &args.why, ServerClock::system().local().millis())?;
    say("the kill is lifted; the next start is paused until a person resumes")?;
    Ok(ExitCode::SUCCESS)
}

fn typed() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        bail!(
            "nothing was changed: a person types the phrase at a terminal; a script gives --yes-i-mean {PHRASE:?}"
        );
    }
    let mut out = std::io::stdout().lock();
    write!(out, "Type \"{PHRASE}\" to lift the kill: ")?;
    out.flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}
