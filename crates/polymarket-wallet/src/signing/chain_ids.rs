//! The contracts of a chain, and the signing domains that follow from them.

use alloy::primitives::{Address, B256, address, keccak256};

use polydesk_polymarket_api::Exchange;

/// Contracts of one chain. All can be configured; these defaults are the addresses known in November 2026.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contracts {
    /// CTF Exchange V2.
    pub exchange: Address,
    /// Neg-Risk CTF Exchange V2.
    pub neg_risk_exchange: Address,
    /// ExchangeV3 (protocol v2).
    pub exchange_v3: Address,
    /// pUSD, 6 decimals.
    pub collateral: Address,
    /// Conditional Tokens (ERC-1155).
    pub conditional_tokens: Address,
    /// CollateralOnramp: wraps USDC.e into pUSD.
    pub onramp: Address,
    /// CollateralOfframp: unwraps pUSD.
    pub offramp: Address,
    /// CtfCollateralAdapter: split, merge, redeem of normal markets.
    pub adapter: Address,
    /// NegRiskCtfCollateralAdapter: the same for neg-risk markets, and convert.
    pub neg_risk_adapter: Address,
    /// The older NegRiskAdapter; still the ERC-1155 view of neg-risk balances.
    pub neg_risk_adapter_v1: Address,
    /// AutoRedeem operator.
    pub auto_redeem: Address,
    /// Protocol-v2 PositionManager (ERC-1155).
    pub position_manager: Address,
    /// Protocol-v2 Router: split, merge, redeem.
    pub router: Address,
    /// Protocol-v2 BinaryModule.
    pub binary_module: Address,
    /// Protocol-v2 NegRiskModule.
    pub neg_risk_module: Address,
    /// Perps deposit contract; only part of the official client's full set of approvals.
    pub perps: Address,
    /// USDC.e, what pUSD is wrapped from.
    pub usdc_e: Address,
    /// Deposit wallet factory.
    pub deposit_factory: Address,
    /// Proxy wallet factory.
    pub proxy_factory: Address,
    /// Safe factory.
    pub safe_factory: Address,
    /// MultiSend of Safes.
    pub multi_send: Address,
    /// Relay hub of proxy wallets.
    pub relay_hub: Address,
}

/// A signing domain, computed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Domain {
    /// EIP-712 domain separator.
    pub separator: B256,
    /// The contract that verifies.
    pub contract: Address,
    /// `2` or `3`.
    pub version: u8,
}

/// A chain: its id, contracts and signing domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    id: u64,
    contracts: Contracts,
    domains: [Domain; 3],
}

impl Chain {
    /// Polygon, chain id 137.
    pub fn polygon() -> Chain {
        Chain::new(
            137,
            Contracts {
                exchange: address!("0xE111180000d2663C0091e4f400237545B87B996B"),
                neg_risk_exchange: address!("0xe2222d279d744050d28e00520010520000310F59"),
                exchange_v3: address!("0xe3333700cA9d93003F00f0F71f8515005F6c00Aa"),
                collateral: address!("0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB"),
                conditional_tokens: address!("0x4D97DCd97eC945f40cF65F87097ACe5EA0476045"),
                onramp: address!("0x93070a847efEf7F70739046A929D47a521F5B8ee"),
                offramp: address!("0x2957922Eb93258b93368531d39fAcCA3B4dC5854"),
                adapter: address!("0xAdA100Db00Ca00073811820692005400218FcE1f"),
                neg_risk_adapter: address!("0xadA2005600Dec949baf300f4C6120000bDB6eAab"),
                neg_risk_adapter_v1: address!("0xd91E80cF2E7be2e162c6513ceD06f1dD0dA35296"),
                auto_redeem: address!("0xa1200000d0002264C9a1698e001292D00E1b00af"),
                position_manager: address!("0x006F54F7f9A22e0000CC2AB60031000000ae9fEF"),
                router: address!("0x12121212006e4CD160D18e3f00711DA5c3372600"),
                binary_module: address!("0x1000008dD9001B968442c1000017eaE6E0dA00Ba"),
                neg_risk_module: address!("0x200000900045e3B6259600682756002200028933"),
                perps: address!("0xDCa4af75705dbB50f62437045afF9921947917d2"),
                usdc_e: address!("0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"),
                deposit_factory: address!("0x00000000000Fb5C9ADea0298D729A0CB3823Cc07"),
                proxy_factory: address!("0xaB45c5A4B0c941a2F231C04C3f49182e1A254052"),
                safe_factory: address!("0xaacFeEa03eb1561C4e67d661e40682Bd20E3541b"),
                multi_send: address!("0xA238CBeb142c10Ef7Ad8442C6D1f9E89e07e7761"),
                relay_hub: address!("0xD216153c06E857cD7f72665E0aF1d7D82172F494"),
            },
        )
    }

    /// The testnet Amoy, chain id 80002. Contracts without a known testnet address keep Polygon's.
    pub fn amoy() -> Chain {
        let contracts = Contracts {
            exchange_v3: address!("0x9fE6e61422AdB6F610d8597F9684b16912D50C3D"),
            conditional_tokens: address!("0x69308FB512518e39F9b16112fA8d994F4e2Bf8bB"),
            ..Chain::polygon().contracts
        };
        Chain::new(80_002, contracts)
    }

    /// A chain with other contracts: a fork, a test, a venue that moved.
    pub fn new(id: u64, contracts: Contracts) -> Chain {
        let domains = [
            domain(id, contracts.exchange, 2),
            domain(id, contracts.neg_risk_exchange, 2),
            domain(id, contracts.exchange_v3, 3),
        ];
        Chain { id, contracts, domains }
    }

    /// Chain id.
    pub fn id(&self) -> u64 {
        self.id
    }
    /// The contracts.
    pub fn contracts(&self) -> &Contracts {
        &self.contracts
    }
    /// The signing domain of an exchange.
    pub fn domain(&self, exchange: Exchange) -> &Domain {
        &self.domains[match exchange {
            Exchange::Normal => 0,
            Exchange::NegRisk => 1,
            Exchange::V3 => 2,
        }]
    }
}

fn domain(chain_id: u64, contract: Address, version: u8) -> Domain {
    let mut words = [0; 160];
    words[..32].copy_from_slice(
        keccak256(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        )
        .as_slice(),
    );
    words[32..64].copy_from_slice(keccak256(b"Polymarket CTF Exchange").as_slice());
    words[64..96].copy_from_slice(keccak256([b'0' + version]).as_slice());
    words[120..128].copy_from_slice(&chain_id.to_be_bytes());
    words[140..160].copy_from_slice(contract.as_slice());
    Domain { separator: keccak256(words), contract, version }
}
