//! The venue's taker fee, as observed on chain.
//!
//! `fee = shares × rate × (p × (1 − p))^exponent`, floored to 5 decimals of pUSD. Makers pay nothing.
//! The documentation says "rounded"; 21 of 21 on-chain fills of September 2026 equal the floor.

use crate::{Price, Shares, Time, Usdc};

/// One period's parameters: `fd: {r, e}` of `GET /clob-markets/{id}`, `feeSchedule` of Gamma.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FeeRate {
    /// Millionths: a rate of 0.07 is 70 000.
    pub rate_ppm: u32,
    /// 1 on all current schedules, 2 on a legacy one. Anything else is refused.
    pub exponent: u8,
    /// The makers' share of the fees of a market, in millionths (`rebateRate`).
    pub rebate_ppm: u32,
}

impl FeeRate {
    /// No fee at all (`feesEnabled = false`, `zero_fees`).
    pub const FREE: FeeRate = FeeRate { rate_ppm: 0, exponent: 1, rebate_ppm: 0 };
    /// The documented worst case: for sizing and reports, never a reason to trade.
    pub const WORST_CASE: FeeRate = FeeRate { rate_ppm: 70_000, exponent: 1, rebate_ppm: 0 };

    /// Checks parameters read from the wire or from a file.
    pub fn checked(rate_ppm: u32, exponent: u8, rebate_ppm: u32) -> Result<FeeRate, FeeError> {
        if !(1..=2).contains(&exponent) {
            return Err(FeeError::UnknownExponent { exponent });
        }
        if rate_ppm > 1_000_000 || rebate_ppm > 1_000_000 {
            return Err(FeeError::RateOutOfRange { rate_ppm: rate_ppm.max(rebate_ppm) });
        }
        Ok(FeeRate { rate_ppm, exponent, rebate_ppm })
    }

    /// The fee of one match at one level, in micro-dollars (a multiple of ten: 5 decimals).
    pub fn taker_fee(self, price: Price, shares: Shares) -> Usdc {
        let spread = u128::from(price.units()) * u128::from(price.complement().units());
        let (curve, scale) = match self.exponent {
            1 => (spread, 100_000_000),
            _ => (spread * spread, 10_000_000_000_000_000),
        };
        // At most 1e17 shares × 1e6 × 6.25e14 < 2^128.
        let product = u128::from(shares.micros()) * u128::from(self.rate_ppm) * curve;
        let micros = product / (1_000_000 * scale);
        Usdc::new(i64::try_from(micros / 10 * 10).unwrap_or(i64::MAX))
    }

    /// What the maker of such a match accrues: its share of the fee, floored to the micro-dollar.
    ///
    /// The venue pays pro rata per market and day and nothing below 1 pUSD; this is the accrual.
    pub fn maker_rebate(self, price: Price, shares: Shares) -> Usdc {
        self.taker_fee(price, shares).scale_floor(u64::from(self.rebate_ppm), 1_000_000)
    }
}

/// Parameters that hold from a date on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct FeePeriod {
    /// First instant at which they hold.
    pub from: Time,
    /// The parameters.
    pub rate: FeeRate,
}

/// A market's fees by date. Unknown means: do not trade.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Fees(Vec<FeePeriod>);

impl Fees {
    /// No source states the fee.
    pub const UNKNOWN: Fees = Fees(Vec::new());

    /// One rate for all time.
    pub fn flat(rate: FeeRate) -> Fees {
        Fees(vec![FeePeriod { from: Time::MIN, rate }])
    }

    /// A schedule; periods are put in order.
    pub fn schedule(mut periods: Vec<FeePeriod>) -> Fees {
        periods.sort_by_key(|period| period.from);
        Fees(periods)
    }

    /// The parameters at `time`, or a refusal.
    pub fn at(&self, time: Time) -> Result<FeeRate, FeeError> {
        let known = self.0.iter().rev().find(|period| period.from <= time);
        known.map(|period| period.rate).ok_or(FeeError::Unknown)
    }

    /// The periods in order.
    pub fn periods(&self) -> &[FeePeriod] {
        &self.0
    }
}

/// Why a fee cannot be computed: each means "refuse to trade".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// No schedule for this market at this date.
    #[error("the market's fee is unknown")]
    Unknown,
    /// An exponent that is not implemented.
    #[error("fee exponent {exponent} is unknown (known: 1, 2)")]
    UnknownExponent {
        /// The exponent as received.
        exponent: u8,
    },
    /// More than 100 %.
    #[error("fee rate of {rate_ppm} millionths is above 1")]
    RateOutOfRange {
        /// The rate as received, in millionths.
        rate_ppm: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_equal_what_the_chain_charged() {
        // Shares (millionths), price, rate ppm, fee in micro-dollars; from real taker fills.
        for (shares, price, rate, want) in [
            (7_575_758, 6_600, 50_000, 85_000),
            (7_042_251, 7_100, 50_000, 72_490),
            (2_083_334, 4_800, 70_000, 36_400),
            (7_590_000, 6_600, 50_000, 85_150),
            (9_330_000, 5_500, 50_000, 115_450),
            (100_000_000, 5_000, 70_000, 1_750_000),
            (100_000_000, 9_000, 70_000, 630_000),
            (100_000_000, 5_000, 0, 0),
        ] {
            let rate = FeeRate::checked(rate, 1, 0).unwrap();
            let price = Price::new(price).unwrap();
            assert_eq!(
                rate.taker_fee(price, Shares::new(shares)),
                Usdc::new(want),
                "{shares} {price}"
            );
        }
    }

    #[test]
    fn the_legacy_square_curve_and_unknown_exponents() {
        let legacy = FeeRate::checked(250_000, 2, 0).unwrap();
        assert_eq!(legacy.taker_fee(Price::cents(50), Shares::whole(100)), Usdc::new(1_562_500));
        assert_eq!(FeeRate::checked(70_000, 3, 0), Err(FeeError::UnknownExponent { exponent: 3 }));
        assert!(FeeRate::checked(1_000_001, 1, 0).is_err());
    }

    #[test]
    fn a_schedule_answers_by_date_and_refuses_before_its_first() {
        let (early, late) = (Time::from_secs(100), Time::from_secs(200));
        let rate = |ppm| FeeRate::checked(ppm, 1, 0).unwrap();
        let fees = Fees::schedule(vec![
            FeePeriod { from: late, rate: rate(50_000) },
            FeePeriod { from: early, rate: rate(30_000) },
        ]);
        assert_eq!(fees.at(Time::from_secs(99)), Err(FeeError::Unknown));
        assert_eq!(fees.at(Time::from_secs(199)), Ok(rate(30_000)));
        assert_eq!(fees.at(late), Ok(rate(50_000)));
        assert_eq!(Fees::UNKNOWN.at(late), Err(FeeError::Unknown));
    }

    #[test]
    fn absurd_sizes_do_not_overflow() {
        let rate = FeeRate::checked(1_000_000, 2, 1_000_000).unwrap();
        let fee = rate.taker_fee(Price::cents(50), Shares::SANE_MAX);
        assert!(fee > Usdc::ZERO);
    }
}
