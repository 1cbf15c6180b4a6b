//! `tidegate status`: asks a running gateway and prints what an operator wants to know first.

use crate::{config::Config, problems::Problems};
use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The address of the status page that a configuration names.
///
/// # Errors
/// The file is unreadable or names none.
pub fn address(file: &Path) -> Result<SocketAddr, String> {
    let mut problems = Problems::new();
    let config = Config::load(file, &mut problems).ok_or_else(|| problems.to_string())?;
    let metrics = config.metrics.ok_or_else(|| {
        format!("{} has no `metrics` address; add for instance `metrics: \"127.0.0.1:9187\"`", file.display())
    })?;
    Ok(reachable(metrics.value))
}

/// Where something that listens on `address` is reached from this machine.
#[must_use]
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Fetches the status.
///
/// # Errors
/// Nobody answers there, or not as a gateway does.
pub fn fetch(address: SocketAddr) -> Result<Value, String> {
    serde_json::from_str(&get(address, "/status")?).map_err(|_| format!("what answers on {address} is not a gateway"))
}

/// Fetches a page of the metrics listener.
///
/// # Errors
/// Nobody answers there, or not as a gateway does.
pub fn get(address: SocketAddr, page: &str) -> Result<String, String> {
    let io = |e: std::io::Error| format!("no gateway answers on {address}: {e}");
    let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).map_err(io)?;
    socket.set_read_timeout(Some(TIMEOUT)).map_err(io)?;
    socket.set_write_timeout(Some(TIMEOUT)).map_err(io)?;
    // In one piece: what is no gateway may answer, and close, after the first.
    let request = format!("GET {page} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).map_err(io)?;
    let mut answer = Vec::new();
    socket.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(io)?;
    let text = String::from_utf8_lossy(&answer);
    let strange = || format!("what answers on {address} is not a gateway");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(strange)?;
    if !head.starts_with("HTTP/1.1 200") {
        return Err(strange());
    }
    Ok(body.to_owned())
}

/// The status as a table.
#[must_use]
pub fn table(status: &Value) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        let _infallible = writeln!(out, "{name:<10} {value}");
    };
    line("state", format!("{}, up {}", text(&status["state"]), span(status["uptime_seconds"].as_u64().unwrap_or(0))));
    line("version", text(&status["version"]));
    line("listen", list(&status["listen"]));
    line("sessions", format!("{} (per core: {})", text(&status["sessions"]), list(&status["sessions_per_core"])));
    line("driver", text(&status["driver"]));
    line("bundle", text(&status["bundle"]));
    for stage in status["stages"].as_array().into_iter().flatten() {
        let micros = |name: &str| stage[name].as_u64().unwrap_or(0);
        let (p50, p99, count) = (micros("p50_us"), micros("p99_us"), text(&stage["count"]));
        line("stage", format!("{:<9} p50 {p50} µs, p99 {p99} µs, {count} times", text(&stage["name"])));
    }
    for role in strings(&status["observe_mode"]) {
        line("OBSERVE", format!("! role {role}: nothing is refused or masked for it, only recorded"));
    }
    let log = &status["checkpoints"];
    if log.is_object() {
        line("log", text(&log["origin"]));
        let age = span(log["age_seconds"].as_u64().unwrap_or(0));
        line(
            "checkpoint",
            format!("{} of {} blocks signed, oldest unsigned for {age}", text(&log["signed"]), text(&log["blocks"])),
        );
        if log["refusing_sessions"] == true {
            line("", "! new sessions are refused until a checkpoint is signed".to_owned());
        }
        if let Some(error) = log["error"].as_str() {
            line("", format!("! {error}"));
        }
        for witness in log["witnesses"].as_array().into_iter().flatten() {
            let mark = if witness["good"] == true { "" } else { "! " };
            line("witness", format!("{mark}{}: {}", text(&witness["name"]), text(&witness["standing"])));
        }
        if log["anchor"].is_object() {
            let anchor = &log["anchor"];
            let told = anchor["error"].as_str().map_or_else(
                || format!("{} blocks at {}", text(&anchor["size"]), text(&anchor["place"])),
                |e| format!("! {e}"),
            );
            line("anchor", told);
        }
    }
    line("users", text(&status["users"]));
    let reloads = &status["reloads"];
    line("reloads", format!("{} accepted, {} refused", text(&reloads["accepted"]), text(&reloads["refused"])));
    if let Some(error) = reloads["last_error"].as_str() {
        line("", format!("last refused: {error}"));
    }
    for f in status["forwarders"].as_array().into_iter().flatten() {
        let lag = format!("{} records, {} s behind", text(&f["lag_records"]), text(&f["lag_seconds"]));
        let sent = format!("{} sent, {lag}", text(&f["sent"]));
        let (name, to) = (text(&f["name"]), format!("{} {}", text(&f["kind"]), text(&f["place"])));
        line("forward", format!("{name} to {to}: {}, {sent}", text(&f["state"])));
        if let Some(error) = f["error"].as_str() {
            line("", format!("! {error}"));
        }
    }
    let targets: &[Value] = status["targets"].as_array().map_or(&[], Vec::as_slice);
    let width = targets.iter().map(|t| text(&t["name"]).len()).max().unwrap_or(0).max("TARGET".len());
    let far = targets.iter().map(|t| text(&t["address"]).len()).max().unwrap_or(0).max("ADDRESS".len());
    let _infallible = writeln!(
        out,
        "\n{:<width$}  {:<far$}  {:<11}  {:<6}  {:<5}  {:>9}  {:>5}",
        "TARGET", "ADDRESS", "TLS", "AUDIT", "READY", "RELATIONS", "EPOCH"
    );
    for target in targets {
        let ready = if target["ready"] == true { "yes" } else { "no" };
        let _infallible = writeln!(
            out,
            "{:<width$}  {:<far$}  {:<11}  {:<6}  {ready:<5}  {:>9}  {:>5}",
            text(&target["name"]),
            text(&target["address"]),
            text(&target["tls"]),
            text(&target["audit"]),
            text(&target["relations"]),
            text(&target["epoch"])
        );
        for warning in target["error"].as_str().into_iter().chain(strings(&target["warnings"])) {
            let _infallible = writeln!(out, "  ! {warning}");
        }
    }
    out
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> String {
    value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Board, State, TargetBoard};
    use std::net::TcpListener;

    #[test]
    fn table_shows_targets_and_what_is_wrong() {
        let target = |name: &str, relations, error: Option<&str>| TargetBoard {
            name: name.to_owned(),
            address: "db.example:5432".to_owned(),
            tls: "verify-full",
            audit: "strict",
            relations,
            epoch: 3,
            error: error.map(str::to_owned),
            ..TargetBoard::default()
        };
        let mut warned = target("warehouse", Some(12), None);
        warned.warnings = vec!["account app is a superuser".to_owned()];
        let targets = vec![warned, target("crm", None, Some("connection refused"))];
        let state = State {
            bundle: "ab12".to_owned(),
            users: 5,
            targets,
            reload_error: Some("bad file".to_owned()),
            ..State::default()
        };
        let shown = table(&Board::new(state).status_json());
        assert_eq!(
            shown.split_once("\n\n").unwrap().1,
            "TARGET     ADDRESS          TLS          AUDIT   READY  RELATIONS  EPOCH\n\
             warehouse  db.example:5432  verify-full  strict  yes           12      3\n  ! account app is a superuser\n\
             crm        db.example:5432  verify-full  strict  no             -      3\n  ! connection refused\n"
        );
        assert!(shown.contains("sessions   0") && shown.contains("last refused: bad file"), "{shown}");
    }

    #[test]
    fn what_is_not_a_gateway_is_told() {
        for answer in ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 404 Not Found\r\n\r\n{}", "SSH-2.0-x\r\n", ""] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let server = std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let _read = socket.read(&mut request).unwrap();
                socket.write_all(answer.as_bytes()).unwrap();
            });
            assert!(fetch(address).unwrap_err().contains("is not a gateway"), "{answer:?}");
            server.join().unwrap();
        }
        // Nobody listens there, and no port that is free is ever given this number.
        assert!(fetch(SocketAddr::from(([127, 0, 0, 1], 1))).unwrap_err().contains("no gateway answers"));
    }
}
