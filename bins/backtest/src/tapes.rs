//! `import` and `inspect`.

use anyhow::Context;
use polydesk_domain::Span;
use polydesk_tape::{ImportJob, TapeReader};

use crate::cli::{ImportArgs, InspectArgs};
use crate::failure::{Done, Failure};

/// Turns a recording into a tape and shows its certificate.
pub fn import(args: &ImportArgs) -> Done {
    let mut job = ImportJob::new(args.format, args.files.clone(), args.out.clone());
    job.overlay = args.overlay.clone();
    job.column_map = args.columns.clone();
    job.gap_threshold = Span::secs(i64::from(args.gap_secs));
    let certificate =
        polydesk_tape::import(&job).context("the import failed").map_err(Failure::Data)?;
    println!("{}", certificate.render());
    println!("tape written to {}", args.out.display());
    println!("next: backtest run --tape {}", args.out.display());
    Ok(())
}

/// Shows what a tape is and how good it is.
pub fn inspect(args: &InspectArgs) -> Done {
    let reader = TapeReader::open(&args.tape)
        .with_context(|| format!("{} cannot be read", args.tape.display()))
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
    println!("content   sha256 {}", manifest.content_sha256);
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
