//! The report as one HTML file that opens from disk: style, charts, script and data are inside it.
//!
//! It loads nothing from the network. Long lists are shortened; `report.json` has all of them.

mod chart;
mod embed;
mod markup;
mod opportunities;
mod parts;
mod tables;

use std::io::{self, Write};

use crate::analysis::{Analysis, Total};
use crate::json::run_sha256;
use crate::model::Report;
use markup::{Cell, Table, escape, facts, fold};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole page.
///
/// At most about 5 MB whatever the report's size. The same report and analysis give the same bytes.
pub fn html(report: &Report, analysis: &Analysis) -> String {
    let mut out = Vec::new();
    // Memory takes every byte, and what goes in is text.
    let written = html_to(report, analysis, &mut out);
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes the page part by part: it is never in memory as a whole, which would be most of what a long run needs.
///
/// # Errors
/// The writer's.
pub fn html_to(report: &Report, analysis: &Analysis, out: &mut impl Write) -> io::Result<()> {
    let title = escape(&report.program);
    out.write_all(b"<!doctype html>\n<html lang=en><head><meta charset=utf-8>")?;
    out.write_all(b"<meta name=viewport content=\"width=device-width,initial-scale=1\">")?;
    // Nothing may be fetched, even if a text from data slipped through.
    out.write_all(
        b"<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">",
    )?;
    writeln!(out, "<title>{title}: report</title><style>{STYLE}</style></head><body>")?;
    out.write_all(identity(report).as_bytes())?;
    out.write_all(contents(report, analysis).as_bytes())?;
    out.write_all(b"<main>\n")?;
    if let Some(total) = analysis.real.as_ref().filter(|total| total.runs > 1) {
        out.write_all(together(total).as_bytes())?;
    }
    for (index, (run, judged)) in report.runs.iter().zip(&analysis.runs).enumerate() {
        parts::run(index, run, judged, out)?;
    }
    out.write_all(settings(report).as_bytes())?;
    out.write_all(b"</main>\n<script type=\"application/json\" id=report-data>")?;
    embed::data_to(report, analysis, &mut markup::ScriptJson(&mut *out))?;
    writeln!(out, "</script>\n<script>{SCRIPT}</script>\n</body></html>")
}

fn identity(report: &Report) -> String {
    let hash = run_sha256(report).unwrap_or_else(|error| format!("not known: {error}"));
    let mut out = format!("<header><h1>{}</h1>\n", escape(&report.program));
    out.push_str("<p class=dim>Repeat with</p>");
    out.push_str(&format!("<pre>{}</pre>\n", escape(&report.command)));
    out.push_str(&format!(
        "<p class=dim>Run <code>{}</code>: the same value means the same run, byte for byte.</p></header>\n",
        escape(&hash)
    ));
    out
}

fn contents(report: &Report, analysis: &Analysis) -> String {
    let mut out = "<nav aria-label=Contents>".to_owned();
    if analysis.real.as_ref().is_some_and(|total| total.runs > 1) {
        out.push_str("<a href=\"#real\">All recorded data</a>");
    }
    for (index, run) in report.runs.iter().enumerate() {
        out.push_str(&format!("<a href=\"#run{index}\">{}</a>", escape(&run.heading)));
    }
    out.push_str("<a href=\"#settings\">Settings</a></nav>\n");
    out
}

fn together(total: &Total) -> String {
    let mut out = "<section id=real><h2>All recorded data together</h2>\n".to_owned();
    out.push_str(&markup::paragraph(&format!(
        "{} runs on recorded data. Synthetic data are in none of these figures.",
        total.runs
    )));
    out.push_str(&parts::verdict(&total.verdict));
    out.push_str(&markup::paragraph(&markup::minus(&format!(
        "Net {}.",
        crate::terminal::balance(&total.balance)
    ))));
    out.push_str(&parts::waterfall(&total.waterfall));
    out.push_str(&parts::bootstrap(&total.verdict));
    out.push_str(&tables::round_trips(&total.tables));
    out.push_str("</section>\n");
    out
}

fn settings(report: &Report) -> String {
    let mut table = Table::new("Settings", &["setting", "value", "from"]);
    for setting in &report.config {
        table.row(vec![
            Cell::text(&setting.key),
            Cell::long(&setting.value),
            Cell::text(&setting.origin),
        ]);
    }
    let mut out = "<section id=settings><h2>Settings</h2>\n".to_owned();
    let count = report.config.len();
    out.push_str(&fold(&format!("{count} settings with their origins"), &table.html()));
    out.push_str("<h3>How to read this</h3>\n");
    out.push_str(&facts(&[
        ("verdict", "One number per event (neg-risk group, else event, else market): its closed round trips, its open holdings at displayed depth and its rebates. EDGE needs at least 10 events on 3 UTC days, a 95 % interval of their mean wholly above zero, no possible largest loss that would turn the mean if it came in 3 of n events, and a positive net. NO EDGE is the mirror of it. Anything else is INCONCLUSIVE.".to_owned()),
        ("interval", "The outer ends of two intervals of the mean result of an event, one by events and one by UTC days: bootstrap-t, never narrower than Student's t.".to_owned()),
        ("ranges", "The run is repeated under several seeds of the simulated exchange: the median, and the ends of the middle nine tenths. The details are of the seed with the median net.".to_owned()),
        ("¢/share", "Cents of profit a share after fees; + is a gain.".to_owned()),
        ("open", "Holdings at what displayed depth would pay, minus their cost with fees.".to_owned()),
        ("machines", "This file carries its figures as JSON in the element report-data, with long lists shortened; report.json beside it has all of them.".to_owned()),
    ]));
    out.push_str("</section>\n");
    out
}
