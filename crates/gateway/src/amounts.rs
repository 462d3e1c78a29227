//! The amounts of a fill as far as the venue's feeds show them: our own formula at the worst rounding.

use polydesk_domain::{Basis, FeeRate, Fill, Price, Role, Shares, Side, Usdc};
use polydesk_polymarket_api::clob::OwnLeg;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// What the builder code of our orders costs, in millionths of the notional.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuilderFees {
    /// Of a fill as maker; at most 5,000.
    pub maker_ppm: u32,
    /// Of a fill as taker; at most 10,000.
    pub taker_ppm: u32,
}

/// Decimals of a price that are kept: with them a price times [`Shares::SANE_MAX`] fits 128 bits.
const PRICE_DECIMALS: u32 = 12;

/// The amounts of one leg, never better for us than what settles: a buy's pUSD is rounded up, a sell's down. The fee
/// is that of the average price, which is not below the sum over the levels of a taker (the curve is concave for
/// exponent 1).
///
/// # Errors
/// The price is outside 0 to 1, or the shares are none or absurd.
pub fn estimate(leg: &OwnLeg, rate: FeeRate, builder: BuilderFees) -> Result<Fill, String> {
    if leg.price < Decimal::ZERO || leg.price > Decimal::ONE {
        return Err(format!("a fill at {} pUSD a share; a price is from 0 to 1", leg.price));
    }
    if leg.shares.is_zero() || leg.shares > Shares::SANE_MAX {
        let most = Shares::SANE_MAX;
        return Err(format!(
            "a fill of {} shares; it has more than 0 and at most {most}",
            leg.shares
        ));
    }
    let notional = notional(leg.side, leg.price, leg.shares)
        .ok_or_else(|| format!("{} shares at {} overflow", leg.shares, leg.price))?;
    let (fee, ppm) = match leg.role {
        Role::Maker => (Usdc::ZERO, builder.maker_ppm),
        Role::Taker => (taker_fee(leg.price, leg.shares, rate), builder.taker_ppm),
    };
    let level = Price::try_from(leg.price).ok();
    let fee = fee + part_ceil(notional, ppm);
    Ok(Fill { shares: leg.shares, notional, fee, level, basis: Basis::Estimated })
}

fn notional(side: Side, price: Decimal, shares: Shares) -> Option<Usdc> {
    let rounding = match side {
        Side::Buy => RoundingStrategy::ToPositiveInfinity,
        Side::Sell => RoundingStrategy::ToNegativeInfinity,
    };
    let price = price.round_dp_with_strategy(PRICE_DECIMALS, rounding);
    let product = price.mantissa().unsigned_abs().checked_mul(u128::from(shares.micros()))?;
    let unit = 10u128.checked_pow(price.scale())?;
    let micros = match side {
        Side::Buy => product.div_ceil(unit),
        Side::Sell => product / unit,
    };
    i64::try_from(micros).ok().map(Usdc::new)
}

/// At the dearer of the two neighbouring prices of a ten-thousandth.
fn taker_fee(price: Decimal, shares: Shares, rate: FeeRate) -> Usdc {
    let at = |rounding| {
        let near = price.round_dp_with_strategy(4, rounding);
        Price::try_from(near).map_or(Usdc::ZERO, |near| rate.taker_fee(near, shares))
    };
    at(RoundingStrategy::ToNegativeInfinity).max(at(RoundingStrategy::ToPositiveInfinity))
}

fn part_ceil(notional: Usdc, ppm: u32) -> Usdc {
    // The floor of the negative is the ceiling.
    -(-notional).scale_floor(u64::from(ppm), 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polydesk_domain::{OrderHash, TokenId};

    fn leg(side: Side, role: Role, shares: u64, price: &str) -> OwnLeg {
        OwnLeg {
            order: OrderHash::default(),
            token: TokenId::default(),
            side,
            role,
            shares: Shares::new(shares),
            price: price.parse().unwrap(),
        }
    }

    #[test]
    fn a_buy_is_never_estimated_cheaper_and_a_sell_never_dearer_than_it_settles() {
        let rate = FeeRate::checked(50_000, 1, 0).unwrap();
        let free = BuilderFees::default();
        let builder = BuilderFees { maker_ppm: 5_000, taker_ppm: 10_000 };
        // side, role, micro-shares, price, builder's fees, micro-dollars, fee in micro-dollars
        for (side, role, shares, price, builder, notional, fee) in [
            (Side::Buy, Role::Taker, 7_575_758, "0.66", free, 5_000_001, 85_000),
            (Side::Sell, Role::Taker, 7_590_000, "0.66", free, 5_009_400, 85_150),
            (Side::Buy, Role::Maker, 1_000_001, "0.5", free, 500_001, 0),
            (Side::Sell, Role::Maker, 1_000_001, "0.5", free, 500_000, 0),
            // The fee is that of the dearer neighbour, 0.3334.
            (Side::Buy, Role::Taker, 1_000_000_000, "0.33335", free, 333_350_000, 11_112_220),
            // Twelve decimals of a price are kept, rounded against us.
            (Side::Buy, Role::Taker, 3_000_000, "0.333333333333333333", free, 1_000_001, 33_330),
            (Side::Sell, Role::Taker, 3_000_000, "0.333333333333333333", free, 999_999, 33_330),
            (Side::Buy, Role::Maker, 1_000_000, "0.5", builder, 500_000, 2_500),
            (Side::Buy, Role::Taker, 1_000_000, "0.5", builder, 500_000, 17_500),
            (Side::Buy, Role::Maker, 1, "0.0001", builder, 1, 1),
        ] {
            let fill = estimate(&leg(side, role, shares, price), rate, builder).unwrap();
            let got = (fill.notional.micros(), fill.fee.micros(), fill.basis);
            assert_eq!(got, (notional, fee, Basis::Estimated), "{side} {shares} at {price}");
        }
    }

    #[test]
    fn absurd_legs_are_refused_with_the_rule() {
        let rate = FeeRate::FREE;
        for (shares, price, rule) in [
            (1_000_000, "1.5", "from 0 to 1"),
            (1_000_000, "-0.1", "from 0 to 1"),
            (0, "0.5", "more than 0"),
            (u64::MAX, "0.5", "at most"),
        ] {
            let leg = leg(Side::Buy, Role::Maker, shares, price);
            let error = estimate(&leg, rate, BuilderFees::default()).unwrap_err();
            assert!(error.contains(rule), "{error}");
        }
        let most = leg(Side::Buy, Role::Taker, Shares::SANE_MAX.micros(), "0.999999999999999999");
        assert!(estimate(&most, FeeRate::WORST_CASE, BuilderFees::default()).is_ok());
    }
}
