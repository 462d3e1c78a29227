//! Prices, shares and money as integers with one unit each.
//!
//! There is no arithmetic between them except through functions that name their rounding.

use core::fmt;
use core::iter::Sum;
use core::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use core::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// A number that a type refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumError {
    /// More decimals than the type holds: nothing is rounded on the way in.
    #[error("{text} has more decimals than {what} holds ({decimals})")]
    TooFine {
        /// Name of the quantity.
        what: &'static str,
        /// The text or number as received.
        text: String,
        /// Decimals the type holds.
        decimals: u32,
    },
    /// Outside the range of the type.
    #[error("{text} is outside {what}'s range {range}")]
    OutOfRange {
        /// Name of the quantity.
        what: &'static str,
        /// The text or number as received.
        text: String,
        /// The allowed range.
        range: &'static str,
    },
    /// Not a decimal number at all (empty, `NaN`, infinite, letters).
    #[error("{text:?} is not a number ({what})")]
    NotANumber {
        /// Name of the quantity.
        what: &'static str,
        /// The text or number as received.
        text: String,
    },
}

/// A price in ten-thousandths of a dollar, 0 to 10 000: every tick the venue has fits exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(u16);

impl Price {
    /// Zero: what a losing share pays.
    pub const ZERO: Price = Price(0);
    /// One dollar: what a winning share pays.
    pub const ONE: Price = Price(10_000);

    /// From ten-thousandths of a dollar; `None` above one dollar.
    pub const fn new(units: u16) -> Option<Price> {
        if units <= 10_000 { Some(Price(units)) } else { None }
    }

    /// From whole cents, capped at one dollar. For literals in code and tests.
    pub const fn cents(cents: u16) -> Price {
        if cents >= 100 { Price::ONE } else { Price(cents * 100) }
    }

    /// Ten-thousandths of a dollar.
    pub const fn units(self) -> u16 {
        self.0
    }

    /// The other outcome's price: YES at 0.37 is NO at 0.63.
    pub const fn complement(self) -> Price {
        Price(10_000 - self.0)
    }

    /// What `shares` cost at this price, rounded down to the micro-dollar.
    pub fn notional_floor(self, shares: Shares) -> Usdc {
        // Depth walks call this for every level, and dividing 128 bits is slow; real sizes need 64.
        if let Some(product) = u64::from(self.0).checked_mul(shares.0) {
            return Usdc(i64::try_from(product / 10_000).unwrap_or(i64::MAX));
        }
        let product = u128::from(self.0) * u128::from(shares.0) / 10_000;
        Usdc(i64::try_from(product).unwrap_or(i64::MAX))
    }

    /// What `shares` cost at this price, rounded up to the micro-dollar.
    pub fn notional_ceil(self, shares: Shares) -> Usdc {
        if let Some(product) = u64::from(self.0).checked_mul(shares.0) {
            return Usdc(i64::try_from(product.div_ceil(10_000)).unwrap_or(i64::MAX));
        }
        let product = (u128::from(self.0) * u128::from(shares.0)).div_ceil(10_000);
        Usdc(i64::try_from(product).unwrap_or(i64::MAX))
    }

    /// How many shares `budget` buys at this price, rounded down to the millionth; `None` at price
    /// zero or for a negative budget.
    pub fn shares_for(self, budget: Usdc) -> Option<Shares> {
        if self.0 == 0 || budget.0 < 0 {
            return None;
        }
        let shares = u128::from(budget.0.unsigned_abs()) * 10_000 / u128::from(self.0);
        u64::try_from(shares).ok().map(Shares)
    }

    /// The highest tradable multiple of the tick size that is not above `estimate`.
    ///
    /// `None` when there is none or the estimate is not a number.
    pub fn at_or_below(estimate: f64, tick: Tick) -> Option<Price> {
        if !estimate.is_finite() {
            return None;
        }
        // Millionths first: a 0.58 that arrives as 0.57999999 must not lose a tick.
        let units = (estimate.clamp(-1.0, 2.0) * 1e6).round() as i64 / 100;
        let step = i64::from(tick.units());
        let units = units - units.rem_euclid(step);
        (step..=10_000 - step).contains(&units).then_some(Price(units as u16))
    }

    /// The lowest tradable multiple of the tick size that is not below `estimate`.
    pub fn at_or_above(estimate: f64, tick: Tick) -> Option<Price> {
        if !estimate.is_finite() {
            return None;
        }
        Price::at_or_below(1.0 - estimate, tick).map(Price::complement)
    }

    /// A price recorded as a float, snapped to the nearest ten-thousandth.
    ///
    /// The flag reports whether float noise (less than a hundredth of a unit is ordinary binary
    /// representation and does not count) had to be removed. More than a tenth of a unit away from
    /// a ten-thousandth is refused: that is not noise.
    pub fn from_recorded_f64(value: f64) -> Result<(Price, bool), NumError> {
        let not_a_number = || NumError::NotANumber { what: "price", text: value.to_string() };
        if !value.is_finite() {
            return Err(not_a_number());
        }
        let scaled = value * 1e4;
        let nearest = scaled.round();
        if !(0.0..=10_000.0).contains(&nearest) {
            return Err(NumError::OutOfRange {
                what: "price",
                text: value.to_string(),
                range: "0..=1",
            });
        }
        let noise = (scaled - nearest).abs();
        if noise > 0.1 {
            return Err(NumError::TooFine { what: "price", text: value.to_string(), decimals: 4 });
        }
        Ok((Price(nearest as u16), noise > 1e-8))
    }

    /// For estimates and charts, never for money.
    pub fn to_f64(self) -> f64 {
        f64::from(self.0) / 1e4
    }

    /// One tick up, staying inside the tradable band.
    pub fn up(self, tick: Tick) -> Option<Price> {
        let units = self.0 + tick.units();
        (units <= 10_000 - tick.units()).then_some(Price(units))
    }

    /// One tick down, staying inside the tradable band.
    pub fn down(self, tick: Tick) -> Option<Price> {
        let units = self.0.checked_sub(tick.units())?;
        (units >= tick.units()).then_some(Price(units))
    }

    /// Whether the price can be traded: a multiple of the tick size in `[tick, 1 - tick]`.
    pub fn tradable(self, tick: Tick) -> bool {
        self.0.is_multiple_of(tick.units())
            && self.0 >= tick.units()
            && self.0 <= 10_000 - tick.units()
    }
}

impl TryFrom<Decimal> for Price {
    type Error = NumError;
    /// Exact, or refused: never rounded.
    fn try_from(value: Decimal) -> Result<Price, NumError> {
        let units = scaled(value, 4, "price")?;
        u16::try_from(units).ok().and_then(Price::new).ok_or_else(|| NumError::OutOfRange {
            what: "price",
            text: value.to_string(),
            range: "0..=1",
        })
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04}", self.0 / 10_000, self.0 % 10_000)
    }
}

/// A tick size the venue has (`mts`, `orderPriceMinTickSize`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tick {
    /// 0.0001
    TenThousandth,
    /// 0.001
    Thousandth,
    /// 0.0025 (since 2026-07-02)
    QuarterCent,
    /// 0.005 (since 2026-07-02)
    HalfCent,
    /// 0.01
    Cent,
    /// 0.1
    Dime,
}

impl Tick {
    /// All six, finest first.
    pub const ALL: [Tick; 6] = [
        Tick::TenThousandth,
        Tick::Thousandth,
        Tick::QuarterCent,
        Tick::HalfCent,
        Tick::Cent,
        Tick::Dime,
    ];

    /// Ten-thousandths of a dollar between two prices.
    pub const fn units(self) -> u16 {
        match self {
            Tick::TenThousandth => 1,
            Tick::Thousandth => 10,
            Tick::QuarterCent => 25,
            Tick::HalfCent => 50,
            Tick::Cent => 100,
            Tick::Dime => 1_000,
        }
    }

    /// Decimals of (price, size, amount) in the official rounding table.
    pub const fn decimals(self) -> (u32, u32, u32) {
        match self {
            Tick::Dime => (1, 2, 3),
            Tick::Cent => (2, 2, 4),
            Tick::HalfCent | Tick::Thousandth => (3, 2, 5),
            Tick::QuarterCent | Tick::TenThousandth => (4, 2, 6),
        }
    }

    /// The tick with this many units, if the venue has it.
    pub fn from_units(units: u16) -> Option<Tick> {
        Tick::ALL.into_iter().find(|tick| tick.units() == units)
    }

    /// The coarsest tick size of which both this tick size and `price` are multiples.
    ///
    /// Used to infer an unannounced tick size change in an old recording.
    pub fn refined_for(self, price: Price) -> Tick {
        let fits = |tick: &Tick| {
            self.units().is_multiple_of(tick.units()) && price.units().is_multiple_of(tick.units())
        };
        Tick::ALL.into_iter().rev().find(fits).unwrap_or(Tick::TenThousandth)
    }
}

impl TryFrom<Decimal> for Tick {
    type Error = NumError;
    fn try_from(value: Decimal) -> Result<Tick, NumError> {
        let units = scaled(value, 4, "tick")?;
        u16::try_from(units).ok().and_then(Tick::from_units).ok_or_else(|| NumError::OutOfRange {
            what: "tick",
            text: value.to_string(),
            range: "{0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001}",
        })
    }
}

impl fmt::Display for Tick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tick::TenThousandth => "0.0001",
            Tick::Thousandth => "0.001",
            Tick::QuarterCent => "0.0025",
            Tick::HalfCent => "0.005",
            Tick::Cent => "0.01",
            Tick::Dime => "0.1",
        })
    }
}

/// Outcome shares in millionths of a share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Shares(u64);

impl Shares {
    /// None at all.
    pub const ZERO: Shares = Shares(0);
    /// The largest size that is accepted for a level, print or order: half a billion shares, hundreds of
    /// times the largest real level. Larger values are garbage and would overflow sums over a book.
    pub const SANE_MAX: Shares = Shares(500_000_000_000_000);

    /// From millionths of a share.
    pub const fn new(micros: u64) -> Shares {
        Shares(micros)
    }

    /// From whole shares.
    pub const fn whole(shares: u64) -> Shares {
        Shares(shares * 1_000_000)
    }

    /// Millionths of a share.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whether there are none.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self - other`, or zero.
    pub const fn saturating_sub(self, other: Shares) -> Shares {
        Shares(self.0.saturating_sub(other.0))
    }

    /// `self - other`, unless that would be negative.
    pub fn checked_sub(self, other: Shares) -> Option<Shares> {
        self.0.checked_sub(other.0).map(Shares)
    }

    /// Rounded down to hundredths: the finest size an order can have.
    pub const fn floor_cents(self) -> Shares {
        Shares(self.0 / 10_000 * 10_000)
    }

    /// `self × numerator / denominator`, rounded down; zero when the denominator is zero.
    pub fn scale_floor(self, numerator: u64, denominator: u64) -> Shares {
        if denominator == 0 {
            return Shares::ZERO;
        }
        let scaled = u128::from(self.0) * u128::from(numerator) / u128::from(denominator);
        Shares(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// One pUSD for each share: what a complete set is worth.
    pub fn face_value(self) -> Usdc {
        Usdc(i64::try_from(self.0).unwrap_or(i64::MAX))
    }

    /// A size recorded as a float, rounded to the nearest millionth; the flag reports float noise.
    pub fn from_recorded_f64(value: f64) -> Result<(Shares, bool), NumError> {
        if !value.is_finite() {
            return Err(NumError::NotANumber { what: "size", text: value.to_string() });
        }
        let scaled = value * 1e6;
        let nearest = scaled.round();
        if nearest < 0.0 || nearest > Shares::SANE_MAX.0 as f64 {
            return Err(NumError::OutOfRange {
                what: "size",
                text: value.to_string(),
                range: "0..=500 million shares",
            });
        }
        // Binary noise of a double at this magnitude is far below 1e-4 millionths for ordinary sizes.
        let noisy = (scaled - nearest).abs() > 1e-3 + scaled.abs() * 1e-15;
        Ok((Shares(nearest as u64), noisy))
    }

    /// For estimates and charts.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl TryFrom<Decimal> for Shares {
    type Error = NumError;
    fn try_from(value: Decimal) -> Result<Shares, NumError> {
        let out_of_range = || NumError::OutOfRange {
            what: "size",
            text: value.to_string(),
            range: "0..=500 million shares",
        };
        let micros = u64::try_from(scaled(value, 6, "size")?).map_err(|_| out_of_range())?;
        if micros > Shares::SANE_MAX.0 {
            return Err(out_of_range());
        }
        Ok(Shares(micros))
    }
}

impl Add for Shares {
    type Output = Shares;
    fn add(self, other: Shares) -> Shares {
        Shares(self.0 + other.0)
    }
}
impl AddAssign for Shares {
    fn add_assign(&mut self, other: Shares) {
        self.0 += other.0;
    }
}
impl Sub for Shares {
    type Output = Shares;
    /// Panics below zero, like any unsigned subtraction: use `checked_sub` where that can happen.
    fn sub(self, other: Shares) -> Shares {
        Shares(self.0 - other.0)
    }
}
impl SubAssign for Shares {
    fn sub_assign(&mut self, other: Shares) {
        self.0 -= other.0;
    }
}
impl Sum for Shares {
    fn sum<I: Iterator<Item = Shares>>(iter: I) -> Shares {
        iter.fold(Shares::ZERO, Add::add)
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(true, "", &trimmed(i128::from(self.0), 0))
    }
}

/// pUSD in micro-dollars; negative amounts are debts and losses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usdc(i64);

impl Usdc {
    /// Nothing.
    pub const ZERO: Usdc = Usdc(0);

    /// From micro-dollars.
    pub const fn new(micros: i64) -> Usdc {
        Usdc(micros)
    }

    /// From whole dollars.
    pub const fn whole(dollars: i64) -> Usdc {
        Usdc(dollars * 1_000_000)
    }

    /// From whole cents.
    pub const fn cents(cents: i64) -> Usdc {
        Usdc(cents * 10_000)
    }

    /// Micro-dollars.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether there is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Rounded down (towards minus infinity) to whole cents.
    pub const fn floor_cents(self) -> Usdc {
        Usdc(self.0.div_euclid(10_000) * 10_000)
    }

    /// `self × numerator / denominator`, rounded towards minus infinity; zero denominator gives zero.
    pub fn scale_floor(self, numerator: u64, denominator: u64) -> Usdc {
        if denominator == 0 {
            return Usdc::ZERO;
        }
        let scaled =
            (i128::from(self.0) * i128::from(numerator)).div_euclid(i128::from(denominator));
        Usdc(scaled.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    /// The amount without its sign.
    pub const fn abs(self) -> Usdc {
        Usdc(self.0.saturating_abs())
    }

    /// For estimates, ratios and charts.
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl TryFrom<Decimal> for Usdc {
    type Error = NumError;
    fn try_from(value: Decimal) -> Result<Usdc, NumError> {
        i64::try_from(scaled(value, 6, "pUSD")?).map(Usdc).map_err(|_| NumError::OutOfRange {
            what: "pUSD",
            text: value.to_string(),
            range: "±9.2 trillion",
        })
    }
}

impl Add for Usdc {
    type Output = Usdc;
    fn add(self, other: Usdc) -> Usdc {
        Usdc(self.0 + other.0)
    }
}
impl AddAssign for Usdc {
    fn add_assign(&mut self, other: Usdc) {
        self.0 += other.0;
    }
}
impl Sub for Usdc {
    type Output = Usdc;
    fn sub(self, other: Usdc) -> Usdc {
        Usdc(self.0 - other.0)
    }
}
impl SubAssign for Usdc {
    fn sub_assign(&mut self, other: Usdc) {
        self.0 -= other.0;
    }
}
impl Neg for Usdc {
    type Output = Usdc;
    fn neg(self) -> Usdc {
        Usdc(-self.0)
    }
}
impl Sum for Usdc {
    fn sum<I: Iterator<Item = Usdc>>(iter: I) -> Usdc {
        iter.fold(Usdc::ZERO, Add::add)
    }
}

impl fmt::Display for Usdc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad_integral(self.0 >= 0, "", &trimmed(i128::from(self.0.unsigned_abs()), 2))
    }
}

/// `value × 10^places` as an integer, refused unless exact.
fn scaled(value: Decimal, places: u32, what: &'static str) -> Result<i128, NumError> {
    let too_fine = || NumError::TooFine { what, text: value.to_string(), decimals: places };
    let value = value.normalize();
    if value.scale() > places {
        return Err(too_fine());
    }
    let factor = Decimal::from(10u64.pow(places));
    value.checked_mul(factor).and_then(|scaled| scaled.to_i128()).ok_or(NumError::OutOfRange {
        what,
        text: value.to_string(),
        range: "the type",
    })
}

/// Millionths as a decimal without trailing zeros, but with at least `least` decimals.
fn trimmed(micros: i128, least: usize) -> String {
    let mut text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let point = text.len() - 7;
    while text.ends_with('0') && text.len() - 1 > point + least {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// Reads a number as written, in a file or on the wire: text, an integer or a decimal, taken exactly.
struct AsText<T> {
    what: &'static str,
    read: fn(&str) -> Result<T, NumError>,
}

impl<T> serde::de::Visitor<'_> for AsText<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a decimal number ({})", self.what)
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<T, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        // The shortest text of a double is what was written.
        self.visit_str(&value.to_string())
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

macro_rules! text_forms {
    ($($name:ident, $what:literal;)*) => {$(
        impl FromStr for $name {
            type Err = NumError;
            fn from_str(text: &str) -> Result<$name, NumError> {
                Decimal::from_str_exact(text)
                    .map_err(|_| NumError::NotANumber { what: $what, text: text.to_owned() })?
                    .try_into()
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                from.deserialize_any(AsText { what: $what, read: |text| text.parse() })
            }
        }
    )*};
}
text_forms! { Price, "price"; Tick, "tick"; Shares, "size"; Usdc, "pUSD"; }

macro_rules! debug_as_display {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
    )*};
}
debug_as_display!(Price, Shares, Usdc);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_becomes_a_price_exactly_or_not_at_all() {
        for (text, want) in [
            ("0.5", Ok(5_000)),
            (".48", Ok(4_800)),
            ("0.630", Ok(6_300)),
            ("1", Ok(10_000)),
            ("0.0025", Ok(25)),
            ("0.00001", Err("0.00001 has more decimals than price holds (4)")),
            ("1.5", Err("1.5 is outside price's range 0..=1")),
            ("-0.1", Err("-0.1 is outside price's range 0..=1")),
            ("NaN", Err("\"NaN\" is not a number (price)")),
            ("", Err("\"\" is not a number (price)")),
            ("1e73", Err("\"1e73\" is not a number (price)")),
        ] {
            let got = text.parse::<Price>().map(Price::units).map_err(|e| e.to_string());
            assert_eq!(got, want.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn an_estimate_is_rounded_to_a_price_in_the_named_direction() {
        assert_eq!(Price::at_or_below(0.579_999_99, Tick::Cent), Some(Price::cents(58)));
        assert_eq!(Price::at_or_below(0.5799, Tick::Cent), Some(Price::cents(57)));
        assert_eq!(Price::at_or_above(0.5701, Tick::Cent), Some(Price::cents(58)));
        assert_eq!(Price::at_or_below(0.004, Tick::Cent), None);
        assert_eq!(Price::at_or_below(f64::NAN, Tick::Cent), None);
    }

    #[test]
    fn recorded_floats_are_snapped_and_garbage_is_refused() {
        assert_eq!(Price::from_recorded_f64(0.31).map(|p| p.0), Ok(Price::cents(31)));
        assert_eq!(Price::from_recorded_f64(0.299_999_99), Ok((Price::cents(30), true)));
        assert!(Price::from_recorded_f64(f64::NAN).is_err());
        assert!(Price::from_recorded_f64(0.123_45).is_err());
        assert!(Price::from_recorded_f64(-0.01).is_err());
        assert!(Shares::from_recorded_f64(-1.0).is_err());
        assert!(Shares::from_recorded_f64(1.5e73).is_err());
        assert_eq!(
            Shares::from_recorded_f64(441_075.19),
            Ok((Shares::new(441_075_190_000), false))
        );
    }

    #[test]
    fn amounts_are_shown_without_needless_zeros() {
        assert_eq!(Usdc::new(1_500_000).to_string(), "1.50");
        assert_eq!(Usdc::new(-36_400).to_string(), "-0.0364");
        assert_eq!(Shares::new(7_575_758).to_string(), "7.575758");
        assert_eq!(Shares::whole(50).to_string(), "50");
        assert_eq!(Price::cents(58).to_string(), "0.5800");
    }

    #[test]
    fn an_unannounced_tick_size_change_is_inferred_from_a_price() {
        assert_eq!(Tick::Cent.refined_for(Price(125)), Tick::QuarterCent);
        assert_eq!(Tick::Cent.refined_for(Price(150)), Tick::HalfCent);
        assert_eq!(Tick::Cent.refined_for(Price(120)), Tick::Thousandth);
        assert_eq!(Tick::HalfCent.refined_for(Price(125)), Tick::QuarterCent);
        assert_eq!(Tick::Thousandth.refined_for(Price(25)), Tick::TenThousandth);
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_back(units in 0u16..=10_000, micros in 0u64..=500_000_000_000_000, money: i64) {
            prop_assert_eq!(Price(units).to_string().parse(), Ok(Price(units)));
            prop_assert_eq!(Shares(micros).to_string().parse(), Ok(Shares(micros)));
            prop_assume!(money != i64::MIN);
            prop_assert_eq!(Usdc(money).to_string().parse(), Ok(Usdc(money)));
        }

        #[test]
        fn both_outcomes_of_a_fill_add_up_to_one_dollar_a_share(units in 0u16..=10_000, micros in 0u64..10_u64.pow(15)) {
            let (price, shares) = (Price(units), Shares(micros));
            let both = price.notional_floor(shares) + price.complement().notional_ceil(shares);
            prop_assert_eq!(both, shares.face_value());
        }
    }
}
