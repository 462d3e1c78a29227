//! Our orders and the two machines that drive them: one per order, one per (trade, order).
//!
//! Nothing is refused until it is proven refused, nothing counts as gone only because it was not seen,
//! and nothing is filled for good until it is settled.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    ClientOrderId, Fill, MarketKey, OrderUpdate, OrderState, Price, RejectReason, Shares, Side,
    SignalId, Size, Span, StrategyId, Tif, Time, Token, TradeId, TradeStatus, Usdc,
};
use polydesk_signals::ExitPlan;

use crate::positions::ExitReason;

/// What an order is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A `Trade` signal.
    Trade,
    /// One of a strategy's quotes.
    Quote,
    /// Leaving a position.
    Exit(ExitReason),
    /// A leg of a plan.
    Leg(u64),
}

impl Purpose {
    /// Whether it can only make a position smaller.
    pub fn reduces(self) -> bool {
        matches!(self, Purpose::Exit(_))
    }
}

/// One of our orders.
#[derive(Debug, Clone)]
pub struct Order {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// From which signal.
    pub signal: SignalId,
    /// What for.
    pub purpose: Purpose,
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// How long.
    pub tif: Tif,
    /// Where it is.
    pub state: OrderState,
    /// Shares of its fills that have not failed.
    pub matched: Shares,
    /// pUSD of those fills, fees not included.
    pub spent: Usdc,
    /// Shares of fills that failed: the venue counts them as matched for ever.
    pub failed: Shares,
    /// pUSD of those.
    pub failed_spend: Usdc,
    /// Shares matched in all, as the venue said when it ended.
    pub reported: Option<Shares>,
    /// When it was decided.
    pub placed_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The last news since it is settled.
    settled_at: Option<Time>,
    /// When a cancel was last asked for.
    pub cancel_at: Option<Time>,
    /// How often a cancel was asked for.
    pub cancels: u32,
    /// When its fate was last asked for.
    pub queried_at: Option<Time>,
    /// What to do with what it buys.
    pub exit: Option<ExitPlan>,
    /// Twice the middle of its token when it was decided, in ten-thousandths.
    pub double_mid: Option<u32>,
    /// Expected edge, for the rule that the lower one waits.
    pub edge: Usdc,
    /// Worst-case taker fee reserved for it.
    pub fee_reserve: Usdc,
    fills: BTreeMap<TradeId, (TradeStatus, Fill)>,
}

impl Order {
    /// Whether it may still match, or may have matched without our knowing.
    pub fn open(&self) -> bool {
        !self.state.ended() || self.missing() > Shares::ZERO
    }

    /// Shares the venue said matched and whose fills have not arrived.
    pub fn missing(&self) -> Shares {
        self.reported.map_or(Shares::ZERO, |reported| reported.saturating_sub(self.seen()))
    }

    /// Shares whose fills arrived, whatever became of their settlement.
    fn seen(&self) -> Shares {
        self.matched + self.failed
    }

    /// Whether it is over and every fill of it is final, one way or the other.
    pub fn settled(&self) -> bool {
        let last =
            |status: &TradeStatus| matches!(status, TradeStatus::Confirmed | TradeStatus::Failed);
        !self.open() && self.fills.values().all(|(status, _)| last(status))
    }

    /// Shares that can still match, for orders sized in shares.
    pub fn left(&self) -> Shares {
        match self.size {
            Size::Shares(size) => size.saturating_sub(self.seen()),
            Size::Spend(_) => Shares::ZERO,
        }
    }

    /// pUSD that can still be spent, for orders sized in pUSD.
    fn left_spend(&self) -> Usdc {
        match self.size {
            Size::Shares(_) => Usdc::ZERO,
            Size::Spend(spend) => (spend - self.spent - self.failed_spend).max(Usdc::ZERO),
        }
    }

    /// Shares that can still be delivered, at the most. An immediate buy sized in pUSD can deliver
    /// more than its limit says: at worst the whole rest at the lowest price there is.
    pub fn remaining_shares(&self, tick: polydesk_domain::Tick) -> Shares {
        if self.state.ended() {
            return self.missing();
        }
        match self.size {
            Size::Shares(_) => self.left(),
            Size::Spend(_) => {
                let lowest = Price::new(tick.units()).unwrap_or(Price::ONE);
                lowest.shares_for(self.left_spend()).unwrap_or(Shares::ZERO)
            }
        }
    }

    /// pUSD a buy can still take, fees included, at the most.
    pub fn remaining_cost(&self) -> Usdc {
        if self.side == Side::Sell || !self.open() {
            return Usdc::ZERO;
        }
        if self.state.ended() {
            // More shares than the limit says came for the money, not for more of it.
            let missing = self.price.notional_ceil(self.missing());
            let most = match self.size {
                Size::Shares(_) => missing,
                Size::Spend(_) => missing.min(self.left_spend()),
            };
            return most + self.fee_reserve;
        }
        let left = match self.size {
            Size::Shares(_) => self.price.notional_ceil(self.left()),
            Size::Spend(_) => self.left_spend(),
        };
        left + self.fee_reserve
    }

    /// Shares a sell may still take from what is held.
    pub fn remaining_offer(&self) -> Shares {
        match (self.side, self.size) {
            (Side::Buy, _) => Shares::ZERO,
            _ if self.state.ended() => self.missing(),
            (Side::Sell, _) => self.left(),
        }
    }
}

/// Where an order goes on an event, or `None` where the event changes nothing.
///
/// The error names an event that is not possible in that state: it is counted and told, and the order
/// keeps the worse of the two readings.
pub fn next_state(
    state: OrderState,
    event: &OrderUpdate,
    matched: bool,
) -> Result<Option<OrderState>, Illegal> {
    use OrderUpdate as E;
    use OrderState as S;
    let resting = if matched { S::PartlyMatched } else { S::Live };
    let illegal = Err(Illegal { state, event: event_name(event) });
    Ok(match event {
        E::Bound { .. } => (state == S::Planned).then_some(S::Journaled),
        E::Sent => matches!(state, S::Planned | S::Journaled).then_some(S::Sent),
        // An answer can come after the stream told more: the later state stays.
        E::Live => match state {
            S::Planned | S::Journaled | S::Sent | S::Delayed | S::Unknown => Some(resting),
            _ => None,
        },
        E::Delayed => match state {
            S::Planned | S::Journaled | S::Sent | S::Unknown => Some(S::Delayed),
            _ => None,
        },
        E::Matched => match state {
            S::Planned | S::Journaled | S::Sent | S::Delayed | S::Unknown | S::Live => {
                Some(S::PartlyMatched)
            }
            _ => None,
        },
        E::Rejected { .. } | E::Absent => match state {
            S::Rejected => None,
            S::Filled | S::Cancelled | S::Expired => return illegal,
            _ if matched => return illegal,
            _ => Some(S::Rejected),
        },
        E::Unknown => matches!(state, S::Planned | S::Journaled | S::Sent).then_some(S::Unknown),
        E::Cancelled { .. } => match state {
            S::Cancelled => None,
            S::Rejected | S::Filled | S::Expired => return illegal,
            _ => Some(S::Cancelled),
        },
        E::Expired { .. } => match state {
            S::Expired => None,
            S::Rejected | S::Filled | S::Cancelled => return illegal,
            _ => Some(S::Expired),
        },
        E::Filled { .. } => match state {
            S::Filled => None,
            S::Rejected | S::Cancelled | S::Expired => return illegal,
            _ => Some(S::Filled),
        },
        E::CancelRefused { still_open } => match state {
            S::Cancelling if *still_open => Some(resting),
            _ => None,
        },
    })
}

/// Where a trade goes on a status, or `None` for a repetition.
pub fn next_status(
    now: TradeStatus,
    next: TradeStatus,
) -> Result<Option<TradeStatus>, IllegalTrade> {
    use TradeStatus as T;
    let legal = match (now, next) {
        _ if now == next => return Ok(None),
        (T::Confirmed | T::Failed, _) => false,
        // Streams reorder: an earlier stage after a later one says nothing new.
        (T::Mined | T::Retrying, T::Matched) => return Ok(None),
        _ => true,
    };
    if legal { Ok(Some(next)) } else { Err(IllegalTrade { now, next }) }
}

/// An event that is not possible in an order's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{event} is not possible for an order that is {state:?}")]
pub struct Illegal {
    /// Where the order was.
    pub state: OrderState,
    /// What came.
    pub event: &'static str,
}

/// A status that is not possible after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a trade cannot become {next:?} after {now:?}")]
pub struct IllegalTrade {
    /// Where the trade was.
    pub now: TradeStatus,
    /// What came.
    pub next: TradeStatus,
}

fn event_name(event: &OrderUpdate) -> &'static str {
    match event {
        OrderUpdate::Bound { .. } => "bound",
        OrderUpdate::Sent => "sent",
        OrderUpdate::Live => "live",
        OrderUpdate::Delayed => "delayed",
        OrderUpdate::Matched => "matched",
        OrderUpdate::Rejected { .. } => "rejected",
        OrderUpdate::Unknown => "unknown",
        OrderUpdate::Cancelled { .. } => "cancelled",
        OrderUpdate::Expired { .. } => "expired",
        OrderUpdate::Filled { .. } => "filled",
        OrderUpdate::CancelRefused { .. } => "cancel refused",
        OrderUpdate::Absent => "absent",
    }
}

/// What a trade's news changed.
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

/// All orders that matter: the open ones, those whose fills are not final, and for a while those that are
/// over, because late news must find them.
#[derive(Debug, Default)]
pub struct Orders {
    all: BTreeMap<ClientOrderId, Order>,
    /// Those that are over, by the last news of them: the next ones to forget come first.
    settled: BTreeSet<(Time, ClientOrderId)>,
    /// Those that may still match, by market, oldest first.
    open: BTreeMap<MarketKey, Vec<ClientOrderId>>,
    open_count: usize,
}

impl Orders {
    /// How long an order is kept after it ended, its last fill became final and the last news of it came.
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
            let Some(order) = self.all.get_mut(&id) else { continue };
            if needed(order) {
                order.settled_at = Some(now);
                self.settled.insert((now, id));
            } else {
                self.all.remove(&id);
            }
        }
    }

    /// How many are remembered, open or not.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// Takes up a new order.
    pub fn insert(&mut self, order: Order) {
        self.open.entry(order.token.market()).or_default().push(order.id);
        self.open_count += 1;
        self.all.insert(order.id, order);
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

    /// Drives an order by an event; returns its state before and after.
    pub fn apply(
        &mut self,
        id: ClientOrderId,
        event: &OrderUpdate,
        now: Time,
    ) -> Option<Result<(OrderState, OrderState), Illegal>> {
        let order = self.all.get_mut(&id)?;
        let before = order.state;
        let next = match next_state(before, event, !order.matched.is_zero()) {
            Ok(next) => next,
            Err(illegal) => return Some(Err(illegal)),
        };
        if let OrderUpdate::Cancelled { matched, .. }
        | OrderUpdate::Expired { matched }
        | OrderUpdate::Filled { matched } = event
        {
            order.reported = Some(*matched);
        }
        if matches!(event, OrderUpdate::Live | OrderUpdate::Matched) {
            // Evidence that it lives: cancelling begins anew, however often it was lost.
            order.cancels = 0;
        }
        if let Some(next) = next {
            order.state = next;
            if next.ended() {
                order.ended_at = Some(now);
                order.fee_reserve =
                    if order.missing().is_zero() { Usdc::ZERO } else { order.fee_reserve };
            }
        }
        let after = order.state;
        self.refresh(id, now);
        Some(Ok((before, after)))
    }

    /// Marks that a cancel was asked for.
    pub fn cancelling(&mut self, id: ClientOrderId, now: Time) {
        if let Some(order) = self.all.get_mut(&id) {
            order.cancel_at = Some(now);
            order.cancels += 1;
            // An order without an answer stays unknown: the cancel proves nothing yet.
            if matches!(
                order.state,
                OrderState::Live | OrderState::PartlyMatched | OrderState::Sent
            ) {
                order.state = OrderState::Cancelling;
            }
        }
    }

    /// Marks that its fate was asked for.
    pub fn queried(&mut self, id: ClientOrderId, now: Time) {
        if let Some(order) = self.all.get_mut(&id) {
            order.queried_at = Some(now);
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
    ) -> Option<Result<TradeChange, IllegalTrade>> {
        let order = self.all.get_mut(&id)?;
        let change = match order.fills.get_mut(&trade) {
            None => {
                order.fills.insert(trade, (status, fill));
                if status == TradeStatus::Failed {
                    order.failed += fill.shares;
                    order.failed_spend += fill.notional;
                    TradeChange::Nothing
                } else {
                    TradeChange::New
                }
            }
            Some((known, _)) => match next_status(*known, status) {
                Err(illegal) => return Some(Err(illegal)),
                Ok(None) => TradeChange::Nothing,
                Ok(Some(next)) => {
                    *known = next;
                    match next {
                        TradeStatus::Confirmed => TradeChange::Confirmed,
                        TradeStatus::Failed => TradeChange::Failed,
                        _ => TradeChange::Nothing,
                    }
                }
            },
        };
        match change {
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
        self.refresh(id, now);
        Some(Ok(change))
    }

    /// Takes back an order that never left (a basket whose other leg was denied).
    pub(crate) fn withdraw(&mut self, id: ClientOrderId) {
        if let Some(order) = self.all.remove(&id)
            && let Some(list) = self.open.get_mut(&order.token.market())
        {
            list.retain(|listed| *listed != id);
            self.open_count -= 1;
        }
    }

    /// Keeps the lists of open and of settled orders right after news.
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
        match (list.iter().position(|listed| *listed == id), open) {
            (Some(at), false) => {
                list.remove(at);
                self.open_count -= 1;
            }
            (None, true) => {
                list.push(id);
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

impl Order {
    /// A planned order.
    #[expect(clippy::too_many_arguments, reason = "an order is all of these")]
    pub(crate) fn planned(
        id: ClientOrderId,
        strategy: StrategyId,
        signal: SignalId,
        purpose: Purpose,
        token: Token,
        side: Side,
        price: Price,
        size: Size,
        tif: Tif,
        placed_at: Time,
    ) -> Order {
        Order {
            id,
            strategy,
            signal,
            purpose,
            token,
            side,
            price,
            size,
            tif,
            state: OrderState::Planned,
            matched: Shares::ZERO,
            spent: Usdc::ZERO,
            failed: Shares::ZERO,
            failed_spend: Usdc::ZERO,
            reported: None,
            placed_at,
            ended_at: None,
            settled_at: None,
            cancel_at: None,
            cancels: 0,
            queried_at: None,
            exit: None,
            double_mid: None,
            edge: Usdc::ZERO,
            fee_reserve: Usdc::ZERO,
            fills: BTreeMap::new(),
        }
    }
}

/// A rejection that says the market moved, not that we are wrong.
pub fn is_ordinary(reason: &RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::FokKilled | RejectReason::FakKilled | RejectReason::PostOnlyWouldCross
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use polydesk_domain::CancelReason;

    const ALL: [OrderState; 12] = [
        OrderState::Planned,
        OrderState::Journaled,
        OrderState::Sent,
        OrderState::Live,
        OrderState::Delayed,
        OrderState::PartlyMatched,
        OrderState::Cancelling,
        OrderState::Unknown,
        OrderState::Filled,
        OrderState::Cancelled,
        OrderState::Expired,
        OrderState::Rejected,
    ];

    fn events() -> Vec<OrderUpdate> {
        vec![
            OrderUpdate::Bound { hash: Default::default() },
            OrderUpdate::Sent,
            OrderUpdate::Live,
            OrderUpdate::Delayed,
            OrderUpdate::Matched,
            OrderUpdate::Rejected { reason: RejectReason::Tick },
            OrderUpdate::Unknown,
            OrderUpdate::Cancelled { reason: CancelReason::Requested, matched: Shares::ZERO },
            OrderUpdate::Expired { matched: Shares::ZERO },
            OrderUpdate::Filled { matched: Shares::ZERO },
            OrderUpdate::CancelRefused { still_open: true },
            OrderUpdate::Absent,
        ]
    }

    #[test]
    fn an_ended_order_never_comes_back() {
        for state in ALL.into_iter().filter(|state| state.ended()) {
            for event in events() {
                let next = next_state(state, &event, false);
                assert!(!matches!(next, Ok(Some(_))), "{state:?} {event:?} {next:?}");
            }
        }
    }

    #[test]
    fn unknown_ends_only_by_evidence() {
        for event in
            [OrderUpdate::Sent, OrderUpdate::Unknown, OrderUpdate::CancelRefused { still_open: false }]
        {
            assert_eq!(next_state(OrderState::Unknown, &event, false), Ok(None), "{event:?}");
        }
        assert_eq!(
            next_state(OrderState::Unknown, &OrderUpdate::Absent, false),
            Ok(Some(OrderState::Rejected))
        );
        assert_eq!(
            next_state(OrderState::Unknown, &OrderUpdate::Live, true),
            Ok(Some(OrderState::PartlyMatched))
        );
    }

    #[test]
    fn an_order_with_fills_cannot_have_been_refused() {
        let refused = OrderUpdate::Rejected { reason: RejectReason::Tick };
        assert!(next_state(OrderState::Sent, &refused, true).is_err());
        assert!(next_state(OrderState::Unknown, &OrderUpdate::Absent, true).is_err());
    }

    /// Plays `news` of order 1, an hour apart, and tells whether it is remembered so many hours after the
    /// last of them.
    fn remembered(news: &[News], hours: i64) -> bool {
        let at = |hours: i64| Time::from_secs(hours * 3_600);
        let (mut orders, id, shares) = (Orders::default(), ClientOrderId(1), Shares::whole(5));
        let mut now = 0;
        orders.insert(Order::planned(
            id,
            StrategyId::STINK_BIDDER,
            SignalId(1),
            Purpose::Quote,
            Token(0),
            Side::Buy,
            Price::cents(30),
            Size::Shares(shares),
            Tif::Gtc,
            at(0),
        ));
        for news in news {
            now += 1;
            match news {
                News::Order(event) => {
                    orders.apply(id, event, at(now)).unwrap().unwrap();
                }
                News::Fill(status) => {
                    let notional = Price::cents(30).notional_floor(shares);
                    let fill = Fill { shares, notional, fee: Usdc::ZERO, level: None };
                    orders.trade(id, TradeId(1), fill, *status, at(now)).unwrap().unwrap();
                }
            }
        }
        orders.forget(at(now + hours), |_| false);
        let kept = orders.get(id).is_some();
        assert_eq!(orders.count(), usize::from(kept));
        assert_eq!(orders.settled.len(), usize::from(kept && orders.all[&id].settled()));
        kept
    }

    enum News {
        Order(OrderUpdate),
        Fill(TradeStatus),
    }

    #[test]
    fn an_order_is_forgotten_a_day_after_it_is_over_and_settled_and_no_sooner() {
        use News::{Fill, Order as Said};
        let (live, shares) = (|| Said(OrderUpdate::Live), Shares::whole(5));
        let filled = || Said(OrderUpdate::Filled { matched: shares });
        let cancelled =
            |matched| Said(OrderUpdate::Cancelled { reason: CancelReason::Requested, matched });
        let refused = || Said(OrderUpdate::Rejected { reason: RejectReason::Tick });
        const YEAR: i64 = 24 * 365;
        let cases: [(&str, Vec<News>, i64, bool); 12] = [
            ("nothing heard", vec![], YEAR, true),
            ("resting", vec![live()], YEAR, true),
            ("no answer", vec![Said(OrderUpdate::Unknown)], YEAR, true),
            ("refused, a day", vec![refused()], 24, true),
            ("refused, longer", vec![refused()], 25, false),
            ("cancelled unfilled", vec![live(), cancelled(Shares::ZERO)], 25, false),
            ("cancelled, its fill has not come", vec![live(), cancelled(shares)], YEAR, true),
            ("filled, not final", vec![live(), Fill(TradeStatus::Mined), filled()], YEAR, true),
            ("final, not over", vec![live(), Fill(TradeStatus::Confirmed)], YEAR, true),
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
        for (case, news, hours, want) in cases {
            assert_eq!(remembered(&news, hours), want, "{case}");
        }
        // A repetition starts the day anew.
        let again = vec![refused(), refused()];
        assert!(remembered(&again, 24));
    }

    #[test]
    fn a_settled_trade_stays_settled() {
        use TradeStatus::*;
        assert_eq!(next_status(Matched, Failed), Ok(Some(Failed)));
        assert_eq!(next_status(Retrying, Confirmed), Ok(Some(Confirmed)));
        assert_eq!(next_status(Failed, Failed), Ok(None));
        assert_eq!(next_status(Mined, Matched), Ok(None));
        assert!(next_status(Confirmed, Failed).is_err());
        assert!(next_status(Failed, Confirmed).is_err());
    }
}
