//! The double-entry books: our pUSD and shares, the rest of the world's, collateral, fees.
//!
//! Every method moves value between two accounts and then checks the sums that must never change; a
//! broken sum latches. The bank knows no orders and no time.
//!
//! Shares move when a match is confirmed, not when it is made (balances follow the chain). When the
//! rest of the world has none to give, it splits complete sets from its own pUSD, as a BUY YES that
//! matches a BUY NO does at the venue.

use std::collections::BTreeMap;

use polydesk_domain::{MarketKey, Outcome, Payout, Shares, Token, Usdc};
use serde::Serialize;

/// An invariant violation of the exchange; everything after it is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{rule}: {detail}")]
pub struct Broken {
    /// The rule.
    pub rule: &'static str,
    /// The figures.
    pub detail: String,
}

/// What we hold of one token, in millionths of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TokenAccount {
    /// Settled and free.
    pub(crate) free: i128,
    /// Settled, reserved for open sells.
    pub(crate) reserved: i128,
    /// Settled, in a pending merge.
    pub(crate) locked: i128,
    /// Unsettled sales: still ours on the chain.
    pub(crate) leaving: i128,
    /// Unsettled purchases: not yet ours on the chain.
    pub(crate) incoming: i128,
}

impl TokenAccount {
    fn on_chain(&self) -> i128 {
        self.free + self.reserved + self.locked + self.leaving
    }
    fn sound(&self) -> bool {
        [self.free, self.reserved, self.locked, self.leaving, self.incoming].iter().all(|n| *n >= 0)
    }
}

/// The accounts of one market.
#[derive(Debug, Clone, Copy, Default)]
struct Vault {
    ours: [TokenAccount; 2],
    world: [i128; 2],
    /// Shares burnt for their payout.
    redeemed: [i128; 2],
    /// pUSD paid for them.
    paid: [i128; 2],
    /// Complete sets made and not merged again.
    sets: i128,
    collateral: i128,
}

/// One token of the [`AccountView`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TokenView {
    /// Settled and free.
    pub free: Shares,
    /// Settled, reserved for open sells.
    pub reserved: Shares,
    /// Settled, in a pending merge.
    pub locked: Shares,
    /// Unsettled sales.
    pub leaving: Shares,
    /// Unsettled purchases.
    pub incoming: Shares,
}

impl TokenView {
    /// What the chain shows as ours.
    pub fn settled(&self) -> Shares {
        self.free + self.reserved + self.locked + self.leaving
    }
}

/// Our account as the exchange knows it, for tests and reports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AccountView {
    /// pUSD that can be used.
    pub cash_free: Usdc,
    /// pUSD reserved for open buys and pending splits.
    pub cash_reserved: Usdc,
    /// pUSD of matched buys that are not confirmed.
    pub cash_in_flight: Usdc,
    /// Proceeds of matched sells that are not confirmed, after fees.
    pub cash_incoming: Usdc,
    /// Shares per token, position `Token::index()`, up to the last market in which anything of ours
    /// ever moved.
    pub tokens: Vec<TokenView>,
    /// Rebates accrued and not paid yet.
    pub rebates_accrued: Usdc,
}

impl AccountView {
    /// What we hold of a token; zero of an unknown one.
    pub fn token(&self, token: Token) -> TokenView {
        self.tokens.get(token.index()).copied().unwrap_or_default()
    }
    /// All pUSD that is ours on the chain.
    pub fn cash(&self) -> Usdc {
        self.cash_free + self.cash_reserved + self.cash_in_flight
    }
}

/// One match as the bank books it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deal {
    pub(crate) token: Token,
    pub(crate) shares: Shares,
    pub(crate) notional: Usdc,
    /// Charged to us.
    pub(crate) fee: Usdc,
    /// Charged to the other side (we were the maker).
    pub(crate) world_fee: Usdc,
}

impl Deal {
    fn cost(&self) -> i128 {
        money(self.notional) + money(self.fee)
    }
}

/// The books.
#[derive(Debug, Clone)]
pub(crate) struct Bank {
    start: i128,
    free: i128,
    reserved: i128,
    in_flight: i128,
    incoming: i128,
    world: i128,
    fees: i128,
    collateral: i128,
    /// Markets in which anything ever moved.
    vaults: BTreeMap<MarketKey, Vault>,
    /// Collateral of the shares that the rest of the world holds in delisted markets.
    delisted: i128,
    checks: u64,
    broken: Option<Broken>,
}

fn money(amount: Usdc) -> i128 {
    i128::from(amount.micros())
}
fn size(shares: Shares) -> i128 {
    i128::from(shares.micros())
}
fn usdc(micros: i128) -> Usdc {
    Usdc::new(micros.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
}
fn shares(micros: i128) -> Shares {
    Shares::new(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
}

impl Bank {
    pub(crate) fn new(cash: Usdc) -> Bank {
        Bank {
            start: money(cash),
            free: money(cash),
            reserved: 0,
            in_flight: 0,
            incoming: 0,
            world: 0,
            fees: 0,
            collateral: 0,
            vaults: BTreeMap::new(),
            delisted: 0,
            checks: 0,
            broken: None,
        }
    }

    /// Shares that were ours before this exchange began: complete sets are minted for them, the rest of the
    /// world keeps the other halves.
    pub(crate) fn endow(&mut self, token: Token, amount: Shares) {
        self.world_gives(token, size(amount));
        self.audit(Some(token.market()));
    }

    /// Whether we hold no shares of a market, unsettled ones included.
    pub(crate) fn is_flat(&self, key: MarketKey) -> bool {
        self.vaults.get(&key).is_none_or(|vault| vault.ours == [TokenAccount::default(); 2])
    }

    /// Drops the accounts of a market in which we hold nothing; the collateral of others' shares stays in
    /// one sum.
    pub(crate) fn delist(&mut self, key: MarketKey) {
        if let Some(vault) = self.vaults.remove(&key) {
            self.delisted += vault.collateral;
        }
    }

    pub(crate) fn checks(&self) -> u64 {
        self.checks
    }
    pub(crate) fn broken(&self) -> Option<&Broken> {
        self.broken.as_ref()
    }
    pub(crate) fn reserved(&self) -> i128 {
        self.reserved
    }
    pub(crate) fn in_flight(&self) -> i128 {
        self.in_flight
    }
    pub(crate) fn incoming(&self) -> i128 {
        self.incoming
    }
    pub(crate) fn holding(&self, token: Token) -> TokenAccount {
        self.vaults
            .get(&token.market())
            .map_or_else(TokenAccount::default, |vault| vault.ours[token.outcome().index()])
    }
    pub(crate) fn shares_free(&self, token: Token) -> Shares {
        shares(self.holding(token).free)
    }

    fn vault(&mut self, key: MarketKey) -> &mut Vault {
        self.vaults.entry(key).or_default()
    }

    fn ours(&mut self, token: Token) -> &mut TokenAccount {
        &mut self.vault(token.market()).ours[token.outcome().index()]
    }

    /// Reserves pUSD; false without effect when there is not enough.
    pub(crate) fn reserve_cash(&mut self, amount: Usdc) -> bool {
        if amount < Usdc::ZERO || money(amount) > self.free {
            return false;
        }
        self.free -= money(amount);
        self.reserved += money(amount);
        self.audit(None);
        true
    }

    pub(crate) fn release_cash(&mut self, amount: Usdc) {
        self.reserved -= money(amount);
        self.free += money(amount);
        self.audit(None);
    }

    /// Reserves settled shares; false without effect when there are not enough.
    pub(crate) fn reserve_shares(&mut self, token: Token, amount: Shares) -> bool {
        let holding = self.ours(token);
        if size(amount) > holding.free {
            return false;
        }
        holding.free -= size(amount);
        holding.reserved += size(amount);
        self.audit(Some(token.market()));
        true
    }

    pub(crate) fn release_shares(&mut self, token: Token, amount: Shares) {
        let holding = self.ours(token);
        holding.reserved -= size(amount);
        holding.free += size(amount);
        self.audit(Some(token.market()));
    }

    /// A buy matches: its cost leaves the reservation and is in flight.
    pub(crate) fn buy_matched(&mut self, deal: &Deal) {
        self.reserved -= deal.cost();
        self.in_flight += deal.cost();
        self.ours(deal.token).incoming += size(deal.shares);
        self.audit(Some(deal.token.market()));
    }

    pub(crate) fn buy_confirmed(&mut self, deal: &Deal) {
        self.in_flight -= deal.cost();
        self.world += money(deal.notional) - money(deal.world_fee);
        self.fees += money(deal.fee) + money(deal.world_fee);
        self.ours(deal.token).incoming -= size(deal.shares);
        self.world_gives(deal.token, size(deal.shares));
        self.audit(Some(deal.token.market()));
    }

    pub(crate) fn buy_failed(&mut self, deal: &Deal) {
        self.in_flight -= deal.cost();
        self.free += deal.cost();
        self.ours(deal.token).incoming -= size(deal.shares);
        self.audit(Some(deal.token.market()));
    }

    /// A sell matches: its shares leave the reservation; they are ours on the chain until confirmed.
    pub(crate) fn sell_matched(&mut self, deal: &Deal) {
        let holding = self.ours(deal.token);
        holding.reserved -= size(deal.shares);
        holding.leaving += size(deal.shares);
        self.incoming += money(deal.notional) - money(deal.fee);
        self.audit(Some(deal.token.market()));
    }

    pub(crate) fn sell_confirmed(&mut self, deal: &Deal) {
        self.ours(deal.token).leaving -= size(deal.shares);
        let vault = self.vault(deal.token.market());
        vault.world[deal.token.outcome().index()] += size(deal.shares);
        self.world -= money(deal.notional) + money(deal.world_fee);
        self.fees += money(deal.fee) + money(deal.world_fee);
        self.free += money(deal.notional) - money(deal.fee);
        self.incoming -= money(deal.notional) - money(deal.fee);
        self.audit(Some(deal.token.market()));
    }

    pub(crate) fn sell_failed(&mut self, deal: &Deal) {
        let holding = self.ours(deal.token);
        holding.leaving -= size(deal.shares);
        holding.free += size(deal.shares);
        self.incoming -= money(deal.notional) - money(deal.fee);
        self.audit(Some(deal.token.market()));
    }

    fn world_gives(&mut self, token: Token, amount: i128) {
        let vault = self.vaults.entry(token.market()).or_default();
        let (given, other) = (token.outcome().index(), token.outcome().other().index());
        let missing = (amount - vault.world[given]).max(0);
        vault.world[given] += missing;
        vault.world[other] += missing;
        vault.sets += missing;
        vault.collateral += missing;
        self.collateral += missing;
        self.world -= missing;
        vault.world[given] -= amount;
        vault.ours[given].free += amount;
    }

    /// Reserved pUSD becomes complete sets.
    pub(crate) fn split(&mut self, key: MarketKey, amount: Shares) {
        let vault = self.vault(key);
        for holding in &mut vault.ours {
            holding.free += size(amount);
        }
        vault.sets += size(amount);
        vault.collateral += size(amount);
        self.collateral += size(amount);
        self.reserved -= size(amount);
        self.audit(Some(key));
    }

    /// Locks free shares of both outcomes; false without effect when there are not enough.
    pub(crate) fn lock(&mut self, key: MarketKey, amount: Shares) -> bool {
        let vault = self.vault(key);
        if vault.ours.iter().any(|holding| holding.free < size(amount)) {
            return false;
        }
        for holding in &mut vault.ours {
            holding.free -= size(amount);
            holding.locked += size(amount);
        }
        self.audit(Some(key));
        true
    }

    pub(crate) fn unlock(&mut self, key: MarketKey, amount: Shares) {
        for holding in &mut self.vault(key).ours {
            holding.locked -= size(amount);
            holding.free += size(amount);
        }
        self.audit(Some(key));
    }

    /// Locked sets become pUSD.
    pub(crate) fn merge(&mut self, key: MarketKey, amount: Shares) {
        let vault = self.vault(key);
        for holding in &mut vault.ours {
            holding.locked -= size(amount);
        }
        vault.sets -= size(amount);
        vault.collateral -= size(amount);
        self.collateral -= size(amount);
        self.free += size(amount);
        self.audit(Some(key));
    }

    /// Redeems all our free shares. Returns the shares burnt (YES, NO) and the pUSD paid.
    ///
    /// Payouts are rounded on the running total: many small redemptions pay exactly what one large
    /// redemption pays.
    pub(crate) fn redeem(&mut self, key: MarketKey, payout: Payout) -> ([Shares; 2], Usdc) {
        let vault = self.vault(key);
        let (mut burnt, mut total) = ([Shares::ZERO; 2], 0);
        for outcome in Outcome::BOTH {
            let i = outcome.index();
            let amount = vault.ours[i].free;
            let before = vault.paid[i];
            vault.ours[i].free = 0;
            vault.redeemed[i] += amount;
            vault.paid[i] = money(payout.pay(outcome, shares(vault.redeemed[i])));
            burnt[i] = shares(amount);
            total += vault.paid[i] - before;
        }
        vault.collateral -= total;
        self.collateral -= total;
        self.free += total;
        self.audit(Some(key));
        (burnt, usdc(total))
    }

    /// Pays a rebate out of the fees taken; false without effect when they do not cover it.
    pub(crate) fn rebate(&mut self, amount: Usdc) -> bool {
        if money(amount) > self.fees {
            return false;
        }
        self.fees -= money(amount);
        self.free += money(amount);
        self.audit(None);
        true
    }

    /// The incremental check, after every movement.
    fn audit(&mut self, key: Option<MarketKey>) {
        self.checks += 1;
        if self.broken.is_some() {
            return;
        }
        let vault = key.and_then(|key| self.vaults.get(&key).map(|vault| (key, vault)));
        let found = self.audit_cash().and_then(|()| match vault {
            Some((key, vault)) => audit_vault(key, vault),
            None => Ok(()),
        });
        self.broken = found.err();
    }

    fn audit_cash(&self) -> Result<(), Broken> {
        let ours = [self.free, self.reserved, self.in_flight, self.fees];
        if ours.iter().any(|account| *account < 0) {
            let detail = format!(
                "free {}, reserved {}, in flight {}, fees {}",
                ours[0], ours[1], ours[2], ours[3]
            );
            return Err(Broken { rule: "no account of ours is below zero", detail });
        }
        let sum = ours.iter().sum::<i128>() + self.world + self.collateral;
        if sum != self.start {
            let detail = format!("{sum} micro-dollars, began with {}", self.start);
            return Err(Broken { rule: "pUSD is conserved", detail });
        }
        Ok(())
    }

    /// Recomputes every sum from the single accounts.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        self.audit_cash()?;
        for (key, vault) in &self.vaults {
            audit_vault(*key, vault)?;
        }
        let listed: i128 = self.vaults.values().map(|vault| vault.collateral).sum();
        let collateral = listed + self.delisted;
        if collateral != self.collateral {
            let detail = format!("{collateral} in the vaults, {} in the books", self.collateral);
            return Err(Broken { rule: "collateral is the sum over the markets", detail });
        }
        Ok(())
    }

    pub(crate) fn view(&self, rebates: Usdc) -> AccountView {
        let view = |holding: &TokenAccount| TokenView {
            free: shares(holding.free),
            reserved: shares(holding.reserved),
            locked: shares(holding.locked),
            leaving: shares(holding.leaving),
            incoming: shares(holding.incoming),
        };
        let markets = self.vaults.keys().next_back().map_or(0, |last| last.index() + 1);
        let mut tokens = vec![TokenView::default(); markets * 2];
        for (key, vault) in &self.vaults {
            for outcome in Outcome::BOTH {
                tokens[key.token(outcome).index()] = view(&vault.ours[outcome.index()]);
            }
        }
        AccountView {
            cash_free: usdc(self.free),
            cash_reserved: usdc(self.reserved),
            cash_in_flight: usdc(self.in_flight),
            cash_incoming: usdc(self.incoming),
            tokens,
            rebates_accrued: rebates,
        }
    }
}

fn audit_vault(key: MarketKey, vault: &Vault) -> Result<(), Broken> {
    for outcome in Outcome::BOTH {
        let i = outcome.index();
        if !vault.ours[i].sound() || vault.world[i] < 0 {
            let detail = format!(
                "market {} {outcome}: {:?}, world {}",
                key.0, vault.ours[i], vault.world[i]
            );
            return Err(Broken { rule: "no holding is below zero", detail });
        }
        let supply = vault.ours[i].on_chain() + vault.world[i] + vault.redeemed[i];
        if supply != vault.sets {
            let detail =
                format!("market {} {outcome}: {supply} shares, {} sets", key.0, vault.sets);
            return Err(Broken { rule: "YES and NO supply equal the complete sets", detail });
        }
    }
    if vault.collateral != vault.sets - vault.paid[0] - vault.paid[1] || vault.collateral < 0 {
        let detail = format!(
            "market {}: {} for {} sets, paid {:?}",
            key.0, vault.collateral, vault.sets, vault.paid
        );
        return Err(Broken { rule: "collateral covers the complete sets", detail });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Token = Token(0);
    const NO: Token = Token(1);

    fn deal(token: Token, units: u64, notional: i64) -> Deal {
        Deal {
            token,
            shares: Shares::new(units),
            notional: Usdc::new(notional),
            fee: Usdc::new(10),
            world_fee: Usdc::ZERO,
        }
    }

    #[test]
    fn a_failed_buy_leaves_everything_as_it_was() {
        let mut bank = Bank::new(Usdc::whole(10));
        let before = bank.view(Usdc::ZERO).cash_free;
        let deal = deal(YES, 5_000_000, 2_000_000);
        assert!(bank.reserve_cash(Usdc::new(2_000_010)));
        bank.buy_matched(&deal);
        assert_eq!(bank.view(Usdc::ZERO).token(YES).incoming, Shares::whole(5));
        bank.buy_failed(&deal);
        let view = bank.view(Usdc::ZERO);
        assert_eq!((view.cash_free, view.token(YES)), (before, TokenView::default()));
        assert_eq!(bank.check(), Ok(()));
    }

    #[test]
    fn fifty_fifty_pays_exactly_one_dollar_a_set_in_many_pieces() {
        let mut bank = Bank::new(Usdc::whole(100));
        let payout = Payout::yes_micros(333_333).unwrap();
        for piece in [1, 3, 1_000_001, 7] {
            let amount = Shares::new(piece);
            assert!(bank.reserve_cash(amount.face_value()));
            bank.split(MarketKey(0), amount);
            bank.redeem(MarketKey(0), payout);
            assert_eq!(bank.check(), Ok(()));
        }
        assert_eq!(bank.view(Usdc::ZERO).cash_free, Usdc::whole(100));
    }

    #[test]
    fn many_small_redemptions_pay_what_one_large_one_pays() {
        let mut bank = Bank::new(Usdc::whole(1));
        let payout = Payout::yes_micros(333_333).unwrap();
        let mut paid = Usdc::ZERO;
        for _ in 0..10 {
            // A share of one millionth pays two thirds of a micro-dollar.
            let deal = deal(NO, 1, 1);
            assert!(bank.reserve_cash(Usdc::new(11)));
            bank.buy_matched(&deal);
            bank.buy_confirmed(&deal);
            paid += bank.redeem(MarketKey(0), payout).1;
        }
        assert_eq!(paid, Usdc::new(7));
        assert_eq!(bank.check(), Ok(()));
    }

    #[test]
    fn a_wrong_movement_latches() {
        let mut bank = Bank::new(Usdc::whole(1));
        bank.release_cash(Usdc::whole(1));
        assert_eq!(bank.broken().map(|b| b.rule), Some("no account of ours is below zero"));
        assert!(bank.reserve_cash(Usdc::whole(1)));
        assert!(bank.check().is_err(), "it stays broken although the sums are right again");
        let mut bank = Bank::new(Usdc::whole(1));
        bank.vault(MarketKey(0)).world[NO.outcome().index()] += 1;
        assert_eq!(
            bank.check().map_err(|b| b.rule),
            Err("YES and NO supply equal the complete sets")
        );
    }
}
