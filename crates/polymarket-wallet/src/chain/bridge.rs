//! The bridge: money from and to other chains and tokens. It needs no key.
//!
//! Its host is not among the endpoints of a bot: it has to be added to `http.allow_hosts`.
//!
//! It hands out addresses; money sent to them is in the hands of the service. Nothing is sent from
//! here, and no address of an answer is ever paid by the bot itself.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use polydesk_domain::Time;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use polydesk_polymarket_api::Effect;
use polydesk_polymarket_api::HttpRequest;
use polydesk_polymarket_api::parts::encode;
use polydesk_polymarket_api::words;
use polydesk_polymarket_api::{ApiError, Http};

/// Where the bridge is.
pub const BASE: &str = "https://bridge.polymarket.com";

/// A token that can come in or go out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeAsset {
    /// Chain id, as the service numbers chains.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub chain_id: String,
    /// Its name.
    #[serde(default)]
    pub chain_name: String,
    /// The token.
    pub token: BridgeToken,
    /// The least that is taken, in dollars. Less may be lost.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::num")]
    pub min_checkout_usd: Decimal,
}

/// A token of some chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BridgeToken {
    /// Name.
    #[serde(default)]
    pub name: String,
    /// Symbol.
    #[serde(default)]
    pub symbol: String,
    /// Address, in its chain's own notation.
    pub address: String,
    /// Decimals of its base unit.
    pub decimals: u8,
}

/// What to quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuoteRequest {
    /// How much, in the token's base unit, as digits.
    pub from_amount_base_unit: String,
    /// From which chain.
    pub from_chain_id: String,
    /// From which token.
    pub from_token_address: String,
    /// Who gets it.
    pub recipient_address: String,
    /// To which chain.
    pub to_chain_id: String,
    /// To which token.
    pub to_token_address: String,
}

/// An estimate. Dollars are estimates too: none of this is what arrives.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeQuote {
    /// Its id.
    pub quote_id: String,
    /// How long it will take, in milliseconds.
    #[serde(default)]
    pub est_checkout_time_ms: u64,
    /// What goes in, in dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::num")]
    pub est_input_usd: Decimal,
    /// What comes out, in dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::num")]
    pub est_output_usd: Decimal,
    /// What comes out, in the token's base unit, as digits.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub est_to_token_base_unit: String,
    /// What it costs.
    #[serde(default)]
    pub est_fee_breakdown: BridgeFees,
}

/// What a transfer costs. Parts are fractions (0.01 is one per cent) where they are not in dollars.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BridgeFees {
    /// Whose fee the app fee is.
    pub app_fee_label: String,
    /// Its part.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub app_fee_percent: Option<Decimal>,
    /// Its dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub app_fee_usd: Option<Decimal>,
    /// Gas, in dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub gas_usd: Option<Decimal>,
    /// How far the price may slip.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub max_slippage: Option<Decimal>,
    /// The least that arrives, in dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub min_received: Option<Decimal>,
    /// Everything together, as a part.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub total_impact: Option<Decimal>,
    /// Everything together, in dollars.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::opt")]
    pub total_impact_usd: Option<Decimal>,
}

/// Addresses to send to, by kind of chain.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BridgeAddresses {
    /// The addresses.
    pub address: ByChain,
    /// A hint of the service.
    #[serde(default, deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub note: String,
}

/// One address per kind of chain, where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ByChain {
    /// Ethereum and what is like it.
    pub evm: Option<String>,
    /// Solana.
    pub svm: Option<String>,
    /// Bitcoin.
    pub btc: Option<String>,
}

/// Where withdrawn money should go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawRequest {
    /// The wallet it comes from, on Polygon.
    pub address: String,
    /// To which chain.
    pub to_chain_id: String,
    /// To which token.
    pub to_token_address: String,
    /// Recipient.
    pub recipient_addr: String,
}

words! {
    /// Where a transfer is.
    BridgeState "" {
        /// The money was seen.
        DepositDetected = "DEPOSIT_DETECTED",
        /// It is being worked on.
        Processing = "PROCESSING",
        /// The sending transaction is final.
        OriginTxConfirmed = "ORIGIN_TX_CONFIRMED",
        /// Sent on.
        Submitted = "SUBMITTED",
        /// Arrived.
        Completed = "COMPLETED",
        /// It did not arrive.
        Failed = "FAILED",
    }
}

/// A transfer through an address of the service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BridgeTransfer {
    /// From which chain.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub from_chain_id: String,
    /// From which token.
    pub from_token_address: String,
    /// How much, in base units, as digits.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub from_amount_base_unit: String,
    /// To which chain.
    #[serde(deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub to_chain_id: String,
    /// To which token.
    pub to_token_address: String,
    /// Where it is.
    pub status: BridgeState,
    /// The transaction, in its chain's notation.
    #[serde(default, deserialize_with = "polydesk_polymarket_api::parts::text")]
    pub tx_hash: String,
    /// When it began.
    #[serde(
        default,
        rename = "createdTimeMs",
        deserialize_with = "polydesk_polymarket_api::parts::opt_time"
    )]
    pub created: Option<Time>,
}

/// The bridge's client.
#[derive(Clone)]
pub struct Bridge {
    http: Http,
    base: String,
    /// The venue takes 50 requests in ten seconds.
    turns: Arc<leaky_bucket::RateLimiter>,
}

impl core::fmt::Debug for Bridge {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bridge({})", self.base)
    }
}

impl Bridge {
    /// A client at `base`, which is [`BASE`] outside of tests.
    pub fn new(http: Http, base: &str) -> Bridge {
        let turns = Arc::new(polydesk_polymarket_api::parts::bucket(42, Duration::from_secs(10)));
        Bridge { http, base: base.trim_end_matches('/').to_owned(), turns }
    }

    /// What can come in and go out, and from how much on.
    pub async fn supported_assets(&self) -> Result<Vec<BridgeAsset>, ApiError> {
        #[derive(Deserialize)]
        struct Assets {
            #[serde(rename = "supportedAssets")]
            assets: Vec<BridgeAsset>,
        }
        let answer: Assets = self.ask(Method::GET, "/supported-assets", Bytes::new()).await?;
        Ok(answer.assets)
    }

    /// What a transfer would cost and bring.
    pub async fn quote(&self, request: &QuoteRequest) -> Result<BridgeQuote, ApiError> {
        self.ask(Method::POST, "/quote", body(request)?).await
    }

    /// Addresses that turn what is sent to them into pUSD of `wallet`.
    pub async fn deposit(&self, wallet: &str) -> Result<BridgeAddresses, ApiError> {
        self.ask(Method::POST, "/deposit", body(&serde_json::json!({ "address": wallet }))?).await
    }

    /// Addresses that send what they get to another chain. Check the recipient twice: nothing comes back.
    pub async fn withdraw(&self, request: &WithdrawRequest) -> Result<BridgeAddresses, ApiError> {
        self.ask(Method::POST, "/withdraw", body(request)?).await
    }

    /// Transfers through an address of the service.
    pub async fn status(&self, address: &str) -> Result<Vec<BridgeTransfer>, ApiError> {
        #[derive(Deserialize)]
        struct Transfers {
            #[serde(default, deserialize_with = "polydesk_polymarket_api::parts::vec")]
            transactions: Vec<BridgeTransfer>,
        }
        let mut path = "/status/".to_owned();
        encode(address, &mut path);
        let answer: Transfers = self.ask(Method::GET, &path, Bytes::new()).await?;
        Ok(answer.transactions)
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<T, ApiError> {
        let request = HttpRequest {
            method,
            url: format!("{}{path}", self.base),
            headers: HeaderMap::new(),
            body,
            // Handing out one more address moves nothing.
            effect: Effect::Repeatable,
            what: format!("bridge {path}"),
            gzip: true,
        };
        self.turns.acquire(1).await;
        self.http.json(request).await
    }
}

fn body(request: &impl Serialize) -> Result<Bytes, ApiError> {
    serde_json::to_vec(request)
        .map(Bytes::from)
        .map_err(|error| ApiError::Misconfigured(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! sample {
        ($name:literal) => {
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire/", $name))
        };
    }

    #[test]
    fn the_services_samples_are_read() {
        #[derive(Deserialize)]
        struct Assets {
            #[serde(rename = "supportedAssets")]
            assets: Vec<BridgeAsset>,
        }
        let assets: Assets = serde_json::from_str(sample!("bridge_supported_assets.json")).unwrap();
        assert_eq!(assets.assets[0].min_checkout_usd, Decimal::from(45));
        assert_eq!(assets.assets[1].token.symbol, "USDC.e");

        let quote: BridgeQuote = serde_json::from_str(sample!("bridge_quote.json")).unwrap();
        assert_eq!(quote.est_to_token_base_unit, "14491203");
        assert_eq!(quote.est_fee_breakdown.min_received, Some(Decimal::new(9824, 2)));

        for text in [sample!("bridge_deposit.json"), sample!("bridge_withdraw.json")] {
            let addresses: BridgeAddresses = serde_json::from_str(text).unwrap();
            assert!(addresses.address.evm.unwrap().starts_with("0x"));
        }

        #[derive(Deserialize)]
        struct Transfers {
            transactions: Vec<BridgeTransfer>,
        }
        let transfers: Transfers = serde_json::from_str(sample!("bridge_status.json")).unwrap();
        assert_eq!(transfers.transactions[0].status, BridgeState::Completed);
        assert!(transfers.transactions[0].created.is_some());
        assert_eq!(transfers.transactions[1].status, BridgeState::DepositDetected);
        assert_eq!(transfers.transactions[1].tx_hash, "");
    }

    #[test]
    fn requests_are_as_documented() {
        let request = WithdrawRequest {
            address: "0xa".into(),
            to_chain_id: "1".into(),
            to_token_address: "0xb".into(),
            recipient_addr: "0xc".into(),
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"address":"0xa","toChainId":"1","toTokenAddress":"0xb","recipientAddr":"0xc"}"#
        );
    }
}
