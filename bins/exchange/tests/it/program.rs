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
    let nodes = world["urls"]["rpc"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for (number, node) in nodes.iter().enumerate() {
        let url = node.as_str().unwrap().trim_start_matches("http://");
        let (address, path) = url.split_once('/').unwrap();
        assert_eq!(path, format!("rpc/{number}"));
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("Host: x\r\nConnection: close\r\nContent-Length: {}", body.len());
        let request = format!("POST /{path} HTTP/1.1\r\n{head}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with(r#""result":"0x89"}"#), "{answer}");
    }
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// Starts the program with a pipe as standard input; its first line, read as JSON.
fn served(stdin: Stdio) -> (std::process::Child, serde_json::Value) {
    let mut child = Command::new(PROGRAM)
        .args(["--json", "--until-stdin-closes"])
        .stdin(stdin)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn with_until_stdin_closes_it_serves_at_its_line_and_ends_well_when_the_pipe_does() {
    let (mut child, world) = served(Stdio::piped());
    let address = world["urls"]["gamma"].as_str().unwrap().trim_start_matches("http://");
    TcpStream::connect(address).unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(b"what comes in here is ignored\n").unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    drop(pipe);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn with_until_stdin_closes_it_ends_with_a_parent_that_is_killed() {
    // The other end of the pipe is held by a process that gets SIGKILL and can close nothing itself.
    let mut parent = Command::new("sleep").arg("600").stdout(Stdio::piped()).spawn().unwrap();
    let (mut child, _) = served(Stdio::from(parent.stdout.take().unwrap()));
    assert_eq!(child.try_wait().unwrap(), None);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn with_until_stdin_closes_ctrl_c_still_ends_it() {
    let (mut child, _) = served(Stdio::piped());
    let stopped = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_it_a_closed_stdin_ends_nothing() {
    let mut child = Command::new(PROGRAM)
        .args(["--json", "--empty"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let world: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = world["urls"]["clob"].as_str().unwrap().trim_start_matches("http://");
    TcpStream::connect(address).unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill().unwrap();
    child.wait().unwrap();
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
