//! What needs the account: balance, approvals, and the account's part of the doctor.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use polydesk_account::{Opened, access, opened};
use polydesk_polymarket_api::clob::request::Asset;
use polydesk_polymarket_api::{Http, HttpConfig, ServerClock};
use polydesk_polymarket_wallet::chain::{Allowance, ApprovalPlan, Rpc, RpcConfig, Scope};
use polydesk_polymarket_wallet::signing::{Address, Chain};
use polydesk_program::{Failure, Folder, layers};
use polydesk_runtime::assembly::Venue;
use polydesk_runtime::credentials;
use polydesk_runtime::kill::client::client;
use polydesk_runtime::start::Check;
use polydesk_settings::Settings;

use crate::say::{complain, say};

/// Where the configuration of the process is.
#[derive(Debug, Args)]
pub struct Configured {
    /// A configuration file of the process; several are layered, the last wins.
    #[arg(short, long = "config", value_name = "FILE")]
    configs: Vec<PathBuf>,
}

/// Arguments of `desk approve`.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    configured: Configured,
    /// Send what is missing. Without it the calls are shown and tried on the node, and nothing is signed.
    #[arg(long)]
    yes: bool,
    /// How much pUSD each contract may take in all; renewed when less than a tenth is left. Without it ten times
    /// live.capital_cap_usd: money comes back and is spent again.
    #[arg(long, value_name = "USD", conflicts_with = "unlimited")]
    cap: Option<u64>,
    /// Allow any amount.
    #[arg(long)]
    unlimited: bool,
}

/// What is allowed without `--cap`, in capital caps.
const TURNS: u64 = 10;

impl Approve {
    fn allowance(&self, settings: &Settings) -> anyhow::Result<Allowance> {
        let number = polydesk_polymarket_wallet::signing::U256::from;
        let usd = match self.cap {
            _ if self.unlimited => return Ok(Allowance::Unlimited),
            Some(0) => bail!("--cap is 0: name pUSD above 0, or --unlimited for any amount"),
            Some(usd) => u128::from(usd) * 1_000_000,
            None => {
                let capital = u64::try_from(settings.runtime.live.capital_cap_usd.micros());
                u128::from(capital.unwrap_or(0)) * u128::from(TURNS)
            }
        };
        if usd == 0 {
            bail!(
                "live.capital_cap_usd is 0, and it says how much the contracts may take: set it, or name --cap USD, or --unlimited for any amount"
            );
        }
        Ok(Allowance::Capped { cap: number(usd), renew_below: number(usd / 10) })
    }
}

impl Configured {
    /// Whether a configuration was named.
    pub fn is_given(&self) -> bool {
        !self.configs.is_empty()
    }
}

fn settings(configured: &Configured) -> anyhow::Result<Settings> {
    layers::read(&configured.configs, Vec::new(), Vec::new()).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        anyhow!("the configuration has mistakes:\n  {}", lines.join("\n  "))
    })
}

fn plain(failure: Failure) -> anyhow::Error {
    match failure {
        Failure::Failed(error)
        | Failure::Journal(error)
        | Failure::Integrity(error)
        | Failure::Key(error) => error,
        Failure::InUse(text) | Failure::Unreachable(text) => anyhow!(text),
        Failure::Usage(error) => error.into(),
        Failure::Config(problems) => {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow!(lines.join("\n"))
        }
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // A lookup of a name may still be waiting on its thread.
    runtime.shutdown_timeout(std::time::Duration::from_millis(100));
    done
}

/// What the wallet holds on the chain, and what the venue has in its copy. It needs no key: the address is in the data
/// folder's credentials.
///
/// # Errors
/// There are no credentials yet, or no node answers.
pub fn balance(data: &Path, configured: &Configured) -> anyhow::Result<ExitCode> {
    let settings = settings(configured)?;
    let (endpoints, _) = access::endpoints(&settings).map_err(plain)?;
    let found = credentials::read(data).context(
        "the wallet's address is in the credentials, which live writes at its first start",
    )?;
    block_on(async {
        let clock = ServerClock::system();
        let chain = Chain::polygon();
        let wallet: Address = found.funder.parse().context("credentials: funder")?;
        let http = Http::new(HttpConfig::default(), &endpoints)?;
        let rpc = Rpc::new(&http, &endpoints.rpc, &chain, clock.clone(), RpcConfig::default())
            .context("live.rpc")?;
        let snapshot = rpc.snapshot(&chain).await?;
        let dollars = |amount: polydesk_polymarket_wallet::signing::U256| {
            let micros = i64::try_from(amount).unwrap_or(i64::MAX);
            polydesk_domain::Usdc::new(micros)
        };
        say(&format!("wallet {wallet}, block {}", snapshot.at().number))?;
        say(&format!("pUSD          {}", dollars(snapshot.collateral(wallet).await?)))?;
        say(&format!(
            "USDC.e        {}  (buys nothing until it is converted)",
            dollars(snapshot.usdc_e(wallet).await?)
        ))?;
        let clob = client(&endpoints.clob, &found, Default::default(), clock)?;
        match clob.balance_allowance(Asset::Collateral).await {
            Ok(answer) => {
                let there = answer.balance.trunc() / rust_decimal::Decimal::from(1_000_000);
                say(&format!("venue's copy  {there}"))?;
            }
            Err(error) => complain(&format!("the venue's copy cannot be read: {error}")),
        }
        if rpc.single() {
            say("one node only: name a second one in live.rpc, and the two are compared")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Opens the account as live does.
async fn open(settings: &Settings, data: &Path) -> anyhow::Result<Opened> {
    let (endpoints, _) = access::endpoints(settings).map_err(plain)?;
    let key = access::key(&settings.runtime.live).map_err(plain)?;
    let clock = ServerClock::system();
    let venue = Venue::connect(&endpoints, clock, true)?;
    venue.clob.sync_clock().await.context("the venue's clock cannot be read")?;
    opened::open(settings, &venue, data, &endpoints, Arc::new(key)).await.map_err(plain)
}

/// The account's checks.
pub fn checks(data: &Path, configured: &Configured) -> Vec<Check> {
    let fix = "the message says what to do; `live --config … --check` makes the same checks";
    let made = settings(configured).and_then(|settings| block_on(open(&settings, data)));
    match made {
        Ok(opened) => {
            let text = format!("{} with {}", opened.key.address(), wallet(&opened));
            let mut checks = vec![Check::good("key", text)];
            checks.extend(opened.checks);
            checks
        }
        Err(error) => vec![Check::bad("account", format!("{error:#}"), fix)],
    }
}

fn wallet(opened: &Opened) -> String {
    format!("wallet {} (type {})", opened.funder, opened.wallet.signature_type())
}

/// Shows what is missing, and sends it where that is asked for.
///
/// # Errors
/// The account cannot be opened, another process holds the folder, or a call does not succeed.
pub fn approve(data: &Path, args: &Approve) -> anyhow::Result<ExitCode> {
    let settings = settings(&args.configured)?;
    let allowance = args.allowance(&settings)?;
    // What signs needs the folder: two senders of one wallet would use one nonce.
    let folder = Folder::open(data.to_owned()).map_err(plain)?;
    block_on(async {
        let opened = open(&settings, folder.path()).await?;
        let snapshot = opened.rpc.snapshot(&opened.chain).await?;
        let plan =
            ApprovalPlan::needed(&snapshot, opened.funder, Scope::Trading, allowance).await?;
        say(plan.to_string().trim_end())?;
        if plan.is_complete() {
            return Ok(ExitCode::SUCCESS);
        }
        let mut bad = 0;
        for (step, tried) in plan.steps.iter().zip(plan.simulate(&snapshot).await) {
            if let Err(error) = tried {
                bad += 1;
                complain(&format!("{}: {error}", step.need));
            }
        }
        if bad > 0 {
            bail!("{bad} of {} calls would fail: nothing was sent", plan.steps.len());
        }
        if !args.yes {
            say("every call would succeed; nothing was sent. desk approve --yes sends them")?;
            return Ok(ExitCode::SUCCESS);
        }
        let sender = opened.sender(&settings.runtime.live, folder.path()).await.map_err(plain)?;
        let done = sender.execute(&plan.calls(), "approvals").await;
        let done = done.map_err(|error| {
            let sent = error.done.len();
            anyhow::Error::from(error).context(format!("{sent} calls were done before"))
        })?;
        say(&format!("sent: {done:?}"))?;
        // The venue keeps a copy, which it reads again when it is asked to.
        opened.clob.update_balance_allowance(Asset::Collateral).await?;
        Ok(ExitCode::SUCCESS)
    })
}
