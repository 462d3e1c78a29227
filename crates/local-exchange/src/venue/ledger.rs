//! Balances on the chain and their reservations: pUSD, outcome shares, collateral of complete sets.
//!
//! Every movement is checked: pUSD is conserved, and both outcomes of a market have the same number of
//! shares in total, backed dollar by dollar. An invariant violation is latched and reported.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use polydesk_domain::{MarketKey, Outcome, Payout, Shares, Token, Usdc};

use crate::wallets::WalletKind;

/// A wallet's balance of one token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenBalance {
    /// On the chain.
    pub settled: Shares,
    /// Of those, reserved for resting sells.
    pub offered: Shares,
    /// Of those, sold and not settled.
    pub leaving: Shares,
    /// Bought and not settled.
    pub incoming: Shares,
}

impl TokenBalance {
    /// Shares available for a new sell.
    pub fn free(&self) -> Shares {
        self.settled.saturating_sub(self.offered).saturating_sub(self.leaving)
    }
}

/// One funds holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    /// The EOA that owns it.
    pub owner: Address,
    /// What it is.
    pub kind: WalletKind,
    /// pUSD on the chain.
    pub cash: Usdc,
    /// Of it, reserved for open buys.
    pub reserved: Usdc,
    /// Of it, spent and not settled.
    pub leaving: Usdc,
    /// Whether the exchanges may move its funds (approvals).
    pub approved: bool,
    /// Approvals that were given one by one, by token contract and spender: how much, or that all outcome tokens may
    /// be moved (the largest number). They replace `approved` for their spender.
    pub allowances: BTreeMap<(Address, Address), U256>,
    /// pUSD that the venue counts as matched although nothing of it is.
    pub held_matched: Usdc,
    /// What it holds.
    pub holdings: BTreeMap<Token, TokenBalance>,
    /// Tokens whose balance may have changed since the last check.
    touched: BTreeSet<Token>,
    /// What the last check counted: pUSD, and settled shares.
    counted: (Usdc, BTreeMap<Token, Shares>),
}

impl Wallet {
    /// pUSD available for a new order.
    pub fn free(&self) -> Usdc {
        self.cash - self.reserved - self.leaving
    }
    /// What it holds of a token.
    pub fn holding(&self, token: Token) -> TokenBalance {
        self.holdings.get(&token).copied().unwrap_or_default()
    }
    /// What it promised of its pUSD is there.
    fn promises(&self, address: &Address) -> Result<(), String> {
        if self.reserved < Usdc::ZERO || self.leaving < Usdc::ZERO {
            return Err(format!("{address}: a promise of pUSD is negative"));
        }
        if self.free() < Usdc::ZERO {
            return Err(format!("{address}: promised {} pUSD too much", -self.free()));
        }
        Ok(())
    }
    /// What it promised of a token is there.
    fn promised(&self, address: &Address, token: Token) -> Result<(), String> {
        let holding = self.holding(token);
        let (promised, settled) = (holding.offered + holding.leaving, holding.settled);
        match promised > settled {
            true => Err(format!("{address}: promised {promised} of {settled} {token:?}")),
            false => Ok(()),
        }
    }
    /// How much of a token contract a spender may move, in smallest units.
    pub fn allowance(&self, token: Address, spender: Address) -> U256 {
        let all = if self.approved { U256::MAX } else { U256::ZERO };
        self.allowances.get(&(token, spender)).copied().unwrap_or(all)
    }
    pub(crate) fn holding_mut(&mut self, token: Token) -> &mut TokenBalance {
        self.touched.insert(token);
        self.holdings.entry(token).or_default()
    }
}

/// The collateral of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Vault {
    /// Shares of each outcome in total.
    supply: [i128; 2],
    collateral: i128,
    payout: Option<Payout>,
    /// Settled shares that the last check counted in the wallets, and the collateral.
    counted: ([i128; 2], i128),
}

impl Vault {
    /// Whether its supply is what the wallets hold, and its collateral backs it.
    fn backs(&self, index: usize, held: [i128; 2]) -> Result<(), String> {
        if self.supply != held {
            return Err(format!("market {index}: {held:?} shares held"));
        }
        let owed = match self.payout {
            None if self.supply[0] != self.supply[1] => {
                return Err(format!("market {index}: {:?} is not in sets", self.supply));
            }
            None => self.supply[0],
            Some(payout) => {
                let part = |outcome: Outcome| {
                    self.supply[outcome.index()] * i128::from(payout.per_share(outcome))
                };
                (part(Outcome::Yes) + part(Outcome::No)) / 1_000_000
            }
        };
        match self.collateral < owed {
            true => Err(format!("market {index}: {} backs {owed}", self.collateral)),
            false => Ok(()),
        }
    }
}

/// All wallets and vaults.
#[derive(Debug, Clone, Default)]
pub struct WalletLedger {
    wallets: BTreeMap<Address, Wallet>,
    vaults: Vec<Vault>,
    fees: Usdc,
    /// pUSD that came in from outside, less what went out.
    outside: i128,
    broken: Option<String>,
    /// Wallets and markets that may have changed since the last check: a check looks at these alone.
    touched: (BTreeSet<Address>, BTreeSet<MarketKey>),
    /// pUSD of all wallets and vaults that the last check counted.
    counted: i128,
}

impl WalletLedger {
    /// Opens a wallet; one that exists keeps its funds.
    pub(crate) fn open(&mut self, address: Address, owner: Address, kind: WalletKind) {
        self.wallets.entry(address).or_insert(Wallet {
            owner,
            kind,
            cash: Usdc::ZERO,
            reserved: Usdc::ZERO,
            leaving: Usdc::ZERO,
            approved: true,
            allowances: BTreeMap::new(),
            held_matched: Usdc::ZERO,
            holdings: BTreeMap::new(),
            touched: BTreeSet::new(),
            counted: (Usdc::ZERO, BTreeMap::new()),
        });
    }

    /// A wallet.
    pub fn wallet(&self, address: &Address) -> Option<&Wallet> {
        self.wallets.get(address)
    }

    pub(crate) fn wallet_mut(&mut self, address: &Address) -> Option<&mut Wallet> {
        let wallet = self.wallets.get_mut(address)?;
        self.touched.0.insert(*address);
        Some(wallet)
    }

    /// All wallets.
    pub fn wallets(&self) -> impl Iterator<Item = (&Address, &Wallet)> {
        self.wallets.iter()
    }

    /// What the venue took.
    pub fn fees(&self) -> Usdc {
        self.fees
    }

    pub(crate) fn add_market(&mut self) {
        self.vaults.push(Vault::default());
    }

    /// pUSD from outside (negative: to outside).
    pub(crate) fn deposit(&mut self, address: &Address, amount: Usdc) {
        if let Some(wallet) = self.wallet_mut(address) {
            wallet.cash += amount;
            self.outside += i128::from(amount.micros());
        }
    }

    /// Makes complete sets from a wallet's free pUSD.
    pub(crate) fn split(&mut self, address: &Address, market: MarketKey, shares: Shares) -> bool {
        let cost = shares.face_value();
        let Some(wallet) = self.wallet_mut(address).filter(|wallet| wallet.free() >= cost) else {
            return false;
        };
        wallet.cash -= cost;
        for outcome in Outcome::BOTH {
            wallet.holding_mut(market.token(outcome)).settled += shares;
        }
        self.mint(market, shares);
        true
    }

    /// Turns complete sets back into pUSD.
    pub(crate) fn merge(&mut self, address: &Address, market: MarketKey, shares: Shares) -> bool {
        let Some(wallet) = self.wallet_mut(address) else { return false };
        if Outcome::BOTH.iter().any(|o| wallet.holding(market.token(*o)).free() < shares) {
            return false;
        }
        for outcome in Outcome::BOTH {
            wallet.holding_mut(market.token(outcome)).settled -= shares;
        }
        wallet.cash += shares.face_value();
        self.burn(market, shares);
        true
    }

    pub(crate) fn resolve(&mut self, market: MarketKey, payout: Payout) {
        self.touched.1.insert(market);
        if let Some(vault) = self.vaults.get_mut(market.index()) {
            vault.payout = Some(payout);
        }
    }

    /// Pays a wallet for all its settled shares of a resolved market.
    pub(crate) fn redeem(&mut self, address: &Address, market: MarketKey) -> Option<Usdc> {
        let vault = self.vaults.get_mut(market.index())?;
        let payout = vault.payout?;
        let wallet = self.wallets.get_mut(address)?;
        self.touched.0.insert(*address);
        self.touched.1.insert(market);
        let mut paid = Usdc::ZERO;
        for outcome in Outcome::BOTH {
            let holding = wallet.holding_mut(market.token(outcome));
            let shares = holding.free();
            holding.settled -= shares;
            vault.supply[outcome.index()] -= i128::from(shares.micros());
            // Both floored: what a fraction leaves behind stays in the vault.
            let micros = u128::from(payout.per_share(outcome)) * u128::from(shares.micros());
            paid += Usdc::new(i64::try_from(micros / 1_000_000).unwrap_or(0));
        }
        vault.collateral -= i128::from(paid.micros());
        wallet.cash += paid;
        Some(paid)
    }

    pub(crate) fn mint(&mut self, market: MarketKey, shares: Shares) {
        self.sets(market, i128::from(shares.micros()));
    }

    pub(crate) fn burn(&mut self, market: MarketKey, shares: Shares) {
        self.sets(market, -i128::from(shares.micros()));
    }

    fn sets(&mut self, market: MarketKey, micros: i128) {
        self.touched.1.insert(market);
        if let Some(vault) = self.vaults.get_mut(market.index()) {
            vault.supply.iter_mut().for_each(|supply| *supply += micros);
            vault.collateral += micros;
        }
    }

    pub(crate) fn take_fee(&mut self, fee: Usdc) {
        self.fees += fee;
    }

    /// Checks what changed since the last check and latches the first sum that does not hold.
    pub(crate) fn check(&mut self) {
        if self.broken.is_none() {
            let checked = self.changed_sums();
            self.latch(checked);
        }
    }

    /// Adds up everything and latches the first sum that does not hold.
    pub(crate) fn check_all(&mut self) {
        self.check();
        if self.broken.is_none() {
            let checked = self.sums();
            self.latch(checked);
        }
    }

    fn latch(&mut self, checked: Result<(), String>) {
        if let Err(rule) = checked {
            tracing::error!(%rule, "the exchange's own books are broken");
            self.broken = Some(rule);
        }
    }

    /// The sums of [`WalletLedger::sums`], of which only the touched parts are added up again: each order would
    /// cost a walk over all markets otherwise.
    fn changed_sums(&mut self) -> Result<(), String> {
        let (wallets, mut markets) = core::mem::take(&mut self.touched);
        for address in wallets {
            let Some(wallet) = self.wallets.get_mut(&address) else { continue };
            wallet.promises(&address)?;
            self.counted += i128::from(wallet.cash.micros());
            self.counted -= i128::from(wallet.counted.0.micros());
            wallet.counted.0 = wallet.cash;
            for token in core::mem::take(&mut wallet.touched) {
                wallet.promised(&address, token)?;
                let now = wallet.holding(token).settled;
                let before = wallet.counted.1.insert(token, now).unwrap_or_default();
                if wallet.holding(token) == TokenBalance::default() {
                    wallet.holdings.remove(&token);
                    wallet.counted.1.remove(&token);
                }
                if let Some(vault) = self.vaults.get_mut(token.market().index()) {
                    let held = &mut vault.counted.0[token.outcome().index()];
                    *held += i128::from(now.micros()) - i128::from(before.micros());
                }
                markets.insert(token.market());
            }
        }
        for market in markets {
            let Some(vault) = self.vaults.get_mut(market.index()) else { continue };
            vault.backs(market.index(), vault.counted.0)?;
            self.counted += vault.collateral - vault.counted.1;
            vault.counted.1 = vault.collateral;
        }
        self.total(self.counted)
    }

    fn total(&self, in_wallets_and_vaults: i128) -> Result<(), String> {
        let cash = in_wallets_and_vaults + i128::from(self.fees.micros());
        match cash == self.outside {
            true => Ok(()),
            false => Err(format!("{cash} micro-pUSD in the world, {} came in", self.outside)),
        }
    }

    /// The first invariant violation, with its figures; everything after it is invalid.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn sums(&self) -> Result<(), String> {
        let mut cash = 0;
        let mut supply = vec![[0i128; 2]; self.vaults.len()];
        for (address, wallet) in &self.wallets {
            cash += i128::from(wallet.cash.micros());
            wallet.promises(address)?;
            for (token, holding) in &wallet.holdings {
                wallet.promised(address, *token)?;
                if let Some(supply) = supply.get_mut(token.market().index()) {
                    supply[token.outcome().index()] += i128::from(holding.settled.micros());
                }
            }
        }
        for (index, (vault, held)) in self.vaults.iter().zip(supply).enumerate() {
            cash += vault.collateral;
            vault.backs(index, held)?;
        }
        self.total(cash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALLET: Address = Address::ZERO;
    const OTHER: Address = Address::repeat_byte(1);

    /// Two wallets with complete sets of three markets, of which everything was checked.
    fn ledger() -> WalletLedger {
        let mut ledger = WalletLedger::default();
        for market in 0..3 {
            ledger.add_market();
            for address in [WALLET, OTHER] {
                ledger.open(address, address, WalletKind::Eoa);
                ledger.deposit(&address, Usdc::whole(100));
                assert!(ledger.split(&address, MarketKey(market), Shares::whole(50)));
            }
        }
        ledger.resolve(MarketKey(2), Payout::YES);
        ledger.check_all();
        assert_eq!(ledger.broken(), None);
        ledger
    }

    #[test]
    fn a_check_of_what_changed_finds_what_adding_up_everything_finds() {
        let yes = |market: u32| MarketKey(market).token(Outcome::Yes);
        type Break = fn(&mut WalletLedger);
        let cases: [(&str, Break); 6] = [
            ("pUSD from nowhere", |l| l.wallet_mut(&OTHER).unwrap().cash += Usdc::new(1)),
            ("more promised than there is", |l| {
                l.wallet_mut(&WALLET).unwrap().reserved += Usdc::whole(10_000);
            }),
            ("a negative promise", |l| {
                l.wallet_mut(&WALLET).unwrap().leaving -= Usdc::new(1);
            }),
            ("shares from nowhere", |l| l.mint(MarketKey(1), Shares::new(1))),
            ("shares that are lost", |l| {
                let wallet = l.wallet_mut(&WALLET).unwrap();
                wallet.holding_mut(MarketKey(0).token(Outcome::No)).settled -= Shares::new(1);
            }),
            ("a fee from nowhere", |l| l.take_fee(Usdc::new(1))),
        ];
        for (case, act) in cases {
            let mut ledger = ledger();
            act(&mut ledger);
            let (found, all) = (ledger.clone().changed_sums(), ledger.sums());
            assert!(found.is_err() && all.is_err(), "{case}: {found:?}, {all:?}");
        }
        // Shares that go from one to the other, and a payout, are in order.
        let mut ledger = ledger();
        ledger.wallet_mut(&WALLET).unwrap().holding_mut(yes(0)).settled -= Shares::whole(50);
        ledger.wallet_mut(&OTHER).unwrap().holding_mut(yes(0)).settled += Shares::whole(50);
        assert_eq!(ledger.redeem(&OTHER, MarketKey(2)), Some(Usdc::whole(50)));
        ledger.check();
        ledger.check_all();
        assert_eq!(ledger.broken(), None);
        let left = &ledger.wallet(&WALLET).unwrap().holdings;
        assert!(!left.contains_key(&yes(0)), "an empty balance is not kept");
    }
}
