//! The project's chores as plain cargo commands: `cargo xtask check`, `cargo xtask layers`.

mod allowed;
mod biased;
mod layers;
mod leaks;
mod lengths;
mod modules;

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let verb = std::env::args().nth(1).unwrap_or_default();
    let done = match verb.as_str() {
        "check" => check(),
        "layers" => layers::check(),
        "secrets" => leaks::check(std::env::args().any(|arg| arg == "--history")),
        _ => {
            eprintln!("usage: cargo xtask check    fmt, clippy, layers and tests, as CI runs them");
            eprintln!(
                "       cargo xtask layers   crates, cycles between modules, long functions, select!"
            );
            eprintln!(
                "       cargo xtask secrets  keys and secrets in the tree, with --history in all commits"
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
    layers::check()?;
    leaks::check(false)?;
    cargo(&["test", "--workspace"])
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
