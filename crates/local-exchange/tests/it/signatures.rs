//! The exchange's own hashing, recovery and derivations against what the official clients made.

use alloy::primitives::{Address, B256, U256, hex};
use polydesk_local_exchange::typed::{
    Contract, OrderMessage, WalletCall, auth_digest, batch_digest, recover, recover_order,
};
use polydesk_local_exchange::wallets::WalletKind;
use serde_json::Value;

fn fixture(path: &str) -> String {
    let path = format!("{}/../../fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap()
}

fn big(value: &Value) -> U256 {
    match value.as_str() {
        Some(text) => text.parse().unwrap(),
        None => U256::from(value.as_u64().unwrap()),
    }
}

fn address(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}

fn word(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}

fn message(order: &Value) -> OrderMessage {
    let side = match &order["side"] {
        Value::String(word) => u64::from(word == "SELL"),
        side => number(side),
    };
    OrderMessage {
        salt: big(&order["salt"]),
        maker: address(&order["maker"]),
        signer: address(&order["signer"]),
        token: big(&order["tokenId"]),
        maker_amount: number(&order["makerAmount"]),
        taker_amount: number(&order["takerAmount"]),
        side: side as u8,
        signature_type: number(&order["signatureType"]) as u8,
        timestamp: big(&order["timestamp"]),
        metadata: word(&order["metadata"]),
        builder: word(&order["builder"]),
    }
}

fn contract(neg_risk: bool, version: u64) -> Contract {
    match (version, neg_risk) {
        (3, _) => Contract::V3,
        (_, true) => Contract::NegRisk,
        (_, false) => Contract::Normal,
    }
}

#[test]
fn every_order_of_the_official_clients_is_recognised() {
    let mut seen = [0; 4];
    for line in fixture("vectors/orders.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (id, input) = (&case["id"], &case["input"]);
        let chain = number(&input["chain_id"]);
        let neg_risk = input["neg_risk"].as_bool().unwrap();
        let contract = contract(neg_risk, number(&input["version"]));
        for outcome in case["outcomes"].as_array().unwrap() {
            // Amounts beyond 64 bits are no orders the venue could hold.
            if outcome["order"]["makerAmount"].as_str().unwrap().parse::<u64>().is_err() {
                continue;
            }
            // One client pads a short builder code its own way; the venue takes 32 bytes only.
            if outcome["order"]["builder"].as_str().unwrap().len() != 66 {
                continue;
            }
            let order = message(&outcome["order"]);
            // Some outcomes of one client were recorded without hashes; their signatures are compared.
            if let Some(hash) = outcome.get("struct_hash") {
                assert_eq!(order.struct_hash(), word(hash), "{id}");
                assert_eq!(contract.separator(chain), word(&outcome["domain_separator"]), "{id}");
                assert_eq!(order.digest(contract, chain), word(&outcome["order_hash"]), "{id}");
            }
            let signature = hex::decode(outcome["signature"].as_str().unwrap()).unwrap();
            let signed = recover_order(&order, contract, chain, &signature, false).unwrap();
            assert_eq!(signed.by, address(&input["eoa"]), "{id}");
            assert_eq!(signed.session, None, "{id}");
            let other = if contract == Contract::Normal { Contract::V3 } else { Contract::Normal };
            let wrong = recover_order(&order, other, chain, &signature, false);
            assert_ne!(wrong.ok().map(|signed| signed.by), Some(address(&input["eoa"])), "{id}");
            seen[usize::from(order.signature_type)] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "{seen:?}");
}

#[test]
fn session_keys_come_in_their_envelope() {
    let file: Value =
        serde_json::from_str(&fixture("wire/signing_session_key_vectors.json")).unwrap();
    let order = message(&file["order"]);
    for vector in file["vectors"].as_array().unwrap() {
        let chunks = vector["signature_chunks"].as_array().unwrap();
        let text: String = chunks.iter().map(|chunk| chunk.as_str().unwrap()).collect();
        let mut signature = hex::decode(text).unwrap();
        let contract = contract(vector["neg_risk"].as_bool().unwrap(), 2);
        let signed = recover_order(&order, contract, 137, &signature, false).unwrap();
        let key: Address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
        assert_eq!((signed.by, signed.session), (key, Some(key)));
        signature[31] ^= 1;
        assert!(recover_order(&order, contract, 137, &signature, false).is_err());
    }
}

#[test]
fn deposit_wallets_may_sign_plainly_only_where_that_is_switched_on() {
    let line = fixture("wire/signing_vectors.json");
    let file: Value = serde_json::from_str(&line).unwrap();
    let plain = file["vectors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|vector| vector["order"]["signatureType"] == 0 && vector["chain_id"] == 137);
    let vector = plain.unwrap();
    let order = message(&vector["order"]);
    let signature = hex::decode(vector["signature"].as_str().unwrap()).unwrap();
    let deposit = OrderMessage { signature_type: 3, ..order };
    assert!(recover_order(&deposit, Contract::Normal, 137, &signature, false).is_err());
    // The type is part of what is signed, so another key comes out, but one does.
    assert!(recover_order(&deposit, Contract::Normal, 137, &signature, true).is_ok());
}

#[test]
fn the_key_handshake_is_recognised() {
    let cases: Value = serde_json::from_str(&fixture("vectors/l1_auth.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let input = &case["input"];
        let owner = address(&input["address"]);
        let stamp = number(&input["timestamp"]).to_string();
        let digest = auth_digest(owner, &stamp, big(&input["nonce"]), number(&input["chain_id"]));
        for (client, headers) in case["results"].as_object().unwrap() {
            let signature = hex::decode(headers["POLY_SIGNATURE"].as_str().unwrap()).unwrap();
            assert_eq!(recover(digest, &signature), Ok(owner), "{client} {}", case["id"]);
        }
    }
}

#[test]
fn a_wallets_batch_is_hashed_as_eth_account_hashes_it() {
    let call = |target: &str, value: u64, data: &str| WalletCall {
        target: target.parse().unwrap(),
        value: U256::from(value),
        data: hex::decode(data).unwrap(),
    };
    let calls = [
        call("0xAdA100Db00Ca00073811820692005400218FcE1f", 0, "72ce4275"),
        call("0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB", 5, ""),
    ];
    let wallet: Address = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50".parse().unwrap();
    let deadline = U256::from(1_795_522_200u64);
    let digest = batch_digest(wallet, U256::from(7), deadline, &calls, 137);
    // Made with PyPI eth_account's `encode_typed_data` and the first public test key.
    assert_eq!(
        hex::encode(digest),
        "ac1182cd011418eb864f2a3383781ebe66c6151914c43771270dbd20379405b5"
    );
    let signature = hex::decode(
        "6fb81148ed41034fdeab4b1c4eb6f3dad85417f7a83ed03dc1cf11ec29c6daa125f306c7eb45ea32216cb9c60\
         b39d3bf945ae70159320a66edca27b06cca3a061c",
    );
    let owner = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".parse().unwrap();
    assert_eq!(recover(digest, &signature.unwrap()), Ok(owner));
}

#[test]
fn wallets_are_where_the_factories_put_them() {
    let cases: Value = serde_json::from_str(&fixture("vectors/wallet_derivation.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let owner = address(&case["input"]["eoa"]);
        let want = &case["results"]["py_unified"];
        for (kind, name) in [
            (WalletKind::Proxy, "proxy"),
            (WalletKind::Safe, "safe"),
            (WalletKind::DepositUups, "deposit_uups"),
            (WalletKind::Deposit, "deposit_beacon"),
        ] {
            assert_eq!(kind.address(owner), address(&want[name]), "{} {name}", case["id"]);
        }
    }
}
