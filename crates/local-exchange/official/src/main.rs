//! Drives crate `polymarket_client_sdk_v2` against the local exchange, with the client's own parsing.
//!
//! Usage: official-rust PATH_OF_EXCHANGE_BINARY

use std::process::Stdio;
use std::str::FromStr as _;
use std::time::Duration;

use alloy::signers::Signer as _;
use alloy::signers::local::{LocalSigner, PrivateKeySigner};
use anyhow::{Context as _, bail, ensure};
use futures::StreamExt as _;
use polymarket_client_sdk_v2::auth::state::Authenticated;
use polymarket_client_sdk_v2::auth::{Credentials, Normal};
use polymarket_client_sdk_v2::clob::types::request::{
    BalanceAllowanceRequest, LastTradePriceRequest, MidpointRequest, OrderBookSummaryRequest,
    OrdersRequest, PriceRequest, SpreadRequest, TradesRequest,
};
use polymarket_client_sdk_v2::clob::types::{
    Amount, AssetType, OrderStatusType, OrderType, Side, SignatureType,
};
use polymarket_client_sdk_v2::clob::ws::{Client as Socket, WsMessage};
use polymarket_client_sdk_v2::clob::{Client, Config};
use polymarket_client_sdk_v2::types::{Address, B256, Decimal, U256};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

type Trader = Client<Authenticated<Normal>>;

fn dec(text: &str) -> Decimal {
    Decimal::from_str(text).expect("a decimal")
}

fn text<'a>(value: &'a Value, path: &str) -> anyhow::Result<&'a str> {
    value.pointer(path).and_then(Value::as_str).with_context(|| format!("{path} is missing"))
}

fn signer(world: &Value, index: usize) -> anyhow::Result<PrivateKeySigner> {
    let key = text(world, &format!("/accounts/{index}/private_key"))?;
    Ok(LocalSigner::from_str(key)?.with_chain_id(Some(137)))
}

async fn trader(
    world: &Value,
    index: usize,
    kind: SignatureType,
    wallet: &str,
) -> anyhow::Result<Trader> {
    let signer = signer(world, index)?;
    let config = Config::builder().use_server_time(true).build();
    let builder = Client::new(text(world, "/urls/clob")?, config)?.authentication_builder(&signer);
    let builder = match kind {
        SignatureType::Eoa => builder,
        kind => {
            let wallet = text(world, &format!("/accounts/{index}/wallets/{wallet}"))?;
            builder.signature_type(kind).funder(Address::from_str(wallet)?)
        }
    };
    let client = builder.authenticate().await?;
    let key = client.credentials().key().to_string();
    ensure!(key == text(world, &format!("/accounts/{index}/api_key"))?, "another key: {key}");
    Ok(client)
}

fn token(world: &Value, market: usize, outcome: usize) -> anyhow::Result<U256> {
    Ok(U256::from_str(text(world, &format!("/markets/{market}/tokens/{outcome}"))?)?)
}

async fn read(world: &Value, client: &Trader) -> anyhow::Result<()> {
    let yes = token(world, 0, 0)?;
    client.ok().await?;
    ensure!(client.version().await? == 2);
    let book = client
        .order_book(&OrderBookSummaryRequest::builder().token_id(yes).build())
        .await?;
    ensure!(book.bids.len() == 5 && book.asks.len() == 5, "{book:?}");
    let (bid, ask) = (book.bids[4].price, book.asks[4].price);
    let price = |side| PriceRequest::builder().token_id(yes).side(side).build();
    ensure!(client.price(&price(Side::Buy)).await?.price == bid);
    ensure!(client.price(&price(Side::Sell)).await?.price == ask);
    let middle = client.midpoint(&MidpointRequest::builder().token_id(yes).build()).await?;
    ensure!(middle.mid == (bid + ask) / dec("2"), "{middle:?}");
    let spread = client.spread(&SpreadRequest::builder().token_id(yes).build()).await?;
    ensure!(spread.spread == ask - bid);
    client.last_trade_price(&LastTradePriceRequest::builder().token_id(yes).build()).await?;
    client.tick_size(yes).await?;
    ensure!(client.neg_risk(token(world, 1, 0)?).await?.neg_risk);
    let condition = text(world, "/markets/0/condition_id")?;
    client.market(condition).await?;
    client.clob_market_info(condition).await?;
    ensure!(client.markets(None).await?.data.len() == 7);
    client.simplified_markets(None).await?;
    ensure!(client.sampling_markets(None).await?.data.len() == 1);
    client.market_by_token(yes).await?;
    client.closed_only_mode().await?;
    client.api_keys().await?;
    client.current_rewards(None).await?;
    println!("ok  reads");
    Ok(())
}

/// A maker's order is met by a taker's of the same wallet type.
async fn trade(world: &Value, kind: SignatureType, wallet: &str) -> anyhow::Result<()> {
    let (maker, taker) =
        (trader(world, 0, kind, wallet).await?, trader(world, 1, kind, wallet).await?);
    let (makers_key, takers_key) = (signer(world, 0)?, signer(world, 1)?);
    maker.cancel_all_orders().await?;
    let yes = token(world, 1, 0)?;
    let book =
        maker.order_book(&OrderBookSummaryRequest::builder().token_id(yes).build()).await?;
    let price = book.bids.last().context("no bids")?.price + dec("0.01");
    let placed = maker
        .limit_order()
        .token_id(yes)
        .side(Side::Buy)
        .price(price)
        .size(dec("20"))
        .order_type(OrderType::GTC)
        .build_sign_and_post(&makers_key)
        .await?;
    ensure!(placed.success && placed.status == OrderStatusType::Live, "{placed:?}");
    let open = maker.orders(&OrdersRequest::builder().asset_id(yes).build(), None).await?;
    ensure!(open.data.len() == 1 && open.data[0].id == placed.order_id, "{open:?}");
    ensure!(open.data[0].original_size == dec("20") && open.data[0].price == price, "{open:?}");
    let sold = taker
        .market_order()
        .token_id(yes)
        .side(Side::Sell)
        .amount(Amount::shares(dec("8"))?)
        .price(price)
        .order_type(OrderType::FAK)
        .build_sign_and_post(&takers_key)
        .await?;
    ensure!(sold.status == OrderStatusType::Matched && sold.making_amount == dec("8"), "{sold:?}");
    ensure!(sold.taking_amount == dec("8") * price, "{sold:?}");
    let id = sold.trade_ids.first().context("no trade")?.clone();
    let mine = taker.trades(&TradesRequest::builder().id(id).build(), None).await?;
    ensure!(mine.data.len() == 1 && mine.data[0].size == dec("8"), "{mine:?}");
    let order = maker.order(&placed.order_id).await?;
    ensure!(order.size_matched == dec("8"), "{order:?}");
    let gone = maker.cancel_order(&placed.order_id).await?;
    ensure!(gone.canceled == vec![placed.order_id.clone()], "{gone:?}");
    let twice = maker.cancel_orders(&[&placed.order_id]).await?;
    ensure!(twice.canceled.is_empty() && twice.not_canceled.len() == 1, "{twice:?}");
    println!("ok  {wallet}: placed, matched, listed, cancelled");
    Ok(())
}

async fn rest(world: &Value) -> anyhow::Result<()> {
    let client = trader(world, 0, SignatureType::Eoa, "eoa").await?;
    let key = signer(world, 0)?;
    let yes = token(world, 0, 0)?;
    let cash = client
        .balance_allowance(
            BalanceAllowanceRequest::builder().asset_type(AssetType::Collateral).build(),
        )
        .await?;
    ensure!(cash.balance > Decimal::ZERO, "{cash:?}");
    let mut orders = Vec::new();
    for outcome in [0, 1] {
        let order = client
            .limit_order()
            .token_id(token(world, 0, outcome)?)
            .side(Side::Buy)
            .price(dec("0.05"))
            .size(dec("10"))
            .build()
            .await?;
        orders.push(client.sign(&key, order).await?);
    }
    let answers = client.post_orders(orders).await?;
    ensure!(answers.iter().all(|a| a.status == OrderStatusType::Live), "{answers:?}");
    ensure!(client.cancel_all_orders().await?.canceled.len() == 2);
    let bought = client
        .market_order()
        .token_id(yes)
        .side(Side::Buy)
        .amount(Amount::usdc(dec("5"))?)
        .order_type(OrderType::FOK)
        .build_sign_and_post(&key)
        .await?;
    ensure!(bought.making_amount == dec("5"), "{bought:?}");
    client.notifications().await?;
    let killed = client
        .market_order()
        .token_id(yes)
        .side(Side::Buy)
        .amount(Amount::usdc(dec("50"))?)
        .price(dec("0.01"))
        .order_type(OrderType::FOK)
        .build_sign_and_post(&key)
        .await;
    ensure!(killed.is_err(), "{killed:?}");
    println!("ok  balances, batches, market orders, kills");
    Ok(())
}

async fn sockets(world: &Value) -> anyhow::Result<()> {
    let base = text(world, "/urls/clob")?.replace("http://", "ws://");
    let key = signer(world, 0)?;
    let client = trader(world, 0, SignatureType::Eoa, "eoa").await?;
    let yes = token(world, 2, 0)?;
    let market = Socket::new(&base, Default::default())?;
    let mut books = std::pin::pin!(market.subscribe_orderbook(vec![yes])?);
    let first = tokio::time::timeout(Duration::from_secs(20), books.next()).await?;
    let first = first.context("no book")??;
    ensure!(first.bids.len() == 5, "{first:?}");
    let own = Credentials::new(
        text(world, "/accounts/0/api_key")?.parse()?,
        text(world, "/accounts/0/secret")?.to_owned(),
        text(world, "/accounts/0/passphrase")?.to_owned(),
    );
    let user = Socket::new(&base, Default::default())?.authenticate(own, key.address())?;
    let mut events = std::pin::pin!(user.subscribe_user_events(Vec::<B256>::new())?);
    // The subscription is made when the stream is first polled: place again until it is heard.
    for _ in 0..40 {
        client
            .limit_order()
            .token_id(yes)
            .side(Side::Buy)
            .price(dec("0.05"))
            .size(dec("10"))
            .build_sign_and_post(&key)
            .await?;
        match tokio::time::timeout(Duration::from_millis(500), events.next()).await {
            Ok(Some(Ok(WsMessage::Order(order)))) => {
                ensure!(order.price == dec("0.05"), "{order:?}");
                println!("ok  market and user sockets");
                return Ok(());
            }
            Ok(Some(Ok(other))) => bail!("heard {other:?}"),
            Ok(Some(Err(error))) => return Err(error.into()),
            Ok(None) => bail!("the user stream ended"),
            Err(_) => {}
        }
    }
    bail!("the user socket stayed silent")
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let program = std::env::args().nth(1).context("name the exchange's binary")?;
    let mut child = tokio::process::Command::new(program)
        .args(["--json", "--no-counterparties"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("the exchange ended")?;
    let world: Value = serde_json::from_str(&line)?;
    read(&world, &trader(&world, 0, SignatureType::Eoa, "eoa").await?).await?;
    for (kind, wallet) in [
        (SignatureType::Eoa, "eoa"),
        (SignatureType::Proxy, "proxy"),
        (SignatureType::GnosisSafe, "safe"),
        (SignatureType::Poly1271, "deposit"),
    ] {
        trade(&world, kind, wallet).await?;
    }
    rest(&world).await?;
    sockets(&world).await?;
    child.kill().await?;
    println!("polymarket_client_sdk_v2 and the exchange agree");
    Ok(())
}
