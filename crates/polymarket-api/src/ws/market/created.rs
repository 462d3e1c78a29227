//! Markets created on the venue: every connection hears of each, the consumer once.

use std::collections::VecDeque;

use crate::ws::NewMarket;

/// How many are remembered: the copies of all connections come within seconds.
const REMEMBERED: usize = 1_024;

/// The markets told last.
#[derive(Debug, Default)]
pub(super) struct Created {
    told: VecDeque<String>,
}

impl Created {
    /// Whether this is the first time it is heard of.
    pub(super) fn first(&mut self, market: &NewMarket) -> bool {
        let names = [&market.market, &market.condition_id, &market.id];
        // Without any name nothing tells it from another: better twice than never.
        let Some(name) = names.into_iter().find(|name| !name.is_empty()) else { return true };
        if self.told.contains(name) {
            return false;
        }
        if self.told.len() == REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(name.clone());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_market_is_told_once_and_the_oldest_are_forgotten() {
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
