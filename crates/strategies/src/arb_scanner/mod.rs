//! Scans for baskets that cost less than they pay after every leg's fee at its price and depth.
//!
//! The two books of a market mirror each other, so YES + NO below one shows only while a book is
//! crossed; groups of mutually exclusive outcomes show more. A group counts only when it is provably
//! complete: with augmented, placeholder, missing or unopened outcomes it is not an arbitrage.
//! Final sizing and leg risk belong to execution; the scanner only emits the basket.

mod basket;
mod params;

use std::collections::BTreeMap;

use basket::{LegSource, Sized};
pub use params::{ArbParams, RawArbScanner};
use polydesk_domain::{
    Action, Basket, BasketKind, ControlEvent, Event, Market, MarketEvent, MarketKey, Opportunity,
    Outcome, Reason, Span, StrategyId, Subject, Time, Usdc,
};

use crate::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

/// The most legs one batch of orders can carry.
const MAX_LEGS: usize = 15;

/// The scanner. It saves nothing: it finds open opportunities again after a restart.
pub struct ArbScanner {
    id: StrategyId,
    params: ArbParams,
    open: BTreeMap<(Subject, BasketKind), OpenOpportunity>,
    /// Per market: whether an opportunity in it may be open, so that a quiet book costs no look-up.
    active: Vec<bool>,
}

/// An open opportunity.
struct OpenOpportunity {
    opportunity: Opportunity,
    next_signal: Time,
    /// Complete batches that showed it.
    batches: u32,
}

impl ArbScanner {
    /// With validated parameters.
    pub fn new(id: StrategyId, params: ArbParams) -> ArbScanner {
        ArbScanner { id, params, open: BTreeMap::new(), active: Vec::new() }
    }

    fn scan(&mut self, view: &View<'_>, key: MarketKey, out: &mut Emit<'_>) {
        if self.params.pairs {
            self.scan_pair(view, key, out);
        }
        if self.params.groups
            && let Some(neg_risk) = &view.market(key).neg_risk
        {
            self.scan_group(view, &neg_risk.group, out);
        }
    }

    fn scan_pair(&mut self, view: &View<'_>, key: MarketKey, out: &mut Emit<'_>) {
        let Some(book) = view.books.get(key) else { return };
        let crossed = book.is_crossed();
        if !crossed && !self.active.get(key.index()).copied().unwrap_or(false) {
            return;
        }
        if self.active.len() <= key.index() {
            self.active.resize(key.index() + 1, false);
        }
        self.active[key.index()] = crossed;
        for kind in [BasketKind::BuyPair, BasketKind::SellPair] {
            let subject = Subject::Market(key);
            let fee = view.market(key).fees.at(view.now);
            let legs = basket::pair(key, book, fee.unwrap_or(polydesk_domain::FeeRate::WORST_CASE));
            let gross = basket::gross_units(kind, &legs).unwrap_or(0);
            if gross <= 0 {
                self.end(&subject, kind, out);
                continue;
            }
            let verdict =
                if kind == BasketKind::SellPair && self.signalled(key, BasketKind::BuyPair) {
                    // The two books mirror each other: selling both tokens would take the same depth twice.
                    Err(Reason::new("taken_as_buy_pair"))
                } else if 10_000 - gross > self.params.pair_threshold {
                    Err(Reason::new("above_threshold").with("gross_units", i64::from(gross)))
                } else if !view.books.synced(key) {
                    // A book that is not synced can be crossed by updates that are still missing.
                    Err(Reason::new("book_not_known"))
                } else if !view.trades(key) {
                    Err(Reason::new("member_not_open"))
                } else if fee.is_err() {
                    Err(Reason::new("fee_unknown"))
                } else {
                    Ok(basket::size(kind, &legs, &self.params))
                };
            self.evaluate(view, key, subject, kind, gross, verdict, self.params.merge, out);
        }
    }

    fn signalled(&self, key: MarketKey, kind: BasketKind) -> bool {
        let tracked = self.open.get(&(Subject::Market(key), kind));
        tracked.is_some_and(|tracked| tracked.opportunity.signals > 0)
    }

    fn scan_group(&mut self, view: &View<'_>, group: &str, out: &mut Emit<'_>) {
        let members = view.universe.group(group);
        // A group's signals are queued under its first market, whichever member changed.
        let Some(first) = members.first().copied() else { return };
        for (kind, outcome) in
            [(BasketKind::AllYes, Outcome::Yes), (BasketKind::AllNo, Outcome::No)]
        {
            let mut legs = Vec::with_capacity(members.len());
            for member in members {
                let Some(book) = view.books.get(*member) else { continue };
                let fee = view.market(*member).fees.at(view.now);
                let fee = fee.unwrap_or(polydesk_domain::FeeRate::WORST_CASE);
                legs.push(LegSource { token: member.token(outcome), book, fee });
            }
            let subject = Subject::Group(group.to_owned());
            // A group of one is no basket; with a leg missing there is no sum to compare.
            let gross = if legs.len() < 2 { None } else { basket::gross_units(kind, &legs) };
            let Some(gross) = gross.filter(|gross| *gross > 0) else {
                self.end(&subject, kind, out);
                continue;
            };
            let verdict = complete(view, members).map(|()| basket::size(kind, &legs, &self.params));
            let lock = release(view, members, self.params.resolution_lag);
            let verdict = match (verdict, lock) {
                (Ok(_), None) => Err(Reason::new("close_unknown")),
                (verdict, _) => verdict,
            };
            self.evaluate(
                view,
                first,
                subject,
                kind,
                gross,
                verdict,
                lock.unwrap_or(Span::MAX),
                out,
            );
        }
    }

    #[expect(clippy::too_many_arguments, reason = "everything known about one candidate")]
    fn evaluate(
        &mut self,
        view: &View<'_>,
        key: MarketKey,
        subject: Subject,
        kind: BasketKind,
        gross: i32,
        verdict: Result<Sized, Reason>,
        lock: Span,
        out: &mut Emit<'_>,
    ) {
        let now = view.now;
        let sized = verdict.as_ref().ok().map(|sized| (sized.edge, sized.sets));
        let tracked = self.open.entry((subject.clone(), kind)).or_insert_with(|| OpenOpportunity {
            opportunity: Opportunity {
                kind,
                subject,
                started: now,
                ended: now,
                best_edge: sized.map_or(Usdc::ZERO, |(edge, _)| edge),
                best_sets: sized.map_or(polydesk_domain::Shares::ZERO, |(_, sets)| sets),
                best_gross_units: gross,
                signals: 0,
                outcome: Reason::new("seen"),
            },
            next_signal: Time::MIN,
            batches: 0,
        });
        tracked.batches = tracked.batches.saturating_add(1);
        let batches = tracked.batches;
        let opportunity = &mut tracked.opportunity;
        opportunity.ended = now;
        opportunity.best_gross_units = opportunity.best_gross_units.max(gross);
        if let Some((edge, sets)) = sized.filter(|(edge, _)| *edge > opportunity.best_edge) {
            (opportunity.best_edge, opportunity.best_sets) = (edge, sets);
        }
        let verdict = verdict
            .and_then(|sized| worthwhile(view, &sized, lock, &self.params).map(|()| sized))
            .and_then(|sized| {
                // A pair below one dollar appears only in a crossed book, which the venue would match
                // itself. One batch can be a frame of a sweep; a second batch confirms it.
                let pair = matches!(kind, BasketKind::BuyPair | BasketKind::SellPair);
                if pair && batches < 2 { Err(Reason::new("first_sight")) } else { Ok(sized) }
            });
        let sized = match verdict {
            Ok(_) if now < tracked.next_signal => return,
            Ok(sized) => sized,
            Err(reason) => {
                if opportunity.signals == 0 {
                    opportunity.outcome = reason;
                }
                return out.skip(key, reason);
            }
        };
        opportunity.signals += 1;
        let reason = Reason::new(kind.name())
            .with("gross_units", i64::from(gross))
            .with("expected_micros", sized.expected.micros())
            .with("sets_micros", sized.sets.micros() as i64)
            .with("cost_micros", sized.cost.micros());
        opportunity.outcome = Reason::new("signalled");
        tracked.next_signal = now + self.params.retry;
        // Execution sizes the basket again; then a fifth of what is left here after legs that die must be left.
        let least = sized.break_even + (sized.edge - sized.break_even).scale_floor(1, 5);
        let min_edge_per_set = least.scale_floor(1_000_000, sized.sets.micros().max(1));
        let basket = Basket { kind, legs: sized.legs, sets: sized.sets, min_edge_per_set };
        out.signal(key, Action::Basket(basket), self.params.ttl, sized.expected, reason);
    }

    fn end(&mut self, subject: &Subject, kind: BasketKind, out: &mut Emit<'_>) {
        if self.open.is_empty() {
            return;
        }
        if let Some(tracked) = self.open.remove(&(subject.clone(), kind)) {
            out.opportunity(tracked.opportunity);
        }
    }
}

/// Whether exactly one of these markets must pay, and all of them can be traded now.
fn complete(view: &View<'_>, members: &[MarketKey]) -> Result<(), Reason> {
    if members.len() > MAX_LEGS {
        return Err(Reason::new("too_many_legs").with("legs", members.len() as i64));
    }
    for member in members {
        let market = view.market(*member);
        let Some(neg_risk) = &market.neg_risk else { return Err(Reason::new("group_incomplete")) };
        if neg_risk.augmented {
            return Err(Reason::new("group_augmented"));
        }
        if neg_risk.placeholder {
            return Err(Reason::new("group_placeholder"));
        }
        match neg_risk.members {
            Some(count) if count as usize == members.len() => {}
            Some(count) => {
                return Err(Reason::new("group_incomplete")
                    .with("known", members.len() as i64)
                    .with("members", i64::from(count)));
            }
            None => return Err(Reason::new("group_size_unknown")),
        }
        if !view.trades(*member) {
            return Err(Reason::new("member_not_open"));
        }
        if market.fees.at(view.now).is_err() {
            return Err(Reason::new("fee_unknown"));
        }
        if !view.books.usable(*member) {
            return Err(Reason::new("book_not_trusted"));
        }
    }
    Ok(())
}

/// Time for which the money of a group is locked: to the last close plus the resolution lag.
fn release(view: &View<'_>, members: &[MarketKey], lag: Span) -> Option<Span> {
    let mut latest = Span::ZERO;
    for member in members {
        latest = latest.max(view.to_close(*member)?);
    }
    Some(latest + lag)
}

/// Whether a sized basket reaches the minimum profit, margin, return and order sizes, legs that die
/// priced in.
fn worthwhile(
    view: &View<'_>,
    sized: &Sized,
    lock: Span,
    params: &ArbParams,
) -> Result<(), Reason> {
    if sized.sets.is_zero() {
        let code = if sized.risk_bound { "dying_legs_eat_it" } else { "fees_eat_it" };
        return Err(Reason::new(code));
    }
    for leg in &sized.legs {
        let minimum = view.market(leg.token.market()).min_size;
        // The venue requires one dollar of every immediate order, whatever its shares.
        let value = leg.limit.notional_floor(sized.sets);
        if sized.sets < minimum || value < Usdc::whole(1) {
            return Err(
                Reason::new("below_minimum").with("sets_micros", sized.sets.micros() as i64)
            );
        }
    }
    if sized.expected < params.min_profit {
        return Err(Reason::new("min_profit")
            .with("edge_micros", sized.edge.micros())
            .with("expected_micros", sized.expected.micros()));
    }
    let margin = ratio_ppm(sized.expected, sized.cost);
    if margin < params.min_margin_ppm {
        return Err(Reason::new("min_margin").with("margin_ppm", margin as i64));
    }
    const YEAR: i128 = 365 * 86_400_000_000_000;
    let annualised = i128::from(margin) * YEAR / i128::from(lock.as_nanos().max(1_000_000_000));
    if annualised < i128::from(params.min_annualised_ppm) {
        let shown = i64::try_from(annualised).unwrap_or(i64::MAX);
        return Err(Reason::new("min_annualised").with("annualised_ppm", shown));
    }
    Ok(())
}

fn ratio_ppm(edge: Usdc, cost: Usdc) -> u64 {
    let ratio = i128::from(edge.micros()) * 1_000_000 / i128::from(cost.micros().max(1));
    u64::try_from(ratio).unwrap_or(0)
}

impl Strategy for ArbScanner {
    fn id(&self) -> StrategyId {
        self.id
    }

    fn kinds(&self) -> Kinds {
        Kinds::BATCH.and(Kinds::STATE).and(Kinds::RUN)
    }

    fn wants(&self, _: &Market) -> bool {
        true
    }

    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let event = match trigger {
            Trigger::Batch(key) => return self.scan(view, key, out),
            Trigger::Event(stamped) => &stamped.event,
        };
        match event {
            Event::Control(event) if **event == ControlEvent::Stop => {
                for (_, tracked) in core::mem::take(&mut self.open) {
                    out.opportunity(tracked.opportunity);
                }
            }
            Event::Market(MarketEvent::Delisted { market }) => {
                for kind in [BasketKind::BuyPair, BasketKind::SellPair] {
                    self.end(&Subject::Market(*market), kind, out);
                }
                if let Some(active) = self.active.get_mut(market.index()) {
                    *active = false;
                }
                // A delisting changes the group, and after the last one no batch would end its opportunity.
                if let Some(neg_risk) = &view.market(*market).neg_risk {
                    for kind in [BasketKind::AllYes, BasketKind::AllNo] {
                        self.end(&Subject::Group(neg_risk.group.clone()), kind, out);
                    }
                }
            }
            _ => {}
        }
    }

    fn reconfigure(&mut self, toml: &str) -> Result<(), StateError> {
        let params = |detail| StateError::Params { strategy: self.id, detail };
        let raw: RawArbScanner = toml::from_str(toml).map_err(|error| params(error.to_string()))?;
        self.params = ArbParams::try_from(&raw).map_err(|broken| params(broken.join("\n")))?;
        Ok(())
    }

    fn save(&self) -> Saved {
        Saved::NOTHING
    }

    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id)
    }
}

#[cfg(test)]
mod tests;
