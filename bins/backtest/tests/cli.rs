//! The program, run as a process.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn backtest(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backtest"));
    // Variables of the environment must not change what is tested.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("POLYDESK__")) {
        command.env_remove(name);
    }
    command.current_dir(dir).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn expect(output: &Output, code: i32, needles: &[&str]) {
    let both = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{both}");
    for needle in needles {
        assert!(both.contains(needle), "{needle:?} is missing in:\n{both}");
    }
    assert!(!both.contains("panicked"), "{both}");
}

#[test]
fn the_default_run_repeats_byte_for_byte_on_any_threads_and_from_any_folder() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = backtest(one.path(), &["--seeds", "2", "--threads", "1"]);
    expect(&first, 0, &["SYNTHETIC", "NHL final"]);
    let out = two.path().join("elsewhere");
    let out_text = out.to_str().unwrap();
    let args = ["--seeds", "2", "--threads", "3", "--json", "--out", out_text];
    let second = backtest(&root(), &args);
    expect(&second, 0, &[]);
    for file in ["report.json", "report.html", "events-1.jsonl", "events-2.jsonl", "events-3.jsonl"]
    {
        let a = std::fs::read(one.path().join("out").join(file)).unwrap();
        let b = std::fs::read(out.join(file)).unwrap();
        assert!(a == b, "{file} differs");
    }
    // What `--json` prints is the file, and nothing else.
    let printed: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    let written: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap();
    assert_eq!(printed, written);
    // People compare runs by this hash; the terminal shows it too.
    let hash = written["run_sha256"].as_str().expect("the JSON carries the run's hash");
    expect(&first, 0, &[hash, "VERDICT", "report.html"]);
}

#[test]
fn the_stink_bidder_fills_on_real_data_and_the_scanner_on_the_synthetic_tape() {
    let dir = tempfile::tempdir().unwrap();
    expect(&backtest(dir.path(), &["--no-bands", "--seeds", "1"]), 0, &[]);
    let fills = |file: &str, strategy: &str| {
        let log = std::fs::read_to_string(dir.path().join("out").join(file)).unwrap();
        let lines: Vec<serde_json::Value> =
            log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let ours: Vec<u64> = lines
            .iter()
            .filter(|line| line["kind"] == "place" && line["strategy"] == strategy)
            .filter_map(|line| line["id"].as_u64())
            .collect();
        let matched =
            lines.iter().filter(|line| line["kind"] == "trade" && line["status"] == "matched");
        matched.filter(|line| line["id"].as_u64().is_some_and(|id| ours.contains(&id))).count()
    };
    assert!(fills("events-1.jsonl", "stink_bidder") > 0);
    assert!(fills("events-2.jsonl", "stink_bidder") > 0);
    assert!(fills("events-3.jsonl", "arb_scanner") > 0);
}

#[test]
fn wrong_configuration_ends_with_3_and_names_everything() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mine.toml");
    std::fs::write(
        &file,
        "[risk]\nmax_oder_usd = 5\n[run]\nseed = -1\n[stink_bidder]\nmin_mid = 2.0\n",
    )
    .unwrap();
    let name = file.to_str().unwrap();
    for args in [&["run", "-c", name][..], &["config", "check", "-c", name]] {
        let output = backtest(dir.path(), args);
        expect(
            &output,
            3,
            &["mine.toml:2: risk.max_oder_usd is not a key; did you mean risk.max_order_usd?"],
        );
        expect(&output, 3, &["mine.toml:4: run.seed", "mine.toml:6: stink_bidder.min_mid is 2"]);
    }
    expect(
        &backtest(dir.path(), &["run", "-c", "nowhere.toml"]),
        3,
        &["nowhere.toml", "cannot be read"],
    );
    expect(
        &backtest(dir.path(), &["run", "--strategy", "moon"]),
        3,
        &["moon", "arb_scanner, stink_bidder"],
    );
}

#[test]
fn a_strategy_runs_beside_an_instance_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("mine.toml"),
        "[stink_bidder.instances.whales]\nmax_market_usd = 50\n",
    )
    .unwrap();
    let both = ["--strategy", "stink_bidder", "--strategy", "stink_bidder.whales"];
    let args = [&["run", "-c", "mine.toml", "--no-bands", "--seeds", "1"][..], &both].concat();
    expect(&backtest(dir.path(), &args), 0, &["stink_bidder.whales  ", "stink_bidder   "]);
    let text = std::fs::read_to_string(dir.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    for run in json["report"]["runs"].as_array().unwrap() {
        let orders = run["orders"].as_array().unwrap();
        let placed = |id: &str| {
            let row = orders.iter().find(|row| row["strategy"] == id).unwrap();
            row["placed"].as_u64().unwrap()
        };
        assert!(placed("stink_bidder") > 0 && placed("stink_bidder.whales") > 0, "{orders:?}");
    }
    let shown = backtest(dir.path(), &["config", "show", "--origin", "-c", "mine.toml"]);
    expect(&shown, 0, &["stink_bidder.instances.whales.max_market_usd = 50  # mine.toml:2"]);
    expect(
        &backtest(dir.path(), &["run", "-c", "mine.toml", "--strategy", "stink_bidder.whale"]),
        3,
        &["there is no section [stink_bidder.instances.whale]: add it"],
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    expect(&backtest(dir.path(), &["rum"]), 2, &["rum"]);
    expect(
        &backtest(dir.path(), &["import", "--format", "floppy", "x", "--out", "y"]),
        2,
        &["tickscope"],
    );
}

#[test]
fn a_tape_that_is_missing_or_damaged_ends_with_7_and_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    expect(&backtest(dir.path(), &["run", "--tape", "nowhere"]), 7, &["nowhere"]);
    expect(&backtest(dir.path(), &["inspect", "nowhere"]), 7, &["nowhere"]);

    let tape = dir.path().join("tape");
    copy(&root().join("fixtures/tapes/btc-15m-2026-09-28"), &tape);
    let part = first_part(&tape);
    let bytes = std::fs::read(&part).unwrap();
    std::fs::write(&part, &bytes[..bytes.len() / 2]).unwrap();
    expect(
        &backtest(dir.path(), &["run", "--no-bands", "--seeds", "1", "--tape", "tape"]),
        7,
        &["part-0.parquet"],
    );
    expect(&backtest(dir.path(), &["inspect", "tape"]), 7, &["tape"]);

    // A manifest that promises other rows is found by reading them again.
    std::fs::write(&part, &bytes).unwrap();
    let manifest = tape.join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let at = text.find("content_sha256").unwrap() + 20;
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    std::fs::write(&manifest, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    expect(&backtest(dir.path(), &["inspect", "tape"]), 7, &["is not what its manifest says"]);
}

#[test]
fn a_recording_becomes_a_tape_that_can_be_inspected_and_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let source = root().join("fixtures/sources/resolvedkit");
    let (books, markets) = (source.join("books.parquet"), source.join("markets.parquet"));
    let args = [
        "import",
        "--format",
        "resolvedkit",
        books.to_str().unwrap(),
        markets.to_str().unwrap(),
        "--out",
        "tape",
    ];
    expect(&backtest(dir.path(), &args), 0, &["25256", "next: backtest run --tape tape"]);
    expect(&backtest(dir.path(), &["inspect", "tape"]), 0, &["markets   12", "btc-15m-2026-09-28"]);
    let json = backtest(dir.path(), &["inspect", "tape", "--json"]);
    let facts: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(facts["manifest"]["markets"].as_array().unwrap().len(), 12);
    let log = || std::fs::read_to_string(dir.path().join("out/events.jsonl")).unwrap();
    let run = ["run", "--no-bands", "--seeds", "1", "--tape", "tape"];
    expect(&backtest(dir.path(), &run), 0, &["--no-bands", "--seeds", "1"]);
    let decided = log();
    // Every event the engine took can be logged, rows of the tape included.
    expect(&backtest(dir.path(), &[&run[..], &["--log-rows"]].concat()), 0, &["--log-rows"]);
    let rows = facts["manifest"]["rows"].as_u64().unwrap() as usize;
    assert_eq!(log().lines().count(), decided.lines().count() + rows);
    // A tape is never overwritten.
    expect(&backtest(dir.path(), &args), 7, &["tape"]);
}

#[test]
fn a_missing_overlay_is_drafted() {
    let dir = tempfile::tempdir().unwrap();
    let recorded = root().join("fixtures/sources/tickscope/polymarket_20260607_0130.parquet");
    let alone = dir.path().join("recording.parquet");
    std::fs::copy(recorded, &alone).unwrap();
    let args = ["import", "--format", "tickscope", "recording.parquet"];
    let refused = backtest(dir.path(), &[&args[..], &["--out", "tape"]].concat());
    expect(&refused, 7, &["overlay"]);
    let drafted = backtest(dir.path(), &[&args[..], &["--write-overlay", "draft.toml"]].concat());
    expect(&drafted, 0, &["draft.toml"]);
    let draft = std::fs::read_to_string(dir.path().join("draft.toml")).unwrap();
    assert_eq!(draft.matches("[[market]]").count(), 6, "{draft}");
    let again = backtest(dir.path(), &[&args[..], &["--write-overlay", "draft.toml"]].concat());
    expect(&again, 1, &["exists"]);
}

#[test]
fn settings_are_shown_with_their_origin() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_backtest"));
    let shown = command
        .current_dir(dir.path())
        .env("POLYDESK__RISK__MAX_ORDER_USD", "12.5")
        .args(["config", "show", "--origin"])
        .output()
        .unwrap();
    expect(
        &shown,
        0,
        &[
            "risk.max_order_usd = 12.5  # env POLYDESK__RISK__MAX_ORDER_USD",
            "run.seed = 7  # default",
        ],
    );
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn first_part(dir: &Path) -> PathBuf {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            let found = first_part(&entry);
            if found.is_file() {
                return found;
            }
        } else if entry.extension().is_some_and(|extension| extension == "parquet") {
            return entry;
        }
    }
    PathBuf::new()
}

/// Micro-dollars, or millionths of a share, of a decimal string.
fn micros(value: &serde_json::Value) -> i64 {
    let text = value.as_str().expect("amounts are strings");
    (text.parse::<f64>().expect("they are decimals") * 1e6).round() as i64
}

/// A bidder that fills often and loses: what these tests check must not depend on what is shipped.
const EAGER: &str = "\
[stink_bidder]
max_range = 0.50
rungs = [{ below = 0.06, usd = 20 }, { below = 0.10, usd = 30 }, { below = 0.15, usd = 40 }]
cooldown_secs = 15
vacuum_below = 0.35
vacuum_rungs = [{ below = 0.04, usd = 20 }]
stop_loss = 0.15
[arb_scanner]
leg_fail = 0
";

#[test]
fn the_report_of_the_bundled_tapes_agrees_with_itself() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("eager.toml"), EAGER).unwrap();
    let args = ["run", "-c", "eager.toml", "--no-bands"];
    expect(&backtest(dir.path(), &args), 0, &["closed round trips"]);
    let text = std::fs::read_to_string(dir.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let (mut takers, mut paid) = (0, 0);
    let runs = json["report"]["runs"].as_array().unwrap();
    for (run, judged) in runs.iter().zip(json["analysis"]["runs"].as_array().unwrap()) {
        let rebates: i64 =
            run["rebates"].as_array().unwrap().iter().map(|of| micros(&of["amount"])).sum();
        assert_eq!(rebates, micros(&run["totals"]["rebates"]));
        paid += rebates;
        let (balance, verdict) = (&judged["balance"], &judged["verdict"]);
        assert!(micros(&balance["other"]).abs() <= 20, "{balance}");
        let results = ["closed", "open", "rebates"].map(|part| micros(&balance[part]));
        let by_event = micros(&verdict["mean"]) * verdict["events"].as_i64().unwrap();
        assert!((results.iter().sum::<i64>() - by_event).abs() <= 20, "{verdict}");
        let (extremes, fall) = (&run["extremes"], &run["extremes"]["fall"]);
        let depth = micros(&fall["peak"]) - micros(&fall["bottom"]);
        assert_eq!(depth, micros(&judged["curve"]["drawdown"]["depth"]));
        assert!(depth > 0 && fall["peak_at"].as_i64() < fall["bottom_at"].as_i64(), "{fall}");
        let lowest = micros(&extremes["lowest"]);
        assert!(lowest <= micros(&fall["bottom"]) && lowest < micros(&extremes["highest"]));
        assert!(micros(&extremes["mean_locked"]) < micros(&extremes["peak_locked"]));
        assert!(extremes["exposed"].as_i64() < extremes["observed"].as_i64());
        // Resting orders are filled by books that move through them: captured first, lost until known.
        let steps = judged["waterfall"]["steps"].as_array().unwrap();
        let step = |key: &str| {
            steps.iter().find(|step| step["key"] == key).map(|of| micros(&of["amount"]))
        };
        if run["synthetic"] == false {
            assert!(step("maker_spread") > Some(0) && step("until_known") < Some(0), "{steps:?}");
        }
        for fill in run["fills"].as_array().unwrap() {
            assert!(fill["matched_at"].as_i64() < fill["at"].as_i64(), "{fill}");
            let record = &fill["record"];
            let Some(met) = fill["double_mid_matched"].as_i64() else { continue };
            if record["role"] == "taker" {
                // No taker gets a better price than the middle of the book that he met.
                let paid = 20_000.0 * micros(&record["fill"]["notional"]) as f64
                    / micros(&record["fill"]["shares"]) as f64;
                let worse =
                    if record["side"] == "buy" { paid - met as f64 } else { met as f64 - paid };
                assert!(worse > -1.0, "{fill}");
                takers += 1;
            }
        }
    }
    assert!(takers > 30 && paid > 0, "{takers} takers, rebates of {paid}");
}

#[test]
fn a_latched_drawdown_is_shown_by_every_report() {
    let dir = tempfile::tempdir().unwrap();
    let tight = format!("{EAGER}[risk]\nmax_drawdown_usd = 50\n");
    std::fs::write(dir.path().join("tight.toml"), tight).unwrap();
    let args = ["run", "-c", "tight.toml", "--no-bands"];
    expect(&backtest(dir.path(), &args), 0, &["ALARM 2026-09-28T", "latch drawdown: lost 5"]);
    let text = std::fs::read_to_string(dir.path().join("out/report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let alarms = |run: &serde_json::Value| run["alarms"].as_array().unwrap().clone();
    let runs = json["report"]["runs"].as_array().unwrap();
    let latches: Vec<_> =
        runs.iter().flat_map(alarms).filter(|alarm| alarm["kind"] == "latch").collect();
    assert!(latches.iter().all(|latch| latch["code"] == "drawdown") && !latches.is_empty());
    let page = std::fs::read_to_string(dir.path().join("out/report.html")).unwrap();
    assert!(page.contains("Alarms: latched limits and critical notes"));
}

#[test]
fn the_made_orders_agree_best_with_the_model_that_made_them() {
    let tape = root().join("fixtures/tapes/nhl-2026-06-07");
    let orders = root().join("fixtures/truth/orders.jsonl");
    let (tape, orders) = (tape.to_str().unwrap(), orders.to_str().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let args = ["truth", orders, "--tape", tape, "--delays", "300ms,1s", "--json"];
    let output = backtest(dir.path(), &args);
    expect(&output, 0, &[]);
    let judged: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sum = |place: usize| judged[place]["sum"].as_u64().unwrap();
    assert_eq!(judged.as_array().unwrap().len(), 8);
    assert_eq!(
        (&judged[0]["queue"], &judged[0]["delay_ms"]),
        (&"proportional".into(), &300.into())
    );
    assert!(sum(0) < sum(1), "{judged}");
    // A broken line is named, and the format's page.
    std::fs::write(dir.path().join("mine.jsonl"), "\n{\"id\":\"a\"}\n").unwrap();
    let output = backtest(dir.path(), &["truth", "mine.jsonl", "--tape", tape]);
    expect(&output, 7, &["mine.jsonl: line 2", "token", "docs/truth.md"]);
    expect(&backtest(dir.path(), &["truth", "none.jsonl", "--tape", tape]), 1, &["none.jsonl"]);
    let output = backtest(dir.path(), &["truth", orders, "--tape", tape, "--delays", "soon"]);
    expect(&output, 2, &["300ms"]);
}
