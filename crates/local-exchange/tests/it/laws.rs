//! Laws over random runs: money and shares are conserved whatever several accounts do, and no bytes
//! from outside make the exchange panic.

use crate::common::{Socket, get, http, run, send};
use alloy::primitives::{Address, hex};
use polydesk_domain::{
    MarketKey, Outcome, Payout, Price, Shares, Side, Size, Span, Tif, TradeStatus, Usdc,
};
use polydesk_local_exchange::typed::{Contract, OrderMessage, recover_order};
use polydesk_local_exchange::venue::{
    Ending, OrderSpec, SettlementPath, SettlementRule, Status, Trade, Venue,
};
use polydesk_local_exchange::wallets::{TEST_ADDRESSES, WalletKind};
use polydesk_local_exchange::{LocalExchange, Scenario, Setup, TEST_START};
use proptest::prelude::*;
use serde_json::json;

#[derive(Debug, Clone)]
enum Act {
    Place { account: usize, market: u32, no: bool, sell: bool, cents: u16, size: u64, tif: u8 },
    Cancel { account: usize },
    CancelFirst { account: usize },
    Wait { millis: i64 },
    Split { account: usize, market: u32, size: u64 },
    Merge { account: usize, market: u32, size: u64 },
    SettlementPath { ending: u8 },
    Tick { market: u32, fine: bool },
    Freeze { market: u32, frozen: bool },
    Resolve { market: u32, pays: u8 },
    Redeem { account: usize, market: u32 },
    Halt,
    Resume,
    Reorganise { depth: u64 },
}

fn act() -> impl Strategy<Value = Act> {
    let (account, market) = (0..3usize, 0..7u32);
    prop_oneof![
        12 => (account.clone(), market.clone(), any::<bool>(), any::<bool>(), 40..60u16,
            500..20_000u64, 0..6u8)
            .prop_map(|(account, market, no, sell, cents, size, tif)| {
                Act::Place { account, market, no, sell, cents, size, tif }
            }),
        1 => account.clone().prop_map(|account| Act::Cancel { account }),
        2 => account.clone().prop_map(|account| Act::CancelFirst { account }),
        3 => (0..4_000i64).prop_map(|millis| Act::Wait { millis }),
        1 => (account.clone(), market.clone(), 1..50_000_000u64)
            .prop_map(|(account, market, size)| Act::Split { account, market, size }),
        1 => (account.clone(), market.clone(), 1..50_000_000u64)
            .prop_map(|(account, market, size)| Act::Merge { account, market, size }),
        2 => (0..6u8).prop_map(|ending| Act::SettlementPath { ending }),
        1 => (market.clone(), any::<bool>()).prop_map(|(market, fine)| Act::Tick { market, fine }),
        1 => (market.clone(), any::<bool>())
            .prop_map(|(market, frozen)| Act::Freeze { market, frozen }),
        1 => Just(Act::Halt),
        2 => Just(Act::Resume),
        1 => (1..5u64).prop_map(|depth| Act::Reorganise { depth }),
        1 => (market.clone(), 0..20u8).prop_map(|(market, pays)| Act::Resolve { market, pays }),
        1 => (account, market).prop_map(|(account, market)| Act::Redeem { account, market }),
    ]
}

fn play(venue: &mut Venue, act: &Act) {
    let owner = |account: usize| -> Address { TEST_ADDRESSES[account] };
    match *act {
        Act::Place { account, market, no, sell, cents, size, tif } => {
            let key = venue.derive_key(&owner(account), 0).unwrap().key;
            let token = MarketKey(market).token(if no { Outcome::No } else { Outcome::Yes });
            let side = if sell { Side::Sell } else { Side::Buy };
            let tif = match tif {
                0 => Tif::Fok,
                1 => Tif::Fak,
                2 => Tif::Gtd { expires: venue.now() + Span::secs(200) },
                _ => Tif::Gtc,
            };
            let size = match (tif.rests(), side) {
                (false, Side::Buy) => Size::Spend(Usdc::cents(size as i64 / 2)),
                _ => Size::Shares(Shares::new(size * 10_000)),
            };
            let price = Price::cents(cents);
            let spec = OrderSpec {
                token,
                side,
                price,
                size,
                tif,
                post_only: size == Size::Spend(Usdc::ZERO),
            };
            let _ = venue.place_as(key, owner(account), &spec);
        }
        Act::Cancel { account } => {
            venue.cancel_all(&owner(account), None, None);
        }
        Act::CancelFirst { account } => {
            let first = venue.open_orders(&owner(account)).next().map(|order| order.id);
            venue.cancel(&owner(account), &first.into_iter().collect::<Vec<_>>());
        }
        Act::Wait { millis } => venue.advance(venue.now() + Span::millis(millis)),
        Act::Split { account, market, size } => {
            venue.split(&owner(account), MarketKey(market), Shares::new(size));
        }
        Act::Merge { account, market, size } => {
            venue.merge(&owner(account), MarketKey(market), Shares::new(size));
        }
        Act::SettlementPath { ending } => {
            let ending = [
                Ending::Confirm,
                Ending::Retry,
                Ending::Reorg,
                Ending::Fail,
                Ending::FailMined,
                Ending::Stall,
            ][usize::from(ending)];
            let next = venue.trades().count() as u64 + 1;
            let path = SettlementPath { mined: None, confirmed: None, ending };
            venue.add_settlement_rule(SettlementRule {
                first: next,
                last: next + 1,
                signer: None,
                path,
            });
        }
        Act::Tick { market, fine } => {
            let tick =
                if fine { polydesk_domain::Tick::Thousandth } else { polydesk_domain::Tick::Cent };
            venue.set_tick(MarketKey(market), tick);
        }
        Act::Freeze { market, frozen } => venue.freeze(MarketKey(market), frozen),
        Act::Resolve { market, pays } => {
            // Mostly not: a resolved market is no longer interesting.
            let payout = match pays {
                0 => Payout::YES,
                1 => Payout::NO,
                2 => Payout::HALF,
                3 => Payout::yes_micros(333_333).unwrap(),
                _ => return,
            };
            venue.resolve(MarketKey(market), payout);
        }
        Act::Redeem { account, market } => {
            venue.redeem(&owner(account), MarketKey(market));
        }
        Act::Halt => venue.halt_chain(),
        Act::Resume => venue.resume_chain(),
        Act::Reorganise { depth } => venue.reorganise_chain(depth),
    }
}

fn config() -> ProptestConfig {
    let cases = std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(300),
        rng_seed: proptest::test_runner::RngSeed::Fixed(
            std::env::var("PROPTEST_RNG_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7),
        ),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn money_and_shares_are_conserved(acts in prop::collection::vec(act(), 1..120)) {
        let mut venue = Venue::new(&Setup::test(), TEST_START).unwrap();
        let first = venue.head_block();
        for act in &acts {
            play(&mut venue, act);
            prop_assert_eq!(venue.check(), Ok(()), "after {:?}", act);
        }
        (0..7).for_each(|market| venue.freeze(MarketKey(market), false));
        acts.iter().for_each(|_| venue.resume_chain());
        venue.advance(venue.now() + Span::secs(3_600));
        prop_assert_eq!(venue.check(), Ok(()));
        // What the chain's transactions moved is the whole difference to the beginning.
        for wallet in &TEST_ADDRESSES[..3] {
            prop_assert_eq!(venue.cash_at(wallet, first), 1_000_000_000);
            for market in 0..7 {
                for outcome in Outcome::BOTH {
                    let token = MarketKey(market).token(outcome);
                    prop_assert_eq!(venue.shares_at(wallet, token, first), 200_000_000);
                }
            }
        }
        let stalled = |trade: &&Trade| trade.status == TradeStatus::Matched;
        let waiting = venue.trades().filter(stalled).count();
        let stalls = acts.iter().any(|act| matches!(act, Act::SettlementPath { ending: 5 }));
        prop_assert!(waiting == 0 || stalls, "{} trades wait for ever", waiting);
        for order in venue.orders() {
            prop_assert!(order.matched_money <= Usdc::new(order.maker_amount as i64)
                || order.side == Side::Sell);
            prop_assert!(order.side == Side::Buy || order.matched.micros() <= order.maker_amount);
            prop_assert!(!matches!(order.status, Status::Delayed));
        }
    }

    #[test]
    fn the_same_acts_give_the_same_venue(acts in prop::collection::vec(act(), 1..40)) {
        let runs = [0, 1].map(|_| {
            let mut venue = Venue::new(&Setup::test(), TEST_START).unwrap();
            acts.iter().for_each(|act| play(&mut venue, act));
            format!("{:?} {:?}", venue.take_updates(), venue.trades().collect::<Vec<_>>())
        });
        prop_assert_eq!(&runs[0], &runs[1]);
    }

    #[test]
    fn any_bytes_may_claim_to_be_a_signature(
        bytes in prop::collection::vec(any::<u8>(), 0..800),
        kind in 0..4u8,
        plain: bool,
    ) {
        let order = OrderMessage {
            salt: Default::default(), maker: Address::ZERO, signer: Address::ZERO,
            token: Default::default(), maker_amount: 1, taker_amount: 1, side: 0,
            signature_type: kind, timestamp: Default::default(), metadata: Default::default(),
            builder: Default::default(),
        };
        let mut enveloped = bytes.clone();
        enveloped.extend(hex::decode("6492".repeat(16)).unwrap());
        for bytes in [&bytes, &enveloped] {
            let _ = recover_order(&order, Contract::V3, 137, bytes, plain);
        }
    }

    #[test]
    fn any_text_may_claim_to_be_a_scenario(text in "[a-z\\[\\]=\"0-9.\n ]{0,200}") {
        let _ = Scenario::parse(&text);
        let _ = Scenario::parse(&format!("[[answers]]\nendpoint = \"{text}\""));
    }
}

const PUSD: &str = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB";
const CTF: &str = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045";
const RPC_METHODS: [&str; 10] = [
    "eth_call",
    "eth_getLogs",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getTransactionReceipt",
    "eth_getBalance",
    "eth_feeHistory",
    "eth_estimateGas",
    "eth_getCode",
    "eth_sendRawTransaction",
];

#[test]
fn any_bytes_may_come_over_the_wire() {
    use proptest::strategy::ValueTree;
    run(async {
        let running = LocalExchange::start(Setup::test()).await.unwrap();
        let alice = crate::common::Trader::new(&running, 0, WalletKind::Eoa);
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let bytes = prop_oneof![
            any::<String>(),
            "[\\{\\[\"a-z:,0-9\\]\\}]{0,80}",
            Just("{\"order\":{\"salt\":1,\"maker\":\"0x\"}}".to_owned()),
        ];
        let paths =
            ["/order", "/orders", "/v1/heartbeats", "/orders-scoring", "/cancel-market-orders"];
        let mut socket = Socket::open(&running.urls().market_socket).await.unwrap();
        let mut feed = Socket::open(&running.urls().rtds).await.unwrap();
        let mut bolt = Socket::open(&running.urls().polybolt).await.unwrap();
        for round in 0..200 {
            let body = bytes.new_tree(&mut runner).unwrap().current();
            let path = paths[round % paths.len()];
            for method in ["POST", "DELETE"] {
                let reply = alice.call(method, path, &body).await;
                assert!(reply.status < 500, "{method} {path} {body:?}: {}", reply.status);
            }
            let encoded: String =
                body.bytes().map(|byte| format!("%{byte:02x}")).take(60).collect();
            for base in [&running.urls().clob, &running.urls().gamma, &running.urls().data] {
                for path in ["/markets", "/book", "/events/keyset", "/v2/positions", "/activity"] {
                    let url = format!(
                        "{base}{path}?user={encoded}&id={encoded}&cursor={encoded}&after_cursor=\
                         {encoded}&token_id={encoded}&limit={encoded}&offset={encoded}"
                    );
                    let reply = get(&alice.http, url).await;
                    assert!(reply.status < 500);
                }
            }
            for node in &running.urls().rpc {
                let method = RPC_METHODS[round % RPC_METHODS.len()];
                let (text, hex) = (body.as_str(), hex::encode(&body));
                for params in [
                    json!([text, text]),
                    json!([format!("0x{hex}"), format!("0x{hex}"), [1]]),
                    json!([{ "to": PUSD, "data": format!("0x70a08231{hex}") }, "latest"]),
                    json!([{ "to": CTF, "data": format!("0x4e1273f4{hex}") }]),
                    json!([{ "fromBlock": text, "address": [text], "topics": [[text], null] }]),
                    json!({ "to": text }),
                ] {
                    let call = json!({ "id": round, "method": method, "params": params });
                    let reply = send(&alice.http, "POST", node, &[], call.to_string()).await;
                    assert_eq!(reply.unwrap().json()["id"], json!(round));
                }
                let reply = send(&alice.http, "POST", node, &[], body.clone()).await.unwrap();
                assert_eq!(reply.status, 200);
            }
            socket.send_text(&body).await;
            feed.send_text(&body).await;
            bolt.send_text(&body).await;
            if round % 20 == 0 {
                let mut user = Socket::open(&running.urls().user_socket).await.unwrap();
                user.send_text(&body).await;
                let relayer = format!("{}/submit", running.urls().relayer);
                let key = [("RELAYER_API_KEY", "k".to_owned())];
                let reply = send(&alice.http, "POST", &relayer, &key, body.clone()).await.unwrap();
                assert!(reply.status < 500);
                let number = format!("{}", u64::MAX / (round as u64 + 1));
                let token = running.venue(|venue| {
                    venue.universe().token_id(MarketKey(0).token(Outcome::Yes)).to_string()
                });
                let url = format!(
                    "{}/prices-history?market={token}&fidelity={number}&startTs={number}",
                    running.urls().clob
                );
                assert!(get(&alice.http, url).await.status < 500);
            }
        }
        let url = format!("{}/ok", running.urls().clob);
        assert_eq!(get(&http(), url).await.status, 200);
        running.check().unwrap();
    });
}
