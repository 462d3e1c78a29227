//! The program as a person runs it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_exchange");

#[test]
fn it_prints_where_it_listens_and_ends_well_on_ctrl_c() {
    let mut child = Command::new(PROGRAM)
        .args(["--json", "--empty", "--seed", "5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let world: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(world["accounts"].as_array().unwrap().len(), 3);
    assert_eq!(world["markets"].as_array().unwrap().len(), 7);
    let address = world["urls"]["clob"].as_str().unwrap().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("{\"version\":2}"),
        "{answer}"
    );
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn mistakes_are_named() {
    let bad = std::env::temp_dir().join(format!("polydesk-bad-{}.toml", std::process::id()));
    std::fs::write(&bad, "[[answers]]\nendpoint = \"POST order\"\n").unwrap();
    let bad_path = bad.to_str().unwrap();
    for (args, code, want) in [
        (vec!["--scenario", bad_path], 1, "line 2: \"POST order\" is not an endpoint"),
        (vec!["--scenario", "/nowhere.toml"], 1, "scenario /nowhere.toml"),
        (vec!["--tape", "/nowhere"], 1, "the tape /nowhere cannot be read"),
        (vec!["--market-file", "/nowhere.toml"], 1, "the market file /nowhere.toml cannot be read"),
        (vec!["--tape", "x", "--speed", "0"], 2, "a speed is a number above 0"),
        (vec!["--speed", "2"], 2, "--tape <TAPE>"),
    ] {
        let output = Command::new(PROGRAM).args(&args).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(want), "{args:?}: {text}");
    }
    std::fs::remove_file(bad).unwrap();
}
