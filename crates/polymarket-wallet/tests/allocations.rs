//! The hot paths ask for no memory: counted by the global allocator of the process, so this file is a program of its
//! own, outside of `tests/it`.

#[path = "../benches/speed/count.rs"]
mod count;

use polydesk_domain::{Price, Shares, Side, Size, Tick, Tif, Token, TokenId};
use polydesk_polymarket_api::ws::{FrameParser, TokenTable};
use polydesk_polymarket_api::{Exchange, OrderArgs};
use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, OrderStamps, Wallet};

/// What a piece of work asked the allocator for.
fn counted(mut work: impl FnMut()) -> u64 {
    let before = count::allocations();
    work();
    count::allocations() - before
}

#[test]
fn an_order_allocates_its_body_and_a_frame_nothing() {
    let key =
        Key::from_hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").unwrap();
    let deposit = Wallet::Deposit(key.address());
    let chain = Chain::polygon();
    let token: TokenId =
        "57953460969144501144385266431497900786362265483971474370583776523710017709396"
            .parse()
            .unwrap();
    let mut stamps = OrderStamps::seeded(1);
    for wallet in [Wallet::Eoa, deposit] {
        let key = Key::from_hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
        let signer = OrderSigner::new(key.unwrap(), wallet, &chain);
        for exchange in [Exchange::Normal, Exchange::NegRisk] {
            let args = OrderArgs {
                token,
                side: Side::Buy,
                price: Price::cents(40),
                size: Size::Shares(Shares::whole(10)),
                tif: Tif::Gtc,
                post_only: false,
                tick: Tick::Cent,
                exchange,
            };
            let mut kept = Vec::with_capacity(100);
            let allocated = counted(|| {
                for _ in 0..100 {
                    let stamp = stamps.next(1_790_000_000_000);
                    let owner = "11111111-2222-4333-8444-555555555555";
                    kept.push(signer.sign(&args, stamp, owner).unwrap());
                }
            });
            // The body, and what counts who shares it.
            assert_eq!(allocated, 200, "{wallet:?}: two allocations a body, and no other");
        }
    }

    let mut table = TokenTable::new();
    table.insert(token, Token(0));
    let frame = format!(
        r#"{{"event_type":"price_change","market":"0x5f65177b394277fd294cd75650044e32ba009a95022d88a0c1d565897d72f8f1","timestamp":"1766789469958","price_changes":[{{"asset_id":"{token}","price":"0.4","size":"15","side":"BUY","hash":"56621a121a47ed9333273e21c83b660cff37ae50","best_bid":"0.4","best_ask":"0.6"}}]}}"#
    );
    let mut parser = FrameParser::new();
    let mut read = 0;
    let mut pass = |times: usize| {
        for _ in 0..times {
            parser.parse(frame.as_bytes(), &table, |_, _| read += 1);
        }
    };
    // The first takes its buffers.
    pass(1);
    assert_eq!(counted(|| pass(1_000)), 0);
    assert_eq!(read, 1_001);
}
