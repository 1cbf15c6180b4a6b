//! `clinic-data [--patients N] [--seed N] [--canary]`: writes the made-up clinic as a psql script on standard output.

use clinic::{Options, Patient};
use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
};

const USAGE: &str = "usage: clinic-data [--patients N] [--seed N] [--canary]   (a psql script goes to standard output)";

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(reason) => {
            eprintln!("clinic-data: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match clinic::write(&mut out, options).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("clinic-data: cannot write: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options { patients: 100_000, seed: 1, canary: false };
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().ok_or_else(|| format!("{argument} needs a number"))?;
            value.parse::<u64>().map_err(|_| format!("{argument}: not a number: {value}"))
        };
        match argument.as_str() {
            "--patients" => options.patients = number()?,
            "--seed" => options.seed = number()?,
            "--canary" => options.canary = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    if options.canary && options.patients > Patient::CANARIES_MAX {
        return Err(format!("--canary makes at most {} patients", Patient::CANARIES_MAX));
    }
    Ok(Some(options))
}
