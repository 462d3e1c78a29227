//! All orders that matter, and the lists made from them.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    Basis, ClientOrderId, ExternalOrder, Fill, MarketKey, OrderState, OrderUpdate, Shares, Side,
    Size, Span, StrategyId, Time, TradeId, TradeStatus, Usdc,
};

use super::order::{Illegal, IllegalTrade, Order, next_state, next_status};
use super::own_fills::OwnFill;
use super::tracked::Tracked;

/// What an update of a trade changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradeChange {
    /// A fill that was not known.
    New,
    /// It is final.
    Confirmed,
    /// It will never settle: reverse it.
    Failed,
    /// Nothing to book.
    Nothing,
}

/// What an update changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderChange {
    /// The state before.
    pub before: OrderState,
    /// The state now.
    pub after: OrderState,
    /// It was over and is open again: reserved, unknown, to be cancelled.
    pub reopened: bool,
    /// It is over and was reported alive: ask.
    pub doubtful: bool,
}

/// What a report of a fill changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FillChange {
    /// Of its settlement.
    pub trade: TradeChange,
    /// The estimated amounts that settled ones replaced.
    pub corrected: Option<Fill>,
    /// It repeats a known fill with other amounts of the same basis, which are not booked.
    pub contradicted: bool,
    /// It does not fit the order: booked to `external`.
    pub external: bool,
    /// The order ended with it.
    pub ended: bool,
    /// The order was over as one that the venue never took, and is open again: unknown, to be cancelled.
    pub reopened: bool,
}

impl Default for FillChange {
    fn default() -> FillChange {
        FillChange {
            trade: TradeChange::Nothing,
            corrected: None,
            contradicted: false,
            external: false,
            ended: false,
            reopened: false,
        }
    }
}

/// Micro-dollars by which rounding may exceed what an order can spend.
const ROUNDING: Usdc = Usdc::new(100);
/// Shares by which a finished order may be off.
const DUST: Shares = Shares::new(10_000);

/// Whether a fill is possible for an order: a buy counts in pUSD, a sell in shares, and neither is ever
/// matched at a worse price than its limit.
fn fits(order: &Order, fill: &Fill) -> bool {
    let price = order.price;
    match order.side {
        _ if order.strategy == StrategyId::EXTERNAL => true,
        Side::Buy => {
            let most = order.left_spend() + price.notional_ceil(DUST) + ROUNDING;
            fill.notional <= most && fill.notional <= price.notional_ceil(fill.shares) + ROUNDING
        }
        Side::Sell => {
            fill.shares <= order.left() + DUST
                && fill.notional + ROUNDING >= price.notional_floor(fill.shares)
        }
    }
}

/// All orders that matter: the open ones, those whose fills are not final, and for a while those that are
/// over, because late updates must find them.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    pub(crate) all: Tracked<ClientOrderId, Order>,
    /// Ended ones by their last update: the next to be dropped comes first.
    settled: BTreeSet<(Time, ClientOrderId)>,
    /// Those that may still match, by market, oldest first.
    open: BTreeMap<MarketKey, Vec<ClientOrderId>>,
    open_count: usize,
    /// All of them by market.
    by_market: BTreeSet<(MarketKey, ClientOrderId)>,
}

impl Orders {
    /// How long an order is kept after it ended, its last fill became final and its last update came.
    ///
    /// Streams repeat themselves within minutes, and a settlement takes an hour where it takes long; news
    /// after a whole day is no repetition but something to look into.
    pub const KEPT: Span = Span::secs(86_400);

    /// Forgets what has been over for longer than [`Orders::KEPT`], except what is `needed`: that is
    /// looked at again after as long.
    pub(crate) fn forget(&mut self, now: Time, needed: impl Fn(&Order) -> bool) {
        while let Some((at, id)) = self.settled.first().copied()
            && at.until(now) > Orders::KEPT
        {
            self.settled.pop_first();
            let Some(order) = self.all.get(&id) else { continue };
            if needed(order) {
                if let Some(order) = self.all.get_mut(&id) {
                    order.settled_at = Some(now);
                }
                self.settled.insert((now, id));
            } else if let Some(order) = self.all.remove(&id) {
                self.by_market.remove(&(order.token.market(), id));
            }
        }
    }

    /// Forgets what is over in a market that is delisted.
    pub(crate) fn forget_market(&mut self, market: MarketKey) {
        let (first, last) = (ClientOrderId(0), ClientOrderId(u64::MAX));
        let here = self.by_market.range((market, first)..=(market, last)).map(|(_, id)| *id);
        let over: Vec<ClientOrderId> =
            here.filter(|id| self.all.get(id).is_none_or(|order| !order.open())).collect();
        for id in over {
            self.by_market.remove(&(market, id));
            if let Some(at) = self.all.remove(&id).and_then(|order| order.settled_at) {
                self.settled.remove(&(at, id));
            }
        }
    }

    /// Fills whose amounts are our own estimate.
    pub(crate) fn estimated_fills(&self) -> usize {
        let fills = self.all.values().flat_map(|order| order.fills.values());
        fills.filter(|fill| fill.fill.basis == Basis::Estimated).count()
    }

    /// When the order that has been over the longest was settled.
    pub(crate) fn first_settled(&self) -> Option<Time> {
        self.settled.first().map(|(at, _)| *at)
    }

    /// All that are remembered, open or not, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.all.values()
    }

    /// How many are remembered, open or not.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Takes up a new order.
    pub fn insert(&mut self, order: Order) {
        let (id, now) = (order.id, order.placed_at);
        self.by_market.insert((order.token.market(), id));
        self.all.insert(id, order);
        self.refresh(id, now);
    }

    /// Makes the lists again from the entries.
    pub(crate) fn derive(&mut self) {
        self.settled.clear();
        self.open.clear();
        self.open_count = 0;
        self.by_market.clear();
        for order in self.all.values() {
            self.by_market.insert((order.token.market(), order.id));
            if let Some(at) = order.settled_at {
                self.settled.insert((at, order.id));
            }
            if order.open() {
                // Entries come by id, and ids rise with time: oldest first.
                self.open.entry(order.token.market()).or_default().push(order.id);
                self.open_count += 1;
            }
        }
    }

    /// An order by name.
    pub fn get(&self, id: ClientOrderId) -> Option<&Order> {
        self.all.get(&id)
    }

    /// The open orders of a market, oldest first.
    pub fn open_in(&self, market: MarketKey) -> impl Iterator<Item = &Order> {
        self.open.get(&market).into_iter().flatten().filter_map(|id| self.all.get(id))
    }

    /// All open orders.
    pub fn open(&self) -> impl Iterator<Item = &Order> {
        self.open.values().flatten().filter_map(|id| self.all.get(id))
    }

    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.open_count
    }

    /// Drives an order by an update.
    pub fn apply(
        &mut self,
        id: ClientOrderId,
        event: &OrderUpdate,
        now: Time,
    ) -> Option<Result<OrderChange, Illegal>> {
        let order = self.all.get_mut(&id)?;
        let before = order.state;
        if let OrderUpdate::Cancelled { matched, .. }
        | OrderUpdate::Expired { matched }
        | OrderUpdate::Filled { matched } = event
        {
            // What was reported once stays reserved until its fills arrive, also where the report comes
            // in a state in which it is not possible.
            order.reported = Some(order.reported.map_or(*matched, |known| known.max(*matched)));
        }
        if let OrderUpdate::Bound { hash } = event {
            order.hash = Some(*hash);
        }
        order.updated_at = now;
        let alive = matches!(
            event,
            OrderUpdate::Live
                | OrderUpdate::Matched
                | OrderUpdate::Delayed
                | OrderUpdate::CancelRefused { still_open: true }
        );
        let mut change = OrderChange { before, after: before, reopened: false, doubtful: false };
        if before.ended() && alive {
            // An update that overtook the end changes nothing; one that comes after a query does, and
            // so does any after "the venue never had it".
            change.reopened = match before {
                OrderState::Rejected => true,
                OrderState::Cancelled | OrderState::Expired => order.doubtful,
                _ => false,
            };
            change.doubtful = !change.reopened && before != OrderState::Filled;
            order.doubtful = change.doubtful;
            if change.reopened {
                order.reopen();
            }
        } else {
            let next = match next_state(before, event, !order.matched.is_zero()) {
                Ok(next) => next,
                Err(illegal) => {
                    self.refresh(id, now);
                    return Some(Err(illegal));
                }
            };
            if alive {
                // It is live: cancelling begins again, however often a cancel was lost.
                order.cancels = 0;
            }
            if *event != OrderUpdate::Unknown {
                order.queries = 0;
            }
            if before.ended() {
                order.doubtful = false;
            }
            if let Some(next) = next {
                order.state = next;
                if next.ended() {
                    order.ended_at = Some(now);
                }
            }
        }
        change.after = order.state;
        self.refresh(id, now);
        Some(Ok(change))
    }

    /// A resting order is wanted until another time.
    pub(crate) fn extend(&mut self, id: ClientOrderId, expires: Time) {
        if self.all.get(&id).is_some_and(|order| order.expires != expires)
            && let Some(order) = self.all.get_mut(&id)
        {
            order.expires = expires;
        }
    }

    /// More of an order that this bot did not place has become known: its size and price, and whether the rest of it
    /// rests. What has matched of it stays a part of its size.
    pub(crate) fn grow(&mut self, external: &ExternalOrder) {
        let ExternalOrder { id, size, price, open, .. } = *external;
        let differs = |order: &Order| order.size != Size::Shares(size.max(order.seen()));
        if self.all.get(&id).is_some_and(differs)
            && let Some(order) = self.all.get_mut(&id)
        {
            order.size = Size::Shares(size.max(order.seen()));
            order.price = price;
            if open && order.state == OrderState::Filled {
                // Its first fills were all that was known of it.
                let matched = !order.matched.is_zero();
                order.state = if matched { OrderState::PartlyMatched } else { OrderState::Live };
                order.ended_at = None;
            }
            let now = order.updated_at;
            self.refresh(id, now);
        }
    }

    /// Wants an order to be cancelled as soon as the rate allows it.
    pub(crate) fn want_cancel(&mut self, id: ClientOrderId) {
        if self.all.get(&id).is_some_and(|order| !order.cancel_wanted)
            && let Some(order) = self.all.get_mut(&id)
        {
            order.cancel_wanted = true;
        }
    }

    /// Marks that a cancel was asked for.
    pub fn cancelling(&mut self, id: ClientOrderId, now: Time) {
        if let Some(order) = self.all.get_mut(&id) {
            order.cancel_at = Some(now);
            order.cancel_wanted = false;
            order.cancels += 1;
            // An order without an answer keeps its state: the cancel proves nothing yet.
            if matches!(order.state, OrderState::Live | OrderState::PartlyMatched) {
                order.state = OrderState::Cancelling;
            }
        }
    }

    /// Marks that it was asked about.
    pub fn queried(&mut self, id: ClientOrderId, now: Time) {
        if let Some(order) = self.all.get_mut(&id) {
            order.queried_at = Some(now);
            order.queries = order.queries.saturating_add(1);
        }
    }

    /// Drives the trade machine of one fill.
    pub fn trade(
        &mut self,
        id: ClientOrderId,
        trade: TradeId,
        fill: Fill,
        status: TradeStatus,
        now: Time,
    ) -> Option<Result<FillChange, IllegalTrade>> {
        let order = self.all.get_mut(&id)?;
        order.updated_at = now;
        let mut change = FillChange::default();
        match order.fills.get_mut(&trade) {
            None => {
                // The refusal or the query result was wrong: the rest of the order may be open.
                change.reopened = order.state == OrderState::Rejected;
                if change.reopened {
                    order.reopen();
                }
                let external = !fits(order, &fill);
                order.fills.insert(trade, OwnFill { status, fill, at: now, external });
                change.trade = if status == TradeStatus::Failed {
                    TradeChange::Nothing
                } else {
                    TradeChange::New
                };
                if !external && status == TradeStatus::Failed {
                    order.failed += fill.shares;
                    order.failed_spend += fill.notional;
                }
            }
            Some(known) => {
                if known.fill.basis == Basis::Estimated && fill.basis == Basis::Settled {
                    change.corrected = Some(known.fill);
                    known.fill = fill;
                } else if known.fill.basis == fill.basis && known.fill != fill {
                    change.contradicted = true;
                }
                match next_status(known.status, status) {
                    Err(illegal) if change.corrected.is_none() => return Some(Err(illegal)),
                    // The settled amounts may come with an older stage than is known.
                    Err(_) | Ok(None) => {}
                    Ok(Some(next)) => {
                        known.status = next;
                        change.trade = match next {
                            TradeStatus::Confirmed => TradeChange::Confirmed,
                            TradeStatus::Failed => TradeChange::Failed,
                            _ => TradeChange::Nothing,
                        };
                    }
                }
            }
        }
        let Some(known) = order.fills.get(&trade) else { return Some(Ok(change)) };
        change.external = known.external;
        let (fill, known_status) = (known.fill, known.status);
        if !change.external {
            if let Some(before) = change.corrected {
                // A failed fill stays out of what counts as matched.
                let failed =
                    known_status == TradeStatus::Failed && change.trade != TradeChange::Failed;
                let (shares, spent) = if failed {
                    (&mut order.failed, &mut order.failed_spend)
                } else {
                    (&mut order.matched, &mut order.spent)
                };
                *shares = shares.saturating_sub(before.shares) + fill.shares;
                *spent = *spent - before.notional + fill.notional;
            }
            match change.trade {
                TradeChange::New => {
                    order.matched += fill.shares;
                    order.spent += fill.notional;
                    // What was charged is part of the cost now, and no longer of the reserve.
                    order.fee_reserve = (order.fee_reserve - fill.fee).max(Usdc::ZERO);
                    if order.state == OrderState::Live {
                        order.state = OrderState::PartlyMatched;
                    }
                }
                TradeChange::Failed => {
                    order.matched = order.matched.saturating_sub(fill.shares);
                    order.spent -= fill.notional;
                    // The venue's total goes on counting the failed leg: it is not missing.
                    order.failed += fill.shares;
                    order.failed_spend += fill.notional;
                }
                _ => {}
            }
        }
        if !order.state.ended() && order.exhausted() && change.trade == TradeChange::New {
            // Takers get no word of their end: it shows in their fills.
            order.state = OrderState::Filled;
            order.ended_at = Some(now);
            change.ended = true;
        }
        self.refresh(id, now);
        Some(Ok(change))
    }

    /// Takes back an order that never left (a basket whose other leg was denied).
    pub(crate) fn roll_back(&mut self, id: ClientOrderId) {
        let Some(order) = self.all.remove(&id) else { return };
        self.by_market.remove(&(order.token.market(), id));
        if let Some(list) = self.open.get_mut(&order.token.market()) {
            let before = list.len();
            list.retain(|listed| *listed != id);
            self.open_count -= before - list.len();
            if list.is_empty() {
                self.open.remove(&order.token.market());
            }
        }
    }

    /// Keeps the lists of open and of settled orders current after an update.
    fn refresh(&mut self, id: ClientOrderId, now: Time) {
        let Some(order) = self.all.get_mut(&id) else { return };
        let (market, open) = (order.token.market(), order.open());
        if let Some(before) = order.settled_at.take() {
            self.settled.remove(&(before, id));
        }
        if order.settled() {
            order.settled_at = Some(now);
            self.settled.insert((now, id));
        }
        let list = self.open.entry(market).or_default();
        match (list.binary_search(&id), open) {
            (Ok(at), false) => {
                list.remove(at);
                self.open_count -= 1;
            }
            (Err(at), true) => {
                list.insert(at, id);
                self.open_count += 1;
            }
            _ => {}
        }
        if list.is_empty() {
            // Markets come and go for months.
            self.open.remove(&market);
        }
    }
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{
        CancelReason, Price, Purpose, RejectReason, Shares, Side, Size, StrategyId, Tif, Token,
    };

    use super::*;
    use crate::state::order::Draft;

    /// Applies updates of order 1, an hour apart; whether it is kept so many hours after the
    /// last of them.
    fn remembered(updates: &[Update], hours: i64) -> bool {
        let at = |hours: i64| Time::from_secs(hours * 3_600);
        let (mut orders, id, shares) = (Orders::default(), ClientOrderId(1), Shares::whole(5));
        let mut now = 0;
        let draft = Draft {
            strategy: StrategyId::STINK_BIDDER,
            signal: None,
            purpose: Purpose::Quote,
            token: Token(0),
            side: Side::Buy,
            price: Price::cents(30),
            size: Size::Shares(shares),
            tif: Tif::Gtc,
            post_only: true,
            placed_at: at(0),
            expires: Time::MAX,
        };
        orders.insert(Order { id, ..draft.order() });
        for update in updates {
            now += 1;
            match update {
                Update::Order(event) => {
                    orders.apply(id, event, at(now)).unwrap().unwrap();
                }
                Update::Fill(status) => {
                    let notional = Price::cents(30).notional_floor(shares);
                    let fill = Fill {
                        shares,
                        notional,
                        fee: Usdc::ZERO,
                        level: None,
                        basis: Default::default(),
                    };
                    orders.trade(id, TradeId(1), fill, *status, at(now)).unwrap().unwrap();
                }
            }
        }
        orders.forget(at(now + hours), |_| false);
        let kept = orders.get(id).is_some();
        assert_eq!(
            (orders.count(), orders.by_market.len()),
            (usize::from(kept), usize::from(kept))
        );
        assert_eq!(orders.settled.len(), usize::from(kept && orders.get(id).unwrap().settled()));
        kept
    }

    enum Update {
        Order(OrderUpdate),
        Fill(TradeStatus),
    }

    #[test]
    fn an_order_is_forgotten_a_day_after_it_is_over_and_settled_and_no_sooner() {
        use Update::{Fill, Order as Reported};
        let (live, shares) = (|| Reported(OrderUpdate::Live), Shares::whole(5));
        let filled = || Reported(OrderUpdate::Filled { matched: shares });
        let cancelled =
            |matched| Reported(OrderUpdate::Cancelled { reason: CancelReason::Requested, matched });
        let refused = || Reported(OrderUpdate::Rejected { reason: RejectReason::Tick });
        const YEAR: i64 = 24 * 365;
        let cases: [(&str, Vec<Update>, i64, bool); 12] = [
            ("no update", vec![], YEAR, true),
            ("resting", vec![live()], YEAR, true),
            ("no answer", vec![Reported(OrderUpdate::Unknown)], YEAR, true),
            ("refused, a day", vec![refused()], 24, true),
            ("refused, longer", vec![refused()], 25, false),
            ("cancelled unfilled", vec![live(), cancelled(Shares::ZERO)], 25, false),
            ("cancelled, its fill has not come", vec![live(), cancelled(shares)], YEAR, true),
            ("filled, not final", vec![live(), Fill(TradeStatus::Mined), filled()], YEAR, true),
            ("over by its fills", vec![live(), Fill(TradeStatus::Confirmed)], 25, false),
            (
                "final, a day",
                vec![filled(), Fill(TradeStatus::Matched), Fill(TradeStatus::Confirmed)],
                24,
                true,
            ),
            (
                "final, longer",
                vec![filled(), Fill(TradeStatus::Matched), Fill(TradeStatus::Confirmed)],
                25,
                false,
            ),
            (
                "failed",
                vec![Fill(TradeStatus::Matched), filled(), Fill(TradeStatus::Failed)],
                25,
                false,
            ),
        ];
        for (case, updates, hours, want) in cases {
            assert_eq!(remembered(&updates, hours), want, "{case}");
        }
        // A repetition starts the day again.
        let again = vec![refused(), refused()];
        assert!(remembered(&again, 24));
    }
}
