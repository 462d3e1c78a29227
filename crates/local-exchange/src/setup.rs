//! What an exchange is started with: clock, markets, accounts, rules, settlement, limits.

use std::path::PathBuf;

use alloy::primitives::Address;
use polydesk_domain::{
    FeeRate, Fees, Market, NegRisk, ProtocolVersion, Shares, Span, Tick, Time, Usdc,
};
use polydesk_sim::{Delay, SimConfig};

use crate::limits::LimitSetup;
use crate::scenario::Scenario;
use crate::wallets::{TEST_ADDRESSES, WalletKind};

/// Which clock runs the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The machine's.
    Real,
    /// Begins at this time and moves only by [`Running::advance`](crate::Running::advance).
    Virtual(Time),
    /// The runtime's, which begins at this time: in a paused runtime it moves by itself to whatever is due
    /// next, at the exchange or at any other task.
    Runtime(Time),
}

/// A market to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// What trading needs. `taker_delay` of a second or more is `seconds_delay` of sports markets, a
    /// shorter one the taker delay of crypto markets (`itode`).
    pub market: Market,
    /// Title of its event; markets with the same `market.event` belong together.
    pub event_title: String,
    /// Label among its event's markets.
    pub group_title: String,
    /// `feeType` of Gamma, if fees are charged.
    pub fee_type: Option<String>,
    /// Tags of its event.
    pub tags: Vec<String>,
    /// When the game starts (sports).
    pub game_start: Option<Time>,
    /// Whether resting orders are cancelled then.
    pub clear_on_start: bool,
    /// Smallest order that earns rewards and widest spread in ten-thousandths, if it pays any.
    pub rewards: Option<(Shares, u16)>,
    /// With counterparties: the nominal close, counted from the listing. Replaces `market.closes`.
    pub closes_in: Option<Span>,
    /// With counterparties: whether the market is decided at its close and resolved soon after.
    pub resolves: bool,
    /// The series that it belongs to.
    pub series: Option<Series>,
}

/// Markets of which one follows the other, as the up or down markets do. With counterparties the next one is listed
/// by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Gamma's name of it; a market's slug is this and the Unix seconds of its begin.
    pub slug: String,
    /// How long one market is about.
    pub lasts: Span,
    /// The next market is listed so long before the close of this one.
    pub ahead: Span,
}

impl Listing {
    /// A market without frills.
    pub fn new(market: Market) -> Listing {
        Listing {
            event_title: market.question.clone(),
            group_title: String::new(),
            fee_type: (market.fees != Fees::flat(FeeRate::FREE)).then(|| "general".to_owned()),
            tags: if market.category.is_empty() {
                Vec::new()
            } else {
                vec![market.category.clone()]
            },
            game_start: None,
            clear_on_start: false,
            rewards: None,
            closes_in: None,
            resolves: false,
            series: None,
            market,
        }
    }
}

/// An account: one EOA with its API key and funded wallets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSetup {
    /// The EOA.
    pub owner: Address,
    /// Its wallets and what they hold of pUSD.
    pub wallets: Vec<(WalletKind, Usdc)>,
    /// Complete sets of every market that each wallet also holds.
    pub sets: Shares,
    /// Whether API credentials exist from the start (nonce 0).
    pub with_key: bool,
}

impl AccountSetup {
    /// An account whose every wallet holds the same.
    pub fn funded(owner: Address, cash: Usdc, sets: Shares) -> AccountSetup {
        let wallets = WalletKind::ALL.map(|kind| (kind, cash)).to_vec();
        AccountSetup { owner, wallets, sets, with_key: true }
    }
}

/// What the venue asks of orders and requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// How far a request's timestamp may be from the venue's clock; None takes any.
    pub auth_tolerance: Option<Span>,
    /// Whether accounts without a wallet of that kind may open one by trading through it. Off, types
    /// 0 to 2 of unknown wallets answer "use the deposit wallet flow".
    pub open_wallets: bool,
    /// Also takes plain 65-byte signatures of type 3.
    pub plain_deposit_signatures: bool,
    /// Whether `min_order_size` binds FOK and FAK too.
    pub minimum_binds_immediate: bool,
    /// Whether a trade is followed by a `book` frame on the market socket.
    pub book_after_trade: bool,
    /// Whether `POST /order` answers with transaction hashes (as it did before 2026-07-24).
    pub hashes_in_answer: bool,
    /// Whether the grid becomes finer when the price leaves 0.04 to 0.96.
    pub tick_follows_price: bool,
    /// From a subscription until its first `book`: some 150 ms at the venue, and official clients
    /// listen only some time after their request.
    pub snapshot_delay: Span,
    /// A market socket without text `PING` for this long is closed with 1008.
    pub ping_timeout: Span,
    /// Orders in one `POST /orders`.
    pub batch_most: usize,
    /// Ids in one `DELETE /orders`.
    pub cancel_most: usize,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            auth_tolerance: Some(Span::secs(60)),
            open_wallets: false,
            plain_deposit_signatures: false,
            minimum_binds_immediate: true,
            book_after_trade: true,
            hashes_in_answer: false,
            tick_follows_price: true,
            snapshot_delay: Span::millis(150),
            ping_timeout: Span::secs(125),
            batch_most: 15,
            cancel_most: 1_000,
        }
    }
}

/// How matches become final.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementSetup {
    /// From the match until it is in a block.
    pub mined: Delay,
    /// From there until it is final.
    pub confirmed: Delay,
    /// How long a retry takes.
    pub retry: Delay,
    /// Millionths of the trades that are tried again first.
    pub retry_ppm: u32,
    /// Millionths of the trades that fail for good.
    pub fail_ppm: u32,
}

impl Default for SettlementSetup {
    fn default() -> SettlementSetup {
        SettlementSetup {
            mined: Delay::millis(2_000),
            confirmed: Delay::millis(3_000),
            retry: Delay::millis(5_000),
            retry_ppm: 0,
            fail_ppm: 0,
        }
    }
}

/// Ports of 127.0.0.1; 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each field is the port of the listener it names")]
pub struct Ports {
    pub clob: u16,
    pub gamma: u16,
    pub data: u16,
    pub polybolt: u16,
    pub rtds: u16,
    pub relayer: u16,
    pub rpc: [u16; 2],
}

/// Recorded history as the other traders.
#[derive(Debug, Clone)]
pub struct TapeSetup {
    /// Folder of the tape.
    pub dir: PathBuf,
    /// Seconds of the tape in one second of the clock, in thousandths: 1000 is real time.
    pub speed_milli: u32,
    /// The queue model, fees and settlement that the accounts' orders meet.
    pub sim: SimConfig,
}

impl TapeSetup {
    /// A tape at a speed, with the cautious exchange of the simulator but without its delays: those
    /// are the wire's own here.
    pub fn new(dir: PathBuf, speed_milli: u32) -> TapeSetup {
        let mut sim = SimConfig::default();
        let none = Delay::NONE;
        sim.latency.feed = none;
        sim.latency.insert = none;
        sim.latency.cancel = none;
        sim.latency.answer = none;
        TapeSetup { dir, speed_milli, sim }
    }
}

/// Everything an exchange is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Chance comes from here alone.
    pub seed: u64,
    /// 137, or 80002 for Amoy.
    pub chain_id: u64,
    /// Which clock runs it.
    pub clock: Clock,
    /// Markets, in the order of listing. A tape brings its own.
    pub markets: Vec<Listing>,
    /// Accounts.
    pub accounts: Vec<AccountSetup>,
    /// Whether every market is quoted from the start.
    pub liquidity: bool,
    /// Whether those quotes move: counterparties trade by the seed on the exchange's clock
    /// (docs/demo.md). Off, the house account's quotes stand still. Needs `liquidity`; a tape has its own.
    pub counterparties: bool,
    /// Rules.
    pub rules: Rules,
    /// Settlement.
    pub settlement: SettlementSetup,
    /// Limits.
    pub limits: LimitSetup,
    /// Faults that pull themselves.
    pub scenario: Scenario,
    /// Listeners.
    pub ports: Ports,
    /// Recorded history instead of the matching engine.
    pub tape: Option<TapeSetup>,
}

/// 2026-11-24T12:00:00Z: where virtual clocks of tests begin.
pub const TEST_START: Time = Time::from_secs(1_795_521_600);

impl Default for Setup {
    /// The demo markets with three funded accounts and counterparties, on the machine's clock.
    fn default() -> Setup {
        let accounts = TEST_ADDRESSES[..3].iter();
        Setup {
            seed: 1,
            chain_id: 137,
            clock: Clock::Real,
            markets: demo_markets(),
            accounts: accounts
                .map(|owner| AccountSetup::funded(*owner, Usdc::whole(1_000), Shares::whole(200)))
                .collect(),
            liquidity: true,
            counterparties: true,
            rules: Rules::default(),
            settlement: SettlementSetup::default(),
            limits: LimitSetup::default(),
            scenario: Scenario::default(),
            ports: Ports::default(),
            tape: None,
        }
    }
}

impl Setup {
    /// For tests: a virtual clock, empty books, no limits, snapshots at once. With `liquidity` the books
    /// stand still.
    pub fn test() -> Setup {
        Setup {
            clock: Clock::Virtual(TEST_START),
            liquidity: false,
            counterparties: false,
            limits: LimitSetup::lenient(),
            rules: Rules { snapshot_delay: Span::ZERO, ..Rules::default() },
            ..Setup::default()
        }
    }
}

/// A normal market, a neg-risk group of three, one of protocol v2, a sports and a crypto market.
pub fn demo_markets() -> Vec<Listing> {
    let fees = |ppm, rebate| match FeeRate::checked(ppm, 1, rebate) {
        Ok(rate) => Fees::flat(rate),
        Err(_) => Fees::UNKNOWN,
    };
    let mut listings = Vec::new();
    let mut list = |number: u64, slug: &str, question: &str, change: &dyn Fn(&mut Listing)| {
        let mut market = Market::plain(number, slug);
        market.question = question.to_owned();
        market.event = slug.to_owned();
        market.condition = made_up_condition(number);
        market.tokens = made_up_tokens(number);
        market.closes = Some(Time::from_secs(1_830_297_600));
        let mut listing = Listing::new(market);
        change(&mut listing);
        listings.push(listing);
    };
    list(1, "rain-tomorrow", "Will it rain tomorrow?", &|listing| {
        listing.market.category = "weather".into();
        listing.market.fees = fees(50_000, 250_000);
        listing.fee_type = Some("general_fees".into());
        listing.tags = vec!["weather".into()];
        listing.rewards = Some((Shares::whole(20), 350));
    });
    for (index, name) in ["Ada", "Grace", "Alan"].iter().enumerate() {
        let slug = format!("{}-wins", name.to_lowercase());
        list(2 + index as u64, &slug, &format!("Will {name} win the election?"), &|listing| {
            listing.market.event = "election".into();
            listing.market.category = "politics".into();
            listing.market.fees = fees(40_000, 250_000);
            listing.market.neg_risk = Some(NegRisk {
                group: format!(
                    "0x{}00",
                    "2c3d7e0eee6f058be3006baabf0d54a07da254ba47fe6e3e095e7990c78147"
                ),
                members: Some(3),
                augmented: false,
                placeholder: false,
            });
            listing.event_title = "Who wins the election?".into();
            listing.group_title = (*name).to_owned();
            listing.fee_type = Some("politics_fees".into());
            listing.tags = vec!["politics".into()];
            // Near enough that a basket of the group is worth its time.
            listing.closes_in = Some(Span::secs(7 * 86_400));
        });
    }
    list(5, "new-protocol", "Does the new protocol work?", &|listing| {
        listing.market.version = ProtocolVersion::V2;
        listing.market.tick = Tick::Thousandth;
        listing.tags = vec!["tech".into()];
    });
    list(6, "hawks-owls", "Hawks vs. Owls", &|listing| {
        listing.market.labels = ["Hawks".into(), "Owls".into()];
        listing.market.category = "sports".into();
        listing.market.fees = fees(50_000, 150_000);
        listing.market.taker_delay = Span::secs(1);
        listing.fee_type = Some("sports_fees_v3".into());
        listing.tags = vec!["sports".into()];
        listing.game_start = Some(Time::from_secs(1_830_280_000));
        listing.clear_on_start = true;
    });
    list(7, "btc-updown-5m-1795521600", "Bitcoin Up or Down", &|listing| {
        listing.market.labels = ["Up".into(), "Down".into()];
        listing.market.category = "crypto".into();
        listing.market.fees = fees(70_000, 200_000);
        listing.market.taker_delay = Span::millis(150);
        listing.fee_type = Some("crypto_fees_v2".into());
        listing.tags = vec!["crypto".into()];
        listing.closes_in = Some(Span::secs(300));
        listing.resolves = true;
        listing.series = Some(Series {
            slug: "btc-updown-5m".into(),
            lasts: Span::secs(300),
            ahead: Span::secs(60),
        });
    });
    listings
}

pub(crate) fn made_up_condition(number: u64) -> polydesk_domain::ConditionId {
    let hash = alloy::primitives::keccak256(format!("local condition {number}"));
    polydesk_domain::ConditionId::from_bytes(hash.0)
}

pub(crate) fn made_up_tokens(number: u64) -> [polydesk_domain::TokenId; 2] {
    [0, 1].map(|outcome| {
        let hash = alloy::primitives::keccak256(format!("local token {number} {outcome}"));
        polydesk_domain::TokenId::from_bytes(hash.0)
    })
}
