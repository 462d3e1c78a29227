//! `exchange`: Polymarket on loopback. Prints its URLs and test credentials, and serves until ctrl-c.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::task::Poll;

use anyhow::Context as _;
use clap::Parser;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{
    LimitSetup, LocalExchange, Ports, Running, Scenario, Setup, TapeSetup, market_file,
};
use serde_json::json;

/// A local Polymarket: matching engine or recorded history behind the venue's own wire.
///
/// The keys it prints are the public development keys; they hold nothing anywhere else.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
    exchange                                        seven demo markets with counterparties (docs/demo.md)\n  \
    exchange --no-counterparties                    the same with quotes that stand still\n  \
    exchange --scenario fixtures/scenarios/answers.toml\n  \
    exchange --tape fixtures/tapes/nhl-2026-06-07 --speed 10\n  \
    exchange --json --clob-port 8080\n  \
    exchange --json --until-stdin-closes            as a child: ends with its parent, also after kill -9"
)]
struct Cli {
    /// Recorded history as the other traders: a tape's folder.
    #[arg(long)]
    tape: Option<PathBuf>,
    /// Faults to pull (docs/scenarios.md).
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// Markets to list instead of the demo ones (docs/scenarios.md, "Market files").
    #[arg(long, conflicts_with = "tape")]
    market_file: Option<PathBuf>,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds of the tape in a second.
    #[arg(long, default_value = "1", requires = "tape", value_parser = speed)]
    speed: u32,
    /// Empty books instead of seeded quotes.
    #[arg(long)]
    empty: bool,
    /// Quotes that stand still: nobody else trades, and no market ends.
    #[arg(long)]
    no_counterparties: bool,
    /// No rate limits.
    #[arg(long)]
    no_limits: bool,
    /// Port of the CLOB; 0 takes a free one, as for all others.
    #[arg(long, default_value_t = 0)]
    clob_port: u16,
    /// Port of Gamma.
    #[arg(long, default_value_t = 0)]
    gamma_port: u16,
    /// Port of the Data API.
    #[arg(long, default_value_t = 0)]
    data_port: u16,
    /// Port of PolyBolt.
    #[arg(long, default_value_t = 0)]
    polybolt_port: u16,
    /// Port of RTDS.
    #[arg(long, default_value_t = 0)]
    rtds_port: u16,
    /// Port of the relayer and geoblock.
    #[arg(long, default_value_t = 0)]
    relayer_port: u16,
    /// Port of the chain's first JSON-RPC node.
    #[arg(long, default_value_t = 0)]
    rpc0_port: u16,
    /// Port of the second one.
    #[arg(long, default_value_t = 0)]
    rpc1_port: u16,
    /// One line of JSON instead of text. It is written when every URL in it is open.
    #[arg(long)]
    json: bool,
    /// Ends, with exit code 0, when standard input is closed. Started with a pipe there, the exchange ends
    /// with its parent, however the parent ends. What is written to the pipe is ignored.
    #[arg(long)]
    until_stdin_closes: bool,
}

/// Reads a speed in thousandths.
fn speed(text: &str) -> Result<u32, String> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let rest = format!("{rest:0<3}");
    let digits = rest.get(..3).filter(|_| rest.len() == 3).unwrap_or("x");
    let parsed = whole.parse::<u32>().ok().zip(digits.parse::<u32>().ok());
    parsed
        .and_then(|(whole, rest)| whole.checked_mul(1_000)?.checked_add(rest))
        .filter(|speed| *speed > 0)
        .ok_or_else(|| "a speed is a number above 0 with at most 3 decimals".to_owned())
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match serve(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn setup(cli: &Cli) -> anyhow::Result<Setup> {
    let mut setup = Setup {
        seed: cli.seed,
        liquidity: !cli.empty,
        counterparties: !cli.no_counterparties,
        ports: Ports {
            clob: cli.clob_port,
            gamma: cli.gamma_port,
            data: cli.data_port,
            polybolt: cli.polybolt_port,
            rtds: cli.rtds_port,
            relayer: cli.relayer_port,
            rpc: [cli.rpc0_port, cli.rpc1_port],
        },
        ..Setup::default()
    };
    if let Some(path) = &cli.scenario {
        setup.scenario = Scenario::read(path)?;
    }
    if let Some(path) = &cli.market_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the market file {} cannot be read", path.display()))?;
        setup.markets = market_file(&text).with_context(|| path.display().to_string())?;
    }
    if cli.no_limits {
        setup.limits = LimitSetup::lenient();
    }
    if let Some(dir) = &cli.tape {
        setup.tape = Some(TapeSetup::new(dir.clone(), cli.speed));
        // Clients live in another time than the tape.
        setup.rules.auth_tolerance = None;
    }
    Ok(setup)
}

fn serve(cli: &Cli) -> anyhow::Result<()> {
    let setup = setup(cli)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let running = LocalExchange::start(setup).await?;
        // The first poll installs the handler: whoever reads the line below may interrupt at once.
        let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
        let early = std::future::poll_fn(|context| Poll::Ready(interrupt.as_mut().poll(context)));
        let mut interrupted = match early.await {
            Poll::Ready(interrupted) => Some(interrupted),
            Poll::Pending => None,
        };
        if cli.json {
            print_line(&as_json(&running)).context("the line of JSON cannot be written")?;
        } else {
            print_text(&running);
        }
        let closed = async {
            match cli.until_stdin_closes {
                true => stdin_closed().await,
                false => std::future::pending().await,
            }
        };
        if interrupted.is_none() {
            tokio::select! {
                biased;
                () = closed => {}
                result = interrupt => interrupted = Some(result),
            }
        }
        interrupted.transpose().context("cannot wait for ctrl-c")?;
        let sound = running.check();
        running.shutdown().await;
        sound.map_err(|rule| anyhow::anyhow!("the exchange's books are broken: {rule}"))
    })
}

/// Writes one line at once: a parent waits for it, and a closed pipe is an error instead of a panic.
fn print_line(value: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{value}")?;
    out.flush()
}

/// Waits until standard input is closed or broken. On a thread of its own, because a blocking read cannot be
/// cancelled: one of the runtime's would keep the runtime from ending after ctrl-c.
async fn stdin_closed() {
    let (closed, waits) = tokio::sync::oneshot::channel();
    let reads = std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let ended = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        if let Err(error) = ended {
            tracing::warn!(%error, "standard input cannot be read; taken as closed");
        }
        let _ = closed.send(());
    });
    if let Err(error) = reads {
        tracing::error!(%error, "standard input cannot be watched; taken as closed");
        return;
    }
    let _ = waits.await;
}

fn kind(kind: WalletKind) -> &'static str {
    match kind {
        WalletKind::Eoa => "eoa",
        WalletKind::Proxy => "proxy",
        WalletKind::Safe => "safe",
        WalletKind::DepositUups => "deposit_uups",
        WalletKind::Deposit => "deposit",
    }
}

fn as_json(running: &Running) -> serde_json::Value {
    let urls = running.urls();
    let accounts = running.accounts().iter().enumerate().map(|(index, account)| {
        let wallets: serde_json::Map<String, serde_json::Value> = account
            .wallets
            .iter()
            .map(|(of, address)| (kind(*of).to_owned(), json!(address.to_string())))
            .collect();
        json!({
            "private_key": TEST_KEYS[index],
            "address": account.owner.to_string(),
            "api_key": account.credentials.as_ref().map(|c| c.key.to_string()),
            "secret": account.credentials.as_ref().map(|c| c.secret.clone()),
            "passphrase": account.credentials.as_ref().map(|c| c.passphrase.clone()),
            "wallets": wallets,
        })
    });
    let accounts: Vec<_> = accounts.collect();
    let markets = running.venue(|venue| {
        let views = venue.market_views();
        let rows = views.iter().map(|view| {
            let market = &view.listing.market;
            json!({
                "slug": market.slug, "condition_id": market.condition.to_string(),
                "tokens": market.tokens.map(|token| token.to_string()),
                "neg_risk": market.neg_risk.is_some(), "tick": market.tick.to_string(),
            })
        });
        rows.collect::<Vec<_>>()
    });
    json!({
        "urls": {
            "clob": urls.clob, "market_socket": urls.market_socket,
            "user_socket": urls.user_socket, "gamma": urls.gamma, "data": urls.data,
            "polybolt": urls.polybolt, "rtds": urls.rtds, "relayer": urls.relayer,
            "geoblock": urls.geoblock, "rpc": urls.rpc,
        },
        "chain_id": running.venue(|venue| venue.chain_id()),
        "accounts": accounts,
        "markets": markets,
    })
}

fn print_text(running: &Running) {
    let urls = running.urls();
    println!("CLOB           {}", urls.clob);
    println!("market socket  {}", urls.market_socket);
    println!("user socket    {}", urls.user_socket);
    println!("Gamma          {}", urls.gamma);
    println!("Data API       {}", urls.data);
    println!("PolyBolt       {}", urls.polybolt);
    println!("RTDS           {}", urls.rtds);
    println!("relayer        {}", urls.relayer);
    println!("geoblock       {}", urls.geoblock);
    println!("chain RPC      {}", urls.rpc[0]);
    println!("chain RPC      {}", urls.rpc[1]);
    println!();
    for (index, account) in running.accounts().iter().enumerate() {
        println!("account {index}      {} (public test key, never fund it)", account.owner);
        println!("  private key  {}", TEST_KEYS[index]);
        if let Some(credentials) = &account.credentials {
            println!("  API key      {}", credentials.key);
            println!("  secret       {}", credentials.secret);
            println!("  passphrase   {}", credentials.passphrase);
        }
        for (of, address) in &account.wallets {
            println!("  {:<12} {address}", kind(*of));
        }
    }
    println!();
    for view in running.venue(|venue| venue.market_views()) {
        let market = &view.listing.market;
        println!("market         {} {}", market.slug, market.condition);
        for (label, token) in market.labels.iter().zip(market.tokens) {
            println!("  {label:<12} {token}");
        }
    }
    println!();
    println!("ctrl-c stops it");
}
