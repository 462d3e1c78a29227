//! What clients of further services of the venue are made of: requests, quotas, and readers of JSON in which a number
//! may be text.

pub use crate::auth::decimal;
pub use crate::limits::bucket;
pub use crate::transport::{encode, read_json, sensitive_headers, with_query};
pub use crate::wire::{num, opt, opt_time, text, vec};
pub use crate::words;
