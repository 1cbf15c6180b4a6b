//! The harness itself, on tiny sizes: it runs, what it says adds up, and the server that answers from memory answers what
//! the real one does.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use bench::{
    canned::BLOCK_ROWS,
    failure::Stop,
    folder::Folder,
    postgres::{self, Postgres, Size},
    process::{self, Account, Server},
    target::Canned,
    wire::{Client, Format, Login},
};
use rustix::process::Signal;

#[test]
fn a_small_run_reports_every_way_and_all_rows() {
    let folder = Folder::new().unwrap();
    let json = folder.path().join("report.json");
    let output = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args(["load", "--quick", "--work", "canned-prepared-3", "simple-2", "canned-bulk", "canned-copy", "idle"])
        .args(["--way", "direct", "copy-proxy", "--rows", "3000", "--rounds", "2", "--seconds", "0.05"])
        .args(["--sessions", "30", "--force", "--json"])
        .arg(&json)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let report: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    let of = |work: &str, way: &str| {
        let medians = report["medians"].as_array().unwrap();
        medians.iter().find(|line| line["work"] == work && line["case"] == way).cloned().unwrap_or_default()
    };
    for work in ["canned-prepared-3", "simple-2", "canned-bulk", "canned-copy"] {
        for way in ["direct", "copy-proxy"] {
            let line = of(work, way);
            assert_eq!(line["rate"]["count"], 2, "{work} {way}: {line}");
            assert!(line["rate"]["median"].as_f64().unwrap() > 0.0);
        }
    }
    // Nothing stands between a client and the server directly: there is no processor time of a proxy.
    assert!(of("simple-2", "direct")["cpu_us"].is_null());
    assert!(of("simple-2", "copy-proxy")["cpu_us"]["median"].as_f64().unwrap() > 0.0);
    assert!(of("canned-bulk", "copy-proxy")["cpu_s_per_gb"]["median"].as_f64().unwrap() > 0.0);
    assert!(of("idle", "copy-proxy")["resident_kib"]["median"].is_number());
    assert!(out.contains("canned-copy: a bulk read"), "{out}");
}

#[test]
fn the_canned_server_answers_what_the_real_one_does() {
    let stop = Stop::listen().unwrap();
    let folder = Folder::new().unwrap();
    let rows = BLOCK_ROWS + 7;
    let real = Postgres::start(&folder, Size { people: rows, scale: 1 }, &stop).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_bench"));
    let address = postgres::loopback(postgres::free_port().unwrap());
    let mut command = process::command(program, Account::Own, "TERM").unwrap();
    command.args(["canned-server", "--scram", "--rows", "60000", "--user", postgres::USER]);
    command.args(["--listen", &address.to_string(), "--upstream", &real.login.address.to_string()]);
    command.args(["--database", postgres::DATABASE, "--statement", "select id, note from people where id <= $1"]);
    command.args(["--statement", "select * from people", "--statement", "copy people to stdout"]);
    command.env("PGPASSWORD", postgres::PASSWORD);
    let mut server = Server::start("canned", command, &folder.path().join("canned.log"), Signal::TERM).unwrap();
    let login = real.login.at(address);
    server.wait_ready(&stop, Duration::from_secs(20), || Client::login(&login).map(drop)).unwrap();

    // Who does not know the password is not let in.
    assert!(Client::login(&Login::new(address, postgres::USER, "wrong", postgres::DATABASE)).is_err());

    let mut canned = Client::login(&login).unwrap();
    let mut direct = Client::login(&real.login).unwrap();
    for text in [
        // The first answer is every answer.
        "select id, note from people where id <= 3",
        // These go on to the real server.
        "select version()",
        "select ssn from people where id = 12",
    ] {
        for format in [Format::Text, Format::Binary] {
            let (ours, theirs) = (canned.run(text, format).unwrap(), direct.run(text, format).unwrap());
            assert_eq!(ours, theirs, "{text} {format:?}");
        }
    }
    assert!(canned.run("select no_such_column from people", Format::Text).is_err());
    let again = canned.run("select id, note from people where id <= 2", Format::Text).unwrap();
    assert_eq!(again.rows, 3);

    for format in [Format::Text, Format::Binary] {
        let (ours, theirs) =
            (canned.run("select * from people", format).unwrap(), direct.run("select * from people", format).unwrap());
        assert_eq!((ours.rows, theirs.rows), (BLOCK_ROWS * 3, rows), "blocks are repeated");
        assert_eq!(ours.early, theirs.early);
    }
    let copied = canned.run("copy people to stdout", Format::Text).unwrap();
    assert_eq!(copied.rows, BLOCK_ROWS * 3);
    assert_eq!(copied.early, direct.run("copy people to stdout", Format::Text).unwrap().early);
    drop(server);

    // As the harness starts it: everybody is let in, and an answer shorter than a block stays as it is.
    let open = Canned::start(&folder, program, &real, 60_000, &stop).unwrap();
    let mut client = Client::login(&open.login).unwrap();
    assert_eq!(client.run("select 1", Format::Binary).unwrap(), direct.run("select 1", Format::Binary).unwrap());
}
