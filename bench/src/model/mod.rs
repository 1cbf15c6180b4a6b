//! `bench model`: what many gateways need, and what breaks first, by a model that is fed with measured figures of one.

pub mod fleet;
pub mod measured;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::{Doing as _, Failure, Result};
use fleet::{CLIENTS_MAX, Fleet, Resource, USED_MAX};
use measured::Measured;

/// What many gateways need, and what breaks first.
#[derive(Args, Debug)]
pub struct Model {
    /// Figures of one gateway: the JSON of `bench load --json`; those written down in the program without this.
    #[arg(long, value_name = "FILE")]
    measured: Option<PathBuf>,
    /// Clients that are connected.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    clients: u32,
    /// Gateways.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    gateways: u32,
    /// Cores of each gateway.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=128))]
    cores: u32,
    /// Statements of a client in a second.
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    statements: f64,
    /// Requests for access of a client on a working day.
    #[arg(long, value_name = "N", default_value_t = 0.5)]
    requests: f64,
    /// Databases.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    databases: u32,
    /// Of the placement of clients on gateways and cores.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// Computes and gives the text to print.
///
/// # Errors
/// The file cannot be read, or a number is not one.
pub fn run(model: &Model) -> Result<String> {
    for (name, number) in [("--statements", model.statements), ("--requests", model.requests)] {
        if !(number.is_finite() && number >= 0.0) {
            return Err(Failure::from(format!("{name}: a number of 0 or more")));
        }
    }
    let report = match &model.measured {
        None => Value::Null,
        Some(path) => {
            let text = std::fs::read_to_string(path).doing(format!("read {}", path.display()))?;
            serde_json::from_str(&text).map_err(|error| Failure::from(format!("{}: {error}", path.display())))?
        }
    };
    let (measured, had) = Measured::of(&report);
    let fleet = Fleet {
        clients: f64::from(model.clients),
        gateways: f64::from(model.gateways),
        cores: f64::from(model.cores),
        statements_per_s: model.statements,
        requests_per_day: model.requests,
        databases: f64::from(model.databases),
        seed: model.seed,
        ..Fleet::default()
    };
    let checked = measured.check(&report);
    let breaks: Vec<(Resource, Option<f64>, Option<f64>)> = fleet
        .resources(&measured)
        .into_iter()
        .map(|r| (fleet.breaks_at(&measured, r.name, false), fleet.breaks_at(&measured, r.name, true), r))
        .map(|(fixed, along, resource)| (resource, fixed, along))
        .collect();
    let volume_tb = fleet.audit_bytes_per_s(&measured) * fleet.gateways * 86_400.0 / 1e12;
    if model.json {
        let resource = |(resource, fixed, along): &(Resource, Option<f64>, Option<f64>)| json!({ "resource": resource, "used": resource.used(), "breaks_at_clients": fixed, "breaks_at_clients_with_gateways": along });
        let checked: Vec<Value> =
            checked.iter().map(|c| json!({ "checked": c, "error_percent": c.error_percent() })).collect();
        let value = json!({
            "fleet": fleet, "measured": measured, "of_the_run": had, "check": checked, "audit_tb_per_day": volume_tb,
            "resources": breaks.iter().map(resource).collect::<Vec<_>>(),
        });
        return Ok(format!("{value:#}\n"));
    }
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{} clients on {} gateways of {} cores; {:.0} statements/s, {:.1} writes/s into the access store; audit {volume_tb:.2} TB a day in all\n",
        fleet.clients,
        fleet.gateways,
        fleet.cores,
        fleet.statements(),
        fleet.store_writes(),
    );
    let _ = writeln!(
        out,
        "{:<34} {:>7} {:>20}  {:>14} {:>14}",
        "", "used", "load of capacity", "breaks at", "with gateways"
    );
    let size = |clients: &Option<f64>| clients.map_or_else(|| "-".to_owned(), |clients| format!("{clients:.0}"));
    for (resource, fixed, along) in &breaks {
        let load = format!("{:.2} of {:.0}", resource.load, resource.capacity);
        let _ = writeln!(
            out,
            "{:<34} {:>5.0} % {load:>20}  {:>14} {:>14}  {}",
            resource.name,
            resource.used() * 100.0,
            size(fixed),
            size(along),
            resource.unit
        );
    }
    for (which, at) in [("as they are", 1), ("in proportion", 2)] {
        let size = |entry: &&(Resource, Option<f64>, Option<f64>)| if at == 1 { entry.1 } else { entry.2 };
        let first = breaks
            .iter()
            .filter(|entry| size(entry).is_some())
            .min_by(|a, b| size(a).unwrap_or(f64::MAX).total_cmp(&size(b).unwrap_or(f64::MAX)));
        if let Some(first) = first {
            let clients = size(&first).unwrap_or(0.0);
            let _ =
                writeln!(out, "\nwith gateways {which}, what breaks first is: {} ({clients:.0} clients)", first.0.name);
        }
    }
    let _ = writeln!(
        out,
        "\n`breaks at`: connected clients beyond which more than {:.0} % is used; `-` is more than {CLIENTS_MAX}",
        USED_MAX * 100.0
    );
    let _ = writeln!(
        out,
        "figures of the run: {}; all others are the program's",
        if had.is_empty() { "none".to_owned() } else { had.join(", ") }
    );
    for one in &checked {
        let _ = writeln!(
            out,
            "check, one gateway, {}: {:.2} processors expected, {:.2} measured: {:+.0} %",
            one.work,
            one.expected,
            one.measured,
            one.error_percent()
        );
    }
    Ok(out)
}
