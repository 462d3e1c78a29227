//! A changed configuration while the process runs.
//!
//! The files are read and checked as a whole; one that breaks a rule changes nothing. Parameters of strategies apply
//! at once. A limit that becomes tighter applies at once; one that becomes looser waits for a person's
//! confirmation. What only a start can change is named.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use polydesk_domain::{ControlEvent, StrategyId};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_settings::{MarketSettings, Problem, Settings};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot, watch};

use crate::inbox::{Inbox, Request};

/// Files are written in several steps: what happens so soon after a change belongs to it.
const SETTLE: Duration = Duration::from_millis(200);
/// Sections that a running process takes up.
const LIVE: [&str; 2] = ["risk.", "markets."];

/// What is shown of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigState {
    /// How often a change was taken up.
    pub reloads: u64,
    /// Why the last change was refused; empty: it was not.
    pub refused: Vec<String>,
    /// Limits that were asked to be looser and wait for `desk limits confirm`: key, in force, asked for.
    pub pending: Vec<(String, String, String)>,
    /// Changes that the next start takes up.
    pub at_next_start: Vec<String>,
}

/// What a new configuration means for a running process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// For the engine, in this order.
    pub events: Vec<ControlEvent>,
    /// For discovery.
    pub markets: Option<MarketSettings>,
    /// Limits in force afterwards.
    pub limits: RawRisk,
    /// What waits for a confirmation: key, in force, asked for.
    pub pending: Vec<(String, String, String)>,
    /// Every setting that differs, in words.
    pub diff: Vec<String>,
    /// Those of them that only a start takes up.
    pub at_next_start: Vec<String>,
}

/// Compares two configurations. `in_force` are the engine's limits, which may be tighter than those of `before`.
pub fn change(before: &Settings, in_force: &RawRisk, after: &Settings) -> Change {
    let mut change = Change { limits: in_force.clone(), ..Change::default() };
    limits(&mut change, in_force, after.limits.raw());
    strategies(&mut change, &before.strategies, &after.strategies);
    if before.runtime.markets != after.runtime.markets {
        change.markets = Some(after.runtime.markets.clone());
    }
    differences(&mut change, before, after);
    change
}

fn limits(change: &mut Change, in_force: &RawRisk, wanted: &RawRisk) {
    change.pending = in_force
        .loosened_by(wanted)
        .into_iter()
        .map(|one| (format!("risk.{}", one.key), one.from, one.to))
        .collect();
    let tightened = in_force.tightened_by(wanted);
    // A mixture of two valid sets can break a rule that each of them keeps: then nothing of it applies.
    if tightened != *in_force
        && RiskLimits::try_from(&tightened).is_ok()
        && let Ok(toml) = toml::to_string(&tightened)
    {
        change.events.push(ControlEvent::Limits { toml: toml.into() });
        change.limits = tightened;
    }
}

fn strategies(
    change: &mut Change,
    before: &[(StrategyId, String)],
    after: &[(StrategyId, String)],
) {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) = (
        before.iter().map(|(id, toml)| (*id, toml)).collect(),
        after.iter().map(|(id, toml)| (*id, toml)).collect(),
    );
    for (id, toml) in &new {
        match old.get(id) {
            Some(before) if before == toml => {}
            Some(_) => {
                let toml = Arc::from(toml.as_str());
                change.events.push(ControlEvent::Params { strategy: *id, toml });
            }
            None => change.at_next_start.push(begins(id)),
        }
    }
    for id in old.keys().filter(|id| !new.contains_key(id)) {
        change.events.push(ControlEvent::Strategy { id: *id, run: false });
    }
}

fn begins(id: &StrategyId) -> String {
    format!("strategy {id} begins at the next start")
}

fn differences(change: &mut Change, before: &Settings, after: &Settings) {
    let kinds: Vec<String> =
        after.strategies.iter().map(|(id, _)| format!("{}.", id.kind())).collect();
    for (key, (value, _)) in &after.lines {
        let old = before.lines.get(key).map(|(value, _)| value.as_str());
        if old == Some(value) {
            continue;
        }
        let text = format!("{key}: {} -> {value}", old.unwrap_or("not set"));
        let live = LIVE.iter().any(|section| key.starts_with(section))
            || kinds.iter().any(|kind| key.starts_with(kind))
            || key == "run.strategies";
        if !live {
            change.at_next_start.push(text.clone());
        }
        change.diff.push(text);
    }
    for key in before.lines.keys().filter(|key| !after.lines.contains_key(*key)) {
        change.diff.push(format!("{key}: not set any more"));
    }
}

/// Reads the configuration anew.
pub type Load = Box<dyn Fn() -> Result<Settings, Vec<Problem>> + Send>;

/// An order to the reloader.
#[derive(Debug)]
pub enum Order {
    /// Read the files now.
    Reload,
    /// A person confirms the looser limits; answered with what is in force from now on, or why not.
    Confirm(oneshot::Sender<Result<Vec<String>, String>>),
}

/// Takes up changes.
pub struct Reloader {
    /// Reads the files.
    pub load: Load,
    /// What the process was started with.
    pub begun: Settings,
    /// What is in force, but for limits.
    pub settings: Settings,
    /// Limits in force.
    pub limits: RawRisk,
    /// The engine's thread.
    pub inbox: Inbox,
    /// Discovery.
    pub markets: watch::Sender<MarketSettings>,
    /// What is shown.
    pub state: Arc<ArcSwap<ConfigState>>,
    /// Strategies that were taken out since the start: only a start lets them begin again.
    pub stopped: BTreeSet<StrategyId>,
}

impl Reloader {
    /// Shows the limits that wait since the start: a restart is no way around a confirmation.
    pub fn begin(&mut self) {
        let pending = change(&self.settings, &self.limits, &self.settings).pending;
        let mut state = ConfigState::clone(&self.state.load());
        state.pending = pending;
        self.state.store(Arc::new(state));
    }

    /// Works until every sender of orders is gone.
    pub async fn run(&mut self, orders: &mut mpsc::Receiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Reload => self.reload(),
                Order::Confirm(reply) => {
                    match self.confirm() {
                        // Other orders do not wait for the disk.
                        Ok((done, durable)) => {
                            tokio::spawn(async move { reply.send(confirmed(done, durable).await) });
                        }
                        Err(why) => {
                            let _ = reply.send(Err(why));
                        }
                    }
                }
            }
        }
    }

    /// Reads the files and takes up what changed.
    pub fn reload(&mut self) {
        let mut state = ConfigState::clone(&self.state.load());
        match (self.load)() {
            Err(problems) => {
                state.refused = problems.iter().map(ToString::to_string).collect();
                for problem in &state.refused {
                    tracing::error!(%problem, "the changed configuration is refused; the old one stays");
                }
            }
            Ok(settings) => {
                let change = change(&self.settings, &self.limits, &settings);
                state.refused.clear();
                self.take(settings, change, &mut state);
            }
        }
        self.state.store(Arc::new(state));
    }

    fn take(&mut self, settings: Settings, change: Change, state: &mut ConfigState) {
        state.pending.clone_from(&change.pending);
        if change.diff.is_empty() {
            return;
        }
        state.reloads += 1;
        for line in &change.diff {
            tracing::warn!(change = %line, "the configuration changed");
        }
        for line in &change.at_next_start {
            tracing::warn!(change = %line, "only the next start takes this up");
        }
        for (key, from, to) in &change.pending {
            tracing::warn!(%key, %from, %to, "a looser limit waits for `desk limits confirm`");
        }
        for event in change.events {
            if let ControlEvent::Strategy { id, run: false } = &event {
                self.stopped.insert(*id);
            }
            if let Err(error) = self.inbox.send(Request::Control(event)) {
                tracing::error!(%error, "a change did not reach the engine");
                return;
            }
        }
        if let Some(markets) = change.markets {
            self.markets.send_replace(markets);
        }
        self.limits = change.limits;
        self.settings = settings;
        state.at_next_start = self.waiting();
    }

    /// What the next start takes up: compared with what runs, for a change that was taken back waits no longer.
    fn waiting(&self) -> Vec<String> {
        let mut change = Change::default();
        differences(&mut change, &self.begun, &self.settings);
        let running = |id: &StrategyId| {
            self.begun.strategies.iter().any(|(begun, _)| begun == id) && !self.stopped.contains(id)
        };
        let ids = self.settings.strategies.iter().map(|(id, _)| id);
        let begins = ids.filter(|id| !running(id)).map(begins);
        begins.chain(change.at_next_start).collect()
    }

    /// The looser limits of the configuration apply from now on.
    ///
    /// # Errors
    /// Nothing waits, or the engine cannot be reached.
    fn confirm(&mut self) -> Result<(Vec<String>, Durable), String> {
        let wanted = self.settings.limits.raw().clone();
        let loosened = self.limits.loosened_by(&wanted);
        if loosened.is_empty() {
            return Err("no looser limit waits for a confirmation".to_owned());
        }
        let toml = toml::to_string(&wanted).map_err(|error| error.to_string())?;
        let event = ControlEvent::Limits { toml: toml.into() };
        let (durable, answer) = oneshot::channel();
        let request = Request::Operator { event, durable };
        self.inbox.send(request).map_err(|error| error.to_string())?;
        self.limits = wanted;
        let done: Vec<String> = loosened
            .iter()
            .map(|one| format!("risk.{}: {} -> {}", one.key, one.from, one.to))
            .collect();
        for line in &done {
            tracing::warn!(change = %line, "a looser limit was confirmed and is in force");
        }
        let mut state = ConfigState::clone(&self.state.load());
        state.pending.clear();
        self.state.store(Arc::new(state));
        Ok((done, answer))
    }
}

/// Whether an act of a person is durable.
type Durable = oneshot::Receiver<Result<(), String>>;

/// A person is answered when the confirmation survives the loss of power.
async fn confirmed(done: Vec<String>, durable: Durable) -> Result<Vec<String>, String> {
    match durable.await {
        Ok(Ok(())) => Ok(done),
        Ok(Err(why)) => Err(why),
        Err(_) => Err("the engine ended before the confirmation was durable".to_owned()),
    }
}

/// Watches the folders of the files and orders a reload when one of them changed. The handle keeps the watch.
///
/// # Errors
/// A folder cannot be watched.
pub fn watch_files(
    files: &[PathBuf],
    orders: mpsc::Sender<Order>,
) -> Result<notify::RecommendedWatcher, notify::Error> {
    use notify::Watcher as _;
    let names: Vec<PathBuf> = files.iter().map(|file| whole(file)).collect();
    let (changed, mut changes) = mpsc::channel(1);
    let ours = names.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let touched = |event: &notify::Event| {
            !event.kind.is_access() && event.paths.iter().any(|path| ours.contains(&whole(path)))
        };
        // An error may hide a change: the files are read once more than needed.
        if event.as_ref().map_or(true, touched) {
            let _ = changed.try_send(());
        }
    })?;
    let mut folders: Vec<&Path> = names.iter().filter_map(|name| name.parent()).collect();
    folders.sort();
    folders.dedup();
    for folder in folders {
        // The folder, for editors replace a file by renaming another one.
        watcher.watch(folder, notify::RecursiveMode::NonRecursive)?;
    }
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            while changes.try_recv().is_ok() {}
            if orders.send(Order::Reload).await.is_err() {
                return;
            }
        }
    });
    Ok(watcher)
}

/// The path with its folder resolved, so that both spellings of a file are equal.
fn whole(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    match (folder, path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use polydesk_settings::Layer;

    use super::*;

    fn settings(flags: &[(&str, &str)]) -> Settings {
        let flags = flags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned(), "--test".to_owned()));
        Settings::load(&[Layer::flags(flags.collect())]).unwrap()
    }

    fn names(change: &Change) -> Vec<String> {
        let name = |event: &ControlEvent| match event {
            ControlEvent::Limits { .. } => "limits".to_owned(),
            ControlEvent::Params { strategy, .. } => format!("params {strategy}"),
            ControlEvent::Strategy { id, run } => format!("strategy {id} {run}"),
            other => format!("{other:?}"),
        };
        change.events.iter().map(name).collect()
    }

    /// Changed keys; events, keys that wait, whether discovery changes, how many wait for a start.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str], bool, usize);

    #[test]
    fn each_kind_of_change_takes_its_way() {
        let before = settings(&[]);
        let cases: &[Case<'_>] = &[
            (&[], &[], &[], false, 0),
            (&[("risk.max_order_usd", "50")], &["limits"], &[], false, 0),
            (&[("risk.max_order_usd", "500")], &[], &["risk.max_order_usd"], false, 0),
            (
                &[("risk.max_order_usd", "500"), ("risk.max_market_usd", "200")],
                &["limits"],
                &["risk.max_order_usd"],
                false,
                0,
            ),
            (&[("stink_bidder.ttl_secs", "30")], &["params stink_bidder"], &[], false, 0),
            (
                &[("run.strategies", "[\"arb_scanner\"]")],
                &["strategy stink_bidder false"],
                &[],
                false,
                0,
            ),
            (&[("markets.most", "7")], &[], &[], true, 0),
            (&[("exchange.starting_cash", "7")], &[], &[], false, 1),
            (&[("health.listen", "\"\"")], &[], &[], false, 1),
        ];
        for (flags, events, pending, markets, next) in cases {
            let change = change(&before, before.limits.raw(), &settings(flags));
            assert_eq!(names(&change), *events, "{flags:?}");
            let waiting: Vec<&str> = change.pending.iter().map(|(key, ..)| key.as_str()).collect();
            assert_eq!(waiting, *pending, "{flags:?}");
            assert_eq!(change.markets.is_some(), *markets, "{flags:?}");
            assert_eq!(change.at_next_start.len(), *next, "{flags:?}");
            assert_eq!(change.diff.len(), flags.len(), "{:?}", change.diff);
        }
    }

    #[test]
    fn a_looser_limit_waits_through_every_reload_until_it_is_confirmed() {
        let (inbox, mut requests) = Inbox::new();
        let before = settings(&[]);
        let (markets, _watched) = watch::channel(before.runtime.markets.clone());
        let loose = settings(&[("risk.max_order_usd", "500")]);
        let answers = std::sync::Mutex::new(vec![
            Ok(settings(&[("risk.max_order_usd", "500"), ("risk.max_market_usd", "200")])),
            Err(vec![]),
            Ok(loose),
        ]);
        let load = move || answers.lock().unwrap().pop().unwrap();
        let mut reloader = Reloader {
            load: Box::new(load),
            limits: before.limits.raw().clone(),
            begun: before.clone(),
            settings: before,
            inbox,
            markets,
            state: Arc::default(),
            stopped: BTreeSet::new(),
        };
        let limits = |requests: &mut mpsc::Receiver<Request>| {
            let mut found = Vec::new();
            while let Ok(request) = requests.try_recv() {
                let (Request::Control(event) | Request::Operator { event, .. }) = request else {
                    panic!("{request:?}")
                };
                let ControlEvent::Limits { toml } = event else { panic!("{event:?}") };
                let raw: RawRisk = toml::from_str(&toml).unwrap();
                found.push((raw.max_order_usd.to_string(), raw.max_market_usd.to_string()));
            }
            found
        };
        let pair = |order: &str, market: &str| (order.to_owned(), market.to_owned());
        reloader.reload();
        assert_eq!(limits(&mut requests), []);
        assert_eq!(reloader.state.load().pending.len(), 1);
        // A broken file changes nothing, and what waits goes on waiting.
        reloader.reload();
        assert_eq!(reloader.state.load().pending.len(), 1);
        reloader.reload();
        assert_eq!(limits(&mut requests), [pair("100.00", "200.00")]);
        assert_eq!(reloader.confirm().unwrap().0, ["risk.max_order_usd: 100.00 -> 500.00"]);
        assert_eq!(limits(&mut requests), [pair("500.00", "200.00")]);
        assert!(reloader.state.load().pending.is_empty());
        assert!(reloader.confirm().is_err());
    }

    /// A reloader whose files say in turn what is given; requests that nobody reads.
    fn reloader(
        turns: Vec<Vec<(&'static str, &'static str)>>,
    ) -> (Reloader, mpsc::Receiver<Request>) {
        let (inbox, requests) = Inbox::new();
        let before = settings(&[]);
        let (markets, _) = watch::channel(before.runtime.markets.clone());
        let turns = std::sync::Mutex::new(turns.into_iter());
        let load = move || Ok(settings(&turns.lock().unwrap().next().unwrap()));
        let reloader = Reloader {
            load: Box::new(load),
            limits: before.limits.raw().clone(),
            begun: before.clone(),
            settings: before,
            inbox,
            markets,
            state: Arc::default(),
            stopped: BTreeSet::new(),
        };
        (reloader, requests)
    }

    #[test]
    fn what_the_next_start_takes_up_is_compared_with_what_runs_not_with_the_last_reload() {
        let cash = vec![("exchange.starting_cash", "7")];
        let turns = vec![cash.clone(), vec![], cash.clone(), vec![("exchange.starting_cash", "8")]];
        let (mut reloader, _requests) = reloader(turns);
        reloader.begin();
        for want in [&["7"][..], &[], &["7"], &["8"]] {
            reloader.reload();
            let state = reloader.state.load();
            let ends: Vec<_> =
                state.at_next_start.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
            assert_eq!(ends, want, "{:?}", state.at_next_start);
            assert!(state.at_next_start.iter().all(|line| line.contains(": 1000 -> ")));
        }
    }

    #[test]
    fn a_strategy_that_is_taken_out_and_put_back_waits_for_a_start_and_that_is_shown() {
        let without = vec![("run.strategies", "[\"arb_scanner\"]")];
        let (mut reloader, _requests) = reloader(vec![without.clone(), vec![], without]);
        reloader.begin();
        reloader.reload();
        assert!(reloader.state.load().at_next_start.is_empty());
        reloader.reload();
        let waits = reloader.state.load().at_next_start.clone();
        assert_eq!(waits, ["strategy stink_bidder begins at the next start"]);
        reloader.reload();
        assert!(reloader.state.load().at_next_start.is_empty(), "it is out again");
    }

    #[test]
    fn a_looser_limit_that_is_taken_back_waits_no_longer() {
        let (mut reloader, mut requests) =
            reloader(vec![vec![("risk.max_order_usd", "500")], vec![]]);
        reloader.begin();
        reloader.reload();
        assert_eq!(reloader.state.load().pending.len(), 1);
        reloader.reload();
        assert!(reloader.state.load().pending.is_empty());
        assert!(reloader.confirm().is_err());
        assert!(requests.try_recv().is_err());
    }

    #[test]
    fn a_change_that_the_engine_did_not_get_is_taken_up_by_the_next_reload() {
        let tighter = vec![("risk.max_order_usd", "50")];
        let (mut reloader, mut requests) = reloader(vec![tighter.clone(), tighter]);
        reloader.begin();
        for _ in 0..crate::inbox::CAPACITY {
            reloader.inbox.send(Request::Control(ControlEvent::Timer)).unwrap();
        }
        reloader.reload();
        while requests.try_recv().is_ok() {}
        reloader.reload();
        let limits =
            |request: &Request| matches!(request, Request::Control(ControlEvent::Limits { .. }));
        assert!(requests.try_recv().is_ok_and(|request| limits(&request)));
    }
}
