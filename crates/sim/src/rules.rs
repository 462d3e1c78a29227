//! Which orders the venue accepts: mode, state, tick size, size, accuracy, expiration. It neither matches
//! nor checks balances.
//!
//! An order in a market with an unknown fee or protocol version is refused as in a closed market: without
//! the fee its fills cannot be simulated.

use polydesk_domain::{
    Amounts, AmountsError, Book, FeeRate, Market, MarketState, PlaceOrder, ProtocolVersion,
    RejectReason, Rounding, Shares, Side, Size, Span, Tif, Time, Usdc, immediate_amounts,
    resting_amounts,
};

/// The least time from arrival to the expiration of a GTD order.
const LEAST_HORIZON: Span = Span::secs(180);
/// How long before its stated expiration the venue removes it.
const REMOVED_BEFORE: Span = Span::secs(60);
/// The least value of a marketable order.
pub(crate) const LEAST_MARKETABLE: Usdc = Usdc::whole(1);

/// Which commands the venue accepts (its 503 modes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VenueMode {
    /// All.
    #[default]
    Normal,
    /// New orders that are post-only; cancels.
    PostOnly,
    /// No new orders; cancels.
    CancelOnly,
}

impl VenueMode {
    /// Whether the mode accepts a new order.
    pub(crate) fn accepts(self, post_only: bool) -> bool {
        match self {
            VenueMode::Normal => true,
            VenueMode::PostOnly => post_only,
            VenueMode::CancelOnly => false,
        }
    }
}

/// An accepted order's amounts and its fee rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) amounts: Amounts,
    pub(crate) fee: FeeRate,
}

/// Applies the rules that need no counterparty.
pub(crate) fn admit(
    order: &PlaceOrder,
    market: &Market,
    state: MarketState,
    book: &Book,
    now: Time,
    rounding: Rounding,
    minimum_binds_immediate: bool,
) -> Result<Admitted, RejectReason> {
    let fee = open_for(market, state, now)?;
    if !order.price.tradable(book.tick()) {
        return Err(RejectReason::Tick);
    }
    let amounts = amounts(order, book, rounding)?;
    let bound = order.tif.rests() || minimum_binds_immediate;
    if bound && amounts.shares(order.side) < market.min_size {
        return Err(RejectReason::BelowMinimum);
    }
    if let Tif::Gtd { expires } = order.tif
        && now.until(expires) < LEAST_HORIZON
    {
        return Err(RejectReason::Expiration);
    }
    if !order.tif.rests() {
        if order.post_only {
            return Err(RejectReason::Other("post-only orders are GTC or GTD".into()));
        }
        if amounts.money(order.side) < LEAST_MARKETABLE {
            return Err(RejectReason::BelowMarketableMinimum);
        }
    }
    Ok(Admitted { amounts, fee })
}

/// When the venue removes a GTD order with this stated expiration.
pub(crate) fn removal(expires: Time) -> Time {
    expires - REMOVED_BEFORE
}

fn open_for(market: &Market, state: MarketState, now: Time) -> Result<FeeRate, RejectReason> {
    let ready = market.opens.is_none_or(|opens| opens <= now);
    let known = !matches!(market.version, ProtocolVersion::Unknown(_));
    if !state.trades() || !ready || !known {
        return Err(RejectReason::MarketClosed);
    }
    market.fees.at(now).map_err(|_| RejectReason::MarketClosed)
}

/// The order's amounts. The venue refuses amounts that its own rounding would change.
fn amounts(order: &PlaceOrder, book: &Book, rounding: Rounding) -> Result<Amounts, RejectReason> {
    let exact = match order.size {
        Size::Shares(shares) => shares == shares.floor_cents() && shares <= Shares::SANE_MAX,
        Size::Spend(spend) => spend >= Usdc::ZERO && spend == spend.floor_cents(),
    };
    if !exact {
        return Err(RejectReason::Accuracy);
    }
    let tick = book.tick();
    let amounts = match (order.tif.rests(), order.size) {
        (true, Size::Shares(shares)) => resting_amounts(order.side, order.price, shares, tick),
        (true, Size::Spend(_)) => Err(AmountsError::Unit),
        (false, size) => immediate_amounts(order.side, order.price, size, tick, rounding),
    };
    amounts.map_err(|error| match error {
        AmountsError::Price { .. } => RejectReason::Tick,
        AmountsError::Nothing => RejectReason::BelowMinimum,
        AmountsError::Unit | AmountsError::Overflow => RejectReason::Accuracy,
    })
}

/// The most a taker's fee can be for spending so much: `p × (1 − p)` of a share costing `p` is below
/// the money spent on it, whatever the price.
pub(crate) fn most_fee(spend: Usdc, fee: FeeRate) -> Usdc {
    let micros = i128::from(spend.micros()) * i128::from(fee.rate_ppm);
    let rounded_up = (micros + 999_999) / 1_000_000;
    Usdc::new(i64::try_from(rounded_up).unwrap_or(i64::MAX))
}

/// pUSD that an order of this side may spend: zero for sells.
pub(crate) fn money_of(side: Side, amounts: &Amounts) -> Usdc {
    match side {
        Side::Buy => amounts.money(Side::Buy),
        Side::Sell => Usdc::ZERO,
    }
}
