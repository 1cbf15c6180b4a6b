//! Runs one path so many times, for instruction counters: `count simple|extended|prepared|cold clear|masked RUNS`.

use paths::decision::cold;
use paths::statement::{PROTOCOLS, Row, statement};

fn main() {
    let mut words = std::env::args().skip(1);
    let (path, kind, runs) = (words.next(), words.next(), words.next());
    let kind = if kind.as_deref() == Some("masked") { Row::Masked } else { Row::Clear };
    let runs = runs.and_then(|runs| runs.parse::<u32>().ok()).unwrap_or(1000);
    let protocol = PROTOCOLS.into_iter().find(|p| Some(p.name()) == path.as_deref());
    let mut work: Box<dyn FnMut()> = match protocol {
        Some(protocol) => Box::new(statement(protocol, kind)),
        None if path.as_deref() == Some("cold") => Box::new(cold()),
        None => {
            eprintln!("count simple|extended|prepared|cold clear|masked RUNS");
            std::process::exit(2);
        }
    };
    for _ in 0..runs {
        work();
    }
}
