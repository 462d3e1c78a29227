//! Reads, digests, signatures, approvals, and the way of money through wrap, split, merge and redeem.

use alloy::primitives::{Address, B256, FixedBytes, U256};
use alloy::sol_types::SolCall;
use polydesk_domain::{Price, Shares, Side, Size, Tick, Tif, Time, TokenId};
use polydesk_polymarket_api::{Endpoints, Exchange, OrderArgs, Salt, ServerClock, Stamp};
use polydesk_polymarket_wallet::chain::{
    Allowance, ApprovalPlan, Call, ChainError, MarketKind, Rpc, RpcConfig, Scope,
};
use polydesk_polymarket_wallet::signing::{OrderSigner, SignatureForm, Wallet};
use serde_json::json;

use super::anvil::{
    KEY, OTHER, OWNER, Order, World, addQuestionCall, digestCall, http, key, positionOfCall, quick,
    recoverCall, resolveCall, usd,
};
use super::server::{Lie, node};

fn order(exchange: Exchange) -> OrderArgs {
    OrderArgs {
        token: TokenId::from(42),
        side: Side::Buy,
        price: Price::cents(37),
        size: Size::Shares(Shares::whole(10)),
        tif: Tif::Gtc,
        post_only: true,
        tick: Tick::Cent,
        exchange,
    }
}

#[tokio::test]
async fn an_order_is_on_chain_what_we_signed() {
    let Some(world) = World::start().await else { return };
    let signer = OrderSigner::new(key(), Wallet::Eoa, &world.chain);
    for (exchange, contract) in
        [(Exchange::Normal, world.c().exchange), (Exchange::NegRisk, world.c().neg_risk_exchange)]
    {
        let salt = Salt::new(479_249_096_354).unwrap();
        let stamp = Stamp { salt, timestamp_ms: 1_793_923_200_123 };
        let signed = signer.sign(&order(exchange), stamp, "owner").unwrap();
        let order = Order {
            salt: U256::from(479_249_096_354u64),
            maker: OWNER,
            signer: OWNER,
            tokenId: U256::from(42),
            makerAmount: U256::from(3_700_000),
            takerAmount: U256::from(10_000_000),
            side: 0,
            signatureType: 0,
            timestamp: U256::from(1_793_923_200_123u64),
            metadata: B256::ZERO,
            builder: B256::ZERO,
        };
        let digest = world.view(contract, &digestCall { order: order.clone() }).await;
        assert_eq!(digest, B256::from(*signed.id().bytes()));
        let signature = signed.signature().to_vec().into();
        let found = world.view(contract, &recoverCall { order, signature }).await;
        assert_eq!(found, OWNER);
    }
}

#[tokio::test]
async fn a_wallet_is_asked_which_form_it_accepts() {
    let Some(world) = World::start().await else { return };
    let wrapped = world.anvil.deploy("WrappedWallet", &[OWNER]).await;
    let plain = world.anvil.deploy("PlainWallet", &[OWNER]).await;
    let foreign = world.anvil.deploy("WrappedWallet", &[OTHER]).await;
    let rpc = world.rpc();
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    let ask = async |wallet: Address| {
        let signer = OrderSigner::new(key(), Wallet::Deposit(wallet), &world.chain);
        snapshot.choose_form(&signer).await
    };
    assert_eq!(ask(wrapped).await, Ok(SignatureForm::Wrapped));
    assert_eq!(ask(plain).await, Ok(SignatureForm::Plain));
    let refused = ask(foreign).await.unwrap_err();
    assert!(
        matches!(&refused, ChainError::Refused { reason, .. } if reason.contains(&OTHER.to_string())),
        "{refused}"
    );
    let undeployed = ask(Address::repeat_byte(1)).await.unwrap_err();
    assert!(
        matches!(&undeployed, ChainError::Misconfigured(text) if text.contains("not deployed")),
        "{undeployed}"
    );
    assert_eq!(snapshot.wallet_owner(wrapped).await, Ok(OWNER));
    assert_eq!(snapshot.beacon().await, Ok(Some(world.c().deposit_factory)));
    assert_eq!(snapshot.max_fee_rate(Exchange::Normal).await, Ok(U256::from(1000)));

    // Every exchange's orders in the accepted form, and one with a changed amount.
    let signer = OrderSigner::new(key(), Wallet::Deposit(wrapped), &world.chain);
    for exchange in [Exchange::Normal, Exchange::NegRisk, Exchange::V3] {
        let sign = |timestamp_ms| {
            let stamp = Stamp { salt: Salt::new(7).unwrap(), timestamp_ms };
            signer.sign(&order(exchange), stamp, "owner").unwrap()
        };
        let (signed, other) = (sign(8), sign(9));
        let id = B256::from(*signed.id().bytes());
        let ask = async |signature: &[u8]| {
            snapshot.is_valid_signature(wrapped, id, signature).await.unwrap()
        };
        assert!(ask(signed.signature()).await, "{exchange:?}");
        assert!(!ask(other.signature()).await, "{exchange:?}");
        assert!(!ask(&signed.signature()[..65]).await, "{exchange:?}");
    }
}

#[tokio::test]
async fn an_approval_plan_ends_empty() {
    let Some(world) = World::start().await else { return };
    let rpc = world.rpc();
    assert!(rpc.single());
    let sender = world.sender(rpc.clone(), quick());
    let plan = async |scope, allowance| {
        let snapshot = rpc.snapshot(&world.chain).await.unwrap();
        let plan = ApprovalPlan::needed(&snapshot, OWNER, scope, allowance).await.unwrap();
        assert!(plan.simulate(&snapshot).await.iter().all(Result::is_ok));
        plan
    };
    let run = async |plan: &ApprovalPlan| {
        for call in plan.calls() {
            sender.send(&call).await.unwrap();
        }
    };
    let trading = plan(Scope::Trading, Allowance::Unlimited).await;
    assert_eq!((trading.steps.len(), trading.present.len()), (8, 0));
    // A dry run changes nothing.
    assert_eq!(world.anvil.count(OWNER).await, 0);
    run(&trading).await;
    assert!(plan(Scope::Trading, Allowance::Unlimited).await.is_complete());

    let full = plan(Scope::Full, Allowance::Unlimited).await;
    assert_eq!((full.steps.len(), full.present.len()), (9, 8), "{full}");
    run(&full).await;
    assert!(plan(Scope::Full, Allowance::Unlimited).await.is_complete());
    assert_eq!(world.anvil.count(OWNER).await, 17);

    // A cap lowers what is above it, leaves what is enough, and renews what ran low.
    let cap = |cap, below| Allowance::Capped { cap: usd(cap), renew_below: usd(below) };
    let capped = plan(Scope::Trading, cap(100, 20)).await;
    assert_eq!(capped.steps.len(), 4, "{capped}");
    assert!(capped.to_string().contains("above the cap"));
    run(&capped).await;
    assert!(plan(Scope::Trading, cap(100, 20)).await.is_complete());
    sender.send(&Call::split(world.c(), MarketKind::Normal, B256::ZERO, usd(90))).await.unwrap();
    let renewed = plan(Scope::Trading, cap(100, 20)).await;
    assert_eq!(renewed.steps.len(), 1, "{renewed}");
    assert_eq!(renewed.steps[0].now, "10.000000");
}

#[tokio::test]
async fn money_is_conserved_through_wrap_split_merge_redeem_and_convert() {
    let Some(world) = World::start().await else { return };
    let rpc = world.rpc();
    let c = world.c();
    let sender = world.sender(rpc.clone(), quick());
    let run = async |call: Call| sender.send(&call).await.map(|_| ());
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    let plan = ApprovalPlan::needed(&snapshot, OWNER, Scope::TradingBoth, Allowance::Unlimited);
    for call in plan.await.unwrap().calls() {
        run(call).await.unwrap();
    }
    let money = async || {
        let snapshot = rpc.snapshot(&world.chain).await.unwrap();
        let pusd = snapshot.collateral(OWNER).await.unwrap();
        let usdc_e = snapshot.usdc_e(OWNER).await.unwrap();
        (pusd.to::<u64>() / 1_000_000, usdc_e.to::<u64>() / 1_000_000)
    };
    let shares = async |condition: B256, outcome: u64| {
        let call = positionOfCall { condition, outcome: U256::from(outcome) };
        let id = world.view(c.conditional_tokens, &call).await;
        let snapshot = rpc.snapshot(&world.chain).await.unwrap();
        let id = TokenId::from_bytes(id.to_be_bytes());
        snapshot.shares(id, OWNER).await.unwrap().to::<u64>() / 1_000_000
    };

    // Wrapping needs its own approval; without it the simulation fails and nothing is sent.
    let before = world.anvil.count(OWNER).await;
    let error = run(Call::wrap(c, OWNER, usd(500))).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Reverted { reason, hash: None, .. } if reason.contains("allowance too low")),
        "{error}"
    );
    assert_eq!(world.anvil.count(OWNER).await, before);
    run(Call::approve(c.usdc_e, c.onramp, usd(500))).await.unwrap();
    run(Call::wrap(c, OWNER, usd(500))).await.unwrap();
    assert_eq!(money().await, (1500, 500));
    run(Call::approve(c.collateral, c.offramp, usd(100))).await.unwrap();
    run(Call::unwrap(c, OWNER, usd(100))).await.unwrap();
    assert_eq!(money().await, (1400, 600));

    for (kind, byte) in [(MarketKind::Normal, 1), (MarketKind::NegRisk, 2)] {
        let condition = B256::repeat_byte(byte);
        run(Call::split(c, kind, condition, usd(100))).await.unwrap();
        assert_eq!(money().await.0, 1300);
        assert_eq!((shares(condition, 0).await, shares(condition, 1).await), (100, 100));
        run(Call::merge(c, kind, condition, usd(40))).await.unwrap();
        assert_eq!(money().await.0, 1340);
        let error = run(Call::redeem(c, kind, condition)).await.unwrap_err();
        assert!(
            matches!(&error, ChainError::Reverted { reason, .. } if reason.contains("not resolved")),
            "{error}"
        );
        let snapshot = rpc.snapshot(&world.chain).await.unwrap();
        assert_eq!(snapshot.payout(condition).await, Ok(None));
        let resolve = resolveCall { condition, yes: U256::from(1), no: U256::ZERO };
        world.anvil.act(OTHER, Some(c.conditional_tokens), resolve.abi_encode().into()).await;
        let snapshot = rpc.snapshot(&world.chain).await.unwrap();
        let payout = snapshot.payout(condition).await.unwrap().unwrap();
        assert_eq!(payout.numerators, [U256::from(1), U256::ZERO]);
        run(Call::redeem(c, kind, condition)).await.unwrap();
        assert_eq!(money().await.0, 1400);
        assert_eq!((shares(condition, 0).await, shares(condition, 1).await), (0, 0));
    }

    // Three questions: NO of two of them becomes YES of the third and one set's money.
    let market = B256::repeat_byte(9);
    let questions = [B256::repeat_byte(10), B256::repeat_byte(11), B256::repeat_byte(12)];
    for condition in questions {
        let add = addQuestionCall { market, condition };
        world.anvil.act(OTHER, Some(c.neg_risk_adapter), add.abi_encode().into()).await;
        run(Call::split(c, MarketKind::NegRisk, condition, usd(10))).await.unwrap();
    }
    assert_eq!(money().await.0, 1370);
    run(Call::convert(c, market, U256::from(0b011), usd(10))).await.unwrap();
    assert_eq!(money().await.0, 1380);
    assert_eq!((shares(questions[0], 1).await, shares(questions[1], 1).await), (0, 0));
    assert_eq!(shares(questions[2], 0).await, 20);

    // Protocol v2.
    let v2 = FixedBytes::<31>::repeat_byte(5);
    run(Call::split_v2(c, v2, usd(30))).await.unwrap();
    run(Call::merge_v2(c, v2, usd(10))).await.unwrap();
    assert_eq!(money().await.0, 1360);
    let mut padded = B256::ZERO;
    padded[..31].copy_from_slice(v2.as_slice());
    let resolve = resolveCall { condition: padded, yes: U256::ZERO, no: U256::from(1) };
    world.anvil.act(OTHER, Some(c.position_manager), resolve.abi_encode().into()).await;
    run(Call::redeem_v2(c, v2, 1, usd(20))).await.unwrap();
    assert_eq!(money().await.0, 1380);
    let id = world
        .view(c.position_manager, &positionOfCall { condition: padded, outcome: U256::ZERO })
        .await;
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    let left = snapshot.shares_v2(TokenId::from_bytes(id.to_be_bytes()), OWNER).await;
    assert_eq!(left, Ok(usd(20)));

    // The kill switch.
    run(Call::pause_user(c.exchange)).await.unwrap();
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    assert_eq!(snapshot.user_paused(Exchange::Normal, OWNER).await, Ok(true));
    assert_eq!(snapshot.user_paused(Exchange::NegRisk, OWNER).await, Ok(false));
}

#[tokio::test]
async fn two_endpoints_that_disagree_decide_nothing() {
    let Some(world) = World::start().await else { return };
    let real = world.anvil.url.clone();
    let over = async |lie: fn(&str, &serde_json::Value) -> Lie| {
        let liar = node(&real, lie).await;
        world.rpc_over(&[real.clone(), liar])
    };

    // The same twice: one answer.
    let honest = over(|_, _| Lie::No).await;
    assert!(!honest.single());
    let snapshot = honest.snapshot(&world.chain).await.unwrap();
    assert_eq!(snapshot.collateral(OWNER).await, Ok(usd(1000)));
    assert_eq!(snapshot.deployed(world.c().exchange).await, Ok(true));
    assert!(snapshot.gas_coins(OWNER).await.unwrap() > U256::ZERO);

    // Another balance.
    let liar = over(|method, _| match method {
        "eth_call" => Lie::Instead(json!(format!("0x{:064x}", 7))),
        _ => Lie::No,
    })
    .await;
    let snapshot = liar.snapshot(&world.chain).await.unwrap();
    let error = snapshot.collateral(OWNER).await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");

    // One endpoint reports that the call fails.
    let liar = over(|method, _| match method {
        "eth_call" => Lie::Error(3, "execution reverted"),
        _ => Lie::No,
    })
    .await;
    let snapshot = liar.snapshot(&world.chain).await.unwrap();
    let error = snapshot.collateral(OWNER).await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");

    // Another chain altogether.
    let liar = over(|method, _| match method {
        "eth_chainId" => Lie::Instead(json!("0x1")),
        _ => Lie::No,
    })
    .await;
    let error = liar.head().await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Misconfigured(text) if text == "rpc[1] serves chain 1, not 31337"),
        "{error}"
    );

    // The same number, another block.
    let liar = over(|method, _| match method {
        "eth_getBlockByNumber" => Lie::Instead(
            json!({"number": "0x3", "hash": B256::repeat_byte(1), "timestamp": "0xffffffff"}),
        ),
        _ => Lie::No,
    })
    .await;
    let error = liar.head().await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");

    // One is a block behind: that block is read on both.
    let behind = over(|method, params| match (method, params[0].as_str()) {
        ("eth_getBlockByNumber", Some("latest")) => Lie::Block(5),
        _ => Lie::No,
    })
    .await;
    assert_eq!(behind.head().await.unwrap().number.to::<u64>(), 5);

    // One does not answer: a money fact from one source alone is none.
    let silent = over(|method, _| if method == "eth_call" { Lie::Drop } else { Lie::No }).await;
    let snapshot = silent.snapshot(&world.chain).await.unwrap();
    let error = snapshot.collateral(OWNER).await.unwrap_err();
    assert!(matches!(&error, ChainError::Unreachable(text) if text.contains("rpc[1]")), "{error}");
}

#[tokio::test]
async fn a_stale_head_is_refused() {
    let Some(world) = World::start().await else { return };
    let urls = [world.anvil.url.clone()];
    let now = ServerClock::system().local();
    let later = Time::from_secs(now.millis() / 1000 + 1_000);
    let rpc = world.rpc_at(&urls, ServerClock::over(move || later));
    let error = rpc.snapshot(&world.chain).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Stale { endpoint, age_s: 900.., .. } if endpoint == "rpc[0]"),
        "{error}"
    );
}

#[tokio::test]
async fn a_hiccup_of_a_read_is_repeated_and_keys_in_urls_are_never_told() {
    let Some(world) = World::start().await else { return };
    let count = std::sync::atomic::AtomicU32::new(0);
    let hiccup = node(&world.anvil.url, move |method, _| {
        let nth = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        match (method, nth % 3) {
            ("eth_call", 0) => Lie::Drop,
            ("eth_call", 1) => Lie::Error(-32000, "header not found"),
            _ => Lie::No,
        }
    })
    .await;
    let rpc = world.rpc_over(&[hiccup]);
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    for _ in 0..3 {
        assert_eq!(snapshot.collateral(OWNER).await, Ok(usd(1000)));
    }
    // The text of a gateway in front of a node.
    for (status, expected) in [(401, "refuses us"), (429, "throttled"), (502, "HTTP 502")] {
        let gate = node(&world.anvil.url, move |_, _| Lie::Http(status, json!("<html>"))).await;
        let error = world.rpc_over(&[gate]).head().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // A node that repeats the URL it was asked under.
    let telltale = node(&world.anvil.url, |_, _| {
        Lie::Error(-32000, "no project for /v2/s3cr3t-k3y-0123456789 here")
    })
    .await;
    let rpc = world.rpc_over(&[format!("{telltale}/v2/s3cr3t-k3y-0123456789")]);
    let error = rpc.head().await.unwrap_err();
    assert!(!format!("{error} {error:?} {rpc:?}").contains("s3cr3t"), "{error:?}");
    assert!(error.to_string().contains("rpc[0]"));
}

#[tokio::test]
async fn endpoints_are_one_or_two_and_on_the_list_of_hosts() {
    let chain = polydesk_polymarket_wallet::signing::Chain::polygon();
    let new = |urls: &[&str]| {
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let allowed = http(&["https://polygon.drpc.org".to_owned()], None);
        Rpc::new(
            &allowed,
            &urls,
            &chain,
            ServerClock::system(),
            RpcConfig { attempts: 1, ..RpcConfig::default() },
        )
    };
    assert!(matches!(new(&[]), Err(ChainError::Misconfigured(_))));
    assert!(matches!(new(&["https://a.b", "https://a.b/"]), Err(ChainError::Misconfigured(_))));
    let elsewhere = new(&["https://elsewhere.example/k3y-k3y-k3y"]).unwrap();
    let error = elsewhere.head().await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Misconfigured(text) if text.contains("nothing was sent")),
        "{error}"
    );
    assert!(!error.to_string().contains("k3y") && !KEY.is_empty());
    assert_eq!(Endpoints::default().rpc.len(), 1);
}

#[test]
fn configuration_with_a_key_in_an_rpc_url_is_never_printed() {
    let endpoints =
        Endpoints { rpc: vec!["http://node.example/s3cr3t".into()], ..Endpoints::default() };
    let error = polydesk_polymarket_api::Http::new(Default::default(), &endpoints).unwrap_err();
    assert!(error.to_string().contains("endpoints.rpc[0]"), "{error}");
    assert!(!format!("{error} {error:?} {endpoints:?}").contains("s3cr3t"));
}
