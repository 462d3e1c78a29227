//! What is held, in lots: first in, first out, with fees in the cost.
//!
//! A lot counts as exposure from its match on and can be sold only once it is final; a sale earns only
//! once it is final; whatever fails is undone exactly once.

use std::collections::{BTreeMap, VecDeque};

use polydesk_domain::{
    Book, ClientOrderId, Fill, MarketKey, Outcome, Payout, Position, Price, Role, Shares, Side,
    Span, StrategyId, Tick, Time, Token, TradeId, Usdc,
};
use polydesk_signals::ExitPlan;

use crate::ledger::{Account, Entry, Ledger};

/// Why a position was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitWhy {
    /// The target was reached.
    TakeProfit,
    /// The stop was reached.
    StopLoss,
    /// The trailing stop was reached.
    Trailing,
    /// It was held long enough.
    MaxHold,
    /// The market is about to close.
    BeforeClose,
    /// A strategy asked for it.
    Signal,
    /// A person asked for it.
    Operator,
    /// A plan could not be completed.
    Unwind,
    /// A leg of a basket that sells.
    Basket,
    /// The market was resolved and the shares redeemed.
    Resolution,
    /// Complete sets became money.
    Merge,
}

impl ExitWhy {
    /// A stable word for tables.
    pub fn name(self) -> &'static str {
        match self {
            ExitWhy::TakeProfit => "take_profit",
            ExitWhy::StopLoss => "stop_loss",
            ExitWhy::Trailing => "trailing",
            ExitWhy::MaxHold => "max_hold",
            ExitWhy::BeforeClose => "before_close",
            ExitWhy::Signal => "signal",
            ExitWhy::Operator => "operator",
            ExitWhy::Unwind => "unwind",
            ExitWhy::Basket => "basket",
            ExitWhy::Resolution => "resolution",
            ExitWhy::Merge => "merge",
        }
    }
}

/// Names a fill.
pub type FillKey = (TradeId, ClientOrderId);

/// Shares bought together.
#[derive(Debug, Clone, PartialEq)]
pub struct Lot {
    /// The fill that brought them.
    pub key: FillKey,
    /// When.
    pub opened_at: Time,
    /// What is left of them.
    pub shares: Shares,
    /// What the rest cost, fees included.
    pub cost: Usdc,
    /// Fees within that cost.
    pub fee: Usdc,
    /// Whether the purchase is final.
    pub confirmed: bool,
    /// How to leave.
    pub plan: Option<ExitPlan>,
    /// How they were bought.
    pub role: Role,
}

impl Lot {
    /// Average price without fees in ten-thousandths, rounded down.
    fn entry_units(&self) -> u64 {
        average_units(self.cost - self.fee, self.shares)
    }

    /// Cuts `shares` off, with their part of cost and fees (rounded down; the rest keeps the rest).
    fn cut(&mut self, shares: Shares) -> Lot {
        let part = |amount: Usdc| amount.scale_floor(shares.micros(), self.shares.micros());
        let slice = Lot { shares, cost: part(self.cost), fee: part(self.fee), ..self.clone() };
        self.shares -= shares;
        self.cost -= slice.cost;
        self.fee -= slice.fee;
        slice
    }
}

/// A finished round trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTrade {
    /// Whose.
    pub strategy: StrategyId,
    /// Which token.
    pub token: Token,
    /// Bought.
    pub opened_at: Time,
    /// Sold, merged or redeemed.
    pub closed_at: Time,
    /// How many.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// Received, fees taken off.
    pub proceeds: Usdc,
    /// Fees on the way in.
    pub entry_fee: Usdc,
    /// Fees on the way out.
    pub exit_fee: Usdc,
    /// How they were bought.
    pub entry_role: Role,
    /// How they were sold; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Why they were sold.
    pub why: ExitWhy,
    /// Names the closing this is part of: one exit order, or what was merged or redeemed within a minute.
    pub closing: u64,
}

/// A sale that is matched but not final.
#[derive(Debug, Clone)]
struct Sale {
    strategy: StrategyId,
    token: Token,
    slices: Vec<Lot>,
    fill: Fill,
    role: Role,
    why: ExitWhy,
    /// The floor of the latch it was sold under, to latch again if it fails.
    floor: Option<Price>,
}

/// What one strategy holds of one token.
#[derive(Debug, Clone, Default)]
pub struct Holding {
    /// Oldest first.
    pub lots: VecDeque<Lot>,
    /// The order that is to close it, if one is open.
    pub exit_order: Option<ClientOrderId>,
    /// Latched: it is to be sold, for this reason, not below this price, this many shares.
    pub leaving: Option<(ExitWhy, Price, Shares)>,
    /// Best executable price since the trailing stop became active, in ten-thousandths.
    high: Option<u64>,
    /// No exit order before this time, and how often it was tried in vain.
    pub retry_at: Option<Time>,
    /// Immediate exits that found nobody, in a row.
    pub retries: u32,
}

impl Holding {
    /// Everything held.
    pub fn held(&self) -> Shares {
        self.lots.iter().map(|lot| lot.shares).sum()
    }
    /// The final part.
    pub fn confirmed(&self) -> Shares {
        self.lots.iter().filter(|lot| lot.confirmed).map(|lot| lot.shares).sum()
    }
    /// What it cost, fees included.
    pub fn cost(&self) -> Usdc {
        self.lots.iter().map(|lot| lot.cost).sum()
    }
}

/// What to do about a holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitWish {
    /// Nothing.
    Stay,
    /// Wait in the book for the target.
    Rest {
        /// Where.
        price: Price,
        /// How much.
        shares: Shares,
    },
    /// Sell into the bids.
    Take {
        /// Why.
        why: ExitWhy,
        /// Not below this.
        floor: Price,
        /// How much.
        shares: Shares,
    },
}

/// Everything about the market that an exit looks at.
#[derive(Debug, Clone, Copy)]
pub struct ExitContext<'a> {
    /// Engine time.
    pub now: Time,
    /// The book.
    pub book: &'a Book,
    /// Time to the nominal close, where known.
    pub to_close: Option<Span>,
}

/// A broken promise that latches a halt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Claim {
    /// A sale of shares that were not there.
    #[error("{strategy} sold {short} shares more than it held and had settled")]
    Oversold {
        /// Whose.
        strategy: StrategyId,
        /// How many too many.
        short: Shares,
    },
    /// A purchase failed after its shares had been sold.
    #[error("{strategy}: a purchase failed of which {short} shares had been sold already")]
    SoldFailed {
        /// Whose.
        strategy: StrategyId,
        /// How many.
        short: Shares,
    },
}

/// All holdings.
#[derive(Debug, Default)]
pub struct Positions {
    holdings: BTreeMap<(StrategyId, Token), Holding>,
    sales: BTreeMap<FillKey, Sale>,
    /// Markets with something in them, so that the others cost nothing on a batch.
    occupied: Vec<u32>,
}

impl Positions {
    /// A holding.
    pub fn get(&self, strategy: StrategyId, token: Token) -> Option<&Holding> {
        self.holdings.get(&(strategy, token))
    }

    /// A holding to change its exit state.
    pub(crate) fn get_mut(&mut self, strategy: StrategyId, token: Token) -> Option<&mut Holding> {
        self.holdings.get_mut(&(strategy, token))
    }

    /// All holdings, in order.
    pub fn all(&self) -> impl Iterator<Item = (StrategyId, Token, &Holding)> {
        self.holdings.iter().map(|((strategy, token), holding)| (*strategy, *token, holding))
    }

    /// Whether anything is held in a market.
    #[inline]
    pub fn occupied(&self, market: MarketKey) -> bool {
        self.occupied.get(market.index()).is_some_and(|count| *count > 0)
    }

    /// The holdings of a market.
    pub fn in_market(&self, market: MarketKey) -> Vec<(StrategyId, Token)> {
        let mut found = Vec::new();
        if self.occupied(market) {
            found.extend(self.holdings.keys().filter(|(_, token)| token.market() == market));
        }
        found
    }

    /// What strategies see of a holding; `offered` is what open sells may take.
    pub fn position(&self, strategy: StrategyId, token: Token, offered: Shares) -> Position {
        let Some(holding) = self.get(strategy, token) else { return Position::default() };
        let confirmed = holding.confirmed();
        Position { confirmed, unsettled: holding.held() - confirmed, offered, cost: holding.cost() }
    }

    /// Books a purchase.
    #[expect(clippy::too_many_arguments, reason = "a lot is all of these")]
    pub fn buy(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
        role: Role,
        plan: Option<ExitPlan>,
    ) {
        let cost = fill.notional + fill.fee;
        ledger.post(Entry { at, from: Account::Cash, to: Account::Inventory, amount: cost });
        ledger.note_fee(fill.fee);
        let lot = Lot {
            key,
            opened_at: at,
            shares: fill.shares,
            cost,
            fee: fill.fee,
            confirmed: false,
            plan,
            role,
        };
        self.add(strategy, token, lot);
    }

    fn add(&mut self, strategy: StrategyId, token: Token, lot: Lot) {
        let holding = self.holdings.entry((strategy, token)).or_default();
        if holding.lots.is_empty() {
            if self.occupied.len() <= token.market().index() {
                self.occupied.resize(token.market().index() + 1, 0);
            }
            self.occupied[token.market().index()] += 1;
        }
        // Lots stay in the order they were bought, also when a failed sale brings one back.
        let at = holding.lots.partition_point(|other| other.opened_at <= lot.opened_at);
        holding.lots.insert(at, lot);
    }

    /// Removes a holding once it is empty.
    fn tidy(&mut self, strategy: StrategyId, token: Token) {
        if self.holdings.get(&(strategy, token)).is_some_and(|holding| holding.lots.is_empty()) {
            self.holdings.remove(&(strategy, token));
            self.occupied[token.market().index()] -= 1;
        }
    }

    /// A purchase became final.
    pub fn confirm_buy(&mut self, strategy: StrategyId, token: Token, key: FillKey) {
        if let Some(holding) = self.holdings.get_mut(&(strategy, token)) {
            holding
                .lots
                .iter_mut()
                .filter(|lot| lot.key == key)
                .for_each(|lot| lot.confirmed = true);
        }
    }

    /// A purchase failed: shares and cost go back, once.
    pub fn fail_buy(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
    ) -> Result<(), Claim> {
        let mut found = Shares::ZERO;
        if let Some(holding) = self.holdings.get_mut(&(strategy, token)) {
            for lot in holding.lots.iter().filter(|lot| lot.key == key) {
                found += lot.shares;
                ledger.post(Entry {
                    at,
                    from: Account::Inventory,
                    to: Account::Cash,
                    amount: lot.cost,
                });
            }
            holding.lots.retain(|lot| lot.key != key);
        }
        ledger.note_fee(-fill.fee);
        self.tidy(strategy, token);
        match fill.shares.saturating_sub(found) {
            Shares::ZERO => Ok(()),
            short => Err(Claim::SoldFailed { strategy, short }),
        }
    }

    /// Books a sale: settled lots leave, oldest first; profit waits until it is final.
    #[expect(clippy::too_many_arguments, reason = "a sale is all of these")]
    pub fn sell(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        key: FillKey,
        fill: Fill,
        role: Role,
        why: ExitWhy,
    ) -> Result<(), Claim> {
        let (slices, short) = self.take(strategy, token, fill.shares);
        let cost: Usdc = slices.iter().map(|lot| lot.cost).sum();
        let proceeds = fill.notional - fill.fee;
        ledger.post(Entry { at, from: Account::Inventory, to: Account::Pending, amount: cost });
        ledger.post(Entry {
            at,
            from: Account::Deferred,
            to: Account::Pending,
            amount: proceeds - cost,
        });
        ledger.note_fee(fill.fee);
        let leaving = self.get(strategy, token).and_then(|holding| holding.leaving);
        let floor = leaving.map(|(_, floor, _)| floor);
        self.sales.insert(key, Sale { strategy, token, slices, fill, role, why, floor });
        if let Some(holding) = self.get_mut(strategy, token)
            && let Some((_, _, shares)) = &mut holding.leaving
        {
            *shares = shares.saturating_sub(fill.shares);
            if shares.is_zero() {
                holding.leaving = None;
            }
        }
        self.tidy(strategy, token);
        if short.is_zero() { Ok(()) } else { Err(Claim::Oversold { strategy, short }) }
    }

    /// Takes up to `shares` of settled lots, oldest first; tells how many were missing.
    fn take(&mut self, strategy: StrategyId, token: Token, shares: Shares) -> (Vec<Lot>, Shares) {
        let (mut slices, mut left) = (Vec::new(), shares);
        let Some(holding) = self.holdings.get_mut(&(strategy, token)) else {
            return (slices, left);
        };
        for lot in holding.lots.iter_mut().filter(|lot| lot.confirmed) {
            if left.is_zero() {
                break;
            }
            let slice = lot.cut(lot.shares.min(left));
            left -= slice.shares;
            slices.push(slice);
        }
        holding.lots.retain(|lot| !lot.shares.is_zero());
        (slices, left)
    }

    /// A sale became final: its profit is real.
    pub fn confirm_sale(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        key: FillKey,
        closed: &mut Vec<ClosedTrade>,
    ) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry { at, from: Account::Pending, to: Account::Cash, amount: proceeds });
        let parts: Vec<Shares> = sale.slices.iter().map(|lot| lot.shares).collect();
        let (notional, fees) = (divide(sale.fill.notional, &parts), divide(sale.fill.fee, &parts));
        for ((lot, notional), exit_fee) in sale.slices.iter().zip(notional).zip(fees) {
            let trade = close(
                sale.strategy,
                sale.token,
                lot,
                at,
                notional - exit_fee,
                exit_fee,
                Some(sale.role),
                sale.why,
                key.1.0,
            );
            let result = trade.proceeds - trade.cost;
            ledger.post(Entry {
                at,
                from: Account::Realised,
                to: Account::Deferred,
                amount: result,
            });
            ledger.realise(
                at,
                sale.strategy,
                sale.token.market(),
                result,
                trade.entry_fee + trade.exit_fee,
                trade.closing,
            );
            closed.push(trade);
        }
    }

    /// A sale failed: the lots come back, once.
    pub fn fail_sale(&mut self, ledger: &mut Ledger, at: Time, key: FillKey) {
        let Some(sale) = self.sales.remove(&key) else { return };
        let cost: Usdc = sale.slices.iter().map(|lot| lot.cost).sum();
        let proceeds = sale.fill.notional - sale.fill.fee;
        ledger.post(Entry { at, from: Account::Pending, to: Account::Inventory, amount: cost });
        ledger.post(Entry {
            at,
            from: Account::Pending,
            to: Account::Deferred,
            amount: proceeds - cost,
        });
        ledger.note_fee(-sale.fill.fee);
        for lot in sale.slices {
            self.add(sale.strategy, sale.token, lot);
        }
        // What was to be sold is still to be sold; plans of the lots see to the other reasons.
        let asked = matches!(sale.why, ExitWhy::Unwind | ExitWhy::Operator | ExitWhy::Signal);
        if let (true, Some(floor), Some(holding)) =
            (asked, sale.floor, self.get_mut(sale.strategy, sale.token))
        {
            let before = holding.leaving.map_or(Shares::ZERO, |(_, _, shares)| shares);
            holding.leaving = Some((sale.why, floor, before + sale.fill.shares));
        }
    }

    /// pUSD became complete sets; the cost is shared out by `yes_units`, the worth of YES.
    #[expect(clippy::too_many_arguments, reason = "a split is all of these")]
    pub fn split(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        market: MarketKey,
        shares: Shares,
        yes_units: u16,
        command: ClientOrderId,
    ) {
        let yes_cost = shares.face_value().scale_floor(u64::from(yes_units.min(10_000)), 10_000);
        ledger.post(Entry {
            at,
            from: Account::Cash,
            to: Account::Inventory,
            amount: shares.face_value(),
        });
        for (outcome, cost) in
            [(Outcome::Yes, yes_cost), (Outcome::No, shares.face_value() - yes_cost)]
        {
            let key = (TradeId(0), command);
            let fee = Usdc::ZERO;
            let lot = Lot {
                key,
                opened_at: at,
                shares,
                cost,
                fee,
                confirmed: true,
                plan: None,
                role: Role::Taker,
            };
            self.add(strategy, market.token(outcome), lot);
        }
    }

    /// Complete sets became pUSD; the money is shared out by cost.
    pub fn merge(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        market: MarketKey,
        shares: Shares,
        closed: &mut Vec<ClosedTrade>,
    ) -> Result<(), Claim> {
        let (yes, yes_short) = self.take(strategy, market.token(Outcome::Yes), shares);
        let (no, no_short) = self.take(strategy, market.token(Outcome::No), shares);
        let cost = |lots: &[Lot]| -> Usdc { lots.iter().map(|lot| lot.cost).sum() };
        let (yes_cost, no_cost) = (cost(&yes), cost(&no));
        let whole = u64::try_from((yes_cost + no_cost).micros()).unwrap_or(0);
        let yes_part =
            shares.face_value().scale_floor(u64::try_from(yes_cost.micros()).unwrap_or(0), whole);
        for (outcome, lots, money) in
            [(Outcome::Yes, yes, yes_part), (Outcome::No, no, shares.face_value() - yes_part)]
        {
            self.cash_in(
                ledger,
                at,
                strategy,
                market.token(outcome),
                &lots,
                money,
                ExitWhy::Merge,
                closed,
            );
        }
        match yes_short.max(no_short) {
            Shares::ZERO => Ok(()),
            short => Err(Claim::Oversold { strategy, short }),
        }
    }

    /// The market's shares became what they pay. `paid` is what the venue paid in all; the last holding
    /// takes what rounding left over.
    pub fn redeem(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        market: MarketKey,
        payout: Payout,
        paid: Usdc,
        closed: &mut Vec<ClosedTrade>,
    ) {
        let held = self.in_market(market);
        let mut left = paid;
        for (i, (strategy, token)) in held.iter().enumerate() {
            let Some(holding) = self.holdings.get_mut(&(*strategy, *token)) else { continue };
            // What is not final was not there to be redeemed.
            let (lots, rest): (Vec<Lot>, Vec<Lot>) =
                holding.lots.drain(..).partition(|lot| lot.confirmed);
            holding.lots = rest.into();
            let shares = lots.iter().map(|lot| lot.shares).sum();
            let money = if i + 1 == held.len() {
                left
            } else {
                payout.pay(token.outcome(), shares).min(left)
            };
            left -= money;
            self.cash_in(ledger, at, *strategy, *token, &lots, money, ExitWhy::Resolution, closed);
        }
        if !left.is_zero() {
            // Paid for shares nobody here holds: it is ours, but no strategy's.
            ledger.post(Entry { at, from: Account::External, to: Account::Cash, amount: left });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what left, for how much and why")]
    fn cash_in(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        lots: &[Lot],
        money: Usdc,
        why: ExitWhy,
        closed: &mut Vec<ClosedTrade>,
    ) {
        let parts: Vec<Shares> = lots.iter().map(|lot| lot.shares).collect();
        if parts.is_empty() {
            ledger.post(Entry { at, from: Account::External, to: Account::Cash, amount: money });
            return;
        }
        for (lot, proceeds) in lots.iter().zip(divide(money, &parts)) {
            let closing = (1 << 63) | (at.millis().unsigned_abs() / 60_000);
            let trade = close(strategy, token, lot, at, proceeds, Usdc::ZERO, None, why, closing);
            let result = proceeds - lot.cost;
            ledger.post(Entry {
                at,
                from: Account::Inventory,
                to: Account::Cash,
                amount: lot.cost,
            });
            ledger.post(Entry { at, from: Account::Realised, to: Account::Cash, amount: result });
            ledger.realise(at, strategy, token.market(), result, lot.fee, trade.closing);
            closed.push(trade);
        }
        self.tidy(strategy, token);
    }

    /// What the ledger's inventory and pending accounts should say.
    pub fn totals(&self) -> (Usdc, Usdc) {
        let inventory = self.holdings.values().map(Holding::cost).sum();
        let pending = self.sales.values().map(|sale| sale.fill.notional - sale.fill.fee).sum();
        (inventory, pending)
    }

    /// What was sold and may come back: owner, token, cost and shares.
    pub fn coming_back(&self) -> impl Iterator<Item = (StrategyId, Token, Usdc, Shares)> {
        self.sales.values().map(|sale| {
            let cost = sale.slices.iter().map(|lot| lot.cost).sum();
            let shares = sale.slices.iter().map(|lot| lot.shares).sum();
            (sale.strategy, sale.token, cost, shares)
        })
    }

    /// Whether a sale in this market is not final: its shares may come back.
    pub fn selling(&self, market: MarketKey) -> bool {
        self.sales.values().any(|sale| sale.token.market() == market)
    }

    /// Shares bought and not final yet, at cost.
    pub fn unsettled_cost(&self) -> Usdc {
        let lots = self.holdings.values().flat_map(|holding| &holding.lots);
        lots.filter(|lot| !lot.confirmed).map(|lot| lot.cost).sum()
    }
}

#[expect(clippy::too_many_arguments, reason = "a round trip is all of these")]
fn close(
    strategy: StrategyId,
    token: Token,
    lot: &Lot,
    at: Time,
    proceeds: Usdc,
    exit_fee: Usdc,
    exit_role: Option<Role>,
    why: ExitWhy,
    closing: u64,
) -> ClosedTrade {
    ClosedTrade {
        strategy,
        token,
        opened_at: lot.opened_at,
        closed_at: at,
        shares: lot.shares,
        cost: lot.cost,
        proceeds,
        entry_fee: lot.fee,
        exit_fee,
        entry_role: lot.role,
        exit_role,
        why,
        closing,
    }
}

/// Shares an amount out in proportion; the last part takes what rounding left over.
fn divide(amount: Usdc, parts: &[Shares]) -> Vec<Usdc> {
    let whole: Shares = parts.iter().copied().sum();
    let mut left = amount;
    let mut out = Vec::with_capacity(parts.len());
    for (i, part) in parts.iter().enumerate() {
        let share = if i + 1 == parts.len() {
            left
        } else {
            amount.scale_floor(part.micros(), whole.micros())
        };
        left -= share;
        out.push(share);
    }
    out
}

/// `money / shares` in ten-thousandths of a dollar, rounded down.
pub(crate) fn average_units(money: Usdc, shares: Shares) -> u64 {
    let money = u128::try_from(money.micros()).unwrap_or(0);
    (money * 10_000 / u128::from(shares.micros().max(1))) as u64
}

/// Rounds ten-thousandths up to the grid, if that is a price one can trade at.
fn up_to_tick(units: u64, tick: Tick) -> Option<Price> {
    let units = units.next_multiple_of(u64::from(tick.units()));
    u16::try_from(units).ok().and_then(Price::new).filter(|price| price.tradable(tick))
}

/// What a holding's plans want now. Pure apart from the trailing stop's memory.
pub fn exit_wish(holding: &mut Holding, token: Token, ctx: &ExitContext<'_>) -> ExitWish {
    let settled = holding.confirmed();
    let outcome = token.outcome();
    if settled.is_zero() {
        return ExitWish::Stay;
    }
    if let Some((why, floor, shares)) = holding.leaving {
        return ExitWish::Take { why, floor, shares: shares.min(settled) };
    }
    let planned: Vec<&Lot> =
        holding.lots.iter().filter(|lot| lot.confirmed && lot.plan.is_some()).collect();
    let Some(plan) = planned.first().and_then(|lot| lot.plan) else { return ExitWish::Stay };
    let shares: Shares = planned.iter().map(|lot| lot.shares).sum();
    let weigh = |of: &dyn Fn(&Lot) -> u64| -> u64 {
        let sum: u128 =
            planned.iter().map(|lot| u128::from(of(lot)) * u128::from(lot.shares.micros())).sum();
        (sum / u128::from(shares.micros().max(1))) as u64
    };
    let entry = weigh(&|lot| lot.entry_units());
    let floor = plan.stop.map_or(Price::ZERO, |stop| stop.floor);
    let take = |why| ExitWish::Take { why, floor, shares };

    let oldest = planned[0].opened_at;
    if plan.max_hold.is_some_and(|most| oldest.until(ctx.now) >= most) {
        return take(ExitWhy::MaxHold);
    }
    if let (Some(before), Some(left)) = (plan.before_close, ctx.to_close)
        && left <= before
    {
        return take(ExitWhy::BeforeClose);
    }
    // What the whole lot would bring, not the best bid: a thin bid is no price.
    let walk = ctx.book.walk(outcome, Side::Sell, floor, shares);
    // What finds no bid above the floor is worth the floor: that is all it would be sold for.
    let unsold = floor.notional_floor(shares.saturating_sub(walk.shares));
    let executable =
        (!walk.shares.is_zero()).then(|| average_units(walk.notional + unsold, shares));
    if let (Some(stop), Some(now)) = (plan.stop, executable)
        && now + u64::from(stop.loss) <= entry
    {
        return take(ExitWhy::StopLoss);
    }
    if let (Some(trailing), Some(now)) = (plan.trailing, executable) {
        if now >= entry + u64::from(trailing.activate) || holding.high.is_some() {
            holding.high = Some(holding.high.map_or(now, |high| high.max(now)));
        }
        if holding.high.is_some_and(|high| now + u64::from(trailing.distance) <= high) {
            return take(ExitWhy::Trailing);
        }
    }
    let Some(profit) = plan.take_profit else { return ExitWish::Stay };
    let target = weigh(&|lot| {
        let gain = lot.plan.and_then(|plan| plan.take_profit).map_or(0, |profit| profit.gain);
        lot.entry_units() + u64::from(gain)
    });
    let Some(price) = up_to_tick(target, ctx.book.tick()) else { return ExitWish::Stay };
    let reached = ctx.book.best_bid(outcome).is_some_and(|(bid, _)| bid >= price);
    match (reached, profit.rest) {
        (true, _) => ExitWish::Take { why: ExitWhy::TakeProfit, floor: price, shares },
        (false, true) => ExitWish::Rest { price, shares },
        (false, false) => ExitWish::Stay,
    }
}

#[cfg(test)]
mod tests;
