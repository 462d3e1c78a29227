//! A killed process goes on where it was.

use std::process::Stdio;

use serde_json::Value;

use crate::process::{Exchange, beside, clean, ended, paper, until};

/// Cash, and what is held.
fn account(glance: &Value) -> (String, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let positions = glance["positions"].as_array().unwrap().iter().map(|position| {
        let of = |name: &str| text(&position[name]);
        format!("{} {} {} {}", of("market"), of("outcome"), of("shares"), of("cost"))
    });
    // A restart gives markets other keys: their order is no fact.
    let mut positions: Vec<String> = positions.collect();
    positions.sort();
    (text(&glance["money"]["cash"]), positions)
}

#[test]
fn the_demo_trades_offline_and_its_recorded_run_replays_command_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = paper()
        .args(["--feed", "local", "--for", "8s", "--data"])
        .arg(&data)
        .env("POLYDESK__JOURNAL__RECORDING", "true")
        .output()
        .unwrap();
    let (code, text) = ended(&output);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("stink_bidder quotes"), "decisions with reasons: {text}");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.contains("SYNTHETIC"), "{report}");
    assert!(!report.contains("check FAILED"), "{report}");
    for file in ["report.html", "report.json"] {
        assert!(data.join(file).metadata().unwrap().len() > 1_000, "{file}");
    }
    let replayed =
        clean(beside("backtest")).args(["replay", "--journal"]).arg(&data).output().unwrap();
    let (code, text) = ended(&replayed);
    assert_eq!(code, Some(0), "{text}");
    let said = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert!(said.contains("all as recorded") && !said.contains(" 0 commands"), "{said}");
    // What it saw is a tape that the backtest reads.
    let tape = folder.path().join("tape");
    let made = clean(beside("desk"))
        .arg("--data")
        .arg(&data)
        .args(["tape", "--out"])
        .arg(&tape)
        .output()
        .unwrap();
    assert_eq!(ended(&made).0, Some(0), "{}", ended(&made).1);
    let inspected = clean(beside("backtest")).arg("inspect").arg(&tape).output().unwrap();
    assert_eq!(ended(&inspected).0, Some(0), "{}", ended(&inspected).1);
}

#[test]
fn an_account_survives_kills_and_three_crashes_close_the_gate() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = || {
        let mut command = paper();
        command.arg("--data").arg(&data).stderr(Stdio::null()).stdout(Stdio::null());
        command.env("POLYDESK__JOURNAL__RECORDING", "true");
        exchange.venue(&mut command);
        command.spawn().unwrap()
    };
    // The demo's group costs less than it pays: the scanner buys a basket at once.
    let mut first = start();
    let held = |glance: &Value| {
        glance["positions"].as_array().is_some_and(|positions| positions.len() == 3)
            && glance["money"]["pending"] == "0.00"
            && glance["orders"]
                .as_array()
                .is_some_and(|orders| orders.iter().all(|order| order["purpose"] != "leg"))
    };
    let before = account(&until(&data, &mut first, held));
    first.kill().unwrap();
    first.wait().unwrap();
    for crash in 1..=3 {
        let mut again = start();
        let glance = until(&data, &mut again, |glance| glance["run"] == crash + 1);
        assert_eq!(account(&glance), before, "restart {crash}");
        let codes = glance["blockers"].to_string();
        assert_eq!(codes.contains("crash_loop"), crash >= 3, "{codes}");
        again.kill().unwrap();
        again.wait().unwrap();
    }
    let replayed =
        clean(beside("backtest")).args(["replay", "--journal"]).arg(&data).output().unwrap();
    assert_eq!(ended(&replayed).0, Some(0), "{}", ended(&replayed).1);
    let said = String::from_utf8_lossy(&replayed.stdout).into_owned();
    assert_eq!(said.matches("all as recorded").count(), 4, "{said}");
}

/// Money that is final or on its way, in micro-dollars.
fn money(glance: &Value) -> i64 {
    let micros = |name: &str| {
        let text = glance["money"][name].as_str().unwrap();
        let (whole, part) = text.split_once('.').unwrap();
        let digits: i64 = format!("{whole}{part:0<6}").parse().unwrap();
        digits
    };
    micros("cash") + micros("pending")
}

/// Kills at moments that a seed draws; `POLYDESK_KILLS` says how often (3, for a campaign 20).
#[test]
fn after_a_kill_at_any_moment_the_account_is_that_of_the_journal() {
    let kills =
        std::env::var("POLYDESK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let exchange = Exchange::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let desk = |args: &[&str]| {
        let output = clean(beside("desk")).arg("--data").arg(&data).args(args).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    let mut left: Option<(i64, Vec<String>)> = None;
    for kill in 1..=kills + 1 {
        let mut command = paper();
        command.arg("--data").arg(&data).stderr(Stdio::null()).stdout(Stdio::null());
        command.env("POLYDESK__JOURNAL__RECORDING", "true");
        // Nothing of a new run is filled before its first look, however busy the machine is.
        command.env("POLYDESK__EXCHANGE__LATENCY__INSERT", "\"2s\"");
        exchange.venue(&mut command);
        let mut child = command.spawn().unwrap();
        let first = until(&data, &mut child, |glance| glance["run"] == kill);
        if let Some((cash, positions)) = left.take() {
            assert_eq!(money(&first), cash, "kill {}", kill - 1);
            assert_eq!(account(&first).1, positions, "kill {}", kill - 1);
        }
        desk(&["release", "crash_loop"]);
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(kill);
        let rows = 20 + (chance >> 33) % 300;
        until(&data, &mut child, |glance| glance["feed"]["rows"].as_u64() >= Some(rows));
        child.kill().unwrap();
        child.wait().unwrap();
        let (code, text) = desk(&["status", "--json"]);
        assert_eq!(code, Some(0), "{text}");
        let journal: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(journal["run"], kill, "read from the journal");
        left = Some((money(&journal), account(&journal).1));
    }
    let replayed =
        clean(beside("backtest")).args(["replay", "--journal"]).arg(&data).output().unwrap();
    assert_eq!(ended(&replayed).0, Some(0), "{}", ended(&replayed).1);
}
