//! Whether a market is followed: a pure function of what Gamma says and of the settings.

use polydesk_domain::{Span, Time, Usdc};
use polydesk_polymarket_api::gamma::GammaMarket;
use polydesk_settings::MarketSettings;
use rust_decimal::Decimal;

/// Why a market is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Passed {
    /// `markets.exclude` names it.
    Excluded,
    /// It accepts no orders.
    NotOpen,
    /// None of its tags is wanted.
    Tag,
    /// Its category is not wanted.
    Category,
    /// Its series is not wanted.
    Series,
    /// Too little liquidity, or none stated.
    Liquidity,
    /// Too little volume in the last 24 hours, or none stated.
    Volume,
    /// Too wide a spread.
    Spread,
    /// It ends too soon.
    EndsSoon,
    /// It ends too late, or no end is stated.
    EndsLate,
}

/// Whether a list names the market by slug or condition id.
pub fn named(list: &[String], market: &GammaMarket) -> bool {
    list.iter().any(|name| {
        name.eq_ignore_ascii_case(&market.slug) || name.eq_ignore_ascii_case(&market.condition_id)
    })
}

/// Whether a market is followed.
///
/// # Errors
/// The first filter that it does not pass.
pub fn admit(market: &GammaMarket, settings: &MarketSettings, now: Time) -> Result<(), Passed> {
    if named(&settings.exclude, market) {
        return Err(Passed::Excluded);
    }
    if !market.state().trades() {
        return Err(Passed::NotOpen);
    }
    if named(&settings.include, market) {
        return Ok(());
    }
    let wanted = |list: &[String], has: &dyn Fn(&str) -> bool| {
        list.is_empty() || list.iter().any(|name| has(name))
    };
    if !wanted(&settings.tags, &|name| market.tags.iter().any(|tag| tag.slug == name)) {
        return Err(Passed::Tag);
    }
    let category = market.category_word();
    if !wanted(&settings.categories, &|name| category.eq_ignore_ascii_case(name)) {
        return Err(Passed::Category);
    }
    let in_series =
        |name: &str| market.events.iter().any(|event| event.series_slug.eq_ignore_ascii_case(name));
    if !wanted(&settings.series, &in_series) {
        return Err(Passed::Series);
    }
    // What is not stated does not pass: unknown is not enough.
    let at_least = |stated: Option<Decimal>, least: Usdc| {
        least <= Usdc::ZERO || stated.is_some_and(|stated| stated >= decimal(least))
    };
    if !at_least(market.liquidity_num.or(market.liquidity), settings.min_liquidity_usd) {
        return Err(Passed::Liquidity);
    }
    if !at_least(market.volume_24hr, settings.min_volume_24h_usd) {
        return Err(Passed::Volume);
    }
    let widest = Decimal::new(i64::from(settings.max_spread.units()), 4);
    if market.spread.is_some_and(|spread| spread > widest) {
        return Err(Passed::Spread);
    }
    ends(market, settings, now)
}

fn ends(market: &GammaMarket, settings: &MarketSettings, now: Time) -> Result<(), Passed> {
    let left = market.end_date.map(|end| now.until(end));
    if left.is_some_and(|left| left < Span::secs(i64::from(settings.min_left_secs))) {
        return Err(Passed::EndsSoon);
    }
    let days = i64::from(settings.max_left_days);
    if days > 0 && left.is_none_or(|left| left > Span::secs(days * 86_400)) {
        return Err(Passed::EndsLate);
    }
    Ok(())
}

fn decimal(amount: Usdc) -> Decimal {
    Decimal::new(amount.micros(), 6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use polydesk_domain::Price;
    use polydesk_polymarket_api::gamma::{EventStub, Tag};

    fn settings() -> MarketSettings {
        MarketSettings {
            include: Vec::new(),
            exclude: Vec::new(),
            tags: Vec::new(),
            categories: Vec::new(),
            series: Vec::new(),
            min_liquidity_usd: Usdc::whole(5_000),
            min_volume_24h_usd: Usdc::whole(1_000),
            max_spread: Price::cents(10),
            min_left_secs: 600,
            max_left_days: 30,
            most: 10,
            refresh_secs: 60,
            watch_secs: 10,
        }
    }

    const NOW: Time = Time::from_secs(1_795_521_600);

    fn market() -> GammaMarket {
        GammaMarket {
            slug: "rain".into(),
            condition_id: "0xAB".into(),
            category: "weather".into(),
            active: true,
            accepting_orders: true,
            enable_order_book: true,
            liquidity_num: Some(Decimal::from(5_000)),
            volume_24hr: Some(Decimal::from(1_000)),
            spread: Some(Decimal::new(10, 2)),
            end_date: Some(NOW + Span::secs(600)),
            ..GammaMarket::default()
        }
    }

    type Change = fn(&mut GammaMarket, &mut MarketSettings);

    #[test]
    fn every_filter_has_its_bound_and_what_is_unknown_does_not_pass() {
        let cases: &[(&str, Change, Result<(), Passed>)] = &[
            ("all bounds are inclusive", |_, _| (), Ok(())),
            ("excluded by slug", |_, s| s.exclude = vec!["RAIN".into()], Err(Passed::Excluded)),
            (
                "excluded wins over included",
                |_, s| (s.exclude, s.include) = (vec!["0xab".into()], vec!["rain".into()]),
                Err(Passed::Excluded),
            ),
            ("paused", |m, _| m.accepting_orders = false, Err(Passed::NotOpen)),
            ("closed", |m, _| m.closed = true, Err(Passed::NotOpen)),
            (
                "included without liquidity",
                |m, s| (m.liquidity_num, s.include) = (None, vec!["rain".into()]),
                Ok(()),
            ),
            (
                "included but paused",
                |m, s| (m.accepting_orders, s.include) = (false, vec!["rain".into()]),
                Err(Passed::NotOpen),
            ),
            ("no tag", |_, s| s.tags = vec!["sports".into()], Err(Passed::Tag)),
            (
                "its tag",
                |m, s| {
                    m.tags = vec![Tag { slug: "sports".into(), ..Tag::default() }];
                    s.tags = vec!["sports".into()];
                },
                Ok(()),
            ),
            ("other category", |_, s| s.categories = vec!["crypto".into()], Err(Passed::Category)),
            ("its category", |_, s| s.categories = vec!["Weather".into()], Ok(())),
            ("no series", |_, s| s.series = vec!["btc-5m".into()], Err(Passed::Series)),
            (
                "its series",
                |m, s| {
                    m.events =
                        vec![EventStub { series_slug: "btc-5m".into(), ..EventStub::default() }];
                    s.series = vec!["btc-5m".into()];
                },
                Ok(()),
            ),
            ("liquidity unknown", |m, _| m.liquidity_num = None, Err(Passed::Liquidity)),
            (
                "a cent too little liquidity",
                |m, _| m.liquidity_num = Some(Decimal::new(499_999, 2)),
                Err(Passed::Liquidity),
            ),
            ("volume unknown", |m, _| m.volume_24hr = None, Err(Passed::Volume)),
            (
                "volume unknown and not asked for",
                |m, s| (m.volume_24hr, s.min_volume_24h_usd) = (None, Usdc::ZERO),
                Ok(()),
            ),
            ("too wide", |m, _| m.spread = Some(Decimal::new(101, 3)), Err(Passed::Spread)),
            ("spread not stated", |m, _| m.spread = None, Ok(())),
            (
                "a second too soon",
                |m, _| m.end_date = Some(NOW + Span::secs(599)),
                Err(Passed::EndsSoon),
            ),
            (
                "a second too late",
                |m, _| m.end_date = Some(NOW + Span::secs(30 * 86_400 + 1)),
                Err(Passed::EndsLate),
            ),
            ("no end", |m, _| m.end_date = None, Err(Passed::EndsLate)),
            ("no end and no bound", |m, s| (m.end_date, s.max_left_days) = (None, 0), Ok(())),
        ];
        for (name, change, want) in cases {
            let (mut market, mut settings) = (market(), settings());
            change(&mut market, &mut settings);
            assert_eq!(admit(&market, &settings, NOW), *want, "{name}");
        }
    }
}
