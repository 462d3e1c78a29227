//! A market as trading needs it, and the register of all markets known to a process.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    ConditionId, Fees, MarketKey, Outcome, Price, Shares, Tick, Time, Token, TokenId, Usdc,
};

/// What one share of each outcome pays, in micro-dollars; both add up to one dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Payout {
    yes: u32,
    no: u32,
}

impl Payout {
    /// YES pays everything.
    pub const YES: Payout = Payout { yes: 1_000_000, no: 0 };
    /// NO pays everything.
    pub const NO: Payout = Payout { yes: 0, no: 1_000_000 };
    /// A 50-50 resolution.
    pub const HALF: Payout = Payout { yes: 500_000, no: 500_000 };

    /// From what a YES share pays in micro-dollars; `None` above one dollar.
    pub const fn yes_micros(yes: u32) -> Option<Payout> {
        if yes > 1_000_000 { None } else { Some(Payout { yes, no: 1_000_000 - yes }) }
    }

    /// Micro-dollars per share of `outcome`.
    pub const fn per_share(self, outcome: Outcome) -> u32 {
        match outcome {
            Outcome::Yes => self.yes,
            Outcome::No => self.no,
        }
    }

    /// What a holding of both outcomes is paid, in micro-dollars.
    ///
    /// YES is rounded down and NO up, so that a complete set always pays exactly one dollar.
    pub fn pay(self, outcome: Outcome, shares: Shares) -> Usdc {
        let product = u128::from(self.per_share(outcome)) * u128::from(shares.micros());
        let micros = match outcome {
            Outcome::Yes => product / 1_000_000,
            Outcome::No => product.div_ceil(1_000_000),
        };
        Usdc::new(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

impl TryFrom<u32> for Payout {
    type Error = String;
    fn try_from(yes: u32) -> Result<Payout, String> {
        Payout::yes_micros(yes).ok_or_else(|| {
            format!("a YES share pays {yes} micro-dollars; at most 1000000 is possible")
        })
    }
}

impl From<Payout> for u32 {
    fn from(payout: Payout) -> u32 {
        payout.yes
    }
}

/// Which exchange contract settles a market.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtocolVersion {
    /// CLOB V2 contracts (Gamma `version = "v1"`): all current markets.
    V1,
    /// ExchangeV3 (Gamma `version = "v2"`).
    V2,
    /// Missing or unsupported: not traded.
    Unknown(String),
}

/// The lifecycle state of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarketState {
    /// Orders are accepted.
    Open,
    /// Orders are not accepted for now.
    Paused,
    /// Trading is over; the result is not final.
    Closed,
    /// The result is disputed.
    Disputed,
    /// Final.
    Resolved(Payout),
}

impl MarketState {
    /// Whether new orders are accepted.
    pub const fn trades(self) -> bool {
        matches!(self, MarketState::Open)
    }
    /// A short word for logs and reports.
    pub const fn name(self) -> &'static str {
        match self {
            MarketState::Open => "open",
            MarketState::Paused => "paused",
            MarketState::Closed => "closed",
            MarketState::Disputed => "disputed",
            MarketState::Resolved(_) => "resolved",
        }
    }
}

/// Membership of a neg-risk group: exactly one YES of the group pays.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct NegRisk {
    /// `negRiskMarketID`.
    pub group: String,
    /// How many outcomes the whole group has; unknown means that no basket over it is complete.
    pub members: Option<u32>,
    /// `enableNegRisk` + `negRiskAugmented`: outcomes can still be added and "Other" changes meaning.
    pub augmented: bool,
    /// A placeholder without a name yet.
    pub placeholder: bool,
}

/// The facts of one binary market that trading needs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Market {
    /// `conditionId`.
    pub condition: ConditionId,
    /// Token ids, YES first.
    pub tokens: [TokenId; 2],
    /// Labels of the outcomes, YES first.
    pub labels: [String; 2],
    /// The question as people read it.
    pub question: String,
    /// The page's name in URLs.
    pub slug: String,
    /// Category for limits and reports; empty when unknown.
    pub category: String,
    /// The event the market belongs to, for limits over correlated outcomes; empty when unknown.
    pub event: String,
    /// Tick at listing; the book's own tick is the current one.
    pub tick: Tick,
    /// Smallest order in shares (`min_order_size`).
    pub min_size: Shares,
    /// Fees by date.
    pub fees: Fees,
    /// Set for members of a mutually exclusive group.
    pub neg_risk: Option<NegRisk>,
    /// When orders open, if known.
    pub opens: Option<Time>,
    /// Nominal end; a market can stay open after it.
    pub closes: Option<Time>,
    /// Which contracts settle it.
    pub version: ProtocolVersion,
    /// State at listing.
    pub state: MarketState,
    /// How long the venue holds taker orders back (sports `seconds_delay`, `itode`), in nanoseconds.
    pub taker_delay: crate::Span,
    /// The rules text (`description`): the first eight bytes of its SHA-256, big-endian; `None` when unknown. A text
    /// that changed means another bet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<u64>,
    /// Facts that were assumed for lack of a source; shown in certificates and reports.
    pub assumed: Vec<String>,
}

impl Market {
    /// A plain open market with a known zero fee: what tests start from.
    pub fn plain(number: u64, slug: &str) -> Market {
        let mut condition = [0; 32];
        condition[24..].copy_from_slice(&number.to_be_bytes());
        Market {
            condition: ConditionId::from_bytes(condition),
            tokens: [TokenId::from(number * 2 + 1_000), TokenId::from(number * 2 + 1_001)],
            labels: ["Yes".into(), "No".into()],
            question: slug.to_owned(),
            slug: slug.to_owned(),
            category: String::new(),
            event: String::new(),
            tick: Tick::Cent,
            min_size: Shares::whole(5),
            fees: Fees::flat(crate::FeeRate::FREE),
            neg_risk: None,
            opens: None,
            closes: None,
            version: ProtocolVersion::V1,
            state: MarketState::Open,
            taker_delay: crate::Span::ZERO,
            rules: None,
            assumed: Vec::new(),
        }
    }

    /// The worth of a complete set at these two prices, above (+) or below (−) one dollar, per share.
    pub fn parity_gap(yes: Price, no: Price) -> i32 {
        i32::from(yes.units()) + i32::from(no.units()) - 10_000
    }
}

/// A listing that the universe refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarketError {
    /// Both outcomes name one token.
    #[error("market {0}: both outcomes have the same token id")]
    SameToken(ConditionId),
    /// A token that another market already has.
    #[error("market {market}: token {token} already belongs to market {owner}")]
    TokenTaken {
        /// The market being listed.
        market: ConditionId,
        /// The token that both name.
        token: TokenId,
        /// The market that already has it.
        owner: ConditionId,
    },
    /// A relisting that names other tokens.
    #[error("market {0}: listed again with other tokens")]
    OtherTokens(ConditionId),
    /// The listing names a key that is not this process's: events were lost or come from elsewhere.
    #[error("market {market}: listed under key {got}, here it is {want}", got = .got.0, want = .want.0)]
    OtherKey {
        /// The market being listed.
        market: ConditionId,
        /// The key of the listing.
        got: MarketKey,
        /// The key that it has, or would get.
        want: MarketKey,
    },
}

/// Every market known to a process, in the order of listing events: the same events give the same keys.
///
/// A delisted market leaves an empty place behind: its key is never used again.
#[derive(Debug, Clone)]
pub struct Universe {
    markets: Vec<Arc<Market>>,
    by_condition: BTreeMap<ConditionId, MarketKey>,
    by_token: BTreeMap<TokenId, Token>,
    groups: BTreeMap<String, Vec<MarketKey>>,
    /// Stands in the places of delisted markets.
    nothing: Arc<Market>,
}

impl Default for Universe {
    fn default() -> Universe {
        let mut nothing = Market::plain(0, "");
        nothing.tokens = [TokenId::default(); 2];
        nothing.condition = ConditionId::default();
        nothing.version = ProtocolVersion::Unknown(String::new());
        nothing.fees = Fees::schedule(Vec::new());
        nothing.state = MarketState::Closed;
        Universe {
            markets: Vec::new(),
            by_condition: BTreeMap::new(),
            by_token: BTreeMap::new(),
            groups: BTreeMap::new(),
            nothing: Arc::new(nothing),
        }
    }
}

impl Universe {
    /// Nothing listed yet.
    pub fn new() -> Universe {
        Universe::default()
    }

    /// The key that the next new market gets.
    pub fn next_key(&self) -> MarketKey {
        MarketKey(self.markets.len() as u32)
    }

    /// Adds a market under the next key, or replaces the facts of one already known, whose key stays.
    /// Only for the component that assigns the keys (tape reader, inbox); all others use [`Universe::list`].
    ///
    /// # Errors
    /// What [`MarketError`] names; nothing changed then.
    pub fn assign(&mut self, market: Arc<Market>) -> Result<MarketKey, MarketError> {
        let key = self.key(&market.condition).unwrap_or(self.next_key());
        self.list(key, market)
    }

    /// Adds a market under the key that its listing names, or replaces the facts of one already known.
    /// Only this market is touched, whatever the number of the others.
    ///
    /// # Errors
    /// What [`MarketError`] names, another key than this universe would give among it; nothing changed
    /// then.
    pub fn list(&mut self, key: MarketKey, market: Arc<Market>) -> Result<MarketKey, MarketError> {
        self.check(key, &market)?;
        let condition = market.condition;
        if self.key(&condition).is_some() {
            let old = Arc::clone(&self.markets[key.index()]);
            self.regroup(key, old.neg_risk.as_ref(), market.neg_risk.as_ref());
            self.markets[key.index()] = market;
            return Ok(key);
        }
        self.by_condition.insert(condition, key);
        for outcome in Outcome::BOTH {
            self.by_token.insert(market.tokens[outcome.index()], key.token(outcome));
        }
        self.regroup(key, None, market.neg_risk.as_ref());
        self.markets.push(market);
        Ok(key)
    }

    /// Whether [`Universe::list`] would take a listing.
    ///
    /// # Errors
    /// As for [`Universe::list`].
    pub fn check(&self, key: MarketKey, market: &Market) -> Result<(), MarketError> {
        let condition = market.condition;
        let known = self.key(&condition);
        let want = known.unwrap_or(self.next_key());
        if want != key {
            return Err(MarketError::OtherKey { market: condition, got: key, want });
        }
        if market.tokens[0] == market.tokens[1] {
            return Err(MarketError::SameToken(condition));
        }
        if known.is_some() {
            let same = self.market(key).tokens == market.tokens;
            return if same { Ok(()) } else { Err(MarketError::OtherTokens(condition)) };
        }
        for token in market.tokens {
            if let Some(taken) = self.by_token.get(&token) {
                let owner = self.market(taken.market()).condition;
                return Err(MarketError::TokenTaken { market: condition, token, owner });
            }
        }
        Ok(())
    }

    /// Removes a market. Its key is never used again; the caller makes sure that nothing is held or resting
    /// in it.
    pub fn delist(&mut self, key: MarketKey) -> Option<Arc<Market>> {
        let market = Arc::clone(self.get(key)?);
        self.by_condition.remove(&market.condition);
        for token in market.tokens {
            self.by_token.remove(&token);
        }
        self.regroup(key, market.neg_risk.as_ref(), None);
        self.markets[key.index()] = Arc::clone(&self.nothing);
        Some(market)
    }

    /// Moves a market from one group to another; members stay in the order of their keys.
    fn regroup(&mut self, key: MarketKey, from: Option<&NegRisk>, to: Option<&NegRisk>) {
        if from.map(|group| &group.group) == to.map(|group| &group.group) {
            return;
        }
        if let Some(old) = from
            && let Some(members) = self.groups.get_mut(&old.group)
        {
            members.retain(|member| *member != key);
            if members.is_empty() {
                self.groups.remove(&old.group);
            }
        }
        if let Some(new) = to {
            let members = self.groups.entry(new.group.clone()).or_default();
            let at = members.partition_point(|member| *member < key);
            members.insert(at, key);
        }
    }

    /// How many keys were given out, delisted markets included: the length of arrays kept per market.
    pub fn len(&self) -> usize {
        self.markets.len()
    }
    /// Whether no market was ever listed.
    pub fn is_empty(&self) -> bool {
        self.markets.is_empty()
    }
    /// The market of a key that this universe gave out; of a delisted one, a closed market without fees
    /// that cannot be traded.
    pub fn market(&self, key: MarketKey) -> &Arc<Market> {
        self.markets.get(key.index()).unwrap_or(&self.nothing)
    }
    /// The market of a key, if it is listed.
    pub fn get(&self, key: MarketKey) -> Option<&Arc<Market>> {
        self.markets.get(key.index()).filter(|market| !Arc::ptr_eq(market, &self.nothing))
    }
    /// The keys of all listed markets in order.
    pub fn keys(&self) -> impl Iterator<Item = MarketKey> + '_ {
        (0..self.markets.len() as u32).map(MarketKey).filter(|key| self.get(*key).is_some())
    }
    /// The key of a condition id.
    pub fn key(&self, condition: &ConditionId) -> Option<MarketKey> {
        self.by_condition.get(condition).copied()
    }
    /// The dense token of the venue's token id.
    pub fn token(&self, id: &TokenId) -> Option<Token> {
        self.by_token.get(id).copied()
    }
    /// The venue's id of a dense token.
    pub fn token_id(&self, token: Token) -> TokenId {
        self.market(token.market()).tokens[token.outcome().index()]
    }
    /// The known members of a neg-risk group, in listing order.
    pub fn group(&self, group: &str) -> &[MarketKey] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }
    /// All neg-risk groups, in the order of their names.
    pub fn groups(&self) -> impl Iterator<Item = (&str, &[MarketKey])> {
        self.groups.iter().map(|(name, keys)| (name.as_str(), keys.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_follow_the_order_of_listing_and_never_change() {
        let mut universe = Universe::new();
        let first = universe.assign(Arc::new(Market::plain(1, "one"))).unwrap();
        let second = universe.assign(Arc::new(Market::plain(2, "two"))).unwrap();
        assert_eq!((first, second), (MarketKey(0), MarketKey(1)));
        let mut renamed = Market::plain(1, "one");
        renamed.question = "Really?".into();
        assert_eq!(universe.assign(Arc::new(renamed)), Ok(first));
        assert_eq!(universe.market(first).question, "Really?");
        let token = second.token(Outcome::No);
        assert_eq!(universe.token(&universe.token_id(token)), Some(token));
    }

    #[test]
    fn a_token_belongs_to_one_market() {
        let mut universe = Universe::new();
        universe.assign(Arc::new(Market::plain(1, "one"))).unwrap();
        let mut thief = Market::plain(2, "two");
        thief.tokens[0] = Market::plain(1, "one").tokens[1];
        assert!(matches!(universe.assign(Arc::new(thief)), Err(MarketError::TokenTaken { .. })));
    }

    #[test]
    fn a_listing_under_another_key_is_refused() {
        let mut universe = Universe::new();
        let market = || Arc::new(Market::plain(1, "one"));
        let other = |got, want| {
            let (got, want) = (MarketKey(got), MarketKey(want));
            Err(MarketError::OtherKey { market: market().condition, got, want })
        };
        assert_eq!(universe.list(MarketKey(1), market()), other(1, 0));
        assert_eq!(universe.list(MarketKey(0), market()), Ok(MarketKey(0)));
        assert_eq!(universe.list(MarketKey(1), market()), other(1, 0));
    }

    #[test]
    fn a_delisted_market_frees_its_ids_and_never_its_key() {
        let mut universe = Universe::new();
        let in_group = |number, group: &str| {
            let mut market = Market::plain(number, "m");
            market.neg_risk = Some(NegRisk {
                group: group.into(),
                members: None,
                augmented: false,
                placeholder: false,
            });
            Arc::new(market)
        };
        let [one, two] = [1, 2].map(|n| universe.assign(in_group(n, "g")).unwrap());
        assert_eq!(universe.group("g"), [one, two]);
        universe.assign(in_group(1, "h")).unwrap();
        assert_eq!((universe.group("g"), universe.group("h")), (&[two][..], &[one][..]));
        let gone = universe.delist(one).unwrap();
        assert_eq!(universe.delist(one), None);
        assert_eq!((universe.get(one), universe.key(&gone.condition)), (None, None));
        assert_eq!((universe.token(&gone.tokens[0]), universe.group("h").len()), (None, 0));
        assert!(!universe.market(one).state.trades());
        assert_eq!(universe.assign(in_group(1, "g")), Ok(MarketKey(2)));
        assert_eq!(universe.keys().collect::<Vec<_>>(), [two, MarketKey(2)]);
    }

    #[test]
    fn a_complete_set_always_pays_one_dollar() {
        for yes in [0, 1, 333_333, 500_000, 999_999, 1_000_000] {
            let payout = Payout::yes_micros(yes).unwrap();
            for shares in [1, 3, 1_234_567, 5_000_000] {
                let shares = Shares::new(shares);
                let both = payout.pay(Outcome::Yes, shares) + payout.pay(Outcome::No, shares);
                assert_eq!(both, shares.face_value(), "{yes} {shares}");
            }
        }
    }
}
