//! A live process on the exchange, in virtual time: the shipped client, gateway, lanes and journal.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use polydesk_domain::{Action, TradeIntent, Urgency};
use polydesk_domain::{
    Cash, CashKind, Code, Conversion, ConversionId, Market, MarketKey, OrderHash, Outcome, Price,
    Reason, Shares, Side, Signal, SignalId, Size, Span, StrategyId, Time, Token, TokenId,
    TradeStatus, Usdc, WorldEvent,
};
use polydesk_gateway::{Account, BuilderFees, ChainMove, ChainRead, FilledLog};
use polydesk_journal::{Disk, LatchFile, LatchState};
use polydesk_local_exchange::wallets::TEST_KEYS;
use polydesk_local_exchange::{Running as Exchange, Setup};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{
    Credentials, L2Auth, OrderArgs, Secret, SignError, SignOrders, SignedOrder,
};
use polydesk_polymarket_wallet::signing::{
    Address, Chain, Key, OrderSigner, OrderStamps, Scope, ScopedSigner, Wallet,
};
use polydesk_runtime::assembly::{Host, Running, StartError, StartOptions, check};
use polydesk_runtime::glance::Glance;
use polydesk_runtime::inbox::Request;
use polydesk_runtime::keeping::Storage;
use polydesk_runtime::kill::{Killer, LatchWriter, Writing, thread};
use polydesk_runtime::live::assembly::{LiveParts, begin};
use polydesk_runtime::live::bot::LiveEnded;
use polydesk_runtime::live::chain::{Answer, ChainLane, ConversionJob, Converted};
use polydesk_runtime::live::guarding::Guarding;
use polydesk_runtime::live::orders::MaxAges;
use polydesk_runtime::live::stops::Stops;

use tokio::sync::oneshot;

use crate::world::World;

/// The wallet's address on the exchange.
pub fn wallet(exchange: &Exchange) -> Address {
    exchange.accounts()[0].owner
}

/// The chain as the exchange has it, without any wire between. It can be cut off, and be made to lie.
pub struct TruthChain {
    exchange: Arc<Exchange>,
    /// Answers fail.
    pub down: AtomicBool,
    /// Added to the cash that is read, in micro-dollars.
    pub lie: AtomicI64,
    /// Conversions find their nonce used by a transaction that was not sent here.
    pub taken: AtomicBool,
    /// What moved without an order and a conversion of ours.
    pub moves: Mutex<Vec<ChainMove>>,
}

impl ChainLane for TruthChain {
    fn read<'a>(&'a self, tokens: &'a [TokenId], since: Option<u64>) -> Answer<'a, ChainRead> {
        Box::pin(async move {
            if self.down.load(Ordering::Relaxed) {
                return Err("no endpoint answers".to_owned());
            }
            let owner = wallet(&self.exchange);
            let lie = Usdc::new(self.lie.load(Ordering::Relaxed));
            let moves = self.moves.lock().unwrap();
            let later = |one: &&ChainMove| since.is_some_and(|since| one.block > since);
            let moves: Vec<ChainMove> = moves.iter().filter(later).cloned().collect();
            let moved = moves.iter().flat_map(|one| one.shares.iter().map(|(id, _)| *id));
            let tokens: BTreeSet<TokenId> = tokens.iter().copied().chain(moved).collect();
            Ok(self.exchange.venue(|venue| {
                let wallet = venue.ledger().wallet(&owner).unwrap();
                let shares = |id: &TokenId| {
                    let token = venue.universe().token(id);
                    token.map(|token| wallet.holding(token).settled).unwrap_or_default()
                };
                ChainRead {
                    agreed: true,
                    block: venue.head_block(),
                    age: Span::secs(2),
                    cash: wallet.cash + lie,
                    shares: tokens.iter().map(|id| (*id, shares(id))).collect(),
                    moves,
                    unsettled: false,
                }
            }))
        })
    }

    fn settled<'a>(&'a self, transaction: &'a str) -> Answer<'a, Option<(Vec<FilledLog>, u64)>> {
        Box::pin(async move {
            if self.down.load(Ordering::Relaxed) {
                return Err("no endpoint answers".to_owned());
            }
            let owner = wallet(&self.exchange);
            Ok(self.exchange.venue(|venue| {
                let name = |hash: &[u8; 32]| {
                    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                    format!("0x{digits}")
                };
                let mut fills = Vec::new();
                let mut depth = None;
                for trade in venue.trades() {
                    let here = trade.transaction.as_ref().is_some_and(|it| name(it) == transaction);
                    let moved = matches!(trade.status, TradeStatus::Mined | TradeStatus::Confirmed);
                    if !here || !moved {
                        continue;
                    }
                    let age = trade.changed_at.until(venue.now());
                    depth = Some(u64::try_from(age.as_millis() / 2_000).unwrap_or(0));
                    let log = |order, side, token, shares, notional, fee| FilledLog {
                        order,
                        side,
                        token: venue.universe().token_id(token),
                        shares,
                        notional,
                        fee,
                    };
                    if trade.wallet == owner {
                        let (shares, money, fee) = (trade.shares(), trade.money(), trade.fee());
                        fills.push(log(trade.order, trade.side, trade.token, shares, money, fee));
                    }
                    for leg in trade.legs.iter().filter(|leg| leg.wallet == owner) {
                        let (shares, money) = (leg.shares, leg.maker_money);
                        fills.push(log(leg.order, leg.side, leg.token, shares, money, Usdc::ZERO));
                    }
                }
                depth.map(|depth| (fills, depth))
            }))
        })
    }

    fn resume<'a>(&'a self, _: &'a ConversionJob) -> Answer<'a, Converted> {
        // A conversion is one step here: what was not reported never began.
        Box::pin(async { Ok(Converted::Failed) })
    }

    fn pending<'a>(&'a self, _: &'a BTreeSet<ConversionId>) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn convert<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted> {
        Box::pin(async move {
            if self.taken.load(Ordering::Relaxed) {
                return Ok(Converted::NonceTaken);
            }
            let owner = wallet(&self.exchange);
            let moved =
                self.exchange.venue(|venue| {
                    let market = venue.universe().key(&job.condition)?;
                    match job.action {
                        Conversion::Split(shares) => venue
                            .split(&owner, market, shares)
                            .then_some((CashKind::Split, -shares.face_value(), [shares, shares])),
                        Conversion::Merge(shares) => venue
                            .merge(&owner, market, shares)
                            .then_some((CashKind::Merge, shares.face_value(), [shares, shares])),
                        Conversion::Redeem => {
                            let wallet = venue.ledger().wallet(&owner)?;
                            let held =
                                Outcome::BOTH.map(|of| wallet.holding(market.token(of)).settled);
                            let paid = venue.redeem(&owner, market)?;
                            Some((CashKind::Redeem, paid, held))
                        }
                    }
                });
            Ok(match moved {
                Some((kind, amount, shares)) => Converted::Moved(Cash {
                    kind,
                    conversion: Some(job.id),
                    strategy: Some(job.strategy),
                    market: None,
                    amount,
                    shares,
                }),
                None => Converted::Failed,
            })
        })
    }
}

/// Writes the latch to the journal's disk at once.
struct DiskLatch(Arc<dyn Disk>);

impl LatchWriter for DiskLatch {
    fn write(&self, state: LatchState) -> Writing {
        let ((written, is_written), (synced, is_synced)) = (oneshot::channel(), oneshot::channel());
        let disk = &*self.0;
        let done =
            LatchFile::read(disk).map_err(|error| error.to_string()).and_then(|(latch, _)| {
                let mut latch = latch;
                latch.write(disk, &state).map_err(|error| error.to_string())?;
                latch.sync(disk).map_err(|error| error.to_string())
            });
        let _ = written.send(done.clone());
        let _ = synced.send(done);
        Writing { written: is_written, synced: is_synced }
    }
}

/// What live trading needs besides the world.
pub struct Desk {
    pub world: World,
    pub chain: Arc<TruthChain>,
    pub max_ages: MaxAges,
    pub cancel_external: bool,
    pub signs_per_second: u32,
    /// The signer panics at its next order.
    pub signer_panics: Arc<AtomicBool>,
}

/// A signer that can be made to panic.
struct Brittle {
    signer: Box<dyn SignOrders>,
    panics: Arc<AtomicBool>,
}

impl SignOrders for Brittle {
    fn sign_order(&mut self, args: &OrderArgs, now_ms: u64) -> Result<SignedOrder, SignError> {
        assert!(!self.panics.load(Ordering::Relaxed), "as a test asked");
        self.signer.sign_order(args, now_ms)
    }
    fn used_until(&mut self, last_ms: u64) {
        self.signer.used_until(last_ms);
    }
}

impl Desk {
    pub fn new(setup: Setup) -> Desk {
        let mut world = World::new(setup);
        // The tests decide what is traded.
        world.flags.push(("run.strategies", "[]"));
        let chain = Arc::new(TruthChain {
            exchange: world.exchange.clone(),
            down: AtomicBool::new(false),
            lie: AtomicI64::new(0),
            taken: AtomicBool::new(false),
            moves: Mutex::default(),
        });
        Desk {
            world,
            chain,
            max_ages: MaxAges { decision: Span::secs(3), data: Span::secs(60) },
            cancel_external: false,
            signs_per_second: 1_000,
            signer_panics: Arc::default(),
        }
    }

    pub fn credentials(&self) -> Credentials {
        let theirs = self.world.exchange.accounts()[0].credentials.clone().unwrap();
        Credentials {
            key: theirs.key.to_string(),
            secret: Secret::new(theirs.secret),
            passphrase: Secret::new(theirs.passphrase),
        }
    }

    /// The account's own client, for what a person does on the website.
    pub fn clob(&self) -> Clob {
        let key = Key::from_hex(TEST_KEYS[0]).unwrap();
        let auth = L2Auth::new(key.address().to_string(), self.credentials()).unwrap();
        self.world.venue().clob.with_auth(auth, Wallet::Eoa.signature_type())
    }

    fn signer(&self) -> Box<dyn SignOrders> {
        Box::new(Brittle { signer: self.signer_of(9), panics: self.signer_panics.clone() })
    }

    fn signer_of(&self, seed: u64) -> Box<dyn SignOrders> {
        let key = Key::from_hex(TEST_KEYS[0]).unwrap();
        let signer = OrderSigner::new(key, Wallet::Eoa, &Chain::polygon());
        let scope = Scope {
            max_buy: Usdc::whole(100_000),
            max_sell: Shares::whole(1_000_000),
            orders_per_second: self.signs_per_second,
        };
        let owner = self.credentials().key;
        Box::new(ScopedSigner::new(signer, OrderStamps::seeded(seed), owner, scope))
    }

    /// Starts a live process.
    pub async fn start(&self) -> Result<Live, StartError> {
        let settings = self.world.settings();
        let venue = self.world.venue();
        let (checks, _) = check(&venue, &settings).await?;
        let again = settings.clone();
        let options = StartOptions {
            load: Box::new(move || Ok(again.clone())),
            host: Host::Task,
            data: self.world.folder.path().to_owned(),
            storage: self.world.disk.clone().map_or(Storage::Folder, Storage::Simulated),
            panics: Some(self.world.panics.subscribe()),
            program: "test".to_owned(),
            config_sha256: String::new(),
            listen: None,
            files: Vec::new(),
            kill: None,
            give_up: None,
        };
        let clob = self.clob();
        let (killer, waiting) = thread::pair(venue.clock.server().clone());
        tokio::spawn(thread::body(waiting, None));
        let latch = DiskLatch(self.world.disk.clone().unwrap().disk);
        let credentials = self.credentials();
        let chain = self.chain.clone();
        let parts = LiveParts {
            signer: self.signer(),
            chain: Box::new(move |_, _| Ok(chain)),
            account: Account {
                owner: credentials.key.clone(),
                wallet: wallet(&self.world.exchange).to_string(),
                builder: BuilderFees::default(),
            },
            connect: Box::new(move || Ok(clob.clone())),
            credentials,
            ws_user: self.world.exchange.urls().user_socket.clone(),
            guarding: Guarding {
                killer: killer.clone(),
                latch: Arc::new(latch),
                cancels_per_second: 80,
            },
            max_ages: self.max_ages,
            stops: Stops::default(),
            cancel_external: self.cancel_external,
        };
        let running = begin(&settings, venue, options, checks, parts).await?;
        Ok(Live { running, killer, signals: 0 })
    }

    /// Money comes from outside, or goes there.
    pub fn fund(&self, amount: Usdc) {
        let owner = wallet(&self.world.exchange);
        self.world.exchange.venue(|venue| venue.fund(owner, amount));
        self.outside(Code::literal("deposit"), amount, Vec::new());
    }

    /// The venue resolves a market and redeems what the wallet holds of it.
    pub fn auto_redeem(&self, slug: &str, payout: polydesk_domain::Payout) {
        let owner = wallet(&self.world.exchange);
        let tokens = self.world.market(slug).tokens;
        let held = Outcome::BOTH.map(|outcome| self.shares(slug, outcome));
        let paid = self.world.exchange.venue(|venue| {
            let mut keys = venue.universe().keys();
            let key = keys.find(|key| venue.universe().market(*key).slug == slug).unwrap();
            drop(keys);
            venue.resolve(key, payout);
            venue.redeem(&owner, key).unwrap()
        });
        let gone = tokens.into_iter().zip(held.map(|held| -(held.micros() as i64)));
        self.outside(ChainMove::REDEMPTION, paid, gone.collect());
    }

    fn outside(&self, code: Code, cash: Usdc, shares: Vec<(TokenId, i64)>) {
        let block = self.world.exchange.venue(|venue| venue.head_block()) + 1;
        let at = self.world.exchange.now();
        let one = ChainMove { code, block, at, cash, shares };
        self.chain.moves.lock().unwrap().push(one);
    }

    /// Adds fault rules to the exchange.
    pub fn inject(&self, scenario: &str) {
        self.world.exchange.inject_toml(scenario).unwrap();
    }

    /// A limit order of a person on the website: price in cents, size in whole shares.
    pub async fn person(
        &self,
        market: &Market,
        outcome: Outcome,
        side: Side,
        cents: u16,
        shares: u64,
    ) {
        let args = OrderArgs {
            token: market.tokens[usize::from(outcome == Outcome::No)],
            side,
            price: Price::cents(cents),
            size: Size::Shares(Shares::whole(shares)),
            tif: polydesk_domain::Tif::Gtc,
            post_only: false,
            tick: market.tick,
            exchange: polydesk_polymarket_api::Exchange::of(market).unwrap(),
        };
        let now = self.world.exchange.now().nanos() / 1_000_000;
        let mut signer = self.signer_of(77);
        let signed = signer.sign_order(&args, now as u64).unwrap();
        self.clob().place(&signed).await.unwrap();
    }

    /// Cash of the wallet on the chain.
    pub fn cash(&self) -> Usdc {
        let owner = wallet(&self.world.exchange);
        self.world.exchange.venue(|venue| venue.ledger().wallet(&owner).unwrap().cash)
    }

    /// Settled shares of the wallet.
    pub fn shares(&self, slug: &str, outcome: Outcome) -> Shares {
        let owner = wallet(&self.world.exchange);
        self.world.exchange.venue(|venue| {
            let key =
                venue.universe().keys().find(|key| venue.universe().market(*key).slug == slug);
            venue.ledger().wallet(&owner).unwrap().holding(key.unwrap().token(outcome)).settled
        })
    }

    /// Ids of the wallet's open orders at the exchange.
    pub fn open(&self) -> Vec<OrderHash> {
        let owner = wallet(&self.world.exchange);
        self.world.exchange.venue(|venue| {
            let open =
                venue.orders().filter(|order| order.wallet == owner && !order.status.ended());
            open.map(|order| order.id).collect()
        })
    }

    /// Every order of the wallet that the exchange ever had.
    pub fn orders(&self) -> usize {
        let owner = wallet(&self.world.exchange);
        self.world
            .exchange
            .venue(|venue| venue.orders().filter(|order| order.wallet == owner).count())
    }
}

/// A live process.
pub struct Live {
    pub running: Running<LiveEnded>,
    pub killer: Killer,
    signals: u64,
}

/// A signal as a test gives it: price in cents, size in whole shares.
#[derive(Clone, Copy)]
pub struct Ask {
    pub outcome: Outcome,
    pub side: Side,
    pub cents: u16,
    pub shares: u64,
    pub urgency: Urgency,
}

impl Live {
    pub fn glance(&self) -> Option<Glance> {
        (*self.running.shared.glance()).clone()
    }

    /// Waits until the glance satisfies a condition; twenty minutes of virtual time are too long for any of them.
    pub async fn until(&self, what: &str, holds: impl Fn(&Glance) -> bool) -> Glance {
        for _ in 0..12_000 {
            if let Some(glance) = self.glance()
                && holds(&glance)
            {
                return glance;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what} never came: {:#?}", self.glance());
    }

    /// Waits until the gate is open.
    pub async fn ready(&self) -> Glance {
        self.until("an open gate", |glance| glance.blockers.is_empty()).await
    }

    /// The market's key in the engine: it is listed again as it is.
    pub async fn key(&self, market: &Arc<Market>) -> MarketKey {
        self.running.inbox.list(Arc::clone(market)).await.unwrap()
    }

    /// Sends a signal of another process.
    pub async fn signal(&mut self, market: &Arc<Market>, now: Time, ask: Ask) {
        let key = self.key(market).await;
        // What another run has numbered is used up.
        let epoch = self.glance().map_or(1, |glance| glance.run);
        self.signals += 1;
        let producer = StrategyId::literal("outside");
        let token: Token = key.token(ask.outcome);
        let intent = TradeIntent {
            token,
            side: ask.side,
            size: Size::Shares(Shares::whole(ask.shares)),
            limit: Price::cents(ask.cents),
            urgency: ask.urgency,
            all_or_nothing: false,
            exit: None,
        };
        let signal = Signal {
            id: SignalId { producer, epoch, counter: self.signals },
            strategy: producer,
            market: key,
            action: Action::Trade(intent),
            created: now,
            expires: now + Span::secs(600),
            edge: Usdc::whole(1),
            reason: Reason::new("test"),
        };
        let event = Box::new(WorldEvent::Signal(signal));
        self.running.inbox.send(Request::World(event)).unwrap();
    }

    pub async fn stop(self) -> LiveEnded {
        self.running.stop().await.unwrap()
    }
}
