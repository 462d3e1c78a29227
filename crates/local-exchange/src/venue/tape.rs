//! Recorded history as the counterparties.
//!
//! The tape's rows become what the sockets and reads show, by the same rule as in a backtest
//! ([`polydesk_domain::Books`]): a book is shown when its batch is complete, without levels that the
//! carried best prices prove gone, on the finer tick size where prices lie between two ticks, and never
//! crossed. Each wallet that trades has an exchange of
//! its own ([`polydesk_sim::Sim`]) which sees the same rows: its orders match recorded depth and rest in
//! recorded queues. So wallets do not trade with each other here, and orders of one are not shown to others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use alloy::primitives::Address;
use polydesk_domain::{
    AccountEvent, Applied, Book, BookSnapshot, Books, CancelReason, ClientOrderId, Command,
    ControlEvent, Event, MarketEvent, MarketKey, MarketState, OrderHash, OrderUpdate, Outcome,
    OwnTrade, PlaceOrder, Price, RejectReason, Role, Shares, Side, Size, Span, Stamped, StrategyId,
    Tif, Time, Token, TradeId, TradeStatus, Usdc,
};
use polydesk_sim::{Sim, SimConfig};
use polydesk_tape::{EventSource, TapeReader};
use uuid::Uuid;

use super::blockchain::Deed;
use super::intake::{Placed, Refusal};
use super::matching::{FAK_KILLED, FOK_KILLED};
use super::order::{How, MakerFill, Order, Status, Trade};
use super::updates::{OrderChange, VenueUpdate};
use super::{SetupError, Venue, VenueAction};
use crate::setup::{Listing, TapeSetup};

/// A tape that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// Its files cannot be read.
    #[error("the tape {} cannot be read: {source}", dir.display())]
    Unreadable {
        /// Its folder.
        dir: PathBuf,
        /// The reader's error.
        source: polydesk_tape::TapeError,
    },
    /// It has no rows.
    #[error("the tape {} is empty", dir.display())]
    Empty {
        /// Its folder.
        dir: PathBuf,
    },
    /// The settings of its exchange are wrong.
    #[error("the simulator's settings: {0}")]
    Settings(#[from] polydesk_sim::SimError),
}

/// A wallet's own exchange over the tape.
#[derive(Debug)]
struct WalletSim {
    sim: Sim,
    next: u64,
    orders: BTreeMap<ClientOrderId, OrderHash>,
    trades: BTreeMap<TradeId, u64>,
}

/// The tape being played.
pub(crate) struct TapeEngine {
    reader: TapeReader,
    pending: VecDeque<Stamped>,
    /// The books as every reader of the tape builds them.
    books: Books,
    /// Markets whose open batch contains a whole book.
    snapshots: BTreeSet<MarketKey>,
    sims: BTreeMap<Address, WalletSim>,
    ids: BTreeMap<OrderHash, (Address, ClientOrderId)>,
    config: SimConfig,
    seed: u64,
    seq: u64,
    woken_for: Option<Time>,
}

impl fmt::Debug for TapeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapeEngine")
            .field("pending", &self.pending.len())
            .field("sims", &self.sims)
            .finish_non_exhaustive()
    }
}

/// The immediate updates of an order that was just submitted to a simulator.
#[derive(Debug, Default)]
struct FirstUpdates {
    refused: Option<RejectReason>,
    delayed: bool,
    answered: bool,
}

impl Venue {
    pub(super) fn open_tape(&mut self, tape: &TapeSetup, seed: u64) -> Result<(), SetupError> {
        tape.sim.check().map_err(TapeError::Settings)?;
        let unreadable = |source| TapeError::Unreadable { dir: tape.dir.clone(), source };
        let mut reader = TapeReader::open(&tape.dir).map_err(unreadable)?;
        let mut pending = VecDeque::new();
        // Markets that begin the tape exist before its first row.
        loop {
            let row = reader.next_event().map_err(unreadable)?;
            let Some(row) = row else {
                return Err(TapeError::Empty { dir: tape.dir.clone() }.into());
            };
            if pending.is_empty() {
                self.now = row.at;
            }
            let listing = matches!(row.event, Event::Market(MarketEvent::Listed { .. }));
            pending.push_back(row);
            if !listing {
                break;
            }
        }
        self.tape = Some(Box::new(TapeEngine {
            reader,
            pending,
            books: Books::default(),
            snapshots: BTreeSet::new(),
            sims: BTreeMap::new(),
            ids: BTreeMap::new(),
            config: tape.sim,
            seed,
            seq: 0,
            woken_for: None,
        }));
        self.tape_step();
        Ok(())
    }

    /// Plays every row up to now and wakes again for the next one.
    pub(super) fn tape_step(&mut self) {
        let now = self.now;
        let Some(mut tape) = self.tape.take() else { return };
        tape.woken_for = None;
        loop {
            if tape.pending.is_empty() {
                match tape.reader.next_event() {
                    Ok(Some(row)) => tape.pending.push_back(row),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the tape broke off");
                        break;
                    }
                }
            }
            let Some(row) = tape.pending.front().filter(|row| row.at <= now) else { break };
            let at = row.at;
            let Some(row) = tape.pending.pop_front() else { break };
            tape.seq = row.seq;
            // The venue lists ended markets for as long as it runs, even if the recording delists them.
            if matches!(row.event, Event::Market(MarketEvent::Delisted { .. })) {
                continue;
            }
            self.close_batches(&mut tape, &row);
            for (wallet, wallet_sim) in &mut tape.sims {
                let mut events = Vec::new();
                wallet_sim.sim.advance(at - Span::nanos(1), &mut events);
                wallet_sim.sim.on_market(&row);
                self.apply_sim_events(*wallet, wallet_sim, events);
            }
            self.tape_row(&mut tape, &row);
        }
        // A batch that nothing follows is complete after a while.
        let event = Event::Control(Box::new(ControlEvent::Timer));
        let timer = Stamped { at: now, venue_at: now, seq: tape.seq, event };
        self.close_batches(&mut tape, &timer);
        for (wallet, wallet_sim) in &mut tape.sims {
            let mut events = Vec::new();
            wallet_sim.sim.advance(now, &mut events);
            self.apply_sim_events(*wallet, wallet_sim, events);
        }
        self.tape = Some(tape);
        self.wake_tape();
    }

    /// Schedules the next row of the tape or the next action of a simulator.
    fn wake_tape(&mut self) {
        let Some(tape) = &mut self.tape else { return };
        let row = tape.pending.front().map(|row| row.at);
        let sims = tape.sims.values().filter_map(|wallet_sim| wallet_sim.sim.next_due());
        let batch = Some(tape.books.next_timeout()).filter(|at| *at != Time::MAX);
        let Some(next) = sims.chain(row).chain(batch).min() else { return };
        if tape.woken_for.is_none_or(|at| next < at) {
            tape.woken_for = Some(next);
            self.schedule(next, VenueAction::Tape);
        }
    }

    /// Shows the books whose batches a row or the time completes.
    fn close_batches(&mut self, tape: &mut TapeEngine, next: &Stamped) {
        let mut done = Vec::new();
        tape.books.close_due(next, &mut done);
        for key in done {
            self.show(tape, key);
        }
    }

    /// Shows a market's book if it is consistent; both tokens' changes are published together, as the
    /// venue does. A book that is still crossed after its batch is wrong: the last one stays.
    fn show(&mut self, tape: &mut TapeEngine, key: MarketKey) {
        let (Some(book), Some(listed)) = (tape.books.get(key), self.listed.get_mut(key.index()))
        else {
            return;
        };
        if book.is_crossed() {
            return;
        }
        let Some(shown) = listed.shown.as_mut() else { return };
        let changed = changed_levels(shown, book);
        let whole = tape.snapshots.remove(&key);
        let (tick, before) = (book.tick(), listed.listing.market.tick);
        if changed.is_empty() && !whole && tick == before {
            return;
        }
        *shown = book.clone();
        if tick != before {
            // Recordings lack tick size changes; prices between two ticks show them.
            return self.set_tick(key, tick);
        }
        if whole {
            listed.changed = self.now;
            self.tell_books(key);
            self.tell_tops(key);
        } else {
            self.tell_levels(key, &changed);
        }
    }

    /// Applies one row.
    fn tape_row(&mut self, tape: &mut TapeEngine, row: &Stamped) {
        let Event::Market(event) = &row.event else { return };
        if let MarketEvent::Listed { key, market } = event {
            self.tape_listing(*key, market);
            tape.books.list(*key, market.tick);
            return;
        }
        if let MarketEvent::Snapshot(snapshot) = event {
            tape.snapshots.insert(snapshot.token.market());
        }
        if let Applied::Complete(key) = tape.books.apply(row, |_, _| ()) {
            self.show(tape, key);
        }
        match event {
            MarketEvent::Print(print) => {
                if self.listed.get(print.token.market().index()).is_none() {
                    return;
                }
                let notional = print.price.notional_floor(print.size);
                self.note_print(print.token, print.price, print.side, notional);
                self.tell(VenueUpdate::Print {
                    token: print.token,
                    price: print.price,
                    size: print.size,
                    side: print.side,
                    at: row.at,
                });
            }
            // The book is empty until the next snapshot.
            MarketEvent::Tick { market, .. } => self.show(tape, *market),
            MarketEvent::Interrupted(interruption) => match interruption.market {
                Some(key) => self.show(tape, key),
                None => {
                    for key in self.universe.keys().collect::<Vec<_>>() {
                        self.show(tape, key);
                    }
                }
            },
            MarketEvent::State { market, state } => self.tape_state(*market, *state),
            _ => {}
        }
    }

    fn tape_listing(&mut self, key: MarketKey, market: &Arc<polydesk_domain::Market>) {
        let mut listing = Listing::new((**market).clone());
        if listing.market.event.is_empty() {
            listing.market.event = listing.market.slug.clone();
        }
        match self.list_under(key, listing) {
            Ok(()) => {
                let tick = market.tick;
                self.listed[key.index()].shown.get_or_insert_with(|| Book::new(tick));
            }
            Err(error) => tracing::error!(%error, "a recorded market is impossible"),
        }
    }

    fn tape_state(&mut self, key: MarketKey, state: MarketState) {
        if let MarketState::Resolved(payout) = state {
            // The sims end their own orders.
            return self.resolve(key, payout);
        }
        self.set_accepting(key, state.trades());
    }

    /// The simulator of a wallet, made with its first order: it starts with the current books.
    fn wallet_sim(&mut self, tape: &mut TapeEngine, wallet: Address) -> Result<(), Refusal> {
        if tape.sims.contains_key(&wallet) {
            return Ok(());
        }
        let mut config = tape.config;
        config.starting_cash = self.ledger.wallet(&wallet).map_or(Usdc::ZERO, |wallet| wallet.cash);
        let seed = tape.seed.wrapping_add(tape.sims.len() as u64 + 1);
        let failed = |error: polydesk_sim::SimError| Refusal::new(500, error.to_string());
        let mut sim = Sim::new(config, seed).map_err(failed)?;
        let row = |event: MarketEvent| {
            let event = Event::Market(event);
            Stamped { at: self.now, venue_at: self.now, seq: tape.seq, event }
        };
        for key in self.universe.keys() {
            let market = Arc::clone(self.market(key));
            sim.on_market(&row(MarketEvent::Listed { key, market }));
            // Not what is shown: rows of an open batch are in it, and do not come again.
            let levels = |side| {
                let book = tape.books.get(key);
                book.map_or(Vec::new(), |book| book.levels(Outcome::Yes, side).collect())
            };
            let token = key.token(Outcome::Yes);
            let (bids, asks) = (levels(Side::Buy), levels(Side::Sell));
            let snapshot = BookSnapshot { token, bids, asks };
            sim.on_market(&row(MarketEvent::Snapshot(Arc::new(snapshot))));
        }
        let wallet_sim =
            WalletSim { sim, next: 0, orders: BTreeMap::new(), trades: BTreeMap::new() };
        tape.sims.insert(wallet, wallet_sim);
        Ok(())
    }

    pub(super) fn tape_enter(&mut self, order: Order) -> Result<Placed, Refusal> {
        let Some(mut tape) = self.tape.take() else { return Err(Refusal::bad("no tape")) };
        let entered = self.wallet_sim(&mut tape, order.wallet).and_then(|()| {
            let (id, first) = self.send_to_sim(&mut tape, order);
            self.first_answer(id, first)
        });
        self.tape = Some(tape);
        self.wake_tape();
        entered
    }

    fn send_to_sim(&mut self, tape: &mut TapeEngine, order: Order) -> (OrderHash, FirstUpdates) {
        let (id, wallet) = (order.id, order.wallet);
        let size = if order.sized_in_money() {
            Size::Spend(order.money)
        } else {
            Size::Shares(order.original())
        };
        let mut first = FirstUpdates::default();
        let Some(wallet_sim) = tape.sims.get_mut(&wallet) else { return (id, first) };
        wallet_sim.next += 1;
        let name = ClientOrderId(wallet_sim.next);
        wallet_sim.orders.insert(name, id);
        tape.ids.insert(id, (wallet, name));
        let place = PlaceOrder {
            id: name,
            strategy: StrategyId::OPERATOR,
            signal: None,
            basket: None,
            token: order.token,
            side: order.side,
            price: order.limit_on_tick(),
            size,
            tif: order.tif,
            post_only: order.post_only,
            decided_at: self.now,
            data_at: self.now,
            expires: Time::MAX,
        };
        self.orders.insert(id, order);
        wallet_sim.sim.submit(self.now, &Command::Place(vec![place]));
        let mut events = Vec::new();
        wallet_sim.sim.advance(self.now, &mut events);
        for (_, event) in &events {
            let Event::Account(event) = event else { continue };
            let AccountEvent::Order { id: of, update } = &**event else { continue };
            if *of != name {
                continue;
            }
            match update {
                OrderUpdate::Rejected { reason } => first.refused = Some(reason.clone()),
                OrderUpdate::Delayed => first.delayed = true,
                OrderUpdate::Live | OrderUpdate::Matched => first.answered = true,
                _ => {}
            }
        }
        self.apply_sim_events(wallet, wallet_sim, events);
        (id, first)
    }

    fn first_answer(&mut self, id: OrderHash, first: FirstUpdates) -> Result<Placed, Refusal> {
        if let Some(reason) = first.refused {
            let Some(order) = self.orders.remove(&id) else {
                return Err(Refusal::bad("Invalid order payload"));
            };
            return Err(self.refuse(order, &reason));
        }
        let order = self.orders[&id].clone();
        let status = if first.delayed || !first.answered {
            "delayed"
        } else if order.matched.is_zero() {
            "live"
        } else {
            "matched"
        };
        if status == "delayed"
            && let Some(order) = self.orders.get_mut(&id)
            && order.status == Status::Live
        {
            order.status = Status::Delayed;
        }
        let order = self.orders[&id].clone();
        if status == "live" {
            self.tell_order(OrderChange::Placement, order.clone());
        }
        let trades = order.trades.clone();
        Ok(Placed { status, trades, shares: order.matched, money: order.matched_money, order })
    }

    /// The venue's error text for the simulator's reason.
    fn refuse(&mut self, order: Order, reason: &RejectReason) -> Refusal {
        let id = order.id;
        let text = match reason {
            RejectReason::FokKilled => return self.kill(order, FOK_KILLED),
            RejectReason::FakKilled => return self.kill(order, FAK_KILLED),
            RejectReason::Tick => {
                format!("order {id} is invalid. Price breaks minimum tick size rule")
            }
            RejectReason::BelowMinimum => {
                format!("order {id} is invalid. Size lower than the minimum")
            }
            RejectReason::BelowMarketableMinimum => {
                return super::intake::too_small(order.side, order.money);
            }
            RejectReason::Accuracy => {
                "invalid amounts, the market buy orders maker amount supports \
                                       a max accuracy of 2 decimals, taker amount a max of 4 \
                                       decimals"
                    .to_owned()
            }
            RejectReason::PostOnlyWouldCross => {
                "invalid post-only order: order crosses book".to_owned()
            }
            RejectReason::Balance => {
                "not enough balance / allowance: the balance is not enough".to_owned()
            }
            RejectReason::Expiration => "invalid expiration".to_owned(),
            RejectReason::Duplicate => format!("order {id} is invalid. Duplicated."),
            RejectReason::MarketClosed | RejectReason::Restricted | RejectReason::NotReady => {
                "the market is not yet ready to process new orders".to_owned()
            }
            RejectReason::UnknownToken => {
                return Refusal::new(404, "No orderbook exists for the requested token id");
            }
            RejectReason::RateLimited => return Refusal::new(429, "Too Many Requests"),
            RejectReason::Other(text) => text.clone(),
        };
        Refusal::bad(text)
    }

    pub(super) fn tape_cancel(&mut self, id: OrderHash) -> Result<(), &'static str> {
        let Some(mut tape) = self.tape.take() else { return Err("Order not found") };
        if let Some((wallet, name)) = tape.ids.get(&id).copied()
            && let Some(wallet_sim) = tape.sims.get_mut(&wallet)
        {
            wallet_sim.sim.submit(self.now, &Command::Cancel(name));
            let mut events = Vec::new();
            wallet_sim.sim.advance(self.now, &mut events);
            self.apply_sim_events(wallet, wallet_sim, events);
        }
        self.tape = Some(tape);
        self.wake_tape();
        match self.orders.get(&id).map(|order| &order.status) {
            Some(Status::Canceled(_)) => Ok(()),
            Some(Status::Matched) => Err("Order already matched"),
            _ => Err("the order is pending and cannot be canceled"),
        }
    }

    /// Applies the events of a wallet's simulator to the venue's orders and trades.
    fn apply_sim_events(
        &mut self,
        wallet: Address,
        wallet_sim: &mut WalletSim,
        events: Vec<(Time, Event)>,
    ) {
        for (_, event) in events {
            let Event::Account(event) = event else { continue };
            match *event {
                AccountEvent::Order { id, update } => {
                    if let Some(id) = wallet_sim.orders.get(&id).copied() {
                        self.apply_order_update(id, &update);
                    }
                }
                AccountEvent::Trade(trade) => self.apply_trade(wallet, wallet_sim, &trade),
                _ => {}
            }
        }
    }

    fn apply_order_update(&mut self, id: OrderHash, update: &OrderUpdate) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        let ended = order.status.ended();
        match update {
            OrderUpdate::Live | OrderUpdate::Matched if order.status == Status::Delayed => {
                order.status = Status::Live;
                let order = order.clone();
                if order.tif.rests() {
                    self.tell_order(OrderChange::Placement, order);
                }
            }
            OrderUpdate::Filled { .. } if !ended => order.status = Status::Matched,
            OrderUpdate::Cancelled { reason, .. } if !ended => {
                order.status = match reason {
                    CancelReason::Killed if !order.matched.is_zero() => Status::Matched,
                    CancelReason::Killed => Status::Canceled(match order.tif {
                        Tif::Fok => FOK_KILLED.to_owned(),
                        _ => FAK_KILLED.to_owned(),
                    }),
                    CancelReason::MarketEnded => Status::MarketResolved,
                    CancelReason::ByVenue => Status::Invalid,
                    CancelReason::Requested => Status::Canceled(String::new()),
                };
                let order = order.clone();
                if order.status != Status::Matched {
                    self.tell_order(OrderChange::Cancellation, order);
                }
            }
            OrderUpdate::Expired { .. } if !ended => {
                order.status = Status::Canceled(String::new());
                let order = order.clone();
                self.tell_order(OrderChange::Cancellation, order);
            }
            _ => {}
        }
    }

    fn apply_trade(&mut self, _wallet: Address, wallet_sim: &mut WalletSim, own: &OwnTrade) {
        if let Some(number) = wallet_sim.trades.get(&own.trade) {
            let transaction = match own.status {
                TradeStatus::Mined => Some(self.chance.bytes()),
                _ => None,
            };
            let now = self.now;
            let Some(trade) = self.trades.get_mut(number) else { return };
            let before = trade.transaction;
            (trade.status, trade.changed_at) = (own.status, now);
            trade.transaction = transaction.or(trade.transaction);
            let trade = trade.clone();
            let undone = matches!(own.status, TradeStatus::Retrying | TradeStatus::Failed);
            if let Some(before) = before.filter(|_| undone || transaction.is_some()) {
                self.blockchain.take_back(now, &before);
            }
            if let Some(hash) = transaction {
                self.blockchain.add(now, hash, Deed::Fill(Box::new(trade.clone())));
            }
            return self.tell_trade(trade);
        }
        let Some(id) = wallet_sim.orders.get(&own.order) else { return };
        let (trade_id, number) = (self.chance.uuid(), self.traded);
        let counterparty = OrderHash::from_bytes(self.chance.bytes());
        let Some(order) = self.orders.get_mut(id) else { return };
        order.matched += own.fill.shares;
        order.matched_money += own.fill.notional;
        order.open = order.open.saturating_sub(own.fill.shares);
        order.trades.push(trade_id);
        let price = own.fill.level.unwrap_or(order.limit);
        let order = order.clone();
        let trade = recorded_trade(&order, own, price, trade_id, number, counterparty, self.now);
        wallet_sim.trades.insert(own.trade, number);
        if own.role == Role::Maker {
            self.tell_order(OrderChange::Update, order);
        }
        self.keep_trade(trade.clone());
        self.tell_trade(trade);
    }

    /// pUSD of a wallet on the chain.
    pub fn cash_of(&self, wallet: &Address) -> Usdc {
        match self.tape.as_ref().and_then(|tape| tape.sims.get(wallet)) {
            Some(wallet_sim) => wallet_sim.sim.account().cash(),
            None => self.ledger.wallet(wallet).map_or(Usdc::ZERO, |wallet| wallet.cash),
        }
    }

    /// Shares of a wallet on the chain.
    pub fn shares_of(&self, wallet: &Address) -> BTreeMap<Token, Shares> {
        if let Some(wallet_sim) = self.tape.as_ref().and_then(|tape| tape.sims.get(wallet)) {
            let tokens = wallet_sim.sim.account().tokens;
            let held = tokens.iter().enumerate();
            return held
                .map(|(index, view)| (Token(index as u32), view.settled()))
                .filter(|(_, shares)| !shares.is_zero())
                .collect();
        }
        let Some(wallet) = self.ledger.wallet(wallet) else { return BTreeMap::new() };
        let held = wallet.holdings.iter().map(|(token, holding)| (*token, holding.settled));
        held.filter(|(_, shares)| !shares.is_zero()).collect()
    }

    /// Checks the invariants of every simulator.
    pub(super) fn check_sims(&self) -> Result<(), String> {
        let Some(tape) = &self.tape else { return Ok(()) };
        for (wallet, wallet_sim) in &tape.sims {
            wallet_sim.sim.check_conservation().map_err(|broken| format!("{wallet}: {broken}"))?;
        }
        Ok(())
    }
}

/// Bids of both ladders whose size differs between two books.
fn changed_levels(before: &Book, after: &Book) -> Vec<(Outcome, Price)> {
    let mut changed = Vec::new();
    for outcome in Outcome::BOTH {
        let of = |book: &Book| book.levels(outcome, Side::Buy).collect::<BTreeMap<_, _>>();
        let (old, new) = (of(before), of(after));
        changed.extend(old.keys().filter(|price| !new.contains_key(price)).map(|p| (outcome, *p)));
        let differs = |(price, size): &(&Price, &Shares)| old.get(price) != Some(*size);
        changed.extend(new.iter().filter(differs).map(|(price, _)| (outcome, *price)));
    }
    changed
}

/// A trade of ours with a counterparty of the recording.
fn recorded_trade(
    order: &Order,
    own: &OwnTrade,
    price: Price,
    id: Uuid,
    number: u64,
    counterparty: OrderHash,
    now: Time,
) -> Trade {
    let fill = own.fill;
    let taker = own.role == Role::Taker;
    let (maker_side, maker_price) =
        if taker { (order.side.other(), price) } else { (order.side, order.limit) };
    let nobody = (Uuid::nil(), Address::ZERO, Address::ZERO);
    let us = (order.key, order.signer, order.wallet);
    let (taking, making) = if taker { (us, nobody) } else { (nobody, us) };
    let leg = MakerFill {
        order: if taker { counterparty } else { order.id },
        key: making.0,
        signer: making.1,
        wallet: making.2,
        token: order.token,
        side: maker_side,
        price: maker_price,
        shares: fill.shares,
        taker_money: fill.notional,
        maker_money: fill.notional,
        fee: if taker { fill.fee } else { Usdc::ZERO },
        how: How::Transfer,
    };
    Trade {
        id,
        number,
        order: if taker { order.id } else { counterparty },
        key: taking.0,
        signer: taking.1,
        wallet: taking.2,
        token: order.token,
        side: maker_side.other(),
        legs: vec![leg],
        status: own.status,
        matched_at: now,
        changed_at: now,
        transaction: None,
        applied: false,
    }
}
