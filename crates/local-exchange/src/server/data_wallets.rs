//! Data API: a wallet in numbers.

use std::collections::BTreeSet;

use alloy::primitives::Address;
use polydesk_domain::{Outcome, Shares, Usdc};
use serde_json::{Value, json};

use super::answer::{Answer, Req};
use super::data::wrong;
use super::inner::Inner;
use crate::{text, wire};

impl Inner {
    /// Answers about one wallet.
    pub(super) fn data_of(&self, req: &Req, path: &str, user: &Address, camel: bool) -> Answer {
        let second = |name| req.param(name).and_then(|text| text.parse::<i64>().ok());
        match path {
            "/value" => {
                let value = wire::number(&text::money(self.worth(user)));
                let user = format!("{user:#x}");
                if camel {
                    Answer::ok(&json!([{ "user": user, "value": value }]))
                } else {
                    Answer::ok(&json!({ "data": { "proxy_wallet": user, "value": value } }))
                }
            }
            "/traded" if camel => {
                let traded = self.markets_traded(user);
                Answer::ok(&json!({ "user": format!("{user:#x}"), "traded": traded }))
            }
            "/user-stats" if !camel => Answer::ok(&json!({ "data": self.stats(user) })),
            "/user-volume" if !camel => {
                let (start, end) = (second("start"), second("end"));
                let sums = self.sums(user, start.unwrap_or(0), end.unwrap_or(i64::MAX));
                Answer::ok(&json!({ "data": wire::volume(sums) }))
            }
            "/user-pnl" if !camel => {
                let word = |name, otherwise| req.param(name).unwrap_or(otherwise).to_owned();
                let (interval, fidelity) = (word("interval", "all"), word("fidelity", "1d"));
                Answer::ok(&json!({ "data": {
                    "proxy_wallet": format!("{user:#x}"), "interval": interval,
                    "fidelity": fidelity, "source_fidelity": fidelity,
                    "points": [self.pnl_point(user)],
                } }))
            }
            "/accounting/snapshot" if camel => self.accounts(user),
            _ => Answer::error(404, "not found"),
        }
    }

    fn markets_traded(&self, user: &Address) -> usize {
        let fills = self.fills(Some(*user));
        fills.iter().map(|fill| fill.token.market()).collect::<BTreeSet<_>>().len()
    }

    /// Shares, pUSD and number of a wallet's fills within a time.
    fn sums(&self, user: &Address, start: i64, end: i64) -> (Shares, Usdc, usize) {
        let mut fills = self.fills(Some(*user));
        fills.retain(|fill| (start..=end).contains(&fill.seconds));
        let shares = fills.iter().map(|fill| fill.shares).sum();
        (shares, fills.iter().map(|fill| fill.money).sum(), fills.len())
    }

    /// What sales brought beyond what was sold had cost, and the best of them.
    fn realized(&self, user: &Address) -> (Usdc, Usdc) {
        let gains = self.held(Some(*user)).into_values().map(|held| held.realized());
        gains.fold((Usdc::ZERO, Usdc::ZERO), |(all, best), gain| (all + gain, best.max(gain)))
    }

    fn stats(&self, user: &Address) -> Value {
        let fills = self.fills(Some(*user));
        let known = self.venue.ledger().wallet(user).is_some();
        if fills.is_empty() && !known {
            return Value::Null;
        }
        let first = fills.iter().map(|fill| fill.seconds).min().unwrap_or(0);
        let best = self.realized(user).1;
        json!({
            "proxy_wallet": format!("{user:#x}"), "trades": self.markets_traded(user),
            "biggest_win": wire::number(&text::money(best)), "views": 0, "join_date": first,
            "all_time_pnl": self.pnl_point(user),
        })
    }

    /// The sums of now. What is not kept here (blocks, rewards, deposits) is null or left out.
    fn pnl_point(&self, user: &Address) -> Value {
        let now = self.shown_now().millis() / 1_000;
        let fees: Usdc = self.fills(Some(*user)).iter().map(|fill| fill.fee).sum();
        let (realized, _) = self.realized(user);
        wire::pnl_point(now, self.sums(user, 0, i64::MAX), realized, fees)
    }

    /// Everybody's positions in a market, the largest first.
    pub(super) fn market_positions(&self, req: &Req, user: Option<Address>) -> Answer {
        let universe = self.venue.universe();
        let key = req.param("market").and_then(|text| universe.key(&text.parse().ok()?));
        let Some(view) = key.and_then(|key| self.venue.market_view(key)) else {
            return wrong(true, "market");
        };
        let (limit, offset) = (req.count("limit").unwrap_or(50), req.count("offset").unwrap_or(0));
        let status = req.param("status").unwrap_or("ALL");
        let held = self.held(user);
        let groups = Outcome::BOTH.map(|outcome| {
            let token = view.key.token(outcome);
            let mut own: Vec<_> = held.iter().filter(|((_, of), _)| *of == token).collect();
            own.retain(|(_, held)| match status {
                "OPEN" => !held.size.is_zero(),
                "CLOSED" => held.size.is_zero(),
                _ => true,
            });
            own.sort_by_key(|(_, held)| std::cmp::Reverse(held.size));
            let page = own.iter().skip(offset).take(limit.min(500));
            let rows: Vec<Value> = page
                .map(|((owner, _), held)| wire::market_position(owner, outcome, held, &view))
                .collect();
            json!({ "token": universe.token_id(token), "positions": rows })
        });
        Answer::ok(&json!(groups))
    }

    /// A ZIP archive of two files, not compressed.
    fn accounts(&self, user: &Address) -> Answer {
        let now = wire::seconds(self.shown_now());
        let mut positions = "conditionId,asset,size,curPrice,valuationTime\n".to_owned();
        let mut worth: i128 = 0;
        for (token, shares) in self.venue.shares_of(user) {
            let Some(view) = self.venue.market_view(token.market()) else { continue };
            let market = &view.listing.market;
            let price = view.price(token.outcome());
            worth += i128::from(shares.micros()) * i128::from(price.units());
            positions.push_str(&format!(
                "{},{},{},{},{now}\n",
                market.condition,
                market.tokens[token.outcome().index()],
                text::shares(shares),
                text::price(price),
            ));
        }
        let (cash, worth) = (i128::from(self.cash_read(user)), worth / 10_000);
        let equity = format!(
            "cashBalance,positionsValue,equity,valuationTime\n{},{},{},{now}\n",
            text::micros(cash),
            text::micros(worth),
            text::micros(cash + worth),
        );
        let files = [("positions.csv", positions.as_bytes()), ("equity.csv", equity.as_bytes())];
        Answer::text(200, "application/zip", wire::archive(&files))
    }
}
