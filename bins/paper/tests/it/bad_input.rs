//! What goes wrong before a run: each with its exit code, its place and its fix, and nothing lost.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use crate::process::{Exchange, ended, paper, status};

#[test]
fn a_broken_configuration_names_every_mistake_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.toml");
    std::fs::write(&file, "[risk]\nmax_order_usd = 0\nmax_ordr_usd = 5\n[markets]\nmost = 0\n")
        .unwrap();
    let data = folder.path().join("data");
    let output = paper().arg("--config").arg(&file).arg("--data").arg(&data).output().unwrap();
    let (code, text) = ended(&output);
    assert_eq!(code, Some(3), "{text}");
    for part in [
        "my.toml:2: risk.max_order_usd is 0.00",
        "my.toml:3: ",
        "max_order_usd?",
        "my.toml:5: markets.most is 0",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!data.exists());
}

#[test]
fn a_venue_that_cannot_be_reached_ends_the_start_with_code_six() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = paper()
        .arg("--data")
        .arg(&data)
        // Nothing listens on the discard port of loopback.
        .env("POLYDESK__VENUE__CLOB", "http://127.0.0.1:9")
        .env("POLYDESK__VENUE__GAMMA", "http://127.0.0.1:9")
        .env("POLYDESK__VENUE__WS_MARKET", "ws://127.0.0.1:9/ws/market")
        .env("POLYDESK__START__REACH_SECS", "1")
        .output()
        .unwrap();
    let (code, text) = ended(&output);
    assert_eq!(code, Some(6), "{text}");
    assert!(text.contains("the CLOB did not answer within 1 s"), "{text}");
    assert!(text.contains("the section venue"), "{text}");
}

#[test]
fn p7_nothing_is_sent_to_a_venue_with_a_bad_certificate_and_the_message_says_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let (to, tried) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let shaken = tls.complete_io(&mut stream);
            // What a client sends to a server it believes.
            let mut sent = Vec::new();
            let read = shaken
                .and_then(|_| rustls::Stream::new(&mut tls, &mut stream).read_to_end(&mut sent));
            if to.send((read.is_ok(), sent)).is_err() {
                return;
            }
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let output = paper()
        .arg("--data")
        .arg(folder.path().join("data"))
        .env("POLYDESK__VENUE__CLOB", format!("https://localhost:{port}"))
        .env("POLYDESK__VENUE__GAMMA", format!("https://localhost:{port}"))
        .env("POLYDESK__VENUE__WS_MARKET", format!("wss://localhost:{port}/ws/market"))
        .env("POLYDESK__START__REACH_SECS", "1")
        .output()
        .unwrap();
    let (code, text) = ended(&output);
    assert_eq!(code, Some(6), "{text}");
    assert!(text.contains("UnknownIssuer"), "{text}");
    let tried: Vec<_> = tried.try_iter().collect();
    assert!(!tried.is_empty());
    assert!(tried.iter().all(|(believed, sent)| !believed && sent.is_empty()), "{tried:?}");
}

#[test]
fn a_data_folder_that_others_can_write_or_that_is_in_use_is_refused() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    for mode in [0o777, 0o720, 0o702] {
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(mode)).unwrap();
        let (code, text) = ended(&paper().arg("--data").arg(&open).output().unwrap());
        assert_eq!(code, Some(1), "{mode:o}: {text}");
        assert!(text.contains("chmod 700"), "{mode:o}: {text}");
    }

    let data = folder.path().join("data");
    let start = || {
        let mut command = paper();
        command.arg("--data").arg(&data);
        exchange.venue(&mut command);
        command
    };
    let mut first = start().stderr(std::process::Stdio::null()).spawn().unwrap();
    status(&data, &mut first);
    let (code, text) = ended(&start().output().unwrap());
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains(&format!("in use by process {}", first.id())), "{text}");
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_by_name() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("x".repeat(100));
    let mut command = paper();
    command.arg("--data").arg(&data);
    exchange.venue(&mut command);
    let (code, text) = ended(&command.output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("at most 100 are possible"), "{text}");
}

#[test]
fn a_journal_of_a_newer_program_is_refused_with_code_five() {
    let exchange = Exchange::start(&["--no-counterparties"]);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = || {
        let mut command = paper();
        command.arg("--data").arg(&data);
        exchange.venue(&mut command);
        command
    };
    let (code, text) = ended(&start().args(["--for", "1s"]).output().unwrap());
    assert_eq!(code, Some(0), "{text}");
    // The version in the head of every segment and compaction.
    let journal = data.join("journal");
    let mut changed = 0;
    for entry in std::fs::read_dir(&journal).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|of| of == "seg" || of == "cmp") {
            let mut bytes = std::fs::read(&path).unwrap();
            let at = bytes.windows(4).position(|four| four != [0; 4]).unwrap();
            for byte in &mut bytes[at..at + 16] {
                *byte ^= 0x40;
            }
            std::fs::write(&path, bytes).unwrap();
            changed += 1;
        }
    }
    assert!(changed > 0);
    let (code, text) = ended(&start().args(["--for", "1s"]).output().unwrap());
    assert_eq!(code, Some(5), "{text}");
}
