//! The checks of a start that need the account: each with its result and what to do about it.

use std::time::Duration;

use polydesk_domain::{Span, Time, Usdc};
use polydesk_polymarket_api::clob::request::Asset;
use polydesk_polymarket_api::clob::{Clob, geoblock};
use polydesk_polymarket_api::{Http, ServerClock};
use polydesk_polymarket_wallet::chain::{Allowance, ApprovalPlan, ChainError, Rpc, Scope};
use polydesk_polymarket_wallet::signing::{Address, Chain, OrderSigner, SignatureForm};
use polydesk_runtime::start::Check;
use rust_decimal::prelude::ToPrimitive as _;

/// Whether the venue may be used from here.
pub async fn place(http: &Http, url: &str) -> Check {
    match geoblock(http, url).await {
        Ok(found) if found.blocked => Check::bad(
            "geoblock",
            format!("the venue does not take orders from {} {}", found.country, found.region),
            "run it where the venue may be used",
        ),
        Ok(found) => Check::good("geoblock", format!("not blocked ({})", found.country)),
        Err(error) => {
            Check::bad("geoblock", error.to_string(), "check the network and live.geoblock")
        }
    }
}

/// Whether the account may open positions.
pub async fn account(clob: &Clob) -> Check {
    match clob.closed_only().await {
        Ok(false) => Check::good("account", "may open positions".to_owned()),
        Ok(true) => Check::bad(
            "account",
            "the venue only lets it close positions".to_owned(),
            "ask the venue why; paper runs without an account",
        ),
        Err(error) => Check::bad("account", error.to_string(), "check the key and the clock"),
    }
}

/// Chain id, age of the head, and whether there are two nodes.
pub async fn chain(rpc: &Rpc, clock: &ServerClock) -> Check {
    match rpc.head().await {
        Ok(head) => {
            let at = i64::try_from(head.timestamp.to::<u64>()).unwrap_or(i64::MAX);
            let age = Time::from_secs(at).until(clock.now());
            let text = format!("block {}, {} s old", head.number, age.as_millis() / 1_000);
            if rpc.single() {
                let fix = "name a second URL in live.rpc: one node's word counts only when the venue's balance says the same twice, 30 s apart";
                Check::warning("chain", text + ", one node", fix)
            } else if age > Span::secs(30) {
                Check::bad(
                    "chain",
                    text,
                    "the nodes are behind or the chain stands still: wait, or use others",
                )
            } else {
                Check::good("chain", text + ", two nodes agree")
            }
        }
        Err(error) => Check::bad("chain", error.to_string(), "correct live.rpc"),
    }
}

/// What the wallet holds, on the chain and as the venue has it.
pub async fn balance(clob: &Clob, rpc: &Rpc, chain: &Chain, wallet: Address, cap: Usdc) -> Check {
    let read = async {
        let snapshot = rpc.snapshot(chain).await?;
        let cash = snapshot.collateral(wallet).await?;
        let other = snapshot.usdc_e(wallet).await?;
        Ok::<_, ChainError>((cash, other))
    };
    let (cash, other) = match read.await {
        Ok(read) => read,
        Err(error) => return Check::bad("balance", error.to_string(), "correct live.rpc"),
    };
    let cash = Usdc::new(i64::try_from(cash).unwrap_or(i64::MAX));
    let there = clob.balance_allowance(Asset::Collateral).await.ok();
    let there = there.and_then(|answer| answer.balance.to_i64()).map(Usdc::new);
    let text = format!("{cash} pUSD in {wallet}, at most {cap} at risk");
    let fix = "send pUSD to the wallet, or convert USDC.e on the web site";
    match there {
        _ if cash == Usdc::ZERO && !other.is_zero() => {
            Check::warning("balance", format!("{text}; it holds USDC.e, which buys nothing"), fix)
        }
        _ if cash == Usdc::ZERO => Check::warning("balance", text, fix),
        Some(there) if there != cash => Check::warning(
            "balance",
            format!("{text}; the venue has {there} in its copy"),
            "wait a minute; the chain counts",
        ),
        _ => Check::good("balance", text),
    }
}

/// Whether every contract that has to move money or tokens may do it.
pub async fn approvals(rpc: &Rpc, chain: &Chain, wallet: Address) -> Check {
    let fix = "desk approve shows what is missing, and sends it with --yes";
    let read = async {
        let snapshot = rpc.snapshot(chain).await?;
        // Any allowance trades; how large it is only matters when it is used up.
        let enough = Allowance::Capped {
            cap: polydesk_polymarket_wallet::signing::U256::MAX,
            renew_below: polydesk_polymarket_wallet::signing::U256::from(1),
        };
        ApprovalPlan::needed(&snapshot, wallet, Scope::Trading, enough).await
    };
    match read.await {
        Ok(plan) if plan.is_complete() => {
            Check::good("approvals", format!("all {} are there", plan.present.len()))
        }
        Ok(plan) => {
            let missing: Vec<String> =
                plan.steps.iter().map(|step| step.need.to_string()).collect();
            Check::bad("approvals", format!("missing: {}", missing.join("; ")), fix)
        }
        Err(error) => Check::bad("approvals", error.to_string(), fix),
    }
}

/// Which form of signature the wallet accepts.
pub async fn signature(rpc: &Rpc, chain: &Chain, signer: &OrderSigner) -> (Check, SignatureForm) {
    let form = async {
        let snapshot = rpc.snapshot(chain).await?;
        snapshot.choose_form(signer).await
    };
    match form.await {
        Ok(form) => {
            let text = format!("{} signs for {}", signer.key().address(), signer.maker());
            (Check::good("signature", text), form)
        }
        Err(error) => {
            let fix = "correct live.wallet, live.address or the key; a new account makes its deposit wallet on the web site";
            (Check::bad("signature", error.to_string(), fix), SignatureForm::default())
        }
    }
}

/// Asks until there is an answer or it is too late.
pub async fn patient<T, E: std::fmt::Display>(
    secs: u32,
    mut ask: impl AsyncFnMut() -> Result<T, E>,
) -> Result<T, E> {
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(secs));
    loop {
        match ask().await {
            Err(error) if tokio::time::Instant::now() < until => {
                tracing::debug!(%error, "asked again");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            answer => return answer,
        }
    }
}
