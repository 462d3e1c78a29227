//! `desk` beside a process that answers oddly: the process is a socket of the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::desk;

/// A data folder whose socket gives the same answer to every request.
fn answering(status: &str, body: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let socket = UnixListener::bind(folder.path().join("desk.sock")).unwrap();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = socket.accept() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    folder
}

#[test]
fn a_process_that_cannot_answer_is_not_reported_as_none() {
    for (status, body) in [
        ("503 Service Unavailable", "{\"error\":\"the engine has not started yet\"}"),
        ("200 OK", "{\"glance\":"),
        ("500 Internal Server Error", ""),
    ] {
        for verb in ["status", "orders", "positions"] {
            let folder = answering(status, body);
            let (code, out, error) = desk(folder.path(), &[verb]);
            let all = format!("{out}{error}");
            assert_eq!(code, Some(1), "{verb} {status}: {all}");
            assert!(!all.contains("no process runs"), "{verb} {status}: {all}");
        }
        let folder = answering(status, body);
        let (code, out, _) = desk(folder.path(), &["doctor"]);
        assert_eq!(code, Some(3), "{status}: {out}");
        assert!(out.contains("BAD"), "{status}: {out}");
        assert!(!out.contains("no process runs"), "{status}: {out}");
    }
}

#[test]
fn a_refusal_of_a_command_is_shown_with_its_reason_and_fails() {
    let folder = answering("409 Conflict", "{\"error\":\"crash_loop is not set\"}");
    for args in [&["release", "crash_loop"][..], &["limits", "confirm"]] {
        let (code, _, error) = desk(folder.path(), args);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("crash_loop is not set"), "{error}");
    }
}

/// What a process answers, with texts of an attacker in every place that holds one.
fn hostile() -> String {
    let bad = "x\\u001b[2J\\u0007\\nfake line\\u202e";
    let time = 1_795_521_600_000_000_000_u64;
    format!(
        r#"{{"glance":{{"at":{time},"mode":"paper","run":1,"started":{time},"program":"p","config_sha256":"",
        "blockers":[{{"code":"market_frozen","stops":"orders","since":{time},"detail":"{bad}"}}],
        "feed":{{"up":true,"connections":1,"disconnects":0,"age_ms":1,"rows":1,"collapsed":0,"open_markets":1,"usable_books":1,"unverified":0,"way_ms":1}},
        "money":{{"cash":"1.00","pending":"0.00","equity":"1.00","day":"0.00","high":"1.00","realised":"0.00","fees":"0.00"}},
        "risk":{{"account":"0.00","max_account":"1.00","open_orders":1,"max_open_orders":9,"daily_loss":"1.00","max_drawdown":"1.00"}},
        "orders":[{{"id":"1","strategy":"stink_bidder","market":"{bad}","outcome":"yes","side":"buy","price":"0.5","matched":"0","state":"{bad}","purpose":"quote","placed_at":{time}}}],
        "orders_left_out":0,
        "positions":[{{"strategy":"stink_bidder","market":"{bad}","outcome":"yes","shares":"1","cost":"1.00","mark":null}}],
        "positions_left_out":7,"in_use":[],
        "strategies":[{{"id":"stink_bidder","signals":1,"skips":[["{bad}",1]]}}],
        "decisions":[{{"at":{time},"kind":"{bad}","text":"{bad}"}}]}},
        "config":{{"reloads":0,"refused":["{bad}"],"pending":[["risk.{bad}","1","2"]],"at_next_start":["{bad}"]}}}}"#
    )
}

#[test]
fn a_text_with_control_characters_writes_nothing_of_its_own_on_the_terminal() {
    for args in [&["status"][..], &["orders"], &["positions"], &["limits", "show"], &["doctor"]] {
        let folder = answering("200 OK", &hostile());
        let (code, out, error) = desk(folder.path(), args);
        assert!(matches!(code, Some(0 | 3)), "{args:?}: {error}");
        let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert_eq!(out.chars().find(|c| bad(*c)), None, "{args:?}: {out:?}");
        assert!(!out.lines().any(|line| line.starts_with("fake")), "{args:?}: {out}");
    }
    let folder = answering("200 OK", &hostile());
    let (_, out, _) = desk(folder.path(), &["positions"]);
    assert!(out.contains("8 positions") && out.contains("and 7 more"), "{out}");
}

#[test]
fn a_reader_that_is_gone_is_no_panic() {
    for args in [&["doctor"][..], &["status"], &["limits", "confirm"], &["release", "crash_loop"]] {
        let folder = answering("200 OK", &hostile());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(folder.path(), args, writer.into());
        assert_ne!(output.status.code(), Some(101), "{args:?}: {output:?}");
    }
    // And where the reader of the errors is gone.
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_desk"));
    let ended = command.arg("--data").arg(folder.path()).arg("status").stderr(writer).status();
    assert_eq!(ended.unwrap().code(), Some(4));
}

fn run(data: &Path, args: &[&str], out: Stdio) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_desk"));
    let child = command.arg("--data").arg(data).args(args).stdout(out).stderr(Stdio::piped());
    child.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_feed_that_is_down_and_an_unknown_mark_are_shown_as_such() {
    let down = hostile().replace("\"up\":true", "\"up\":false").replace("market_frozen", "disk");
    let folder = answering("200 OK", &down);
    let (code, out, _) = desk(folder.path(), &["doctor"]);
    assert_eq!(code, Some(3), "{out}");
    let feed = out.lines().find(|line| line.contains("1 connections")).unwrap();
    assert!(feed.starts_with("BAD"), "{out}");
    assert!(out.contains("check the network"), "{out}");
    let (_, out, _) = desk(folder.path(), &["positions"]);
    assert!(out.lines().any(|line| line.trim_end().ends_with('?')), "{out}");
}
