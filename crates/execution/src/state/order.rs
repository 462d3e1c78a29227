//! One of our orders and the two machines that drive it: one per order, one per (trade, order).
//!
//! Nothing is refused until it is proven refused, nothing counts as gone only because it was not seen,
//! and nothing is filled for good until it is settled.

use polydesk_domain::{
    ClientOrderId, ExitPlan, OrderHash, OrderState, OrderUpdate, Price, Purpose, RejectReason,
    Shares, Side, SignalId, Size, StrategyId, Tif, Time, Token, TokenId, TradeId, TradeStatus,
    Universe, Usdc,
};
use serde::{Deserialize, Serialize};

use super::codec::Venue;
use super::own_fills::{Fills, OwnFill};

/// One of our orders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order<T = Token> {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// From which signal.
    pub signal: Option<SignalId>,
    /// What for.
    pub purpose: Purpose,
    /// Which token.
    pub token: T,
    /// Which way.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// How long.
    pub tif: Tif,
    /// Whether it refuses to take.
    pub post_only: bool,
    /// When its signal ends.
    pub expires: Time,
    /// The last proof that the book it was priced from is current.
    pub data_at: Time,
    /// The venue's id, once it is signed.
    pub hash: Option<OrderHash>,
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
    /// Shares matched in all, as the venue reported at its end.
    pub reported: Option<Shares>,
    /// When it was decided.
    pub placed_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The last update since it is settled.
    pub(crate) settled_at: Option<Time>,
    /// When a cancel was last asked for.
    pub cancel_at: Option<Time>,
    /// How often a cancel was asked for.
    pub cancels: u32,
    /// When it was last asked about.
    pub queried_at: Option<Time>,
    /// How often it was asked about since anything became known of it.
    pub queries: u32,
    /// When anything last became known of it.
    pub updated_at: Time,
    /// It is to be cancelled, and the rate of cancels did not allow it yet.
    pub cancel_wanted: bool,
    /// It was reported alive after its end: if it is again, it is open.
    pub doubtful: bool,
    /// What to do with what it buys.
    pub exit: Option<ExitPlan>,
    /// Twice the middle of its token when it was decided, in ten-thousandths.
    pub double_mid: Option<u32>,
    /// Expected edge, for the rule that the lower one waits.
    pub edge: Usdc,
    /// Worst-case taker fee reserved for it.
    pub fee_reserve: Usdc,
    /// Its fills by the venue's trade.
    pub(crate) fills: Fills,
}

impl<T> Order<T> {
    /// Its fills, failed ones too, with the venue's trade.
    pub fn all_fills(&self) -> impl Iterator<Item = (TradeId, &OwnFill)> {
        self.fills.iter().map(|(id, fill)| (*id, fill))
    }

    /// Fills that are neither final nor failed, by their trade.
    pub fn unsettled(&self) -> impl Iterator<Item = (TradeId, &OwnFill)> {
        let open = |status| !matches!(status, TradeStatus::Confirmed | TradeStatus::Failed);
        self.fills.iter().filter(move |(_, fill)| open(fill.status)).map(|(id, fill)| (*id, fill))
    }
}

/// What the gate needs to know of an order before it exists.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub strategy: StrategyId,
    pub signal: Option<SignalId>,
    pub purpose: Purpose,
    pub token: Token,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    pub tif: Tif,
    pub post_only: bool,
    pub placed_at: Time,
    pub expires: Time,
}

impl Draft {
    /// The order it describes, without a name yet.
    pub(crate) fn order(self) -> Order {
        let Draft {
            strategy,
            signal,
            purpose,
            token,
            side,
            price,
            size,
            tif,
            post_only,
            placed_at,
            expires,
        } = self;
        Order {
            id: ClientOrderId(0),
            strategy,
            signal,
            purpose,
            token,
            side,
            price,
            size,
            tif,
            post_only,
            expires,
            data_at: placed_at,
            hash: None,
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
            queries: 0,
            updated_at: placed_at,
            cancel_wanted: false,
            doubtful: false,
            exit: None,
            double_mid: None,
            edge: Usdc::ZERO,
            fee_reserve: Usdc::ZERO,
            fills: Fills::default(),
        }
    }
}

impl<T> Order<T> {
    /// The same order with its token replaced.
    pub(crate) fn with_token<U>(
        self,
        with: impl FnOnce(T) -> Result<U, String>,
    ) -> Result<Order<U>, String> {
        let Order {
            id,
            strategy,
            signal,
            purpose,
            token,
            side,
            price,
            size,
            tif,
            post_only,
            expires,
            data_at,
            hash,
            state,
            matched,
            spent,
            failed,
            failed_spend,
            reported,
            placed_at,
            ended_at,
            settled_at,
            cancel_at,
            cancels,
            queried_at,
            queries,
            updated_at,
            cancel_wanted,
            doubtful,
            exit,
            double_mid,
            edge,
            fee_reserve,
            fills,
        } = self;
        Ok(Order {
            id,
            strategy,
            signal,
            purpose,
            token: with(token)?,
            side,
            price,
            size,
            tif,
            post_only,
            expires,
            data_at,
            hash,
            state,
            matched,
            spent,
            failed,
            failed_spend,
            reported,
            placed_at,
            ended_at,
            settled_at,
            cancel_at,
            cancels,
            queried_at,
            queries,
            updated_at,
            cancel_wanted,
            doubtful,
            exit,
            double_mid,
            edge,
            fee_reserve,
            fills,
        })
    }
}

impl Venue for Order {
    type Doc = Order<TokenId>;
    fn doc(&self, ids: &Universe) -> Order<TokenId> {
        // A dense token has an id for certain; `with_token` asks for a result because of the way back.
        match self.clone().with_token(|token| Ok(ids.token_id(token))) {
            Ok(doc) => doc,
            Err(error) => unreachable!("{error}"),
        }
    }
    fn read(doc: Order<TokenId>, ids: &Universe) -> Result<Order, String> {
        doc.with_token(|token| Token::read(token, ids))
    }
}

impl Order {
    /// Whether it may still match, or may have matched without our knowing.
    pub fn open(&self) -> bool {
        !self.state.ended() || self.missing() > Shares::ZERO
    }

    /// Re-opens it: its state is unknown, queries and cancels begin again.
    pub(crate) fn reopen(&mut self) {
        self.state = OrderState::Unknown;
        self.ended_at = None;
        (self.queries, self.cancels, self.cancel_at) = (0, 0, None);
    }

    /// Shares that the venue reported as matched and whose fills have not arrived.
    pub fn missing(&self) -> Shares {
        self.reported.map_or(Shares::ZERO, |reported| reported.saturating_sub(self.seen()))
    }

    /// Shares whose fills arrived, whatever became of their settlement.
    pub(super) fn seen(&self) -> Shares {
        self.matched + self.failed
    }

    /// Whether it is over and every fill of it is final, one way or the other.
    pub fn settled(&self) -> bool {
        let last =
            |status: &TradeStatus| matches!(status, TradeStatus::Confirmed | TradeStatus::Failed);
        !self.open() && self.fills.values().all(|fill| last(&fill.status))
    }

    /// Shares that can still match at the limit, for orders sized in shares.
    pub fn left(&self) -> Shares {
        match self.size {
            Size::Shares(size) => size.saturating_sub(self.seen()),
            Size::Spend(_) => Shares::ZERO,
        }
    }

    /// pUSD that a buy can still spend, fees apart. The venue counts what was spent, not what was
    /// received: a buy that met better prices may go on for the rest of its money.
    pub fn left_spend(&self) -> Usdc {
        let whole = match (self.side, self.size) {
            (Side::Sell, _) => return Usdc::ZERO,
            (Side::Buy, Size::Shares(shares)) => self.price.notional_ceil(shares),
            (Side::Buy, Size::Spend(spend)) => spend,
        };
        (whole - self.spent - self.failed_spend).max(Usdc::ZERO)
    }

    /// Whether its fills leave nothing that could still match: less than a hundredth of a share.
    pub fn exhausted(&self) -> bool {
        let left = match self.side {
            Side::Sell => self.left(),
            Side::Buy => self.price.shares_for(self.left_spend()).unwrap_or_default(),
        };
        left.floor_cents().is_zero()
    }

    /// Whether a cancel of it is under way.
    pub fn being_cancelled(&self) -> bool {
        let unanswered = matches!(
            self.state,
            OrderState::Planned | OrderState::Journaled | OrderState::Sent | OrderState::Unknown
        );
        self.state == OrderState::Cancelling || (self.cancel_at.is_some() && unanswered)
    }

    /// Whether it is to be cancelled, could be, and never was.
    pub(crate) fn waits_for_first_cancel(&self) -> bool {
        self.cancel_wanted && self.cancels == 0 && self.state != OrderState::Delayed
    }

    /// Fills that are neither final nor failed, oldest first.
    pub fn unsettled_fills(&self) -> impl Iterator<Item = &OwnFill> {
        let moving =
            |fill: &&OwnFill| !matches!(fill.status, TradeStatus::Confirmed | TradeStatus::Failed);
        self.fills.values().filter(moving)
    }

    /// Whether it is a buy that may take. The venue bounds such a buy by its money, whatever it is sized
    /// in: what meets a better price than its limit brings more shares, and leaves the money for more.
    pub(crate) fn takes(&self) -> bool {
        self.side == Side::Buy && !(self.post_only && matches!(self.size, Size::Shares(_)))
    }

    /// Shares that can still be delivered, at the most: of a buy that may take, what the whole rest of its
    /// money buys at the lowest price there is.
    pub fn remaining_shares(&self, tick: polydesk_domain::Tick) -> Shares {
        if self.state.ended() {
            return self.missing();
        }
        if !self.takes() {
            return self.left();
        }
        let lowest = Price::new(tick.units()).unwrap_or(Price::ONE);
        lowest.shares_for(self.left_spend()).unwrap_or(Shares::SANE_MAX)
    }

    /// pUSD a buy can still take, fees included, at the most.
    pub fn remaining_cost(&self) -> Usdc {
        if self.side == Side::Sell || !self.open() {
            return Usdc::ZERO;
        }
        if self.state.ended() {
            // More shares than at the limit: bought at better prices, for the same money.
            let missing = self.price.notional_ceil(self.missing());
            let most = if self.takes() { missing.min(self.left_spend()) } else { missing };
            return most + self.fee_reserve;
        }
        let left =
            if self.takes() { self.left_spend() } else { self.price.notional_ceil(self.left()) };
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
/// The error names an event that is not possible in that state: it is counted and reported, and the order
/// keeps the worse of the two readings.
pub fn next_state(
    state: OrderState,
    event: &OrderUpdate,
    matched: bool,
) -> Result<Option<OrderState>, Illegal> {
    use OrderState as S;
    use OrderUpdate as E;
    let resting = if matched { S::PartlyMatched } else { S::Live };
    let illegal = Err(Illegal { state, event: update_name(event) });
    Ok(match event {
        E::Bound { .. } => (state == S::Planned).then_some(S::Journaled),
        E::Sent => matches!(state, S::Planned | S::Journaled).then_some(S::Sent),
        // A response can come after later updates of the stream: the later state stays.
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
        // The same order exists already: that proves life, not death.
        E::Rejected { reason: RejectReason::Duplicate } => {
            matches!(state, S::Planned | S::Journaled | S::Sent).then_some(S::Unknown)
        }
        // Not found proves nothing once the venue has acknowledged the order.
        E::Absent | E::NotSent { .. } => match state {
            S::Rejected => None,
            S::Planned | S::Journaled | S::Sent | S::Unknown if !matched => Some(S::Rejected),
            _ => return illegal,
        },
        E::Rejected { .. } => match state {
            S::Rejected => None,
            S::Filled | S::Cancelled | S::Expired => return illegal,
            _ if matched => return illegal,
            _ => Some(S::Rejected),
        },
        E::Unknown => matches!(state, S::Planned | S::Journaled | S::Sent).then_some(S::Unknown),
        E::Cancelled { .. } => match state {
            // Fills that leave nothing end an order before the venue reports its end.
            S::Cancelled | S::Filled => None,
            S::Rejected | S::Expired => return illegal,
            _ => Some(S::Cancelled),
        },
        E::Expired { .. } => match state {
            S::Expired | S::Filled => None,
            S::Rejected | S::Cancelled => return illegal,
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
        (T::Confirmed, T::Failed) | (T::Failed, T::Confirmed) => false,
        // Streams reorder, and queries overtake them: an earlier stage after a later one changes nothing.
        (T::Confirmed | T::Failed, _) | (T::Mined | T::Retrying, T::Matched) => return Ok(None),
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

/// An update in a word.
pub(crate) fn update_name(event: &OrderUpdate) -> &'static str {
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
        OrderUpdate::NotSent { .. } => "not sent",
    }
}

/// A rejection because the market moved or its data were lost, not because the order was wrong.
pub fn is_ordinary(reason: &RejectReason) -> bool {
    matches!(
        reason,
        RejectReason::FokKilled
            | RejectReason::FakKilled
            | RejectReason::PostOnlyWouldCross
            | RejectReason::NotReady
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
        for event in [
            OrderUpdate::Sent,
            OrderUpdate::Unknown,
            OrderUpdate::CancelRefused { still_open: false },
        ] {
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
