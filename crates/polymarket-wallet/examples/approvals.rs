//! Which approvals a wallet still needs: prints the plan and simulates it. Sends nothing, needs no key.
//!
//!     cargo run -p polydesk-polymarket-api --example approvals -- <rpc>[,<rpc>] <address> [trading|both|full] [cap]
//!
//! `cap` limits each pUSD allowance, in whole dollars.

use polydesk_polymarket_api::{Endpoints, Http, HttpConfig, ServerClock};
use polydesk_polymarket_wallet::chain::{Allowance, ApprovalPlan, Rpc, RpcConfig, Scope};
use polydesk_polymarket_wallet::signing::{Address, Chain, U256};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    match run().await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rpc, address, rest @ ..] = arguments.as_slice() else {
        return Err("usage: approvals <rpc>[,<rpc>] <address> [trading|both|full] [cap]".into());
    };
    let wallet: Address = address.parse().map_err(|_| format!("{address} is no address"))?;
    let scope = match rest.first().map(String::as_str) {
        None | Some("trading") => Scope::Trading,
        Some("both") => Scope::TradingBoth,
        Some("full") => Scope::Full,
        Some(other) => return Err(format!("{other:?} is no scope: trading, both or full").into()),
    };
    let allowance = match rest.get(1) {
        None => Allowance::Unlimited,
        Some(dollars) => {
            let dollars: u64 = dollars.parse().map_err(|_| "the cap is whole dollars")?;
            let cap = U256::from(dollars) * U256::from(1_000_000);
            Allowance::Capped { cap, renew_below: cap / U256::from(2) }
        }
    };

    let endpoints =
        Endpoints { rpc: rpc.split(',').map(str::to_owned).collect(), ..Endpoints::default() };
    let http = Http::new(HttpConfig::default(), &endpoints)?;
    let chain = Chain::polygon();
    let clock = ServerClock::system();
    let rpc = Rpc::new(&http, &endpoints.rpc, &chain, clock, RpcConfig::default())?;
    if rpc.single() {
        println!("one endpoint: its results are not verified");
    }
    let snapshot = rpc.snapshot(&chain).await?;
    println!("pUSD   {} millionths", snapshot.collateral(wallet).await?);
    println!("USDC.e {} millionths", snapshot.usdc_e(wallet).await?);
    println!("POL    {} wei", snapshot.gas_coins(wallet).await?);
    let plan = ApprovalPlan::needed(&snapshot, wallet, scope, allowance).await?;
    print!("{plan}");
    for (index, result) in plan.simulate(&snapshot).await.iter().enumerate() {
        match result {
            Ok(()) => println!("{:>3}. would work", index + 1),
            Err(error) => println!("{:>3}. would fail: {error}", index + 1),
        }
    }
    Ok(())
}
