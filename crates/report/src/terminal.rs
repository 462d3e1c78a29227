//! The report for a terminal: plain text of a given width, readable from 80 columns up.
//!
//! Gains and losses carry signs, so nothing depends on colour.

use polydesk_domain::Role;

use crate::analysis::{
    Analysis, Answer, Balance, GroupRow, Ratio, RunAnalysis, Tables, Verdict, Waterfall,
};
use crate::grid::{Grid, Page, Tone};
use crate::model::{BIAS_OF_SNAPSHOTS, Band, CROSSINGS_ONLY, Feed, Report, Run, Spread};
use crate::text::{
    count, counted, dash, duration, exact, interval, money, percent, shares, signed, signed_number,
};

/// Codes shown in the terminal for each kind; the HTML file and the JSON have all of them.
const CODES_SHOWN: usize = 5;
/// Markets shown from each end of the list.
const MARKETS_SHOWN: usize = 5;
/// Alarms shown; the files have more.
const ALARMS_SHOWN: usize = 5;
/// Days shown: two weeks; the files have all.
const DAYS_SHOWN: usize = 14;

/// The whole report as text.
///
/// No line is wider than `width` columns (at least 40). With `colour`, ANSI sequences are added.
pub fn terminal(report: &Report, analysis: &Analysis, width: usize, colour: bool) -> String {
    let mut page = Page::new(width, colour);
    page.line(&report.program, Tone::Bold);
    page.field("repeat with", &report.command);
    if report.runs.is_empty() {
        page.prose("Nothing was replayed.", Tone::Bad);
    }
    for (run, judged) in report.runs.iter().zip(&analysis.runs) {
        part(&mut page, run, judged);
    }
    if let Some(total) = &analysis.real
        && total.runs > 1
    {
        title(&mut page, "All recorded data together (synthetic data left out)");
        verdict(&mut page, &total.verdict);
        page.field("net", &balance(&total.balance));
        waterfall(&mut page, &total.waterfall);
        breakdown(&mut page, &total.tables);
    }
    page.finish()
}

fn title(page: &mut Page, text: &str) {
    page.gap();
    let rule = "═".repeat(page.width);
    page.line(&rule, Tone::Faint);
    page.prose(text, Tone::Bold);
}

fn part(page: &mut Page, run: &Run, judged: &RunAnalysis) {
    title(page, &run.heading);
    if run.synthetic {
        page.prose(
            "SYNTHETIC: made by a generator. Its figures are never added to real ones.",
            Tone::Bad,
        );
    }
    header(page, run);
    draws(page, run);
    verdict(page, &judged.verdict);
    alarms(page, run);
    money_facts(page, judged);
    waterfall(page, &judged.waterfall);
    breakdown(page, &judged.tables);
    execution(page, judged);
    markouts(page, judged);
    risk(page, judged);
    opportunities(page, run, judged);
    bands(page, run);
    data(page, run, judged);
}

fn header(page: &mut Page, run: &Run) {
    for tape in &run.tapes {
        let hash: String = tape.content_sha256.chars().take(12).collect();
        page.field("tape", &format!("{} (sha256 {hash}, {})", tape.name, tape.licence));
        page.field("source", &tape.source);
    }
    if let Some((first, last)) = run.span {
        let lasted = duration(first.until(last).as_millis());
        page.field("window", &format!("{first} to {last} ({lasted})"));
    }
    page.field(
        "events",
        &format!("{} rows, {} markets, seed {}", count(run.rows), run.markets.len(), run.seed),
    );
    let models: Vec<String> =
        run.models.iter().map(|(key, value)| format!("{} {value}", model_name(key))).collect();
    page.field("exchange", &models.join(" · "));
    page.field("feed", &feed(run));
    let hash: String = run.log_sha256.chars().take(16).collect();
    page.field("event log", &format!("{} lines, sha256 {hash}…", count(run.log_lines)));
}

/// How late rows were, and what is odd about it.
pub(crate) fn feed(run: &Run) -> String {
    let Feed { median_ms, p99_ms, received, not_later } = &run.feed;
    let (Some(median), Some(p99)) = (median_ms, p99_ms) else { return "no rows".to_owned() };
    let source = match *received {
        0 => "drawn",
        received if received >= run.rows => "as recorded",
        _ => "as recorded, where it is",
    };
    let mut text = format!("latency {source}: median {median} ms, p99 {p99} ms");
    if not_later.saturating_mul(100) > *received {
        text.push_str(&format!(
            "; WARNING: {} of {} rows were received no later than the venue sent them: a clock was wrong, or the \
             receive time is not one; their latency is drawn",
            count(*not_later),
            count(*received)
        ));
    }
    text
}

/// The setting's name without the section that all of them share.
pub(crate) fn model_name(key: &str) -> &str {
    key.strip_prefix("exchange.").unwrap_or(key)
}

fn verdict(page: &mut Page, verdict: &Verdict) {
    page.gap();
    let tone = match verdict.answer {
        Answer::Edge => Tone::Good,
        Answer::NoEdge => Tone::Bad,
        Answer::Inconclusive => Tone::Bold,
    };
    let words = verdict.answer.words();
    page.prose(&format!("VERDICT {words}: {}", verdict.reason), tone);
    page.prose(&figures(verdict), Tone::Plain);
    page.prose(&rule(verdict), Tone::Plain);
}

/// Latched limits and critical notes: a strategy that was stopped looks like one that did nothing.
fn alarms(page: &mut Page, run: &Run) {
    for alarm in run.alarms.iter().take(ALARMS_SHOWN) {
        let text = format!("ALARM {} {} {}: {}", alarm.at, alarm.kind, alarm.code, alarm.text);
        page.prose(&text, Tone::Bad);
    }
    let more = run.alarms.len().saturating_sub(ALARMS_SHOWN) as u64 + run.alarms_left_out;
    if more > 0 {
        page.prose(&format!("and {} more alarms", count(more)), Tone::Bad);
    }
}

fn money_facts(page: &mut Page, judged: &RunAnalysis) {
    page.heading("Money (pUSD)");
    let curve = &judged.curve;
    page.field("start, end", &format!("{}, {}", money(curve.start), money(curve.end)));
    page.field("net", &balance(&judged.balance));
    page.field(
        "return",
        &format!(
            "{} of the start; {} of mean locked capital {}",
            ratio(&curve.return_percent, "%"),
            ratio(&curve.locked_return_percent, "%"),
            money(curve.mean_locked)
        ),
    );
    page.field(
        "exposed",
        &format!(
            "{} with capital in holdings or open buys, {} of the run",
            duration(curve.exposed.as_millis()),
            ratio(&curve.exposed_percent, "%")
        ),
    );
}

/// The net with its parts, to the last digit; the page shows the same.
pub(crate) fn balance(of: &Balance) -> String {
    format!(
        "{} = closed round trips {} + open holdings at depth minus cost {} + rebates {} + rewards {} \
         + other {}",
        exact(of.net),
        exact(of.closed),
        exact(of.open),
        exact(of.rebates),
        exact(of.rewards),
        exact(of.other)
    )
}

fn ratio(ratio: &Ratio, unit: &str) -> String {
    match (ratio.value, &ratio.reason) {
        (Some(value), _) => format!("{value:.1}{unit}"),
        (None, Some(reason)) => format!("none ({reason})"),
        (None, None) => dash(),
    }
}

/// The figures a verdict rests on; the page shows the same.
pub(crate) fn figures(verdict: &Verdict) -> String {
    let Some(mean) = verdict.mean else {
        return format!("net {} pUSD, no result", signed(verdict.net));
    };
    format!(
        "net {} pUSD · {} in {} on {} · mean {} an event, at most {} lost in one",
        signed(verdict.net),
        counted(verdict.round_trips, "round trip"),
        counted(verdict.events, "event"),
        counted(verdict.days, "UTC day"),
        signed(mean),
        money(verdict.most_loss),
    )
}

/// The rule that decides, with its interval; the page shows the same.
pub(crate) fn rule(verdict: &Verdict) -> String {
    if verdict.interval.is_none() {
        return "EDGE and NO EDGE take a 95 % interval of that mean, by event and by UTC day"
            .to_owned();
    }
    format!(
        "95 % interval {} (the outer of {} by event and {} by day): EDGE if all of it is above zero, \
         NO EDGE if below",
        interval(verdict.interval),
        interval(verdict.by_event),
        interval(verdict.by_day),
    )
}

fn waterfall(page: &mut Page, waterfall: &Waterfall) {
    page.heading("Where the money went (pUSD)");
    let mut grid = Grid::new(1, &["step", "amount"]);
    for step in &waterfall.steps {
        let named = matches!(step.key, "maker_spread" | "taker_slippage" | "taker_fees")
            || matches!(step.key, "until_known" | "adverse_30s" | "settlement" | "remainder");
        if named || step.amount.micros() != 0 {
            grid.row(vec![step.name.to_owned(), signed(step.amount)]);
        }
    }
    grid.row(vec!["= net".to_owned(), signed(waterfall.net)]);
    page.table(&grid);
    if waterfall.failed_fills > 0 {
        let fills = waterfall.failed_fills;
        let lost = money(waterfall.failed_notional);
        page.prose(
            &format!("{fills} fills for {lost} failed to settle and count for nothing above"),
            Tone::Plain,
        );
    }
}

fn rows(page: &mut Page, name: &str, rows: &[GroupRow]) {
    if rows.is_empty() {
        return;
    }
    let mut grid = Grid::new(
        1,
        &[name, "n", "win", "net", "¢/share", "95 % of the mean", "open", "fees", "hold"],
    );
    for row in rows {
        grid.row(vec![
            row.key.clone(),
            count(row.n),
            percent(row.win_percent),
            signed(row.net),
            signed_number(row.cents_per_share),
            interval(row.interval),
            signed(row.open),
            money(row.fees),
            row.mean_hold_ms.map_or_else(dash, duration),
        ]);
    }
    page.gap();
    page.table(&grid);
}

fn breakdown(page: &mut Page, tables: &Tables) {
    page.heading("Round trips (pUSD; open: still held, at depth, minus cost)");
    if tables.total.n == 0 && tables.strategies.is_empty() {
        page.prose("No round trip was finished and nothing is held.", Tone::Plain);
        return;
    }
    rows(page, "strategy", &tables.strategies);
    let markets = &tables.markets;
    if markets.len() <= 2 * MARKETS_SHOWN {
        rows(page, "market", markets);
    } else {
        rows(page, "best markets", &markets[..MARKETS_SHOWN]);
        rows(page, "worst markets", &markets[markets.len() - MARKETS_SHOWN..]);
    }
    if tables.categories.len() > 1 {
        rows(page, "category", &tables.categories);
    }
    rows(page, "exit", &tables.exits);
    rows(page, "entry price", &tables.prices);
    let days = &tables.days;
    let name = if days.len() <= DAYS_SHOWN { "day (UTC)" } else { "latest days (UTC)" };
    rows(page, name, &days[days.len().saturating_sub(DAYS_SHOWN)..]);
}

fn execution(page: &mut Page, judged: &RunAnalysis) {
    page.heading("Execution");
    let mut grid = Grid::new(
        1,
        &[
            "strategy", "signals", "orders", "touched", "filled", "maker", "taker", "p50 wait",
            "p95 wait",
        ],
    );
    let wait = |ms: Option<f64>| ms.map_or_else(dash, |ms| duration(ms as i64));
    for orders in &judged.execution.strategies {
        grid.row(vec![
            orders.strategy.to_string(),
            count(orders.signals),
            count(orders.placed),
            percent(orders.touched_percent),
            percent(orders.filled_percent),
            count(orders.maker_fills),
            count(orders.taker_fills),
            wait(orders.wait_p50_ms),
            wait(orders.wait_p95_ms),
        ]);
    }
    page.table(&grid);
    let mut grid = Grid::new(3, &["what", "by", "code", "count"]);
    let (mut kind, mut shown, mut hidden) = ("", 0, 0);
    for code in &judged.execution.codes {
        if code.kind != kind {
            (kind, shown) = (code.kind, 0);
        }
        shown += 1;
        if shown > CODES_SHOWN {
            hidden += 1;
            continue;
        }
        grid.row(vec![
            code.kind.to_owned(),
            code.strategy.map_or_else(String::new, |strategy| strategy.to_string()),
            code.code.to_string(),
            count(code.count),
        ]);
    }
    page.gap();
    page.table(&grid);
    if hidden > 0 {
        page.line(&format!("and {hidden} rarer codes: see the HTML report"), Tone::Faint);
    }
}

fn markouts(page: &mut Page, judged: &RunAnalysis) {
    if judged.markouts.is_empty() {
        return;
    }
    page.heading(
        "Markouts (¢/share by shares: middle so long after the match versus price; + is for us)",
    );
    let mut grid = Grid::new(
        3,
        &["strategy", "role", "purpose", "fills", "0 s", "5 s", "30 s", "60 s", "300 s"],
    );
    for markout in &judged.markouts {
        let role = if markout.role == Role::Maker { "maker" } else { "taker" };
        let mut cells = vec![
            markout.strategy.to_string(),
            role.to_owned(),
            markout.purpose.to_owned(),
            count(markout.fills),
        ];
        cells.extend(markout.at.iter().map(|at| signed_number(at.weighted_cents)));
        grid.row(cells);
    }
    page.table(&grid);
}

fn risk(page: &mut Page, judged: &RunAnalysis) {
    page.heading("Risk");
    let (risk, curve) = (&judged.risk, &judged.curve);
    let fall = match &curve.drawdown {
        None => "none".to_owned(),
        Some(fall) => {
            let recovered =
                fall.recovered.map_or("not recovered".to_owned(), |at| format!("recovered {at}"));
            format!(
                "{} pUSD ({}), from {} to {}, {recovered}, {} in all",
                money(fall.depth),
                percent(fall.percent.value),
                fall.start,
                fall.bottom,
                duration(fall.duration.as_millis())
            )
        }
    };
    page.field("drawdown", &fall);
    page.field(
        "locked",
        &format!(
            "peak {}, mean {}; traded {}, turnover {}",
            money(curve.peak_locked),
            money(curve.mean_locked),
            money(curve.traded),
            ratio(&curve.turnover, "")
        ),
    );
    if let Some(day) = &curve.worst_day {
        let date: String = day.day.to_string().chars().take(10).collect();
        page.field("worst day", &format!("{date} {}", signed(day.change)));
    }
    if let Some(worst) = &risk.worst_event {
        page.field("worst event", &format!("{} {}", signed(worst.amount), worst.event));
    }
    page.field(
        "concentration",
        &format!(
            "best trip {} of gross profit, best five {}; net without the best three {}",
            ratio(&risk.top1_percent, "%"),
            ratio(&risk.top5_percent, "%"),
            signed(risk.net_without_best_3)
        ),
    );
    page.field(
        "losses",
        &format!(
            "{} in a row at most; profit factor {}",
            risk.losing_streak,
            ratio(&risk.profit_factor, "")
        ),
    );
    let mut held = format!("cost {}, at depth {}", money(risk.open_cost), money(risk.open_mark));
    if let Some(event) = &risk.worst_open_event {
        held.push_str(&format!("; most in one event {} ({})", money(event.amount), event.event));
    }
    page.field("still held", &held);
}

fn opportunities(page: &mut Page, run: &Run, judged: &RunAnalysis) {
    let seen = &judged.opportunities;
    if run.opportunities.is_empty() && run.baskets.is_empty() {
        return;
    }
    page.heading("Opportunities (edges after fees in pUSD)");
    let mut grid =
        Grid::new(2, &["kind", "outcome", "count", "best edge", "sum of edges", "lived"]);
    for group in &seen.groups {
        grid.row(vec![
            group.kind.name().to_owned(),
            group.outcome.to_string(),
            count(group.count),
            money(group.best_edge),
            money(group.sum_edge),
            duration(group.lifetime.as_millis()),
        ]);
    }
    page.table(&grid);
    let mut grid = Grid::new(2, &["baskets", "ended", "count", "expected", "wanted", "reached"]);
    for basket in &seen.baskets {
        grid.row(vec![
            basket.kind.name().to_owned(),
            basket.code.to_string(),
            count(basket.count),
            money(basket.expected),
            shares(basket.wanted),
            shares(basket.reached),
        ]);
    }
    if !grid.is_empty() {
        page.gap();
        page.table(&grid);
    }
}

fn bands(page: &mut Page, run: &Run) {
    if run.bands.is_empty() && run.latency.is_empty() {
        return;
    }
    page.heading("Bands: the same run under other exchange settings");
    let seeds = run.draws.seeds;
    page.line(&format!("median and 5 to 95 % of {seeds} seeds each"), Tone::Faint);
    let mut grid = Grid::new(1, &["band", "net", "5 .. 95 %", "fills", "trips", "fees"]);
    for band in run.bands.iter().chain(&run.latency) {
        grid.row(vec![
            band.name.clone(),
            signed(band.net.median),
            format!("{} .. {}", signed(band.net.low), signed(band.net.high)),
            count(band.fills.median),
            count(band.round_trips.median),
            money(band.fees.median),
        ]);
    }
    page.table(&grid);
    for band in &run.bands {
        page.prose(&format!("{}: {}", band.name, band.settings), Tone::Faint);
    }
    if let Some(text) = out_of_order(&run.bands) {
        page.prose(&text, Tone::Bold);
    }
}

/// The headline figure as a range.
fn draws(page: &mut Page, run: &Run) {
    page.gap();
    page.prose(&range(&run.draws, run.seed), Tone::Bold);
}

/// Net over the seeds, and which seed the details are of.
pub(crate) fn range(draws: &Band, seed: u64) -> String {
    let net = signed(draws.net.median);
    if draws.seeds < 2 {
        return format!("NET {net} pUSD under one seed: how much of it is chance is not known");
    }
    let between = |of: &Spread<u64>| {
        format!("{} ({} .. {})", count(of.median), count(of.low), count(of.high))
    };
    format!(
        "NET {net} pUSD ({} .. {}), round trips {}, fills {}, fees {} ({} .. {}): median and 5 to 95 % of {} seeds; the \
         details below are of seed {seed}",
        signed(draws.net.low),
        signed(draws.net.high),
        between(&draws.round_trips),
        between(&draws.fills),
        money(draws.fees.median),
        money(draws.fees.low),
        money(draws.fees.high),
        draws.seeds
    )
}

/// What is odd about bands whose medians do not grow from the slower to the faster exchange.
pub(crate) fn out_of_order(bands: &[Band]) -> Option<String> {
    let odd = bands.windows(2).find(|pair| pair[0].net.median > pair[1].net.median)?;
    Some(format!(
        "the bands are not in order: {} {}, {} {}. The strategies gain from what should hurt them, or the seeds are too few.",
        odd[0].name,
        signed(odd[0].net.median),
        odd[1].name,
        signed(odd[1].net.median)
    ))
}

fn data(page: &mut Page, run: &Run, judged: &RunAnalysis) {
    page.heading("Data and checks");
    let data = &run.data;
    page.field(
        "books",
        &format!(
            "{} of the time usable; {} batches, {} crossed, {} with other best prices",
            percent(judged.usable_percent.value),
            count(data.batches),
            count(data.crossed),
            count(data.top_mismatches)
        ),
    );
    page.field(
        "changes",
        &format!(
            "{} changed a level, {} changed nothing, {} tick sizes inferred",
            count(data.changes),
            count(data.no_ops),
            count(data.inferred_ticks)
        ),
    );
    page.field("unresolved", &format!("{} markets", data.unresolved_markets));
    let mut rules = std::collections::BTreeMap::<&str, usize>::new();
    let mut assumed = std::collections::BTreeMap::<&str, usize>::new();
    for market in &run.markets {
        *rules.entry(&market.fill_rule).or_default() += 1;
        for fact in &market.assumed {
            *assumed.entry(fact).or_default() += 1;
        }
    }
    for (rule, markets) in rules {
        page.field("fill rule", &format!("{rule} ({markets} markets)"));
        if rule == CROSSINGS_ONLY {
            page.field("bias", BIAS_OF_SNAPSHOTS);
        }
    }
    for (fact, markets) in assumed {
        page.field("assumed", &format!("{fact} ({markets} markets)"));
    }
    for check in &run.checks {
        let text = format!("{}: {}", check.name, check.detail);
        if check.passed {
            page.field("check ok", &text);
        } else {
            page.prose(&format!("CHECK FAILED  {text}"), Tone::Bad);
        }
    }
}
