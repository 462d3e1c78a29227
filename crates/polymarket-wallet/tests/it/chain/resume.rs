//! What is written down before it leaves, and what a later process makes of it.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alloy::primitives::U256;
use polydesk_polymarket_wallet::chain::{
    Call, ChainError, EoaConfig, EoaSender, Keep, Keeping, Leaving, RelayedCalls, Rpc,
    SignedTransaction,
};
use serde_json::json;

use super::anvil::{OWNER, World, key, quick, usd};
use super::relayer::{Double, accepted, calls, state, wallets};
use super::server::{Lie, node};

/// A journal in memory.
#[derive(Default)]
struct Pages {
    written: Mutex<Vec<Leaving>>,
    full: AtomicBool,
}

impl Keep for Pages {
    fn keep<'a>(&'a self, leaving: &'a Leaving) -> Keeping<'a> {
        Box::pin(async move {
            if self.full.load(Ordering::Relaxed) {
                return Err("the disk is full".to_owned());
            }
            // As a journal does: what is read back is what was written.
            let text = serde_json::to_string(leaving).unwrap();
            self.written.lock().unwrap().push(serde_json::from_str(&text).unwrap());
            Ok(())
        })
    }
}

impl Pages {
    fn transactions(&self) -> Vec<SignedTransaction> {
        let written = self.written.lock().unwrap();
        let of = |leaving: &Leaving| match leaving {
            Leaving::Transaction(transaction) => Some(transaction.clone()),
            Leaving::Relayed(_) => None,
        };
        written.iter().filter_map(of).collect()
    }
    fn relayed(&self) -> Vec<RelayedCalls> {
        let written = self.written.lock().unwrap();
        let of = |leaving: &Leaving| match leaving {
            Leaving::Relayed(calls) => Some(calls.clone()),
            Leaving::Transaction(_) => None,
        };
        written.iter().filter_map(of).collect()
    }
}

fn approve(world: &World, amount: u64) -> Call {
    Call::approve(world.c().collateral, world.c().exchange, usd(amount))
}

fn sender(rpc: Arc<Rpc>, config: EoaConfig, pages: &Arc<Pages>) -> EoaSender {
    EoaSender::new(rpc, &key(), config).unwrap().with_keep(pages.clone())
}

#[tokio::test]
async fn a_transaction_of_a_process_that_died_happens_once() {
    let Some(world) = World::start().await else { return };
    // Died before any node had it, and after one had it whose answer was lost.
    for lose in [false, true] {
        let before = world.anvil.count(OWNER).await;
        let pages = Arc::new(Pages::default());
        let (seen, first) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(u32::MAX)));
        let (counted, written) = (seen.clone(), first.clone());
        let journal = pages.clone();
        let url = node(&world.anvil.url, move |method, _| {
            if method != "eth_sendRawTransaction" {
                return Lie::No;
            }
            // What leaves is in the journal already.
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                written.store(journal.transactions().len() as u32, Ordering::Relaxed);
            }
            if lose { Lie::Lose } else { Lie::Drop }
        })
        .await;
        let config = EoaConfig { deadline_ms: 200, replace_after_ms: 10_000, ..quick() };
        let call = approve(&world, 7);
        {
            let process = sender(world.rpc_over(&[url]), config.clone(), &pages);
            let sent = tokio::time::timeout(Duration::from_secs(5), process.send(&call)).await;
            // With one confirmation it may have been seen mined.
            drop(sent);
        }
        assert_eq!((seen.load(Ordering::Relaxed) > 0, first.load(Ordering::Relaxed)), (true, 1));
        let versions = pages.transactions();
        assert_eq!((versions.len(), versions[0].nonce, &versions[0].call), (1, before, &call));
        // The next process: the same bytes, whatever became of them.
        let next = sender(world.rpc(), quick(), &Arc::new(Pages::default()));
        next.resume(versions.clone(), U256::ZERO).unwrap();
        assert_eq!(next.unsettled(), [(before, vec![versions[0].hash])]);
        let mined = next.settle().await.unwrap();
        assert_eq!((mined.len(), mined[0].hash), (1, versions[0].hash));
        assert_eq!(world.anvil.count(OWNER).await, before + 1, "once");
        assert_eq!(next.send(&call).await.unwrap().nonce, before + 1);
    }
}

#[tokio::test]
async fn every_version_of_raised_fees_is_written_down_and_any_may_be_the_one() {
    let Some(world) = World::start().await else { return };
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let pages = Arc::new(Pages::default());
    let config = EoaConfig { replace_after_ms: 100, ..quick() };
    let process = sender(world.rpc(), config, &pages);
    let call = approve(&world, 1);
    let mut sending = Box::pin(process.send(&call));
    while pages.transactions().len() < 3 {
        tokio::select! {
            biased;
            done = &mut sending => panic!("{done:?}"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    drop(sending);
    drop(process);
    let versions = pages.transactions();
    let fees: Vec<u128> = versions.iter().map(|version| version.max_fee).collect();
    assert!(fees.is_sorted_by(|a, b| a < b), "{fees:?}");
    assert!(versions.iter().all(|version| version.nonce == 0));
    // Read back in any order.
    let mixed = vec![versions[1].clone(), versions[2].clone(), versions[0].clone()];
    // It raises nothing by itself.
    let config = EoaConfig { replace_after_ms: 60_000, ..quick() };
    let next = sender(world.rpc(), config, &Arc::new(Pages::default()));
    next.resume(mixed, U256::ZERO).unwrap();
    // No node has any of them any more: the one that offers most goes out again.
    world.anvil.ask("anvil_dropAllTransactions", json!([])).await;
    world.anvil.ask("evm_setAutomine", json!([true])).await;
    let mined = next.settle().await.unwrap();
    assert_eq!(mined[0].hash, versions.last().unwrap().hash);
    assert_eq!(world.anvil.count(OWNER).await, 1);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_sent() {
    let Some(world) = World::start().await else { return };
    let pages = Arc::new(Pages::default());
    pages.full.store(true, Ordering::Relaxed);
    let process = sender(world.rpc(), quick(), &pages);
    let error = process.send(&approve(&world, 1)).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Refused { reason, .. } if reason.contains("the disk is full")),
        "{error}"
    );
    assert!(!error.may_have_taken_effect() && process.unsettled().is_empty());
    assert_eq!(world.anvil.count(OWNER).await, 0);
    // The nonce is free again.
    pages.full.store(false, Ordering::Relaxed);
    assert_eq!(process.send(&approve(&world, 1)).await.unwrap().nonce, 0);
    // Higher fees that cannot be written down are not offered; the first version goes on.
    world.anvil.ask("evm_setAutomine", json!([false])).await;
    let config = EoaConfig { replace_after_ms: 100, ..quick() };
    let process = Arc::new(sender(world.rpc(), config, &pages));
    let sending = {
        let (process, call) = (process.clone(), approve(&world, 2));
        tokio::spawn(async move { process.send(&call).await })
    };
    while pages.transactions().len() < 2 {
        tokio::task::yield_now().await;
    }
    pages.full.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(400)).await;
    world.anvil.ask("anvil_mine", json!(["0x3"])).await;
    let mined = sending.await.unwrap().unwrap();
    let known: Vec<_> = pages.transactions().iter().map(|version| version.hash).collect();
    assert!(known.contains(&mined.hash), "only what is written down was sent");
}

#[tokio::test]
async fn what_earlier_processes_paid_counts_against_the_budget_and_damage_is_named() {
    let Some(world) = World::start().await else { return };
    let pages = Arc::new(Pages::default());
    let process = sender(world.rpc(), quick(), &pages);
    process.send(&approve(&world, 1)).await.unwrap();
    let config = EoaConfig { max_total_gwei: 100_000_000, ..quick() };
    let budget = U256::from(100_000_000u64) * U256::from(1_000_000_000u64);
    let next = sender(world.rpc(), config, &pages);
    next.resume(Vec::new(), budget - U256::from(1)).unwrap();
    let error = next.send(&approve(&world, 2)).await.unwrap_err();
    assert!(
        matches!(&error, ChainError::TooExpensive { cap, .. } if cap.contains("max_total_gwei")),
        "{error}"
    );
    let good = pages.transactions().remove(0);
    let mut bent = good.clone();
    bent.raw = vec![1, 2, 3].into();
    let mut other = good.clone();
    other.call = approve(&world, 9);
    for (versions, words) in [(vec![bent], "another hash"), (vec![good, other], "different calls")]
    {
        let error = next.resume(versions, U256::ZERO).unwrap_err();
        assert!(
            matches!(&error, ChainError::Misconfigured(text) if text.contains(words)),
            "{error}"
        );
    }
    assert!(next.unsettled().is_empty(), "nothing of it is taken up");
}

#[tokio::test]
async fn relayed_calls_are_written_down_first_and_settled_by_the_next_process() {
    // Taken and forgotten, with and without an answer.
    for answer in [accepted(), None] {
        let lost = answer.is_none();
        let looks = || vec![state("STATE_NEW"); 30];
        let double = Double::start(vec![answer], looks()).await;
        let pages = Arc::new(Pages::default());
        let process = double.relayer(wallets()[0]).with_keep(pages.clone());
        let error = process.execute(&calls(), "").await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{error}");
        drop(process);
        let written = pages.relayed();
        assert_eq!(written[0].id, None, "before it left nobody knew the relayer's id");
        assert_eq!(written.iter().any(|calls| calls.id.is_some()), !lost);
        assert_eq!(written[0].nonce, Some(U256::from(3)));
        let newest = written.last().unwrap().clone();
        // The next process signs nothing before that is decided.
        let double = Double::start(vec![accepted()], looks()).await;
        let next = double.relayer(wallets()[0]);
        next.resume(newest.clone()).await.unwrap();
        assert!(next.execute(&calls(), "").await.unwrap_err().may_have_taken_effect());
        assert!(double.bodies().is_empty(), "nothing was sent");
        let twice = next.resume(newest).await.unwrap_err();
        assert!(matches!(twice, ChainError::Misconfigured(_)), "{twice}");
        let gone = vec![Some((404, json!({"error": "transaction not found"}))); 30];
        double.script.lock().unwrap().looks = gone.into();
        double.script.lock().unwrap().nonce = 4;
        next.settle().await.unwrap();
    }
    // What cannot be written down does not leave.
    let double = Double::start(vec![accepted()], vec![state("STATE_CONFIRMED")]).await;
    let pages = Arc::new(Pages::default());
    pages.full.store(true, Ordering::Relaxed);
    let process = double.relayer(wallets()[0]).with_keep(pages);
    let error = process.execute(&calls(), "").await.unwrap_err();
    assert!(
        matches!(&error, ChainError::Refused { reason, .. } if reason.contains("disk")),
        "{error}"
    );
    assert!(double.bodies().is_empty());
    process.settle().await.unwrap();
}
