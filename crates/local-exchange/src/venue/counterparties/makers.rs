//! The makers: three ladders of quotes around the fair value, each with its own depth and pace.

use polydesk_domain::{MarketState, Outcome, Price, Shares, Side, Span, Time};

use super::super::{OrderSpec, Status, Venue};
use super::{Counterparties, DECIDED_IN, Quoted, Traded};

/// How a maker quotes. Distances from the fair value in cents, sizes in shares, times in milliseconds.
#[derive(Debug)]
pub(super) struct Maker {
    nearest: i32,
    farthest: i32,
    size: (i64, i64),
    /// Between two looks at a market.
    pace: (i64, i64),
    /// How long it stays away after its bids were sold into.
    away: (i64, i64),
    /// Orders it places at most in one look: depth comes back level by level, from below.
    steps: usize,
    /// Offers YES by bidding for NO, where the others sell YES.
    complements: bool,
}

pub(super) const MAKERS: [Maker; 3] = [
    Maker {
        nearest: 1,
        farthest: 2,
        size: (60, 200),
        pace: (400, 1_200),
        away: (3_000, 5_000),
        steps: 2,
        complements: false,
    },
    Maker {
        nearest: 1,
        farthest: 4,
        size: (100, 300),
        pace: (700, 2_000),
        away: (2_000, 3_500),
        steps: 3,
        complements: true,
    },
    Maker {
        nearest: 3,
        farthest: 14,
        size: (150, 350),
        pace: (800, 2_400),
        away: (1_000, 1_500),
        steps: 4,
        complements: false,
    },
];

/// Quotes move when the fair value is this far from the price they stand around.
const MOVES_AT: i32 = 70;
/// The fair value stays within this distance of its centre.
const LEASH: i32 = 250;

impl Traded {
    /// A market that ends runs to its result in the last part of its life.
    pub(super) fn follow_end(&mut self, now: Time) {
        let Some((at, result)) = self.ends else { return };
        if now + DECIDED_IN < at {
            return;
        }
        let goal = (result.per_share(Outcome::Yes) / 100) as i32;
        let goal = goal.clamp(200, 9_800);
        // An eighteenth of the way each second: at the goal, but for a cent, when it closes.
        self.centre += (goal - self.centre) / 18;
        self.fair = self.centre;
    }

    /// The levels a maker wants: ladder and bid.
    fn wanted(&self, maker: &Maker) -> Vec<(Outcome, Price)> {
        let mut wanted = Vec::new();
        // From far to near: so the depth grows back from below.
        for distance in (maker.nearest..=maker.farthest).rev() {
            for (outcome, around) in
                [(Outcome::Yes, self.shown), (Outcome::No, 10_000 - self.shown)]
            {
                let bid = u16::try_from(around - distance * 100).ok().and_then(Price::new);
                if let Some(bid) = bid.filter(|bid| *bid >= Price::cents(1)) {
                    wanted.push((outcome, bid));
                }
            }
        }
        wanted
    }
}

impl Counterparties {
    /// Every fair value takes a step, and is drawn back to its centre.
    pub(super) fn walk(&mut self) {
        for index in 0..self.markets.len() {
            let step = self.between(-60, 60) as i32;
            let market = &mut self.markets[index];
            let back = (market.centre - market.fair) / 20;
            let (low, high) = (market.centre - LEASH, market.centre + LEASH);
            market.fair = (market.fair + step + back).clamp(low, high).clamp(100, 9_900);
            if market.fair.abs_diff(market.shown) >= MOVES_AT.unsigned_abs() {
                market.shown = (market.fair + 50) / 100 * 100;
            }
        }
    }

    /// The makers of a market stay away for a while, each as long as is its way.
    pub(super) fn scare(&mut self, market: usize, now: Time) {
        for (index, maker) in MAKERS.iter().enumerate() {
            self.markets[market].away[index] = now + self.later(maker.away.0, maker.away.1);
        }
    }
}

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
