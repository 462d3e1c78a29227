//! The taker: prints at the best prices, sales deep into the bids, and offers that make a group cheap.

use polydesk_domain::{Outcome, Price, Shares, Side, Size, Tif, Usdc};

use super::super::Venue;
use super::super::intake::OrderSpec;
use super::state::{Counterparties, Turn};

/// How far below the fair value a dip reaches, in ten-thousandths: past the first rung of a stink bidder,
/// also where its anchor is two cents off, and not to the end of the makers' bids.
const DIP: i32 = 1_100;
/// What one share of every outcome of a cheap group costs, in ten-thousandths, without fees.
const CHEAP_SUM: i32 = 9_250;
/// How long a group stays cheap, in milliseconds.
const CHEAP_FOR: (i64, i64) = (4_000, 7_000);
/// Shares offered at the cheap price.
const CHEAP_SIZE: Shares = Shares::whole(250);

impl Venue {
    /// A small order that takes from the best price of a random side.
    pub(super) fn print_turn(&mut self, parties: &mut Counterparties) {
        let fit = (0..parties.markets.len()).filter(|index| self.trades_now(parties, *index));
        let Some(market) = parties.choose(fit.collect()) else { return };
        let outcome = if parties.chance.below(2) == 0 { Outcome::Yes } else { Outcome::No };
        let key = parties.markets[market].key;
        let listed = &self.listed[key.index()];
        let (bid, ask) = listed.top(outcome);
        let token = key.token(outcome);
        let spec = if parties.chance.below(2) == 0 {
            let Some(bid) = bid else { return };
            let shares = Shares::whole(parties.between(6, 40).unsigned_abs());
            OrderSpec { tif: Tif::Fak, ..OrderSpec::limit(token, Side::Sell, bid, shares) }
        } else {
            let Some(price) = ask else { return };
            let size = Size::Spend(Usdc::whole(parties.between(5, 25)));
            OrderSpec { token, side: Side::Buy, price, size, tif: Tif::Fak, post_only: false }
        };
        self.take(parties, &spec);
    }

    /// Sells an outcome down to eleven cents below its fair value; the makers come back by and by.
    pub(super) fn dip_turn(&mut self, parties: &mut Counterparties) {
        let calm = |index: &usize| {
            let market = &parties.markets[*index];
            !market.grouped && market.ends.is_none() && self.trades_now(parties, *index)
        };
        let fit = (0..parties.markets.len()).filter(calm).collect();
        let Some(market) = parties.choose(fit) else { return };
        let outcome = if parties.chance.below(2) == 0 { Outcome::Yes } else { Outcome::No };
        let shown = parties.markets[market].shown;
        let fair = if outcome == Outcome::Yes { shown } else { 10_000 - shown };
        let Some(limit) = u16::try_from(fair - DIP).ok().and_then(Price::new) else { return };
        self.sell_down(parties, market, outcome, limit);
    }

    /// Takes every bid for an outcome down to a price, whoever's it is.
    fn sell_down(
        &mut self,
        parties: &mut Counterparties,
        market: usize,
        outcome: Outcome,
        limit: Price,
    ) {
        let key = parties.markets[market].key;
        let bids = self.listed[key.index()].levels(outcome, Side::Buy);
        let size: Shares = bids.iter().filter(|(bid, _)| *bid >= limit).map(|(_, s)| *s).sum();
        parties.scare(market, self.now);
        let spec = OrderSpec::limit(key.token(outcome), Side::Sell, limit, size.floor_cents());
        self.take(parties, &OrderSpec { tif: Tif::Fak, ..spec });
    }

    /// Sells one outcome of a group down and offers it so low that the whole group costs less than it pays.
    pub(super) fn cheap_group_turn(&mut self, parties: &mut Counterparties) {
        let whole = |members: &Vec<usize>| members.iter().all(|m| self.trades_now(parties, *m));
        let fit = (0..parties.groups.len()).filter(|group| whole(&parties.groups[*group]));
        let Some(group) = parties.choose(fit.collect()) else { return };
        let members = parties.groups[group].clone();
        let Some(cheap) = parties.choose(members.clone()) else { return };
        let mut others = 0;
        for member in members.iter().filter(|member| **member != cheap) {
            let listed = &self.listed[parties.markets[*member].key.index()];
            let Some(ask) = listed.top(Outcome::Yes).1 else { return };
            others += i32::from(ask.units());
        }
        let key = parties.markets[cheap].key;
        let tick = self.market(key).tick;
        let units = (CHEAP_SUM - others) / 100 * 100;
        let price = |units: i32| {
            let price = u16::try_from(units).ok().and_then(Price::new);
            price.filter(|price| price.tradable(tick))
        };
        let (Some(ask), Some(bid)) = (price(units), price(units - 100)) else { return };
        self.sell_down(parties, cheap, Outcome::Yes, bid);
        let spec = OrderSpec::limit(key.token(Outcome::Yes), Side::Sell, ask, CHEAP_SIZE);
        if let Some(id) = self.take(parties, &spec) {
            let stays = parties.later(CHEAP_FOR.0, CHEAP_FOR.1);
            self.turn_in(stays, Turn::Withdraw(id));
        }
    }

    fn take(
        &mut self,
        parties: &mut Counterparties,
        spec: &OrderSpec,
    ) -> Option<polydesk_domain::OrderHash> {
        self.top_up(parties.taker, spec.token.market());
        match self.place_as(parties.taker.key, parties.taker.wallet, spec) {
            Ok(placed) => {
                parties.taken.push(placed.order.id);
                Some(placed.order.id)
            }
            // Refused where others were faster; an order less does no harm.
            Err(refusal) => {
                parties.taken.extend(refusal.order);
                None
            }
        }
    }

    fn trades_now(&self, parties: &Counterparties, market: usize) -> bool {
        let listed = &self.listed[parties.markets[market].key.index()];
        listed.accepting && !listed.frozen
    }
}
