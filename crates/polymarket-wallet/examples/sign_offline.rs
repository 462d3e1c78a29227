//! Signs an order without any network and prints its id and the body that would be posted.
//!
//! ```text
//! POLYDESK_EXAMPLE_KEY=0x… cargo run -p polydesk-polymarket-api --example sign_offline
//! ```
//!
//! Without the variable it uses a public development key that must never be funded.

use polydesk_polymarket_api::{Exchange, OrderText, ServerClock};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, KeySource, OrderSigner, OrderStamps, Wallet, derived_wallets,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = "POLYDESK_EXAMPLE_KEY";
    let key = if std::env::var_os(variable).is_some() {
        KeySource::Env(variable.into()).load()?
    } else {
        Key::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")?
    };
    let chain = Chain::polygon();
    let wallets = derived_wallets(key.address(), chain.contracts());
    println!("key            {}", key.address());
    println!("deposit wallet {}", wallets.deposit_beacon);

    let order = OrderText {
        token: "71321045679252212594626385532706912750332728571942532289631379312455583992563",
        side: "BUY",
        price: "0.37",
        size: "25",
        order_type: "GTC",
        expiration: 0,
        post_only: true,
        tick: "0.01",
        exchange: Exchange::Normal,
    }
    .parse()?;
    let clock = ServerClock::system();
    let signer = OrderSigner::new(key, Wallet::Deposit(wallets.deposit_beacon), &chain);
    let stamp = OrderStamps::from_os()?.next(clock.millis());
    let signed = signer.sign(&order, stamp, "11111111-2222-4333-8444-555555555555")?;
    println!("order id       {}", signed.id());
    println!("{}", std::str::from_utf8(signed.body())?);
    Ok(())
}
