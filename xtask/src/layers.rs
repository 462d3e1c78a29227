//! Which crate uses which, and what holds inside each of them: cycles between module files, long functions,
//! `select!`s in a fixed order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::modules::{self, Graph, Modules};
use crate::{allowed, biased, lengths, output};

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
    // Bytes under (table, key): the engine's types may change without it.
    ("journal", &[]),
    (
        "replay",
        &["domain", "signals", "strategies", "execution", "engine", "report", "sim", "tape"],
    ),
    ("settings", &["domain", "execution", "sim", "strategies"]),
    ("polymarket-api", &["domain"]),
    // Keys and money: the programs that trade with real money have it, and no others.
    ("polymarket-wallet", &["domain", "polymarket-api"]),
    // Of the client it takes the rows and errors; the engine's state comes to it as a view.
    ("gateway", &["domain", "polymarket-api"]),
    (
        "runtime",
        &[
            "domain",
            "strategies",
            "execution",
            "engine",
            "sim",
            "replay",
            "journal",
            "settings",
            "signals",
            "tape",
            "polymarket-api",
            "gateway",
        ],
    ),
    // What a program with a key adds to it.
    (
        "account",
        &[
            "domain",
            "gateway",
            "polymarket-api",
            "polymarket-wallet",
            "program",
            "runtime",
            "settings",
        ],
    ),
    // Around the mains of programs that trade.
    ("program", &["domain", "runtime", "settings"]),
    // Its own wire types: sharing the client's would hide a shared mistake.
    ("local-exchange", &["domain", "sim", "tape"]),
];

/// Crates that may neither wait nor talk: nothing of the kind in their whole normal tree.
const PURE: &[&str] = &[
    "domain",
    "signals",
    "strategies",
    "execution",
    "engine",
    "sim",
    "replay",
    "report",
    "journal",
];

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

/// What could sign: only in the trees that contain `polymarket-wallet`.
const SIGNING: &[&str] = &["alloy", "alloy-signer-local", "secp256k1", "k256", "eth-keystore"];

/// A second TLS stack: refused in any tree.
const SECOND_TLS: &[&str] =
    &["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls", "pq-sys", "boring-sys"];

/// Everything `cargo xtask layers` checks.
pub fn check() -> Result<(), String> {
    let mut broken = arrows()?;
    broken.extend(inside_crates()?);
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!("the layering is broken:\n  {}", broken.join("\n  ")))
}

/// Proves the arrows of ARCHITECTURE.md on the resolved trees.
fn arrows() -> Result<Vec<String>, String> {
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
    for program in ["paper"] {
        for used in tree(program, &[])? {
            if SIGNING.contains(&used.as_str()) {
                broken.push(format!(
                    "bins/{program} has {used} in its tree; it must be unable to sign"
                ));
            }
        }
    }
    for used in tree("polydesk-polymarket-api", &[])? {
        if SIGNING.contains(&used.as_str()) {
            broken.push(format!(
                "polymarket-api has {used} in its tree; what signs belongs to polymarket-wallet"
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
    }
    broken.sort();
    broken.dedup();
    Ok(broken)
}

/// Cycles between the module files of each crate, functions that are too long, and `select!`s that are not biased.
fn inside_crates() -> Result<Vec<String>, String> {
    let mut broken = Vec::new();
    let mut cycles = Vec::new();
    let mut long = Vec::new();
    let mut folders = BTreeSet::new();
    for package in packages()? {
        broken.extend(biased::check(&package.workspace, &package.folder)?);
        let mut graphs = Vec::new();
        for root in &package.roots {
            let source = package.source.clone();
            let modules = Modules::read(root, &|file| fs::read_to_string(source.join(file)).ok())
                .map_err(|error| format!("{}/{error}", package.folder))?;
            if allowed::SHORT_FUNCTIONS.contains(&package.folder.as_str()) {
                long.extend(lengths::long_functions(&format!("{}/src", package.folder), &modules));
            }
            graphs.push(Graph::new(&modules));
        }
        for graph in &graphs {
            for cycle in graph.cycles() {
                cycles.push(format!("  {}: {}", package.folder, graph.names(&cycle).join(", ")));
            }
        }
        broken.extend(modules::compare(&package.folder, &graphs, allowed::CYCLES));
        folders.insert(package.folder);
    }
    for (folder, _) in allowed::CYCLES {
        if !folders.contains(*folder) {
            broken.push(format!("xtask's list of cycles names {folder}, which is no crate"));
        }
    }
    broken.extend(lengths::compare(&long, allowed::LONG_FUNCTIONS));
    println!("cycles between module files: {}", cycles.len());
    for cycle in cycles {
        println!("{cycle}");
    }
    println!("functions of more than {} lines: {}", lengths::MOST, long.len());
    for long in long {
        println!("  {}: {} lines", long.name, long.lines);
    }
    Ok(broken)
}

/// A crate under `crates/` or `bins/`.
struct Package {
    /// The workspace's folder.
    workspace: PathBuf,
    /// As in `crates/sim`.
    folder: String,
    source: PathBuf,
    /// Root files of its library and programs, below `source`.
    roots: Vec<String>,
}

fn packages() -> Result<Vec<Package>, String> {
    let text = output(&["metadata", "--no-deps", "--format-version", "1"])?;
    let all: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let workspace = PathBuf::from(all["workspace_root"].as_str().unwrap_or_default());
    let mut found = Vec::new();
    for package in all["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let Some(root) = manifest.parent() else { continue };
        let folder = root.strip_prefix(&workspace).unwrap_or(root).to_string_lossy().into_owned();
        if !folder.starts_with("crates/") && !folder.starts_with("bins/") {
            continue;
        }
        let source = root.join("src");
        let roots = package["targets"].as_array().into_iter().flatten().filter_map(|target| {
            let ours = |kind: &Value| ["lib", "bin"].iter().any(|ours| kind == ours);
            target["kind"].as_array()?.iter().any(ours).then_some(())?;
            let file = Path::new(target["src_path"].as_str()?).strip_prefix(&source).ok()?;
            Some(file.to_string_lossy().into_owned())
        });
        let roots = roots.collect();
        found.push(Package { workspace: workspace.clone(), folder, source, roots });
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(found)
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
