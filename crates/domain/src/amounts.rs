//! The two integers of a signed order, and the rounding rules of the official table.

use crate::{Price, Shares, Side, Size, Tick, Usdc};

/// Rounding rules for immediate orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// As the server enforces for FOK and FAK at every tick size: at most 2 decimals in the maker amount
    /// and 4 in the taker amount.
    #[default]
    Venue,
    /// The official clients' table, which allows 5 or 6 decimals on fine ticks and was refused there.
    Sdk,
}

/// The maker and taker amounts of a signed order, in millionths (pUSD or shares by side).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Amounts {
    /// pUSD of a buy, shares of a sell.
    pub maker: u64,
    /// Shares of a buy, pUSD of a sell.
    pub taker: u64,
}

impl Amounts {
    /// The shares of the order: exact for resting orders, the least for immediate buys.
    pub fn shares(&self, side: Side) -> Shares {
        Shares::new(match side {
            Side::Buy => self.taker,
            Side::Sell => self.maker,
        })
    }
    /// The pUSD of the order: the most a buy spends, the least a sell brings.
    pub fn money(&self, side: Side) -> Usdc {
        let micros = match side {
            Side::Buy => self.maker,
            Side::Sell => self.taker,
        };
        Usdc::new(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

/// Why no amounts exist for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountsError {
    /// No multiple of the tick size, or outside `[tick, 1 - tick]`.
    #[error("price {price} is not tradable at tick {tick}")]
    Price {
        /// The price asked for.
        price: Price,
        /// The tick size.
        tick: Tick,
    },
    /// Nothing is left after rounding down.
    #[error("the size rounds down to nothing")]
    Nothing,
    /// A resting order or a sell sized in pUSD, or an immediate buy sized in shares.
    #[error("resting orders and sells are sized in shares, immediate buys in pUSD")]
    Unit,
    /// More than the type holds.
    #[error("the amounts overflow")]
    Overflow,
}

/// Amounts of a GTC or GTD order. The size is floored to 2 decimals; its product with a price that is a
/// multiple of the tick size then fits the table's amount decimals, so nothing else is rounded.
pub fn resting_amounts(
    side: Side,
    price: Price,
    size: Shares,
    tick: Tick,
) -> Result<Amounts, AmountsError> {
    check_price(price, tick)?;
    let shares = size.floor_cents();
    let money = u128::from(price.units()) * u128::from(shares.micros()) / 10_000;
    amounts(side, shares.micros(), money)
}

/// Amounts of a FOK or FAK order with `price` as the worst acceptable one.
///
/// A buy is sized in pUSD (floored to cents) and asks for at least `maker / price` shares, rounded
/// **down**: rounded up, an ask exactly at the limit could not be reached. A sell is sized in shares.
pub fn immediate_amounts(
    side: Side,
    price: Price,
    size: Size,
    tick: Tick,
    rounding: Rounding,
) -> Result<Amounts, AmountsError> {
    check_price(price, tick)?;
    let table = tick.decimals().2;
    let decimals = match rounding {
        Rounding::Venue => table.min(4),
        Rounding::Sdk => table,
    };
    let grain = 10u128.pow(6 - decimals);
    match (side, size) {
        (Side::Buy, Size::Spend(spend)) => {
            let money =
                u128::try_from(spend.floor_cents().micros()).map_err(|_| AmountsError::Nothing)?;
            let shares = money * 10_000 / u128::from(price.units()) / grain * grain;
            let shares = u64::try_from(shares).map_err(|_| AmountsError::Overflow)?;
            amounts(side, shares, money)
        }
        (Side::Sell, Size::Shares(shares)) => {
            let shares = shares.floor_cents().micros();
            let money = u128::from(price.units()) * u128::from(shares) / 10_000 / grain * grain;
            amounts(side, shares, money)
        }
        _ => Err(AmountsError::Unit),
    }
}

fn check_price(price: Price, tick: Tick) -> Result<(), AmountsError> {
    if price.tradable(tick) { Ok(()) } else { Err(AmountsError::Price { price, tick }) }
}

fn amounts(side: Side, shares: u64, money: u128) -> Result<Amounts, AmountsError> {
    let money = u64::try_from(money).map_err(|_| AmountsError::Overflow)?;
    if shares == 0 || money == 0 {
        return Err(AmountsError::Nothing);
    }
    Ok(match side {
        Side::Buy => Amounts { maker: money, taker: shares },
        Side::Sell => Amounts { maker: shares, taker: money },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(text: &str) -> Price {
        text.parse().unwrap()
    }

    #[test]
    fn resting_orders_floor_the_size_to_hundredths() {
        let size = "12.3456".parse().unwrap();
        let buy = resting_amounts(Side::Buy, price("0.56"), size, Tick::Cent).unwrap();
        assert_eq!(buy, Amounts { maker: 6_910_400, taker: 12_340_000 });
        let sell = resting_amounts(Side::Sell, price("0.5625"), size, Tick::QuarterCent).unwrap();
        assert_eq!(sell, Amounts { maker: 12_340_000, taker: 6_941_250 });
    }

    #[test]
    fn immediate_orders_obey_two_and_four_decimals() {
        let spend = Size::Spend("5.009".parse().unwrap());
        let buy =
            |tick, rounding| immediate_amounts(Side::Buy, price("0.66"), spend, tick, rounding);
        assert_eq!(
            buy(Tick::Cent, Rounding::Venue),
            Ok(Amounts { maker: 5_000_000, taker: 7_575_700 })
        );
        let venue = buy(Tick::TenThousandth, Rounding::Venue).unwrap();
        let sdk = buy(Tick::TenThousandth, Rounding::Sdk).unwrap();
        assert_eq!((venue.taker, sdk.taker), (7_575_700, 7_575_757));
    }

    #[test]
    fn what_cannot_be_an_order_is_refused_with_a_reason() {
        let one = Shares::whole(1);
        let off = resting_amounts(Side::Buy, price("0.555"), one, Tick::Cent);
        assert!(matches!(off, Err(AmountsError::Price { .. })));
        let edge = resting_amounts(Side::Buy, Price::ONE, one, Tick::Cent);
        assert!(matches!(edge, Err(AmountsError::Price { .. })));
        let dust = resting_amounts(Side::Buy, price("0.5"), Shares::new(9_999), Tick::Cent);
        assert_eq!(dust, Err(AmountsError::Nothing));
        let unit = immediate_amounts(
            Side::Buy,
            price("0.5"),
            Size::Shares(one),
            Tick::Cent,
            Rounding::Venue,
        );
        assert_eq!(unit, Err(AmountsError::Unit));
    }
}
