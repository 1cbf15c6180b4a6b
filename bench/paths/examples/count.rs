//! Runs one path so many times, for instruction counters: `count simple|extended|prepared clear|masked RUNS`.

use paths::statement::{PROTOCOLS, Row, statement};

fn main() {
    let mut words = std::env::args().skip(1);
    let (protocol, kind, runs) = (words.next(), words.next(), words.next());
    let protocol = PROTOCOLS.into_iter().find(|p| Some(p.name()) == protocol.as_deref());
    let kind = if kind.as_deref() == Some("masked") { Row::Masked } else { Row::Clear };
    let runs = runs.and_then(|runs| runs.parse::<u32>().ok()).unwrap_or(1000);
    let Some(protocol) = protocol else {
        eprintln!("count simple|extended|prepared clear|masked RUNS");
        std::process::exit(2);
    };
    let mut statement = statement(protocol, kind);
    for _ in 0..runs {
        statement();
    }
}
