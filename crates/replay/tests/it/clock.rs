//! A clock that jumps ahead and comes back leaves nothing behind.

use polydesk_domain::{ControlEvent, Outbox, Shares, Span, Stamped, Token, Usdc};
use polydesk_execution::state::Budgets;
use polydesk_execution::{Budget, LedgerAccount, RiskLimits, State};
use polydesk_sim::QueueModel;
use proptest::prelude::*;

use crate::common::{Dice, Whim, random_tape};
use crate::laws::{cases, rough};
use crate::rig::{World, engine};

const JUMPS: [Span; 5] =
    [Span::secs(4), Span::secs(10), Span::secs(600), Span::secs(3 * 3_600), Span::secs(40 * 3_600)];

proptest! {
    #![proptest_config(cases())]

    /// Now and then a timer comes with a time far ahead, and the next event with the right one. What each
    /// event marks still makes the state, nothing stays open, and both sides agree about money and shares.
    #[test]
    fn a_clock_that_jumps_and_comes_back_changes_no_account(seed: u64, markets in 1u32..4) {
        let tape = random_tape(seed, markets, 100);
        let mut world = World::new(tape, rough(QueueModel::Pessimistic, seed), seed);
        let mut engine = engine(&RiskLimits::default(), Box::new(Whim(Dice(seed))));
        let budgets = Budgets { orders: Budget::new(1, 1), cancels: Budget::new(1, 1) };
        let mut second = State::new(0, RiskLimits::default().raw().clone(), budgets);
        second.load(&engine.save(), engine.universe()).unwrap();
        let (mut out, mut dice) = (Outbox::new(), Dice(seed ^ 5));
        while let Some(stamped) = world.next(engine.next_wake()) {
            let mut events = vec![stamped.clone()];
            if dice.roll(25) == 0 {
                let at = stamped.at + JUMPS[dice.roll(5) as usize];
                events.insert(0, Stamped { at, event: ControlEvent::Timer.into(), ..stamped.clone() });
            }
            for event in events {
                engine.handle(&event, &mut out);
                world.take(stamped.at, &mut out);
                let mut changes = Vec::new();
                engine.changes(|entry| changes.push(entry));
                second.load(&changes, engine.universe()).unwrap();
                let state = engine.manager().state();
                prop_assert_eq!(second.differs(state), None, "{:?}", event.event);
                prop_assert_eq!(state.check_sums(), Ok(()));
            }
        }
        prop_assert_eq!(second.hash(engine.universe()), engine.state_hash());
        prop_assert_eq!(world.sim.check_conservation(), Ok(()));
        let manager = engine.manager();
        prop_assert_eq!(manager.halted(), None);
        prop_assert_eq!(manager.ledger().imbalance(), Usdc::ZERO);
        let open: Vec<_> = manager.orders().open().map(|o| (o.id, o.state, o.missing())).collect();
        prop_assert!(open.is_empty(), "{:?}", open);
        let account = world.sim.account();
        let cash = account.cash_free + account.cash_reserved;
        prop_assert_eq!(manager.ledger().balance(LedgerAccount::Cash), cash);
        for token in (0..markets * 2).map(Token) {
            let held = manager.positions().all().filter(|(_, of, _)| *of == token);
            let held: Shares = held.map(|(_, _, holding)| holding.held()).sum();
            let there = account.token(token);
            prop_assert_eq!(held, there.settled() + there.incoming, "{:?}", token);
        }
    }
}
