//! The sections that only live trading reads.

use polydesk_domain::Usdc;
use serde::{Deserialize, Serialize};

use crate::bounds::within;
use crate::origin::Lines;
use crate::problem::Problem;

/// The sentence without which no order is real.
pub const ACKNOWLEDGE: &str = "this trades real money";

/// The section `live`. Secrets are not in it: it names where they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveSettings {
    /// [`ACKNOWLEDGE`], word for word.
    pub acknowledge: String,
    /// The most pUSD that holdings, resting and unknown orders may cost together, whatever the wallet holds; 0: none.
    pub capital_cap_usd: Usdc,
    /// What holds the money.
    pub wallet: WalletKind,
    /// The wallet's address; empty: where it must be for the key.
    pub address: String,
    /// A file with the private key, mode 0600.
    pub key_file: String,
    /// An encrypted Ethereum JSON keystore.
    pub keystore: String,
    /// Environment variable with the keystore's password; empty: asked for on the terminal.
    pub keystore_password_env: String,
    /// Environment variable with the private key.
    pub key_env: String,
    /// One or two JSON-RPC URLs of Polygon.
    pub rpc: Vec<String>,
    /// The most milliseconds between a decision and the first byte of its order.
    pub max_decision_age_ms: u32,
    /// Orders that this bot did not place are cancelled when they are seen.
    pub cancel_external: bool,
    /// A file of mode 0600 with the token that kills over HTTP; empty: only the socket, the file `STOP`, SIGUSR1 and
    /// `desk kill` kill.
    pub kill_token_file: String,
    /// CLOB of the user channel.
    pub ws_user: String,
    /// The relayer, for wallets that are contracts.
    pub relayer: String,
    /// A file of mode 0600 with the relayer's credentials; empty: one in the data folder, made at first use.
    pub relayer_key_file: String,
    /// Where the venue says whether it may be used from here.
    pub geoblock: String,
}

/// What holds the money of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletKind {
    /// The key's own address.
    Eoa,
    /// A proxy wallet of an email account.
    Proxy,
    /// A Gnosis Safe.
    Safe,
    /// A deposit wallet: every account since May 2026.
    Deposit,
}

/// The section `rehearsal`: for tests on a local exchange. Live trading refuses it anywhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RehearsalSettings {
    /// Where the process stops to be killed: a step and a number, as in `W6:57`; empty: nowhere.
    pub stop_at: String,
    /// Whether repeated crashes stop the next start.
    pub crash_loop: bool,
}

impl LiveSettings {
    pub(crate) fn check(&self, lines: &Lines, problems: &mut Vec<Problem>) {
        if self.capital_cap_usd < Usdc::ZERO {
            let text =
                format!("live.capital_cap_usd is {}; it must be at least 0", self.capital_cap_usd);
            problems.push(Problem::rule(text, lines));
        }
        if !self.acknowledge.is_empty() && self.acknowledge != ACKNOWLEDGE {
            let text = format!(
                "live.acknowledge is {:?}; it must be {ACKNOWLEDGE:?}, word for word, or empty",
                self.acknowledge
            );
            problems.push(Problem::rule(text, lines));
        }
        within("live.max_decision_age_ms", self.max_decision_age_ms, 100, 60_000, lines, problems);
        if self.rpc.len() > 2 {
            let text = format!("live.rpc has {} URLs; one or two are read", self.rpc.len());
            problems.push(Problem::rule(text, lines));
        }
        let named = [&self.key_file, &self.keystore, &self.key_env];
        if named.iter().filter(|name| !name.is_empty()).count() > 1 {
            let text = "live.key_file, live.keystore and live.key_env are more than one key; set one of them".to_owned();
            problems.push(Problem::rule(text, lines));
        }
    }
}
