//! `killnine --rounds N`: kills a gateway under load so many times and compares what clients were told, what its log says
//! and what the server did. Exit code 1 if anything does not fit. Programs are found through TIDEGATE_PROGRAMS.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let rounds = match (arguments.next().as_deref(), arguments.next().map(|n| n.parse())) {
        (None, _) => 200,
        (Some("--rounds"), Some(Ok(rounds))) => rounds,
        _ => {
            eprintln!("usage: killnine [--rounds N]");
            return ExitCode::from(2);
        }
    };
    let account = tests::reconcile::rounds(rounds, &mut |done| {
        if done % 10 == 0 {
            eprintln!("{done} rounds");
        }
    });
    println!("{account}");
    if account.mistakes.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
