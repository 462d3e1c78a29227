//! A resting intent ends with its signal, by the venue where its minimum life allows, else by the timer.

use std::sync::Arc;

use polydesk_domain::{
    Action, ClientOrderId, Market, MarketEvent, MarketKey, OrderState, Outcome, Price, Reason,
    Shares, Side, Size, Span, StrategyId, Tif, TradeIntent, Urgency, Usdc,
};
use polydesk_sim::{Delay, SimConfig};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

use crate::common::{level, market, row, run, snapshot};

/// Wants one bid to rest for so many seconds, once.
struct Once(Option<i64>);

impl Strategy for Once {
    fn id(&self) -> StrategyId {
        StrategyId::STINK_BIDDER
    }
    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }
    fn on_event(&mut self, _: &View<'_>, _: Trigger<'_>, out: &mut Emit<'_>) {
        let Some(ttl) = self.0.take() else { return };
        let action = Action::Trade(TradeIntent {
            token: MarketKey(0).token(Outcome::Yes),
            side: Side::Buy,
            size: Size::Shares(Shares::whole(10)),
            limit: Price::cents(30),
            urgency: Urgency::Rest,
            all_or_nothing: false,
            exit: None,
        });
        out.signal(MarketKey(0), action, Span::secs(ttl), Usdc::ZERO, Reason::new("once"));
    }
}

#[test]
fn a_resting_intent_ends_with_its_signal_whatever_its_life_and_the_latency() {
    let mut ways = [0, 0];
    for ttl in [20, 60, 119, 120, 121, 125, 129, 130, 131, 135, 200] {
        for seed in 0..5 {
            let mut market = market(0);
            market.closes = None;
            let listed = MarketEvent::Listed { key: MarketKey(0), market: Arc::new(market) };
            let mut tape = vec![row(0, listed.into()), snapshot(1, 0, &[(40, 200)], &[(44, 200)])];
            tape.extend((1..60).map(|n| level(n * 5_000, 0, Side::Buy, 39, n as u64)));
            let mut config = SimConfig::default();
            if seed > 2 {
                config.latency.insert = Delay::millis(4_000);
            }
            let run = run(tape, vec![Box::new(Once(Some(ttl)))], config, seed);
            let manager = run.engine.manager();
            assert!(manager.counts().rejects.is_empty(), "{ttl}: {:?}", manager.counts().rejects);
            let order = manager.orders().get(ClientOrderId(1)).unwrap();
            let gtd = matches!(order.tif, Tif::Gtd { .. });
            ways[usize::from(gtd)] += 1;
            assert!(matches!(order.state, OrderState::Expired | OrderState::Cancelled), "{ttl}");
            let late = order.expires.until(order.ended_at.unwrap()).as_millis();
            // The venue knows whole seconds, and a cancel takes its way there and back.
            assert!((-1_000..3_000).contains(&late), "{ttl}, {gtd}: {late} ms");
        }
    }
    assert!(ways.into_iter().all(|count| count > 10), "{ways:?}");
}
