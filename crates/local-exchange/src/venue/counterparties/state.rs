//! What the counterparties are and remember: accounts, fair values, quotes. Nothing here touches the venue.

use alloy::primitives::Address;
use polydesk_domain::{MarketKey, OrderHash, Outcome, Payout, Price, Shares, Span, Time, Usdc};
use uuid::Uuid;

use crate::chance::SeededRandom;

/// The next thing that a counterparty does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Every fair value takes a step.
    Walk,
    /// A maker brings its quotes of a market to the fair value.
    Quote { maker: usize, market: usize },
    /// A small immediate order at the best price.
    Print,
    /// A sale deep into the bids of a market.
    Dip,
    /// The same in a market of a group, and an offer that makes the group cheap.
    CheapGroup,
    /// The cheap offer is withdrawn.
    Withdraw(OrderHash),
    /// The end of a market: its result is proposed.
    Propose(MarketKey),
    /// The proposal becomes final.
    Resolve(MarketKey),
    /// The next market of a series is listed.
    Next(MarketKey),
}

/// Every fair value takes a step this often.
pub(super) const WALK: Span = Span::secs(1);
/// From the close of a market to the proposal of its result, and on to its resolution.
pub(super) const PROPOSED_AFTER: Span = Span::secs(5);
pub(super) const RESOLVED_AFTER: Span = Span::secs(30);
/// A market that ends moves towards its result in this last part of its life.
pub(super) const DECIDED_IN: Span = Span::secs(90);
/// Below this an account is given more, from outside.
pub(super) const CASH_LEAST: Usdc = Usdc::whole(1_000_000);
pub(super) const SHARES_LEAST: Shares = Shares::whole(100_000);

/// An account of the counterparties.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trader {
    pub(super) key: Uuid,
    pub(super) wallet: Address,
}

/// A resting quote of a maker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quoted {
    pub(super) ladder: Outcome,
    pub(super) bid: Price,
    pub(super) id: OrderHash,
}

/// One market as the counterparties see it. Prices of YES in ten-thousandths of a dollar.
#[derive(Debug)]
pub(super) struct Traded {
    pub(super) key: MarketKey,
    /// What the fair value returns to.
    pub(super) centre: i32,
    pub(super) fair: i32,
    /// The fair value in whole cents that the makers quote around.
    pub(super) shown: i32,
    /// Quotes by maker.
    pub(super) quotes: [Vec<Quoted>; MAKERS.len()],
    /// A maker whose bids were hit stays away until then.
    pub(super) away: [Time; MAKERS.len()],
    /// Its end and its result, if it has one.
    pub(super) ends: Option<(Time, Payout)>,
    /// Whether it belongs to a neg-risk group of several listed markets.
    pub(super) grouped: bool,
    /// Resolved: its price moves no more.
    pub(super) over: bool,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Counterparties {
    pub(super) chance: SeededRandom,
    pub(super) makers: Vec<Trader>,
    pub(super) taker: Trader,
    pub(super) markets: Vec<Traded>,
    /// Complete neg-risk groups: indices of their markets.
    pub(super) groups: Vec<Vec<usize>>,
    /// The taker's orders that may still be open.
    pub(super) taken: Vec<OrderHash>,
}

impl Counterparties {
    /// A time between two spans from now, in whole milliseconds.
    pub(super) fn later(&mut self, least: i64, most: i64) -> Span {
        Span::millis(self.between(least, most))
    }

    /// A number of `least..=most`.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let width = u64::try_from(most - least).unwrap_or(0) + 1;
        least + i64::try_from(self.chance.below(width)).unwrap_or(0)
    }

    /// One of the indices that fit.
    pub(super) fn choose(&mut self, fit: Vec<usize>) -> Option<usize> {
        let index = self.chance.below(fit.len() as u64);
        fit.get(usize::try_from(index).unwrap_or(0)).copied()
    }
}

/// How a maker quotes. Distances from the fair value in cents, sizes in shares, times in milliseconds.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) nearest: i32,
    pub(super) farthest: i32,
    pub(super) size: (i64, i64),
    /// Between two looks at a market.
    pub(super) pace: (i64, i64),
    /// How long it stays away after its bids were sold into.
    pub(super) away: (i64, i64),
    /// Orders it places at most in one look: depth comes back level by level, from below.
    pub(super) steps: usize,
    /// Offers YES by bidding for NO, where the others sell YES.
    pub(super) complements: bool,
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
pub(super) const MOVES_AT: i32 = 70;
/// The fair value stays within this distance of its centre.
pub(super) const LEASH: i32 = 250;

impl Traded {
    /// A market that ends runs to its result in the last part of its life.
    pub(super) fn follow_end(&mut self, now: Time) {
        let Some((at, result)) = self.ends else { return };
        if self.over || now + DECIDED_IN < at {
            return;
        }
        let goal = (result.per_share(Outcome::Yes) / 100) as i32;
        let goal = goal.clamp(200, 9_800);
        // An eighteenth of the way each second: at the goal, but for a cent, when it closes.
        self.centre += (goal - self.centre) / 18;
        self.fair = self.centre;
    }

    /// The levels a maker wants: ladder and bid.
    pub(super) fn wanted(&self, maker: &Maker) -> Vec<(Outcome, Price)> {
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
            if self.markets[index].over {
                continue;
            }
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
