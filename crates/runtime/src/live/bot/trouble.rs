//! Trouble that only a person can end, or that ends only outside: each has a blocker with what to do about it.

use std::collections::BTreeSet;

use polydesk_domain::{Cause, Code, ConditionId, ControlEvent, Span, Time, TokenId, Usdc};
use polydesk_polymarket_api::BalanceFigures;

use super::{Bot, LiveError};
use crate::live::report::Answers;

/// The user channel cannot be opened.
const USER_CHANNEL: Code = Code::literal("user_channel_fails");
/// Something of the wallet is in a market that is not followed.
const NOT_FOLLOWED: Code = Code::literal("market_not_followed");
/// The first pause of entries while the venue counts money as used that is not, and the longest.
const FIRST_PROBE: Span = Span::secs(60);
const LAST_PROBE: Span = Span::secs(600);
/// What asked for a market asks again with every pass of reads: after so long it is gone.
const ASKED: Span = Span::secs(60);
/// A difference to the venue's figures that means nothing.
const SMALL: Usdc = Usdc::new(10_000);

impl Bot<'_> {
    fn blocker(&mut self, cause: Cause, on: bool, detail: String) -> Result<(), LiveError> {
        let at = self.now();
        self.deliver(at, ControlEvent::Blocker { cause, on, detail }.into())
    }

    /// The user channel could not be opened, for this reason, or is open.
    pub(super) fn user_channel(&mut self, refused: Option<&str>) -> Result<(), LiveError> {
        let cause = Cause::Other(USER_CHANNEL);
        let Some(reason) = refused else {
            if core::mem::take(&mut self.trouble.refused) {
                self.blocker(cause, false, "the user channel is open".to_owned())?;
            }
            return Ok(());
        };
        // What the wallet has is read all the same.
        self.pass.begun = true;
        if core::mem::replace(&mut self.trouble.refused, true) {
            return Ok(());
        }
        let reason: String = reason.chars().take(200).collect();
        tracing::error!(reason, "the user channel does not take this account: no order leaves");
        let detail = format!(
            "{reason}: no fill would be reported. Compare live.ws_user with the venue's documentation; where the API credentials are refused, delete the file credentials in the data folder and start again"
        );
        self.blocker(cause, true, detail)
    }

    /// A refusal for lack of funds whose figures contradict the ledger: the venue counts settled matches against the
    /// balance. Entries pause, each time for longer; sales go on.
    pub(super) fn held_funds(&mut self, answers: &Answers) -> Result<(), LiveError> {
        let Ok(answers) = answers else { return Ok(()) };
        let figures = answers.iter().filter_map(|answer| answer.as_ref().err()?.balance_figures());
        let Some(most) = figures.max_by_key(|figures| figures.matched) else { return Ok(()) };
        let micros = i64::try_from(most.matched).unwrap_or(i64::MAX);
        let used = self.in_settlement();
        if Usdc::new(micros) <= used + SMALL || !self.could_pay(&most, used) {
            return Ok(());
        }
        let now = self.now();
        let pause =
            self.trouble.held.map_or(FIRST_PROBE, |(_, pause)| (pause + pause).min(LAST_PROBE));
        self.trouble.held = Some((now + pause, pause));
        let detail = format!(
            "the venue counts {} pUSD as matched and refuses an order of {}; here {used} are not settled. It has been seen to count settled matches for a while: the next entry is tried in {} s. Do not approve again and do not raise sizes",
            Usdc::new(micros),
            Usdc::new(i64::try_from(most.order).unwrap_or(i64::MAX)),
            pause.as_millis() / 1_000
        );
        self.blocker(Cause::FundsHeld, true, detail)
    }

    /// Money of orders that are open, unknown or not settled: what the venue may count, at most.
    fn in_settlement(&self) -> Usdc {
        let manager = self.engine.manager();
        manager.state().reserved() + manager.positions().unsettled_cost()
    }

    /// Whether the order would be paid if the venue counted as the ledger does. A sale's figures are shares: they say
    /// nothing here.
    fn could_pay(&self, figures: &BalanceFigures, used: Usdc) -> bool {
        let cash = self.engine.manager().ledger().balance(polydesk_execution::LedgerAccount::Cash);
        let there = Usdc::new(i64::try_from(figures.balance).unwrap_or(i64::MAX));
        // The venue's balance is the chain's; the ledger's has paid for what is not settled.
        let known = (there - cash).abs() <= used + SMALL;
        known && Usdc::new(i64::try_from(figures.order).unwrap_or(i64::MAX)) <= cash
    }

    /// An unknown transaction has used the nonce of a conversion: what it did to this market is to be looked at.
    pub(super) fn nonce_taken(&mut self, condition: &ConditionId) -> Result<(), LiveError> {
        let Some(market) = self.engine.universe().key(condition) else { return Ok(()) };
        let slug = self.engine.universe().market(market).slug.clone();
        let detail = format!(
            "a transaction that this program did not sign has used the nonce of a conversion: another program sends with this key. Look at what it did, then desk release market/{slug}"
        );
        self.blocker(Cause::Market(market), true, detail)
    }

    /// What changes with time.
    pub(super) fn check_trouble(&mut self, now: Time) -> Result<(), LiveError> {
        if let Some((until, _)) = self.trouble.held
            && now >= until
            && self.engine.manager().state().blockers.contains_key(&Cause::FundsHeld)
        {
            self.blocker(Cause::FundsHeld, false, "the next entry tries it".to_owned())?;
        }
        if let Some((until, pause)) = self.trouble.held
            && until.until(now) >= pause + LAST_PROBE
        {
            // Nothing was refused for so long: the next one begins from the beginning.
            self.trouble.held = None;
        }
        self.check_unfollowed(now)
    }

    fn check_unfollowed(&mut self, now: Time) -> Result<(), LiveError> {
        if self.trouble.unfollowed.is_empty() && self.trouble.named.is_empty() {
            return Ok(());
        }
        let ids = self.engine.universe();
        let stays =
            |token: &TokenId, at: &mut Time| ids.token(token).is_none() && at.until(now) < ASKED;
        self.trouble.unfollowed.retain(stays);
        let found: BTreeSet<TokenId> = self.trouble.unfollowed.keys().copied().collect();
        if found == self.trouble.named {
            return Ok(());
        }
        let cause = Cause::Other(NOT_FOLLOWED);
        self.trouble.named = found.clone();
        let Some(first) = found.first() else {
            return self.blocker(cause, false, "every market of the wallet is followed".to_owned());
        };
        tracing::error!(token = %first, "something of this wallet is in a market that is not followed");
        let detail = format!(
            "an order or a fill of this wallet is in a market that is not followed: token {first}, {} in all. Find its market at gamma-api.polymarket.com/markets?clob_token_ids=TOKEN and add its slug to markets.include",
            found.len()
        );
        self.blocker(cause, true, detail)
    }
}
