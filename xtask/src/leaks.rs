//! No secret stands in the tree or in its history: private keys in PEM, and words for secrets with a value beside them.
//! What the tests use is on a list of published keys.

use std::process::Command;

/// Words beside which a value is a secret.
const WORDS: [&str; 9] = [
    "private_key",
    "privatekey",
    "priv_key",
    "secret_key",
    "api_secret",
    "api_key",
    "mnemonic",
    "passphrase",
    "bot_token",
];

/// Values that are published, or made up for tests: the keys of Anvil's first accounts and of the documentation.
const KNOWN: [&str; 8] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1",
    "4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d",
];

/// Both stand in the first line of a private key.
const PEM: [&str; 2] = [
    "-----BEGIN ",
    "PRIVATE KEY-----", // of its own line, or this file would be found
];

/// Made of published keys: what every signature must be.
const VECTORS: &str = "fixtures/vectors/";

/// Its history has the marks themselves in lines of their own; the file as it is now is scanned like any other.
const SCANNER: &str = "xtask/src/leaks.rs";

/// Where one was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub line: usize,
    pub what: &'static str,
}

/// Secrets in a text.
pub fn scan(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        if PEM.iter().all(|part| line.contains(part)) {
            found.push(Found { line: line_number, what: "a private key in PEM" });
        }
        if let Some(what) = named(line) {
            found.push(Found { line: line_number, what });
        }
    }
    found
}

/// A word for a secret, and after it on the same line a value that could be one.
fn named(line: &str) -> Option<&'static str> {
    let lower = line.to_ascii_lowercase();
    let at = WORDS.iter().filter_map(|word| Some(lower.find(word)? + word.len())).min()?;
    let rest = lower.get(at..)?;
    let is_value = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let values = rest.split(|c: char| !is_value(c)).map(|value| value.trim_start_matches("0x"));
    for value in values {
        if KNOWN.contains(&value) || value.len() < 32 {
            continue;
        }
        let hex = value.len() >= 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        // A base64 text of 32 bytes or more has digits and letters mixed; a name of a test has underscores.
        let digits = value.bytes().filter(u8::is_ascii_digit).count();
        let dense = !value.contains('_') && !value.contains('-') && digits >= 4;
        if hex {
            return Some("a key of 32 bytes");
        }
        if dense && value.len() >= 40 {
            return Some("a long value");
        }
    }
    None
}

/// Scans what git has: the files of the tree, and with `history` every line that was ever added.
pub fn check(history: bool) -> Result<(), String> {
    let mut found = Vec::new();
    let files = git(&["ls-files", "-z"])?;
    let mut looked = 0;
    let own = |path: &&str| !path.is_empty() && !path.starts_with(VECTORS);
    for path in files.split('\0').filter(own) {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        looked += 1;
        found.extend(
            scan(&text).into_iter().map(|one| format!("{path}:{}: {}", one.line, one.what)),
        );
    }
    if history {
        let log = git(&["log", "--all", "-p", "--no-color", "--unified=0", "--format=commit %h"])?;
        let (mut commit, mut path) = ("", "");
        for line in log.lines() {
            if let Some(name) = line.strip_prefix("commit ") {
                commit = name;
            } else if let Some(name) = line.strip_prefix("+++ b/") {
                path = name;
            } else if let Some(added) =
                line.strip_prefix('+').filter(|_| own(&path) && path != SCANNER)
            {
                found.extend(
                    scan(added)
                        .into_iter()
                        .map(|one| format!("commit {commit}, {path}: {}", one.what)),
                );
            }
        }
    }
    found.dedup();
    if found.is_empty() {
        println!(
            "secrets: none in {looked} files{}",
            if history { " and their history" } else { "" }
        );
        return Ok(());
    }
    Err(format!("secrets stand in the repository:\n  {}", found.join("\n  ")))
}

fn git(args: &[&str]) -> Result<String, String> {
    let out = Command::new("git").args(args).output().map_err(|error| format!("git: {error}"))?;
    if !out.status.success() {
        return Err(format!("git {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr)));
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x11_what_is_planted_is_found_and_what_tests_use_is_not() {
        let key = "1f".repeat(32);
        let pem = format!("{}EC {}", PEM[0], PEM[1]);
        let long = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80=";
        for planted in [
            format!("PRIVATE_KEY=0x{key}"),
            format!("    private_key: \"{key}\","),
            format!("POLY_API_SECRET = \"{long}\""),
            format!("export PASSPHRASE={key}"),
            format!("{{\"mnemonic\": \"{long}\"}}"),
            pem,
        ] {
            assert_eq!(scan(&format!("a line\n{planted}\n")).len(), 1, "{planted}");
        }
        for fine in [
            format!("hash = \"0x{key}\""),
            format!("private_key = \"0x{}\"", KNOWN[0]),
            "fn private_key_of_a_file_that_others_can_read_is_refused() {}".to_owned(),
            "passphrase = \"test\"".to_owned(),
            "the API key is in credentials".to_owned(),
        ] {
            assert_eq!(scan(&fine), [], "{fine}");
        }
    }
}
