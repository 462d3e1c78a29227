//! Compares the simulated fills with real ones: what would each model of queue and delay have said of orders
//! whose fate is known?
//!
//! Each order is simulated alone: nothing of ours is ahead of it or takes its prints. Its exchange is a copy
//! of one that has seen the tape so far, and it sees the rows of its market until the order is over.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountEvent, BookQuality, ClientOrderId, Command, Event, MarketEvent, MarketKey, OrderUpdate,
    Outcome, PlaceOrder, Price, RejectReason, Shares, Side, Size, Span, Stamped, StrategyId, Tif,
    Time, Token, TokenId, TradeStatus, Usdc,
};
use polydesk_sim::{Delay, Latency, QueueModel, Sim, SimConfig, SimError};
use polydesk_tape::{EventSource, TapeError, blank};
use serde::{Deserialize, Serialize};

/// A real order that rested, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RealOrder {
    /// The venue's id, or any name; only shown.
    pub id: String,
    /// Token, by its venue id.
    pub token: TokenId,
    /// Side.
    pub side: Side,
    /// Limit price, in dollars per share.
    pub price: Price,
    /// Shares.
    pub size: Shares,
    /// When its request was sent, as RFC 3339 in UTC.
    #[serde(with = "text_time")]
    pub placed: Time,
    /// When its cancel was sent; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "some_text_time")]
    pub cancelled: Option<Time>,
    /// Shares that were filled in the end.
    pub filled: Shares,
    /// When the first fill was matched, by the venue's clock; absent: none was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "some_text_time")]
    pub first_fill: Option<Time>,
}

impl RealOrder {
    /// What is wrong with it, if anything.
    fn problem(&self) -> Option<String> {
        if self.size.is_zero() {
            return Some("size is 0; state the shares of the order".to_owned());
        }
        if self.filled > self.size {
            return Some(format!("filled {} is more than size {}", self.filled, self.size));
        }
        if self.filled.is_zero() != self.first_fill.is_none() {
            return Some("filled and first_fill go together: state both or neither".to_owned());
        }
        let early = |time: &Option<Time>| time.is_some_and(|time| time < self.placed);
        (early(&self.cancelled) || early(&self.first_fill))
            .then(|| "cancelled or first_fill stands before placed".to_owned())
    }
}

/// Reads orders, one JSON object a line; empty lines are skipped.
///
/// # Errors
/// The first line that is no order, or contradicts itself: its number and what is wrong.
pub fn read_orders(text: &str) -> Result<Vec<RealOrder>, String> {
    let mut orders = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let order: RealOrder =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))?;
        if let Some(problem) = order.problem() {
            return Err(format!("line {}: order {}: {problem}", index + 1, order.id));
        }
        orders.push(order);
    }
    orders.sort_by_key(|order| order.placed);
    Ok(orders)
}

/// A model under judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Model {
    /// What moves an order forward in its queue.
    pub queue: QueueModel,
    /// From the request to the book, for orders and for cancels.
    pub delay: Span,
}

/// What a model says of one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Predicted {
    /// Shares filled.
    pub filled: Shares,
    /// When the first fill was matched.
    pub first_fill: Option<Time>,
}

/// How well a model did over all orders. Scores are in parts of a thousand of an order, so that they are sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Score {
    /// Filled in truth and by the model.
    pub both: u64,
    /// Filled by the model only.
    pub model_only: u64,
    /// Filled in truth only.
    pub truth_only: u64,
    /// Filled by neither.
    pub neither: u64,
    /// Orders that no model can judge: the tape does not know their token, their time, or their book.
    pub not_judged: u64,
    /// Sum over orders of the shares' error, in thousandths of the order's size.
    pub shares_error: u64,
    /// Sum over orders of the first fill's error, in thousandths of a minute, at most a minute each; a minute
    /// where only one side was filled.
    pub time_error: u64,
}

impl Score {
    /// The smaller, the better.
    pub fn sum(&self) -> u64 {
        self.shares_error + self.time_error
    }

    fn judge(&mut self, order: &RealOrder, predicted: Option<Predicted>) {
        let Some(predicted) = predicted else {
            self.not_judged += 1;
            return;
        };
        let (real, said) = (order.first_fill, predicted.first_fill);
        *match (real.is_some(), said.is_some()) {
            (true, true) => &mut self.both,
            (false, true) => &mut self.model_only,
            (true, false) => &mut self.truth_only,
            (false, false) => &mut self.neither,
        } += 1;
        let (more, less) = (order.filled.max(predicted.filled), order.filled.min(predicted.filled));
        let error = u128::from((more - less).micros()) * 1_000 / u128::from(order.size.micros());
        self.shares_error += error as u64;
        self.time_error += match (real, said) {
            (Some(real), Some(said)) => {
                let apart = real.min(said).until(real.max(said)).as_millis().min(60_000);
                u64::try_from(apart).unwrap_or(60_000) / 60
            }
            (None, None) => 0,
            _ => 1_000,
        };
    }
}

/// An error that stops a judgement.
#[derive(Debug, thiserror::Error)]
pub enum TruthError {
    /// The tape could not be read.
    #[error("the tape could not be read")]
    Tape(#[from] TapeError),
    /// The exchange's settings break a rule.
    #[error("the exchange cannot be made")]
    Sim(#[from] SimError),
}

/// What one model says of every order, in their order; `None` where the tape does not know it: sent before it
/// begins or while nothing is known of the book, with a gap in the order's life, first filled after the end, or
/// of a size or price that the market as recorded does not take.
/// That depends on tape and order alone, so every model is judged by the same orders.
///
/// Of the settings only what concerns matching is used: nothing is lost, and settlement changes nothing.
///
/// # Errors
/// The tape or the settings.
pub fn predict(
    source: &mut dyn EventSource,
    orders: &[RealOrder],
    config: &SimConfig,
    model: Model,
) -> Result<Vec<Option<Predicted>>, TruthError> {
    let delay = Delay::Constant(model.delay);
    let latency =
        Latency { insert: delay, cancel: delay, answer: Delay::NONE, ..Latency::default() };
    let instant = SimConfig::instant();
    let config = SimConfig {
        starting_cash: Usdc::whole(100_000_000),
        latency,
        queue: model.queue,
        settlement: instant.settlement,
        faults: instant.faults,
        ..*config
    };
    let mut base = Sim::new(config, 1)?;
    let mut tokens = BTreeMap::new();
    let mut out = vec![None; orders.len()];
    let mut running: Vec<Alone> = Vec::new();
    let (mut next, mut stamped, mut updates) = (0, blank(), Vec::new());
    let mut by_time: Vec<usize> = (0..orders.len()).collect();
    by_time.sort_by_key(|index| orders[*index].placed);
    let mut known = Known::default();
    let mut first = true;
    while source.next_into(&mut stamped)? {
        let at = stamped.venue_at.min(stamped.at);
        while let Some(&index) = by_time.get(next).filter(|index| orders[**index].placed <= at) {
            // What was placed before the tape begins, or of a token it does not list, cannot be judged.
            let token = tokens.get(&orders[index].token).filter(|_| !first);
            if let Some(token) = token.filter(|token| is_known(&base, **token)) {
                running.push(Alone::new(index, &orders[index], *token, &base));
                out[index] = Some(Predicted::default());
            }
            next += 1;
        }
        first = false;
        known.row(at, &stamped);
        let market = market_of(&stamped);
        running.retain_mut(|alone| {
            if market.is_none_or(|market| market == alone.token.market()) {
                alone.row(at, &stamped);
            }
            out[alone.index] = alone.said();
            !alone.over
        });
        if let Event::Market(MarketEvent::Listed { key, market }) = &stamped.event {
            for outcome in Outcome::BOTH {
                tokens.insert(market.tokens[outcome.index()], key.token(outcome));
            }
        }
        base.advance(at, &mut updates);
        updates.clear();
        base.on_market(&Stamped { at, ..stamped.clone() });
    }
    for alone in &mut running {
        alone.advance(Time::MAX);
        out[alone.index] = alone.said();
    }
    for (order, out) in orders.iter().zip(&mut out) {
        let market = tokens.get(&order.token).map(|token: &Token| token.market());
        *out = out.filter(|_| known.covers(order, market));
    }
    Ok(out)
}

/// Whether anything is known of a token's book.
fn is_known(sim: &Sim, token: Token) -> bool {
    sim.books().get(token.market()).is_some_and(|book| book.quality() != BookQuality::Empty)
}

/// What a tape knows of an order's life.
#[derive(Default)]
struct Known {
    /// The latest time of a row.
    until: Option<Time>,
    /// Interruptions, of one market or of all.
    gaps: Vec<(Time, Option<MarketKey>)>,
}

impl Known {
    fn row(&mut self, at: Time, stamped: &Stamped) {
        self.until = self.until.max(Some(at));
        if let Event::Market(MarketEvent::Interrupted(gap)) = &stamped.event {
            self.gaps.push((at, gap.market));
        }
    }

    /// Whether the tape knows the whole life of an order as far as it is told.
    fn covers(&self, order: &RealOrder, market: Option<MarketKey>) -> bool {
        let end = order.cancelled.or(order.first_fill).unwrap_or(Time::MAX);
        let in_life = |gap: &(Time, Option<MarketKey>)| {
            (order.placed..=end).contains(&gap.0) && (gap.1.is_none() || gap.1 == market)
        };
        !self.gaps.iter().any(in_life) && order.first_fill <= self.until
    }
}

/// The score of predictions.
pub fn score(orders: &[RealOrder], predicted: &[Option<Predicted>]) -> Score {
    let mut score = Score::default();
    for (order, predicted) in orders.iter().zip(predicted) {
        score.judge(order, *predicted);
    }
    score
}

/// One order at an exchange of its own.
struct Alone {
    index: usize,
    token: Token,
    sim: Sim,
    cancel: Option<Time>,
    predicted: Predicted,
    over: bool,
    /// The market as recorded does not take such an order, though the venue did.
    unfit: bool,
    updates: Vec<(Time, Event)>,
}

impl Alone {
    fn new(index: usize, order: &RealOrder, token: Token, base: &Sim) -> Alone {
        let mut sim = base.clone();
        // A sale of shares that nobody holds here is the same as a bid for the other outcome: one book.
        let (token, price) = match order.side {
            Side::Buy => (token, order.price),
            Side::Sell => (token.market().token(token.outcome().other()), order.price.complement()),
        };
        let place = PlaceOrder {
            id: ClientOrderId(index as u64 + 1),
            strategy: StrategyId::EXTERNAL,
            signal: None,
            basket: None,
            token,
            side: Side::Buy,
            price,
            size: Size::Shares(order.size),
            tif: Tif::Gtc,
            post_only: true,
            decided_at: order.placed,
            data_at: order.placed,
            expires: Time::MAX,
        };
        sim.submit(order.placed, &Command::Place(vec![place]));
        Alone {
            index,
            token,
            sim,
            cancel: order.cancelled,
            predicted: Predicted::default(),
            over: false,
            unfit: false,
            updates: Vec::new(),
        }
    }

    fn said(&self) -> Option<Predicted> {
        (!self.unfit).then_some(self.predicted)
    }

    fn row(&mut self, at: Time, stamped: &Stamped) {
        self.advance(at);
        if !self.over {
            self.sim.on_market(&Stamped { at, ..stamped.clone() });
        }
    }

    /// Lets everything happen that is due before a row.
    fn advance(&mut self, to: Time) {
        if let Some(cancel) = self.cancel.filter(|cancel| *cancel <= to) {
            self.step(cancel);
            self.sim.submit(cancel, &Command::Cancel(ClientOrderId(self.index as u64 + 1)));
            self.cancel = None;
        }
        let to = if to == Time::MAX {
            // Nothing comes any more but what is under way.
            self.sim.now() + Span::secs(60)
        } else {
            to
        };
        self.step(to);
    }

    fn step(&mut self, to: Time) {
        self.sim.advance(to, &mut self.updates);
        for (at, event) in self.updates.drain(..) {
            let Event::Account(event) = event else { continue };
            match *event {
                AccountEvent::Trade(trade) if trade.status == TradeStatus::Matched => {
                    self.predicted.filled += trade.fill.shares;
                    self.predicted.first_fill.get_or_insert(at);
                }
                AccountEvent::Order { update, .. } => {
                    self.unfit |= matches!(
                        update,
                        OrderUpdate::Rejected {
                            reason: RejectReason::Tick
                                | RejectReason::BelowMinimum
                                | RejectReason::Accuracy
                        }
                    );
                    self.over |= matches!(
                        update,
                        OrderUpdate::Rejected { .. }
                            | OrderUpdate::Cancelled { .. }
                            | OrderUpdate::Expired { .. }
                            | OrderUpdate::Filled { .. }
                    );
                }
                _ => {}
            }
        }
    }
}

/// The market a row is about; `None`: all of them.
fn market_of(stamped: &Stamped) -> Option<MarketKey> {
    let Event::Market(event) = &stamped.event else { return None };
    match event {
        MarketEvent::Level(change) => Some(change.token.market()),
        MarketEvent::Print(print) => Some(print.token.market()),
        MarketEvent::Best { token, .. } => Some(token.market()),
        MarketEvent::Snapshot(book) => Some(book.token.market()),
        MarketEvent::Listed { key: market, .. }
        | MarketEvent::Tick { market, .. }
        | MarketEvent::State { market, .. }
        | MarketEvent::Delisted { market }
        | MarketEvent::Unverified { market, .. } => Some(*market),
        MarketEvent::Interrupted(gap) => gap.market,
        MarketEvent::Reference(_) => None,
    }
}

/// A time as RFC 3339.
mod text_time {
    use polydesk_domain::Time;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        let text = String::deserialize(from)?;
        Time::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no time like 2026-06-07T01:31:00.250Z"))
        })
    }
}

/// The same, where there may be none.
mod some_text_time {
    use polydesk_domain::Time;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(time),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Time>, D::Error> {
        #[derive(Deserialize)]
        struct Wrapped(#[serde(with = "super::text_time")] Time);
        Ok(Option::<Wrapped>::deserialize(from)?.map(|wrapped| wrapped.0))
    }
}

/// How made orders are spread over a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// How many at most.
    pub orders: u64,
    /// Rows of the tape.
    pub rows: u64,
    /// Seed of their places, prices and sizes.
    pub seed: u64,
}

/// Orders at or one tick below the best bids, spread over a tape, without their fate: it is to be predicted.
///
/// # Errors
/// The tape.
pub fn spread_orders(
    source: &mut dyn EventSource,
    made: Made,
) -> Result<Vec<RealOrder>, TruthError> {
    let mut books = polydesk_domain::Books::default();
    let mut markets = BTreeMap::new();
    let (mut orders, mut stamped, mut done) = (Vec::new(), blank(), Vec::new());
    let every = (made.rows / made.orders.max(1)).max(1);
    let mut row = 0u64;
    while (orders.len() as u64) < made.orders && source.next_into(&mut stamped)? {
        if let Event::Market(MarketEvent::Listed { key, market }) = &stamped.event {
            books.list(*key, market.tick);
            markets.insert(*key, market.clone());
        }
        books.close_due(&stamped, &mut done);
        books.apply(&stamped, |_, _| ());
        row += 1;
        let Some(key) = market_of(&stamped).filter(|_| row.is_multiple_of(every)) else { continue };
        let chance = |purpose: u64, below: u64| {
            polydesk_sim::mix(made.seed ^ (row << 3 | purpose)) % below.max(1)
        };
        let outcome = if chance(0, 2) == 0 { Outcome::Yes } else { Outcome::No };
        let (Some(book), Some(market)) = (books.get(key), markets.get(&key)) else { continue };
        let Some((bid, _)) = book.best_bid(outcome).filter(|_| books.usable(key)) else { continue };
        let below = u16::try_from(chance(1, 2)).unwrap_or(0) * book.tick().units();
        let Some(price) = Price::new(bid.units().saturating_sub(below)) else { continue };
        if !price.tradable(book.tick()) {
            continue;
        }
        // Whole milliseconds, as people record them.
        let placed = Time::from_millis(stamped.venue_at.min(stamped.at).millis() + 1);
        let life = Span::secs(i64::try_from(10 + chance(2, 110)).unwrap_or(10));
        orders.push(RealOrder {
            id: format!("made-{}", orders.len() + 1),
            token: market.tokens[outcome.index()],
            side: Side::Buy,
            price,
            size: Shares::whole(5 + chance(3, 46)),
            placed,
            cancelled: Some(placed + life),
            filled: Shares::ZERO,
            first_fill: None,
        });
    }
    orders.sort_by_key(|order| order.placed);
    Ok(orders)
}

/// Gives orders the fate that a model predicts; those it cannot judge are left out.
pub fn with_fate(orders: Vec<RealOrder>, predicted: &[Option<Predicted>]) -> Vec<RealOrder> {
    let fated = orders.into_iter().zip(predicted);
    fated
        .filter_map(|(order, predicted)| {
            let Predicted { filled, first_fill } = (*predicted)?;
            Some(RealOrder { filled, first_fill, ..order })
        })
        .collect()
}
