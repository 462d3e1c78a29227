//! The client's chain reads against the nodes of the local exchange, in virtual time.

use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use polydesk_domain::{OrderHash, Outcome, Payout, Price, Shares, Side, Span, Token, Usdc};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::venue::{OrderSpec, Trade};
use polydesk_local_exchange::wallets::{TEST_ADDRESSES, TEST_KEYS, WalletKind};
use polydesk_polymarket_api::{Exchange, HttpConfig};
use polydesk_polymarket_wallet::chain::{
    Allowance, ApprovalPlan, Asset, ChainError, OrderFilled, Rpc, RpcConfig, Scope,
};
use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, SignatureForm, Wallet};

use crate::common::*;

/// The exchange with its nodes and our client on both.
struct OnChain {
    world: World,
    rpc: Rpc,
    chain: Chain,
    start: u64,
}

const ALICE: Address = TEST_ADDRESSES[0];
const BOB: Address = TEST_ADDRESSES[1];

impl OnChain {
    fn new() -> OnChain {
        let world = World::in_memory(Setup::test(), HttpConfig::default());
        let chain = Chain::polygon();
        let urls = &world.endpoints.rpc;
        let config = RpcConfig::default();
        let rpc = Rpc::new(&world.http, urls, &chain, world.clock.clone(), config).unwrap();
        let start = world.exchange.venue(|venue| venue.head_block());
        OnChain { world, rpc, chain, start }
    }

    fn inject(&self, text: &str) {
        self.world.exchange.inject_toml(text).unwrap();
    }

    /// Places an order of an EOA: price in cents, millionths of shares.
    fn place(&self, account: usize, token: Token, side: Side, cents: u16, shares: u64) {
        let key = self.world.exchange.accounts()[account].credentials.clone().unwrap().key;
        let spec = OrderSpec::limit(token, side, Price::cents(cents), Shares::new(shares));
        let wallet = TEST_ADDRESSES[account];
        self.world.exchange.venue(|venue| venue.place_as(key, wallet, &spec)).unwrap();
    }

    fn trades(&self) -> Vec<Trade> {
        self.world.exchange.venue(|venue| venue.trades().cloned().collect())
    }

    async fn cash(&self, wallet: Address) -> Usdc {
        let snapshot = self.rpc.snapshot(&self.chain).await.unwrap();
        Usdc::new(snapshot.collateral(wallet).await.unwrap().to())
    }

    async fn shares(&self, wallet: Address, token: Token) -> Shares {
        let snapshot = self.rpc.snapshot(&self.chain).await.unwrap();
        let id = self.world.token_id(token);
        Shares::new(snapshot.shares(id, wallet).await.unwrap().to())
    }

    async fn fills(&self, wallet: Address) -> Result<Vec<OrderFilled>, ChainError> {
        let head: u64 = self.rpc.head().await?.number.to();
        self.rpc.order_fills(&self.chain, wallet, self.start, head).await
    }
}

async fn pass(span: Span) {
    tokio::time::sleep(Duration::from_nanos(span.as_nanos().unsigned_abs())).await;
}

/// Balances after fills, summed from the logs: (pUSD, shares of a token).
fn sums(fills: &[OrderFilled], world: &World, token: Token) -> (i64, i64) {
    let (mut cash, mut shares) = (0, 0);
    for fill in fills {
        let moved =
            if fill.token == world.token_id(token) { fill.shares.micros() as i64 } else { 0 };
        match fill.side {
            Side::Buy => {
                cash -= (fill.money + fill.fee).micros();
                shares += moved;
            }
            Side::Sell => {
                cash += (fill.money - fill.fee).micros();
                shares -= moved;
            }
        }
    }
    (cash, shares)
}

#[test]
fn partial_fills_with_fees_are_equal_in_wallets_and_logs_to_the_micro_dollar() {
    simulated(async {
        let on = OnChain::new();
        let (yes, no) = (on.world.token("rain-tomorrow", 0), on.world.token("rain-tomorrow", 1));
        on.place(1, yes, Side::Sell, 37, 10_010_000);
        on.place(1, yes, Side::Sell, 41, 7_330_000);
        on.place(1, no, Side::Buy, 58, 5_170_000);
        on.place(0, yes, Side::Buy, 42, 13_370_000);
        on.place(0, yes, Side::Buy, 42, 9_000_000);
        on.place(1, yes, Side::Sell, 30, 6_000_000);
        pass(Span::secs(8)).await;

        let trades = on.trades();
        assert!(trades.len() >= 3 && trades.iter().all(|trade| !trade.fee().is_zero()));
        for wallet in [ALICE, BOB] {
            let fills = on.fills(wallet).await.unwrap();
            let (cash, shares) = sums(&fills, &on.world, yes);
            assert!(!fills.is_empty() && cash != 0);
            assert_eq!(on.cash(wallet).await, Usdc::whole(1_000) + Usdc::new(cash));
            let held = on.shares(wallet, yes).await.micros() as i64;
            assert_eq!(held, 200_000_000 + shares);
        }
        // The taker's own order has the fee and the exchange as its taker; each fill names a trade's transaction.
        let fills = on.fills(ALICE).await.unwrap();
        let first = &trades[0];
        let own = fills.iter().find(|fill| fill.order == first.order).unwrap();
        assert!(own.took());
        assert_eq!((own.shares, own.money), (first.shares(), first.money()));
        assert_eq!((own.fee, own.side), (first.fee(), Side::Buy));
        assert_eq!(own.transaction, B256::from(first.transaction.unwrap()));
        let resting: Vec<_> = fills.iter().filter(|fill| !fill.took()).collect();
        assert!(!resting.is_empty() && resting.iter().all(|fill| fill.fee.is_zero()));
        assert!(resting.iter().all(|fill| fill.taker == BOB));
        on.world.exchange.check().unwrap();
    });
}

#[test]
fn failed_and_repeated_settlements_leave_what_the_chain_says() {
    // (ending, statuses of the transactions in the order of their report, fills in the end)
    let cases: [(&str, &[Option<u64>], usize); 4] = [
        ("fail", &[Some(0)], 0),
        ("retry", &[Some(0), Some(1)], 1),
        ("reorg", &[None, Some(1)], 1),
        ("fail_mined", &[None, Some(0)], 0),
    ];
    for (ending, statuses, settled) in cases {
        simulated(async {
            let on = OnChain::new();
            on.inject(&format!("[[settlement]]\nending = \"{ending}\"\nconfirmed = \"5s\""));
            let yes = on.world.token("rain-tomorrow", 0);
            on.place(1, yes, Side::Sell, 40, 10_000_000);
            on.place(0, yes, Side::Buy, 40, 10_000_000);
            let (mut reported, mut seen) = (Vec::new(), Vec::new());
            for _ in 0..40 {
                pass(Span::millis(500)).await;
                if let Some(hash) = on.trades()[0].transaction.map(B256::from)
                    && reported.last() != Some(&hash)
                {
                    reported.push(hash);
                }
                let fills = on.fills(ALICE).await.unwrap();
                if seen.last() != Some(&fills) {
                    seen.push(fills);
                }
            }
            let mut found = Vec::new();
            for hash in &reported {
                let receipt = on.rpc.receipt(*hash).await.unwrap();
                found.push(receipt.map(|receipt| receipt.status.to::<u64>()));
            }
            assert_eq!(found, statuses, "{ending}");
            let fills = seen.last().unwrap();
            assert_eq!(fills.len(), settled, "{ending}");
            if ending == "reorg" || ending == "fail_mined" {
                let gone = seen.iter().find(|fills| fills.len() == 1).unwrap();
                assert_eq!(gone[0].transaction, reported[0], "{ending}: it was there for a while");
            }
            let (cash, shares) = sums(fills, &on.world, yes);
            assert_eq!(on.cash(ALICE).await, Usdc::whole(1_000) + Usdc::new(cash), "{ending}");
            let held = on.shares(ALICE, yes).await.micros() as i64;
            assert_eq!(held, 200_000_000 + shares, "{ending}");
            assert_eq!(shares != 0, settled == 1);
        });
    }
}

#[test]
fn sets_and_redemptions_move_what_the_wallet_has_on_the_chain() {
    simulated(async {
        let on = OnChain::new();
        let yes = on.world.token("ada-wins", 0);
        let market = yes.market();
        let condition = B256::from(*on.world.market("ada-wins").condition.bytes());
        let no = market.token(Outcome::No);
        let exchange = &on.world.exchange;
        exchange.venue(|venue| {
            assert!(venue.split(&ALICE, market, Shares::new(12_345_678)));
            assert!(venue.merge(&ALICE, market, Shares::new(2_000_001)));
        });
        pass(Span::secs(2)).await;
        let left = 200_000_000 + 12_345_678 - 2_000_001;
        assert_eq!(on.cash(ALICE).await.micros(), 1_000_000_000 - 12_345_678 + 2_000_001);
        assert_eq!(on.shares(ALICE, yes).await.micros(), left);
        assert_eq!(on.shares(ALICE, no).await.micros(), left);
        let payout = async || {
            let snapshot = on.rpc.snapshot(&on.chain).await.unwrap();
            snapshot.payout(condition).await.unwrap()
        };
        assert_eq!(payout().await, None);
        exchange.venue(|venue| venue.resolve(market, Payout::NO));
        pass(Span::secs(2)).await;
        let reported = payout().await.unwrap();
        assert_eq!(reported.numerators, [U256::ZERO, U256::from(1)]);
        assert_eq!(reported.denominator, U256::from(1));
        exchange.venue(|venue| venue.redeem(&ALICE, market)).unwrap();
        pass(Span::secs(2)).await;
        assert_eq!(on.cash(ALICE).await.micros(), 1_000_000_000 + 200_000_000);
        assert_eq!((on.shares(ALICE, yes).await, on.shares(ALICE, no).await), Default::default());
        assert_eq!(on.fills(ALICE).await.unwrap(), []);
    });
}

#[test]
fn the_sum_of_the_movements_is_the_difference_of_the_balances() {
    simulated(async {
        let on = OnChain::new();
        let (yes, no) = (on.world.token("ada-wins", 0), on.world.token("ada-wins", 1));
        let before = [on.cash(ALICE).await.micros()];
        let held = async || {
            let (yes, no) = (on.shares(ALICE, yes).await, on.shares(ALICE, no).await);
            [yes.micros() as i64, no.micros() as i64]
        };
        let had = held().await;
        let market = yes.market();
        // A fill with a fee, a deposit and a withdrawal, a split, a merge and a redemption.
        on.place(1, yes, Side::Sell, 40, 30_000_000);
        on.place(0, yes, Side::Buy, 40, 20_000_001);
        pass(Span::secs(30)).await;
        on.world.exchange.venue(|venue| {
            venue.fund(ALICE, Usdc::new(7_000_001));
            venue.fund(ALICE, Usdc::new(-1_000_000));
            assert!(venue.split(&ALICE, market, Shares::new(12_345_678)));
            assert!(venue.merge(&ALICE, market, Shares::new(2_000_001)));
            venue.resolve(market, Payout::NO);
        });
        pass(Span::secs(2)).await;
        on.world.exchange.venue(|venue| venue.redeem(&ALICE, market)).unwrap();
        pass(Span::secs(4)).await;
        let head: u64 = on.rpc.head().await.unwrap().number.to();
        let read = || on.rpc.movements(&on.chain, ALICE, on.start + 1, head);
        let moves = read().await.unwrap();
        let sum = |asset: Asset| -> i64 {
            moves.iter().filter(|one| one.asset == asset).map(|one| one.amount).sum()
        };
        let of = |token| Asset::Shares(on.world.token_id(token));
        assert_eq!(sum(Asset::Collateral), on.cash(ALICE).await.micros() - before[0]);
        let have = held().await;
        assert_eq!([sum(of(yes)), sum(of(no))], [have[0] - had[0], have[1] - had[1]]);
        assert!(moves.len() >= 12, "{moves:#?}");
        assert!(moves.is_sorted_by_key(|one| (one.block, one.index, one.part)));
        // A node that hides logs proves nothing.
        on.inject("[[rpc]]\nnode = 1\nact = \"hide_logs\"\n");
        let error = read().await.unwrap_err();
        assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");
    });
}

#[test]
fn approvals_wallets_and_signature_forms_are_read() {
    simulated(async {
        let on = OnChain::new();
        let trader = on.world.trader(0, WalletKind::Deposit);
        let wallet = on.world.exchange.accounts()[0].wallets[&WalletKind::Deposit];
        let snapshot = on.rpc.snapshot(&on.chain).await.unwrap();
        for scope in [Scope::Trading, Scope::Full] {
            let plan = ApprovalPlan::needed(&snapshot, wallet, scope, Allowance::Unlimited);
            assert!(plan.await.unwrap().is_complete());
        }
        assert!(snapshot.deployed(wallet).await.unwrap());
        assert!(!snapshot.deployed(ALICE).await.unwrap());
        assert_eq!(snapshot.wallet_owner(wallet).await.unwrap(), ALICE);
        assert!(snapshot.beacon().await.unwrap().is_some());
        assert!(!snapshot.gas_coins(ALICE).await.unwrap().is_zero());
        assert!(snapshot.gas_coins(wallet).await.unwrap().is_zero());
        assert!(snapshot.usdc_e(wallet).await.unwrap().is_zero());
        for exchange in [Exchange::Normal, Exchange::NegRisk, Exchange::V3] {
            assert!(!snapshot.max_fee_rate(exchange).await.unwrap().is_zero());
            assert!(!snapshot.user_paused(exchange, wallet).await.unwrap());
        }
        let form = snapshot.choose_form(&trader.signer).await.unwrap();
        assert_eq!(form, SignatureForm::Wrapped);
        // Another account's signature is not this wallet's.
        let other = on.world.trader(1, WalletKind::Deposit);
        let strange = OrderSigner::new(
            Key::from_hex(TEST_KEYS[1]).unwrap(),
            Wallet::Deposit(wallet),
            &on.chain,
        );
        let error = snapshot.choose_form(&strange).await.unwrap_err();
        assert!(error.to_string().contains("accepts neither form"), "{error}");
        assert!(snapshot.choose_form(&other.signer).await.is_ok());

        on.world.exchange.venue(|venue| venue.approve(&wallet, false));
        let plan = ApprovalPlan::needed(&snapshot, wallet, Scope::Trading, Allowance::Unlimited);
        let plan = plan.await.unwrap();
        assert_eq!((plan.steps.len(), plan.present.len()), (8, 0));
        assert!(plan.simulate(&snapshot).await.iter().all(Result::is_ok));
        let version_two = on.world.token("new-protocol", 0);
        let id = on.world.token_id(version_two);
        assert_eq!(snapshot.shares_v2(id, ALICE).await.unwrap(), U256::from(200_000_000));
        assert!(snapshot.shares(id, ALICE).await.unwrap().is_zero());
    });
}

/// What our client makes of nodes that lag, stand still, lie and refuse: (rules, part of the error), for a read of
/// the fills and of the balance.
#[test]
fn nodes_that_disagree_decide_nothing() {
    let pusd = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB";
    let forged = format!("node = 1\nact = \"balance\"\namount = \"5\"\ntoken = \"{pusd}\"");
    let cases: [(&str, Option<&str>, Option<&str>); 9] = [
        ("node = 1\nact = \"lag\"\nblocks = 2", None, None),
        ("node = 1\nact = \"lag\"\nblocks = 500", Some("rpc[1] is stale"), Some("rpc[1] is stale")),
        (
            "node = 0\nact = \"chain_id\"\nchain_id = 1",
            Some("serves chain 1"),
            Some("serves chain 1"),
        ),
        (&forged, None, Some("disagree")),
        ("node = 1\nact = \"hide_logs\"", Some("disagree"), None),
        ("node = 0\nact = \"log_range\"\nblocks = 3", Some("limited to a 3 range"), None),
        ("node = 0\nact = \"garble\"\nmethod = \"eth_call\"", None, Some("malformed")),
        ("node = 1\nact = \"error\"\nmethod = \"eth_getLogs\"", Some("internal error"), None),
        ("node = 1\nact = \"error\"\ncode = -32005\ncalls = \"1..2\"", None, None),
    ];
    for (rule, fills, cash) in cases {
        simulated(async {
            let on = OnChain::new();
            let yes = on.world.token("rain-tomorrow", 0);
            on.place(1, yes, Side::Sell, 40, 10_000_000);
            on.place(0, yes, Side::Buy, 40, 10_000_000);
            pass(Span::secs(20)).await;
            on.inject(&format!("[[rpc]]\n{rule}"));
            let check = |what: &str, error: Option<ChainError>, want: Option<&str>| match want {
                None => assert_eq!(error, None, "{what}: {rule}"),
                Some(want) => {
                    let error = error.map_or("(none)".to_owned(), |error| error.to_string());
                    assert!(error.contains(want), "{what}: {rule}: {error}");
                }
            };
            let read = on.fills(ALICE).await;
            assert!(read.as_ref().is_ok_and(|fills| fills.len() == 1) || read.is_err());
            check("fills", read.err(), fills);
            let read = async {
                let snapshot = on.rpc.snapshot(&on.chain).await?;
                snapshot.collateral(ALICE).await
            };
            let read = read.await;
            if let Ok(held) = &read {
                assert!(*held < U256::from(996_000_000) && *held > U256::from(5), "{held}");
            }
            check("cash", read.err(), cash);
        });
    }
}

#[test]
fn a_forged_receipt_is_no_receipt() {
    simulated(async {
        let on = OnChain::new();
        let yes = on.world.token("rain-tomorrow", 0);
        on.place(1, yes, Side::Sell, 40, 10_000_000);
        on.place(0, yes, Side::Buy, 40, 10_000_000);
        pass(Span::secs(8)).await;
        let hash = B256::from(on.trades()[0].transaction.unwrap());
        assert_eq!(on.rpc.receipt(hash).await.unwrap().unwrap().transaction_hash, hash);
        on.inject("[[rpc]]\nnode = 1\nact = \"receipt\"");
        assert!(matches!(on.rpc.receipt(hash).await, Err(ChainError::Disagreement { .. })));
        // One of them invents it: not mined everywhere.
        assert_eq!(on.rpc.receipt(B256::repeat_byte(9)).await.unwrap(), None);
    });
}

#[test]
fn a_chain_that_stands_still_is_stale_and_settles_afterwards() {
    simulated(async {
        let on = OnChain::new();
        on.inject("[[chain]]\nact = \"halt\"\nat = \"1s\"\nfor = \"30min\"");
        let yes = on.world.token("rain-tomorrow", 0);
        on.place(1, yes, Side::Sell, 40, 10_000_000);
        on.place(0, yes, Side::Buy, 40, 10_000_000);
        pass(Span::secs(600)).await;
        assert!(matches!(on.rpc.head().await, Err(ChainError::Stale { age_s: 598, .. })));
        assert_eq!(on.trades()[0].word(), "MATCHED");
        pass(Span::secs(1_210)).await;
        let fills = on.fills(ALICE).await.unwrap();
        assert_eq!(
            fills.iter().map(|fill| fill.order).collect::<Vec<OrderHash>>(),
            [on.trades()[0].order]
        );
        assert_eq!(on.trades()[0].word(), "CONFIRMED");
    });
}
