//! What moved without an order and without a conversion of ours.

use std::sync::Arc;

use polydesk_domain::{Conversion, Payout, Shares, Usdc};
use polydesk_runtime::live::chain::ChainLane as _;

use crate::world::*;

#[test]
fn deposits_withdrawals_and_foreign_redemptions_are_named_and_own_conversions_left_out() {
    simulated(async {
        let world = World::new();
        let slug = "ada-wins";
        let lane = world.lane(&Arc::new(Pages::default()));
        let start = world.exchange.venue(|venue| venue.head_block());
        world.fund(Usdc::new(9_000_001));
        pass(4).await;
        let split = world.job(1, slug, Conversion::Split(Shares::new(4_000_000)));
        until_known(&lane, &split, false).await;
        world.fund(Usdc::new(-1_000_000));
        let key = world.key(slug);
        world.exchange.venue(|venue| venue.resolve(key, Payout::NO));
        pass(4).await;
        let held = world.holds(slug);
        world.exchange.venue(|venue| venue.redeem(&world.wallet, key)).unwrap();
        pass(8).await;
        let seen = read(&lane, &[], Some(start)).await;
        let moves: Vec<(String, i64, Vec<i64>)> = seen
            .moves
            .iter()
            .map(|one| {
                let shares = one.shares.iter().map(|(_, amount)| *amount).collect();
                (one.code.to_string(), one.cash.micros(), shares)
            })
            .collect();
        let mut shares = vec![-held[1], -held[2]];
        let market = world.market(slug);
        if market.tokens[0] > market.tokens[1] {
            shares.reverse();
        }
        let expected = [
            ("deposit".to_owned(), 9_000_001, vec![]),
            ("withdrawal".to_owned(), -1_000_000, vec![]),
            // Equal holdings: the gateway knows by the market's state that it is a redemption.
            ("merge_outside".to_owned(), held[2], shares),
        ];
        assert_eq!(moves, expected);
        assert!(seen.moves.is_sorted_by_key(|one| (one.block, one.at)));
        assert!(seen.agreed && !seen.unsettled);
        // Tokens that moved are read although the pass did not name them.
        assert_eq!(seen.shares.len(), 2);
        // From a later block on there is nothing.
        assert_eq!(read(&lane, &[], Some(seen.block)).await.moves, []);
        assert_eq!(read(&lane, &[], None).await.moves, []);
    });
}

#[test]
fn nodes_that_differ_lag_or_stand_still_give_no_movements() {
    let faults = [
        ("act = \"hide_logs\"\nnode = 1", "disagree"),
        ("act = \"stuck\"\nnode = 1", "stale"),
        ("act = \"garble\"\nnode = 0", "malformed"),
    ];
    for (fault, words) in faults {
        simulated(async {
            let world = World::new();
            let lane = world.lane(&Arc::new(Pages::default()));
            let start = world.exchange.venue(|venue| venue.head_block());
            world.fund(Usdc::new(9));
            pass(4).await;
            world.exchange.inject_toml(&format!("[[rpc]]\n{fault}")).unwrap();
            pass(60).await;
            let error = lane.read(&[], Some(start)).await.unwrap_err();
            assert!(error.contains(words), "{fault}: {error}");
        });
    }
}

#[test]
fn one_node_alone_proves_only_what_the_venue_says_too_for_half_a_minute() {
    simulated(async {
        let mut world = World::new();
        world.nodes = 1;
        let lane = world.lane(&Arc::new(Pages::default()));
        assert!(!read(&lane, &[], None).await.agreed);
        pass(29).await;
        assert!(!read(&lane, &[], None).await.agreed);
        pass(2).await;
        assert!(read(&lane, &[], None).await.agreed);
        world.fund(Usdc::new(1));
        pass(4).await;
        assert!(!read(&lane, &[], None).await.agreed, "the balance is a new one");
    });
}
