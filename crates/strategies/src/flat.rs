//! An account that holds nothing, for tests.

use polydesk_domain::{MarketKey, Position, StrategyId, Token, Usdc};

use crate::{Account, OpenOrder};

pub struct Flat;

impl Account for Flat {
    fn position(&self, _: StrategyId, _: Token) -> Position {
        Position::default()
    }
    fn open_orders(&self, _: StrategyId, _: MarketKey) -> Vec<OpenOrder> {
        Vec::new()
    }
    fn quoted(&self, _: StrategyId, _: MarketKey) -> bool {
        true
    }
    fn free_cash(&self) -> Usdc {
        Usdc::whole(1_000)
    }
    fn recall(&self, _: StrategyId, _: &str) -> Option<&[u8]> {
        None
    }
}
