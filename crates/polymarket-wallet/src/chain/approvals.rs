//! Which approvals a wallet still needs, in the order in which to give them.
//!
//! A plan is data: print it, simulate it, and only then execute its calls.

use core::fmt;

use alloy::primitives::{Address, U256};

use super::{Call, ChainError, ChainSnapshot};
use crate::signing::Contracts;

/// How much to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The least for markets of protocol v1: both exchanges (buy and sell) and both adapters (split, merge,
    /// redeem, convert). The bot redeems by itself, so the auto-redeem operator gets nothing.
    Trading,
    /// The least for both protocols: [`Trading`](Scope::Trading), ExchangeV3 and the router.
    TradingBoth,
    /// All 17 that the official client (polymarket-client 0.14.0) requires, perps and auto-redeem included.
    Full,
}

/// How much pUSD a spender may take. ERC-1155 knows only all or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// 2^256 − 1, as the official client sets it.
    Unlimited,
    /// At most so much, in millionths of pUSD; renewed when less than `renew_below` is left. An allowance
    /// above the cap is lowered to it.
    Capped {
        /// What is allowed.
        cap: U256,
        /// Remaining allowance below which it is renewed.
        renew_below: U256,
    },
}

/// What a need allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// `approve`.
    Erc20,
    /// `setApprovalForAll`.
    Erc1155,
}

/// An approval a scope asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The token contract.
    pub token: Address,
    /// Its name.
    pub token_name: &'static str,
    /// Who gets the power.
    pub spender: Address,
    /// Its name.
    pub spender_name: &'static str,
    /// How it is given.
    pub standard: Standard,
    /// What it is for.
    pub why: &'static str,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} ({}): {}", self.token_name, self.spender_name, self.spender, self.why)
    }
}

impl Scope {
    /// Everything the scope asks for, ERC-20 first.
    pub fn needs(self, c: &Contracts) -> Vec<Need> {
        let collateral = ("pUSD", c.collateral, Standard::Erc20);
        let ctf = ("outcome tokens", c.conditional_tokens, Standard::Erc1155);
        let v2 = ("v2 positions", c.position_manager, Standard::Erc1155);
        let exchange = ("CTF Exchange V2", c.exchange);
        let neg_risk = ("Neg-Risk CTF Exchange V2", c.neg_risk_exchange);
        let adapter = ("CtfCollateralAdapter", c.adapter);
        let neg_risk_adapter = ("NegRiskCtfCollateralAdapter", c.neg_risk_adapter);
        let router = ("Router (v2)", c.router);
        let exchange_v3 = ("ExchangeV3", c.exchange_v3);
        let auto_redeem = ("AutoRedeem", c.auto_redeem);
        let all = [
            (collateral, exchange, "buy", Scope::Trading),
            (collateral, neg_risk, "buy in neg-risk markets", Scope::Trading),
            (collateral, adapter, "split", Scope::Trading),
            (collateral, neg_risk_adapter, "split in neg-risk markets", Scope::Trading),
            (collateral, router, "split in v2 markets", Scope::TradingBoth),
            (collateral, exchange_v3, "buy in v2 markets", Scope::TradingBoth),
            (collateral, ("Perps deposit", c.perps), "fund perps", Scope::Full),
            (ctf, exchange, "sell", Scope::Trading),
            (ctf, neg_risk, "sell in neg-risk markets", Scope::Trading),
            (ctf, adapter, "merge and redeem", Scope::Trading),
            (
                ctf,
                neg_risk_adapter,
                "merge, redeem and convert in neg-risk markets",
                Scope::Trading,
            ),
            (ctf, auto_redeem, "redeem winners automatically", Scope::Full),
            (
                ctf,
                ("BinaryModule", c.binary_module),
                "asked for by the official client",
                Scope::Full,
            ),
            (
                ctf,
                ("NegRiskModule", c.neg_risk_module),
                "asked for by the official client",
                Scope::Full,
            ),
            (v2, router, "merge and redeem in v2 markets", Scope::TradingBoth),
            (v2, exchange_v3, "sell in v2 markets", Scope::TradingBoth),
            (v2, auto_redeem, "redeem winners automatically", Scope::Full),
        ];
        all.into_iter()
            .filter(|(_, _, _, scope)| *scope as u8 <= self as u8)
            .map(|((token_name, token, standard), (spender_name, spender), why, _)| Need {
                token,
                token_name,
                spender,
                spender_name,
                standard,
                why,
            })
            .collect()
    }
}

/// One approval that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is asked for.
    pub need: Need,
    /// The current state on the chain, as text.
    pub now: String,
    /// What to do.
    pub call: Call,
}

/// The approvals a wallet still needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPlan {
    /// Whose approvals: the address that holds the funds.
    pub wallet: Address,
    /// The block at which this was true.
    pub block: u64,
    /// What is missing, in order.
    pub steps: Vec<Step>,
    /// What is there already.
    pub present: Vec<Need>,
}

impl ApprovalPlan {
    /// Reads what is there and lists what is not.
    pub async fn needed(
        snapshot: &ChainSnapshot<'_>,
        wallet: Address,
        scope: Scope,
        allowance: Allowance,
    ) -> Result<ApprovalPlan, ChainError> {
        let (target, least, most) = match allowance {
            // Some tokens count down even an unlimited allowance; half of it is still more than all money.
            Allowance::Unlimited => (U256::MAX, U256::MAX >> 1, U256::MAX),
            Allowance::Capped { cap, renew_below } if renew_below <= cap => (cap, renew_below, cap),
            Allowance::Capped { .. } => {
                return Err(ChainError::Misconfigured(
                    "approvals: renew_below is above the cap, so they would never be enough".into(),
                ));
            }
        };
        let mut plan = ApprovalPlan {
            wallet,
            block: snapshot.at().number.to(),
            steps: Vec::new(),
            present: Vec::new(),
        };
        for need in scope.needs(snapshot.chain().contracts()) {
            let (now, call) = match need.standard {
                Standard::Erc20 => {
                    let now = snapshot.allowance(need.token, wallet, need.spender).await?;
                    if (least..=most).contains(&now) && !now.is_zero() {
                        plan.present.push(need);
                        continue;
                    }
                    let now = if now > most {
                        format!("{}, above the cap", super::calls::millionths(now))
                    } else {
                        super::calls::millionths(now)
                    };
                    (now, Call::approve(need.token, need.spender, target))
                }
                Standard::Erc1155 => {
                    if snapshot.approved_for_all(need.token, wallet, need.spender).await? {
                        plan.present.push(need);
                        continue;
                    }
                    ("not allowed".to_owned(), Call::approve_all(need.token, need.spender, true))
                }
            };
            plan.steps.push(Step { need, now, call });
        }
        Ok(plan)
    }

    /// Whether nothing is missing.
    pub fn is_complete(&self) -> bool {
        self.steps.is_empty()
    }

    /// The calls, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.steps.iter().map(|step| step.call.clone()).collect()
    }

    /// Runs every call without sending it: the second half of a dry run.
    pub async fn simulate(&self, snapshot: &ChainSnapshot<'_>) -> Vec<Result<(), ChainError>> {
        let mut results = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            results.push(snapshot.simulate(self.wallet, &step.call).await.map(|_| ()));
        }
        results
    }
}

impl fmt::Display for ApprovalPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "approvals of {} at block {}: {} missing, {} present",
            self.wallet,
            self.block,
            self.steps.len(),
            self.present.len()
        )?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {} [now: {}]", index + 1, step.need, step.now)?;
            writeln!(f, "     {}", step.call)?;
        }
        for need in &self.present {
            writeln!(f, "  ok {need}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::Chain;

    #[test]
    fn the_scopes_ask_for_what_they_say() {
        let chain = Chain::polygon();
        let count = |scope: Scope| {
            let needs = scope.needs(chain.contracts());
            let erc20 = needs.iter().filter(|need| need.standard == Standard::Erc20).count();
            (erc20, needs.len() - erc20)
        };
        assert_eq!(count(Scope::Trading), (4, 4));
        assert_eq!(count(Scope::TradingBoth), (6, 6));
        // As the official client counts them.
        assert_eq!(count(Scope::Full), (7, 10));
    }
}
