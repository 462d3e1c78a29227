//! The running sums of a state: brought up to date with what changed, made again, and checked.

use std::borrow::Cow;

use polydesk_domain::{Market, MarketKey, StrategyId, Tick, Token, Universe, Usdc};

use super::super::State;
use super::{Exposure, Part, Sign, Sums, Totals};

impl State {
    /// The running sums. Where an entry changed since they were brought up to date they are counted again
    /// from the entries: slower, and never wrong.
    pub fn sums(&self) -> Cow<'_, Sums> {
        if self.sums_lag() { Cow::Owned(self.count_again()) } else { Cow::Borrowed(&self.sums) }
    }

    /// What is at risk around a token, where a share costs at least `tick`.
    pub fn exposure(&self, strategy: StrategyId, token: Token, tick: Tick) -> Exposure {
        self.sums().exposure(strategy, token, tick)
    }

    /// pUSD that open buys and pending splits may still take.
    pub fn reserved(&self) -> Usdc {
        self.sums().totals.reserved
    }

    /// Whether an entry changed since the sums were brought up to date.
    pub fn sums_lag(&self) -> bool {
        !(self.orders.all.uncounted().is_empty()
            && self.positions.holdings.uncounted().is_empty()
            && self.positions.sales.uncounted().is_empty()
            && self.conversions.uncounted().is_empty())
    }

    /// Brings the sums up to date with the entries that changed since.
    pub(crate) fn refresh_sums(&mut self) {
        let State { orders, positions, conversions, sums, .. } = self;
        for id in orders.all.uncounted() {
            sums.order(*id, orders.all.get(id));
        }
        for key in positions.holdings.uncounted() {
            sums.holding(*key, positions.holdings.get(key));
        }
        for key in positions.sales.uncounted() {
            sums.sale(*key, positions.sales.get(key));
        }
        for id in conversions.uncounted() {
            sums.conversion(*id, conversions.get(id));
        }
        orders.all.count();
        positions.holdings.count();
        positions.sales.count();
        conversions.count();
    }

    /// The sums of all entries.
    fn count_again(&self) -> Sums {
        let mut sums = self.sums.emptied();
        for (id, order) in self.orders.all.iter() {
            sums.order(*id, Some(order));
        }
        for (key, holding) in self.positions.holdings.iter() {
            sums.holding(*key, Some(holding));
        }
        for (key, sale) in self.positions.sales.iter() {
            sums.sale(*key, Some(sale));
        }
        for (id, pending) in self.conversions.iter() {
            sums.conversion(*id, Some(pending));
        }
        sums
    }

    /// Makes the sums from nothing: by the facts of all listed markets and by all entries.
    pub(crate) fn derive_sums(&mut self, ids: &Universe) {
        self.sums = Sums::default();
        for key in ids.keys() {
            self.sums.list(key, ids.market(key));
        }
        self.sums = self.count_again();
        self.orders.all.count();
        self.positions.holdings.count();
        self.positions.sales.count();
        self.conversions.count();
    }

    /// Makes sure that a market's event and category are known.
    pub(crate) fn know(&mut self, key: MarketKey, market: &Market) {
        if !self.sums.knows(key) {
            self.sums.list(key, market);
        }
    }

    /// Sums of the account as the entries have them, without walking what is over and settled.
    pub(crate) fn totals_again(&self) -> Totals {
        let mut totals = Totals::default();
        let positions = &self.positions;
        let parts = self.orders.open().filter_map(Part::of_order);
        let parts = parts
            .chain(positions.all().map(|(owner, token, held)| Part::of_holding(owner, token, held)))
            .chain(positions.sales.values().map(Part::of_sale))
            .chain(self.conversions.values().map(Part::of_conversion));
        parts.for_each(|part| totals.add(&part, Sign::Add));
        totals
    }

    /// Whether the running sums are those of the entries.
    ///
    /// # Errors
    /// The first sum that is not, with both figures.
    pub fn check_sums(&self) -> Result<(), String> {
        if self.sums_lag() {
            return Ok(());
        }
        let (kept, again) = (&self.sums, self.count_again());
        for (index, (kept, again)) in kept.markets.iter().zip(&again.markets).enumerate() {
            if kept != again {
                return Err(format!("market {index}: {kept:?} kept, {again:?} counted"));
            }
        }
        if *kept == again { Ok(()) } else { Err(format!("{kept:?} kept, {again:?} counted")) }
    }
}
