//! One market, one wallet, and outputs as text.

use std::sync::Arc;

use polydesk_domain::{
    AccountEvent, ClientOrderId, FeeRate, Fees, Finding, Market, MarketKey, OrderHash, OrderUpdate,
    Outcome, Price, Shares, Side, Size, Tif, Time, Token, TokenId, Universe,
};
use polydesk_gateway::{Account, Ask, BuilderFees, Gateway, OrderFacts, Orders, Output};
use polydesk_polymarket_api::ws::{UserMessage, parse_user_frame};

pub const OWNER: &str = "00000000-0000-0000-0000-000000000001";
pub const WALLET: &str = "0x1111111111111111111111111111111111111111";
pub const RUN: u32 = 3;

pub fn at(secs: i64) -> Time {
    Time::from_secs(secs)
}

/// The hash of the `n`-th order.
pub fn hash(n: u8) -> OrderHash {
    OrderHash::from_bytes([n; 32])
}

pub fn shares(text: &str) -> Shares {
    text.parse().unwrap()
}

pub struct Bench {
    pub ids: Universe,
    pub gateway: Gateway,
}

impl Bench {
    /// Market 1 with a fee of five per cent; no order.
    pub fn new() -> Bench {
        let mut ids = Universe::new();
        let mut market = Market::plain(1, "market");
        market.fees = Fees::flat(FeeRate::checked(50_000, 1, 0).unwrap());
        ids.assign(Arc::new(market)).unwrap();
        let account =
            Account { owner: OWNER.into(), wallet: WALLET.into(), builder: BuilderFees::default() };
        Bench { ids, gateway: Gateway::new(account, RUN, Orders::default()) }
    }

    /// The same with order `#3.1` (buy 100 YES at 0.5, GTC) sent at 100 s under the hash 1.
    pub fn with_order() -> Bench {
        let mut bench = Bench::new();
        bench.send(1, bench.facts(Tif::Gtc));
        bench
    }

    pub fn yes(&self) -> Token {
        MarketKey(0).token(Outcome::Yes)
    }

    pub fn token(&self, outcome: Outcome) -> TokenId {
        self.ids.token_id(MarketKey(0).token(outcome))
    }

    pub fn facts(&self, tif: Tif) -> OrderFacts {
        OrderFacts {
            token: self.token(Outcome::Yes),
            condition: self.ids.market(MarketKey(0)).condition,
            side: Side::Buy,
            price: Price::cents(50),
            size: Size::Shares(Shares::whole(100)),
            tif,
            post_only: false,
            maker_amount: 50_000_000,
            taker_amount: 100_000_000,
            salt: 7,
            timestamp_ms: 100_000,
        }
    }

    pub fn send(&mut self, n: u8, facts: OrderFacts) {
        let id = ClientOrderId::of_run(RUN, u32::from(n));
        self.gateway.bound(id, hash(n), facts, at(99)).unwrap();
        self.gateway.sent(&hash(n), at(100));
    }

    /// A frame of the user channel, and what it gives.
    pub fn frame(&mut self, json: &str, now: Time) -> Vec<Output> {
        let mut out = Vec::new();
        for message in parse_user_frame(json.as_bytes()) {
            match message {
                UserMessage::Order(order) => {
                    out.extend(self.gateway.user_order(&self.ids, &order, now));
                }
                UserMessage::Trade(trade) => out.extend(self.gateway.trade(&self.ids, &trade, now)),
                other => panic!("{other:?}"),
            }
        }
        out
    }
}

/// One line per output; the amounts of fills in micro-dollars.
pub fn text(outputs: &[Output]) -> String {
    let line = |output: &Output| match output {
        Output::Event(event) => event_text(event),
        Output::Past(at, event) => {
            format!("at {} {}", at.nanos() / 1_000_000_000, event_text(event))
        }
        Output::Agreed(block) => format!("agreed {block}"),
        Output::NotReconciled(why) => format!("not reconciled: {why}"),
        Output::Ask(Ask::Order(hash)) => format!("ask order {}", short(hash)),
        Output::Ask(Ask::Trades(hash)) => format!("ask trades of {}", short(hash)),
        Output::Ask(Ask::Cancel(hash)) => format!("cancel {}", short(hash)),
        Output::Ask(other) => format!("ask {other:?}"),
    };
    outputs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn short(hash: &OrderHash) -> String {
    hash.to_string().chars().take(6).collect()
}

fn event_text(event: &AccountEvent) -> String {
    match event {
        AccountEvent::Order { id, update } => format!("{id} {}", update_text(update)),
        AccountEvent::Trade(own) => format!(
            "{} {} {:?} of {} {} {} for {} fee {} {:?} {:?}",
            own.order,
            own.side,
            own.role,
            own.fill.shares,
            if own.token.outcome() == Outcome::Yes { "yes" } else { "no" },
            own.trade.0,
            own.fill.notional,
            own.fill.fee,
            own.status,
            own.fill.basis,
        ),
        AccountEvent::External(order) => format!(
            "external {} {} {} {} at {} {}",
            order.id,
            short(&order.hash),
            order.side,
            order.size,
            order.price,
            if order.open { "open" } else { "over" },
        ),
        AccountEvent::Finding(Finding::Freeze { detail, .. }) => format!("freeze: {detail}"),
        other => format!("{other:?}"),
    }
}

fn update_text(update: &OrderUpdate) -> String {
    match update {
        OrderUpdate::Rejected { reason } => format!("rejected {reason:?}"),
        OrderUpdate::Cancelled { reason, matched } => format!("cancelled {reason:?} {matched}"),
        OrderUpdate::Expired { matched } => format!("expired {matched}"),
        OrderUpdate::Filled { matched } => format!("filled {matched}"),
        OrderUpdate::CancelRefused { still_open } => format!("cancel refused, open {still_open}"),
        other => format!("{other:?}").to_lowercase(),
    }
}
