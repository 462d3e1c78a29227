//! The bridge's client over a socket.

use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_wallet::chain::bridge::{Bridge, QuoteRequest, WithdrawRequest};
use serde_json::{Value, json};

use super::anvil::http;
use super::server::serve;

macro_rules! sample {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/wire/",
            $name
        )))
        .unwrap()
    };
}

#[tokio::test]
async fn requests_and_answers_are_as_documented() {
    let url = serve(|asked| {
        Box::pin(async move {
            Some(match (asked.method.as_str(), asked.path.as_str()) {
                ("GET", "/supported-assets") => (200, sample!("bridge_supported_assets.json")),
                ("POST", "/quote") => {
                    assert_eq!(asked.body["fromAmountBaseUnit"], "10000000");
                    assert_eq!(asked.body["recipientAddress"], "0xr");
                    (200, sample!("bridge_quote.json"))
                }
                ("POST", "/deposit") => {
                    assert_eq!(asked.body, json!({"address": "0xw"}));
                    (200, sample!("bridge_deposit.json"))
                }
                ("POST", "/withdraw") => {
                    assert_eq!(asked.body["recipientAddr"], "0xr");
                    (200, sample!("bridge_withdraw.json"))
                }
                ("GET", "/status/0xa%2Fb") => (200, sample!("bridge_status.json")),
                _ => (400, json!({"error": "invalid address"})),
            })
        })
    })
    .await;
    let bridge = Bridge::new(http(&[], Some(&url)), &url);
    assert_eq!(bridge.supported_assets().await.unwrap().len(), 2);
    let request = QuoteRequest {
        from_amount_base_unit: "10000000".into(),
        from_chain_id: "1".into(),
        from_token_address: "0xt".into(),
        recipient_address: "0xr".into(),
        to_chain_id: "137".into(),
        to_token_address: "0xp".into(),
    };
    assert_eq!(bridge.quote(&request).await.unwrap().est_checkout_time_ms, 30_000);
    assert!(bridge.deposit("0xw").await.unwrap().address.btc.is_some());
    let request = WithdrawRequest {
        address: "0xw".into(),
        to_chain_id: "1".into(),
        to_token_address: "0xt".into(),
        recipient_addr: "0xr".into(),
    };
    assert!(bridge.withdraw(&request).await.unwrap().note.contains("bridge"));
    // An address from outside stays one part of the path.
    assert_eq!(bridge.status("0xa/b").await.unwrap().len(), 2);
    let error = bridge.status("nobody").await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { .. }), "{error}");
    // Its host must be allowed like any other.
    let elsewhere = Bridge::new(http(&[], None), polydesk_polymarket_wallet::chain::bridge::BASE);
    let error = elsewhere.supported_assets().await.unwrap_err();
    assert!(matches!(error, ApiError::Misconfigured(_)), "{error}");
}
