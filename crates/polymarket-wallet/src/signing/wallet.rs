//! Which wallet holds the funds, and where it must be.

use alloy::primitives::{Address, B256, b256, keccak256};

use polydesk_polymarket_api::SignatureType;

use super::Contracts;

/// The wallet that holds pUSD and tokens (the order's `maker`), by signature type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wallet {
    /// Type 0: the key's own address.
    Eoa,
    /// Type 1: a proxy wallet (email accounts).
    Proxy(Address),
    /// Type 2: a Gnosis Safe (browser wallets before May 2026).
    Safe(Address),
    /// Type 3: a deposit wallet (every account since May 2026); also the order's `signer`.
    Deposit(Address),
}

impl Wallet {
    /// `signatureType`.
    pub const fn signature_type(&self) -> SignatureType {
        match self {
            Wallet::Eoa => SignatureType::Eoa,
            Wallet::Proxy(_) => SignatureType::Proxy,
            Wallet::Safe(_) => SignatureType::Safe,
            Wallet::Deposit(_) => SignatureType::Deposit,
        }
    }
    /// The address that holds the funds.
    pub fn funder(&self, eoa: Address) -> Address {
        match self {
            Wallet::Eoa => eoa,
            Wallet::Proxy(address) | Wallet::Safe(address) | Wallet::Deposit(address) => *address,
        }
    }
}

/// Where an owner's wallets are, deployed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DerivedWallets {
    /// Type 1.
    pub proxy: Address,
    /// Type 2.
    pub safe: Address,
    /// Type 3 as created since 2026-06-29 (beacon proxy).
    pub deposit_beacon: Address,
    /// Type 3 as created before (UUPS proxy).
    pub deposit_uups: Address,
}

impl DerivedWallets {
    /// What kind of wallet of this owner `address` is; `None` for an unknown one (then the key may
    /// be a session key of another deposit wallet).
    pub fn kind_of(&self, address: Address) -> Option<Wallet> {
        if address == self.proxy {
            Some(Wallet::Proxy(address))
        } else if address == self.safe {
            Some(Wallet::Safe(address))
        } else if address == self.deposit_beacon || address == self.deposit_uups {
            Some(Wallet::Deposit(address))
        } else {
            None
        }
    }
}

const PROXY_INIT_HASH: B256 =
    b256!("0xd21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b");
const SAFE_INIT_HASH: B256 =
    b256!("0x2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf");
/// Solady's ERC-1967 proxy with immutable arguments: prefix for 64 bytes of them, implementation, tail.
const UUPS_PREFIX: &str = "61007d3d8160233d3973";
const UUPS_IMPLEMENTATION: &str = "58ca52ebe0dadfdf531cde7062e76746de4db1eb";
const UUPS_TAIL: &str = "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076\
cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3";
/// The same as a beacon proxy.
const BEACON_PREFIX: &str = "6100923d8160233d3973";
const BEACON: &str = "7a18edfe055488a3128f01f563e5b479d92ffc3a";
const BEACON_TAIL: &str = "60195155f3363d3d373d3d363d602036600436635c60da\
1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c\
b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3";

/// All wallets of an owner (CREATE2). The init code of deposit wallets contains the owner, so its hash
/// differs for each.
pub fn derived_wallets(owner: Address, contracts: &Contracts) -> DerivedWallets {
    let mut args = [0; 64];
    args[12..32].copy_from_slice(contracts.deposit_factory.as_slice());
    args[44..].copy_from_slice(owner.as_slice());
    let deposit_salt = keccak256(args);
    let deposit = |prefix: &str, code: &str, tail: &str| {
        let mut init = Vec::with_capacity(200);
        for part in [prefix, code, tail] {
            init.extend(part.as_bytes().chunks_exact(2).map(|pair| {
                let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0);
                (digit(pair[0]) << 4 | digit(pair[1])) as u8
            }));
        }
        init.extend(args);
        contracts.deposit_factory.create2(deposit_salt, keccak256(init))
    };
    DerivedWallets {
        proxy: contracts.proxy_factory.create2(keccak256(owner), PROXY_INIT_HASH),
        safe: contracts.safe_factory.create2(keccak256(owner.into_word()), SAFE_INIT_HASH),
        deposit_beacon: deposit(BEACON_PREFIX, BEACON, BEACON_TAIL),
        deposit_uups: deposit(UUPS_PREFIX, UUPS_IMPLEMENTATION, UUPS_TAIL),
    }
}
