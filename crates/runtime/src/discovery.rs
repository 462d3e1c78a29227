//! Which markets are followed, and what changes about them.
//!
//! Gamma is read as a whole every minute, and the markets that are held, quoted or about to end every few seconds.
//! A market is listed with the CLOB's own parameters; one that cannot be understood is refused with the reason and
//! asked again later. A neg-risk group is completed from its event, so that a basket over it can be complete.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use polydesk_domain::{
    Cause, ConditionId, ControlEvent, Market, MarketKey, MarketState, Operator, OperatorCommand,
    Outcome, Token, TokenId,
};
use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::gamma::{
    EventStub, Gamma, GammaEvent, GammaMarket, Scope, Tag, TakerDelays,
};
use polydesk_polymarket_api::ws::MarketFeed;
use polydesk_settings::MarketSettings;
use tokio::sync::{mpsc, watch};

use crate::clock::EngineClock;
use crate::decisions::{plain, shown};
use crate::glance::Shared;
use crate::inbox::{Inbox, Request};
use crate::select::{admit, named};

/// Requests for market parameters under way at once.
const ASKING: usize = 8;
/// Rows of Gamma read for one scan at most: they come by volume, so what follows is smaller still.
const ROWS: usize = 20_000;

/// Rows that are chosen before their parameters are asked for.
const CHUNK: usize = 100;
/// Followed groups whose events are read again in one scan at most; the next scan goes on behind them.
const GROUPS: usize = 100;
/// Markets that were over and left that are remembered: Gamma lists them as open for a while at most.
const LEFT: usize = 1_000;

/// Rows of a scan that passed the filters.
#[derive(Default)]
struct Chosen {
    /// Not listed yet.
    rows: Vec<GammaMarket>,
    /// Condition ids of all rows of this scan: a market with two tags comes twice.
    seen: BTreeSet<String>,
    /// Condition ids of those whose parameters were asked for, members of groups among them.
    listed: BTreeSet<String>,
    /// Slugs of the events whose groups were completed.
    events: BTreeSet<String>,
}

impl Chosen {
    fn add(&mut self, row: GammaMarket) {
        if self.seen.insert(row.condition_id.clone()) {
            self.rows.push(row);
        }
    }
}

/// A market that is followed.
#[derive(Debug, Clone)]
struct Known {
    key: MarketKey,
    market: Arc<Market>,
    state: MarketState,
    /// [`Market::rules`] as they were last read.
    rules: Option<u64>,
    resolution: String,
    /// Whether its tokens are on the feed.
    subscribed: bool,
    /// Whether the engine was told that `markets.exclude` names it.
    excluded: bool,
}

/// Discovery with its clients.
pub struct Discovery {
    /// Metadata.
    pub gamma: Gamma,
    /// Parameters of trading.
    pub clob: Clob,
    /// Where tokens are followed.
    pub feed: Arc<MarketFeed>,
    /// The engine's thread.
    pub inbox: Inbox,
    /// What the engine holds.
    pub shared: Arc<Shared>,
    /// Engine time.
    pub clock: EngineClock,
    /// The settings in force; a change is taken up with the next scan.
    pub settings: watch::Receiver<MarketSettings>,
    known: BTreeMap<ConditionId, Known>,
    /// Markets that were refused, with the reason that was logged.
    refused: BTreeMap<ConditionId, String>,
    /// Markets that were over and left: not to be listed again.
    left: VecDeque<ConditionId>,
    /// The event whose group was counted last.
    counted: String,
}

/// What a scan did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Rows read.
    pub rows: usize,
    /// Newly followed.
    pub listed: usize,
    /// Refused because something about them is not understood.
    pub refused: usize,
}

impl Discovery {
    /// Nothing followed yet.
    pub fn new(
        gamma: Gamma,
        clob: Clob,
        feed: Arc<MarketFeed>,
        inbox: Inbox,
        shared: Arc<Shared>,
        clock: EngineClock,
        settings: watch::Receiver<MarketSettings>,
    ) -> Discovery {
        Discovery {
            gamma,
            clob,
            feed,
            inbox,
            shared,
            clock,
            settings,
            known: BTreeMap::new(),
            refused: BTreeMap::new(),
            left: VecDeque::new(),
            counted: String::new(),
        }
    }

    /// Takes over markets that the engine knows from an earlier run.
    pub fn adopt(&mut self, listed: Vec<(MarketKey, Arc<Market>)>) {
        for (key, market) in listed {
            let state = market.state;
            let known = Known {
                key,
                market: Arc::clone(&market),
                state,
                // A text that changed while nothing ran is noticed by the first reading.
                rules: market.rules,
                resolution: String::new(),
                subscribed: false,
                excluded: false,
            };
            self.subscribe(&known);
            self.known.insert(market.condition, Known { subscribed: true, ..known });
        }
    }

    /// How many markets are followed.
    pub fn followed(&self) -> usize {
        self.known.len()
    }

    /// Scans and watches for ever. `created` names markets that were just created; the next scan finds them.
    pub async fn run(&mut self, created: &mut mpsc::Receiver<ConditionId>) {
        let settings = self.settings.borrow().clone();
        let mut scan = every(u64::from(settings.refresh_secs));
        let mut watch = every(u64::from(settings.watch_secs));
        // The first scan is made by the start.
        scan.tick().await;
        loop {
            tokio::select! {
                biased;
                changed = self.settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let settings = self.settings.borrow().clone();
                    scan = every(u64::from(settings.refresh_secs));
                    watch = every(u64::from(settings.watch_secs));
                }
                _ = watch.tick() => {
                    if let Err(error) = self.watch().await {
                        tracing::warn!(%error, "markets in use could not be read again");
                    }
                }
                _ = scan.tick() => {
                    if let Err(error) = self.scan().await {
                        tracing::warn!(%error, "markets could not be discovered; trying again");
                    }
                }
                Some(_) = created.recv() => {
                    // The CLOB takes minutes to know a new market: the next scan finds it, or the one after.
                    while created.try_recv().is_ok() {}
                }
            }
        }
    }

    /// Reads Gamma once and follows what passes the filters.
    ///
    /// # Errors
    /// Gamma could not be read.
    pub async fn scan(&mut self) -> Result<Scanned, ApiError> {
        let settings = self.settings.borrow().clone();
        let now = self.clock.now();
        let mut done = Scanned::default();
        let mut chosen = Chosen::default();
        for row in self.included(&settings).await {
            if admit(&row, &settings, now).is_ok() {
                chosen.add(row);
            }
        }
        // The highest volume comes first, and is traded while the rest is still being read.
        for (filters, tag) in self.queries(&settings).await? {
            let gamma = self.gamma.clone();
            let mut rows = std::pin::pin!(gamma.markets(filters));
            let mut read = 0;
            while let Some(row) = rows.next().await {
                let mut row = match row {
                    Ok(row) => row,
                    // One odd row must not hide the others.
                    Err(error @ ApiError::BadRow { .. }) => {
                        (read, done.rows, done.refused) =
                            (read + 1, done.rows + 1, done.refused + 1);
                        tracing::info!(%error, "a row of Gamma is left out");
                        continue;
                    }
                    Err(error) => {
                        // What was read until then is good.
                        self.take(&mut chosen, &settings, &mut done).await;
                        return Err(error);
                    }
                };
                (read, done.rows) = (read + 1, done.rows + 1);
                if let Some(tag) = &tag {
                    row.tags.push(Tag { slug: tag.clone(), ..Tag::default() });
                }
                if admit(&row, &settings, now).is_ok() {
                    chosen.add(row);
                }
                if chosen.rows.len() >= CHUNK {
                    self.take(&mut chosen, &settings, &mut done).await;
                }
                if read >= ROWS || self.known.len() >= settings.most as usize {
                    break;
                }
            }
        }
        self.take(&mut chosen, &settings, &mut done).await;
        self.count_groups(&mut chosen, &settings, &mut done).await;
        Ok(done)
    }

    /// Follows what was chosen, while there is room: a refused market leaves its room to the next one. Only the rest
    /// of a group goes beyond.
    async fn take(&mut self, chosen: &mut Chosen, settings: &MarketSettings, done: &mut Scanned) {
        let mut rows = core::mem::take(&mut chosen.rows).into_iter();
        loop {
            let room = (settings.most as usize).saturating_sub(self.known.len());
            let mut next = Vec::new();
            while next.len() < room
                && let Some(row) = rows.next()
            {
                if self.is_new(&row) {
                    self.with_group(row, chosen, settings, done, &mut next).await;
                }
            }
            if next.is_empty() {
                return;
            }
            self.list(next, done).await;
        }
    }

    /// Markets that `markets.include` names. One that Gamma does not give hides no other.
    async fn included(&self, settings: &MarketSettings) -> Vec<GammaMarket> {
        let (ids, slugs): (Vec<_>, Vec<_>) =
            settings.include.iter().partition(|name| name.starts_with("0x"));
        let mut found = Vec::new();
        for slug in slugs {
            match self.gamma.market_by_slug(slug).await {
                Ok(market) => found.push(market),
                Err(error) => {
                    tracing::warn!(slug, %error, "markets.include names a market that Gamma does not give");
                }
            }
        }
        let ids: Vec<ConditionId> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if ids.is_empty() {
            return found;
        }
        match self.gamma.markets_by_condition(&ids, Scope::Open).await {
            Ok(named) => {
                for id in &named.missing {
                    tracing::warn!(%id, "markets.include names a market that Gamma does not list as open");
                }
                found.extend(named.markets);
            }
            Err(error) => tracing::warn!(%error, "Gamma does not give what markets.include names"),
        }
        found
    }

    /// The requests of a scan with the tag that their rows have.
    async fn queries(
        &self,
        settings: &MarketSettings,
    ) -> Result<Vec<(Vec<(String, String)>, Option<String>)>, ApiError> {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let mut base = vec![
            pair("active", "true"),
            pair("closed", "false"),
            pair("order", "volume24hr"),
            pair("ascending", "false"),
        ];
        let whole = settings.min_liquidity_usd.micros() / 1_000_000;
        if whole > 0 {
            base.push(("liquidity_num_min".to_owned(), whole.to_string()));
        }
        if settings.tags.is_empty() {
            return Ok(vec![(base, None)]);
        }
        let mut queries = Vec::new();
        for slug in &settings.tags {
            let tag = match self.gamma.tag_by_slug(slug).await {
                Ok(tag) => tag,
                // A misspelt tag hides the markets of no other one.
                Err(error @ (ApiError::NotFound(_) | ApiError::Refused { .. })) => {
                    tracing::warn!(slug, %error, "markets.tags names a tag that Gamma does not know");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut filters = base.clone();
            filters.push(("tag_id".to_owned(), tag.id));
            queries.push((filters, Some(slug.clone())));
        }
        Ok(queries)
    }

    fn is_new(&self, row: &GammaMarket) -> bool {
        match row.condition_id.parse::<ConditionId>() {
            Ok(condition) => {
                !self.known.contains_key(&condition) && !self.left.contains(&condition)
            }
            Err(_) => true,
        }
    }

    /// Adds a row with all members of its neg-risk group, and how many members the group has.
    async fn with_group(
        &mut self,
        row: GammaMarket,
        chosen: &mut Chosen,
        settings: &MarketSettings,
        done: &mut Scanned,
        rows: &mut Vec<(GammaMarket, Option<u32>)>,
    ) {
        let event = row.events.first().filter(|_| row.neg_risk == Some(true));
        let Some(event) = event.map(|event| event.slug.clone()) else {
            if chosen.listed.insert(row.condition_id.clone()) {
                rows.push((row, None));
            }
            return;
        };
        if !chosen.events.insert(event.clone()) {
            return;
        }
        match self.gamma.event_by_slug(&event).await {
            Ok(event) if event.markets.iter().any(|one| one.condition_id == row.condition_id) => {
                self.group(&event, chosen, settings, rows).await;
            }
            Ok(_) => {
                done.refused += 1;
                self.refuse(&row, "its event does not name it".to_owned());
            }
            // Without its event no count of a group is known. Other groups do not wait for it.
            Err(error) => {
                done.refused += 1;
                self.refuse(&row, format!("its event could not be read: {error}"));
            }
        }
    }

    /// Adds the members of an event's groups that are not followed yet, and lists those again whose group has
    /// another number of members now.
    async fn group(
        &mut self,
        event: &GammaEvent,
        chosen: &mut Chosen,
        settings: &MarketSettings,
        rows: &mut Vec<(GammaMarket, Option<u32>)>,
    ) {
        for (member, count) in group_members(event) {
            if self.is_new(&member) {
                // An excluded member leaves its group incomplete: the count holds it.
                let excluded = named(&settings.exclude, &member);
                if !excluded && chosen.listed.insert(member.condition_id.clone()) {
                    rows.push((member, Some(count)));
                }
            } else if let Ok(condition) = member.condition_id.parse() {
                self.recount(condition, count).await;
            }
        }
    }

    /// Lists a followed market again whose group has another number of members now.
    async fn recount(&mut self, condition: ConditionId, count: u32) {
        let Some(known) = self.known.get(&condition) else { return };
        let Some(group) = &known.market.neg_risk else { return };
        if group.members == Some(count) {
            return;
        }
        let slug = plain(&known.market.slug);
        tracing::warn!(market = %slug, from = ?group.members, to = count, "a group has another number of outcomes");
        let mut market = Market::clone(&known.market);
        if let Some(group) = &mut market.neg_risk {
            group.members = Some(count);
        }
        self.list_again(condition, market).await;
    }

    /// Counts the members of followed groups again, those that were counted longest ago first: outcomes appear one by
    /// one while an event is made, and a basket over some of them is no basket.
    async fn count_groups(
        &mut self,
        chosen: &mut Chosen,
        settings: &MarketSettings,
        done: &mut Scanned,
    ) {
        let followed: BTreeSet<&String> = self
            .known
            .values()
            .filter(|known| known.market.neg_risk.is_some() && !known.market.event.is_empty())
            .map(|known| &known.market.event)
            .collect();
        let behind = followed.iter().filter(|event| **event > &self.counted);
        let before = followed.iter().filter(|event| **event <= &self.counted);
        let due: Vec<String> =
            behind.chain(before).take(GROUPS).map(|one| (*one).clone()).collect();
        if let Some(last) = due.last() {
            self.counted.clone_from(last);
        }
        let due = due.into_iter().filter(|event| chosen.events.insert(event.clone()));
        let gamma = &self.gamma.clone();
        let ask = |slug: String| async move {
            let event = gamma.event_by_slug(&slug).await;
            (slug, event)
        };
        // Side by side: what is held is watched by the same task.
        let events = futures_util::stream::iter(due.collect::<Vec<_>>()).map(ask);
        let events: Vec<_> = events.buffered(ASKING).collect().await;
        let mut rows = Vec::new();
        for (event, answer) in events {
            match answer {
                Ok(event) => self.group(&event, chosen, settings, &mut rows).await,
                Err(error) => {
                    let event = plain(&event);
                    tracing::warn!(%event, %error, "the outcomes of a followed group could not be counted");
                }
            }
        }
        self.list(rows, done).await;
    }

    /// Asks the CLOB for each market's parameters, lists it and follows its tokens.
    async fn list(&mut self, rows: Vec<(GammaMarket, Option<u32>)>, done: &mut Scanned) {
        let clob = &self.clob.clone();
        let converted = futures_util::stream::iter(rows)
            .map(|(row, members)| async move {
                let market = convert(clob, &row, members).await;
                (row, market)
            })
            .buffered(ASKING);
        let mut converted = std::pin::pin!(converted);
        // A market is listed as soon as its own parameters are read.
        while let Some((row, market)) = converted.next().await {
            match market {
                Ok(market) => {
                    let condition = market.condition;
                    if self.follow(market, &row).await {
                        done.listed += 1;
                        self.refused.remove(&condition);
                    }
                }
                Err(reason) => {
                    done.refused += 1;
                    self.refuse(&row, reason);
                }
            }
        }
    }

    fn refuse(&mut self, row: &GammaMarket, reason: String) {
        let Ok(condition) = row.condition_id.parse::<ConditionId>() else { return };
        if self.refused.get(&condition) != Some(&reason) {
            tracing::info!(market = %plain(&row.slug), %reason, "a market is not traded");
            if self.refused.len() < ROWS {
                self.refused.insert(condition, reason);
            }
        }
    }

    async fn follow(&mut self, market: Market, row: &GammaMarket) -> bool {
        let (market, state) = (Arc::new(market), row.state());
        let key = match self.inbox.list(Arc::clone(&market)).await {
            Ok(key) => key,
            Err(reason) => {
                self.refuse(row, reason);
                return false;
            }
        };
        let trades = !matches!(state, MarketState::Resolved(_) | MarketState::Closed);
        let known = Known {
            key,
            market: Arc::clone(&market),
            state,
            rules: row.rules(),
            resolution: row.uma_resolution_status.clone(),
            subscribed: trades,
            excluded: false,
        };
        if trades {
            self.subscribe(&known);
        }
        self.known.insert(market.condition, known);
        true
    }

    fn subscribe(&self, known: &Known) {
        let tokens = Outcome::BOTH.map(|outcome| -> (TokenId, Token) {
            (known.market.tokens[outcome.index()], known.key.token(outcome))
        });
        self.feed.subscribe(tokens.to_vec());
    }

    /// Reads the markets again that are held, quoted or about to end, and reports what changed.
    ///
    /// # Errors
    /// Gamma could not be read.
    pub async fn watch(&mut self) -> Result<(), ApiError> {
        // What is known is done first: it waits for no answer.
        self.exclude();
        self.leave().await;
        self.read_again().await?;
        self.leave().await;
        Ok(())
    }

    async fn read_again(&mut self) -> Result<(), ApiError> {
        let now = self.clock.now();
        let glance = self.shared.glance();
        let in_use: BTreeSet<ConditionId> = (*glance)
            .as_ref()
            .map(|glance| glance.in_use.iter().copied().collect())
            .unwrap_or_default();
        let ending = |known: &Known| {
            !known.state.trades() || known.market.closes.is_some_and(|closes| closes <= now)
        };
        let due: Vec<ConditionId> = self
            .known
            .iter()
            .filter(|(condition, known)| in_use.contains(condition) || ending(known))
            .map(|(condition, _)| *condition)
            .collect();
        if !due.is_empty() {
            let read = self.gamma.markets_by_condition(&due, Scope::OpenAndClosed).await?;
            for id in &read.missing {
                tracing::error!(%id, "a market in use is missing from Gamma's answer, or cannot be read");
            }
            for row in read.markets {
                let Ok(condition) = row.condition_id.parse::<ConditionId>() else { continue };
                self.changed(condition, &row, in_use.contains(&condition)).await;
            }
        }
        Ok(())
    }

    /// Markets that `markets.exclude` names get no new exposure from now on, and leave when they are flat.
    fn exclude(&mut self) {
        let settings = self.settings.borrow();
        if settings.exclude.is_empty() {
            return;
        }
        for known in self.known.values_mut() {
            let (slug, condition) = (&known.market.slug, known.market.condition.to_string());
            let hit = |name: &String| {
                name.eq_ignore_ascii_case(slug) || name.eq_ignore_ascii_case(&condition)
            };
            if known.excluded || !settings.exclude.iter().any(hit) {
                continue;
            }
            let slug = plain(slug);
            tracing::warn!(market = %slug, "markets.exclude names a followed market: it is left");
            let detail = format!("markets.exclude names {slug}: nothing is bought, exits go on");
            let cause = Cause::Flattened(known.key);
            let blocker = ControlEvent::Blocker { cause, on: true, detail };
            let cancel = ControlEvent::Operator(Operator {
                by: "markets.exclude".to_owned(),
                why: String::new(),
                key: String::new(),
                command: OperatorCommand::CancelMarket(Some(known.key)),
            });
            known.excluded = [blocker, cancel]
                .into_iter()
                .all(|event| self.inbox.send(Request::Control(event)).is_ok());
        }
    }

    /// What a new reading of a market changes.
    async fn changed(&mut self, condition: ConditionId, row: &GammaMarket, in_use: bool) {
        let Some(known) = self.known.get_mut(&condition) else { return };
        let slug = shown(&known.market);
        if row.uma_resolution_status != known.resolution {
            let (from, to) = (&known.resolution, &row.uma_resolution_status);
            tracing::warn!(market = %slug, %from, %to, "the resolution of a market moved");
            known.resolution.clone_from(&row.uma_resolution_status);
        }
        let rules = row.rules();
        if known.rules.is_some() && rules.is_some() && rules != known.rules {
            tracing::error!(market = %slug, in_use, "the rules of a market changed");
            if in_use {
                let detail = format!(
                    "the rules text of {slug} changed: read it, then `desk release market/{slug}`"
                );
                let blocker =
                    ControlEvent::Blocker { cause: Cause::Market(known.key), on: true, detail };
                if let Err(error) = self.inbox.send(Request::Control(blocker)) {
                    // The old text stays known: the next reading freezes the market.
                    tracing::error!(market = %slug, %error, "a freeze did not reach the engine");
                    return;
                }
            }
        }
        known.rules = rules.or(known.rules);
        let state = row.state();
        if state != known.state {
            tracing::info!(market = %slug, from = known.state.name(), to = state.name(), "the state of a market changed");
            if let Err(error) = self.inbox.send(Request::State { condition, state }) {
                tracing::error!(market = %slug, %error, "a state did not reach the engine");
                return;
            }
            known.state = state;
        }
        if state.trades() {
            self.relist(condition, row, in_use).await;
        }
    }

    /// Lists a market again whose facts changed.
    async fn relist(&mut self, condition: ConditionId, row: &GammaMarket, in_use: bool) {
        let Some(known) = self.known.get(&condition) else { return };
        let before = Arc::clone(&known.market);
        let members = before.neg_risk.as_ref().and_then(|group| group.members);
        let after = match convert(&self.clob, row, members).await {
            Ok(market) => Market { rules: market.rules.or(before.rules), ..market },
            Err(reason) => {
                tracing::warn!(market = %shown(&before), %reason, "a market could not be read again");
                return;
            }
        };
        let differences = differences(&before, &after);
        if differences.is_empty() {
            return;
        }
        let what = differences.join("; ");
        if in_use {
            tracing::error!(market = %shown(&before), %what, "facts of a market in use changed");
        } else {
            tracing::info!(market = %shown(&before), %what, "facts of a market changed");
        }
        // The event of a row that was read by its condition may be missing: it does not change.
        let mut after = Market { event: before.event.clone(), ..after };
        if let (true, Some(before), Some(after)) =
            (row.events.is_empty(), &before.neg_risk, &mut after.neg_risk)
        {
            after.augmented = before.augmented;
        }
        self.list_again(condition, after).await;
    }

    async fn list_again(&mut self, condition: ConditionId, market: Market) {
        let market = Arc::new(market);
        if self.inbox.list(Arc::clone(&market)).await.is_ok()
            && let Some(known) = self.known.get_mut(&condition)
        {
            known.market = market;
        }
    }

    /// Takes markets off that are over or excluded, and flat.
    async fn leave(&mut self) {
        let over: Vec<ConditionId> = self
            .known
            .iter()
            .filter(|(_, known)| matches!(known.state, MarketState::Resolved(_)) || known.excluded)
            .map(|(condition, _)| *condition)
            .collect();
        for condition in over {
            let Some(known) = self.known.get_mut(&condition) else { continue };
            // Exits of an excluded market need its book to the end.
            if known.subscribed && !known.excluded {
                known.subscribed = false;
                self.feed.unsubscribe(known.market.tokens.to_vec());
            }
            if matches!(self.inbox.delist(condition).await, Ok(true)) {
                let known = self.known.remove(&condition);
                self.refused.remove(&condition);
                let Some(known) = known else { continue };
                if known.subscribed {
                    self.feed.unsubscribe(known.market.tokens.to_vec());
                }
                if !matches!(known.state, MarketState::Resolved(_)) {
                    continue;
                }
                self.left.push_back(condition);
                if self.left.len() > LEFT {
                    self.left.pop_front();
                }
            }
        }
    }
}

/// The market as trading needs it, with the CLOB's parameters.
async fn convert(clob: &Clob, row: &GammaMarket, members: Option<u32>) -> Result<Market, String> {
    let condition: ConditionId =
        row.condition_id.parse().map_err(|_| "its condition id cannot be read".to_owned())?;
    let over = row.closed;
    let info = match clob.market_info(&condition).await {
        Ok(info) => Some(info),
        // The CLOB may have forgotten a market that is over, and nothing is traded there.
        Err(_) if over => None,
        Err(error) => return Err(format!("the CLOB's parameters did not come: {error}")),
    };
    let mut market = row
        .to_market(info.as_ref(), TakerDelays::default())
        .map_err(|refused| refused.to_string())?;
    if let Some(group) = &mut market.neg_risk {
        group.members = members;
    }
    Ok(market)
}

/// All markets of an event by neg-risk group, with the event's facts in each row and the number of members of
/// its group.
fn group_members(event: &GammaEvent) -> Vec<(GammaMarket, u32)> {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for market in &event.markets {
        *counts.entry(&market.neg_risk_market_id).or_default() += 1;
    }
    let stub = EventStub {
        id: event.id.clone(),
        ticker: event.ticker.clone(),
        slug: event.slug.clone(),
        title: event.title.clone(),
        neg_risk: event.neg_risk,
        enable_neg_risk: event.enable_neg_risk,
        neg_risk_augmented: event.neg_risk_augmented,
        neg_risk_market_id: event.neg_risk_market_id.clone(),
        series_slug: event.series_slug.clone(),
        start_time: event.start_time,
        ..EventStub::default()
    };
    let each = event.markets.iter().map(|market| {
        let mut row = market.clone();
        row.events = vec![stub.clone()];
        let count = counts.get(market.neg_risk_market_id.as_str()).copied().unwrap_or_default();
        (row, count)
    });
    each.collect()
}

/// What an operator should know of changed facts, in words.
fn differences(before: &Market, after: &Market) -> Vec<String> {
    let mut found = Vec::new();
    let mut note = |what: &str, from: String, to: String| {
        if from != to {
            found.push(format!("{what} from {from} to {to}"));
        }
    };
    let end = |market: &Market| market.closes.map_or("none".to_owned(), |end| end.to_string());
    note("end", end(before), end(after));
    note("tick size", before.tick.to_string(), after.tick.to_string());
    note("least order", before.min_size.to_string(), after.min_size.to_string());
    note("fees", format!("{:?}", before.fees), format!("{:?}", after.fees));
    let rules =
        |market: &Market| market.rules.map_or("none".to_owned(), |rules| format!("{rules:016x}"));
    note("rules text", rules(before), rules(after));
    note("taker delay", before.taker_delay.to_string(), after.taker_delay.to_string());
    found
}

fn every(seconds: u64) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(Duration::from_secs(seconds.max(1)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
