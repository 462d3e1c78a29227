//! What is shown while it runs: a status block on a terminal, plain lines when piped.

use std::fmt::Write as _;
use std::io::Write as _;

use polydesk_domain::Time;
use polydesk_runtime::glance::Glance;

/// Shows glances.
pub struct Screen {
    terminal: console::Term,
    tty: bool,
    /// Lines of the block that stands on the screen.
    shown: usize,
    last: Option<Time>,
}

/// Between two plain lines, in seconds of engine time.
const PLAIN: i64 = 10;

impl Default for Screen {
    fn default() -> Screen {
        Screen::new()
    }
}

impl Screen {
    /// On standard error: reports go to standard output.
    pub fn new() -> Screen {
        let terminal = console::Term::stderr();
        let tty = terminal.is_term() && std::env::var_os("NO_STATUS").is_none();
        Screen { terminal, tty, shown: 0, last: None }
    }

    /// Whether a block is drawn over and over.
    pub fn is_block(&self) -> bool {
        self.tty
    }

    /// Shows a glance.
    pub fn show(&mut self, glance: &Glance) {
        if self.tty {
            let width = usize::from(self.terminal.size().1).max(40);
            let lines = block(glance);
            let _ = self.terminal.clear_last_lines(self.shown);
            for line in &lines {
                let line: String = line.chars().take(width.saturating_sub(1)).collect();
                let _ = self.terminal.write_line(&line);
            }
            self.shown = lines.len();
            return;
        }
        let due = self.last.is_none_or(|last| last.until(glance.at).as_millis() >= PLAIN * 1_000);
        if due {
            self.last = Some(glance.at);
            let _ = writeln!(std::io::stderr(), "{}", plain(glance));
        }
    }
}

/// One line for logs of a service.
fn plain(glance: &Glance) -> String {
    let (feed, money) = (&glance.feed, &glance.money);
    let mut line = format!(
        "{} {} | {} markets, {} usable, last row {} | equity {} ({} today) | {} open orders, {} positions",
        glance.at,
        glance.mode,
        feed.open_markets,
        feed.usable_books,
        age(feed.age_ms),
        money.equity,
        money.day,
        glance.risk.open_orders,
        glance.positions_in_all(),
    );
    for blocker in &glance.blockers {
        let _ = write!(line, " | blocked: {}", blocker.code);
    }
    line
}

fn age(millis: Option<i64>) -> String {
    millis.map_or_else(|| "never".to_owned(), |millis| format!("{millis} ms ago"))
}

/// The status block.
fn block(glance: &Glance) -> Vec<String> {
    let (feed, money, risk) = (&glance.feed, &glance.money, &glance.risk);
    let mut lines = vec![
        format!("polydesk {}  run {}  {}", glance.mode, glance.run, glance.at),
        format!(
            "feed       {} connections, last row {}, {} markets, {} usable, {} unverified",
            feed.connections,
            age(feed.age_ms),
            feed.open_markets,
            feed.usable_books,
            feed.unverified
        ),
        format!(
            "money      equity {}  today {}  cash {}  realised {}  fees {}",
            money.equity, money.day, money.cash, money.realised, money.fees
        ),
        format!(
            "risk       {} of {} pUSD at risk, {} of {} open orders",
            risk.account, risk.max_account, risk.open_orders, risk.max_open_orders
        ),
    ];
    if glance.open() {
        lines.push("gate       open".to_owned());
    }
    for blocker in &glance.blockers {
        lines.push(format!(
            "gate       {} (no {}): {}",
            blocker.code, blocker.stops, blocker.detail
        ));
    }
    for position in glance.positions.iter().take(8) {
        let mark = position.mark.map_or_else(|| "?".to_owned(), |mark| mark.to_string());
        lines.push(format!(
            "position   {} {:?} {} shares, cost {}, worth {}",
            position.market, position.outcome, position.shares, position.cost, mark
        ));
    }
    for decision in glance.decisions.iter().rev().take(8).rev() {
        lines.push(format!("{:<10} {}", decision.kind, decision.text));
    }
    lines
}
