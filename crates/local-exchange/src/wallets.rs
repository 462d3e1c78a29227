//! Where an EOA's proxy, Safe and deposit wallets live (CREATE2), and the public test keys.

use alloy::primitives::{Address, B256, address, b256, hex, keccak256};

/// The kind of a wallet: how it holds funds and signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletKind {
    /// The key's own address.
    Eoa,
    /// The proxy wallet of an email account.
    Proxy,
    /// A Gnosis Safe.
    Safe,
    /// A deposit wallet of the first (UUPS) generation.
    DepositUups,
    /// A deposit wallet of the second (beacon) generation: what new accounts get.
    Deposit,
}

impl WalletKind {
    /// All of them.
    pub const ALL: [WalletKind; 5] = [
        WalletKind::Eoa,
        WalletKind::Proxy,
        WalletKind::Safe,
        WalletKind::DepositUups,
        WalletKind::Deposit,
    ];

    /// The `signatureType` of its orders.
    pub const fn signature_type(self) -> u8 {
        match self {
            WalletKind::Eoa => 0,
            WalletKind::Proxy => 1,
            WalletKind::Safe => 2,
            WalletKind::DepositUups | WalletKind::Deposit => 3,
        }
    }

    /// The wallet's address for an owner.
    pub fn address(self, owner: Address) -> Address {
        match self {
            WalletKind::Eoa => owner,
            WalletKind::Proxy => address!("aB45c5A4B0c941a2F231C04C3f49182e1A254052").create2(
                keccak256(owner),
                b256!("d21df8dc65880a8606f09fe0ce3df9b8869287ab0b058be05aa9e8af6330a00b"),
            ),
            WalletKind::Safe => address!("aacFeEa03eb1561C4e67d661e40682Bd20E3541b").create2(
                keccak256(owner.into_word()),
                b256!("2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"),
            ),
            WalletKind::DepositUups => deposit(
                owner,
                &hex!(
                    "61007d3d8160233d397358CA52ebe0DadfdF531Cde7062e76746de4Db1eB60095155f3363d3d37"
                    "3d3d363d7f360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc545af4"
                    "3d6000803e6038573d6000fd5b3d6000f3"
                ),
            ),
            WalletKind::Deposit => deposit(
                owner,
                &hex!(
                    "6100923d8160233d39737A18EDfe055488A3128f01F563e5B479D92ffc3a60195155f3363d3d37"
                    "3d3d363d602036600436635c60da1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a7"
                    "2aeaee59ff6cb3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
                ),
            ),
        }
    }
}

/// The factory's arguments are part of salt and init code, so every owner has its own code hash.
fn deposit(owner: Address, code: &[u8]) -> Address {
    let factory = address!("00000000000Fb5C9ADea0298D729A0CB3823Cc07");
    let args = [factory.into_word(), owner.into_word()].concat();
    let hash: B256 = keccak256([code, &args].concat());
    factory.create2(keccak256(&args), hash)
}

/// The first keys of the well-known development mnemonic ("test test … junk"): public, never fund them.
pub const TEST_KEYS: [&str; 5] = [
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
];

/// Their addresses.
pub const TEST_ADDRESSES: [Address; 5] = [
    address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
    address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
    address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
    address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
];
