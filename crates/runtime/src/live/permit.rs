//! Whether an order may leave now: asked before it is signed, and again before its first byte.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use polydesk_domain::{ClientOrderId, Code};

/// One reason why no order may leave now; `None`: one may. It is asked on the way to the wire, so it waits for nothing.
pub type Check = Arc<dyn Fn() -> Option<Code> + Send + Sync>;

/// Everything that can stop an order on its way, and the orders that are not wanted any more.
#[derive(Clone, Default)]
pub struct Permit {
    checks: Arc<Vec<Check>>,
    withdrawn: Arc<Mutex<BTreeSet<ClientOrderId>>>,
}

impl Permit {
    /// With these checks, asked in this order.
    pub fn new(checks: Vec<Check>) -> Permit {
        Permit { checks: Arc::new(checks), withdrawn: Arc::default() }
    }

    /// Why this order may not leave now.
    pub fn stopped(&self, id: ClientOrderId) -> Option<Code> {
        let stopped = self.checks.iter().find_map(|check| check());
        stopped.or_else(|| self.is_withdrawn(id).then_some(Code::literal("cancelled_before_sent")))
    }

    /// An order that has not left is not wanted any more.
    pub fn withdraw(&self, id: ClientOrderId) {
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    /// An order has left or never will: nothing can be withdrawn.
    pub fn over(&self, id: ClientOrderId) {
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn is_withdrawn(&self, id: ClientOrderId) -> bool {
        self.withdrawn.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}
