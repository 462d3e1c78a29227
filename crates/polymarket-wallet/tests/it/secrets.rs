//! Keys come only from where they may, and nothing that is printed, logged, returned or panicked with
//! holds any of them, in any encoding.

use std::sync::{Arc, Mutex};

use crate::common::*;
use base64::Engine;
use polydesk_domain::{Side, Tif};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::ws::{UserFeed, UserItem};
use polydesk_polymarket_api::{Credentials, FeedConfig, HttpConfig, L2Auth, Secret};
use polydesk_polymarket_wallet::signing::{
    Key, KeySource, KeySourceError, PasswordSource, derive_api_key,
};

const KEY: &str = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

/// A secret in the forms it could leak in.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let engine = base64::engine::general_purpose::STANDARD;
    let url = base64::engine::general_purpose::URL_SAFE;
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let list = |bytes: &[u8]| bytes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut forms = vec![
        secret.to_owned(),
        secret.to_uppercase(),
        hex(bytes),
        engine.encode(bytes),
        list(bytes),
    ];
    // The raw bytes behind hex or base64 text.
    let raw: Option<Vec<u8>> =
        if secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit()) {
            (0..64).step_by(2).map(|i| u8::from_str_radix(&secret[i..i + 2], 16).ok()).collect()
        } else {
            url.decode(secret).ok()
        };
    if let Some(raw) = raw {
        forms.extend([hex(&raw), engine.encode(&raw), url.encode(&raw), list(&raw)]);
    }
    forms
}

fn assert_clean(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        for form in forms(secret) {
            assert!(!text.contains(form.as_str()), "{what} holds a secret");
            // A part of it already helps an attacker.
            let part = &form[..form.len().min(24)];
            assert!(
                part.len() < 16 || !text.contains(part),
                "{what} holds the beginning of a secret"
            );
        }
    }
}

/// Everything that is logged at any level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn keys_come_from_private_places_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    std::fs::write(&path, format!("0x{KEY}\n")).unwrap();
    let open = |mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        KeySource::File(path.clone()).load()
    };
    assert_eq!(open(0o600).unwrap().address(), Key::from_hex(KEY).unwrap().address());
    assert!(open(0o400).is_ok());
    for mode in [0o644, 0o640, 0o604, 0o660] {
        let error = open(mode).unwrap_err();
        assert!(matches!(error, KeySourceError::Open { .. }), "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    // A link decides by where it points now: it is refused, also when that file is private.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(open(0o600).is_ok());
    let error = KeySource::File(link).load().unwrap_err();
    assert!(matches!(error, KeySourceError::Link(_)), "{error}");
    // Only root can give a file away; who cannot has nothing to test here.
    match std::os::unix::fs::chown(&path, Some(54_321), None) {
        Ok(()) => {
            let error = open(0o600).unwrap_err();
            assert!(matches!(error, KeySourceError::Owner { owner: 54_321, .. }), "{error}");
            assert!(error.to_string().contains("chown"), "{error}");
        }
        Err(_) => eprintln!("not root: a file of another user is not tested"),
    }
    let missing = KeySource::File(folder.path().join("none")).load().unwrap_err();
    assert!(matches!(missing, KeySourceError::Read { .. }));
    let unset = KeySource::Env("POLYDESK_TEST_NO_SUCH_KEY".into()).load().unwrap_err();
    assert!(unset.to_string().contains("POLYDESK_TEST_NO_SUCH_KEY"));
    for bad in
        ["", "0x", "12", &"g".repeat(64), &"0".repeat(64), &"f".repeat(64), &format!("{KEY}00")]
    {
        assert!(Key::from_hex(bad).is_err(), "{bad}");
    }
}

#[test]
fn an_encrypted_keystore_opens_with_its_password_only() {
    let folder = tempfile::tempdir().unwrap();
    let key: alloy::signers::local::PrivateKeySigner = KEY.parse().unwrap();
    // Light parameters: the format is what is tested, not the work of guessing.
    let mut rng = Plain(7);
    alloy::signers::local::LocalSigner::encrypt_keystore(
        folder.path(),
        &mut rng,
        key.to_bytes(),
        "correct horse",
        Some("wallet.json"),
    )
    .unwrap();
    let path = folder.path().join("wallet.json");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let load = |password: &str| {
        KeySource::Keystore {
            path: path.clone(),
            password: PasswordSource::Given(Secret::new(password)),
        }
        .load()
    };
    assert_eq!(load("correct horse").unwrap().address(), key.address());
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(load("correct horse"), Err(KeySourceError::Open { mode: 0o640, .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let error = load("battery staple").unwrap_err();
    assert!(matches!(error, KeySourceError::Keystore { .. }), "{error}");
    assert!(!format!("{error:?} {error}").contains("battery"));
}

/// Random enough for a test's salt.
struct Plain(u64);

impl rand_08::RngCore for Plain {
    fn next_u32(&mut self) -> u32 {
        self.next_u64() as u32
    }
    fn next_u64(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = (self.next_u64() >> 56) as u8);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_08::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl rand_08::CryptoRng for Plain {}

#[test]
fn nothing_that_is_printed_logged_or_returned_holds_a_secret() {
    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || to.clone())
        .finish();
    let mut seen = String::new();
    let mut secrets: Vec<String> =
        TEST_KEYS[..2].iter().map(|key| key.trim_start_matches("0x").to_owned()).collect();
    tracing::subscriber::with_default(subscriber, || {
        run(async {
            // A proxy's password is a secret too: its port is closed.
            let proxy = HttpConfig {
                proxy: Some("http://user:hunter2hunter2hunter2@127.0.0.1:9".into()),
                ..http_config()
            };
            let printed = format!("{proxy:?} {}", serde_json::to_string(&proxy).unwrap());
            let world = World::new(Setup::test()).await;
            let trader = world.trader(0, WalletKind::Deposit);
            secrets.extend([
                "hunter2hunter2hunter2".to_owned(),
                trader.credentials.secret.expose().to_owned(),
                trader.credentials.passphrase.expose().to_owned(),
            ]);
            let proxied = polydesk_polymarket_api::Http::new(proxy, &world.endpoints).unwrap();
            let through = polydesk_polymarket_api::clob::Clob::new(
                proxied,
                &world.endpoints.clob,
                world.limits.clone(),
                world.clock.clone(),
            );
            let market = world.market("rain-tomorrow");
            let mut say = |text: String| seen += &text;
            say(printed);
            let headers = polydesk_polymarket_wallet::signing::l1_headers(
                trader.signer.key(),
                137,
                1,
                Default::default(),
            );
            let fresh = headers.signature.clone();
            let shown = format!("{headers:?}");
            assert!(!shown.contains(&fresh[2..20]), "a fresh signature is shown");
            say(shown);
            say(format!("{:?} {:#?}", trader.signer, trader.signer.key()));
            say(format!("{:?} {:?}", trader.clob, trader.credentials));
            say(format!("{:?}", trader.clob.auth()));
            say(format!("{:?}", through.book(&market.tokens[0]).await));
            let signed = trader.sign(&ask(&market, 0, Side::Buy, 20, 10, Tif::Gtc));
            say(format!("{signed:?}"));
            say(format!("{:?}", trader.post(&signed).await));
            for fault in [
                "act = \"cut\"",
                "status = 401\nbody = '{\"error\":\"Invalid API key\"}'",
                "act = \"lose_answer\"",
                "body = 'x'",
            ] {
                for endpoint in ["POST /order", "GET /data/orders", "GET /auth/derive-api-key"] {
                    world
                        .exchange
                        .inject_toml(&format!(
                            "[[answers]]\nendpoint = \"{endpoint}\"\ncalls = \"1\"\n{fault}\n"
                        ))
                        .unwrap();
                }
                say(format!("{:?}", trader.post(&signed).await));
                say(format!("{:?}", trader.clob.open_orders(&OrderFilter::default()).await));
                say(format!(
                    "{:?}",
                    derive_api_key(&trader.clob, trader.signer.key(), 137, 0).await
                ));
            }
            say(format!("{:?}", trader.clob.api_keys().await.is_ok()));
            let (_feed, mut items) = UserFeed::start(
                FeedConfig { retry_first_ms: 5, ..FeedConfig::default() },
                world.http.clone(),
                &world.endpoints.ws_user,
                trader.credentials.clone(),
                Vec::new(),
                world.clock.clone(),
            );
            let first = items.recv().await;
            assert!(matches!(first, Some(UserItem::Connected { .. })));
            say(format!("{first:?}"));
            // Bad credentials are reported without being quoted.
            for (key, secret, passphrase) in [
                ("not-a-uuid", KEY, "p"),
                ("11111111-2222-4333-8444-555555555555", "!!hunter2hunter2hunter2!!", "p"),
                ("11111111-2222-4333-8444-555555555555", "AAAA", "hunter2hunter2hunter2\n"),
            ] {
                let credentials = Credentials {
                    key: key.into(),
                    secret: Secret::new(secret),
                    passphrase: Secret::new(passphrase),
                };
                say(format!("{:?}", L2Auth::new("0x0", credentials).map(|_| ())));
            }
            // A panic while a key is at hand.
            let key = Arc::new(Key::from_hex(KEY).unwrap());
            let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                assert!(key.address().is_zero(), "{key:?} in {:?}", Secret::new(KEY));
            }));
            let payload = panicked.unwrap_err();
            say(payload.downcast_ref::<String>().cloned().unwrap_or_default());
            say(format!("{:?}", Key::from_hex(&format!("{KEY}x")).map(|_| ())));
        });
    });
    secrets.push(KEY.to_owned());
    assert!(seen.len() > 2_000, "nothing was printed");
    assert_clean("what was printed", &seen, &secrets);
    let logged = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(logged.len() > 1_000, "nothing was logged");
    assert_clean("the log", &logged, &secrets);
}
