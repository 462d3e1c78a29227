//! Ids: the venue's, and the dense ones used inside a process.

use core::fmt;
use core::str::FromStr;

/// A text that is no valid id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}: {rule}")]
pub struct IdError {
    what: &'static str,
    text: String,
    rule: &'static str,
}

impl IdError {
    fn new(what: &'static str, text: &str, rule: &'static str) -> IdError {
        IdError { what, text: text.chars().take(100).collect(), rule }
    }
}

/// The venue's 256-bit number of one outcome token (`asset_id`, `clobTokenIds[i]`), big-endian.
///
/// Shown and read as a decimal string of up to 78 digits, as the venue writes it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TokenId([u8; 32]);

impl TokenId {
    /// From big-endian bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> TokenId {
        TokenId(bytes)
    }
    /// Big-endian bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<u64> for TokenId {
    fn from(small: u64) -> TokenId {
        let mut bytes = [0; 32];
        bytes[24..].copy_from_slice(&small.to_be_bytes());
        TokenId(bytes)
    }
}

impl FromStr for TokenId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<TokenId, IdError> {
        let error = |rule| IdError::new("token id", text, rule);
        if text.is_empty() || text.len() > 78 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(error("1 to 78 decimal digits"));
        }
        let mut limbs = [0u64; 4];
        // Eighteen digits at a time keep `limb × 10^18 + carry` inside a u128.
        for chunk in text.as_bytes().rchunks(18).rev() {
            let digits: u64 = chunk.iter().fold(0, |n, b| n * 10 + u64::from(b - b'0'));
            let mut carry = u128::from(digits);
            let factor = 10u128.pow(chunk.len() as u32);
            for limb in &mut limbs {
                let product = u128::from(*limb) * factor + carry;
                *limb = product as u64;
                carry = product >> 64;
            }
            if carry != 0 {
                return Err(error("below 2^256"));
            }
        }
        let mut bytes = [0; 32];
        for (slot, limb) in bytes.rchunks_exact_mut(8).zip(limbs) {
            slot.copy_from_slice(&limb.to_be_bytes());
        }
        Ok(TokenId(bytes))
    }
}

impl TokenId {
    /// The decimal digits, as the venue writes them, without touching the heap.
    pub fn decimal(&self) -> Digits {
        let mut limbs = [0u64; 4];
        for (limb, chunk) in limbs.iter_mut().zip(self.0.chunks_exact(8)) {
            *limb = chunk.iter().fold(0, |n, b| n << 8 | u64::from(*b));
        }
        const BASE: u128 = 1_000_000_000_000_000_000;
        let mut digits = Digits { bytes: [b'0'; 90], start: 90 };
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest: u128 = 0;
            for limb in &mut limbs {
                let value = rest << 64 | u128::from(*limb);
                *limb = (value / BASE) as u64;
                rest = value % BASE;
            }
            // Eighteen digits a round; five rounds hold every number below 2^256.
            let (mut group, end) = (rest as u64, digits.start);
            for slot in digits.bytes[end - 18..end].iter_mut().rev() {
                *slot = b'0' + (group % 10) as u8;
                group /= 10;
            }
            digits.start = end - 18;
        }
        let zeros = digits.bytes[digits.start..].iter().take_while(|digit| **digit == b'0').count();
        digits.start = (digits.start + zeros).min(89);
        digits
    }
}

/// The decimal digits of a [`TokenId`].
#[derive(Clone, Copy)]
pub struct Digits {
    bytes: [u8; 90],
    start: usize,
}

impl Digits {
    /// ASCII digits, without leading zeros; `0` for zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
    /// The same as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or("0")
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.decimal().as_str())
    }
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; 32]);

        impl $name {
            /// From bytes as the venue writes them, first byte first.
            pub const fn from_bytes(bytes: [u8; 32]) -> $name {
                $name(bytes)
            }
            /// The bytes.
            pub const fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<$name, IdError> {
                let error = || IdError::new($what, text, "0x and 64 (protocol v2: 62) hex digits");
                let digits = text.strip_prefix("0x").ok_or_else(error)?.as_bytes();
                // Protocol v2 condition ids have 31 bytes, sometimes right-padded to 32.
                if digits.len() != 64 && digits.len() != 62 {
                    return Err(error());
                }
                let mut bytes = [0; 32];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    let digit = |b: u8| (b as char).to_digit(16);
                    let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else {
                        return Err(error());
                    };
                    *byte = (high << 4 | low) as u8;
                }
                Ok($name(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("0x")?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

hex_id! {
    /// A market's condition (`market` in CLOB payloads, `conditionId` in Gamma).
    ConditionId, "condition id"
}
hex_id! {
    /// The venue's order id: the EIP-712 digest of the signed order.
    OrderHash, "order id"
}

/// One outcome token inside this process: `2 × market + outcome`. Never written anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u32);

/// One market inside this process, in the order of listing events. Never written anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MarketKey(pub u32);

impl MarketKey {
    /// Position in arrays kept per market.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// The token of one of its outcomes.
    pub const fn token(self, outcome: crate::Outcome) -> Token {
        Token(self.0 * 2 + outcome as u32)
    }
}

impl Token {
    /// Position in arrays kept per token.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
    /// The market it belongs to.
    pub const fn market(self) -> MarketKey {
        MarketKey(self.0 / 2)
    }
    /// Which outcome of that market it is.
    pub const fn outcome(self) -> crate::Outcome {
        if self.0.is_multiple_of(2) { crate::Outcome::Yes } else { crate::Outcome::No }
    }
    /// The other outcome's token.
    pub const fn sibling(self) -> Token {
        Token(self.0 ^ 1)
    }
}

macro_rules! run_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// `run << 32 | n`: unique over restarts, because every start takes a new run number.
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize,
            serde::Deserialize,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// The `n`-th one of a run.
            pub const fn of_run(run: u32, n: u32) -> $name {
                $name((run as u64) << 32 | n as u64)
            }
            /// The run that made it.
            pub const fn run(self) -> u32 {
                (self.0 >> 32) as u32
            }
            /// Its number within the run.
            pub const fn number(self) -> u32 {
                self.0 as u32
            }
        }

        impl fmt::Display for $name {
            /// `#7` in run 0 (backtests and tests), else `#3.7`.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.run() {
                    0 => write!(f, "#{}", self.number()),
                    run => write!(f, "#{run}.{}", self.number()),
                }
            }
        }
    };
}

run_id! {
    /// The engine's id of an order; it exists before the venue's id.
    ClientOrderId
}
run_id! {
    /// The id of a conversion (split, merge, redeem); numbered in one sequence with the orders.
    ConversionId
}
run_id! {
    /// The id of a basket.
    BasketId
}
run_id! {
    /// The id of a question to a model.
    AskId
}

impl ClientOrderId {
    /// Bit that marks external orders: found at the venue, not placed by this bot.
    const EXTERNAL: u32 = 1 << 31;

    /// The `n`-th external order that a run found.
    pub const fn external(run: u32, n: u32) -> ClientOrderId {
        ClientOrderId::of_run(run, n | ClientOrderId::EXTERNAL)
    }
    /// Reads `RUN.NUMBER`, as it is shown, with or without the `#` before it.
    pub fn parse(text: &str) -> Option<ClientOrderId> {
        let (run, number) = text.strip_prefix('#').unwrap_or(text).split_once('.')?;
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(run) || !digits(number) {
            return None;
        }
        Some(ClientOrderId::of_run(run.parse().ok()?, number.parse().ok()?))
    }
    /// Whether it names an external order.
    pub const fn is_external(self) -> bool {
        self.number() & ClientOrderId::EXTERNAL != 0
    }
}

/// The id of a signal: producer, epoch (the producer's run), and a counter within the epoch.
///
/// Numbers of one producer and epoch rise, so a high-water mark per producer recognises a redelivery.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
pub struct SignalId {
    /// The strategy, or the process that sends signals.
    pub producer: StrategyId,
    /// The producer's run.
    pub epoch: u32,
    /// Counts from 1 within the epoch.
    pub counter: u64,
}

impl fmt::Display for SignalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.producer, self.epoch, self.counter)
    }
}

/// The venue's trade id (a uuid); one trade can carry several maker orders.
///
/// Written as decimal text: JSON readers lose numbers above 2^53.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TradeId(pub u128);

impl fmt::Display for TradeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for TradeId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<TradeId, IdError> {
        let error = |_| IdError::new("trade id", text, "a decimal number below 2^128");
        text.parse().map(TradeId).map_err(error)
    }
}

impl serde::Serialize for TradeId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for TradeId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<TradeId, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A strategy's name: its kind (`copy_trader`), or an instance of it (`copy_trader.whales`). Up to 32
/// ASCII letters, digits and underscores with at most one dot between them, held inline so it is `Copy`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrategyId([u8; 32]);

impl StrategyId {
    /// The copy trader.
    pub const COPY_TRADER: StrategyId = StrategyId::literal("copy_trader");
    /// The AI predictor.
    pub const AI_PREDICTOR: StrategyId = StrategyId::literal("ai_predictor");
    /// The parity and neg-risk arbitrage scanner.
    pub const ARB_SCANNER: StrategyId = StrategyId::literal("arb_scanner");
    /// The stink bidder.
    pub const STINK_BIDDER: StrategyId = StrategyId::literal("stink_bidder");
    /// The market maker.
    pub const MARKET_MAKER: StrategyId = StrategyId::literal("market_maker");
    /// The operator.
    pub const OPERATOR: StrategyId = StrategyId::literal("operator");
    /// Owner of orders and holdings that no strategy of this bot made: they count for the limits of the
    /// account and no strategy sells them.
    pub const EXTERNAL: StrategyId = StrategyId::literal("external");

    /// The longest name in bytes.
    pub const LONGEST: usize = 32;

    /// For constants: longer names and other characters do not compile.
    pub const fn literal(name: &'static str) -> StrategyId {
        match StrategyId::read(name.as_bytes()) {
            Some(id) => id,
            None => {
                panic!("a strategy's name is 1 to 32 letters, digits and _, with at most one dot")
            }
        }
    }

    const fn read(from: &[u8]) -> Option<StrategyId> {
        if from.is_empty() || from.len() > StrategyId::LONGEST {
            return None;
        }
        let mut bytes = [0; StrategyId::LONGEST];
        let (mut i, mut dots) = (0, 0);
        while i < from.len() {
            if from[i] == b'.' {
                // A dot stands between two names.
                dots += 1;
                if dots > 1 || i == 0 || i + 1 == from.len() {
                    return None;
                }
            } else if !(from[i].is_ascii_alphanumeric() || from[i] == b'_') {
                return None;
            }
            bytes[i] = from[i];
            i += 1;
        }
        Some(StrategyId(bytes))
    }

    /// An instance of a kind: `KIND.NAME`.
    ///
    /// # Errors
    /// The name has other characters, or both together are longer than 32 bytes.
    pub fn instance(kind: StrategyId, name: &str) -> Result<StrategyId, IdError> {
        let text = format!("{kind}.{name}");
        if name.contains('.') || kind.as_str().contains('.') {
            return Err(IdError::new("strategy name", &text, StrategyId::RULE));
        }
        text.parse()
    }

    const RULE: &'static str =
        "1 to 32 letters, digits and _, and one dot before an instance's name";

    /// The name.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        core::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }

    /// The kind it is an instance of; a name without a dot is its own kind.
    pub fn kind(&self) -> &str {
        let name = self.as_str();
        name.split_once('.').map_or(name, |(kind, _)| kind)
    }
}

impl FromStr for StrategyId {
    type Err = IdError;
    fn from_str(name: &str) -> Result<StrategyId, IdError> {
        StrategyId::read(name.as_bytes())
            .ok_or_else(|| IdError::new("strategy name", name, StrategyId::RULE))
    }
}

impl fmt::Display for StrategyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! id_text_forms {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Display::fmt(self, f) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
id_text_forms!(TokenId, ConditionId, OrderHash, StrategyId);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn token_ids_are_read_as_the_venue_writes_them() {
        let text = "57953460969144501144385266431497900786362265483971474370583776523710017709396";
        assert_eq!(text.parse::<TokenId>().map(|id| id.to_string()), Ok(text.to_owned()));
        let most = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(most.parse::<TokenId>(), Ok(TokenId([255; 32])));
        for bad in ["", "-1", "0x12", "1e5", &most.replace("9935", "9936"), &"9".repeat(79)] {
            assert!(bad.parse::<TokenId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn condition_ids_have_32_or_31_bytes() {
        let text = format!("0x{}", "ab".repeat(32));
        assert_eq!(text.parse::<ConditionId>().map(|id| id.to_string()), Ok(text));
        assert!(format!("0x{}", "ab".repeat(31)).parse::<ConditionId>().is_ok());
        assert!("0x12".parse::<ConditionId>().is_err());
        assert!("ab".repeat(32).parse::<ConditionId>().is_err());
    }

    proptest! {
        #[test]
        fn token_ids_survive_printing(bytes: [u8; 32]) {
            let id = TokenId(bytes);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert!(id == TokenId([0; 32]) || !id.to_string().starts_with('0'));
        }
    }
}
