//! `import` and `inspect`.

use std::path::Path;

use anyhow::Context;
use polydesk_domain::Span;
use polydesk_tape::{ImportJob, TapeReader};

use crate::cli::{ImportArgs, InspectArgs};
use crate::failure::{Done, Failure};

/// Turns a recording into a tape and shows its certificate.
pub fn import(args: &ImportArgs) -> Done {
    let out = args.out.clone().unwrap_or_default();
    let mut job = ImportJob::new(args.format, args.files.clone(), out.clone());
    job.overlay = args.overlay.clone();
    job.column_map = args.columns.clone();
    job.gap_threshold = Span::secs(i64::from(args.gap_secs));
    if let Some(secs) = args.silence_secs {
        job.silence = (secs > 0).then(|| Span::secs(i64::from(secs)));
    }
    if let Some(path) = &args.write_overlay {
        return write_overlay(&job, path);
    }
    let certificate =
        polydesk_tape::import(&job).context("the import failed").map_err(Failure::Data)?;
    println!("{}", certificate.render());
    println!("tape written to {}", out.display());
    println!("next: backtest run --tape {}", out.display());
    Ok(())
}

/// Drafts an overlay; an existing file is never overwritten.
fn write_overlay(job: &ImportJob, path: &Path) -> Done {
    if path.exists() {
        return Err(Failure::Failed(anyhow::anyhow!(
            "{} exists; name another file",
            path.display()
        )));
    }
    let draft = polydesk_tape::overlay_template(job)
        .context("no overlay could be drafted")
        .map_err(Failure::Data)?;
    std::fs::write(path, draft).with_context(|| format!("{} cannot be written", path.display()))?;
    println!("overlay drafted in {}: complete it, then import with --overlay {0}", path.display());
    Ok(())
}

/// Shows a tape's contents and quality.
pub fn inspect(args: &InspectArgs) -> Done {
    let reader = TapeReader::open(&args.tape)
        .with_context(|| format!("{} cannot be read", args.tape.display()))
        .map_err(Failure::Data)?;
    // Damage can decode to plausible numbers: only the hash over all rows proves that none is there.
    polydesk_tape::verify(&args.tape)
        .with_context(|| format!("{} is not what its manifest says", args.tape.display()))
        .map_err(Failure::Data)?;
    let (manifest, certificate) = (reader.manifest(), reader.certificate());
    if args.json {
        let both = serde_json::json!({ "manifest": manifest, "certificate": certificate });
        println!("{both}");
        return Ok(());
    }
    println!(
        "tape      {}{}",
        manifest.name,
        if manifest.synthetic { "  (SYNTHETIC)" } else { "" }
    );
    println!("source    {}", manifest.source);
    println!("licence   {}", manifest.licence);
    println!("content   sha256 {} (read: equal)", manifest.content_sha256);
    if let Some(span) = manifest.span {
        println!("span      {} to {}", span.first, span.last);
    }
    println!("rows      {}", manifest.rows);
    for (kind, count) in &manifest.kinds {
        println!("          {count:>10}  {kind}");
    }
    println!("markets   {}", manifest.markets.len());
    for market in &manifest.markets {
        println!("          {:>10}  {}", market.rows, market.question);
    }
    println!();
    println!("{}", certificate.render());
    Ok(())
}
