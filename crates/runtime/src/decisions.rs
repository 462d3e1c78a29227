//! Decisions in plain words: one line a record of the engine, for logs, the terminal and the status page.

use polydesk_domain::{
    Action, ConditionId, Market, NoteLevel, OrderRecord, Record, Signal, Size, TokenId,
    TradeStatus, Universe,
};

/// How much a record matters to somebody who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Skips and details: log files only.
    Detail,
    /// Decisions and their results.
    Decision,
    /// Somebody should read it today.
    Warning,
    /// Somebody should read it now.
    Critical,
}

/// A record as a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub weight: Weight,
    /// Stable word of its kind: `signal`, `placed`, `fill`, …
    pub kind: &'static str,
    /// The line.
    pub text: String,
}

/// The line of a record.
pub fn line(record: &Record, universe: &Universe) -> Line {
    use Weight::{Critical, Decision, Detail, Warning};
    let market = |condition: &ConditionId| name(condition, universe);
    let (weight, kind, text) = match record {
        Record::Signal(signal) => (Decision, "signal", signal_text(signal, universe)),
        Record::SignalDropped { signal, market: of, code, .. } => {
            (Detail, "signal_dropped", format!("{signal} in {}: {code}", market(of)))
        }
        Record::Skip { strategy, market: of, reason } => {
            (Detail, "skip", format!("{strategy} skips {}: {reason}", market(of)))
        }
        Record::Denied { strategy, market: of, signal, reason } => {
            let place = of.as_ref().map(|of| format!(" in {}", market(of))).unwrap_or_default();
            let cause = signal.map(|signal| format!(" ({signal})")).unwrap_or_default();
            (Decision, "denied", format!("{strategy}{place}: {reason}{cause}"))
        }
        Record::Placed(order) => (Decision, "placed", placed_text(order, universe)),
        Record::OrderChanged { id, state, matched, cause, .. } => {
            // An order that never left, or that the venue refused, is what a person asks about.
            let failed = ["not sent", "rejected"].iter().any(|word| cause.starts_with(word));
            let weight = if failed { Decision } else { Detail };
            (weight, "order", format!("{id} is {state:?}, {matched} shares matched: {cause}"))
        }
        Record::Fill(fill) => {
            let fact = &fill.fill;
            let text = format!(
                "{} {} {} {} shares for {} pUSD, fee {}, {:?} {:?} ({})",
                fill.order,
                fill.side,
                market(&fill.market),
                fact.shares,
                fact.notional,
                fact.fee,
                fill.role,
                fill.status,
                fill.purpose.name(),
            );
            // Later stages of its settlement are no new fill.
            let weight = match fill.status {
                TradeStatus::Matched | TradeStatus::Failed => Decision,
                _ => Detail,
            };
            (weight, "fill", text)
        }
        Record::Correction(correction) => {
            let text = format!(
                "{}: {} pUSD instead of {}, fee {} instead of {}",
                correction.order,
                correction.after.notional,
                correction.before.notional,
                correction.after.fee,
                correction.before.fee
            );
            (Detail, "correction", text)
        }
        Record::Closed(trade) => {
            let text = format!(
                "{} {} {} shares: cost {}, proceeds {}, result {} ({})",
                trade.strategy,
                market(&trade.market),
                trade.shares,
                trade.cost,
                trade.proceeds,
                trade.proceeds - trade.cost,
                trade.reason.name()
            );
            (Decision, "closed", text)
        }
        Record::Opportunity { strategy, opportunity } => {
            let text = format!(
                "{strategy} saw {:?}: edge {} at best, ended with {}",
                opportunity.kind, opportunity.best_edge, opportunity.outcome
            );
            (Detail, "opportunity", text)
        }
        Record::BasketEnded(end) => {
            let text = format!(
                "{} {} in {}: {} of {} sets, expected {} ({})",
                end.id,
                end.strategy,
                market(&end.market),
                end.sets,
                end.wanted,
                end.expected,
                end.code
            );
            (Decision, "basket", text)
        }
        Record::Conversion { id, strategy, market: of, action, code, amount } => {
            let text =
                format!("{id} {strategy} {action:?} in {}: {code}, {amount} pUSD", market(of));
            (Decision, "conversion", text)
        }
        Record::Latch { code, on, lost } => {
            let word = if *on { "set" } else { "cleared" };
            (Critical, "latch", format!("{code} {word}, lost {lost} pUSD"))
        }
        Record::Blocker { cause, on, detail } => {
            let word = if *on { "set" } else { "cleared" };
            (Warning, "blocker", format!("{} {word}: {detail}", cause.code()))
        }
        Record::Note { level, code, text } => {
            let weight = match level {
                NoteLevel::Info => Detail,
                NoteLevel::Warning => Warning,
                NoteLevel::Critical => Critical,
            };
            (weight, "note", format!("{code}: {text}"))
        }
    };
    Line { weight, kind, text: clean(&text) }
}

/// A market by its slug, or by its condition id where it has none or is unknown.
pub fn name(condition: &ConditionId, universe: &Universe) -> String {
    let known = universe.key(condition).map(|key| universe.market(key));
    match known {
        Some(market) => shown(market),
        None => condition.to_string(),
    }
}

/// A market's name for persons, which `desk release market/NAME` takes too: its slug, or its condition id where the
/// slug is not what a part of a URL consists of.
pub fn shown(market: &Market) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let slug = &market.slug;
    match !slug.is_empty() && slug.len() <= LONGEST && slug.chars().all(fits) {
        true => slug.clone(),
        false => market.condition.to_string(),
    }
}

/// The longest slug that is shown.
const LONGEST: usize = 160;

/// Text from outside as [`clean`] leaves it, at most 160 characters of it.
pub fn plain(text: &str) -> String {
    clean(text).chars().take(LONGEST).collect()
}

/// Text on one line, without control characters and without those that change the direction or are not seen.
pub fn clean(text: &str) -> String {
    let unseen = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    text.chars().filter(|c| !c.is_control() && !unseen(*c)).collect()
}

fn signal_text(signal: &Signal<TokenId, ConditionId>, universe: &Universe) -> String {
    let what = match &signal.action {
        Action::Trade(trade) => format!("{} at {}", trade.side, trade.limit),
        Action::Quotes(quotes) if quotes.is_empty() => "pulls its quotes".to_owned(),
        Action::Quotes(quotes) => {
            let prices: Vec<String> =
                quotes.iter().map(|quote| format!("{} {}", quote.side, quote.price)).collect();
            format!("quotes {}", prices.join(", "))
        }
        Action::Basket(basket) => {
            format!("{:?} of {} legs, {} sets", basket.kind, basket.legs.len(), basket.sets)
        }
        Action::Close(_) => "closes".to_owned(),
    };
    let market = name(&signal.market, universe);
    format!(
        "{} {what} in {market}: {}, edge {} ({})",
        signal.strategy, signal.reason, signal.edge, signal.id
    )
}

fn placed_text(order: &OrderRecord, universe: &Universe) -> String {
    let size = match order.size {
        Size::Shares(shares) => format!("{shares} shares"),
        Size::Spend(spend) => format!("for {spend} pUSD"),
    };
    let post_only = if order.post_only { ", post-only" } else { "" };
    format!(
        "{} {} {} {size} of {:?} at {} in {}{post_only} ({})",
        order.id,
        order.strategy,
        order.side,
        order.outcome,
        order.price,
        name(&order.market, universe),
        order.purpose.name(),
    )
}
