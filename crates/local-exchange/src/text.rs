//! Numbers as the venue writes them: decimal strings without needless zeros.

use polydesk_domain::{Price, Shares, Usdc};

/// A whole number of millionths as a decimal: `1500000` is `1.5`.
pub(crate) fn micros(value: i128) -> String {
    scaled(value, 6)
}

/// A price: `0.5`, `0.001`, `1`.
pub(crate) fn price(price: Price) -> String {
    scaled(i128::from(price.units()), 4)
}

/// A number of shares: `100`, `9.37`.
pub(crate) fn shares(shares: Shares) -> String {
    micros(i128::from(shares.micros()))
}

/// Money: `5`, `0.01`.
pub(crate) fn money(money: Usdc) -> String {
    micros(i128::from(money.micros()))
}

/// The average price of a fill with up to nine decimals, as the venue shows it: `0.709999959`.
pub(crate) fn average(notional: Usdc, shares: Shares) -> String {
    if shares.is_zero() {
        return "0".to_owned();
    }
    let ninths = i128::from(notional.micros()) * 1_000_000_000 / i128::from(shares.micros());
    scaled(ninths, 9)
}

fn scaled(value: i128, decimals: u32) -> String {
    let unit = 10i128.pow(decimals);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, rest) = (value.abs() / unit, value.abs() % unit);
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let rest = format!("{rest:0width$}", width = decimals as usize);
    format!("{sign}{whole}.{}", rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_needless_zeros() {
        for (value, want) in [(0, "0"), (1, "0.000001"), (1_500_000, "1.5"), (-10_000, "-0.01")] {
            assert_eq!(micros(value), want);
        }
        assert_eq!(price(Price::cents(50)), "0.5");
        assert_eq!(price(Price::ONE), "1");
        assert_eq!(average(Usdc::new(1_039_998), Shares::new(1_464_786)), "0.709999959");
    }
}
