//! The contracts that exist on the exchange's chain.

use alloy::primitives::{Address, address};

use crate::typed::Contract;

/// pUSD.
pub(crate) const COLLATERAL: Address = address!("C011a7E12a19f7B1f670d46F03B03f3342E82DFB");
/// USDC.e: no collateral of the venue.
pub(crate) const USDC_E: Address = address!("2791Bca1f2de4661ED88A30C99A7a9449Aa84174");
/// Balances of positions of protocol v2.
pub(crate) const POSITION_MANAGER: Address = address!("006F54F7f9A22e0000CC2AB60031000000ae9fEF");
/// Makes deposit wallets.
pub(crate) const DEPOSIT_FACTORY: Address = address!("00000000000Fb5C9ADea0298D729A0CB3823Cc07");
/// The code of deposit wallets of the second generation.
pub(crate) const DEPOSIT_BEACON: Address = address!("7A18EDfe055488A3128f01F563e5B479D92ffc3a");
/// Splits and merges for ordinary markets.
pub(crate) const ADAPTER: Address = address!("AdA100Db00Ca00073811820692005400218FcE1f");
/// The same for neg-risk markets.
pub(crate) const NEG_RISK_ADAPTER: Address = address!("adA2005600Dec949baf300f4C6120000bDB6eAab");
/// Splits and merges of protocol v2.
pub(crate) const ROUTER: Address = address!("12121212006e4CD160D18e3f00711DA5c3372600");
/// Sends the exchange's transactions. Made up: the venue has many such accounts.
pub(crate) const OPERATOR: Address = address!("0000000000000000000000000000000000be4a70");

/// Contracts that hold nothing and are asked nothing here, beside those above.
const OTHERS: [Address; 12] = [
    address!("93070a847efEf7F70739046A929D47a521F5B8ee"),
    address!("2957922Eb93258b93368531d39fAcCA3B4dC5854"),
    address!("d91E80cF2E7be2e162c6513ceD06f1dD0dA35296"),
    address!("a1200000d0002264C9a1698e001292D00E1b00af"),
    address!("1000008dD9001B968442c1000017eaE6E0dA00Ba"),
    address!("200000900045e3B6259600682756002200028933"),
    address!("DCa4af75705dbB50f62437045afF9921947917d2"),
    address!("aB45c5A4B0c941a2F231C04C3f49182e1A254052"),
    address!("aacFeEa03eb1561C4e67d661e40682Bd20E3541b"),
    address!("A238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"),
    address!("D216153c06E857cD7f72665E0aF1d7D82172F494"),
    address!("3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
];

/// The conditional tokens (positions of protocol v1) on a chain.
pub(crate) fn conditional_tokens(chain: u64) -> Address {
    match chain {
        80_002 => address!("69308FB512518e39F9b16112fA8d994F4e2Bf8bB"),
        _ => address!("4D97DCd97eC945f40cF65F87097ACe5EA0476045"),
    }
}

/// Whether there is a contract of the venue at an address.
pub(crate) fn exists(chain: u64, at: &Address) -> bool {
    let own = [
        COLLATERAL,
        USDC_E,
        POSITION_MANAGER,
        DEPOSIT_FACTORY,
        DEPOSIT_BEACON,
        ADAPTER,
        NEG_RISK_ADAPTER,
        ROUTER,
        conditional_tokens(chain),
    ];
    own.contains(at)
        || OTHERS.contains(at)
        || Contract::ALL.iter().any(|exchange| exchange.address(chain) == *at)
}
