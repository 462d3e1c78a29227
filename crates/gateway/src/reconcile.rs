//! Reconciliation: what a pass of reads proves about our orders, fills, shares and cash, and nothing else.
//!
//! An absence in a list is "not open", never "not filled"; a read that finds nothing proves nothing; no reservation is
//! freed by time alone. What stays unclear stays reserved and is asked about.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    AccountEvent, CancelReason, Cash, CashKind, ClientOrderId, ExternalOrder, Finding, MarketKey,
    OrderHash, OrderState, OrderUpdate, Shares, Size, Span, Tif, Time, Token, TokenId, TradeId,
    TradeStatus, Universe, Usdc,
};
use polydesk_polymarket_api::clob::OpenOrder;

use crate::gateway::Gateway;
use crate::logs::DEPTH;
use crate::orders::{OrderEnd, WireOrder};
use crate::output::{Ask, Output};
use crate::reads::{ChainMove, ChainRead, Reads};
use crate::states::finish;

/// What the engine has, as far as reconciliation needs it.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Listed markets.
    pub ids: &'a Universe,
    /// The orders that the engine keeps.
    pub orders: BTreeMap<ClientOrderId, ViewOrder>,
    /// Booked fills with their stage.
    pub fills: BTreeMap<(TradeId, ClientOrderId), TradeStatus>,
    /// When this run began: an order of an earlier one could leave until then.
    pub run_started_at: Time,
    /// The venue is not in a restart or another restricted mode.
    pub normal_mode: bool,
    /// Orders that this bot did not place are cancelled: after a lost tail, or by configuration.
    pub cancel_external: bool,
    /// pUSD of the ledger that is final.
    pub cash: Usdc,
    /// Ten micro-dollars per match of an estimated fill that is not settled; zero where all are.
    pub cash_tolerance: Usdc,
    /// Something that moves cash is under way.
    pub cash_moving: bool,
    /// Final shares by token; a token that is missing is not held.
    pub shares: BTreeMap<Token, Shares>,
    /// Tokens with fills or conversions under way.
    pub moving: BTreeSet<Token>,
    /// Markets whose payout is known.
    pub resolved: BTreeSet<MarketKey>,
    /// When something last moved in a token; missing: not in this run.
    pub moved_at: BTreeMap<Token, Time>,
}

/// One order as the engine has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewOrder {
    /// Its state.
    pub state: OrderState,
    /// Shares of its fills, failed ones too.
    pub matched: Shares,
}

/// A read of the lists says something about an order from this time after our last act on it.
const SETTLE: Span = Span::secs(5);
/// A match can be missing in the trades for this long.
const LATE_MATCH: Span = Span::secs(10);
/// A token is quiet after this long without a movement, and clean rounds are this far apart.
const QUIET: Span = Span::secs(30);
/// An order that left no trace counts as possibly under way for this long in the run that sent it.
const TRACELESS: Span = Span::secs(60);
/// The same after a restart: bytes of a dead process are delivered for minutes.
const TRACELESS_RESTARTED: Span = Span::secs(180);
/// A GTD that left no trace can exist until this long after its expiration.
const EXPIRED: Span = Span::secs(60);
/// Seconds after it could last leave at which an order that left no trace is cancelled by id.
const CANCELS: [i64; 6] = [0, 5, 15, 30, 60, 180];
/// Cancels of one order that only shall show whether it is out of the book.
const MOST_CANCELS: u32 = 6;
/// Rounds in which sources may contradict each other before the token is frozen.
const CONTRADICTIONS: u32 = 5;

/// What a pass proves, without a change of the gateway. The same arguments give the same conclusions.
pub fn reconcile(gateway: &Gateway, view: &View<'_>, reads: &Reads, asked_at: Time) -> Vec<Output> {
    gateway.clone().reconciled(view, reads, asked_at)
}

impl Gateway {
    /// Orders of an earlier run that were decided and never signed: without an entry nothing of them has left. After a
    /// lost tail this does not hold, and they stay reserved.
    pub fn unsigned(&self, view: &View<'_>, lost_tail: bool) -> Vec<Output> {
        let unsigned = |id: &ClientOrderId, order: &ViewOrder| {
            let waits = matches!(order.state, OrderState::Planned | OrderState::Journaled);
            waits && id.run() < self.run() && self.orders.hash(*id).is_none()
        };
        let orders = view.orders.iter().filter(|(id, order)| !lost_tail && unsigned(id, order));
        orders.map(|(id, _)| Output::order(*id, OrderUpdate::Absent)).collect()
    }

    /// Takes in a pass of reads: [`reconcile`], and what it learned is kept. `asked_at` is when the first of its
    /// reads was asked.
    pub fn reconciled(&mut self, view: &View<'_>, reads: &Reads, asked_at: Time) -> Vec<Output> {
        let mut out = Vec::new();
        let listed = reads.listed();
        let last: BTreeSet<OrderHash> =
            reads.open_again.iter().filter_map(OpenOrder::hash).collect();
        // One that the later list does not have any more has ended meanwhile, or slid over a page border.
        let open: Vec<_> = listed.iter().filter(|(hash, _)| last.contains(*hash)).collect();
        let before: BTreeSet<OrderHash> = self.orders.iter().map(|(hash, _)| *hash).collect();
        // The lists have the size of an order that this bot did not place; a trade has only a part of it.
        for (hash, row) in open.iter().filter(|(hash, _)| !before.contains(*hash)) {
            self.found_open(view, (hash, row), asked_at, &mut out);
        }
        self.trades(view, reads, asked_at, &mut out);
        self.found_over(reads, &before, &last, &mut out);
        for (hash, row) in open.iter().filter(|(hash, _)| before.contains(*hash)) {
            self.listed(view, reads, (hash, row), asked_at, &mut out);
        }
        let absent: Vec<OrderHash> = self
            .orders
            .iter()
            .filter(|(hash, order)| {
                let open = |order: &ViewOrder| !order.state.ended();
                !listed.contains_key(hash) && view.orders.get(&order.id).is_some_and(open)
            })
            .map(|(hash, _)| *hash)
            .collect();
        for hash in &absent {
            self.not_listed(view, reads, hash, asked_at, &mut out);
        }
        // What this pass itself found is on the chain, perhaps, and not in the view yet: a later pass compares it.
        let is_fill = |output: &Output| matches!(output, Output::Event(AccountEvent::Trade(_)));
        let found = out.iter().any(is_fill);
        match &reads.chain {
            Some(chain) if chain.proves() && found => {}
            Some(chain) if chain.proves() => on_chain(view, chain, asked_at, &mut out),
            // The venue's balance corrects nothing.
            _ if reads.balance.is_some_and(|there| there != view.cash) => {
                out.push(Output::Ask(Ask::Chain));
            }
            _ => {}
        }
        once(out)
    }

    /// Fills that are not booked, or not in this stage.
    fn trades(&mut self, view: &View<'_>, reads: &Reads, at: Time, out: &mut Vec<Output>) {
        for trade in reads.trades.iter() {
            for output in self.trade(view.ids, trade, at) {
                let known = match &output {
                    Output::Event(AccountEvent::Trade(own)) => {
                        let booked = view.fills.get(&(own.trade, own.order));
                        booked.is_some_and(|booked| !advances(*booked, own.status))
                    }
                    _ => false,
                };
                if !known {
                    out.push(output);
                }
            }
        }
    }

    /// An order that no entry names, and that the lists of open orders have.
    fn found_open(
        &mut self,
        view: &View<'_>,
        (hash, row): (&OrderHash, &OpenOrder),
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let rows = self.row(view.ids, row, at);
        // Its trades are in the same pass.
        out.extend(rows.into_iter().filter(|output| *output != Output::Ask(Ask::Trades(*hash))));
        if view.cancel_external {
            out.push(Output::Ask(Ask::Cancel(*hash)));
        }
    }

    /// Orders that only their trades show: none is open by the complete list that was read after them, so a read by id
    /// would tell nothing more.
    fn found_over(
        &mut self,
        reads: &Reads,
        before: &BTreeSet<OrderHash>,
        open: &BTreeSet<OrderHash>,
        out: &mut Vec<Output>,
    ) {
        if !reads.open_complete() {
            return;
        }
        let over: BTreeSet<OrderHash> = self
            .orders
            .iter()
            .filter(|(hash, order)| {
                order.id.is_external() && !before.contains(*hash) && !open.contains(*hash)
            })
            .map(|(hash, _)| *hash)
            .collect();
        for hash in &over {
            if let Some(order) = self.orders.get_mut(hash) {
                order.ended.get_or_insert(OrderEnd::Filled);
            }
        }
        out.retain(
            |output| !matches!(output, Output::Ask(Ask::Order(hash)) if over.contains(hash)),
        );
    }

    /// An order that a list of open orders has.
    fn listed(
        &mut self,
        view: &View<'_>,
        reads: &Reads,
        (hash, row): (&OrderHash, &OpenOrder),
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let Some(order) = self.orders.get(hash) else { return };
        let (id, recent) = (order.id, order.acted_at.until(at) < SETTLE);
        let Some(here) = view.orders.get(&id) else {
            if view.cancel_external || !id.is_external() {
                out.push(Output::Ask(Ask::Cancel(*hash)));
            }
            let text = format!("order {hash} ({id}) is open at the venue and not kept here");
            return out.push(Output::NotReconciled(text));
        };
        let Some((_, matched)) = row.sizes() else {
            return out.extend(self.row(view.ids, row, at));
        };
        let matched = matched.saturating_sub(order.before);
        if recent {
            // The list can be older than what we did.
            return;
        }
        let over_there = reads.single.get(hash).and_then(Option::as_ref);
        if over_there.is_some_and(|single| single.status.cancelled()) {
            return self.contradicted(view, hash, "open by the list and over by its id", out);
        }
        let waiting = matches!(
            here.state,
            OrderState::Planned
                | OrderState::Journaled
                | OrderState::Sent
                | OrderState::Unknown
                | OrderState::Delayed
        );
        if here.state.ended() {
            let rows = self.row(view.ids, row, at);
            let more = |output: &Output| matches!(output, Output::Event(AccountEvent::External(more)) if more.open);
            let rests = rows.iter().any(more);
            out.extend(rows);
            if view.cancel_external || !id.is_external() {
                out.push(Output::Ask(Ask::Cancel(*hash)));
            }
            if rests {
                // A person's: its first fills were all that was known of it.
                return;
            }
            if here.state == OrderState::Filled {
                // The engine takes no sign of life after its fills have left nothing.
                self.freeze(view, hash, "filled here and open at the venue", out);
            }
        } else if waiting {
            out.extend(self.row(view.ids, row, at));
        } else if matched > here.matched && !self.matched_before(view, reads, (hash, row), at, out)
        {
            out.push(Output::Ask(Ask::Trades(*hash)));
        }
        if let Some(order) = self.orders.get_mut(hash) {
            order.unseen_since = None;
        }
    }

    /// Whether what is missing of an order that this bot did not place had matched before the wallet was taken up. The
    /// trades since then are whole and do not have it, and a match would be in them by now.
    fn matched_before(
        &mut self,
        view: &View<'_>,
        reads: &Reads,
        (hash, row): (&OrderHash, &OpenOrder),
        at: Time,
        out: &mut Vec<Output>,
    ) -> bool {
        let covered = reads.trades.complete;
        let (Some(order), Some((size, matched))) = (self.orders.get(hash), row.sizes()) else {
            return false;
        };
        let found_at = order.bound_at;
        let late = found_at.until(at) < LATE_MATCH || reads.trades_since > found_at;
        let filled = order.filled();
        if !order.id.is_external() || !covered || late || matched <= filled {
            return false;
        }
        let before = matched.saturating_sub(filled);
        let Some(order) = self.orders.get_mut(hash) else { return false };
        order.before = before;
        order.matched = filled;
        order.facts.size = Size::Shares(size.saturating_sub(before));
        let (id, side, price) = (order.id, order.facts.side, order.facts.price);
        let (hash, id_token) = (*hash, order.facts.token);
        if let Some(token) = view.ids.token(&id_token) {
            let size = size.saturating_sub(before);
            let external = ExternalOrder { id, hash, token, side, price, size, open: true };
            out.push(Output::Event(AccountEvent::External(external)));
        }
        true
    }

    /// An order that is open here and in no list.
    fn not_listed(
        &mut self,
        view: &View<'_>,
        reads: &Reads,
        hash: &OrderHash,
        at: Time,
        out: &mut Vec<Output>,
    ) {
        if !reads.open_complete() {
            return;
        }
        let Some(order) = self.orders.get(hash) else { return };
        if order.acted_at.until(at) < SETTLE {
            return;
        }
        if let Some(end) = order.ended
            && !order.doubtful
        {
            // Reported before, and lost to the engine by a stop in between.
            let asked = order.cancel_at.is_some();
            let reason = if asked { CancelReason::Requested } else { CancelReason::ByVenue };
            return self.end(hash, end, reason, out);
        }
        let state = view.orders.get(&order.id).map(|order| order.state);
        match reads.single.get(hash) {
            None => out.push(Output::Ask(Ask::Order(*hash))),
            Some(Some(row)) if row.status == polydesk_polymarket_api::clob::OrderStatus::Live => {
                return self.contradicted(view, hash, "open by its id and in no list", out);
            }
            Some(Some(row)) => return out.extend(self.row(view.ids, row, at)),
            Some(None) => {}
        }
        let traces = matches!(
            state,
            Some(
                OrderState::Live
                    | OrderState::PartlyMatched
                    | OrderState::Cancelling
                    | OrderState::Delayed
            )
        );
        let covered = reads.trades.complete && reads.trades_since <= order.bound_at;
        let nothing = reads.single.get(hash) == Some(&None);
        if let Some(since) = order.out_of_book {
            // Not open, by a cancel's answer; by now its matches are in the trades.
            let certain = nothing && covered && since.until(at) >= LATE_MATCH;
            if certain && order.matched <= order.filled() {
                let reason = CancelReason::Requested;
                return self.end(hash, OrderEnd::Cancelled, reason, out);
            }
            return out.push(Output::Ask(Ask::Trades(*hash)));
        }
        if nothing && order.acknowledged && order.cancels < MOST_CANCELS {
            // The answer to a cancel proves that it is out of the book, where a read by id does not.
            out.push(Output::Ask(Ask::Cancel(*hash)));
        }
        if traces || order.acknowledged || !order.fills.is_empty() || !order.matched.is_zero() {
            // The venue had it: it stays reserved until the venue says how it ended.
            return out.extend([Output::Ask(Ask::Order(*hash)), Output::Ask(Ask::Trades(*hash))]);
        }
        self.traceless(view, hash, nothing && covered, at, out);
    }

    /// An order that was sent, perhaps, and that no source shows.
    fn traceless(
        &mut self,
        view: &View<'_>,
        hash: &OrderHash,
        clean: bool,
        at: Time,
        out: &mut Vec<Output>,
    ) {
        let run = self.run();
        let Some(order) = self.orders.get_mut(hash) else { return };
        let since = last_leave(order, run, view.run_started_at);
        let due = CANCELS.iter().filter(|secs| since.until(at) >= Span::secs(**secs)).count();
        if usize::try_from(order.cancels).is_ok_and(|sent| sent < due) {
            out.push(Output::Ask(Ask::Cancel(*hash)));
        }
        let wait = if order.id.run() == run { TRACELESS } else { TRACELESS_RESTARTED };
        let over = match order.facts.tif {
            Tif::Gtd { expires } => expires.until(at) >= EXPIRED,
            _ => true,
        };
        let twice = order.unseen_since.is_some_and(|first| first.until(at) >= QUIET);
        let not_found = order.not_found_at.is_some_and(|answered| answered > since);
        let long = since.until(at) >= wait;
        if clean && view.normal_mode && long && over && twice && not_found {
            return self.end(hash, OrderEnd::Absent, CancelReason::ByVenue, out);
        }
        if clean {
            order.unseen_since.get_or_insert(at);
        }
        out.push(Output::Ask(Ask::Order(*hash)));
    }

    fn end(
        &mut self,
        hash: &OrderHash,
        end: OrderEnd,
        reason: CancelReason,
        out: &mut Vec<Output>,
    ) {
        let Some(order) = self.orders.get_mut(hash) else { return };
        let (id, filled) = (order.id, order.filled());
        let updates = finish(order, end, filled, reason);
        out.extend(updates.into_iter().map(|update| Output::order(id, update)));
    }

    /// Two sources say different things: they are asked again a few times, then the token is frozen.
    fn contradicted(
        &mut self,
        view: &View<'_>,
        hash: &OrderHash,
        what: &str,
        out: &mut Vec<Output>,
    ) {
        let Some(order) = self.orders.get_mut(hash) else { return };
        order.contradictions = order.contradictions.saturating_add(1);
        if order.contradictions <= CONTRADICTIONS {
            out.push(Output::Ask(Ask::Order(*hash)));
        } else {
            self.freeze(view, hash, what, out);
        }
    }

    fn freeze(&self, view: &View<'_>, hash: &OrderHash, what: &str, out: &mut Vec<Output>) {
        let Some(order) = self.orders.get(hash) else { return };
        match view.ids.token(&order.facts.token) {
            Some(token) => {
                let detail = format!("order {hash} ({}) is {what}", order.id);
                out.push(Output::Event(AccountEvent::Finding(Finding::Freeze { token, detail })));
            }
            None => out.push(Output::NotReconciled(format!("order {hash} is {what}"))),
        }
    }
}

/// When an order could leave at the latest: its process is dead for certain only when the next run has begun.
fn last_leave(order: &WireOrder, run: u32, run_started_at: Time) -> Time {
    let own = order.sent_at.unwrap_or(order.bound_at).max(order.bound_at);
    if order.id.run() == run { own } else { own.max(run_started_at) }
}

/// Whether a stage of settlement is news.
fn advances(booked: TradeStatus, there: TradeStatus) -> bool {
    use TradeStatus as T;
    match (booked, there) {
        (T::Mined | T::Retrying, T::Matched) => false,
        // A contradiction of final stages is the engine's to report.
        (T::Confirmed, T::Failed) | (T::Failed, T::Confirmed) => true,
        (T::Confirmed | T::Failed, _) => false,
        _ => booked != there,
    }
}

/// What the books miss of one asset.
enum Missing {
    /// Nothing can be said while something of it moves.
    Moves,
    /// The movements from this one on; at the end: nothing.
    From(usize),
    /// No movements explain it.
    Unexplained,
}

/// Cash and shares on the chain against the books. What the logs explain is booked, all of it or nothing: movements are
/// booked in the order of the chain, so that after a stop in between those that are missing are the last ones.
fn on_chain(view: &View<'_>, chain: &ChainRead, at: Time, out: &mut Vec<Output>) {
    // A reorganisation can take back what is not deep enough: it counts and is not booked.
    let deep = chain.moves.partition_point(|step| chain.block.saturating_sub(step.block) >= DEPTH);
    let (moves, young) = chain.moves.split_at(deep);
    let mut missing = Vec::new();
    let cash = {
        let difference = i128::from(chain.cash.micros()) - i128::from(view.cash.micros());
        let of = |step: &ChainMove| i128::from(step.cash.micros());
        let tolerance = i128::from(view.cash_tolerance.micros());
        match view.cash_moving || chain.unsettled {
            true => Missing::Moves,
            false => explain(difference, moves, young, tolerance, of),
        }
    };
    let mut findings = Vec::new();
    if let Missing::Unexplained = cash {
        findings.push(Finding::CashMismatch { difference: view.cash - chain.cash });
    }
    let mut agreed = true;
    for (id, there) in &chain.shares {
        let Some(token) = view.ids.token(id) else {
            if !there.is_zero() {
                let text = format!("{there} shares of token {id} are held, and it is not listed");
                out.extend([Output::NotReconciled(text), Output::Ask(Ask::Market(*id))]);
                agreed = false;
            }
            continue;
        };
        let here = view.shares.get(&token).copied().unwrap_or_default();
        let quiet = view.moved_at.get(&token).is_none_or(|moved| moved.until(at) >= QUIET);
        let moving = view.moving.contains(&token) || chain.unsettled;
        let difference = i128::from(there.micros()) - i128::from(here.micros());
        let touched = chain.moves.iter().any(|step| step.shares_of(id) != 0);
        let of = |step: &ChainMove| i128::from(step.shares_of(id));
        let shares = match moving || (!quiet && (difference != 0 || touched)) {
            true => Missing::Moves,
            false => explain(difference, moves, young, 0, of),
        };
        if let Missing::Unexplained = shares {
            let detail = format!("{there} shares on the chain, {here} in the books");
            findings.push(Finding::Freeze { token, detail });
        }
        agreed &= touched || !matches!(shares, Missing::Moves);
        if touched {
            missing.push((*id, shares));
        }
    }
    agreed &= findings.is_empty();
    out.extend(findings.into_iter().map(|found| Output::Event(AccountEvent::Finding(found))));
    let waits = matches!(cash, Missing::Moves)
        || missing.iter().any(|(_, shares)| matches!(shares, Missing::Moves));
    if !agreed || waits {
        return;
    }
    let due =
        |missing: &Missing, index: usize| matches!(missing, Missing::From(from) if index >= *from);
    for (index, step) in moves.iter().enumerate() {
        let cash = !step.cash.is_zero() && due(&cash, index);
        let shares: Vec<(TokenId, i64)> = step
            .shares
            .iter()
            .filter(|(id, _)| missing.iter().any(|(of, from)| of == id && due(from, index)))
            .copied()
            .collect();
        if cash || !shares.is_empty() {
            book(view, step, cash, &shares, out);
        }
    }
    // Within a tolerance a small movement can be missing unseen: it is read again until all amounts are exact.
    let exact = view.cash_tolerance.is_zero() || moves.iter().all(|step| step.cash.is_zero());
    if exact {
        out.push(Output::Agreed(chain.block.saturating_sub(DEPTH)));
    }
}

/// From which movement on the books miss an asset, if that is the whole difference (chain minus books).
fn explain(
    difference: i128,
    moves: &[ChainMove],
    young: &[ChainMove],
    tolerance: i128,
    of: impl Fn(&ChainMove) -> i128,
) -> Missing {
    let mut left = difference - young.iter().map(&of).sum::<i128>();
    for from in (0..=moves.len()).rev() {
        if left.abs() <= tolerance {
            return Missing::From(from);
        }
        let Some(step) = from.checked_sub(1).and_then(|before| moves.get(before)) else { break };
        left -= of(step);
    }
    Missing::Unexplained
}

/// Books what a movement did, dated by its block.
fn book(
    view: &View<'_>,
    step: &ChainMove,
    cash: bool,
    shares: &[(TokenId, i64)],
    out: &mut Vec<Output>,
) {
    let tokens: Vec<(Token, i64)> = shares
        .iter()
        .filter_map(|(id, micros)| view.ids.token(id).map(|token| (token, *micros)))
        .collect();
    let market = tokens.first().map(|(token, _)| token.market());
    let redeems = |market: &MarketKey| {
        step.code == ChainMove::REDEMPTION
            || (step.code == ChainMove::MERGE && view.resolved.contains(market))
    };
    if let Some(market) = market.filter(redeems)
        && tokens.len() == step.shares.len()
        && tokens.iter().all(|(token, micros)| token.market() == market && *micros < 0)
    {
        let mut gone = [Shares::ZERO; 2];
        for (token, micros) in &tokens {
            gone[token.outcome().index()] = Shares::new(micros.unsigned_abs());
        }
        let redeemed = Cash {
            kind: CashKind::Redeem,
            conversion: None,
            strategy: None,
            market: Some(market),
            amount: step.cash,
            shares: gone,
        };
        return out.push(Output::Past(step.at, AccountEvent::Cash(redeemed)));
    }
    let mut found = |finding| out.push(Output::Past(step.at, AccountEvent::Finding(finding)));
    if cash {
        found(Finding::Cash { amount: step.cash, code: step.code });
    }
    for (token, micros) in tokens {
        found(Finding::Shares { token, micros, code: step.code });
    }
}

/// Each read or cancel is asked for once.
fn once(out: Vec<Output>) -> Vec<Output> {
    let mut asked = BTreeSet::new();
    let keep = |output: &Output| match output {
        Output::Ask(ask) => asked.insert(*ask),
        _ => true,
    };
    out.into_iter().filter(keep).collect()
}
