//! Sizing market orders: the limit price a book implies, and the spend that leaves room for fees.
//!
//! Both follow the official unified client, in exact decimals.

use rust_decimal::{Decimal, RoundingStrategy};

/// Why a book gives no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPrice {
    /// Nothing rests on that side.
    #[error("nothing rests on that side of the book")]
    Empty,
    /// A FOK needs more than there is.
    #[error("the book is too thin for the whole amount")]
    TooThin,
}

/// The limit price of a market order that walks `levels` (asks for a buy, bids for a sell, in any
/// order) for `amount`: pUSD of a buy, shares of a sell. When the book is too thin, a FOK
/// (`whole`) has no price and a FAK takes the worst level.
pub fn walk_price(
    levels: &[(Decimal, Decimal)],
    buy: bool,
    amount: Decimal,
    whole: bool,
) -> Result<Decimal, NoPrice> {
    // The documents and the captures disagree about the order: none is relied on.
    let mut levels = levels.to_vec();
    levels.sort_by(|a, b| if buy { a.0.cmp(&b.0) } else { b.0.cmp(&a.0) });
    let mut reached = Decimal::ZERO;
    for (price, size) in &levels {
        let level = if buy { price.checked_mul(*size) } else { Some(*size) };
        // More than a decimal holds is more than any order wants.
        let sum = level.and_then(|level| reached.checked_add(level)).unwrap_or(Decimal::MAX);
        reached = sum;
        if reached >= amount {
            return Ok(*price);
        }
    }
    match levels.last() {
        None => Err(NoPrice::Empty),
        Some(_) if whole => Err(NoPrice::TooThin),
        Some((price, _)) => Ok(*price),
    }
}

/// Why fees cannot be fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeeFitError {
    /// A price must be above 0 and at most 1.
    #[error("the price must be above 0 and at most 1")]
    Price,
    /// The numbers do not fit a decimal.
    #[error("the numbers overflow")]
    Overflow,
}

/// How much a market buy may spend so that spend and fees fit the balance (pUSD, exact to 28 digits; floor
/// it to cents before signing).
///
/// `k = rate · (p · (1 − p))^exponent / p + builder rate` is the fee per pUSD spent: when
/// `amount · (1 + k)` fits, the amount is unchanged, otherwise it is `balance / (1 + k)`.
pub fn fee_adjusted_spend(
    amount: Decimal,
    price: Decimal,
    balance: Decimal,
    rate: Decimal,
    exponent: u32,
    builder_rate: Decimal,
) -> Result<Decimal, FeeFitError> {
    if price <= Decimal::ZERO || price > Decimal::ONE {
        return Err(FeeFitError::Price);
    }
    let fit = || {
        let spread = price.checked_mul(Decimal::ONE - price)?;
        let mut curve = Decimal::ONE;
        for _ in 0..exponent.min(8) {
            curve = curve.checked_mul(spread)?;
        }
        // A thousand times the fee has three decimals more than a decimal of the fee could hold: what is
        // rounded to 28 digits below has not been rounded right beside that place before.
        let thousand = Decimal::ONE_THOUSAND;
        let fee = divide(rate.checked_mul(thousand)?.checked_mul(curve)?, price)?;
        let fee = fee.checked_add(builder_rate.checked_mul(thousand)?)?;
        let whole = (fee / thousand).trunc() + Decimal::ONE;
        let decimals =
            28 - whole.mantissa().unsigned_abs().checked_ilog10().map_or(1, |log| log + 1);
        let fee = fee.round_dp_with_strategy(
            decimals.checked_sub(3)?,
            RoundingStrategy::MidpointNearestEven,
        );
        let per_dollar = Decimal::ONE.checked_add(fee.checked_div(thousand)?)?.normalize();
        if amount.checked_mul(per_dollar)? <= balance {
            return Some(amount);
        }
        divide(balance, per_dollar)
    };
    fit().ok_or(FeeFitError::Overflow)
}

/// `a / b` to 28 significant digits, half to even: the arithmetic the oracle uses. (`Decimal` itself rounds
/// at 28 or 29, and rounding twice is not rounding once.) Both must not be negative, `b` not zero.
fn divide(a: Decimal, b: Decimal) -> Option<Decimal> {
    let (a, b) = (a.normalize(), b.normalize());
    let (above, below) = (u128::try_from(a.mantissa()).ok()?, u128::try_from(b.mantissa()).ok()?);
    if below == 0 {
        return None;
    }
    // Whole part first, then digit by digit until 28 are there, nothing is left, or no decimal is.
    let (mut quotient, mut left) = (above / below, above % below);
    let mut scale = i64::from(a.scale()) - i64::from(b.scale());
    while left != 0 && quotient < 10u128.pow(27) && scale < 28 {
        left *= 10;
        quotient = quotient * 10 + left / below;
        left %= below;
        scale += 1;
    }
    let half = (left * 2).cmp(&below);
    quotient += u128::from(half.is_gt() || (half.is_eq() && quotient % 2 == 1));
    while scale < 0 {
        quotient = quotient.checked_mul(10)?;
        scale += 1;
    }
    Decimal::try_from_i128_with_scale(i128::try_from(quotient).ok()?, u32::try_from(scale).ok()?)
        .ok()
}
