//! What people get wrong: a clear message with place, rule and fix, the documented exit code, and nothing lost.

use std::os::unix::fs::PermissionsExt as _;

use crate::process::{Process, World};

fn ends(
    world: &World,
    more: &str,
    change: impl FnOnce(&mut std::process::Command),
) -> (i32, String) {
    let mut command = world.live(more);
    change(&mut command);
    let (code, text) = Process::start(command).ended();
    (code.unwrap_or(-1), text)
}

#[test]
fn without_the_sentence_the_cap_or_a_node_nothing_starts() {
    let world = World::new(1);
    let cases = [
        (
            "POLYDESK__LIVE__ACKNOWLEDGE",
            "\"\"",
            1,
            "set live.acknowledge = \"this trades real money\"",
        ),
        ("POLYDESK__LIVE__ACKNOWLEDGE", "\"yes\"", 3, "word for word"),
        ("POLYDESK__LIVE__CAPITAL_CAP_USD", "0", 1, "live.capital_cap_usd is 0"),
        ("POLYDESK__LIVE__CAPITAL_CAP_USD", "-5", 3, "it must be at least 0"),
        ("POLYDESK__LIVE__RPC", "[]", 1, "live.rpc names no RPC URL"),
        ("POLYDESK__LIVE__WALLET", "\"paper\"", 3, "live.wallet"),
        ("POLYDESK__LIVE__GEOBLOCK", "\"https://example.com/x\"", 1, "live.geoblock is neither"),
        ("POLYDESK__LIVE__RPC", "[\"https://example.com\"]", 1, "live.rpc is neither"),
        ("POLYDESK__REHEARSAL__STOP_AT", "\"W0:1\"", 1, "W6:57"),
        (
            "POLYDESK__LIVE__ADDRESS",
            "\"0x1111111111111111111111111111111111111111\"",
            8,
            "live.address",
        ),
    ];
    for (key, value, code, text) in cases {
        let (ended, said) = ends(&world, "", |command| {
            command.env(key, value);
        });
        assert!(ended == code && said.contains(text), "{key}={value}: {ended}\n{said}");
    }
    assert_eq!(world.orders(), (0, 0));
}

#[test]
fn a_key_that_others_can_read_or_that_is_none_is_refused() {
    let world = World::new(1);
    let key = world.folder.path().join("key");
    let mode =
        |mode| std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    for bad in [0o644, 0o640] {
        mode(bad);
        let (code, said) = ends(&world, "", |_| {});
        assert!(code == 8 && said.contains("chmod 600"), "{code}\n{said}");
    }
    mode(0o600);
    std::fs::write(&key, "not a key").unwrap();
    let (code, said) = ends(&world, "", |_| {});
    assert!(code == 8 && said.contains("holds no key") && !said.contains("not a key"), "{said}");
    let link = world.folder.path().join("link");
    std::os::unix::fs::symlink(&key, &link).unwrap();
    let (code, said) = ends(&world, "", |command| {
        command.env("POLYDESK__LIVE__KEY_FILE", format!("{link:?}"));
    });
    assert!(code == 8 && said.contains("is a link"), "{said}");
    std::fs::remove_file(&key).unwrap();
    let (code, said) = ends(&world, "", |_| {});
    assert!(code == 8 && said.contains("cannot read"), "{said}");
}

#[test]
fn a_node_of_another_chain_or_none_at_all_is_a_bad_check_and_nothing_leaves() {
    let world = World::new(1);
    world.exchange.inject_toml("[[rpc]]\nnode = 1\nact = \"chain_id\"\nchain_id = 80002").unwrap();
    let (code, said) = ends(&world, "", |command| {
        command.arg("--check");
    });
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("BAD  chain") && said.contains("80002"), "{said}");
    let (code, said) = ends(&world, "", |command| {
        command.arg("--check").env("POLYDESK__LIVE__RPC", "[\"http://127.0.0.1:9\"]");
    });
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("BAD  chain") && said.contains("correct live.rpc"), "{said}");
    assert_eq!(world.orders(), (0, 0));
}

/// The example of the format's definition; its password is "testpassword".
const KEYSTORE: &str = r#"{"crypto":{"cipher":"aes-128-ctr","cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
"ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
"kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
"mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
"id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3}"#;

#[test]
fn a_keystore_with_a_wrong_password_or_none_starts_nothing_and_the_right_one_is_the_next_question()
{
    let world = World::new(1);
    let path = world.folder.path().join("wallet.json");
    std::fs::write(&path, KEYSTORE).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = |password: Option<&str>| {
        ends(&world, "", |command| {
            command.arg("--check").env("POLYDESK__LIVE__KEY_FILE", "\"\"");
            command.env("POLYDESK__LIVE__KEYSTORE", format!("{path:?}"));
            command.env("POLYDESK__LIVE__KEYSTORE_PASSWORD_ENV", "\"TEST_PASSWORD\"");
            match password {
                Some(password) => command.env("TEST_PASSWORD", password),
                None => command.env_remove("TEST_PASSWORD"),
            };
        })
    };
    let (code, said) = with(Some("battery staple"));
    assert!(code == 8 && said.contains("wallet.json") && !said.contains("battery"), "{said}");
    let (code, said) = with(None);
    assert!(code == 8 && said.contains("TEST_PASSWORD"), "{code}\n{said}");
    // It opens; the exchange knows no wallet of this key, and nothing leaves.
    let (code, said) = with(Some("testpassword"));
    assert!(code != 0 && !said.contains("wallet.json"), "{code}\n{said}");
    std::fs::write(&path, "{}").unwrap();
    let (code, said) = with(Some("testpassword"));
    assert!(code == 8 && said.contains("wallet.json"), "{code}\n{said}");
    assert_eq!(world.orders(), (0, 0));
}
