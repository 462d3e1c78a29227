//! Errors that end the program, with their exit codes.

use std::process::ExitCode;

use polydesk_settings::Problem;

use crate::say::say;

/// Why the program ends. The codes are documented in the README and in `--help`.
#[derive(Debug)]
pub enum Failure {
    /// Something failed (1).
    Failed(anyhow::Error),
    /// The arguments are wrong (2).
    Usage(clap::Error),
    /// The configuration is wrong (3).
    Config(Vec<Problem>),
    /// Another process uses the data folder (4).
    InUse(String),
    /// The journal cannot be read or continued (5).
    Journal(anyhow::Error),
    /// The venue cannot be reached (6).
    Unreachable(String),
    /// The run's own integrity (7).
    Integrity(anyhow::Error),
    /// There is no key, or it does not fit the account (8).
    Key(anyhow::Error),
}

impl Failure {
    /// Prints the error on standard error and returns the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Failure::Failed(error) => {
                say(format_args!("error: {error:#}"));
                ExitCode::from(1)
            }
            Failure::Usage(error) => {
                let _ = error.print();
                ExitCode::from(2)
            }
            Failure::Config(problems) => {
                say(format_args!("error: the configuration has {} mistake(s):", problems.len()));
                for problem in problems {
                    say(format_args!("  {problem}"));
                }
                ExitCode::from(3)
            }
            Failure::InUse(text) => {
                say(format_args!("error: {text}"));
                ExitCode::from(4)
            }
            Failure::Journal(error) => {
                say(format_args!("error: {error:#}"));
                ExitCode::from(5)
            }
            Failure::Unreachable(text) => {
                say(format_args!("error: {text}"));
                ExitCode::from(6)
            }
            Failure::Integrity(error) => {
                say(format_args!("error: {error:#}"));
                ExitCode::from(7)
            }
            Failure::Key(error) => {
                say(format_args!("error: {error:#}"));
                ExitCode::from(8)
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Failed(error.into())
    }
}

/// The result of every step.
pub type Done<T = ()> = Result<T, Failure>;
