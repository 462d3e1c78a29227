//! Everything the official clients were seen to sign, round and send, run against ours.
//!
//! `VECTORS_DIR` names another folder with files of the same formats.

use std::path::PathBuf;

use polydesk_domain::{Rounding, Time};
use polydesk_polymarket_api::{
    Credentials, Exchange, L2Auth, OrderText, Salt, Secret, SignatureType, Stamp,
    fee_adjusted_spend, walk_price,
};
use polydesk_polymarket_wallet::signing::{
    B256, Chain, Key, OrderSigner, U256, Wallet, derived_wallets, l1_headers, order_type_hash,
    typed_data_sign_type_hash,
};
use rust_decimal::Decimal;
use serde_json::Value;

fn folder() -> PathBuf {
    std::env::var_os("VECTORS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/vectors")),
        PathBuf::from,
    )
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(name: &str) -> Vec<Value> {
    let cases: Vec<Value> = serde_json::from_str(&text(name)).unwrap();
    assert!(!cases.is_empty(), "{name} has no cases");
    cases
}

fn str<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

fn b256(text: &str) -> B256 {
    text.parse().unwrap()
}

fn wallet(input: &Value) -> Wallet {
    let funder = || str(input, "funder").parse().unwrap();
    match input["signature_type"].as_u64() {
        Some(0) => Wallet::Eoa,
        Some(1) => Wallet::Proxy(funder()),
        Some(2) => Wallet::Safe(funder()),
        Some(3) => Wallet::Deposit(funder()),
        other => panic!("signature type {other:?}"),
    }
}

fn chain(id: u64) -> Chain {
    match id {
        137 => Chain::polygon(),
        80_002 => Chain::amoy(),
        other => panic!("chain {other}"),
    }
}

/// The outcome whose amounts and acceptance are the oracle: the unified client's; where it cannot
/// express the case, what the others agree on.
fn oracle(case: &Value) -> Option<&Value> {
    let outcomes = case["outcomes"].as_array().unwrap();
    let of = |client: &str| {
        outcomes.iter().find(|o| o["clients"].as_array().unwrap().iter().any(|c| c == client))
    };
    if case["not_applicable"]["py_unified"].is_null() {
        return of("py_unified");
    }
    // Two clients sign what the third refuses (post-only with FAK, an expiring GTC): refusing is right.
    if case["agree"] == true { outcomes.first() } else { None }
}

#[test]
fn orders_are_signed_as_the_official_clients_sign_them() {
    let (mut signed_cases, mut refused_cases, mut bodies) = (0, 0, 0);
    let mut wrong = Vec::new();
    for line in text("orders.jsonl").lines().filter(|line| !line.trim().is_empty()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let (id, input) = (str(&case, "id"), &case["input"]);
        let chain = chain(input["chain_id"].as_u64().unwrap());
        let exchange = match (input["version"].as_u64(), input["neg_risk"].as_bool()) {
            (Some(3), _) => Exchange::V3,
            (_, Some(true)) => Exchange::NegRisk,
            _ => Exchange::Normal,
        };
        let order = OrderText {
            token: str(input, "asset_id"),
            side: str(input, "side"),
            price: str(input, "price"),
            size: str(input, "size"),
            order_type: str(input, "order_type"),
            expiration: input["expiration"].as_u64().unwrap(),
            post_only: input["post_only"].as_bool().unwrap(),
            tick: str(input, "tick_size"),
            exchange,
        };
        let now_ms = input["timestamp_ms"].as_u64().unwrap();
        let now = Time::from_millis(now_ms as i64);
        let ours = order.parse().and_then(|args| {
            let amounts = args.amounts(Rounding::Sdk, now)?;
            let builder: B256 = str(input, "builder").parse().map_err(|_| {
                polydesk_polymarket_api::Refused::Text {
                    field: "builder",
                    text: str(input, "builder").into(),
                    rule: "0x and 64 hex digits",
                }
            })?;
            Ok((args, amounts, builder))
        });
        let (args, amounts, builder, outcome) = match (ours, oracle(&case)) {
            (Ok((args, amounts, builder)), Some(outcome)) => (args, amounts, builder, outcome),
            (Err(_), None) => {
                refused_cases += 1;
                continue;
            }
            (Ok(_), None) => {
                wrong.push(format!("{id}: signed, the oracle refuses: {}", case["errors"]));
                continue;
            }
            (Err(error), Some(_)) => {
                wrong.push(format!("{id}: refused ({error}), the oracle signs"));
                continue;
            }
        };
        let key = Key::from_hex(str(input, "private_key")).unwrap();
        assert_eq!(key.address().to_string(), str(input, "eoa"), "{id}");
        let signer = OrderSigner::new(key, wallet(input), &chain)
            .with_builder(builder)
            .with_metadata(b256(str(input, "metadata")))
            .with_rounding(Rounding::Sdk);
        let salt = Salt::new(input["salt"].as_u64().unwrap()).unwrap();
        let stamp = Stamp { salt, timestamp_ms: now_ms };
        let signed = signer.sign(&args, stamp, OWNER).unwrap();
        let digests = signer.digests(signed.unsigned());
        let order = &outcome["order"];
        let mut expect = |what: &str, ours: String, theirs: &str| {
            if !ours.eq_ignore_ascii_case(theirs) {
                wrong.push(format!("{id}: {what} is {ours}, the oracle has {theirs}"));
            }
        };
        expect("makerAmount", amounts.maker.to_string(), str(order, "makerAmount"));
        expect("takerAmount", amounts.taker.to_string(), str(order, "takerAmount"));
        expect("maker", signer.maker().to_string(), str(order, "maker"));
        let domain = chain.domain(exchange);
        expect("domain separator", domain.separator.to_string(), str(outcome, "domain_separator"));
        expect("exchange", domain.contract.to_string(), str(outcome, "exchange"));
        expect("struct hash", digests.struct_hash.to_string(), str(outcome, "struct_hash"));
        expect("order id", signed.id().to_string(), str(outcome, "order_hash"));
        if let Some(digest) = outcome["signed_digest"].as_str() {
            expect("signed digest", digests.signed.to_string(), digest);
        }
        let signature = format!("0x{}", hex(signed.signature()));
        expect("signature", signature, str(outcome, "signature"));
        signed_cases += 1;

        // The body: byte for byte the Python client's, and with it its HMAC.
        let defer = input["defer_exec"].as_bool().unwrap();
        // This client never asks for deferred execution, which is not signed.
        let mut body = String::from_utf8(signed.body().to_vec()).unwrap();
        if defer {
            body = body.replace("\"deferExec\":false", "\"deferExec\":true");
        }
        let body = body.into_bytes();
        if let Some(theirs) = outcome["post"]["py"]["body"].as_str() {
            let ours = String::from_utf8(body.clone()).unwrap();
            if ours != theirs {
                wrong.push(format!("{id}: body\n  ours   {ours}\n  theirs {theirs}"));
            }
            let auth = posting_auth(str(input, "eoa"));
            let mac = auth.sign(now_ms / 1000, "POST", "/order", &body);
            if Some(mac.as_str()) != outcome["post"]["py"]["POLY_SIGNATURE"].as_str() {
                wrong.push(format!("{id}: the HMAC of the body differs"));
            }
            bodies += 1;
        }
        // The other clients: the same fields with the same values, whatever their order.
        for (client, post) in outcome["post"].as_object().into_iter().flatten() {
            let Some(theirs) = post["body"].as_str() else { continue };
            let ours = flat(&serde_json::from_slice(&body).unwrap());
            let mut theirs = flat(&serde_json::from_str(theirs).unwrap());
            if client == "py_unified"
                && input["expiration"] == 0
                && str(input, "order_type") == "GTD"
            {
                // It has no GTD without an expiration: it posted the same signed order as GTC.
                theirs.insert("orderType".into(), ours["orderType"].clone());
            }
            if ours != theirs {
                wrong.push(format!(
                    "{id}: {client}'s body has other fields:\n  {ours:?}\n  {theirs:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    println!("{signed_cases} signed, {refused_cases} refused, {bodies} bodies equal");
    assert!(signed_cases > 0 && bodies > 0);
}

const OWNER: &str = "11111111-2222-4333-8444-555555555555";

/// The clients of the vectors posted with one secret.
fn posting_auth(eoa: &str) -> L2Auth {
    use base64::Engine;
    use sha2::Digest;
    let secret = base64::engine::general_purpose::URL_SAFE
        .encode(sha2::Sha256::digest(b"polymarket-test-secret-0"));
    let passphrase = hex(&sha2::Sha256::digest(b"polymarket-test-passphrase"));
    auth(eoa, &secret, &passphrase)
}

fn auth(address: &str, secret: &str, passphrase: &str) -> L2Auth {
    let credentials = Credentials {
        key: OWNER.into(),
        secret: Secret::new(secret),
        passphrase: Secret::new(passphrase),
    };
    L2Auth::new(address, credentials).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fields and values of a body; addresses without case, `postOnly: false` as absent.
fn flat(body: &Value) -> std::collections::BTreeMap<String, String> {
    let mut fields = std::collections::BTreeMap::new();
    for (key, value) in body.as_object().unwrap() {
        if let Some(order) = value.as_object() {
            for (key, value) in order {
                fields.insert(format!("order.{key}"), value.to_string().to_lowercase());
            }
        } else if !(matches!(key.as_str(), "postOnly") && value == false) {
            fields.insert(key.clone(), value.to_string().to_lowercase());
        }
    }
    fields
}

#[test]
fn l1_headers_are_the_official_ones() {
    for case in cases("l1_auth.json") {
        let (id, input) = (str(&case, "id"), &case["input"]);
        let key = Key::from_hex(str(input, "private_key")).unwrap();
        let nonce: U256 = input["nonce"].to_string().trim_matches('"').parse().unwrap();
        let ours = l1_headers(
            &key,
            input["chain_id"].as_u64().unwrap(),
            input["timestamp"].as_u64().unwrap(),
            nonce,
        );
        for (client, headers) in case["results"].as_object().unwrap() {
            for (name, value) in ours.pairs() {
                let theirs = str(headers, name);
                // One client writes the address in lower case.
                let equal = if name == "POLY_ADDRESS" {
                    value.eq_ignore_ascii_case(theirs)
                } else {
                    value == theirs
                };
                assert!(equal, "{id} {client} {name}: {value} and {theirs}");
            }
        }
    }
}

#[test]
fn the_hmac_signs_the_body_as_it_is() {
    for case in cases("l2_hmac.json") {
        let (id, input) = (str(&case, "id"), &case["input"]);
        let secret = str(input, "secret");
        let ours = auth("0x0", secret, "p").sign(
            input["timestamp"].as_u64().unwrap(),
            str(input, "method"),
            str(input, "path"),
            input["body"].as_str().unwrap_or("").as_bytes(),
        );
        // Two clients replace quotes; the other two are the oracle.
        for client in ["ts", "py_unified"] {
            if let Some(theirs) = case["results"][client].as_str() {
                assert_eq!(ours, theirs, "{id} {client}");
            }
        }
    }
}

#[test]
fn whole_requests_carry_the_official_headers() {
    use polydesk_polymarket_api::clob::request;
    for case in cases("l2_http.json") {
        let (id, op) = (str(&case, "id"), str(&case, "op"));
        let auth = auth(str(&case, "eoa"), str(&case, "secret"), str(&case, "passphrase"));
        let clock = case["clock_s"].as_u64().unwrap();
        let theirs = &case["py"][0];
        let url = str(theirs, "url");
        let path = url.strip_prefix("https://clob.polymarket.com").unwrap();
        let order =
            "0xabababababababababababababababababababababababababababababababab".parse().unwrap();
        let other =
            "0xcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd".parse().unwrap();
        let market =
            "0x86964402baab9700a765594e0856dcfce5120b44e0016d98e01801f0856f9118".parse().unwrap();
        let token = "89103662922399853582210727094555628545682161257465140653230183411405552444242"
            .parse()
            .unwrap();
        let ours = match op {
            "get_api_keys" => request::api_keys(),
            "closed_only_mode" => request::closed_only(),
            "delete_api_key" => request::delete_api_key(),
            "get_order" => request::order(&order),
            "cancel_order" => request::cancel_order(&order),
            "cancel_orders" => request::cancel_orders(&[order, other]),
            "cancel_all" => request::cancel_all(),
            "cancel_market_orders" => request::cancel_market(Some(&market), Some(&token)),
            "get_open_orders" => request::open_orders(
                &request::OrderFilter { market: Some(market), ..Default::default() },
                None,
            ),
            "get_trades" => request::trades(
                &request::TradeFilter { market: Some(market), ..Default::default() },
                None,
            ),
            "balance_allowance" => {
                request::balance_allowance(request::Asset::Collateral, SignatureType::Eoa)
            }
            "update_balance_allowance" => request::update_balance_allowance(
                request::Asset::Conditional(token),
                SignatureType::Eoa,
            ),
            "post_heartbeat" => request::heartbeat(""),
            "create_api_key" => request::create_api_key(),
            "derive_api_key" => request::derive_api_key(),
            other => panic!("{id}: no request for {other}"),
        };
        assert_eq!(ours.method.as_str(), str(theirs, "method"), "{id}");
        assert_eq!(ours.path, path, "{id}");
        assert_eq!(ours.body_text(), theirs["body"].as_str(), "{id}");
        let mut query: Vec<(String, String)> = theirs["params"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.clone(), value.to_string().trim_matches('"').to_owned()))
            // The first page is the same with and without its cursor.
            .filter(|(key, _)| key != "next_cursor")
            .collect();
        let mut our_query = ours.query.clone();
        query.sort();
        our_query.sort();
        assert_eq!(our_query, query, "{id}");
        let signature = theirs["headers"]["POLY_SIGNATURE"].as_str();
        if theirs["headers"]["POLY_API_KEY"].is_string() {
            let body = ours.body_text().unwrap_or("");
            let headers = auth.headers(clock, ours.method.as_str(), &ours.path, body.as_bytes());
            for (name, value) in headers.pairs() {
                assert_eq!(Some(value), theirs["headers"][name].as_str(), "{id} {name}");
            }
        } else {
            assert!(signature.is_some(), "{id}");
        }
    }
}

#[test]
fn market_orders_walk_the_book_like_the_unified_client() {
    for case in cases("market_price.json") {
        let (id, input) = (str(&case, "id"), &case["input"]);
        let levels = |side: &str| -> Vec<(Decimal, Decimal)> {
            let levels = input[side].as_array().unwrap();
            levels
                .iter()
                .map(|level| {
                    (str(level, "price").parse().unwrap(), str(level, "size").parse().unwrap())
                })
                .collect()
        };
        let buy = str(input, "side") == "BUY";
        let book = levels(if buy { "asks" } else { "bids" });
        let amount: Decimal = str(input, "amount").parse().unwrap();
        let whole = str(input, "order_type") == "FOK";
        let ours = walk_price(&book, buy, amount, whole);
        let theirs = &case["results"]["py_unified"];
        match (ours, theirs.as_str()) {
            (Ok(price), Some(theirs)) => {
                assert_eq!(price, theirs.parse::<Decimal>().unwrap(), "{id}");
            }
            (Err(_), None) => {}
            (ours, _) => panic!("{id}: {ours:?}, the oracle has {theirs}"),
        }
    }
}

#[test]
fn buys_shrink_to_fit_their_fees_like_the_unified_client() {
    for case in cases("fee_adjust.json") {
        let (id, input) = (str(&case, "id"), &case["input"]);
        let number = |key: &str| str(input, key).parse::<Decimal>().unwrap();
        let ours = fee_adjusted_spend(
            number("amount"),
            number("price"),
            number("user_usdc_balance"),
            number("fee_rate"),
            input["fee_exponent"].as_u64().unwrap() as u32,
            number("builder_taker_fee_rate"),
        )
        .unwrap_or_else(|error| panic!("{id}: {error}"));
        // Beyond 28 decimals no decimal of ours can follow; the venue takes two.
        let theirs = str(&case["results"], "py_unified");
        let theirs = scientific(theirs);
        assert!((ours - theirs).abs() <= Decimal::new(1, 28), "{id}: {ours} and {theirs}");
    }
}

fn scientific(text: &str) -> Decimal {
    let (digits, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap();
    let number: Decimal = digits.parse().unwrap();
    let mut scaled = number;
    for _ in 0..exponent.unsigned_abs() {
        scaled = if scaled.is_zero() {
            scaled
        } else if exponent < 0 {
            scaled / Decimal::TEN
        } else {
            scaled * Decimal::TEN
        };
    }
    scaled
}

#[test]
fn wallets_are_where_the_factories_put_them() {
    for case in cases("wallet_derivation.json") {
        let id = str(&case, "id");
        let ours = derived_wallets(
            str(&case["input"], "eoa").parse().unwrap(),
            Chain::polygon().contracts(),
        );
        for (client, wallets) in case["results"].as_object().unwrap() {
            for (name, address) in wallets.as_object().unwrap() {
                let ours = match name.as_str() {
                    "proxy" => ours.proxy,
                    "safe" => ours.safe,
                    "deposit_beacon" => ours.deposit_beacon,
                    "deposit_uups" => ours.deposit_uups,
                    other => panic!("{id}: {other}"),
                };
                let theirs = address.as_str().unwrap();
                assert!(ours.to_string().eq_ignore_ascii_case(theirs), "{id} {client} {name}");
            }
        }
    }
}

#[test]
fn constants_are_the_published_ones() {
    let constants: Value = serde_json::from_str(&text("constants.json")).unwrap();
    let hashes = &constants["type_hashes"];
    assert_eq!(order_type_hash(), b256(str(hashes, "Order")));
    assert_eq!(typed_data_sign_type_hash(), b256(str(hashes, "TypedDataSign")));
    for (id, chain) in [("137", Chain::polygon()), ("80002", Chain::amoy())] {
        for (name, exchange) in [
            ("exchange_v2", Exchange::Normal),
            ("neg_risk_exchange_v2", Exchange::NegRisk),
            ("exchange_v3", Exchange::V3),
        ] {
            let domain = chain.domain(exchange);
            assert_eq!(domain.separator, b256(str(&constants["domain_separators"][id], name)));
            let contract = str(&constants["contracts"][id], name);
            assert!(domain.contract.to_string().eq_ignore_ascii_case(contract));
        }
    }
    for (tick, decimals) in constants["rounding"].as_object().unwrap() {
        let Ok(tick) = tick.parse::<Decimal>() else { continue };
        let (price, size, amount) = polydesk_domain::Tick::try_from(tick).unwrap().decimals();
        assert_eq!(*decimals, serde_json::json!([price, size, amount]), "{tick}");
    }
}

#[test]
fn book_hashes_follow_the_venue() {
    use polydesk_domain::{HashInput, RawLevel, book_hash};
    let hash = |book: &Value| {
        let levels = |side: &str| -> Vec<RawLevel<'_>> {
            let levels = book[side].as_array().unwrap();
            levels
                .iter()
                .map(|l| RawLevel { price: str(l, "price"), size: str(l, "size") })
                .collect()
        };
        book_hash(&HashInput {
            market: str(book, "market"),
            asset_id: str(book, "asset_id"),
            timestamp: str(book, "timestamp"),
            bids: &levels("bids"),
            asks: &levels("asks"),
            min_order_size: str(book, "min_order_size"),
            tick_size: str(book, "tick_size"),
            neg_risk: book["neg_risk"].as_bool().unwrap(),
            last_trade_price: book["last_trade_price"].as_str(),
        })
    };
    for case in cases("book_hash.json") {
        let id = str(&case, "id");
        assert_eq!(hash(&case["input"]["orderbook"]), str(&case["results"], "py"), "{id}");
    }
    for case in cases("book_hash_real.json") {
        assert_eq!(hash(&case["book"]), str(&case, "expected_hash"), "{}", str(&case, "id"));
    }
}
