//! What is at risk, as running sums over the entries of the state.
//!
//! Each order that is not settled, holding, unsettled sale and pending conversion counts as one [`Part`],
//! and the part is remembered as it was last counted: when its entry changes, the old part is taken off
//! and the new one added. Which entries changed the tables know themselves ([`Tracked::uncounted`]), so no
//! change can be missed; sums that lag behind are not read but counted again from the entries
//! ([`State::sums`]).
//!
//! Nothing here is saved: [`State::load`] makes it again.

mod of_state;

use std::collections::BTreeMap;

use polydesk_domain::{
    ClientOrderId, ConversionId, Market, MarketKey, Outcome, Price, Shares, Side, StrategyId, Tick,
    Token, Usdc,
};

use super::order::Order;
use super::positions::Sale;
use super::wanted::PendingConversion;
use super::{FillKey, Holding};

/// What is at risk, by every grouping that has a limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exposure {
    /// In the market.
    pub market: Usdc,
    /// In the event: all markets of one neg-risk group; of a market without a group, all markets of its
    /// event that have none either; of a market without an event, that market alone.
    pub event: Usdc,
    /// In the category; of a market without one, that market alone.
    pub category: Usdc,
    /// By the strategy.
    pub strategy: Usdc,
    /// In all.
    pub account: Usdc,
    /// Shares of the token, at worst.
    pub shares: Shares,
    /// pUSD that open buys and pending splits may still take.
    pub reserved: Usdc,
    /// Cost of purchases that are not final.
    pub unsettled: Usdc,
}

/// What one entry counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    strategy: StrategyId,
    market: MarketKey,
    kind: Kind,
    /// Paid, or to be paid at worst, fees included.
    cost: Usdc,
    /// Shares held or to be delivered, by outcome.
    shares: [Shares; 2],
    /// What buys that may take can still spend, by outcome. How many shares that is at worst depends on the
    /// tick size, which can change while the order is under way.
    spend: [Usdc; 2],
    /// The part of the cost that is not paid yet.
    reserved: Usdc,
    /// The part of the cost that was paid for shares which are not final.
    unsettled: Usdc,
    /// The part of the cost that the ledger has as inventory.
    inventory: Usdc,
    /// Proceeds that the ledger has as pending.
    pending: Usdc,
}

/// Tables that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Order,
    Holding,
    Sale,
    Conversion,
}

impl Part {
    fn new(strategy: StrategyId, market: MarketKey, kind: Kind) -> Part {
        Part {
            strategy,
            market,
            kind,
            cost: Usdc::ZERO,
            shares: [Shares::ZERO; 2],
            spend: [Usdc::ZERO; 2],
            reserved: Usdc::ZERO,
            unsettled: Usdc::ZERO,
            inventory: Usdc::ZERO,
            pending: Usdc::ZERO,
        }
    }

    /// Nothing of an order that is over and settled.
    fn of_order(order: &Order) -> Option<Part> {
        if order.settled() {
            return None;
        }
        let mut part = Part::new(order.strategy, order.token.market(), Kind::Order);
        part.cost = order.remaining_cost();
        part.reserved = part.cost;
        if order.side == Side::Buy {
            let outcome = order.token.outcome().index();
            if order.state.ended() {
                part.shares[outcome] = order.missing();
            } else if order.takes() {
                part.spend[outcome] = order.left_spend();
            } else {
                part.shares[outcome] = order.left();
            }
        }
        Some(part)
    }

    fn of_holding(strategy: StrategyId, token: Token, holding: &Holding) -> Part {
        let mut part = Part::new(strategy, token.market(), Kind::Holding);
        for lot in &holding.lots {
            part.cost += lot.cost;
            part.shares[token.outcome().index()] += lot.shares;
            if !lot.confirmed {
                part.unsettled += lot.cost;
            }
        }
        part.inventory = part.cost;
        part
    }

    /// A sale that fails to settle brings its shares back: until it is final they count.
    fn of_sale(sale: &Sale) -> Part {
        let mut part = Part::new(sale.strategy, sale.token.market(), Kind::Sale);
        for lot in &sale.slices {
            part.cost += lot.cost;
            part.shares[sale.token.outcome().index()] += lot.shares;
        }
        part.pending = sale.fill.notional - sale.fill.fee;
        part
    }

    fn of_conversion(pending: &PendingConversion) -> Part {
        let mut part = Part::new(pending.strategy, pending.market, Kind::Conversion);
        part.cost = pending.cost();
        part.reserved = part.cost;
        part.shares = [pending.delivers(); 2];
        part
    }
}

/// Sums of one market. Of a delisted one everything is zero, and nothing of it is on the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct MarketSum {
    cost: Usdc,
    shares: [Shares; 2],
    spend: [Usdc; 2],
    /// Entries, by kind.
    entries: [u32; 4],
    /// Whether its event and category are known.
    known: bool,
    event: Option<Place>,
    category: Option<Place>,
}

/// Sums of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) cost: Usdc,
    pub(crate) reserved: Usdc,
    pub(crate) unsettled: Usdc,
    pub(crate) inventory: Usdc,
    pub(crate) pending: Usdc,
}

impl Totals {
    fn add(&mut self, part: &Part, sign: Sign) {
        let Totals { cost, reserved, unsettled, inventory, pending } = self;
        for (sum, amount) in [
            (cost, part.cost),
            (reserved, part.reserved),
            (unsettled, part.unsettled),
            (inventory, part.inventory),
            (pending, part.pending),
        ] {
            sign.apply(sum, amount);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Add,
    TakeOff,
}

impl Sign {
    fn apply(self, sum: &mut Usdc, amount: Usdc) {
        match self {
            Sign::Add => *sum += amount,
            Sign::TakeOff => *sum -= amount,
        }
    }
    fn apply_shares(self, sum: &mut Shares, amount: Shares) {
        match self {
            Sign::Add => *sum += amount,
            Sign::TakeOff => *sum -= amount,
        }
    }
}

/// Position of a name in a [`Named`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u32);

impl Place {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A sum per name. The place of a name that no market has any more is given to the next new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named<K> {
    places: BTreeMap<K, Place>,
    sums: Vec<NamedSum<K>>,
    free: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedSum<K> {
    name: Option<K>,
    /// Markets of that name.
    markets: u32,
    cost: Usdc,
}

impl<K> Default for Named<K> {
    fn default() -> Named<K> {
        Named { places: BTreeMap::new(), sums: Vec::new(), free: Vec::new() }
    }
}

impl<K: Ord + Clone> Named<K> {
    fn sum(&self, place: Place) -> Usdc {
        self.sums[place.index()].cost
    }

    fn add(&mut self, place: Option<Place>, amount: Usdc, sign: Sign) {
        if let Some(place) = place {
            sign.apply(&mut self.sums[place.index()].cost, amount);
        }
    }

    /// Moves a market with its sum from one name to another.
    fn rename(&mut self, place: &mut Option<Place>, to: Option<K>, cost: Usdc) {
        if let Some(old) = *place {
            let sum = &mut self.sums[old.index()];
            if sum.name == to {
                return;
            }
            sum.cost -= cost;
            sum.markets -= 1;
            if sum.markets == 0 {
                if let Some(name) = sum.name.take() {
                    self.places.remove(&name);
                }
                self.free.push(old);
            }
        }
        *place = to.map(|name| self.join(name, cost));
    }

    fn join(&mut self, name: K, cost: Usdc) -> Place {
        let place = match self.places.get(&name) {
            Some(place) => *place,
            None => {
                let empty = NamedSum { name: Some(name.clone()), markets: 0, cost: Usdc::ZERO };
                let place = match self.free.pop() {
                    Some(place) => {
                        self.sums[place.index()] = empty;
                        place
                    }
                    None => {
                        self.sums.push(empty);
                        Place(self.sums.len() as u32 - 1)
                    }
                };
                self.places.insert(name, place);
                place
            }
        };
        let sum = &mut self.sums[place.index()];
        sum.markets += 1;
        sum.cost += cost;
        place
    }
}

/// What the event of a market is called: its neg-risk group where it has one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum EventName {
    Group(String),
    Event(String),
}

impl EventName {
    fn of(market: &Market) -> Option<EventName> {
        let group = market.neg_risk.as_ref().map(|neg_risk| &neg_risk.group);
        match group.filter(|group| !group.is_empty()) {
            Some(group) => Some(EventName::Group(group.clone())),
            None if market.event.is_empty() => None,
            None => Some(EventName::Event(market.event.clone())),
        }
    }
}

/// The running sums.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sums {
    markets: Vec<MarketSum>,
    events: Named<EventName>,
    categories: Named<String>,
    strategies: BTreeMap<StrategyId, Usdc>,
    totals: Totals,
    orders: BTreeMap<ClientOrderId, Part>,
    holdings: BTreeMap<(StrategyId, Token), Part>,
    sales: BTreeMap<FillKey, Part>,
    conversions: BTreeMap<ConversionId, Part>,
}

impl Sums {
    /// What is at risk around a token, where a share costs at least `tick`.
    pub fn exposure(&self, strategy: StrategyId, token: Token, tick: Tick) -> Exposure {
        let market = self.market(token.market());
        let Totals { cost: account, reserved, unsettled, .. } = self.totals;
        let outcome = token.outcome().index();
        // A buy that may take can deliver more than at its limit: at worst the whole rest of its money at
        // the lowest price there is.
        let lowest = Price::new(tick.units()).unwrap_or(Price::ONE);
        let bought = lowest.shares_for(market.spend[outcome]).unwrap_or(Shares::SANE_MAX);
        Exposure {
            market: market.cost,
            event: market.event.map_or(market.cost, |place| self.events.sum(place)),
            category: market.category.map_or(market.cost, |place| self.categories.sum(place)),
            strategy: self.strategies.get(&strategy).copied().unwrap_or_default(),
            account,
            shares: market.shares[outcome] + bought,
            reserved,
            unsettled,
        }
    }

    /// Sums of the account.
    pub(crate) fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether nothing of ours rests, is held, moves or is being converted in a market.
    pub(crate) fn flat(&self, market: MarketKey) -> bool {
        self.market(market).entries == [0; 4]
    }

    /// Whether a sale in this market is not final: its shares may come back.
    pub(crate) fn selling(&self, market: MarketKey) -> bool {
        self.market(market).entries[Kind::Sale as usize] > 0
    }

    /// Whether a conversion is pending in a market.
    pub(crate) fn converting(&self, market: MarketKey) -> bool {
        self.market(market).entries[Kind::Conversion as usize] > 0
    }

    fn market(&self, key: MarketKey) -> MarketSum {
        self.markets.get(key.index()).copied().unwrap_or_default()
    }

    fn market_mut(&mut self, key: MarketKey) -> &mut MarketSum {
        if self.markets.len() <= key.index() {
            self.markets.resize(key.index() + 1, MarketSum::default());
        }
        &mut self.markets[key.index()]
    }

    /// A market was listed, or listed again: what it has counts for the event and category it is in now.
    pub(crate) fn list(&mut self, key: MarketKey, market: &Market) {
        let category = (!market.category.is_empty()).then(|| market.category.clone());
        let MarketSum { cost, mut event, category: mut place, .. } = *self.market_mut(key);
        self.events.rename(&mut event, EventName::of(market), cost);
        self.categories.rename(&mut place, category, cost);
        let sum = self.market_mut(key);
        (sum.known, sum.event, sum.category) = (true, event, place);
    }

    /// Whether a market was listed here.
    pub(crate) fn knows(&self, key: MarketKey) -> bool {
        self.market(key).known
    }

    /// Forgets a market in which nothing counts any more.
    pub(crate) fn delist(&mut self, key: MarketKey) {
        let MarketSum { cost, mut event, mut category, .. } = *self.market_mut(key);
        self.events.rename(&mut event, None, cost);
        self.categories.rename(&mut category, None, cost);
        *self.market_mut(key) = MarketSum::default();
    }

    fn add(&mut self, part: &Part, sign: Sign) {
        let market = self.market_mut(part.market);
        sign.apply(&mut market.cost, part.cost);
        for outcome in Outcome::BOTH.map(Outcome::index) {
            sign.apply_shares(&mut market.shares[outcome], part.shares[outcome]);
            sign.apply(&mut market.spend[outcome], part.spend[outcome]);
        }
        let entries = &mut market.entries[part.kind as usize];
        match sign {
            Sign::Add => *entries += 1,
            Sign::TakeOff => *entries -= 1,
        }
        let (event, category) = (market.event, market.category);
        self.events.add(event, part.cost, sign);
        self.categories.add(category, part.cost, sign);
        let strategy = self.strategies.entry(part.strategy).or_default();
        sign.apply(strategy, part.cost);
        if strategy.is_zero() {
            self.strategies.remove(&part.strategy);
        }
        self.totals.add(part, sign);
    }

    /// Takes the old part off and adds the new one.
    fn replace(&mut self, old: Option<Part>, new: Option<Part>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.add(&old, Sign::TakeOff);
        }
        if let Some(new) = new {
            self.add(&new, Sign::Add);
        }
    }

    fn order(&mut self, id: ClientOrderId, order: Option<&Order>) {
        let new = order.and_then(Part::of_order);
        let old = exchange(&mut self.orders, id, new);
        self.replace(old, new);
    }

    fn holding(&mut self, key: (StrategyId, Token), holding: Option<&Holding>) {
        let new = holding.map(|holding| Part::of_holding(key.0, key.1, holding));
        let old = exchange(&mut self.holdings, key, new);
        self.replace(old, new);
    }

    fn sale(&mut self, key: FillKey, sale: Option<&Sale>) {
        let new = sale.map(Part::of_sale);
        let old = exchange(&mut self.sales, key, new);
        self.replace(old, new);
    }

    fn conversion(&mut self, id: ConversionId, pending: Option<&PendingConversion>) {
        let new = pending.map(Part::of_conversion);
        let old = exchange(&mut self.conversions, id, new);
        self.replace(old, new);
    }

    /// The same markets, events and categories with nothing counted.
    fn emptied(&self) -> Sums {
        let empty = |market: &MarketSum| MarketSum {
            known: market.known,
            event: market.event,
            category: market.category,
            ..MarketSum::default()
        };
        let mut sums = Sums {
            markets: self.markets.iter().map(empty).collect(),
            events: self.events.clone(),
            categories: self.categories.clone(),
            ..Sums::default()
        };
        sums.events.sums.iter_mut().for_each(|sum| sum.cost = Usdc::ZERO);
        sums.categories.sums.iter_mut().for_each(|sum| sum.cost = Usdc::ZERO);
        sums
    }
}

/// Puts a part in the place of another, which is returned.
fn exchange<K: Ord>(parts: &mut BTreeMap<K, Part>, key: K, new: Option<Part>) -> Option<Part> {
    match new {
        Some(part) => parts.insert(key, part),
        None => parts.remove(&key),
    }
}
