//! The state of the exchange, and what all its parts share: scheduling, delays, deliveries. The files
//! above this one change it, one subject each.

use std::collections::BTreeMap;

use polydesk_domain::{
    Books, Cash, ClientOrderId, ConversionId, Event, MarketKey, Shares, Span, Time, Token,
    Universe, Usdc,
};

use crate::bank::{Bank, Broken};
use crate::chance::{SeededRandom, Stream};
use crate::config::{Delay, SimConfig, SimError};
use crate::counters::SimCounters;
use crate::due::{Schedule, SimAction};
use crate::market_state::MarketSlot;
use crate::order::{EndedOrder, VenueOrder};
use crate::retention::Retention;
use crate::rules::VenueMode;
use crate::trade::VenueTrade;

/// The simulated exchange.
///
/// The driver calls [`Sim::advance`] up to just before a market event's exchange time, then
/// [`Sim::on_market`] with it: the market data of an instant come before orders that arrive in it.
///
/// ```
/// use std::sync::Arc;
/// use polydesk_domain::*;
/// use polydesk_sim::{Sim, SimConfig};
///
/// let mut sim = Sim::new(SimConfig::instant(), 1).unwrap();
/// let at = Time::from_secs(1_000);
/// let row = |event: MarketEvent| Stamped { at, venue_at: at, seq: 0, event: event.into() };
/// sim.on_market(&row(MarketEvent::Listed { key: MarketKey(0), market: Arc::new(Market::plain(1, "rain")) }));
/// sim.on_market(&row(MarketEvent::Snapshot(Arc::new(BookSnapshot {
///     token: Token(0),
///     bids: vec![(Price::cents(40), Shares::whole(50))],
///     asks: vec![(Price::cents(42), Shares::whole(50))],
/// }))));
/// sim.submit(at, &Command::Place(vec![PlaceOrder {
///     id: ClientOrderId(1),
///     strategy: StrategyId::OPERATOR,
///     signal: None,
///     basket: None,
///     token: Token(0),
///     side: Side::Buy,
///     price: Price::cents(42),
///     size: Size::Shares(Shares::whole(10)),
///     tif: Tif::Gtc,
///     post_only: false,
///     decided_at: at,
///     data_at: at,
///     expires: Time::MAX,
/// }]));
/// let mut events = Vec::new();
/// sim.advance(at + Span::secs(1), &mut events);
/// assert_eq!(sim.account().token(Token(0)).free, Shares::whole(10));
/// assert_eq!(sim.account().cash_free, Usdc::cents(99_580));
/// ```
#[derive(Debug, Clone)]
pub struct Sim {
    pub(crate) config: SimConfig,
    pub(crate) chance: SeededRandom,
    pub(crate) seed: u64,
    /// Exchange time reached.
    pub(crate) now: Time,
    pub(crate) pending: Schedule,
    pub(crate) universe: Universe,
    pub(crate) books: Books,
    pub(crate) slots: Vec<MarketSlot>,
    /// Markets with a tracked open batch.
    pub(crate) open: Vec<MarketKey>,
    /// Room for the books' completed batches.
    pub(crate) done: Vec<MarketKey>,
    /// Rows of market data seen.
    pub(crate) rows: u64,
    /// Open orders.
    pub(crate) orders: BTreeMap<ClientOrderId, VenueOrder>,
    pub(crate) ended: BTreeMap<ClientOrderId, EndedOrder>,
    /// Orders on their way to the exchange by id, with the number of placements of that id.
    pub(crate) orders_in_flight: BTreeMap<ClientOrderId, (Token, u32)>,
    pub(crate) arrivals: u64,
    /// Per order, when its last query arrived and when the result reaches the engine.
    pub(crate) query_results: BTreeMap<ClientOrderId, (Time, Time)>,
    /// Matches of orders that are open or not forgotten.
    pub(crate) trades: BTreeMap<u64, VenueTrade>,
    /// Finished conversions: when they ended, and their cash events.
    pub(crate) conversions: BTreeMap<ConversionId, (Time, Cash)>,
    pub(crate) retention: Retention,
    pub(crate) trade_serial: u64,
    pub(crate) bank: Bank,
    /// pUSD reserved for pending splits.
    pub(crate) splits: Usdc,
    /// Rebates accrued per day (UTC) and market.
    pub(crate) rebates: BTreeMap<(i64, MarketKey), Usdc>,
    pub(crate) counters: SimCounters,
    /// How long a decrease waits for its print: the netting window, or the largest lag of a late print.
    pub(crate) netting_wait: Span,
    pub(crate) mode: VenueMode,
    /// The first listing under another key than this exchange gives.
    pub(crate) wrong_key: Option<Broken>,
}

impl Sim {
    /// An exchange without markets yet.
    ///
    /// # Errors
    /// Every rule that the configuration breaks.
    pub fn new(config: SimConfig, seed: u64) -> Result<Sim, SimError> {
        config.check()?;
        Ok(Sim {
            bank: Bank::new(config.starting_cash),
            netting_wait: config.matching.netting_window,
            config,
            chance: SeededRandom::new(seed),
            seed,
            now: Time::MIN,
            pending: Schedule::new(),
            universe: Universe::new(),
            books: Books::default(),
            slots: Vec::new(),
            open: Vec::new(),
            done: Vec::new(),
            rows: 0,
            orders: BTreeMap::new(),
            ended: BTreeMap::new(),
            orders_in_flight: BTreeMap::new(),
            arrivals: 0,
            query_results: BTreeMap::new(),
            trades: BTreeMap::new(),
            conversions: BTreeMap::new(),
            retention: Retention::new(),
            trade_serial: 0,
            splits: Usdc::ZERO,
            rebates: BTreeMap::new(),
            counters: SimCounters {
                netting_wait_ms: config.matching.netting_window.as_millis(),
                ..SimCounters::default()
            },
            mode: VenueMode::Normal,
            wrong_key: None,
        })
    }

    /// Schedules an action; a time in the past becomes now.
    pub(crate) fn schedule(&mut self, at: Time, due: SimAction) {
        self.pending.add(at.max(self.now), due);
    }

    pub(crate) fn deliver(&mut self, at: Time, event: Event) {
        self.schedule(at, SimAction::Deliver(Box::new(event)));
    }

    /// Now plus a draw of the answer latency.
    pub(crate) fn answer_time(&mut self) -> Time {
        self.now + self.chance.delay(Stream::Wire, self.config.latency.answer)
    }

    pub(crate) fn chain_delay(&mut self, delay: Delay) -> Time {
        self.now + self.chance.delay(Stream::Chain, delay)
    }

    /// Free settled shares of a token.
    pub(crate) fn shares_free(&self, token: Token) -> Shares {
        self.bank.shares_free(token)
    }

    /// Whether the memory of a market is in use.
    #[inline]
    pub(crate) fn is_listed(&self, key: MarketKey) -> bool {
        self.slots.get(key.index()).is_some_and(|slot| !slot.freed)
    }
}
