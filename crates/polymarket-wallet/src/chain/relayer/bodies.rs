//! Bodies and signatures of gasless transactions, as polymarket-client 0.14.0 makes them
//! (`fixtures/vectors/relayer.json`). Nothing here waits.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use serde_json::{Value, json};

use super::super::{Call, abi};
use crate::signing::{Chain, Key};

/// What a transaction of a deposit wallet is signed over besides its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) nonce: U256,
    /// Unix seconds; after it the batch can never run.
    pub(super) deadline: u64,
}

/// What a relayed transaction of a proxy wallet is signed over besides its calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Relay {
    pub(super) nonce: U256,
    pub(super) relay: Address,
    pub(super) gas_limit: u64,
}

/// `WALLET-CREATE`: no signature.
pub(super) fn create(key: &Key, chain: &Chain, metadata: &str) -> Value {
    json!({
        "type": "WALLET-CREATE",
        "from": text(key.address()),
        "to": text(chain.contracts().deposit_factory),
        "metadata": metadata,
    })
}

/// `WALLET`: a batch of a deposit wallet, signed by its owner or, in an envelope, by a session key.
pub(super) fn deposit(
    key: &Key,
    session: bool,
    chain: &Chain,
    wallet: Address,
    calls: &[Call],
    batch: Batch,
    metadata: &str,
) -> Value {
    let mut signature = key.sign(&batch_digest(chain.id(), wallet, calls, batch)).to_vec();
    if session {
        signature = session_envelope(key.address(), &signature);
    }
    let calls: Vec<Value> = calls
        .iter()
        .map(|call| {
            json!({
                "target": text(call.target),
                "value": call.value.to_string(),
                "data": call.data,
            })
        })
        .collect();
    json!({
        "type": "WALLET",
        "from": text(key.address()),
        "to": text(chain.contracts().deposit_factory),
        "nonce": batch.nonce.to_string(),
        "signature": alloy::hex::encode_prefixed(signature),
        "metadata": metadata,
        "depositWalletParams": {
            "depositWallet": text(wallet),
            "deadline": batch.deadline.to_string(),
            "calls": calls,
        },
    })
}

/// The EIP-712 digest of `Batch` under the wallet's own domain.
fn batch_digest(chain_id: u64, wallet: Address, calls: &[Call], batch: Batch) -> B256 {
    let call_type = keccak256("Call(address target,uint256 value,bytes data)");
    let hashes: Vec<B256> = calls
        .iter()
        .map(|call| {
            keccak256((call_type, call.target, call.value, keccak256(&call.data)).abi_encode())
        })
        .collect();
    let batch_type = keccak256(
        "Batch(address wallet,uint256 nonce,uint256 deadline,Call[] calls)Call(address target,uint256 value,bytes data)",
    );
    let content = keccak256(
        (
            batch_type,
            wallet,
            batch.nonce,
            U256::from(batch.deadline),
            keccak256(hashes.abi_encode_packed()),
        )
            .abi_encode(),
    );
    let domain = keccak256(
        (
            keccak256(
                "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
            ),
            keccak256("DepositWallet"),
            keccak256("1"),
            U256::from(chain_id),
            wallet,
        )
            .abi_encode(),
    );
    typed_digest(domain, content)
}

/// `abi.encode(bytes32 sessionKey, bytes32 0, bytes signature) ‖ 0x6492 × 16`, as around orders.
fn session_envelope(session: Address, signature: &[u8]) -> Vec<u8> {
    let mut envelope =
        (session.into_word(), B256::ZERO, Bytes::copy_from_slice(signature)).abi_encode_params();
    envelope.extend([0x64, 0x92].repeat(16));
    envelope
}

/// `SAFE`: one call as it is, several through MultiSend.
pub(super) fn safe(
    key: &Key,
    chain: &Chain,
    safe: Address,
    calls: &[Call],
    nonce: U256,
    metadata: &str,
) -> Value {
    let (to, data, value, operation) = match calls {
        [call] => (call.target, call.data.clone(), call.value, 0u8),
        _ => (chain.contracts().multi_send, multi_send(calls), U256::ZERO, 1),
    };
    let content = keccak256(
        (
            keccak256(
                "SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)",
            ),
            to,
            value,
            keccak256(&data),
            U256::from(operation),
            (U256::ZERO, U256::ZERO, U256::ZERO, Address::ZERO, Address::ZERO),
            nonce,
        )
            .abi_encode(),
    );
    let domain = keccak256(
        (
            keccak256("EIP712Domain(uint256 chainId,address verifyingContract)"),
            U256::from(chain.id()),
            safe,
        )
            .abi_encode(),
    );
    // Safes recognise signatures over eth_sign messages by v + 4.
    let mut signature = key.sign_message_hash(&typed_digest(domain, content));
    signature[64] += 4;
    let mut body = json!({
        "type": "SAFE",
        "from": text(key.address()),
        "to": text(to),
        "proxyWallet": text(safe),
        "data": data,
        "nonce": nonce.to_string(),
        "signature": alloy::hex::encode_prefixed(signature),
        "metadata": metadata,
        "signatureParams": {
            "baseGas": "0",
            "gasPrice": "0",
            "gasToken": text(Address::ZERO),
            "operation": operation.to_string(),
            "refundReceiver": text(Address::ZERO),
            "safeTxnGas": "0",
        },
    });
    if !value.is_zero() {
        body["value"] = json!(value.to_string());
    }
    body
}

/// `multiSend(bytes)`: operation 0, target, value, length and data of each, packed.
fn multi_send(calls: &[Call]) -> Bytes {
    let mut packed = Vec::new();
    for call in calls {
        packed.push(0);
        packed.extend_from_slice(call.target.as_slice());
        packed.extend_from_slice(&call.value.to_be_bytes::<32>());
        packed.extend_from_slice(&U256::from(call.data.len()).to_be_bytes::<32>());
        packed.extend_from_slice(&call.data);
    }
    abi::MultiSend::multiSendCall { transactions: packed.into() }.abi_encode().into()
}

/// What the proxy factory is called with.
pub(super) fn proxy_call(chain: &Chain, calls: &[Call]) -> Call {
    let words = calls.iter().map(|call| call.words.as_str()).collect::<Vec<_>>().join("; ");
    let calls = calls
        .iter()
        .map(|call| abi::ProxyCall {
            typeCode: 1,
            to: call.target,
            value: call.value,
            data: call.data.clone(),
        })
        .collect();
    Call::new(chain.contracts().proxy_factory, &abi::ProxyFactory::proxyCall { calls }, words)
}

/// `PROXY`: an eth_sign message over the relay hub's hash.
pub(super) fn proxy(
    key: &Key,
    chain: &Chain,
    wallet: Address,
    calls: &[Call],
    relay: Relay,
    metadata: &str,
) -> Value {
    let call = proxy_call(chain, calls);
    let hub = chain.contracts().relay_hub;
    let mut message = b"rlx:".to_vec();
    message.extend_from_slice(key.address().as_slice());
    message.extend_from_slice(call.target.as_slice());
    message.extend_from_slice(&call.data);
    // Fee and gas price are zero: the relayer pays.
    for word in [U256::ZERO, U256::ZERO, U256::from(relay.gas_limit), relay.nonce] {
        message.extend_from_slice(&word.to_be_bytes::<32>());
    }
    message.extend_from_slice(hub.as_slice());
    message.extend_from_slice(relay.relay.as_slice());
    let signature = key.sign_message_hash(&keccak256(message));
    json!({
        "type": "PROXY",
        "from": text(key.address()),
        "to": text(call.target),
        "proxyWallet": text(wallet),
        "data": call.data,
        "nonce": relay.nonce.to_string(),
        "signature": alloy::hex::encode_prefixed(signature),
        "metadata": metadata,
        "signatureParams": {
            "gasLimit": relay.gas_limit.to_string(),
            "gasPrice": "0",
            "relay": text(relay.relay),
            "relayHub": text(hub),
            "relayerFee": "0",
        },
    })
}

fn typed_digest(domain: B256, content: B256) -> B256 {
    keccak256([&[0x19, 0x01], domain.as_slice(), content.as_slice()].concat())
}

fn text(address: Address) -> String {
    address.to_checksum(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::{Wallet, derived_wallets};

    /// Every body the official client makes, equal to the last digit.
    #[test]
    fn bodies_are_the_official_clients() {
        let cases = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/vectors/relayer.json"
        ));
        let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
        let key = Key::from_hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
            .unwrap();
        let chain = Chain::polygon();
        let c = chain.contracts();
        let wallets = derived_wallets(key.address(), c);
        let both = [
            Call::approve(c.collateral, c.exchange, U256::MAX),
            Call::approve_all(c.conditional_tokens, c.exchange, true),
        ];
        for case in &cases {
            let calls = &both[..case["calls"].as_u64().unwrap() as usize];
            let number = |key: &str| case[key].as_str().unwrap().parse::<u64>().unwrap();
            let nonce = U256::from(number("nonce"));
            let body = match case["wallet"].as_str().unwrap() {
                "deposit" => {
                    let batch = Batch { nonce, deadline: number("deadline") };
                    let session = case["session"].as_bool().unwrap();
                    let wallet = wallets.deposit_beacon;
                    deposit(&key, session, &chain, wallet, calls, batch, "approve")
                }
                "safe" => safe(&key, &chain, wallets.safe, calls, nonce, "approve"),
                "proxy" => {
                    let relay = case["relay"].as_str().unwrap().parse().unwrap();
                    let relay = Relay { nonce, relay, gas_limit: number("gas_limit") };
                    proxy(&key, &chain, wallets.proxy, calls, relay, "approve")
                }
                other => panic!("wallet {other}"),
            };
            assert_eq!(body, case["body"]);
        }
        assert_eq!(cases.len(), 16);
        assert_eq!(wallets.kind_of(wallets.safe), Some(Wallet::Safe(wallets.safe)));
    }
}
