//! Recorded history as the other traders: placeholder until the tape engine stands.

use std::path::PathBuf;

use alloy::primitives::Address;
use polydesk_domain::{OrderHash, Usdc};

use super::intake::{Placed, Refusal};
use super::order::Order;
use super::{SetupError, Venue};
use crate::setup::TapeSetup;

/// A tape that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TapeError {
    /// It cannot be read.
    #[error("{}: {text}", dir.display())]
    Unreadable {
        /// Its folder.
        dir: PathBuf,
        /// Why.
        text: String,
    },
}

#[derive(Debug)]
pub(crate) struct TapeEngine;

impl Venue {
    pub(super) fn open_tape(&mut self, tape: &TapeSetup, _seed: u64) -> Result<(), SetupError> {
        let text = "not served yet".to_owned();
        Err(TapeError::Unreadable { dir: tape.dir.clone(), text }.into())
    }
    pub(super) fn tape_step(&mut self) {}
    pub(super) fn fund_tape(&mut self, _wallet: Address, _cash: Usdc) {}
    pub(super) fn tape_enter(&mut self, _order: Order) -> Result<Placed, Refusal> {
        Err(Refusal::bad("Invalid order payload"))
    }
    pub(super) fn tape_cancel(&mut self, _id: OrderHash) -> Result<(), &'static str> {
        Err("Order not found")
    }
}
