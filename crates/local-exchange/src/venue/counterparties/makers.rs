//! How the makers quote a market.

use polydesk_domain::{MarketState, Outcome, Shares, Side, Span};

use super::super::Venue;
use super::super::intake::OrderSpec;
use super::super::order::Status;
use super::state::{Counterparties, MAKERS, Quoted};

impl Venue {
    /// A maker looks at a market; the time until its next look, if the market goes on.
    pub(super) fn quote_turn(
        &mut self,
        parties: &mut Counterparties,
        maker: usize,
        market: usize,
    ) -> Option<Span> {
        let key = parties.markets[market].key;
        if matches!(self.market(key).state, MarketState::Resolved(_)) {
            return None;
        }
        if parties.markets[market].away[maker] <= self.now {
            self.requote(parties, maker, market, MAKERS[maker].steps);
        }
        let pace = MAKERS[maker].pace;
        Some(parties.later(pace.0, pace.1))
    }

    /// Cancels the quotes of a maker that are no longer wanted and places at most `steps` missing ones.
    pub(super) fn requote(
        &mut self,
        parties: &mut Counterparties,
        maker: usize,
        market: usize,
        steps: usize,
    ) {
        let style = &MAKERS[maker];
        let trader = parties.makers[maker];
        let key = parties.markets[market].key;
        let wanted = parties.markets[market].wanted(style);
        let mut quotes = std::mem::take(&mut parties.markets[market].quotes[maker]);
        quotes.retain(|quoted| !self.forget_ended(&quoted.id));
        for quoted in &quotes {
            if !wanted.contains(&(quoted.ladder, quoted.bid)) {
                self.end(quoted.id, Status::Canceled(String::new()));
            }
        }
        quotes.retain(|quoted| !self.forget_ended(&quoted.id));
        self.top_up(trader, key);
        let standing = |ladder, bid| {
            let at = |quoted: &Quoted| (quoted.ladder, quoted.bid) == (ladder, bid);
            quotes.iter().any(at)
        };
        let missing: Vec<_> =
            wanted.into_iter().filter(|(ladder, bid)| !standing(*ladder, *bid)).collect();
        for (ladder, bid) in missing.into_iter().take(steps) {
            let shares = Shares::whole(parties.between(style.size.0, style.size.1).unsigned_abs());
            let spec = match (ladder, style.complements) {
                (Outcome::No, false) => {
                    let token = key.token(Outcome::Yes);
                    OrderSpec::limit(token, Side::Sell, bid.complement(), shares)
                }
                _ => OrderSpec::limit(key.token(ladder), Side::Buy, bid, shares),
            };
            let spec = OrderSpec { post_only: true, ..spec };
            // Refused where it would trade, or where the market is paused: the next look tries again.
            if let Ok(placed) = self.place_as(trader.key, trader.wallet, &spec) {
                quotes.push(Quoted { ladder, bid, id: placed.order.id });
            }
        }
        parties.markets[market].quotes[maker] = quotes;
    }
}
