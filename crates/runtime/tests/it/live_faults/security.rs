//! X: security.

use polydesk_domain::Outcome;
use polydesk_journal::Disk;
use polydesk_local_exchange::wallets::TEST_KEYS;

use super::scene::{RAIN, Scene, bid, scenario};
use crate::world::pass;

/// A secret as text, as hex of its text, and its first and last halves.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let half = secret.len() / 2;
    vec![secret.to_owned(), hex, secret[..half].to_owned(), secret[half..].to_owned()]
}

#[test]
fn x4_no_secret_is_in_the_journal_or_in_what_is_shown() {
    scenario(|seed| async move {
        let mut scene = Scene::new(seed);
        scene.fault(
            "[[answers]]\nendpoint = \"POST /order\"\ncalls = \"1\"\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"POST /order\"\ncalls = \"2\"\nstatus = 401\nbody = \"{\\\"error\\\":\\\"Unauthorized/Invalid api key\\\"}\"\n[[answers]]\nendpoint = \"POST /order\"\ncalls = \"3\"\nstatus = 400\nbody = \"{\\\"error\\\":\\\"invalid signature\\\"}\"\n[[answers]]\nendpoint = \"DELETE *\"\ncalls = \"1\"\nact = \"lose_answer\"\n",
        );
        let live = scene.ready().await;
        for cents in 10..16 {
            scene.want(&live, bid(cents, 10)).await;
            pass(3).await;
        }
        let want = scene.take(RAIN, Outcome::Yes, 10);
        scene.want(&live, want).await;
        pass(30).await;
        let glance = serde_json::to_string(&live.glance().unwrap()).unwrap();
        let ended = format!("{:?}", live.stop().await);
        let theirs = scene.desk.world.exchange.accounts()[0].credentials.clone().unwrap();
        let key = TEST_KEYS[0].trim_start_matches("0x").to_owned();
        let mut shown = vec![glance.into_bytes(), ended.into_bytes()];
        for folder in ["", "records"] {
            for (name, _) in scene.disk.list(folder).unwrap() {
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                shown.extend(scene.disk.read(&name));
            }
        }
        assert!(shown.len() > 4, "nothing was looked at");
        for secret in [theirs.secret, theirs.passphrase, key] {
            for form in forms(&secret) {
                for bytes in &shown {
                    let found = bytes.windows(form.len()).any(|part| part == form.as_bytes());
                    assert!(!found, "a secret is shown");
                }
            }
        }
    });
}
