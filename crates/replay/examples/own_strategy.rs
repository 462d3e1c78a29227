//! A strategy of one's own on the bundled recording: buys the favourite of each market once.
//!
//!     cargo run --release -p polydesk-replay --example own_strategy

use std::collections::BTreeSet;
use std::path::Path;

use polydesk_domain::{
    Action, ExitPlan, Market, MarketKey, Outcome, Price, Reason, Shares, Side, Size, Span,
    StrategyId, TradeIntent, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;
use polydesk_replay::{EventLog, Options, replay};
use polydesk_sim::{Sim, SimConfig};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};
use polydesk_tape::TapeReader;

/// Buys five shares of whichever outcome is bid above 0.60, once a market, and holds a minute.
#[derive(Default)]
struct Favourite {
    done: BTreeSet<MarketKey>,
}

impl Strategy for Favourite {
    fn id(&self) -> StrategyId {
        StrategyId::literal("favourite")
    }

    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }

    fn wants(&self, _: &Market) -> bool {
        true
    }

    /// A backtest is not interrupted; on a server, what must not happen twice goes through `remember`.
    fn save(&self) -> Saved {
        Saved::NOTHING
    }

    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }

    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let Trigger::Batch(key) = trigger else { return };
        let Some(book) = view.usable_book(key) else { return };
        for outcome in Outcome::BOTH {
            let (Some((bid, _)), Some((ask, _))) = (book.best_bid(outcome), book.best_ask(outcome))
            else {
                continue;
            };
            if bid < Price::cents(60) || !self.done.insert(key) {
                continue;
            }
            let exit = ExitPlan { max_hold: Some(Span::secs(60)), ..ExitPlan::default() };
            let trade = TradeIntent {
                token: key.token(outcome),
                side: Side::Buy,
                size: Size::Shares(Shares::whole(5)),
                limit: ask,
                urgency: Urgency::Now,
                all_or_nothing: false,
                exit: Some(exit),
            };
            let reason = Reason::new("favourite").with("bid_units", i64::from(bid.units()));
            out.signal(key, Action::Trade(trade), Span::secs(1), Usdc::ZERO, reason);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tape = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes/nhl-2026-06-07");
    let mut reader = TapeReader::open(&tape)?;
    let mut engine =
        Engine::new(Setup::simulated(RiskLimits::default()), vec![Box::new(Favourite::default())])?;
    let mut sim = Sim::new(SimConfig::default(), 7)?;
    let mut log = EventLog::hash_only();
    let options = Options::of(reader.manifest().times);
    let run = replay(&mut reader, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ())?;
    for trade in &run.closed {
        let result = trade.proceeds - trade.cost;
        println!(
            "{} {} shares: paid {}, got {}, {result}",
            trade.closed_at, trade.shares, trade.cost, trade.proceeds
        );
    }
    println!("event log sha256 {}", log.finish()?);
    sim.check_conservation()?;
    Ok(())
}
