//! The engine takes what the gateway gives: an order placed by a strategy, its messages in every order and twice.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, BookSnapshot, Cash, CashKind, Command, ControlEvent,
    Event, Market, MarketEvent, MarketKey, OrderState, Outbox, Outcome, Price, Quote, Reason,
    Reference, RunStart, Shares, Side, Size, Span, Stamped, StrategyId, Token, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{LedgerAccount, RiskLimits};
use polydesk_gateway::{OrderFacts, Output};
use polydesk_polymarket_api::clob::{Placed, PlacedStatus};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

use crate::harness::{Bench, OWNER, at, hash};

type Script = Arc<Mutex<VecDeque<Action>>>;

/// Emits at the next reference price what the test puts into its script.
struct Puppet(Script);

impl Strategy for Puppet {
    fn id(&self) -> StrategyId {
        StrategyId::STINK_BIDDER
    }
    fn kinds(&self) -> Kinds {
        Kinds::REFERENCE
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
        for action in self.0.lock().unwrap().drain(..) {
            let reason = Reason::new("story");
            out.signal(MarketKey(0), action, Span::secs(600), Usdc::cents(10), reason);
        }
    }
}

struct Desk {
    bench: Bench,
    engine: Engine,
    now: i64,
}

impl Desk {
    fn hear(&mut self, event: Event) -> Vec<Command> {
        self.now += 1;
        let mut out = Outbox::new();
        let at = polydesk_domain::Time::from_millis(self.now);
        self.engine.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut out);
        out.commands
    }

    fn take(&mut self, outputs: Vec<Output>) {
        for event in outputs.into_iter().filter_map(Output::event) {
            self.hear(event);
        }
    }

    /// An engine with 1,000 pUSD whose strategy bids 20 YES at 0.40; the order left under the hash 1.
    fn new() -> Desk {
        let bench = Bench::new();
        let script = Script::default();
        let quote = Quote {
            token: Token(0),
            side: Side::Buy,
            price: Price::cents(40),
            size: Shares::whole(20),
            exit: None,
        };
        script.lock().unwrap().push_back(Action::Quotes(vec![quote]));
        let engine =
            Engine::new(Setup::simulated(RiskLimits::default()), vec![Box::new(Puppet(script))]);
        let mut desk = Desk { engine: engine.unwrap(), now: 99_000, bench };
        let market = Arc::clone(desk.bench.ids.market(MarketKey(0)));
        desk.hear(MarketEvent::Listed { key: MarketKey(0), market }.into());
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: Usdc::whole(1_000),
            shares: Default::default(),
        };
        desk.hear(Event::cash(deposit));
        let level = |cents| vec![(Price::cents(cents), Shares::whole(200))];
        let book = BookSnapshot { token: Token(0), bids: level(39), asks: level(44) };
        desk.hear(MarketEvent::Snapshot(Arc::new(book)).into());
        desk.hear(ControlEvent::Start(RunStart::backtest()).into());
        let cash = Usdc::whole(1_000);
        let agreed = AccountSnapshot { complete: true, cash, ..AccountSnapshot::default() };
        desk.hear(AccountEvent::Snapshot(agreed).into());
        let go = Reference { symbol: "go".into(), price_micros: 1 };
        let commands = desk.hear(MarketEvent::Reference(Arc::new(go)).into());
        let [Command::Place(orders)] = commands.as_slice() else { panic!("{commands:?}") };
        let order = &orders[0];
        let facts = OrderFacts {
            token: desk.bench.token(Outcome::Yes),
            condition: desk.bench.ids.market(polydesk_domain::MarketKey(0)).condition,
            side: order.side,
            price: order.price,
            size: order.size,
            tif: order.tif,
            post_only: order.post_only,
            maker_amount: 8_000_000,
            taker_amount: 20_000_000,
            salt: 1,
            timestamp_ms: 99_000,
        };
        assert_eq!((order.size, order.tif.rests()), (Size::Shares(Shares::whole(20)), true));
        let bound = desk.bench.gateway.bound(order.id, hash(1), facts, at(99)).unwrap();
        desk.take(bound);
        let sent = desk.bench.gateway.sent(&hash(1), at(99));
        desk.take(sent);
        desk
    }

    fn frame(&mut self, json: &str) {
        let out = self.bench.frame(json, at(110));
        self.take(out);
    }

    fn answer(&mut self) {
        let placed = Placed { id: hash(1), status: PlacedStatus::Live, trade_ids: Vec::new() };
        let out = self.bench.gateway.placed(&hash(1), Ok(&placed), at(110));
        self.take(out);
    }

    fn trade(&self, status: &str) -> String {
        let yes = self.bench.token(Outcome::Yes);
        format!(
            r#"{{"event_type":"trade","id":"28c4d2eb-bbea-40e7-a9f0-b2fdb56b2c2e","taker_order_id":"{}",
            "asset_id":"{yes}","side":"SELL","size":"20","price":"0.4","status":"{status}",
            "match_time":"105","trader_side":"MAKER","maker_orders":[{{"order_id":"{}","owner":"{OWNER}",
            "matched_amount":"20","price":"0.4","asset_id":"{yes}","side":"BUY"}}]}}"#,
            hash(9),
            hash(1),
        )
    }

    fn update(&self, kind: &str, status: &str, matched: &str) -> String {
        let yes = self.bench.token(Outcome::Yes);
        format!(
            r#"{{"event_type":"order","id":"{}","owner":"{OWNER}","asset_id":"{yes}","side":"BUY",
            "original_size":"20","size_matched":"{matched}","price":"0.4","type":"{kind}",
            "status":"{status}","timestamp":"110000"}}"#,
            hash(1)
        )
    }

    /// State of the order, cash, final shares and the anomalies that the engine counted.
    fn end(&self) -> (OrderState, Usdc, Shares, usize) {
        let manager = self.engine.manager();
        let id = self.bench.gateway.orders().get(&hash(1)).unwrap().id;
        let state = manager.orders().get(id).unwrap().state;
        let cash = manager.state().ledger.balance(LedgerAccount::Cash);
        let held = manager.position(StrategyId::STINK_BIDDER, Token(0)).confirmed;
        (state, cash, held, manager.counts().anomalies.len())
    }
}

#[test]
fn messages_in_every_order_and_twice_book_one_fill_and_no_anomaly() {
    let filled = (OrderState::Filled, Usdc::whole(992), Shares::whole(20), 0);
    // Every order of: the answer, the placement, the trade, the order's end, the trade's end.
    for start in 0..120usize {
        let mut left: Vec<usize> = (0..5).collect();
        let mut rest = start;
        let mut order = Vec::new();
        while !left.is_empty() {
            order.push(left.remove(rest % left.len()));
            rest /= left.len() + 1;
        }
        for times in [1, 2] {
            let mut desk = Desk::new();
            let frames = [
                String::new(),
                desk.update("PLACEMENT", "LIVE", "0"),
                desk.trade("MATCHED"),
                desk.update("UPDATE", "MATCHED", "20"),
                desk.trade("CONFIRMED"),
            ];
            for step in order.iter().flat_map(|step| std::iter::repeat_n(*step, times)) {
                match step {
                    0 => desk.answer(),
                    step => desk.frame(&frames[step]),
                }
            }
            assert_eq!(desk.end(), filled, "{order:?} {times} times");
        }
    }
}

#[test]
fn a_refusal_and_the_cancellation_that_repeats_it_are_one_end_without_an_anomaly() {
    for refusal_first in [true, false] {
        let mut desk = Desk::new();
        let refused = polydesk_polymarket_api::ApiError::CancelOnly;
        let gone = desk.update("CANCELLATION", "INVALID", "0");
        for refusal in [refusal_first, !refusal_first] {
            if refusal {
                let out = desk.bench.gateway.placed(&hash(1), Err(&refused), at(110));
                desk.take(out);
            } else {
                desk.frame(&gone);
            }
        }
        let (state, cash, held, anomalies) = desk.end();
        assert!(state.ended(), "{state:?}");
        assert_eq!((cash, held, anomalies), (Usdc::whole(1_000), Shares::ZERO, 0));
    }
}

#[test]
fn an_answered_cancel_keeps_the_money_reserved_until_the_fill_arrives() {
    let mut desk = Desk::new();
    desk.answer();
    let free = desk.engine.manager().state().free_cash();
    let answer =
        polydesk_polymarket_api::clob::Cancelled { canceled: vec![hash(1)], ..Default::default() };
    let out = desk.bench.gateway.cancelled(&answer, at(111));
    desk.take(out);
    assert_eq!(desk.engine.manager().state().free_cash(), free, "fills are not known");
    desk.frame(&desk.trade("CONFIRMED"));
    assert_eq!(desk.end(), (OrderState::Filled, Usdc::whole(992), Shares::whole(20), 0));
}
