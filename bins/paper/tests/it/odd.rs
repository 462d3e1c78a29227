//! Odd surroundings of a run: pipes without a reader, names that are no text, signals, full disks.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::process::{Exchange, beside, clean, ended, paper, status, until};

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn a_run_whose_output_nobody_reads_goes_on_and_ends_in_order() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = paper();
    command.arg("--data").arg(&data).args(["--for", "3s"]).stdout(closed()).stderr(closed());
    exchange.venue(&mut command);
    let code = command.status().unwrap().code();
    assert_eq!(code, Some(0));
    assert!(data.join("report.html").exists());
}

#[test]
fn a_variable_that_is_no_text_is_no_panic_and_one_of_ours_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let broken = OsString::from_vec(vec![b'a', 0xff]);
    let start = |name: &str| {
        let mut command = paper();
        command.arg("--data").arg(folder.path().join("data")).arg("--check");
        // Nothing listens on the discard port of loopback.
        command.env("POLYDESK__VENUE__CLOB", "http://127.0.0.1:9");
        command.env("POLYDESK__START__REACH_SECS", "1").env(name, &broken);
        ended(&command.output().unwrap())
    };
    let (code, text) = start("SOMETHING");
    assert_eq!(code, Some(6), "{text}");
    let (code, text) = start("POLYDESK__LOGS__LEVEL");
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("POLYDESK__LOGS__LEVEL") && text.contains("UTF-8"), "{text}");
}

#[test]
fn a_data_folder_whose_name_is_no_text_is_used_and_reported() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(OsString::from_vec(vec![b'd', 0xff]));
    let mut command = paper();
    command.arg("--data").arg(&data).args(["--for", "1s"]);
    exchange.venue(&mut command);
    let (code, text) = ended(&command.output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    assert!(data.join("report.json").exists());
}

#[test]
fn a_tape_without_the_local_feed_is_wrong_usage() {
    let (code, text) = ended(&paper().args(["--tape", "x"]).output().unwrap());
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("--feed local"), "{text}");
}

#[test]
fn a_broken_env_file_is_named_with_its_line_and_without_its_text() {
    let folder = tempfile::tempdir().unwrap();
    for (content, want) in [
        (&b"POLYDESK__RISK__MAX_ORDER_USD=50\nhunter2 is secret\n"[..], ".env: line 2"),
        (&b"A=\xff\n"[..], ".env: "),
        (&b"POLYDESK__RISK__MAX_ORDR_USD=50\n"[..], "max_order_usd?"),
    ] {
        std::fs::write(folder.path().join(".env"), content).unwrap();
        let output = paper().current_dir(folder.path()).arg("--check").output().unwrap();
        let (code, text) = ended(&output);
        assert_eq!(code, Some(3), "{text}");
        assert!(text.contains(want) && !text.contains("hunter2"), "{text}");
        assert!(!folder.path().join("data").exists(), "nothing is made");
    }
}

#[test]
fn a_data_folder_that_is_a_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    for data in [file.clone(), file.join("below")] {
        let (code, text) = ended(&paper().arg("--data").arg(&data).output().unwrap());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(data.to_str().unwrap()), "{text}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

#[test]
fn checks_of_which_one_is_bad_do_not_end_with_code_zero() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("version.toml");
    std::fs::write(&scenario, "[[engine]]\nact = \"version\"\nversion = 3\n").unwrap();
    for (args, want) in [(&[][..], Some(0)), (&["--scenario", scenario.to_str().unwrap()], Some(1))]
    {
        let exchange = Exchange::start(args);
        let mut command = paper();
        command.arg("--data").arg(folder.path().join("data")).arg("--check");
        exchange.venue(&mut command);
        let (code, text) = ended(&command.output().unwrap());
        assert_eq!(code, want, "{text}");
        assert!(text.contains("version"), "{text}");
        assert_eq!(text.contains("fix: "), want == Some(1), "{text}");
    }
}

#[test]
fn starts_on_a_taken_port_name_it_and_are_no_crashes() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let start = |listen: &str| {
        let mut command = paper();
        command.arg("--data").arg(&data).env("POLYDESK__HEALTH__LISTEN", format!("{listen:?}"));
        exchange.venue(&mut command);
        command
    };
    for _ in 0..4 {
        let (code, text) = ended(&start(&address).output().unwrap());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(&address) && text.contains("health.listen"), "{text}");
    }
    let mut child = start("").stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let glance = status(&data, &mut child)["glance"].clone();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!glance["blockers"].to_string().contains("crash_loop"), "{}", glance["blockers"]);
}

#[test]
fn a_second_signal_ends_a_stop_and_prints_what_remains() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut command = paper();
    command.arg("--data").arg(&data).stdout(Stdio::null()).stderr(Stdio::piped());
    // Cancels take longer than the test waits.
    command.env("POLYDESK__EXCHANGE__LATENCY__CANCEL", "\"60s\"");
    exchange.venue(&mut command);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    until(&data, &mut child, |glance| glance["risk"]["open_orders"].as_u64() > Some(4));
    signal(&child, "-TERM");
    assert!(lines.any(|line| line.starts_with("stopping")));
    signal(&child, "-TERM");
    let rest: Vec<String> = lines.collect();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(1), "{rest:?}");
    let text = rest.join("\n");
    assert!(text.contains("second signal") && text.contains("open orders"), "{text}");
}

#[test]
fn a_broken_file_is_refused_while_it_runs_and_the_corrected_one_is_taken_up() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let (data, file) = (folder.path().join("data"), folder.path().join("my.toml"));
    std::fs::write(&file, "[risk]\nmax_order_usd = 90\n").unwrap();
    let mut command = paper();
    command.arg("--data").arg(&data).arg("--config").arg(&file);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    exchange.venue(&mut command);
    let mut child = command.spawn().unwrap();
    let config = |child: &mut Child, holds: &dyn Fn(&serde_json::Value) -> bool| {
        loop {
            let value = status(&data, child);
            if holds(&value["config"]) {
                return value["config"].clone();
            }
        }
    };
    config(&mut child, &|_| true);
    // Half written, then wrong, then right and tighter, then looser.
    std::fs::write(&file, "[risk]\nmax_order_u").unwrap();
    let state = config(&mut child, &|state| state["refused"] != serde_json::json!([]));
    assert_eq!(state["reloads"], 0, "{state}");
    std::fs::write(&file, "[risk]\nmax_order_usd = \"NaN\"\n").unwrap();
    let nan = |state: &serde_json::Value| state["refused"].to_string().contains("NaN");
    config(&mut child, &nan);
    std::fs::write(&file, "[risk]\nmax_order_usd = 50\n").unwrap();
    let state = config(&mut child, &|state| state["reloads"] == 1);
    assert_eq!(
        (&state["refused"], &state["pending"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
    std::fs::write(&file, "[risk]\nmax_order_usd = 500\n").unwrap();
    let state = config(&mut child, &|state| state["reloads"] == 2);
    assert_eq!(state["pending"][0], serde_json::json!(["risk.max_order_usd", "50.00", "500.00"]));
    // The folder is gone from under the file: nothing changes, and a hangup does no harm.
    std::fs::remove_file(&file).unwrap();
    let state = config(&mut child, &|state| state["refused"] != serde_json::json!([]));
    assert!(state["refused"].to_string().contains("my.toml"), "{state}");
    assert_eq!(state["pending"].as_array().unwrap().len(), 1, "{state}");
    signal(&child, "-HUP");
    status(&data, &mut child);
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A file system of so many bytes, where this user may have one.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(size: &str) -> Option<Small> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size},mode=0700"), "none"]);
        let done = mount.arg(folder.path()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then_some(Small(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn fill(folder: &Path) {
    use std::io::Write;
    let mut file = std::fs::File::create(folder.join("full")).unwrap();
    while file.write_all(&[7; 4_096]).is_ok() {}
    let mut file = std::fs::File::create(folder.join("fuller")).unwrap();
    while file.write_all(&[7]).is_ok() {}
}

#[test]
fn a_run_that_ends_on_a_full_disk_says_so_and_the_next_one_with_space_goes_on() {
    let Some(disk) = Small::mount("24m") else {
        println!("not run: this user cannot mount a file system");
        return;
    };
    let exchange = Exchange::start(&[]);
    let data = disk.0.path().join("data");
    let start = || {
        let mut command = paper();
        command.arg("--data").arg(&data).stdout(Stdio::null()).stderr(Stdio::piped());
        command.env("POLYDESK__JOURNAL__SEGMENT_MIB", "1");
        exchange.venue(&mut command);
        command
    };
    let mut child = start().spawn().unwrap();
    until(&data, &mut child, |glance| glance["risk"]["open_orders"].as_u64() > Some(4));
    fill(disk.0.path());
    signal(&child, "-TERM");
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    let code = child.wait().unwrap().code();
    assert!(matches!(code, Some(1 | 7)), "code {code:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    // A start without space says so, whether or not what the journal had set aside is enough; one with space goes on.
    let (code, text) = ended(&start().args(["--for", "1s"]).output().unwrap());
    assert!(matches!(code, Some(0 | 1 | 5 | 7)), "{code:?}: {text}");
    assert!(text.contains("free space") || text.contains("No space"), "{text}");
    for name in ["full", "fuller"] {
        let _ = std::fs::remove_file(disk.0.path().join(name));
    }
    let (code, text) = ended(&start().args(["--for", "1s"]).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn without_the_exchange_beside_it_the_local_feed_names_the_command_that_builds_it() {
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("paper");
    std::fs::copy(beside("paper"), &alone).unwrap();
    let mut command = clean(&alone);
    command.args(["--feed", "local", "--data"]).arg(folder.path().join("data"));
    let (code, text) = ended(&command.output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cargo build") && text.contains("--bin exchange"), "{text}");
}
