//! JSON-RPC: packets, parameters, errors with the codes that nodes give.

use alloy::primitives::{Address, B256, U256, hex};
use serde_json::{Value, json};

/// An error as a node answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeError {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<String>,
}

impl NodeError {
    pub(super) fn new(code: i64, message: impl Into<String>) -> NodeError {
        NodeError { code, message: message.into(), data: None }
    }
    pub(super) fn params(message: impl Into<String>) -> NodeError {
        NodeError::new(-32602, message)
    }
    /// A contract refused, with its words if it has some.
    pub(super) fn reverted(reason: &str) -> NodeError {
        if reason.is_empty() {
            return NodeError {
                code: 3,
                message: "execution reverted".into(),
                data: Some("0x".into()),
            };
        }
        let mut data = vec![0x08, 0xc3, 0x79, 0xa0];
        for number in [32, reason.len() as u64] {
            data.extend(U256::from(number).to_be_bytes::<32>());
        }
        data.extend(reason.as_bytes());
        data.resize(4 + (data.len() - 4).next_multiple_of(32), 0);
        let message = format!("execution reverted: {reason}");
        NodeError { code: 3, message, data: Some(hex::encode_prefixed(data)) }
    }
    fn value(&self) -> Value {
        let mut value = json!({ "code": self.code, "message": self.message });
        if let Some(data) = &self.data {
            value["data"] = json!(data);
        }
        value
    }
}

/// A response to one call.
pub(super) fn response(id: &Value, result: Result<Value, NodeError>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error.value() }),
    }
}

/// A number as nodes write it.
pub(super) fn quantity(number: u64) -> Value {
    json!(format!("{number:#x}"))
}

pub(super) fn big_quantity(number: U256) -> Value {
    json!(format!("{number:#x}"))
}

/// The parameters of a call by position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Params<'a>(pub(super) &'a [Value]);

impl<'a> Params<'a> {
    pub(super) fn get(self, index: usize) -> Option<&'a Value> {
        self.0.get(index).filter(|value| !value.is_null())
    }

    pub(super) fn need(self, index: usize) -> Result<&'a Value, NodeError> {
        let missing = || NodeError::params(format!("missing value for required argument {index}"));
        self.get(index).ok_or_else(missing)
    }

    pub(super) fn address(self, index: usize) -> Result<Address, NodeError> {
        self.need(index).and_then(|value| read_address(value, index))
    }

    pub(super) fn hash(self, index: usize) -> Result<B256, NodeError> {
        self.need(index).and_then(|value| read_hash(value, index))
    }
}

fn invalid(index: usize, why: &str) -> NodeError {
    NodeError::params(format!("invalid argument {index}: {why}"))
}

pub(super) fn read_address(value: &Value, index: usize) -> Result<Address, NodeError> {
    let address = value.as_str().and_then(crate::wire::address);
    address.ok_or_else(|| invalid(index, "it is no address of 0x and 40 hex digits"))
}

pub(super) fn read_hash(value: &Value, index: usize) -> Result<B256, NodeError> {
    let text = value.as_str().filter(|text| text.len() == 66 && text.starts_with("0x"));
    let hash = text.and_then(|text| text.parse().ok());
    hash.ok_or_else(|| invalid(index, "it is no hash of 0x and 64 hex digits"))
}

pub(super) fn read_bytes(value: &Value, index: usize) -> Result<Vec<u8>, NodeError> {
    let text = value.as_str().filter(|text| text.starts_with("0x"));
    let bytes = text.and_then(|text| hex::decode(text).ok());
    bytes.ok_or_else(|| invalid(index, "it is no hex string with 0x prefix"))
}

pub(super) fn read_number(value: &Value, index: usize) -> Result<u64, NodeError> {
    let text = value.as_str().unwrap_or_default();
    let Some(digits) = text.strip_prefix("0x") else {
        return Err(invalid(index, "hex string without 0x prefix"));
    };
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(invalid(index, "hex number with leading zero digits"));
    }
    let signed = digits.starts_with('+');
    u64::from_str_radix(digits, 16)
        .ok()
        .filter(|_| !signed)
        .ok_or_else(|| invalid(index, "it is no hex number of 64 bits"))
}
