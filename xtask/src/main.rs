//! The project's chores as plain cargo commands: `cargo xtask check`, `cargo xtask layers`.

use std::process::{Command, ExitCode};

/// Which of our crates each crate may use in a normal build. What is absent matters most.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("signals", &["domain"]),
    ("strategies", &["domain", "signals"]),
    ("execution", &["domain", "signals"]),
    ("engine", &["domain", "signals", "strategies", "execution"]),
    ("sim", &["domain"]),
    ("tape", &["domain"]),
    ("report", &["domain"]),
    ("replay", &["domain", "signals", "execution", "engine", "sim", "tape"]),
    ("settings", &["domain", "execution", "sim", "strategies"]),
    ("polymarket-api", &["domain"]),
    // Its own wire types: sharing the client's would hide a shared mistake.
    ("local-exchange", &["domain", "sim", "tape"]),
];

/// Crates that may neither wait nor talk: nothing of the kind in their whole normal tree.
const PURE: &[&str] =
    &["domain", "signals", "strategies", "execution", "engine", "sim", "replay", "report"];

/// What waits, talks or keeps a database.
const WAITING: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "hyper",
    "reqwest",
    "ureq",
    "h2",
    "rustls",
    "diesel",
    "rusqlite",
    "libsqlite3-sys",
    "tokio-postgres",
    "redis",
    "alloy",
    "frankenstein",
];

/// What could sign: absent where the feature `signer` is off.
const SIGNING: &[&str] = &["alloy", "alloy-signer-local", "secp256k1", "k256", "eth-keystore"];

/// A second TLS stack: refused in any tree.
const SECOND_TLS: &[&str] =
    &["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls", "pq-sys", "boring-sys"];

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let done = match verb.as_str() {
        "check" => check(),
        "layers" => layers(),
        _ => {
            eprintln!("usage: cargo xtask check    fmt, clippy, layers and tests, as CI runs them");
            eprintln!(
                "       cargo xtask layers   which crate uses which, and no second TLS stack"
            );
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    layers()?;
    cargo(&["test", "--workspace"])
}

/// Proves the arrows of ARCHITECTURE.md on the resolved trees.
fn layers() -> Result<(), String> {
    let mut broken = Vec::new();
    for (name, allowed) in ARROWS {
        for used in tree(&format!("polydesk-{name}"), &["--depth", "1"])? {
            let Some(ours) = used.strip_prefix("polydesk-") else { continue };
            if ours != *name && !allowed.contains(&ours) {
                broken.push(format!("{name} uses {ours}; it may use {allowed:?}"));
            }
        }
    }
    for name in PURE {
        for used in tree(&format!("polydesk-{name}"), &[])? {
            if WAITING.contains(&used.as_str()) {
                broken
                    .push(format!("{name} has {used} in its tree; it must neither wait nor talk"));
            }
        }
    }
    for used in tree("backtest", &[])? {
        if WAITING.contains(&used.as_str()) {
            broken.push(format!(
                "bins/backtest has {used} in its tree; a newcomer's first build needs none"
            ));
        }
    }
    for used in tree("polydesk-polymarket-api", &["--no-default-features"])? {
        if SIGNING.contains(&used.as_str()) {
            broken.push(format!(
                "polymarket-api without `signer` has {used} in its tree; such a process must be unable to sign"
            ));
        }
    }
    let whole =
        output(&["tree", "--workspace", "-e", "normal", "--prefix", "none", "--no-dedupe"])?;
    for used in names(&whole) {
        if SECOND_TLS.contains(&used.as_str()) {
            broken.push(format!("{used} is a second TLS stack"));
        }
    }
    let listed =
        output(&["tree", "--workspace", "-e", "normal", "--prefix", "none", "--depth", "0"])?;
    for member in names(&listed) {
        let known = member
            .strip_prefix("polydesk-")
            .map(|name| ARROWS.iter().any(|(known, _)| *known == name));
        if known == Some(false) {
            broken.push(format!("{member} has no line in xtask's ARROWS"));
        }
    }
    if broken.is_empty() {
        println!("layers: {} crates keep to their arrows", ARROWS.len());
        return Ok(());
    }
    broken.sort();
    broken.dedup();
    Err(format!("the layering is broken:\n  {}", broken.join("\n  ")))
}

/// Names of the crates in a package's normal dependency tree, itself included.
fn tree(package: &str, more: &[&str]) -> Result<Vec<String>, String> {
    let mut args = vec!["tree", "-p", package, "-e", "normal", "--prefix", "none", "--no-dedupe"];
    args.extend(more);
    Ok(names(&output(&args)?))
}

fn names(tree: &str) -> Vec<String> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

fn output(args: &[&str]) -> Result<String, String> {
    let out = Command::new(env!("CARGO")).args(args).output().map_err(|error| error.to_string())?;
    if !out.status.success() {
        return Err(format!(
            "cargo {} failed:\n{}",
            args.join(" "),
            String::from_utf8_lossy(&out.stderr)
        ));
    }
    String::from_utf8(out.stdout).map_err(|error| error.to_string())
}

fn cargo(args: &[&str]) -> Result<(), String> {
    println!("cargo {}", args.join(" "));
    let status =
        Command::new(env!("CARGO")).args(args).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", args.join(" "))) }
}
