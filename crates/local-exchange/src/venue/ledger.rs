//! Balances on the chain and their reservations: pUSD, outcome shares, collateral of complete sets.
//!
//! Every movement is checked: pUSD is conserved, and both outcomes of a market have the same number of
//! shares in total, backed dollar by dollar. An invariant violation is latched and reported.

use std::collections::BTreeMap;

use alloy::primitives::Address;
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
    /// What it holds.
    pub holdings: BTreeMap<Token, TokenBalance>,
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
    pub(crate) fn holding_mut(&mut self, token: Token) -> &mut TokenBalance {
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
            holdings: BTreeMap::new(),
        });
    }

    /// A wallet.
    pub fn wallet(&self, address: &Address) -> Option<&Wallet> {
        self.wallets.get(address)
    }

    pub(crate) fn wallet_mut(&mut self, address: &Address) -> Option<&mut Wallet> {
        self.wallets.get_mut(address)
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
        if let Some(wallet) = self.wallets.get_mut(address) {
            wallet.cash += amount;
            self.outside += i128::from(amount.micros());
        }
    }

    /// Makes complete sets from a wallet's free pUSD.
    pub(crate) fn split(&mut self, address: &Address, market: MarketKey, shares: Shares) -> bool {
        let cost = shares.face_value();
        let Some(wallet) = self.wallets.get_mut(address).filter(|wallet| wallet.free() >= cost)
        else {
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
        let Some(wallet) = self.wallets.get_mut(address) else { return false };
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
        if let Some(vault) = self.vaults.get_mut(market.index()) {
            vault.payout = Some(payout);
        }
    }

    /// Pays a wallet for all its settled shares of a resolved market.
    pub(crate) fn redeem(&mut self, address: &Address, market: MarketKey) -> Option<Usdc> {
        let vault = self.vaults.get_mut(market.index())?;
        let payout = vault.payout?;
        let wallet = self.wallets.get_mut(address)?;
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
        if let Some(vault) = self.vaults.get_mut(market.index()) {
            vault.supply.iter_mut().for_each(|supply| *supply += micros);
            vault.collateral += micros;
        }
    }

    pub(crate) fn take_fee(&mut self, fee: Usdc) {
        self.fees += fee;
    }

    /// Adds up everything and latches the first sum that does not hold.
    pub(crate) fn check(&mut self) {
        if self.broken.is_none()
            && let Err(rule) = self.sums()
        {
            tracing::error!(%rule, "the exchange's own books are broken");
            self.broken = Some(rule);
        }
    }

    /// The first invariant violation, with its figures; everything after it is invalid.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    fn sums(&self) -> Result<(), String> {
        let mut cash = i128::from(self.fees.micros());
        let mut supply = vec![[0i128; 2]; self.vaults.len()];
        for (address, wallet) in &self.wallets {
            cash += i128::from(wallet.cash.micros());
            if wallet.reserved < Usdc::ZERO || wallet.leaving < Usdc::ZERO {
                return Err(format!("{address}: a promise of pUSD is negative"));
            }
            if wallet.free() < Usdc::ZERO {
                return Err(format!("{address}: promised {} pUSD too much", -wallet.free()));
            }
            for (token, holding) in &wallet.holdings {
                let settled = i128::from(holding.settled.micros());
                let promised = holding.offered + holding.leaving;
                if promised > holding.settled {
                    return Err(format!("{address}: promised {promised} of {settled} {token:?}"));
                }
                if let Some(supply) = supply.get_mut(token.market().index()) {
                    supply[token.outcome().index()] += settled;
                }
            }
        }
        for (index, vault) in self.vaults.iter().enumerate() {
            cash += vault.collateral;
            if vault.supply != supply[index] {
                return Err(format!("market {index}: {:?} shares held", supply[index]));
            }
            let owed = match vault.payout {
                None if vault.supply[0] != vault.supply[1] => {
                    return Err(format!("market {index}: {:?} is not in sets", vault.supply));
                }
                None => vault.supply[0],
                Some(payout) => {
                    let part = |outcome: Outcome| {
                        vault.supply[outcome.index()] * i128::from(payout.per_share(outcome))
                    };
                    (part(Outcome::Yes) + part(Outcome::No)) / 1_000_000
                }
            };
            if vault.collateral < owed {
                return Err(format!("market {index}: {} backs {owed}", vault.collateral));
            }
        }
        if cash != self.outside {
            return Err(format!("{cash} micro-pUSD in the world, {} came in", self.outside));
        }
        Ok(())
    }
}
