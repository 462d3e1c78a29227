//! The kill path and the heartbeats of a live run: what arms them, and what they stop.

use std::path::PathBuf;
use std::sync::Arc;

use polydesk_domain::{Cause, Code, ControlEvent, Operator, OperatorCommand};
use polydesk_polymarket_api::clob::Clob;

use super::permit::Check;
use crate::beat::{Acknowledged, Beats};
use crate::glance::Shared;
use crate::inbox::{Inbox, Request};
use crate::kill::ladder::Plan;
use crate::kill::lift::Reply;
use crate::kill::{Arms, Closed, Killer, LatchWriter, Lifting, Listing, Switch};

/// What the kill thread of a run needs.
pub struct Guarding {
    /// The way to the kill thread.
    pub killer: Killer,
    /// Writes the latch.
    pub latch: Arc<dyn LatchWriter>,
    /// Cancels that the account's tier refills a second.
    pub cancels_per_second: u32,
}

/// Another program trades, or may trade, with the same wallet.
pub const SHARED_WALLET: Code = Code::literal("shared_wallet");

/// Nothing leaves while the switch is closed or heartbeats are not acknowledged.
pub fn checks(switch: &Arc<Switch>, acknowledged: &Arc<Acknowledged>) -> Vec<Check> {
    let (switch, acknowledged) = (Arc::clone(switch), Arc::clone(acknowledged));
    let closed: Check = Arc::new(move || {
        switch.closed().map(|closed| match closed {
            Closed::Killed => Code::literal("killed"),
            Closed::Stopping => Code::literal("stopping"),
            Closed::Stale => Code::literal("engine_stale"),
        })
    });
    let fresh = Arc::clone(&acknowledged);
    let beats: Check =
        Arc::new(move || (!fresh.is_fresh()).then_some(Code::literal("heartbeat_stale")));
    let shared: Check = Arc::new(move || acknowledged.is_shared().then_some(SHARED_WALLET));
    vec![closed, beats, shared]
}

/// Gives the kill thread what it acts with.
pub fn arm(
    guarding: &Guarding,
    clob: Clob,
    data: PathBuf,
    run: u32,
    shared: &Arc<Shared>,
    inbox: &Inbox,
) {
    let clock = clob.clock().clone();
    let (beats, told) = (Arc::clone(shared), inbox.clone());
    let plan = Plan {
        clob,
        switch: Arc::clone(guarding.killer.switch()),
        latch: Some(Arc::clone(&guarding.latch)),
        listing: Listing::Here,
        run,
        cancels_per_second: guarding.cancels_per_second,
        steps: Arc::new(|step| tracing::warn!("kill: {step}")),
    };
    guarding.killer.arm(Arms {
        plan,
        data,
        beat: Arc::new(move || beats.beat_age(clock.steady())),
        told: Arc::new(move |trigger| {
            let why = format!("{} (via {})", trigger.why, trigger.via.name());
            let event = operator(&trigger.by, &why, OperatorCommand::Kill);
            if let Err(error) = told.send(Request::Control(event)) {
                tracing::error!(%error, "the engine was not told of the kill");
            }
        }),
        lifting: Arc::new(EngineLift(inbox.clone())),
    });
}

pub(super) fn operator(by: &str, why: &str, command: OperatorCommand) -> ControlEvent {
    let (by, why, key) = (by.to_owned(), why.to_owned(), String::new());
    ControlEvent::Operator(Operator { by, why, key, command })
}

/// What the engine does when a kill is lifted.
struct EngineLift(Inbox);

impl Lifting for EngineLift {
    fn pause<'a>(&'a self, by: &'a str, why: &'a str) -> Reply<'a> {
        Box::pin(self.0.operate(operator(by, why, OperatorCommand::Pause)))
    }
    fn rearm<'a>(&'a self, by: &'a str, why: &'a str) -> Reply<'a> {
        Box::pin(self.0.operate(operator(by, why, OperatorCommand::Rearm)))
    }
}

/// Heartbeats with a connection of their own; without them the blocker of the engine stands.
pub fn beats(
    clob: Clob,
    switch: &Arc<Switch>,
    acknowledged: &Arc<Acknowledged>,
    shared: &Arc<Shared>,
    inbox: &Inbox,
) -> Beats {
    let (clock, shared, inbox) = (clob.clock().clone(), Arc::clone(shared), inbox.clone());
    let also = inbox.clone();
    Beats {
        clob,
        switch: Arc::clone(switch),
        acknowledged: Arc::clone(acknowledged),
        engine: Box::new(move || shared.beat_age(clock.steady())),
        blocker: Box::new(move |on, detail| {
            let detail = detail.to_owned();
            let event = ControlEvent::Blocker { cause: Cause::Heartbeat, on, detail };
            if let Err(error) = inbox.send(Request::Control(event)) {
                tracing::error!(%error, "the state of the heartbeats did not reach the engine");
            }
        }),
        shared: Box::new(move |on, detail| {
            let (cause, detail) = (Cause::Other(SHARED_WALLET), detail.to_owned());
            let event = ControlEvent::Blocker { cause, on, detail };
            if let Err(error) = also.send(Request::Control(event)) {
                tracing::error!(%error, "a second program on the wallet did not reach the engine");
            }
        }),
    }
}
