//! The local exchange as a child process. It ends with this process, also after kill -9: it serves until its
//! standard input closes.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

use polydesk_program::{Done, say};

/// A running child.
pub struct Local {
    child: Child,
    /// Where it listens.
    pub urls: Urls,
}

/// The addresses that are used here.
#[derive(Debug, Clone, Deserialize)]
pub struct Urls {
    /// CLOB REST.
    pub clob: String,
    /// Gamma.
    pub gamma: String,
    /// Market socket.
    pub market_socket: String,
}

#[derive(Deserialize)]
struct Line {
    urls: Urls,
}

impl Local {
    /// Starts the exchange, after building it where `cargo run` started this program.
    ///
    /// # Errors
    /// It is not there, or does not start; the text names the command that mends it.
    pub fn start(tape: Option<&Path>, seed: u64) -> Done<Local> {
        let program = program()?;
        let mut command = Command::new(&program);
        command
            .args(["--json", "--until-stdin-closes", "--no-limits", "--seed"])
            .arg(seed.to_string());
        if let Some(tape) = tape {
            command.arg("--tape").arg(tape);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("{} cannot be started", program.display()))?;
        let line = read_line(&mut child).and_then(|line| {
            serde_json::from_str::<Line>(&line).context("its first line is not what was expected")
        });
        match line {
            Ok(Line { urls }) => Ok(Local { child, urls }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.context("the local exchange did not start").into())
            }
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // Closing its input ends it; what does not end by itself is ended.
        drop(self.child.stdin.take());
        for _ in 0..50 {
            match self.child.try_wait() {
                Ok(None) => pause(),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "the program ends: nothing else runs here")]
fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

fn read_line(child: &mut Child) -> anyhow::Result<String> {
    let output = child.stdout.take().context("its output cannot be read")?;
    let mut line = String::new();
    let mut output = BufReader::new(output);
    output.read_line(&mut line)?;
    if line.is_empty() {
        bail!("it ended without a word; its error stands above");
    }
    // Read to the end on a thread of its own, so that a full pipe never holds it up.
    std::thread::Builder::new()
        .name("exchange-output".into())
        .spawn(move || drop(std::io::copy(&mut output, &mut std::io::sink())))?;
    Ok(line)
}

/// The exchange's program: beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("the place of this program is unknown")?;
    let folder = own.parent().context("this program stands in no folder")?;
    let name = format!("exchange{}", std::env::consts::EXE_SUFFIX);
    // Tests run from a folder below the programs.
    let beside = match folder.file_name() {
        Some(last) if last == "deps" => folder.parent().unwrap_or(folder).join(&name),
        _ => folder.join(&name),
    };
    if let Some(cargo) = std::env::var_os("CARGO") {
        build(&cargo, folder)?;
    }
    if beside.exists() {
        return Ok(beside);
    }
    let release = if folder.ends_with("release") { " --release" } else { "" };
    bail!("{} is missing: build it with `cargo build{release} --bin exchange`", beside.display())
}

/// Under `cargo run` the exchange is built in the same profile, and with the same features: `-p` would choose others
/// and build the whole tree again.
fn build(cargo: &std::ffi::OsStr, folder: &Path) -> anyhow::Result<()> {
    say(format_args!("building the local exchange (cargo build --bin exchange) …"));
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--bin", "exchange"]);
    if folder.ends_with("release") {
        command.arg("--release");
    }
    if let Some(target) = folder.parent() {
        command.arg("--target-dir").arg(target);
    }
    if let Some(manifest) = std::env::var_os("CARGO_MANIFEST_DIR") {
        command.arg("--manifest-path").arg(Path::new(&manifest).join("../../Cargo.toml"));
    }
    let status = command.stdin(Stdio::null()).status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("the local exchange could not be built: `cargo build --bin exchange` says why");
    }
    Ok(())
}
