//! Sending: caps, nonces, lost answers, replacements, reverts, reorganisations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use alloy::primitives::U256;
use alloy::sol_types::SolCall;
use polydesk_polymarket_wallet::chain::{Call, ChainError, EoaConfig};
use serde_json::json;

use super::anvil::{OTHER, OWNER, World, armCall, hash, quick, stepCall, usd};
use super::server::{Lie, node};

/// A harmless call.
fn approve(world: &World, amount: u64) -> Call {
    Call::approve(world.c().collateral, world.c().exchange, usd(amount))
}

#[tokio::test]
async fn too_dear_is_not_sent() {
    let Some(world) = World::start().await else { return };
    let try_with = async |config: EoaConfig| {
        world.sender(world.rpc(), config).send(&approve(&world, 1)).await.unwrap_err()
    };
    for (config, key) in [
        (EoaConfig { max_fee_gwei: 20, min_tip_gwei: 20, ..quick() }, "max_fee_gwei"),
        (EoaConfig { max_cost_gwei: 100_000, ..quick() }, "max_cost_gwei"),
        (EoaConfig { max_total_gwei: 100_000, ..quick() }, "max_total_gwei"),
    ] {
        let error = try_with(config).await;
        assert!(
            matches!(&error, ChainError::TooExpensive { cap, .. } if cap.contains(key)),
            "{error}"
        );
    }
    // The base fee has risen above the cap.
    world
        .anvil
        .ask("anvil_setNextBlockBaseFeePerGas", json!([format!("0x{:x}", 2_000_000_000_000u64)]))
        .await;
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    let error = try_with(quick()).await;
    assert!(matches!(error, ChainError::TooExpensive { .. }), "{error}");
    assert_eq!(world.anvil.count(OWNER).await, 0);
    // Wrong configuration is reported before any request.
    let wrong = EoaConfig { bump_percent: 5, ..quick() };
    let error =
        polydesk_polymarket_wallet::chain::EoaSender::new(world.rpc(), &super::anvil::key(), wrong);
    assert!(matches!(error, Err(ChainError::Misconfigured(text)) if text.contains("bump_percent")));
}

#[tokio::test]
async fn many_at_once_get_consecutive_nonces() {
    let Some(world) = World::start().await else { return };
    let sender = world.sender(world.rpc(), quick());
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let (sender, call) = (Arc::clone(&sender), approve(&world, i + 1));
            tokio::spawn(async move { sender.send(&call).await.unwrap().nonce })
        })
        .collect();
    let mut nonces = Vec::new();
    for task in tasks {
        nonces.push(task.await.unwrap());
    }
    nonces.sort_unstable();
    assert_eq!(nonces, [0, 1, 2, 3, 4, 5]);
    assert_eq!(world.anvil.count(OWNER).await, 6);
    assert!(sender.spent_wei() > U256::ZERO);
    assert!(sender.unsettled().is_empty());
}

#[tokio::test]
async fn nonces_used_by_somebody_else_are_recovered_from() {
    let Some(world) = World::start().await else { return };
    let sender = world.sender(world.rpc(), quick());
    assert_eq!(sender.send(&approve(&world, 1)).await.unwrap().nonce, 0);
    for amount in [2, 3] {
        let call = approve(&world, amount);
        world.anvil.act(OWNER, Some(call.target), call.data).await;
    }
    assert_eq!(sender.send(&approve(&world, 4)).await.unwrap().nonce, 3);
    assert_eq!(sender.send(&approve(&world, 5)).await.unwrap().nonce, 4);
    assert_eq!(world.anvil.count(OWNER).await, 5);
}

#[tokio::test]
async fn a_lost_answer_is_looked_up_and_nothing_is_signed_anew() {
    let Some(world) = World::start().await else { return };
    // The node takes it and hangs up; or hangs up twice before it takes it; or returns an unknown text.
    for lies in [[1, 0, 0], [2, 2, 0], [3, 0, 0]] {
        let before = world.anvil.count(OWNER).await;
        let count = AtomicU32::new(0);
        let url = node(&world.anvil.url, move |method, _| {
            if method != "eth_sendRawTransaction" {
                return Lie::No;
            }
            let nth = count.fetch_add(1, Ordering::Relaxed) as usize;
            match lies.get(nth) {
                Some(1) => Lie::Lose,
                Some(2) => Lie::Drop,
                Some(3) => Lie::Error(-32603, "internal trouble"),
                _ => Lie::No,
            }
        })
        .await;
        let sender = world.sender(world.rpc_over(&[url]), quick());
        let mined = sender.send(&approve(&world, 1)).await.unwrap();
        assert_eq!(mined.nonce, before);
        assert_eq!(world.anvil.count(OWNER).await, before + 1, "once, not twice");
        assert_eq!(mined.replacements, 0);
    }
}

#[tokio::test]
async fn what_stays_unknown_blocks_new_signatures_until_it_is_settled() {
    let Some(world) = World::start().await else { return };
    let cut = Arc::new(AtomicBool::new(true));
    let is_cut = Arc::clone(&cut);
    let url = node(&world.anvil.url, move |method, _| {
        if method == "eth_sendRawTransaction" && is_cut.load(Ordering::Relaxed) {
            Lie::Drop
        } else {
            Lie::No
        }
    })
    .await;
    let config = EoaConfig { deadline_ms: 200, replace_after_ms: 10_000, ..quick() };
    let sender = world.sender(world.rpc_over(&[url]), config);
    let error = sender.send(&approve(&world, 1)).await.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    let unsettled = sender.unsettled();
    assert_eq!(unsettled.len(), 1);
    let first = unsettled[0].1[0];
    assert!(error.to_string().contains(&first.to_string()), "{error}");
    // Another call is not signed while this one is open.
    let error = sender.send(&approve(&world, 2)).await.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(sender.unsettled(), unsettled);
    // The line is back: the same bytes go out, and then the next call.
    cut.store(false, Ordering::Relaxed);
    let settled = sender.settle().await.unwrap();
    assert_eq!((settled.len(), settled[0].hash, settled[0].nonce), (1, first, 0));
    assert_eq!(sender.send(&approve(&world, 2)).await.unwrap().nonce, 1);
    assert_eq!(world.anvil.count(OWNER).await, 2);
}

#[tokio::test]
async fn giving_up_waiting_does_not_forget_a_transaction() {
    let Some(world) = World::start().await else { return };
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let sender = world.sender(world.rpc(), quick());
    let call = approve(&world, 1);
    let waiting = tokio::time::timeout(Duration::from_millis(150), sender.send(&call)).await;
    assert!(waiting.is_err());
    assert_eq!(sender.unsettled().len(), 1);
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    assert_eq!(sender.settle().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_that_stays_out_of_blocks_is_replaced_under_the_cap() {
    let Some(world) = World::start().await else { return };
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let sender = world.sender(world.rpc(), quick());
    let call = approve(&world, 1);
    let sending = {
        let sender = Arc::clone(&sender);
        tokio::spawn(async move { sender.send(&call).await })
    };
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    let mined = sending.await.unwrap().unwrap();
    assert!(mined.replacements >= 1, "{mined:?}");
    assert_eq!(world.anvil.count(OWNER).await, 1);
    let transaction = world.anvil.ask("eth_getTransactionByHash", json!([mined.hash])).await;
    assert_eq!(hash(&transaction["hash"]), mined.hash);

    // A cap without room for more: it waits with what it has.
    let config = EoaConfig { max_fee_gwei: 31, min_tip_gwei: 30, ..quick() };
    let sender = world.sender(world.rpc(), config);
    let call = approve(&world, 2);
    let sending = tokio::spawn(async move { sender.send(&call).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    let mined = sending.await.unwrap().unwrap();
    assert_eq!(mined.replacements, 0);
    assert_eq!(world.anvil.count(OWNER).await, 2);
}

#[tokio::test]
async fn a_nonce_taken_after_sending_is_told_as_not_done() {
    let Some(world) = World::start().await else { return };
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let sender = world.sender(world.rpc(), EoaConfig { replace_after_ms: 60_000, ..quick() });
    let call = approve(&world, 1);
    let sending = tokio::spawn(async move { sender.send(&call).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Another program replaces it with a transaction of its own.
    let call = approve(&world, 9);
    world
        .anvil
        .ask(
            "eth_sendTransaction",
            json!([{"from": OWNER, "to": call.target, "data": call.data, "nonce": "0x0", "gas": "0x20000",
                "maxFeePerGas": "0x4a817c80000", "maxPriorityFeePerGas": "0x2540be40000"}]),
        )
        .await;
    for _ in 0..3 {
        world.anvil.ask("anvil_mine", json!(["0x1"])).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let error = sending.await.unwrap().unwrap_err();
    assert!(matches!(&error, ChainError::NonceTaken { nonce: 0, .. }), "{error}");
    assert!(error.to_string().contains("another transaction"), "{error}");
}

#[tokio::test]
async fn a_revert_in_a_block_is_told_with_its_reason() {
    let Some(world) = World::start().await else { return };
    let trap = world.anvil.deploy("Trap", &[]).await;
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let sender = world.sender(world.rpc(), EoaConfig { replace_after_ms: 60_000, ..quick() });
    let call = Call {
        target: trap,
        value: U256::ZERO,
        data: stepCall {}.abi_encode().into(),
        words: "step".into(),
    };
    let sending = {
        let (sender, call) = (Arc::clone(&sender), call.clone());
        tokio::spawn(async move { sender.send(&call).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let data = alloy::primitives::Bytes::from(armCall {}.abi_encode());
    world
        .anvil
        .ask(
            "eth_sendTransaction",
            json!([{"from": OTHER, "to": trap, "data": data, "gas": "0x20000",
                "maxFeePerGas": "0x4a817c80000", "maxPriorityFeePerGas": "0x2540be40000"}]),
        )
        .await;
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    let error = sending.await.unwrap().unwrap_err();
    assert!(
        matches!(&error, ChainError::Reverted { reason, hash: Some(_), .. } if reason.contains("the trap is armed")),
        "{error}"
    );
    // The nonce is used, the gas is paid, and the next call simulates to the same end without being sent.
    assert!(sender.spent_wei() > U256::ZERO);
    let error = sender.send(&call).await.unwrap_err();
    assert!(matches!(error, ChainError::Reverted { hash: None, .. }), "{error}");
    assert_eq!(world.anvil.count(OWNER).await, 1);
}

#[tokio::test]
async fn a_block_that_is_taken_back_does_not_count() {
    let Some(world) = World::start().await else { return };
    let config = EoaConfig { confirmations: 3, replace_after_ms: 300, ..quick() };
    let sender = world.sender(world.rpc(), config);
    let call = approve(&world, 1);
    let sending = tokio::spawn(async move { sender.send(&call).await });
    // Mined at once; then the chain forgets that block.
    let mut waited = 0;
    while world.anvil.count(OWNER).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        waited += 1;
        assert!(waited < 300);
    }
    let height = world.anvil.number("eth_blockNumber", json!([])).await;
    world.anvil.ask("anvil_rollback", json!([1])).await;
    assert_eq!(world.anvil.count(OWNER).await, 0);
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if sending.is_finished() {
            break;
        }
        world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    }
    let mined = sending.await.unwrap().unwrap();
    assert!(mined.block >= height, "{mined:?} at {height}");
    assert_eq!(world.anvil.count(OWNER).await, 1);
}

#[tokio::test]
async fn two_endpoints_must_both_have_the_receipt() {
    let Some(world) = World::start().await else { return };
    let blind = Arc::new(AtomicBool::new(true));
    let is_blind = Arc::clone(&blind);
    let second = node(&world.anvil.url, move |method, _| {
        if method == "eth_getTransactionReceipt" && is_blind.load(Ordering::Relaxed) {
            Lie::Instead(json!(null))
        } else {
            Lie::No
        }
    })
    .await;
    let rpc = world.rpc_over(&[world.anvil.url.clone(), second]);
    let config =
        EoaConfig { deadline_ms: 300, replace_after_ms: 10_000, confirmations: 1, ..quick() };
    let sender = world.sender(rpc, config);
    let miner = async {
        // Blocks go on while it is followed.
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            world.anvil.ask("anvil_mine", json!(["0x1"])).await;
        }
    };
    let call = approve(&world, 1);
    let (error, ()) = tokio::join!(sender.send(&call), miner);
    let error = error.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    // However many blocks pass, a transaction that one endpoint shows is not called undone.
    world.anvil.ask("anvil_mine", json!(["0x5"])).await;
    let error = sender.settle().await.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    blind.store(false, Ordering::Relaxed);
    assert_eq!(sender.settle().await.unwrap().len(), 1);
    assert_eq!(world.anvil.count(OWNER).await, 1);
}

#[tokio::test]
async fn what_an_earlier_process_sent_is_waited_for() {
    let Some(world) = World::start().await else { return };
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let call = approve(&world, 9);
    let earlier = json!([{"from": OWNER, "to": call.target, "data": call.data, "gas": "0x20000"}]);
    world.anvil.ask("eth_sendTransaction", earlier).await;
    let config = EoaConfig { deadline_ms: 100, ..quick() };
    let sender = world.sender(world.rpc(), config);
    let error = sender.send(&approve(&world, 1)).await.unwrap_err();
    assert!(error.to_string().contains("nonces 0 to 0"), "{error}");
    assert!(sender.unsettled().is_empty());
    world.anvil.ask("anvil_mine", json!(["0x1"])).await;
    world.anvil.ask("evm_setAutomine", json!([true])).await;
    assert_eq!(sender.send(&approve(&world, 1)).await.unwrap().nonce, 1);
}
