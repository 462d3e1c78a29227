//! Sizes a basket by walking its legs through displayed depth, fees of each leg included, and prices
//! what it costs when some legs fill and others do not.

use polydesk_domain::{BasketKind, Leg};
use polydesk_domain::{Book, FeeRate, Levels, Outcome, Price, Shares, Side, Token, Usdc};

use super::ArbParams;

/// One leg with its book and fee.
#[derive(Clone, Copy)]
pub(super) struct LegSource<'a> {
    pub token: Token,
    pub book: &'a Book,
    pub fee: FeeRate,
}

/// A basket sized by depth.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sized {
    pub sets: Shares,
    /// Cost of the legs (buys) or pUSD split (sells), without fees.
    pub cost: Usdc,
    /// Edge after fees if every leg fills.
    pub edge: Usdc,
    /// Loss of selling all legs again: price and both fees. A basket that dies loses the part that filled.
    pub unwind: Usdc,
    /// `edge` and `unwind`, weighted by how likely legs die; below `edge`.
    pub expected: Usdc,
    /// The least `edge` at which `expected` is not negative.
    pub break_even: Usdc,
    /// The walk ended because one more set does not pay for legs that die.
    pub risk_bound: bool,
    pub legs: Vec<Leg>,
}

/// How likely a basket of some legs completes, in millionths, when legs die independently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Odds {
    /// Every leg fills; rounded down.
    all_ppm: u64,
    /// One given leg fills.
    leg_ppm: u64,
}

impl Odds {
    const WHOLE: u64 = 1_000_000;

    /// For `legs` legs that each die with `fail_ppm` millionths, at most 950,000.
    pub fn new(fail_ppm: u64, legs: usize) -> Odds {
        let leg_ppm = Odds::WHOLE - fail_ppm.min(Odds::WHOLE);
        let all_ppm = (0..legs).fold(Odds::WHOLE, |all, _| all * leg_ppm / Odds::WHOLE);
        Odds { all_ppm, leg_ppm }
    }

    /// `unwind` is lost in the part of its legs that filled while another one died: for each leg, the
    /// odds that it fills less those that all fill.
    fn expected(self, edge: Usdc, unwind: Usdc) -> Usdc {
        let stranded = self.leg_ppm - self.all_ppm;
        edge.scale_floor(self.all_ppm, Odds::WHOLE) + (-unwind).scale_floor(stranded, Odds::WHOLE)
    }

    /// The least edge that pays for `unwind`, rounded up.
    fn break_even(self, unwind: Usdc) -> Usdc {
        -(-unwind).scale_floor(self.leg_ppm - self.all_ppm, self.all_ppm.max(1))
    }
}

/// Best gross edge of one set in ten-thousandths; `None` when a leg has no depth.
pub(super) fn gross_units(kind: BasketKind, legs: &[LegSource<'_>]) -> Option<i32> {
    let side = taker_side(kind);
    let mut sum = 0;
    for leg in legs {
        let (price, _) = leg.book.best(leg.token.outcome(), side.other())?;
        sum += i32::from(price.units());
    }
    let payout = (kind.payout(legs.len()).micros() / 100) as i32;
    Some(match side {
        Side::Buy => payout - sum,
        Side::Sell => sum - payout,
    })
}

/// Whether legs are bought or sold.
pub(super) fn taker_side(kind: BasketKind) -> Side {
    if kind == BasketKind::SellPair { Side::Sell } else { Side::Buy }
}

/// The bids into which the shares of one leg would be sold again, best first.
struct Bids<'a> {
    level: Option<(Price, Shares)>,
    rest: Levels<'a>,
}

impl<'a> Bids<'a> {
    fn of(leg: &LegSource<'a>) -> Bids<'a> {
        let mut rest = leg.book.levels(leg.token.outcome(), Side::Buy);
        Bids { level: rest.next(), rest }
    }

    /// Loss of buying `shares` at `paid` and selling them into the next bids, with both fees. A share
    /// loses at most `most` in price: an unwinding leg is not sold below that.
    fn unwind(&mut self, paid: Price, mut shares: Shares, fee: FeeRate, most: Price) -> Usdc {
        let floor = Price::new(paid.units().saturating_sub(most.units())).unwrap_or(Price::ZERO);
        let mut loss = fee.taker_fee(paid, shares);
        while !shares.is_zero() {
            let (price, take) = match self.level {
                Some((price, shown)) if price > floor => (price.min(paid), shown.min(shares)),
                _ => (floor, shares),
            };
            loss += paid.notional_ceil(take) - price.notional_floor(take);
            loss += fee.taker_fee(price, take);
            shares = shares.saturating_sub(take);
            if let Some((_, shown)) = &mut self.level {
                *shown = shown.saturating_sub(take);
                if shown.is_zero() {
                    self.level = self.rest.next();
                }
            }
        }
        loss
    }
}

/// Walks all legs together, level by level, while one more set still pays: a positive edge and, for
/// groups, one that pays for legs that die.
pub(super) fn size(kind: BasketKind, legs: &[LegSource<'_>], params: &ArbParams) -> Sized {
    let side = taker_side(kind);
    let group = matches!(kind, BasketKind::AllYes | BasketKind::AllNo);
    let odds = Odds::new(if group { params.leg_fail_ppm } else { 0 }, legs.len());
    let mut bids: Vec<Bids<'_>> = legs.iter().map(Bids::of).collect();
    let mut cursors: Vec<_> = legs
        .iter()
        .map(|leg| {
            let mut levels = leg.book.levels(leg.token.outcome(), side.other());
            (levels.next().map(|(price, size)| (price, params.share_of(size))), levels)
        })
        .collect();
    let payout = kind.payout(legs.len());
    let mut sized = Sized::default();
    let mut limits: Vec<Option<Price>> = vec![None; legs.len()];
    while let Some(prices) = cursors.iter().map(|(level, _)| *level).collect::<Option<Vec<_>>>() {
        let sets = prices.iter().map(|(_, size)| *size).min().unwrap_or(Shares::ZERO);
        let room = params.max_basket - sized.cost;
        let (mut per_set, mut fees) = (Usdc::ZERO, Usdc::ZERO);
        for (leg, (price, _)) in legs.iter().zip(&prices) {
            per_set += price.notional_ceil(Shares::whole(1));
            fees += leg.fee.taker_fee(*price, Shares::whole(1));
        }
        let (locked, gain) = match side {
            Side::Buy => (per_set, payout - per_set - fees),
            Side::Sell => (payout, per_set - payout - fees),
        };
        let affordable = Shares::new(
            (i128::from(room.micros().max(0)) * 1_000_000 / i128::from(locked.micros().max(1)))
                as u64,
        );
        let sets = sets.min(affordable).floor_cents();
        if gain <= Usdc::ZERO || sets.is_zero() {
            break;
        }
        let mut unwind = Usdc::ZERO;
        for ((leg, (price, _)), bids) in legs.iter().zip(&prices).zip(&mut bids) {
            unwind += bids.unwind(*price, sets, leg.fee, params.max_unwind_loss);
        }
        if gain.scale_floor(sets.micros(), 1_000_000) <= odds.break_even(unwind) {
            sized.risk_bound = true;
            break;
        }
        sized.unwind += unwind;
        for ((leg, (price, _)), limit) in legs.iter().zip(&prices).zip(&mut limits) {
            *limit = Some(*price);
            let money = match side {
                Side::Buy => price.notional_ceil(sets),
                Side::Sell => price.notional_floor(sets),
            };
            let signed = if side == Side::Buy { -money } else { money };
            sized.edge += signed - leg.fee.taker_fee(*price, sets);
        }
        sized.edge += match side {
            Side::Buy => payout.scale_floor(sets.micros(), 1_000_000),
            Side::Sell => -payout.scale_floor(sets.micros(), 1_000_000),
        };
        sized.cost += locked.scale_floor(sets.micros(), 1_000_000);
        sized.sets += sets;
        for (level, levels) in &mut cursors {
            if let Some((_, size)) = level {
                *size = size.saturating_sub(sets);
                if size.floor_cents().is_zero() {
                    *level = levels.next().map(|(price, size)| (price, params.share_of(size)));
                }
            }
        }
    }
    sized.expected = odds.expected(sized.edge, sized.unwind);
    sized.break_even = odds.break_even(sized.unwind);
    for (leg, limit) in legs.iter().zip(limits) {
        if let Some(limit) = limit {
            sized.legs.push(Leg { token: leg.token, side, limit });
        }
    }
    sized
}

/// Both tokens of one market as legs.
pub(super) fn pair(
    market: polydesk_domain::MarketKey,
    book: &Book,
    fee: FeeRate,
) -> [LegSource<'_>; 2] {
    Outcome::BOTH.map(|outcome| LegSource { token: market.token(outcome), book, fee })
}
