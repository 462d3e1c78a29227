//! What an order asks for, checked before anything is signed.
//!
//! [`OrderArgs`] speaks integers; [`OrderText`] is the same order as written in files and by operators. Both
//! end in [`Amounts`], the two integers of the signed order, or in a [`Refused`] that names the rule.

use polydesk_domain::{
    Amounts, AmountsError, Market, Price, ProtocolVersion, Rounding, Shares, Side, Size, Tick, Tif,
    Time, TokenId, Usdc, immediate_amounts, resting_amounts,
};
use rust_decimal::Decimal;

/// Which contract settles an order: it decides the signing domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exchange {
    /// CTF Exchange V2, domain version 2.
    Normal,
    /// Neg-Risk CTF Exchange V2, domain version 2.
    NegRisk,
    /// ExchangeV3 (protocol v2 positions, both kinds), domain version 3.
    V3,
}

impl Exchange {
    /// The contract of a market, by its protocol version and neg-risk flag. An unknown version is
    /// refused: an order signed for the wrong contract is at best rejected.
    pub fn of(market: &Market) -> Result<Exchange, Refused> {
        match (&market.version, &market.neg_risk) {
            (ProtocolVersion::V1, None) => Ok(Exchange::Normal),
            (ProtocolVersion::V1, Some(_)) => Ok(Exchange::NegRisk),
            (ProtocolVersion::V2, _) => Ok(Exchange::V3),
            (ProtocolVersion::Unknown(version), _) => Err(Refused::Version(version.clone())),
        }
    }
}

/// An order to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderArgs {
    /// Outcome token, or position id of protocol v2.
    pub token: TokenId,
    /// Buy or sell.
    pub side: Side,
    /// Limit: the worst acceptable price.
    pub price: Price,
    /// Shares; pUSD to spend for immediate buys.
    pub size: Size,
    /// How long it lives.
    pub tif: Tif,
    /// Refuse rather than take; only for orders that rest.
    pub post_only: bool,
    /// The market's tick size.
    pub tick: Tick,
    /// Which contract settles it.
    pub exchange: Exchange,
}

/// Why no order was made. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No multiple of the tick size, or outside `[tick, 1 − tick]`.
    #[error(
        "price {price} is not tradable at tick {tick}: it must be a multiple of the tick from one tick to one dollar less one tick"
    )]
    Price {
        /// The price asked for.
        price: Price,
        /// The tick size.
        tick: Tick,
    },
    /// Nothing left after rounding down to what the venue takes.
    #[error("the size rounds down to nothing: orders have two decimals")]
    Nothing,
    /// Sized in the wrong unit.
    #[error("resting orders and sells are sized in shares, immediate buys in pUSD")]
    Unit,
    /// More than a signed order can encode.
    #[error("the amounts overflow")]
    Overflow,
    /// Post-only means resting.
    #[error("post-only is only for GTC and GTD orders")]
    PostOnly,
    /// A GTD must live long enough.
    #[error(
        "a GTD expiration must be at least 180 s ahead (the venue removes the order 60 s before it)"
    )]
    Expiration,
    /// The amounts of a tiny immediate buy imply a price of the next level.
    #[error(
        "so small a buy at {price} would be allowed to pay the next price level after rounding; spend more"
    )]
    ImpliedPrice {
        /// The limit asked for.
        price: Price,
    },
    /// A protocol version this client does not sign for.
    #[error("the market's protocol version is {0:?}; only v1 and v2 are signed for")]
    Version(String),
    /// Text that is not what it should be.
    #[error("{field} is {text:?}: {rule}")]
    Text {
        /// Which input.
        field: &'static str,
        /// Its text, cut to 100 characters.
        text: String,
        /// What it must be.
        rule: &'static str,
    },
}

impl From<AmountsError> for Refused {
    fn from(error: AmountsError) -> Refused {
        match error {
            AmountsError::Price { price, tick } => Refused::Price { price, tick },
            AmountsError::Nothing => Refused::Nothing,
            AmountsError::Unit => Refused::Unit,
            AmountsError::Overflow => Refused::Overflow,
        }
    }
}

/// The least life of a GTD order, from the venue's rules.
const GTD_LEAST_SECS: i64 = 180;

impl OrderArgs {
    /// The two integers to sign, or why there are none. `now` is server time.
    ///
    /// Under [`Rounding::Sdk`] the official unified client is followed to the letter, including orders
    /// of nothing and GTD without an expiration, which it signs and the venue refuses;
    /// [`Rounding::Venue`] refuses them here.
    pub fn amounts(&self, rounding: Rounding, now: Time) -> Result<Amounts, Refused> {
        if self.post_only && !self.tif.rests() {
            return Err(Refused::PostOnly);
        }
        if let Tif::Gtd { expires } = self.tif {
            let unstated = expires == Time::from_secs(0) && rounding == Rounding::Sdk;
            if !unstated
                && expires.nanos().saturating_sub(now.nanos()) < GTD_LEAST_SECS * 1_000_000_000
            {
                return Err(Refused::Expiration);
            }
        }
        let made = match (self.tif.rests(), self.size) {
            (true, Size::Shares(shares)) => {
                resting_amounts(self.side, self.price, shares, self.tick)
            }
            (true, Size::Spend(_)) => Err(AmountsError::Unit),
            (false, size) => immediate_amounts(self.side, self.price, size, self.tick, rounding),
        };
        let immediate_buy = !self.tif.rests() && self.side == Side::Buy;
        match made {
            Err(AmountsError::Nothing) if rounding == Rounding::Sdk && !immediate_buy => {
                Ok(Amounts { maker: 0, taker: 0 })
            }
            // So little that rounding the shares down lifts the implied price onto the next level of the
            // finest grid: the limit would not hold any more.
            Ok(amounts) if immediate_buy => {
                let paid = u128::from(amounts.maker) * 10_000;
                let next = u128::from(amounts.taker) * (u128::from(self.price.units()) + 1);
                if paid >= next {
                    Err(Refused::ImpliedPrice { price: self.price })
                } else {
                    Ok(amounts)
                }
            }
            made => Ok(made?),
        }
    }

    /// Unix seconds for the body; 0 unless GTD.
    pub fn expiration_secs(&self) -> u64 {
        match self.tif {
            Tif::Gtd { expires } => u64::try_from(expires.nanos() / 1_000_000_000).unwrap_or(0),
            _ => 0,
        }
    }
}

/// An order as text. Every field is checked, none is guessed.
#[derive(Debug, Clone, Copy)]
pub struct OrderText<'a> {
    /// Decimal token id.
    pub token: &'a str,
    /// `BUY` or `SELL`.
    pub side: &'a str,
    /// Decimal, a multiple of the tick size.
    pub price: &'a str,
    /// Decimal: shares, or pUSD for an immediate buy. Finer than a millionth is floored.
    pub size: &'a str,
    /// `GTC`, `GTD`, `FOK` or `FAK`.
    pub order_type: &'a str,
    /// Unix seconds, 0 for none; only with `GTD`.
    pub expiration: u64,
    /// Refuse rather than take.
    pub post_only: bool,
    /// `0.1`, `0.01`, `0.005`, `0.0025`, `0.001` or `0.0001`.
    pub tick: &'a str,
    /// Which contract settles it.
    pub exchange: Exchange,
}

impl OrderText<'_> {
    /// Reads it, naming the field that is wrong.
    pub fn parse(&self) -> Result<OrderArgs, Refused> {
        let side = match self.side {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            other => return Err(wrong("side", other, "BUY or SELL")),
        };
        let tif = match self.order_type {
            "GTC" => Tif::Gtc,
            "FOK" => Tif::Fok,
            "FAK" => Tif::Fak,
            "GTD" => Tif::Gtd {
                expires: i64::try_from(self.expiration)
                    .ok()
                    .filter(|secs| *secs < 1 << 33)
                    .map(Time::from_secs)
                    .ok_or_else(|| wrong("expiration", "", "Unix seconds"))?,
            },
            other => return Err(wrong("order type", other, "GTC, GTD, FOK or FAK")),
        };
        if self.expiration != 0 && !matches!(tif, Tif::Gtd { .. }) {
            return Err(wrong("expiration", "non-zero", "only GTD orders expire"));
        }
        let tick =
            decimal(self.tick).and_then(|tick| Tick::try_from(tick).ok()).ok_or_else(|| {
                wrong("tick", self.tick, "one of 0.1, 0.01, 0.005, 0.0025, 0.001, 0.0001")
            })?;
        let price =
            decimal(self.price).and_then(|price| Price::try_from(price).ok()).ok_or_else(|| {
                wrong("price", self.price, "a decimal from 0 to 1 with at most four decimals")
            })?;
        // Finer than a millionth cannot be encoded on the wire; the venue's clients floor, so do we.
        let size = decimal(self.size)
            .filter(|size| size.is_sign_positive() && !size.is_zero())
            .map(|size| size.trunc_with_scale(6))
            .ok_or_else(|| wrong("size", self.size, "a decimal above 0"))?;
        let size = if !tif.rests() && side == Side::Buy {
            Usdc::try_from(size).ok().map(Size::Spend)
        } else {
            Shares::try_from(size).ok().map(Size::Shares)
        }
        .ok_or_else(|| wrong("size", self.size, "too large"))?;
        let token = self
            .token
            .parse()
            .map_err(|_| wrong("token", self.token, "1 to 78 decimal digits below 2^256"))?;
        Ok(OrderArgs {
            token,
            side,
            price,
            size,
            tif,
            post_only: self.post_only,
            tick,
            exchange: self.exchange,
        })
    }
}

fn decimal(text: &str) -> Option<Decimal> {
    // Plain notation only: no exponents, no infinities, no blanks.
    text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-').then(|| text.parse().ok())?
}

fn wrong(field: &'static str, text: &str, rule: &'static str) -> Refused {
    Refused::Text { field, text: text.chars().take(100).collect(), rule }
}
