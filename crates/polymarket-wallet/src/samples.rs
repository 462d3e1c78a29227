//! What relayer, bridge and RPC endpoints answer, and key files, damaged: errors are fine, a panic is not.

use crate::chain::bridge::{BridgeAddresses, BridgeAsset, BridgeQuote, BridgeTransfer};
use crate::chain::{Relayed, Revocation};
use crate::signing::Key;

const WHOLES: [&str; 3] = [
    r#"{"transactionID":"01890a5d","transaction_id":"01890a5d","state":"STATE_MINED","transaction_hash":"0x2222222222222222222222222222222222222222222222222222222222222222","error_msg":null}"#,
    r#"{"status":"FENCED","fenced":true,"transactionId":"01890a5d"}"#,
    r#"{"jsonrpc":"2.0","id":7,"result":{"status":"0x1","blockNumber":"0x5f5e100"}}"#,
];

/// How many parsers read it.
fn read(bytes: &[u8]) -> usize {
    [
        serde_json::from_slice::<Relayed>(bytes).is_ok(),
        serde_json::from_slice::<Revocation>(bytes).is_ok(),
        serde_json::from_slice::<Vec<BridgeAsset>>(bytes).is_ok(),
        serde_json::from_slice::<BridgeQuote>(bytes).is_ok(),
        serde_json::from_slice::<BridgeAddresses>(bytes).is_ok(),
        serde_json::from_slice::<Vec<BridgeTransfer>>(bytes).is_ok(),
        serde_json::from_slice::<alloy::rpc::json_rpc::ResponsePacket>(bytes).is_ok(),
        Key::from_hex(&String::from_utf8_lossy(bytes)).is_ok(),
    ]
    .into_iter()
    .filter(|read| *read)
    .count()
}

#[test]
fn damaged_answers_panic_nowhere() {
    let rounds = std::env::var("POLYDESK_CASES")
        .ok()
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(200)
        .min(20_000);
    let mut chance = 0x2545_F491_4F6C_DD1D_u64;
    let mut draw = move |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance >> 16) as usize % below.max(1)
    };
    let strange = ["null", "\"\"", "-1", "1e400", "[]", "{}", "true", "\"0x\"", "\"\\ud800\""];
    let (mut tried, mut unread) = (0, 0);
    for whole in WHOLES {
        assert!(read(whole.as_bytes()) > 0, "{whole}");
        for _ in 0..rounds.max(50) {
            let mut text = whole.to_owned();
            match draw(3) {
                0 => text.truncate(draw(text.len())),
                1 => {
                    let at = draw(text.len());
                    text.replace_range(at..=at, "\u{7f}");
                }
                // A whole value is replaced.
                _ => {
                    let colons: Vec<_> = text.match_indices(':').map(|(at, _)| at + 1).collect();
                    let at = colons[draw(colons.len())];
                    let end = text[at..].find([',', '}']).map_or(text.len(), |end| at + end);
                    text.replace_range(at..end, strange[draw(strange.len())]);
                }
            }
            tried += 1;
            unread += usize::from(read(text.as_bytes()) == 0);
        }
    }
    assert!(unread > tried / 10, "{unread} of {tried} could not be read: nothing was damaged");
}
