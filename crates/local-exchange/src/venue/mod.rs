//! The venue itself as a plain state machine: accounts, keys, books, matching, settlement, time.
//!
//! Time is an argument, random draws come from the seed, and everything that is published is queued as
//! [`VenueUpdate`]. There is no socket, no JSON and no clock here, so the same calls always give the same
//! venue.

mod accounts;
pub(crate) mod blockchain;
mod book;
mod cancel;
mod counterparties;
mod heartbeat;
mod intake;
mod ledger;
mod markets;
mod matching;
mod onchain;
mod order;
mod settle;
mod tape;
mod updates;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use polydesk_domain::{MarketKey, OrderHash, Shares, Span, Time, Universe, Usdc};
use uuid::Uuid;

pub use accounts::{Approval, BuilderKey, Caller, Credentials, Session, SetAct, SetCall, Signer};
pub use cancel::Cancelled;
pub use heartbeat::BeatError;
pub use intake::{OrderSpec, OrderType, Placed, Refusal, Submission};
pub use ledger::{TokenBalance, Wallet, WalletLedger};
pub use markets::{BookView, MarketView};
pub use order::{How, MakerFill, Order, Status, Trade};
pub use settle::{Ending, SettlementPath, SettlementRule};
pub use tape::TapeError;
pub use updates::{LevelUpdate, OrderChange, VenueUpdate};

use crate::chance::SeededRandom;
use crate::setup::{Rules, SettlementSetup, Setup};
use counterparties::state::{Counterparties, Turn};
use markets::Listed;

/// The trading mode of the venue: which requests it accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VenueMode {
    /// Accepts everything.
    #[default]
    Normal,
    /// The engine restarts: 425 on trading endpoints.
    Restart,
    /// After a restart: only post-only orders and cancels, until then.
    PostOnly {
        /// When it ends.
        until: Time,
    },
    /// No new orders; cancels.
    CancelOnly,
    /// Nothing.
    Disabled,
}

/// A scheduled action.
#[derive(Debug, Clone)]
pub(crate) enum VenueAction {
    /// The taker delay of an order is over.
    Release(OrderHash),
    /// A GTD order expires.
    Expire(OrderHash),
    /// The next step of a trade's settlement.
    Settle(u64),
    /// The orders of accounts without a recent heartbeat are cancelled.
    Sweep,
    /// A game starts.
    GameStart(MarketKey),
    /// A mode ends.
    ModeOver(VenueMode),
    /// The next rows of the tape.
    Tape,
    /// A relayed transaction is mined.
    Chain(accounts::RelayedCalls),
    /// A session key is registered.
    Session(alloy::primitives::Address, Session),
    /// A counterparty acts.
    Counterparty(Turn),
}

/// What waits for the chain to go on, and how long it takes from then on.
#[derive(Debug, Clone)]
struct ChainWait {
    action: VenueAction,
    rest: Span,
}

/// A setup that the exchange refuses.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A market has contradictory facts.
    #[error("setup: {0}")]
    Market(#[from] polydesk_domain::MarketError),
    /// The tape cannot be read or its exchange settings are wrong.
    #[error("setup: {0}")]
    Tape(#[from] TapeError),
}

/// The whole state of the venue.
#[derive(Debug)]
pub struct Venue {
    pub(crate) rules: Rules,
    pub(crate) chain: u64,
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), VenueAction>,
    serial: u64,
    pub(crate) chance: SeededRandom,
    universe: Universe,
    listed: Vec<Listed>,
    signers: BTreeMap<alloy::primitives::Address, Signer>,
    keys: BTreeMap<Uuid, Caller>,
    readonly: BTreeMap<Uuid, alloy::primitives::Address>,
    builder_keys: Vec<BuilderKey>,
    ledger: WalletLedger,
    orders: BTreeMap<OrderHash, Order>,
    trades: BTreeMap<u64, Trade>,
    /// Trades made so far: the number of the next one.
    traded: u64,
    /// Final trades in which only counterparties were, the oldest first.
    of_counterparties: VecDeque<u64>,
    settlement_rules: Vec<SettlementRule>,
    steps: BTreeMap<u64, VecDeque<(polydesk_domain::Span, polydesk_domain::TradeStatus)>>,
    settlement: SettlementSetup,
    mode: VenueMode,
    updates: Vec<VenueUpdate>,
    sweeping: bool,
    tape: Option<Box<tape::TapeEngine>>,
    house: Option<Uuid>,
    counterparties: Option<Box<Counterparties>>,
    blockchain: blockchain::Blockchain,
    /// Halts of the chain that are not over.
    halts: u32,
    chain_waits: Vec<ChainWait>,
    /// Relayed transactions that a halt held up, and when they were mined.
    late_relays: BTreeMap<[u8; 32], Option<Time>>,
    /// Balances of tokens that are no collateral here, by token and owner.
    other_tokens:
        BTreeMap<(alloy::primitives::Address, alloy::primitives::Address), alloy::primitives::U256>,
}

impl Venue {
    /// A venue at a time.
    ///
    /// # Errors
    /// A market is listed twice with other tokens, or the tape cannot be opened.
    pub fn new(setup: &Setup, now: Time) -> Result<Venue, SetupError> {
        let mut venue = Venue {
            rules: setup.rules.clone(),
            chain: setup.chain_id,
            now,
            queue: BTreeMap::new(),
            serial: 0,
            chance: SeededRandom::new(setup.seed, 1),
            universe: Universe::new(),
            listed: Vec::new(),
            signers: BTreeMap::new(),
            keys: BTreeMap::new(),
            readonly: BTreeMap::new(),
            builder_keys: Vec::new(),
            ledger: WalletLedger::default(),
            orders: BTreeMap::new(),
            trades: BTreeMap::new(),
            traded: 0,
            of_counterparties: VecDeque::new(),
            settlement_rules: Vec::new(),
            steps: BTreeMap::new(),
            settlement: setup.settlement,
            mode: VenueMode::Normal,
            updates: Vec::new(),
            sweeping: false,
            tape: None,
            house: None,
            counterparties: None,
            blockchain: blockchain::Blockchain::new(now),
            halts: 0,
            chain_waits: Vec::new(),
            late_relays: BTreeMap::new(),
            other_tokens: BTreeMap::new(),
        };
        let moves = setup.liquidity && setup.counterparties && setup.tape.is_none();
        match &setup.tape {
            None => {
                for listing in &setup.markets {
                    let mut listing = listing.clone();
                    if let Some(closes_in) = listing.closes_in.filter(|_| moves) {
                        listing.market.closes = Some(now + closes_in);
                    }
                    venue.list(listing)?;
                }
            }
            Some(tape) => venue.open_tape(tape, setup.seed)?,
        }
        for account in &setup.accounts {
            venue.open_account(account);
        }
        if setup.liquidity && setup.tape.is_none() {
            venue.open_house();
            if moves {
                venue.open_counterparties(setup.seed);
            } else {
                venue.quote_everything();
            }
        }
        venue.updates.clear();
        venue.blockchain.open_at(venue.now);
        Ok(venue)
    }

    /// The time it has reached.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Time of the next scheduled action.
    pub fn next_due(&self) -> Option<Time> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Executes every scheduled action up to and including `to`, in order.
    pub fn advance(&mut self, to: Time) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > to {
                break;
            }
            let ((at, _), due) = entry.remove_entry();
            self.now = self.now.max(at);
            self.run(due);
            self.ledger.check();
        }
        self.now = self.now.max(to);
    }

    fn run(&mut self, due: VenueAction) {
        match due {
            VenueAction::Release(id) => self.release(id),
            VenueAction::Expire(id) => self.expire(id),
            VenueAction::Settle(number) => self.settle_step(number),
            VenueAction::Sweep => self.sweep(),
            VenueAction::GameStart(market) => self.game_starts(market),
            VenueAction::ModeOver(mode) => {
                if self.mode == mode {
                    self.mode = VenueMode::Normal;
                }
            }
            VenueAction::Tape => self.tape_step(),
            VenueAction::Chain(relayed) => self.run_calls(relayed),
            VenueAction::Session(key, session) => self.signer_mut(key).session = Some(session),
            VenueAction::Counterparty(turn) => self.counterparty(turn),
        }
    }

    fn schedule(&mut self, at: Time, due: VenueAction) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), due);
    }

    /// Updates published since the last call.
    pub fn take_updates(&mut self) -> Vec<VenueUpdate> {
        std::mem::take(&mut self.updates)
    }

    /// The trading mode.
    pub fn mode(&self) -> VenueMode {
        self.mode
    }

    /// Changes the trading mode. A restart is followed by two minutes of post-only.
    pub fn set_mode(&mut self, mode: VenueMode) {
        if self.mode == VenueMode::Restart && mode == VenueMode::Normal {
            self.mode = VenueMode::PostOnly { until: self.now + Span::secs(120) };
        } else {
            self.mode = mode;
        }
        if let VenueMode::PostOnly { until } = self.mode {
            self.schedule(until, VenueAction::ModeOver(self.mode));
        }
    }

    /// All markets.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// Balances of all wallets.
    pub fn ledger(&self) -> &WalletLedger {
        &self.ledger
    }

    /// All orders ever accepted.
    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.orders.values()
    }

    /// One of them.
    pub fn order(&self, id: &OrderHash) -> Option<&Order> {
        self.orders.get(id)
    }

    /// Trades in the order they were made: all of accounts, and the latest among counterparties.
    pub fn trades(&self) -> impl DoubleEndedIterator<Item = &Trade> {
        self.trades.values()
    }

    /// The chain whose orders it takes.
    pub fn chain_id(&self) -> u64 {
        self.chain
    }

    /// The rules, mutable for tests.
    pub fn rules_mut(&mut self) -> &mut Rules {
        &mut self.rules
    }

    /// Checks the sums of the ledger against the open orders as well.
    ///
    /// # Errors
    /// The first rule that does not hold.
    pub fn check(&mut self) -> Result<(), String> {
        self.ledger.check_all();
        if let Some(rule) = self.ledger.broken() {
            return Err(rule.to_owned());
        }
        self.check_sims()?;
        let mut cash: BTreeMap<_, Usdc> = BTreeMap::new();
        let mut shares: BTreeMap<_, Shares> = BTreeMap::new();
        for order in self.orders.values() {
            if order.status.ended() && !order.reserved_cash.is_zero() {
                return Err(format!("order {} ended with a promise", order.id));
            }
            *cash.entry(order.wallet).or_default() += order.reserved_cash;
            *shares.entry((order.wallet, order.token)).or_default() += order.reserved_shares;
        }
        for (address, wallet) in self.ledger.wallets() {
            if wallet.reserved != cash.get(address).copied().unwrap_or_default() {
                return Err(format!("{address}: reserved pUSD is not that of its orders"));
            }
            for (token, holding) in &wallet.holdings {
                if holding.offered != shares.get(&(*address, *token)).copied().unwrap_or_default() {
                    return Err(format!("{address}: offered shares are not those of its orders"));
                }
            }
        }
        for listed in &self.listed {
            for id in listed.book.orders() {
                if self.orders.get(&id).is_none_or(|order| order.status != Status::Live) {
                    return Err(format!("order {id} is on the book and not live"));
                }
            }
            if self.tape.is_none() && listed.crossed() {
                return Err(format!("the book of {} is crossed", listed.market().slug));
            }
        }
        Ok(())
    }

    fn market(&self, key: MarketKey) -> &Arc<polydesk_domain::Market> {
        self.universe.market(key)
    }
}
