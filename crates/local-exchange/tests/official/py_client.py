"""Drives PyPI py-clob-client-v2 against the local exchange, with the client's own parsing.

Usage: py_client.py PATH_OF_EXCHANGE_BINARY
"""

import json
import subprocess
import sys

from py_clob_client_v2 import (
    ApiCreds,
    AssetType,
    BalanceAllowanceParams,
    ClobClient,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PartialCreateOrderOptions,
    PostOrdersV2Args,
    Side,
    TradeParams,
)
from py_clob_client_v2.clob_types import BookParams, OrdersScoringParams, OrderScoringParams
from py_clob_client_v2.exceptions import PolyApiException
from py_clob_client_v2.utilities import generate_orderbook_summary_hash, parse_raw_orderbook_summary

ADA_TICK = "0.01"


def check(what, found, want):
    if found != want:
        raise SystemExit(f"{what}: found {found!r}, wanted {want!r}")
    print(f"ok  {what}")


def client(world, account, signature_type=None, wallet=None):
    one = ClobClient(
        host=world["urls"]["clob"],
        chain_id=world["chain_id"],
        key=account["private_key"],
        signature_type=signature_type,
        funder=wallet,
    )
    creds = one.create_or_derive_api_key()
    check("derived key is the printed one", creds.api_key, account["api_key"])
    one.set_api_creds(ApiCreds(creds.api_key, creds.api_secret, creds.api_passphrase))
    return one


def fresh_key(world, account):
    one = ClobClient(host=world["urls"]["clob"], chain_id=world["chain_id"], key=account["private_key"])
    made = one.create_api_key(nonce=5)
    again = one.derive_api_key(nonce=5)
    check("a new nonce makes a new key, derived again", made.api_secret, again.api_secret)
    one.set_api_creds(made)
    check("api keys", len(one.get_api_keys()["apiKeys"]), 2)
    check("closed only", one.get_closed_only_mode(), {"closed_only": False})
    builder = one.create_builder_api_key()
    check("builder key", set(builder), {"key", "secret", "passphrase"})
    check("builder keys", [row["key"] for row in one.get_builder_api_keys()], [builder["key"]])
    check("builder key revoked", one.revoke_builder_api_key(), "OK")
    check("revoked at", "revokedAt" in one.get_builder_api_keys()[0], True)
    check("delete", one.delete_api_key(), "OK")


def refused(act):
    try:
        act()
    except PolyApiException as error:
        return error.status_code, str(error.error_msg)
    raise SystemExit("the exchange took what it should refuse")


def read(world, maker):
    market = world["markets"][0]
    yes, no = market["tokens"]
    check("ok", maker.get_ok(), "OK")
    check("version", maker.get_version(), 2)
    check("tick", str(maker.get_tick_size(yes)), "0.01")
    check("neg risk", maker.get_neg_risk(world["markets"][1]["tokens"][0]), True)
    book = parse_raw_orderbook_summary(maker.get_order_book(yes))
    check("levels", (len(book.bids), len(book.asks)), (5, 5))
    said = book.hash
    check("hash of the book by the client", generate_orderbook_summary_hash(book), said)
    best_bid, best_ask = float(book.bids[-1].price), float(book.asks[-1].price)
    check("best bid", float(maker.get_price(yes, "BUY")["price"]), best_bid)
    check("best ask", float(maker.get_price(yes, "SELL")["price"]), best_ask)
    check("midpoint", float(maker.get_midpoint(yes)["mid"]), round((best_bid + best_ask) / 2, 4))
    check("spread", float(maker.get_spread(yes)["spread"]), round(best_ask - best_bid, 4))
    params = [BookParams(token_id=yes, side="BUY"), BookParams(token_id=no, side="SELL")]
    check("prices", set(maker.get_prices(params)), {yes, no})
    check("midpoints", set(maker.get_midpoints(params)), {yes, no})
    check("books", len(maker.get_order_books(params)), 2)
    check("last trade", maker.get_last_trade_price(yes), {"price": "0.5", "side": ""})
    check("markets", len(maker.get_markets()["data"]), 7)
    check("sampling", len(maker.get_sampling_simplified_markets()["data"]), 1)
    info = maker.get_clob_market_info(market["condition_id"])
    check("market info", [token["t"] for token in info["t"]], market["tokens"])
    check("market", maker.get_market(market["condition_id"])["market_slug"], market["slug"])
    check("rewards", len(maker.get_current_rewards()), 1)
    shown = maker.get_market_trades_events(market["condition_id"])
    check("live activity", shown["market_slug"], market["slug"])


def trade(world, maker, taker, kind):
    """A maker's order is met by a taker's of another wallet type."""
    market = world["markets"][1]
    yes = market["tokens"][0]
    maker.cancel_all()
    book = parse_raw_orderbook_summary(maker.get_order_book(yes))
    price = round(float(book.bids[-1].price) + 0.01, 2)
    options = PartialCreateOrderOptions(tick_size=ADA_TICK, neg_risk=True)
    placed = maker.create_and_post_order(
        OrderArgs(token_id=yes, price=price, size=20, side=Side.BUY), options, OrderType.GTC
    )
    check(f"{kind}: placed", (placed["success"], placed["status"], placed["errorMsg"]), (True, "live", ""))
    order = placed["orderID"]
    check(f"{kind}: read back", maker.get_order(order)["price"], f"{price:g}")
    open_orders = maker.get_open_orders(OpenOrderParams(asset_id=yes))
    check(f"{kind}: open orders", [one["id"] for one in open_orders], [order])
    scoring = maker.are_orders_scoring(OrdersScoringParams(orderIds=[order]))
    check(f"{kind}: scoring", scoring, {order: False})
    check(f"{kind}: scoring of one", maker.is_order_scoring(OrderScoringParams(orderId=order)), {"scoring": False})
    sold = taker.create_and_post_market_order(
        MarketOrderArgs(token_id=yes, amount=8, side=Side.SELL, price=price), options, OrderType.FAK
    )
    check(f"{kind}: sold", (sold["status"], float(sold["makingAmount"])), ("matched", 8.0))
    check(f"{kind}: got", float(sold["takingAmount"]), round(8 * price, 6))
    # The client itself polled the trade until it carried a hash.
    check(f"{kind}: hashes", len(sold["transactionsHashes"]), 1)
    trades = taker.get_trades(TradeParams(id=sold["tradeIDs"][0]))
    check(f"{kind}: trade", (trades[0]["trader_side"], trades[0]["size"]), ("TAKER", "8"))
    seen = maker.get_trades(TradeParams(id=sold["tradeIDs"][0]))
    check(f"{kind}: maker's trade", seen[0]["maker_orders"][0]["order_id"], order)
    left = maker.get_open_orders(OpenOrderParams(id=order))[0]
    check(f"{kind}: size matched", left["size_matched"], "8")
    status, text = refused(
        lambda: taker.create_and_post_market_order(
            MarketOrderArgs(token_id=yes, amount=180, side=Side.SELL, price=0.99), options, OrderType.FOK
        )
    )
    check(f"{kind}: killed", (status, "FOK orders are fully filled or killed" in text), (400, True))
    gone = maker.cancel_order(OrderPayload(orderID=order))
    check(f"{kind}: cancelled", gone, {"canceled": [order], "not_canceled": {}})
    twice = maker.cancel_orders([order])
    check(f"{kind}: not twice", list(twice["not_canceled"]), [order])


def batches(world, maker):
    market = world["markets"][0]
    yes, no = market["tokens"]
    orders = [
        PostOrdersV2Args(order=maker.create_order(OrderArgs(token_id=token, price=0.05, size=10, side=Side.BUY)))
        for token in (yes, no)
    ]
    answers = maker.post_orders(orders)
    check("batch", [one["status"] for one in answers], ["live", "live"])
    done = maker.cancel_market_orders(
        OrderMarketCancelParams(market=market["condition_id"], asset_id=yes)
    )
    check("cancel of a market", done["canceled"], [answers[0]["orderID"]])
    check("cancel of all", maker.cancel_all()["canceled"], [answers[1]["orderID"]])
    beat = maker.post_heartbeat("")
    check("heartbeat", "heartbeat_id" in maker.post_heartbeat(beat["heartbeat_id"]), True)
    cash = maker.get_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    check("balance", int(cash["balance"]) > 0 and len(cash["allowances"]), 3)
    maker.update_balance_allowance(BalanceAllowanceParams(asset_type=AssetType.COLLATERAL))
    buy = maker.create_and_post_market_order(
        MarketOrderArgs(token_id=yes, amount=5, side=Side.BUY), order_type=OrderType.FOK
    )
    check("market buy", (buy["status"], float(buy["makingAmount"])), ("matched", 5.0))
    history = maker.get_notifications()
    check("notifications", len(history) > 0, True)


def newer_protocol(world, maker):
    market = next(one for one in world["markets"] if one["slug"] == "new-protocol")
    yes = market["tokens"][0]
    wrong = maker.create_order(
        OrderArgs(token_id=yes, price=0.05, size=10, side=Side.BUY),
        PartialCreateOrderOptions(tick_size="0.001", neg_risk=False),
    )
    status, text = refused(lambda: maker.post_order(wrong))
    check("protocol v2 order signed for v1", (status, "order_version_mismatch" in text), (400, True))
    right = maker.create_order(
        OrderArgs(token_id=yes, price=0.05, size=10, side=Side.BUY),
        PartialCreateOrderOptions(tick_size="0.001", neg_risk=False, version=3),
    )
    check("protocol v2 order", maker.post_order(right)["status"], "live")


def main():
    process = subprocess.Popen([sys.argv[1], "--json", "--no-counterparties"], stdout=subprocess.PIPE, text=True)
    try:
        world = json.loads(process.stdout.readline())
        accounts = world["accounts"]
        fresh_key(world, accounts[2])
        eoa = client(world, accounts[0])
        read(world, eoa)
        for index, kind in enumerate(["eoa", "proxy", "safe", "deposit"]):
            wallets = [account["wallets"][kind] for account in accounts]
            maker = client(world, accounts[0], index, wallets[0])
            taker = client(world, accounts[1], index, wallets[1])
            trade(world, maker, taker, kind)
        batches(world, eoa)
        newer_protocol(world, eoa)
    finally:
        process.terminate()
        process.wait()
    print("py-clob-client-v2 and the exchange agree")


if __name__ == "__main__":
    main()
