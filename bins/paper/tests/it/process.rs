//! Runs the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A program of the workspace, beside this one's.
pub fn beside(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_paper")).with_file_name(name);
    assert!(path.exists(), "{} is missing: cargo build --bin {name}", path.display());
    path
}

/// A command that nothing of this environment reaches: no configuration, and no build.
pub fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    let ours = std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("POLYDESK"));
    for name in ours.chain(["CARGO".to_owned()]) {
        command.env_remove(name);
    }
    command.env("POLYDESK__HEALTH__LISTEN", "\"127.0.0.1:0\"");
    command
}

pub fn paper() -> Command {
    clean(env!("CARGO_BIN_EXE_paper"))
}

/// An exchange that outlives the program under test, and ends with this handle.
pub struct Exchange {
    child: Child,
    pub urls: Value,
}

impl Exchange {
    pub fn start(args: &[&str]) -> Exchange {
        let mut child = clean(beside("exchange"))
            .args(["--json", "--until-stdin-closes", "--no-limits"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        Exchange { child, urls: line["urls"].clone() }
    }

    /// Points a command here, with filters that its markets pass.
    pub fn venue(&self, command: &mut Command) {
        let url = |name: &str| self.urls[name].as_str().unwrap().to_owned();
        command
            .env("POLYDESK__VENUE__CLOB", url("clob"))
            .env("POLYDESK__VENUE__GAMMA", url("gamma"))
            .env("POLYDESK__VENUE__WS_MARKET", url("market_socket"))
            .env("POLYDESK__MARKETS__MIN_LIQUIDITY_USD", "0")
            .env("POLYDESK__MARKETS__MIN_VOLUME_24H_USD", "0")
            .env("POLYDESK__MARKETS__MAX_SPREAD", "1")
            .env("POLYDESK__MARKETS__MIN_LEFT_SECS", "0")
            .env("POLYDESK__MARKETS__WATCH_SECS", "1");
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Exit code and standard error.
pub fn ended(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The answer of the running process, once it answers; the child must not have ended before.
pub fn status(data: &Path, child: &mut Child) -> Value {
    loop {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it answered");
        if let Some(value) = ask(data, "/v1/status")
            && value.get("glance").is_some()
        {
            return value;
        }
        std::thread::yield_now();
    }
}

fn ask(data: &Path, path: &str) -> Option<Value> {
    let mut socket = UnixStream::connect(data.join("desk.sock")).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Polls until the glance satisfies a condition.
pub fn until(data: &Path, child: &mut Child, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let value = status(data, child);
        if holds(&value["glance"]) {
            return value["glance"].clone();
        }
    }
}
