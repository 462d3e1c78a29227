//! Errors that end the program, with their exit codes.

use std::process::ExitCode;

use polydesk_settings::Problem;

/// Why the program ends. The codes are documented in the README and in `--help`.
#[derive(Debug)]
pub enum Failure {
    /// Something failed (1).
    Failed(anyhow::Error),
    /// The configuration is wrong (3).
    Config(Vec<Problem>),
    /// The data, or the run's own integrity, cannot be trusted (7).
    Data(anyhow::Error),
}

impl Failure {
    /// Prints the error on standard error and returns the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            // A reader that closed the pipe has seen enough.
            Failure::Failed(error) if broken_pipe(&error) => ExitCode::SUCCESS,
            Failure::Failed(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(1)
            }
            Failure::Config(problems) => {
                eprintln!("error: the configuration has {} mistake(s):", problems.len());
                for problem in problems {
                    eprintln!("  {problem}");
                }
                eprintln!(
                    "`backtest config show --origin` prints every setting and where it comes from"
                );
                ExitCode::from(3)
            }
            Failure::Data(error) => {
                eprintln!("error: {error:#}");
                ExitCode::from(7)
            }
        }
    }
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
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

/// The result of every verb.
pub type Done<T = ()> = Result<T, Failure>;
