//! Markets created on the venue: every connection hears of each, the consumer once.

use std::collections::VecDeque;

use crate::ws::NewMarket;

/// How many are remembered: the copies of all connections come within seconds.
const REMEMBERED: usize = 1_024;

/// The markets emitted last.
#[derive(Debug, Default)]
pub(super) struct Created {
    emitted: VecDeque<String>,
}

impl Created {
    /// Whether the market is new.
    pub(super) fn first(&mut self, market: &NewMarket) -> bool {
        let names = [&market.market, &market.condition_id, &market.id];
        // Without any id it cannot be distinguished from another: a duplicate is better than a loss.
        let Some(name) = names.into_iter().find(|name| !name.is_empty()) else { return true };
        if self.emitted.contains(name) {
            return false;
        }
        if self.emitted.len() == REMEMBERED {
            self.emitted.pop_front();
        }
        self.emitted.push_back(name.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_market_is_emitted_once_and_the_oldest_are_dropped() {
        let market =
            |name: usize| NewMarket { market: format!("0x{name}"), ..NewMarket::default() };
        let mut created = Created::default();
        for name in 0..REMEMBERED {
            assert!(created.first(&market(name)));
            assert!(!created.first(&market(name)), "from the next connection");
        }
        assert!(created.first(&market(REMEMBERED)));
        assert!(!created.first(&market(1)));
        assert!(created.first(&market(0)), "forgotten");
        assert!(created.first(&NewMarket::default()) && created.first(&NewMarket::default()));
    }
}
