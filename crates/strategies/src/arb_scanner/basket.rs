//! Sizes a basket by walking its legs through displayed depth, fees of each leg included.

use polydesk_domain::{BasketKind, Leg};
use polydesk_domain::{Book, FeeRate, Outcome, Price, Shares, Side, Token, Usdc};

use super::ArbParams;

/// One leg with its book and fee.
#[derive(Clone, Copy)]
pub(super) struct LegSource<'a> {
    pub token: Token,
    pub book: &'a Book,
    pub fee: FeeRate,
}

/// A basket sized by depth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sized {
    pub sets: Shares,
    /// Cost of the legs (buys) or pUSD split (sells), without fees.
    pub cost: Usdc,
    /// Edge after fees.
    pub edge: Usdc,
    pub legs: Vec<Leg>,
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

/// Walks all legs together, level by level, while one more set still has a positive edge.
pub(super) fn size(kind: BasketKind, legs: &[LegSource<'_>], params: &ArbParams) -> Sized {
    let side = taker_side(kind);
    let mut cursors: Vec<_> = legs
        .iter()
        .map(|leg| {
            let mut levels = leg.book.levels(leg.token.outcome(), side.other());
            (levels.next().map(|(price, size)| (price, params.share_of(size))), levels)
        })
        .collect();
    let payout = kind.payout(legs.len());
    let mut sized =
        Sized { sets: Shares::ZERO, cost: Usdc::ZERO, edge: Usdc::ZERO, legs: Vec::new() };
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
