//! Faults of `docs/faults.md` against the real program over real sockets: the exchange misbehaves, a person stops entries,
//! and what the program believes must be the exchange's truth. Nothing waits for a time: only for what is there.

use polydesk_domain::{OrderHash, Outcome, Price, Shares, Side, Size, Span, Tif, Usdc};
use polydesk_local_exchange::venue::{Order, OrderSpec, Venue};
use polydesk_local_exchange::wallets::WalletKind;
use serde_json::Value;

use crate::crash::{cash, shares};
use crate::process::{Process, World, post, until};

/// Quotes and nothing else: what is traded is what the test does.
pub const QUOTES: &str =
    "[run]\nstrategies = [\"stink_bidder\"]\n[rehearsal]\ncrash_loop = false\n";

pub fn ready(glance: &Value) -> bool {
    glance["blockers"].as_array().is_some_and(Vec::is_empty)
}

pub fn blocked(glance: &Value, code: &str) -> bool {
    let blockers = glance["blockers"].as_array();
    blockers.is_some_and(|blockers| blockers.iter().any(|blocker| blocker["code"] == code))
}

/// A running program on an exchange of its own.
pub struct Run {
    pub world: World,
    pub process: Process,
    /// A blocker of entries that is there at the end and has a person to wait for.
    stays: &'static str,
}

impl Run {
    /// Starts with these faults and waits until so many orders have arrived.
    pub fn begin(seed: u64, faults: &str, orders: usize) -> Run {
        Run::with(World::new(seed), faults, QUOTES, orders)
    }

    pub fn with(world: World, faults: &str, config: &str, orders: usize) -> Run {
        world.exchange.inject_toml(faults).unwrap();
        let process = Process::start(world.live(config));
        let mut run = Run { world, process, stays: "paused" };
        run.until("orders", |world, _| world.orders().0 >= orders);
        run
    }

    pub fn fault(&self, faults: &str) {
        self.world.exchange.inject_toml(faults).unwrap();
    }

    pub fn until(&mut self, what: &str, holds: impl Fn(&World, &Value) -> bool) -> Value {
        let (world, data) = (&self.world, self.world.data());
        until(&data, &mut self.process, what, |glance| holds(world, glance))
    }

    pub fn post(&self, path: &str) -> Value {
        post(&self.world.data(), path).unwrap()
    }

    /// Our open order with the highest limit.
    fn best(&self) -> Option<Order> {
        let ours = self.world.exchange.accounts()[0].wallets[&WalletKind::Deposit];
        self.world.exchange.venue(|venue| {
            let open = venue.orders().filter(|order| order.wallet == ours && !order.status.ended());
            open.filter(|order| order.side == Side::Buy).max_by_key(|order| order.limit).cloned()
        })
    }

    /// Another account sells into one of our bids, through whatever is better: part of it, or more than it.
    pub fn fill(&mut self, part: u64) {
        let before = self.trades();
        for _ in 0..20 {
            let sale = self.sell(part);
            // Some markets hold a taker's order back for a moment.
            self.until("the end of the sale", |world, _| {
                let ended = |venue: &Venue| venue.order(&sale).is_none_or(|it| it.status.ended());
                world.exchange.venue(|venue| ended(venue))
            });
            if self.trades() > before {
                return;
            }
            // The quote was cancelled in that moment: after a fill its market is left for a while.
        }
        panic!("no bid of ours was there long enough to be filled");
    }

    fn sell(&mut self, part: u64) -> OrderHash {
        self.until("a bid", |world, _| world.orders().1 > 0);
        let order = loop {
            // A quote may just be replaced.
            if let Some(order) = self.best() {
                break order;
            }
        };
        let other = self.world.exchange.accounts()[1].clone();
        let (key, wallet) = (other.credentials.unwrap().key, other.wallets[&WalletKind::Deposit]);
        self.world.exchange.venue(|venue| {
            let market = order.token.market();
            venue.fund(wallet, Usdc::whole(200_000));
            assert!(venue.split(&wallet, market, Shares::whole(100_000)));
            // Everything that is better, or as good and older, goes first; then as much of ours as is wanted.
            let before: Shares = venue.book(order.token).map_or(Shares::ZERO, |book| {
                let above = book.bids.iter().filter(|(price, _)| *price >= order.limit);
                above.map(|(_, shares)| *shares).sum()
            });
            let before = before.saturating_sub(order.open);
            let size = Size::Shares(before.floor_cents() + Shares::whole(part));
            let tif = Tif::Fak;
            let spec = OrderSpec {
                token: order.token,
                side: Side::Sell,
                price: order.limit,
                size,
                tif,
                post_only: false,
            };
            venue.place_as(key, wallet, &spec).unwrap().order.id
        })
    }

    /// Trades of the account that the exchange has.
    pub fn trades(&self) -> usize {
        let ours = self.world.exchange.accounts()[0].owner;
        self.world
            .exchange
            .venue(|venue| venue.trades().filter(|trade| trade.concerns(&ours)).count())
    }

    /// Stops entries and cancels everything; waits until the program's view is the exchange's truth.
    pub fn agrees(&mut self) -> Value {
        self.post("/v1/pause");
        self.post("/v1/cancel");
        let stays = self.stays;
        let glance = self.until("the truth", |world, glance| {
            let orders = glance["orders"].as_array().unwrap();
            let unknown = orders.iter().filter(|order| order["state"] == "unknown").count();
            let fine = |blocker: &Value| {
                blocker["code"] == "paused"
                    || blocker["code"] == stays
                    || (unknown > 0 && blocker["code"] == "not_reconciled")
            };
            !world.moving()
                && glance["blockers"].as_array().unwrap().iter().all(fine)
                && orders.len() - unknown == world.orders().1
                && cash(glance) == world.cash()
                && shares(glance) == world.shares()
        });
        // What the exchange has and no entry names would have been sent without its entry, or twice.
        for order in glance["orders"].as_array().unwrap() {
            assert_ne!(order["strategy"], "external", "{order}");
        }
        self.world.exchange.check().unwrap();
        glance
    }

    /// The truth once more, and a clean end.
    pub fn ends(mut self) -> Value {
        let glance = self.agrees();
        self.process.signal("TERM");
        let (code, said) = self.process.ended();
        assert_eq!((code, self.world.orders().1), (Some(0), 0), "{said}");
        glance
    }

    /// Requests of orders that arrived so far.
    pub fn posts(&self) -> usize {
        ["/order", "/orders"].map(|path| self.world.exchange.count("POST", path)).iter().sum()
    }
}

/// One request of an order whose answer is spoiled, and the orders after it.
fn spoiled(seed: u64, act: &str) {
    let fault = format!("[[answers]]\nendpoint = \"POST /order*\"\ncalls = \"2\"\n{act}\n");
    let run = Run::begin(seed, &fault, 6);
    run.ends();
}

#[test]
fn a1_real_an_order_whose_answer_is_lost_is_found_and_sent_once() {
    spoiled(21, "act = \"lose_answer\"\nreset = true");
}

#[test]
fn a2_real_a_bad_gateway_after_an_order_was_taken_is_no_refusal() {
    spoiled(22, "status = 502\nbody = \"<html>Bad gateway</html>\"\ncontent_type = \"text/html\"");
}

#[test]
fn a3_real_duplicated_is_no_refusal_of_the_order_that_is_there() {
    spoiled(
        23,
        "status = 400\nbody = \"{\\\"error\\\":\\\"order 0x1 is invalid. Duplicated.\\\"}\"",
    );
}

#[test]
fn b1_real_a_ghost_fill_is_undone_once() {
    let ghost = "[[settlement]]\naccount = \"OWNER\"\ntrades = \"1\"\nmined = \"1s\"\nending = \"fail_mined\"\n";
    let world = World::new(24);
    let owner = world.exchange.accounts()[0].owner.to_string();
    let mut run = Run::with(world, &ghost.replace("OWNER", &owner), QUOTES, 4);
    run.fill(5);
    let failed = |world: &World| {
        let owner = world.exchange.accounts()[0].owner;
        world.exchange.venue(|venue| {
            let mut ours = venue.trades().filter(|trade| trade.concerns(&owner));
            ours.any(|trade| trade.status == polydesk_domain::TradeStatus::Failed)
        })
    };
    run.until("the failure", |world, _| failed(world));
    run.fill(5);
    run.ends();
}

#[test]
fn b4_real_trades_that_come_twice_are_booked_once() {
    let twice = "[[streams]]\nchannel = \"user\"\nact = \"duplicate\"\n";
    let mut run = Run::begin(25, twice, 4);
    run.fill(5);
    run.fill(7);
    assert!(run.trades() >= 2);
    run.ends();
}

#[test]
fn b13_real_a_fill_while_the_user_channel_is_down_is_found() {
    let mut run = Run::begin(26, "", 4);
    run.fault(
        "[[streams]]\nchannel = \"user\"\nact = \"cut\"\n[[streams]]\nchannel = \"user\"\nact = \"refuse\"\nfor = \"3s\"\n",
    );
    run.until("the loss of the channel", |_, glance| blocked(glance, "user_link_down"));
    run.fill(5);
    run.until("the channel", |_, glance| ready(glance));
    assert!(run.trades() >= 1);
    run.ends();
}

#[test]
fn c3_real_cancels_that_are_answered_with_nothing_are_sent_again() {
    let fault = "[[answers]]\nendpoint = \"DELETE /orders\"\ncalls = \"1..3\"\nstatus = 200\nbody = \"{\\\"canceled\\\":[],\\\"not_canceled\\\":{}}\"\n[[answers]]\nendpoint = \"DELETE /cancel-all\"\ncalls = \"1..2\"\nact = \"lose_request\"\n";
    let run = Run::begin(27, fault, 4);
    run.ends();
}

#[test]
fn c8_real_a_restart_of_the_venue_is_not_hammered_and_everything_is_cancelled_after_it() {
    let mut run = Run::begin(28, "", 4);
    run.fault("[[engine]]\nact = \"restart\"\nfor = \"4s\"\n");
    let before = run.posts();
    run.until("the mode", |world, _| world.exchange.received().iter().any(|one| one.status == 425));
    run.post("/v1/pause");
    run.post("/v1/cancel");
    run.until("zero", |world, _| world.orders().1 == 0);
    assert!(run.posts() - before <= 12, "{} requests", run.posts() - before);
    run.ends();
}

#[test]
fn c9_c11_real_without_heartbeats_nothing_leaves_and_the_lapse_is_seen() {
    let mut run = Run::begin(29, "", 4);
    run.fault(
        "[[answers]]\nendpoint = \"POST /v1/heartbeats\"\ncalls = \"1..8\"\nact = \"silence_before\"\n",
    );
    run.until("a missed heartbeat", |_, glance| blocked(glance, "heartbeat"));
    let before = run.posts();
    run.until("the lapse", |world, _| world.orders().1 == 0);
    assert_eq!(run.posts(), before, "an order left without a heartbeat");
    run.until("orders again", |world, glance| ready(glance) && world.orders().1 > 0);
    run.ends();
}

#[test]
fn d1_real_nothing_leaves_on_a_stream_that_stands_still_and_it_recovers() {
    let config = format!("{QUOTES}[feed]\nmax_proof_age_secs = 2\n");
    let mut run = Run::with(World::new(30), "", &config, 4);
    run.fault(
        "[[streams]]\nchannel = \"market\"\nact = \"mute\"\nfor = \"8s\"\n[[answers]]\nendpoint = \"* /book*\"\ncalls = \"1..30\"\nstatus = 500\nbody = \"\"\n",
    );
    let stale = |glance: &Value| {
        glance["feed"]["unverified"].as_u64() == glance["feed"]["open_markets"].as_u64()
    };
    run.until("old books", |_, glance| stale(glance));
    // What was decided before may still be on its way.
    run.until("no order on its way", |_, glance| {
        let orders = glance["orders"].as_array().unwrap();
        orders.iter().all(|order| order["state"] != "sent")
    });
    let before = run.posts();
    run.until("fresh books", |_, glance| {
        glance["feed"]["unverified"].as_u64().is_some_and(|count| count == 0)
    });
    assert!(run.posts() - before <= 4, "{} requests on old books", run.posts() - before);
    run.until("orders again", |world, glance| ready(glance) && world.orders().1 > 0);
    run.ends();
}

#[test]
fn e11_real_an_account_that_may_only_close_enters_nothing_and_is_not_hammered() {
    let mut run = Run::begin(31, "", 4);
    run.fill(5);
    let owner = run.world.exchange.accounts()[0].owner;
    run.fault(&format!("[[engine]]\nact = \"closed_only\"\naccount = \"{owner}\"\n"));
    // Quotes have to be placed again.
    run.post("/v1/cancel");
    let (before, began) = (run.posts(), run.world.exchange.now());
    run.until("a refusal, and some time", |world, _| {
        let refused = world
            .exchange
            .received()
            .iter()
            .any(|one| one.path.starts_with("/order") && one.status == 400);
        refused && began.until(world.exchange.now()) >= Span::secs(5)
    });
    assert!(run.posts() - before <= 20, "{} requests", run.posts() - before);
    assert_eq!(run.world.orders().1, 0);
    // After so many refusals entries wait for a person.
    run.stays = "other";
    run.ends();
}

#[test]
fn p6_p10_real_connections_that_break_at_random_change_no_order() {
    let storm = "[[answers]]\nendpoint = \"* *\"\ncalls = \"30..400\"\nchance_ppm = 100000\nact = \"lose_answer\"\nreset = true\n[[answers]]\nendpoint = \"* *\"\ncalls = \"30..400\"\nchance_ppm = 100000\nact = \"cut\"\n";
    let mut run = Run::begin(32, storm, 8);
    run.fill(5);
    run.ends();
}

/// The account's money to the micro-dollar: the program's, the exchange's wallet, and the chain's newest block.
#[test]
fn b18_real_cash_and_shares_are_the_wallets_and_the_chains_whatever_moved_them() {
    let world = World::new(33);
    let owner = world.exchange.accounts()[0].owner.to_string();
    let ghost = format!(
        "[[settlement]]\naccount = \"{owner}\"\ntrades = \"2\"\nmined = \"1s\"\nending = \"fail\"\n"
    );
    let config = "[run]\nstrategies = [\"stink_bidder\", \"arb_scanner\"]\n[rehearsal]\ncrash_loop = false\n";
    let mut run = Run::with(world, &ghost, config, 4);
    // In parts, one of them a ghost.
    for part in [5, 6, 7] {
        run.fill(part);
    }
    // A person takes at the price, with a fee.
    let account = run.world.exchange.accounts()[0].clone();
    let (key, wallet) = (account.credentials.unwrap().key, account.wallets[&WalletKind::Deposit]);
    let rain = run.world.exchange.venue(|venue| {
        let ids = venue.universe();
        ids.keys().find(|key| ids.market(*key).slug == "rain-tomorrow").unwrap()
    });
    run.world.exchange.venue(|venue| {
        let token = rain.token(Outcome::Yes);
        let spec = OrderSpec::limit(token, Side::Buy, Price::cents(95), Shares::whole(6));
        venue.place_as(key, wallet, &spec).unwrap();
        // A split on the website.
        assert!(venue.split(&wallet, rain, Shares::whole(7)));
    });
    run.agrees();
    // A market that is held is decided; the program redeems it.
    run.world.exchange.venue(|venue| venue.resolve(rain, polydesk_domain::Payout::YES));
    let held = |world: &World| world.shares().iter().any(|(slug, _, _)| slug == "rain-tomorrow");
    run.until("the redemption", |world, _| !held(world));
    let glance = run.agrees();
    let head = run.world.exchange.venue(|venue| venue.head_block());
    let chain = run.world.exchange.venue(|venue| venue.cash_at(&wallet, head));
    assert_eq!(cash(&glance).micros(), chain);
    run.ends();
}
