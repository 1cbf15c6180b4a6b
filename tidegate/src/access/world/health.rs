//! How the gateway is doing, with a light for each part.

use super::Gate;
use crate::board::VERSION;
use console::world::{Core, Health, Light, Part};

/// Checkpoints unsigned for longer than this are worth a look, seconds.
const UNSIGNED_S: u64 = 10;

pub(super) fn of(gate: &Gate) -> Health {
    let mut parts = Vec::new();
    let mut cores = Vec::new();
    let mut since_s = 0;
    if let Some(gateway) = gate.running() {
        let metrics = gateway.metrics();
        since_s = crate::board::now().saturating_sub(gateway.status().uptime.as_secs());
        let sum = |of: fn(&gateway::Counts) -> u64| metrics.cores.iter().map(|core| of(&core.counts)).sum::<u64>();
        for (number, core) in metrics.cores.iter().enumerate() {
            let stage = |(name, times): &(&'static str, hdrhistogram::Histogram<u64>)| {
                let micros = |quantile| times.value_at_quantile(quantile) / 1000;
                ((*name).to_owned(), micros(0.5), micros(0.99))
            };
            cores.push(Core {
                core: number,
                sessions: core.counts.sessions_open,
                statements: core.counts.statements,
                stages: core.stages.iter().map(stage).collect(),
            });
        }
        let pressure = metrics.cores.iter().map(|core| core.counts.audit_pressure).max().unwrap_or(0);
        let spare = sum(|counts| counts.audit_on_spare);
        let (light, says) = match (pressure, spare) {
            (0, 0) => (Light::Good, "takes every record"),
            (0, _) => (Light::Warn, "is written to the spare directory"),
            (1, _) => (Light::Bad, "is nearly full: no new sessions are admitted"),
            _ => (Light::Bad, "takes no records: nothing goes on"),
        };
        let (blocks, commit_us) = (sum(|counts| counts.audit_blocks), sum(|counts| counts.audit_commit_us));
        parts.push(Part {
            name: "Audit log".to_owned(),
            light,
            says: says.to_owned(),
            facts: vec![
                ("not durable yet".to_owned(), format!("{} bytes", sum(|counts| counts.audit_ring_used_bytes))),
                ("blocks written".to_owned(), blocks.to_string()),
                ("mean commit".to_owned(), format!("{} µs", commit_us.checked_div(blocks).unwrap_or(0))),
                ("disk errors".to_owned(), sum(|counts| counts.audit_disk_errors).to_string()),
                ("statements given up".to_owned(), sum(|counts| counts.audit_given_up).to_string()),
            ],
        });
    }
    let status = gate.board.status_json();
    checkpoints(&status["checkpoints"], &mut parts);
    for target in status["targets"].as_array().into_iter().flatten() {
        let text = |name: &str| target[name].as_str().unwrap_or_default().to_owned();
        let warnings: Vec<&str> =
            target["warnings"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
        let ready = target["ready"] == true;
        let (light, says) = match (ready, target["error"].as_str(), warnings.first()) {
            (false, Some(error), _) => (Light::Bad, format!("nobody is admitted: {error}")),
            (false, None, _) => (Light::Bad, "has not answered yet: nobody is admitted".to_owned()),
            (true, Some(error), _) => (Light::Warn, format!("the last look at its catalog failed: {error}")),
            (true, None, Some(warning)) => (Light::Warn, (*warning).to_owned()),
            (true, None, None) => {
                (Light::Good, "answers, and its account has no more rights than it should".to_owned())
            }
        };
        parts.push(Part {
            name: format!("Upstream {}", text("name")),
            light,
            says,
            facts: vec![
                ("address".to_owned(), text("address")),
                ("TLS".to_owned(), text("tls")),
                ("audit mode".to_owned(), text("audit")),
                ("relations".to_owned(), target["relations"].to_string()),
            ],
        });
    }
    let (light, says) = match gate.engine.pull() {
        Ok(()) => (Light::Good, "answers".to_owned()),
        Err(error) => (Light::Bad, format!("what needs it is refused: {error}")),
    };
    parts.push(Part { name: "Access store".to_owned(), light, says, facts: Vec::new() });
    let worst = |part: &Part| match part.light {
        Light::Good => 0,
        Light::Warn => 1,
        Light::Bad => 2,
    };
    let light = parts.iter().max_by_key(|part| worst(part)).map_or(Light::Good, |part| part.light);
    Health { version: VERSION.to_owned(), node: gate.engine.node().to_owned(), since_s, light, cores, parts }
}

fn checkpoints(log: &serde_json::Value, parts: &mut Vec<Part>) {
    if !log.is_object() {
        return;
    }
    let age_s = log["age_seconds"].as_u64().unwrap_or(0);
    let (light, says) = match (log["refusing_sessions"] == true, log["error"].as_str()) {
        (true, _) => (Light::Bad, "nothing was signed for too long: new sessions are refused".to_owned()),
        (false, Some(error)) => (Light::Warn, error.to_owned()),
        (false, None) if age_s > UNSIGNED_S => (Light::Warn, format!("the oldest block is unsigned for {age_s} s")),
        (false, None) => (Light::Good, "signed up to date".to_owned()),
    };
    let shown = |name: &str| match &log[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    parts.push(Part {
        name: "Checkpoints".to_owned(),
        light,
        says,
        facts: vec![
            ("log".to_owned(), shown("origin")),
            ("signed".to_owned(), format!("{} of {} blocks", shown("signed"), shown("blocks"))),
        ],
    });
    for witness in log["witnesses"].as_array().into_iter().flatten() {
        let text = |name: &str| witness[name].as_str().unwrap_or_default().to_owned();
        let light = if witness["good"] == true { Light::Good } else { Light::Warn };
        parts.push(Part {
            name: format!("Witness {}", text("name")),
            light,
            says: text("standing"),
            facts: Vec::new(),
        });
    }
}
