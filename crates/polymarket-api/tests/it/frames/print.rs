//! Messages of the market channel as text.

use super::{LevelRow, Message};

/// A message with its texts, as text: two parsers must print the same.
pub fn print(message: Message<'_>, frame: &[u8]) -> String {
    match message {
        Message::Changes { at, timestamp, rows } => {
            let rows: Vec<String> = rows
                .iter()
                .map(|r| {
                    format!(
                        "{:?} {:?} {} {} {:?} {} {} {}",
                        r.token,
                        r.side,
                        r.price,
                        r.size,
                        r.top,
                        r.price_text.text(frame),
                        r.size_text.text(frame),
                        r.hash.text(frame)
                    )
                })
                .collect();
            format!("changes {at} {timestamp} {}", rows.join("; "))
        }
        Message::Book {
            token,
            at,
            timestamp,
            market,
            bids,
            asks,
            hash,
            tick,
            last_trade_price,
        } => {
            let side = |rows: &[LevelRow]| {
                rows.iter()
                    .map(|r| {
                        format!(
                            "{}x{} {} {}",
                            r.price,
                            r.size,
                            r.price_text.text(frame),
                            r.size_text.text(frame)
                        )
                    })
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            format!(
                "book {token:?} {at} {timestamp} {market} [{}] [{}] {hash} {tick:?} {last_trade_price}",
                side(bids),
                side(asks)
            )
        }
        other => format!("{other:?}"),
    }
}
