//! EOAs, their API keys, and their standing with the venue.

use std::collections::BTreeMap;

use alloy::primitives::{Address, U256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use hmac::{Hmac, KeyInit, Mac};
use polydesk_domain::{MarketKey, Shares, Span, Time, Usdc};
use sha2::Sha256;
use uuid::Uuid;

use super::Venue;
use super::blockchain::Move;
use crate::setup::AccountSetup;
use crate::wallets::WalletKind;

/// API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The key.
    pub key: Uuid,
    /// Base64url of 32 bytes.
    pub secret: String,
    /// Hex.
    pub passphrase: String,
}

impl Credentials {
    /// Whether a request's signature is the one these credentials give.
    pub fn signs(&self, message: &[&[u8]], signature: &str) -> bool {
        let Ok(secret) = URL_SAFE.decode(&self.secret) else { return false };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret) else { return false };
        message.iter().for_each(|part| mac.update(part));
        URL_SAFE.encode(mac.finalize().into_bytes()) == signature
    }
}

/// The authenticated sender of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The API key.
    pub key: Uuid,
    /// The EOA it belongs to.
    pub signer: Address,
    /// The nonce it was made with.
    pub nonce: u64,
}

/// One EOA.
#[derive(Debug, Clone, Default)]
pub struct Signer {
    /// Its keys by nonce.
    pub keys: BTreeMap<u64, Credentials>,
    /// Banned: every request is refused.
    pub banned: bool,
    /// Closed-only: only orders that reduce a position.
    pub closed_only: bool,
    /// For whose deposit wallet it signs, if it is a session key.
    pub session: Option<Session>,
    pub(crate) last_beat: Option<(Uuid, Time)>,
}

/// What a session key may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The EOA whose deposit wallet it signs for.
    pub of: Address,
    /// Its scopes, in the venue's words.
    pub scopes: Vec<String>,
    /// Unix seconds from which on it signs no more.
    pub valid_until: u64,
}

impl Session {
    /// Everything, to the end of the century.
    pub fn of(owner: Address) -> Session {
        Session { of: owner, scopes: vec!["ALL".to_owned()], valid_until: 4_102_444_800 }
    }

    /// Whether its scopes let it trade on the CLOB.
    pub fn trades(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "ALL" || scope == "CLOB")
    }
}

/// A key of a builder: it vouches for relayed transactions, not for orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderKey {
    /// Key, secret, passphrase.
    pub credentials: Credentials,
    /// EOA of the account that made it.
    pub signer: Address,
    /// When.
    pub created: Time,
    /// When it was revoked.
    pub revoked: Option<Time>,
}

/// What a wallet does with complete sets on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAct {
    /// Makes them.
    Split(Shares),
    /// Gives them back.
    Merge(Shares),
    /// Redeems all it holds of a resolved market.
    Redeem,
}

/// One call of a relayed transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetCall {
    /// Wallet whose funds move.
    pub wallet: Address,
    /// Which market.
    pub market: MarketKey,
    /// The fault.
    pub act: SetAct,
}

/// A relayed call that lets a contract move tokens of its wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Approval {
    /// The token contract.
    pub token: Address,
    /// Who may move them.
    pub spender: Address,
    /// How much; of outcome tokens all (the largest number) or nothing.
    pub amount: U256,
}

/// A relayed transaction.
#[derive(Debug, Clone)]
pub(crate) struct RelayedCalls {
    pub(crate) hash: [u8; 32],
    /// Wallet that calls.
    pub(crate) wallet: Address,
    pub(crate) calls: Vec<SetCall>,
    pub(crate) approvals: Vec<Approval>,
    /// From the submission until it is in a block.
    pub(crate) delay: Span,
}

impl Venue {
    pub(super) fn open_account(&mut self, account: &AccountSetup) {
        for (kind, cash) in &account.wallets {
            let address = self.open_wallet(account.owner, *kind);
            self.fund(address, *cash);
            self.give_sets(address, account.sets);
        }
        if account.with_key {
            let _ = self.create_key(account.owner, 0);
        }
    }

    /// Opens a wallet of an EOA without funds and gives its address.
    pub fn open_wallet(&mut self, owner: Address, kind: WalletKind) -> Address {
        self.signers.entry(owner).or_default();
        let address = kind.address(owner);
        self.ledger.open(address, owner, kind);
        address
    }

    /// pUSD from outside.
    pub fn fund(&mut self, wallet: Address, cash: Usdc) {
        self.ledger.deposit(&wallet, cash);
        self.ledger.check();
        self.record_moves(vec![Move::Deposit { wallet, amount: cash }]);
    }

    /// Complete sets of every market, paid from outside.
    pub fn give_sets(&mut self, wallet: Address, shares: Shares) {
        if self.tape.is_some() || shares.is_zero() {
            return;
        }
        for key in self.universe.keys().collect::<Vec<_>>() {
            self.give_set(wallet, key, shares);
        }
    }

    /// Complete sets of one market, paid from outside.
    pub fn give_set(&mut self, wallet: Address, market: MarketKey, shares: Shares) {
        let amount = shares.face_value();
        self.ledger.deposit(&wallet, amount);
        let split = self.call_sets(&SetCall { wallet, market, act: SetAct::Split(shares) });
        let deposit = Some(Move::Deposit { wallet, amount });
        self.record_moves(deposit.into_iter().chain(split).collect());
    }

    /// New credentials for an EOA and nonce; none if they exist.
    pub fn create_key(&mut self, signer: Address, nonce: u64) -> Option<Credentials> {
        if self.signers.get(&signer).is_some_and(|entry| entry.keys.contains_key(&nonce)) {
            return None;
        }
        let credentials = self.new_credentials();
        self.keys.insert(credentials.key, Caller { key: credentials.key, signer, nonce });
        let entry = self.signers.entry(signer).or_default();
        entry.keys.insert(nonce, credentials.clone());
        Some(credentials)
    }

    fn new_credentials(&mut self) -> Credentials {
        let passphrase: [u8; 32] = self.chance.bytes();
        Credentials {
            key: self.chance.uuid(),
            secret: URL_SAFE.encode(self.chance.bytes::<32>()),
            passphrase: alloy::primitives::hex::encode(passphrase),
        }
    }

    /// A new builder key of an EOA's account.
    pub fn create_builder_key(&mut self, signer: Address) -> Credentials {
        let credentials = self.new_credentials();
        let created = self.now;
        let key = BuilderKey { credentials: credentials.clone(), signer, created, revoked: None };
        self.builder_keys.push(key);
        credentials
    }

    /// All builder keys ever made, in order.
    pub fn builder_keys(&self) -> &[BuilderKey] {
        &self.builder_keys
    }

    /// Revokes the builder keys that fit and are not revoked yet; how many were.
    pub fn revoke_builder_keys(&mut self, fits: impl Fn(&BuilderKey) -> bool) -> usize {
        let now = self.now;
        let active = |key: &&mut BuilderKey| key.revoked.is_none() && fits(key);
        let gone = self.builder_keys.iter_mut().filter(active);
        gone.map(|key| key.revoked = Some(now)).count()
    }

    /// The session keys that sign for an EOA's deposit wallet at present.
    pub fn session_keys(&self, owner: &Address) -> impl Iterator<Item = (Address, &Session)> {
        let of = *owner;
        let own = self.signers.keys().filter_map(|key| Some((*key, self.session(key)?)));
        own.filter(move |(_, session)| session.of == of)
    }

    /// What an EOA may do as a session key at present.
    pub fn session(&self, key: &Address) -> Option<&Session> {
        let seconds = u64::try_from(self.now.millis() / 1_000).unwrap_or(0);
        self.signers.get(key)?.session.as_ref().filter(|session| seconds < session.valid_until)
    }

    /// Lets a session key sign from later on.
    pub fn authorise_session(&mut self, at: Time, key: Address, session: Session) {
        self.schedule(at, super::VenueAction::Session(key, session));
    }

    /// Revokes a session key, also before its registration.
    pub fn revoke_session(&mut self, key: &Address, owner: &Address) {
        let ours = |due: &super::VenueAction| matches!(due, super::VenueAction::Session(k, s) if k == key && s.of == *owner);
        self.queue.retain(|_, due| !ours(due));
        let signer = self.signers.get_mut(key);
        if let Some(signer) = signer.filter(|s| s.session.as_ref().is_some_and(|s| s.of == *owner))
        {
            signer.session = None;
        }
    }

    /// The credentials of an EOA and nonce.
    pub fn derive_key(&self, signer: &Address, nonce: u64) -> Option<&Credentials> {
        self.signers.get(signer)?.keys.get(&nonce)
    }

    /// Deletes a key.
    pub fn delete_key(&mut self, key: &Uuid) -> bool {
        let Some(caller) = self.keys.remove(key) else { return false };
        let signer = self.signers.get_mut(&caller.signer);
        signer.is_some_and(|signer| signer.keys.remove(&caller.nonce).is_some())
    }

    /// The owner of a key.
    pub fn caller(&self, key: &Uuid) -> Option<(Caller, &Credentials)> {
        let caller = self.keys.get(key)?;
        Some((*caller, self.derive_key(&caller.signer, caller.nonce)?))
    }

    /// The account of an EOA.
    pub fn signer(&self, address: &Address) -> Option<&Signer> {
        self.signers.get(address)
    }

    /// The account of an EOA, mutable for tests: bans, closed-only, session keys.
    pub fn signer_mut(&mut self, address: Address) -> &mut Signer {
        self.signers.entry(address).or_default()
    }

    /// Switches a wallet's approvals: all of them are unlimited, or gone.
    pub fn approve(&mut self, wallet: &Address, approved: bool) {
        if let Some(wallet) = self.ledger.wallet_mut(wallet) {
            wallet.approved = approved;
            wallet.allowances.clear();
        }
    }

    /// A wallet's own call gives an approval.
    pub(super) fn allow(&mut self, wallet: &Address, approval: &Approval) {
        if let Some(wallet) = self.ledger.wallet_mut(wallet) {
            wallet.allowances.insert((approval.token, approval.spender), approval.amount);
        }
    }

    /// Counts so much of a wallet's pUSD as matched, although nothing is.
    pub fn hold_matched(&mut self, wallet: &Address, percent: u8) {
        if let Some(wallet) = self.ledger.wallet_mut(wallet) {
            wallet.held_matched = wallet.cash.scale_floor(u64::from(percent), 100);
        }
    }

    /// A new read-only key.
    pub fn create_readonly(&mut self, signer: Address) -> Uuid {
        let key = self.chance.uuid();
        self.readonly.insert(key, signer);
        key
    }

    /// An EOA's read-only keys.
    pub fn readonly_keys(&self, signer: &Address) -> Vec<Uuid> {
        self.readonly.iter().filter(|(_, of)| *of == signer).map(|(key, _)| *key).collect()
    }

    /// Deletes a read-only key of an EOA.
    pub fn delete_readonly(&mut self, signer: &Address, key: &Uuid) -> bool {
        self.readonly.get(key) == Some(signer) && self.readonly.remove(key).is_some()
    }

    /// Makes complete sets from a wallet's pUSD; false if it has too little.
    pub fn split(&mut self, wallet: &Address, market: MarketKey, shares: Shares) -> bool {
        self.sets(*wallet, market, SetAct::Split(shares)).is_some()
    }

    /// Turns complete sets back into pUSD; false if it has too few.
    pub fn merge(&mut self, wallet: &Address, market: MarketKey, shares: Shares) -> bool {
        self.sets(*wallet, market, SetAct::Merge(shares)).is_some()
    }

    /// Pays a wallet's settled shares of a resolved market.
    pub fn redeem(&mut self, wallet: &Address, market: MarketKey) -> Option<Usdc> {
        match self.sets(*wallet, market, SetAct::Redeem)? {
            Move::Redeem { paid, .. } => Some(paid),
            _ => None,
        }
    }

    fn sets(&mut self, wallet: Address, market: MarketKey, act: SetAct) -> Option<Move> {
        let done = self.call_sets(&SetCall { wallet, market, act })?;
        self.record_moves(vec![done]);
        Some(done)
    }
}
