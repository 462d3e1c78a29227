//! Sockets: the market channel, the user channel, reference prices.

mod audit;
mod frame;
mod link;
mod market;
mod models;
mod prices;
mod tokens;
mod user;

pub use frame::{ChangeRow, Counts, FrameParser, LevelRow, Message, Span as TextSpan};
pub use market::{FeedConfig, FeedItem, FeedStats, MarketFeed};
pub use models::{NewMarket, NewMarketEvent, UserOrder};
#[cfg(test)]
pub(crate) use prices::read_price_frame;
pub use prices::{PriceFeed, PriceItem, PriceSubscription, PricesConfig, Rtds};
pub use tokens::TokenTable;
pub use user::{UserFeed, UserItem, UserMessage, parse_user_frame};
