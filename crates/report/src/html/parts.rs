//! The sections of one run on the page.

use std::io::{self, Write};

use super::chart::{self, Axis, Ink, Line};
use super::markup::{Cell, Table, escape, facts, figure, fold, minus, paragraph};
use super::{opportunities, tables};
use crate::analysis::binned;
use crate::analysis::{Answer, Ratio, RunAnalysis, Verdict, Waterfall};
use crate::markets::Markets;
use crate::model::{BIAS_OF_SNAPSHOTS, CROSSINGS_ONLY, EquityPoint, Run};
use crate::terminal::{balance, feed, figures, model_name, out_of_order, range, rule};
use crate::text::{count, duration, money, percent, signed};

/// Stretches of a curve; each keeps its lowest and highest point.
const BUCKETS: usize = 500;

const SYNTHETIC: &str = "<p><span class=tag>SYNTHETIC</span> Made by a generator: no market, price or trade is real, and nothing of it is added to real figures.</p>\n";

fn dollars(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Writes all sections of one run, one after the other.
pub(crate) fn run(
    index: usize,
    run: &Run,
    judged: &RunAnalysis,
    out: &mut impl Write,
) -> io::Result<()> {
    let markets = Markets::of(run);
    writeln!(out, "<section id=run{index}><h2>{}</h2>", escape(&run.heading))?;
    if run.synthetic {
        out.write_all(SYNTHETIC.as_bytes())?;
    }
    writeln!(out, "<p><b>{}</b></p>", escape(&range(&run.draws, run.seed)))?;
    out.write_all(verdict(&judged.verdict).as_bytes())?;
    out.write_all(alarms(run).as_bytes())?;
    out.write_all(header(run).as_bytes())?;
    out.write_all(curves(run, judged).as_bytes())?;
    out.write_all(waterfall(&judged.waterfall).as_bytes())?;
    out.write_all(bootstrap(&judged.verdict).as_bytes())?;
    out.write_all(tables::round_trips(&judged.tables).as_bytes())?;
    out.write_all(tables::trips(run, &markets).as_bytes())?;
    out.write_all(markouts(judged).as_bytes())?;
    out.write_all(b"<h3>Fills and execution</h3>\n")?;
    out.write_all(tables::execution(&judged.execution).as_bytes())?;
    out.write_all(waits(run).as_bytes())?;
    out.write_all(risk(run, judged).as_bytes())?;
    out.write_all(opportunities::section(run, &judged.opportunities, &markets).as_bytes())?;
    out.write_all(bands(run).as_bytes())?;
    out.write_all(data(run, judged).as_bytes())?;
    out.write_all(b"</section>\n")
}

/// The verdict and its basis.
pub(crate) fn verdict(verdict: &Verdict) -> String {
    let class = match verdict.answer {
        Answer::Edge => "answer pos",
        Answer::NoEdge => "answer neg",
        Answer::Inconclusive => "answer",
    };
    format!(
        "<div class=card><p class=\"{class}\">{}</p><p>{}</p><p class=dim>{}<br>{}</p></div>\n",
        verdict.answer.words(),
        escape(&verdict.reason),
        escape(&minus(&figures(verdict))),
        escape(&minus(&rule(verdict)))
    )
}

/// Latched loss limits and critical notes.
fn alarms(run: &Run) -> String {
    if run.alarms.is_empty() {
        return String::new();
    }
    let mut table = Table::new("Alarms", &["time", "kind", "code", "text"]);
    for alarm in &run.alarms {
        table.row(vec![
            Cell::text(alarm.at.to_string()),
            Cell::text(&alarm.kind),
            Cell::text(alarm.code.as_str()),
            Cell::long(&alarm.text),
        ]);
    }
    let more = match run.alarms_left_out {
        0 => String::new(),
        left_out => paragraph(&format!("And {} more.", count(left_out))),
    };
    format!("<h3>Alarms: latched limits and critical notes</h3>\n{}{more}", table.html())
}

fn header(run: &Run) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    for tape in &run.tapes {
        rows.push(("tape", format!("{} · sha256 {}", tape.name, tape.content_sha256)));
        rows.push(("source", format!("{} · licence {}", tape.source, tape.licence)));
        let known =
            if tape.receive_times { "known" } else { "not known; feed latency is simulated" };
        rows.push(("receive times", known.to_owned()));
    }
    if let Some((first, last)) = run.span {
        let lasted = duration(first.until(last).as_millis());
        rows.push(("window", format!("{first} to {last} ({lasted})")));
    }
    rows.push(("events", format!("{} rows, {} markets", count(run.rows), run.markets.len())));
    rows.push(("seed", run.seed.to_string()));
    let models: Vec<String> =
        run.models.iter().map(|(key, value)| format!("{} {value}", model_name(key))).collect();
    rows.push(("exchange", models.join(" · ")));
    rows.push(("feed", feed(run)));
    rows.push(("event log", format!("{} lines · sha256 {}", count(run.log_lines), run.log_sha256)));
    facts(&rows)
}

fn curves(run: &Run, judged: &RunAnalysis) -> String {
    let mut out = "<h3>Equity, drawdown, exposure</h3>\n".to_owned();
    if run.equity.is_empty() {
        out.push_str(&paragraph("No equity was recorded."));
    } else {
        out.push_str(&charts(run));
    }
    let curve = &judged.curve;
    let mut rows = Vec::new();
    rows.push((
        "money",
        format!("{} $ at the start, {} $ at the end", money(curve.start), money(curve.end)),
    ));
    rows.push(("net", minus(&balance(&judged.balance))));
    rows.push(("return", ratio(&curve.return_percent, " % of the start")));
    rows.push((
        "return on locked capital",
        ratio(&curve.locked_return_percent, " % of mean locked capital"),
    ));
    rows.push((
        "exposed",
        format!(
            "{}, {}",
            duration(curve.exposed.as_millis()),
            ratio(&curve.exposed_percent, " % of the run")
        ),
    ));
    rows.push((
        "deepest drawdown",
        match &curve.drawdown {
            None => "none".to_owned(),
            Some(fall) => format!(
                "{} $ ({}) from {} to {}, {}, {} in all",
                money(fall.depth),
                percent(fall.percent.value),
                fall.start,
                fall.bottom,
                fall.recovered.map_or("not recovered".to_owned(), |at| format!("recovered {at}")),
                duration(fall.duration.as_millis())
            ),
        },
    ));
    rows.push((
        "locked capital",
        format!("peak {} $, mean {} $", money(curve.peak_locked), money(curve.mean_locked)),
    ));
    rows.push(("traded", format!("{} $", money(curve.traded))));
    rows.push(("turnover", ratio(&curve.turnover, " × mean locked capital")));
    if let Some(day) = &curve.worst_day {
        let date: String = day.day.to_string().chars().take(10).collect();
        rows.push(("worst day", format!("{date}: {} $", minus(&signed(day.change)))));
    }
    out.push_str(&facts(&rows));
    out
}

/// The curves, from points thinned for drawing.
fn charts(run: &Run) -> String {
    let mut out = String::new();
    let series = |value: &dyn Fn(&EquityPoint) -> i64| -> Vec<(i64, f64)> {
        let all: Vec<(i64, f64)> =
            run.equity.iter().map(|p| (p.at.nanos(), dollars(value(p)))).collect();
        chart::thin(&all, BUCKETS)
    };
    let start = run.starting_cash.micros();
    let equity = series(&|p| p.equity.micros().saturating_sub(start));
    let realised = series(&|p| p.realised.micros());
    let locked = series(&|p| p.locked.micros());
    let mut peak = start;
    let mut under = Vec::new();
    for point in &run.equity {
        peak = peak.max(point.equity.micros());
        let fall = dollars(point.equity.micros().saturating_sub(peak));
        under.push((point.at.nanos(), fall));
    }
    let line = |name, ink, area, points| Line { name, ink, area, points };
    out.push_str(&figure(
        chart::lines(
            "Profit and loss over time",
            &[
                line("holdings at depth", Ink::Blue, Some(Ink::BlueArea), equity),
                line("finished round trips", Ink::Dashed, None, realised),
            ],
            Axis::Time,
            "pUSD",
            560,
        ),
        "Equity minus money at the start, holdings at what displayed depth would pay; finished round trips alone beside it.",
    ));
    let under = chart::thin(&under, BUCKETS);
    out.push_str(&figure(
        chart::lines(
            "Drawdown over time",
            &[line("drawdown", Ink::Orange, Some(Ink::OrangeArea), under)],
            Axis::Time,
            "pUSD",
            360,
        ),
        "Drawdown: equity below its highest value so far.",
    ));
    out.push_str(&figure(
        chart::lines(
            "Locked capital over time",
            &[line("locked capital", Ink::Plain, None, locked)],
            Axis::Time,
            "pUSD",
            360,
        ),
        "Locked capital: holdings at cost plus what open buys may take.",
    ));
    out
}

fn ratio(ratio: &Ratio, unit: &str) -> String {
    match (ratio.value, &ratio.reason) {
        (Some(value), _) => format!("{value:.2}{unit}"),
        (None, Some(reason)) => format!("none: {reason}"),
        (None, None) => "none".to_owned(),
    }
}

/// The money's steps as chart and table.
pub(crate) fn waterfall(waterfall: &Waterfall) -> String {
    let mut out = "<h3>Where the money went</h3>\n".to_owned();
    let mut steps = Vec::new();
    let mut table =
        Table::new("Steps of the result", &["step", "amount $", "exact", "what is counted"]);
    let exact = |amount: polydesk_domain::Usdc| minus(&amount.to_string());
    for step in &waterfall.steps {
        if step.amount.micros() != 0 {
            let shown = minus(&signed(step.amount));
            steps.push((step.name.to_owned(), dollars(step.amount.micros()), shown));
        }
        table.row(vec![
            Cell::text(step.name),
            Cell::gain(step.amount),
            Cell::figure(exact(step.amount), Some(step.amount.micros() as f64)),
            Cell::long(step.definition),
        ]);
    }
    let net = waterfall.net;
    table.sum(vec![
        Cell::text("net"),
        Cell::gain(net),
        Cell::figure(exact(net), None),
        Cell::long("equity at the end minus money at the start"),
    ]);
    let shown = minus(&signed(net));
    out.push_str(&figure(
        chart::waterfall("Steps from nothing to the net", &steps, (dollars(net.micros()), shown)),
        "Every step starts where the one above ended; steps of zero are in the table only.",
    ));
    out.push_str(&table.html());
    out.push_str(&paragraph(&format!(
        "Takers' slippage versus the middle when their orders were decided: {} $ ({} fills without that middle). Fills that failed to settle: {}, for {} $; they count for nothing.",
        minus(&signed(waterfall.slippage_since_decision)),
        waterfall.slippage_unknown,
        waterfall.failed_fills,
        money(waterfall.failed_notional)
    )));
    out
}

/// How the mean of resamples spreads.
pub(crate) fn bootstrap(verdict: &Verdict) -> String {
    let bins = &verdict.bootstrap;
    let (from, to) = (dollars(bins.from.micros()), dollars(bins.to.micros()));
    let chart = chart::histogram(
        "Mean result of an event over resamples",
        from,
        to,
        &bins.counts,
        ("mean result of an event, pUSD", "resamples"),
    );
    figure(
        chart,
        &format!(
            "Mean result of an event in {} resamples of events; orange is below zero. {}",
            count(verdict.resamples),
            rule(verdict)
        ),
    )
}

fn markouts(judged: &RunAnalysis) -> String {
    let mut out = "<h3>Markouts</h3>\n".to_owned();
    if judged.markouts.is_empty() {
        out.push_str(&paragraph("There were no fills."));
        return out;
    }
    for markout in judged.markouts.iter().filter(|markout| markout.fills >= 5).take(8) {
        let mut rows = Vec::new();
        for at in &markout.at {
            if let Some(cents) = at.weighted_cents {
                let name = format!("after {} s (n {})", at.secs, at.n);
                rows.push((name, cents, minus(&format!("{cents:+.2} ¢"))));
            }
        }
        let role = tables::role(markout.role);
        let name = format!(
            "{} · {role} · {} · {} fills",
            markout.strategy, markout.purpose, markout.fills
        );
        out.push_str(&figure(chart::bars(&format!("Markouts of {name}"), &rows), &name));
    }
    out.push_str(&paragraph("The middle of the exchange's book so long after the match versus the price of the fill, + is for us. Kinds with fewer than five fills are in the table only."));
    out.push_str(&tables::markouts_by_shares(&judged.markouts));
    let all = tables::markouts(&judged.markouts);
    out.push_str(&fold("Markouts with means over fills, counts and what is missing", &all));
    out
}

/// How long orders of each strategy waited for their first fill.
fn waits(run: &Run) -> String {
    let mut out = String::new();
    for orders in run.orders.iter().filter(|orders| orders.waits_ms.len() >= 5) {
        let rows: Vec<(String, f64, String)> = binned(&orders.waits_ms)
            .into_iter()
            .map(|(bin, waits)| (bin.to_owned(), waits as f64, count(waits)))
            .collect();
        let name = format!("{}: from decision to first fill", orders.strategy);
        out.push_str(&figure(chart::bars(&name, &rows), &name));
    }
    out
}

fn risk(run: &Run, judged: &RunAnalysis) -> String {
    let risk = &judged.risk;
    let event = |result: &Option<crate::analysis::EventResult>| match result {
        None => "none".to_owned(),
        Some(result) => format!("{} $ · {}", minus(&signed(result.amount)), result.event),
    };
    let mut out = "<h3>Risk and concentration</h3>\n".to_owned();
    out.push_str(&facts(&[
        ("worst event", event(&risk.worst_event)),
        ("best round trip", ratio(&risk.top1_percent, " % of gross profit")),
        ("best five", ratio(&risk.top5_percent, " % of gross profit")),
        ("net without the best three", format!("{} $", minus(&signed(risk.net_without_best_3)))),
        ("profit factor", ratio(&risk.profit_factor, "")),
        ("longest losing streak", format!("{} round trips", risk.losing_streak)),
        (
            "still held",
            format!("cost {} $, at depth {} $", money(risk.open_cost), money(risk.open_mark)),
        ),
        (
            "most at stake in one event at the end",
            risk.worst_open_event.as_ref().map_or("nothing".to_owned(), |stake| {
                format!("{} $ at cost · {}", money(stake.amount), stake.event)
            }),
        ),
    ]));
    let mut profits: Vec<f64> = run
        .round_trips
        .iter()
        .map(|trip| dollars(trip.proceeds.micros()) - dollars(trip.cost.micros()))
        .collect();
    profits.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut points) = (0.0, Vec::new());
    for (i, profit) in profits.iter().enumerate() {
        sum += profit;
        points.push((i as i64 + 1, sum));
    }
    if points.len() > 1 {
        let line = Line {
            name: "sum",
            ink: Ink::Blue,
            area: Some(Ink::BlueArea),
            points: chart::thin(&points, BUCKETS),
        };
        let axis = Axis::Count("round trips");
        out.push_str(&figure(
            chart::lines("Result by round trip, best first", &[line], axis, "pUSD", 420),
            "Result of round trips added up from the best to the worst: a steep start means few trips carry the profit.",
        ));
    }
    out
}

fn bands(run: &Run) -> String {
    if run.bands.is_empty() && run.latency.is_empty() {
        return String::new();
    }
    let mut out = "<h3>Bands: the same run under other exchange settings</h3>\n".to_owned();
    let mut rows = Vec::new();
    let mut table = Table::new(
        "Bands",
        &["band", "net $", "5 %", "95 %", "fills", "round trips", "fees $", "settings"],
    );
    for band in run.bands.iter().chain(&run.latency) {
        let net = band.net.median;
        rows.push((band.name.clone(), dollars(net.micros()), minus(&signed(net))));
        table.row(vec![
            Cell::text(&band.name),
            Cell::gain(net),
            Cell::gain(band.net.low),
            Cell::gain(band.net.high),
            Cell::count(band.fills.median),
            Cell::count(band.round_trips.median),
            Cell::money(band.fees.median),
            Cell::long(&band.settings),
        ]);
    }
    let words = format!("Median net in pUSD of {} seeds each.", run.draws.seeds);
    out.push_str(&figure(chart::bars("Net by band", &rows), &words));
    if let Some(odd) = out_of_order(&run.bands) {
        out.push_str(&format!("<p>{}</p>\n", escape(&odd)));
    }
    out.push_str(&table.html());
    out
}

fn data(run: &Run, judged: &RunAnalysis) -> String {
    let data = &run.data;
    let mut out = "<h3>Data quality and checks</h3>\n".to_owned();
    let mut checks = Table::new("Checks", &["result", "check", "figures"]);
    for check in &run.checks {
        checks.row(vec![
            Cell::text(if check.passed { "✓ passed" } else { "✗ FAILED" }),
            Cell::long(&check.name),
            Cell::long(&check.detail),
        ]);
    }
    out.push_str(&checks.html());
    out.push_str(&facts(&[
        ("time with a usable book", ratio(&judged.usable_percent, " %")),
        (
            "batches",
            format!(
                "{}, of which {} left a book crossed and {} disagreed with carried best prices",
                count(data.batches),
                count(data.crossed),
                count(data.top_mismatches)
            ),
        ),
        (
            "level changes",
            format!(
                "{} changed something, {} changed nothing (mirrors and repeats)",
                count(data.changes),
                count(data.no_ops)
            ),
        ),
        ("tick sizes inferred from prices", count(data.inferred_ticks)),
        ("markets without a resolution", count(data.unresolved_markets)),
    ]));
    if run.markets.iter().any(|market| market.fill_rule == CROSSINGS_ONLY) {
        out.push_str(&format!("<p>{}</p>\n", escape(BIAS_OF_SNAPSHOTS)));
    }
    out.push_str(&tables::markets(run));
    for tape in &run.tapes {
        let lines = format!("<pre>{}</pre>", escape_lines(&tape.certificate));
        out.push_str(&fold(&format!("Certificate of {}", tape.name), &lines));
    }
    out
}

/// Escaped line by line, as a line's end is a control character.
fn escape_lines(lines: &[String]) -> String {
    let lines: Vec<String> = lines.iter().take(tables::SHOWN).map(|line| escape(line)).collect();
    lines.join("\n")
}
