//! The harness itself, on tiny sizes: it runs, what it says adds up, and the server that answers from memory answers what
//! the real one does.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use bench::{
    accounting,
    canned::BLOCK_ROWS,
    failure::Stop,
    folder::Folder,
    postgres::{self, Postgres, Size},
    process::{self, Account, Server},
    target::Canned,
    wire::{Client, Format, Login},
};
use rustix::process::{Pid, Signal, kill_process};

/// A run that goes on until it is stopped, with its temporary files in `folder`, while it measures; all it started; and what it goes
/// on to say, which nobody reads.
fn measuring(folder: &Path) -> (Child, Vec<u32>, BufReader<ChildStderr>) {
    // It ends with the test's thread, whatever becomes of that.
    let mut run = process::command(Path::new(env!("CARGO_BIN_EXE_bench")), Account::Own, "TERM")
        .unwrap()
        .args(["load", "--work", "canned-prepared-3", "--way", "copy-proxy", "--force", "--no-syscalls"])
        .args(["--rows", "1000", "--seconds", "600"])
        .env("TMPDIR", folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(run.stderr.take().unwrap());
    let began = says.by_ref().lines().map(Result::unwrap).any(|line| line.contains("warming up copy-proxy"));
    assert!(began, "it ended before: {:?}", run.wait());
    // The proxy is the last that is started; it is there once what started it has become it.
    let started = || accounting::tree(run.id()).into_iter().filter(|pid| *pid != run.id()).collect::<Vec<_>>();
    let proxy = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|b| *b == 0).nth(1).is_some_and(|argument| argument == b"copy-proxy"))
    };
    let deadline = Instant::now() + Duration::from_secs(120);
    while !started().iter().any(proxy) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    let started = started();
    assert!(started.len() > 2 && started.iter().any(proxy), "{started:?}");
    (run, started, says)
}

fn signal(run: &Child, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(run.id()).unwrap()).unwrap(), signal).unwrap();
}

fn alive(pids: &[u32]) -> Vec<u32> {
    pids.iter().copied().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect()
}

#[test]
fn an_interrupted_run_stops_all_it_started_and_leaves_nothing() {
    let folder = Folder::new().unwrap();
    let tmp = folder.sub("tmp", None).unwrap();
    let (mut run, started, _says) = measuring(&tmp);
    signal(&run, Signal::INT);
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert_eq!(alive(&started), Vec::<u32>::new());
    assert_eq!(std::fs::read_dir(&tmp).unwrap().count(), 0, "temporary files are left");
}

#[test]
fn a_run_that_is_killed_takes_all_it_started_with_it() {
    let folder = Folder::new().unwrap();
    let (mut run, started, _says) = measuring(&folder.sub("tmp", None).unwrap());
    signal(&run, Signal::KILL);
    run.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !alive(&started).is_empty() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(alive(&started), Vec::<u32>::new());
}

#[test]
fn a_run_that_others_disturb_repeats_and_then_refuses_to_report() {
    let folder = Folder::new().unwrap();
    let json = folder.path().join("report.json");
    let over = AtomicBool::new(false);
    let output = thread::scope(|scope| {
        // This process is not below the harness, so it is others.
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::black_box([0_u64; 64].iter().sum::<u64>());
                }
            });
        }
        let output = Command::new(env!("CARGO_BIN_EXE_bench"))
            .args(["load", "--work", "canned-prepared-3", "--way", "copy-proxy", "--rows", "1000", "--no-syscalls"])
            .args(["--rounds", "1", "--seconds", "0.2", "--json"])
            .arg(&json)
            .stdin(Stdio::null())
            .output();
        over.store(true, Ordering::Relaxed);
        output.unwrap()
    });
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{out}\n{err}");
    assert_eq!(err.matches("thrown away and repeated: others used").count(), 4, "{err}");
    assert!(err.contains("no report, because figures would mean nothing"), "{err}");
    assert!(out.is_empty() && !json.exists(), "{out}");
}

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
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let address = postgres::loopback(postgres::free_port().unwrap());
    let mut command = process::command(program, Account::Own, "TERM").unwrap();
    command.args(["canned-server", "--scram", "--rows", "60000", "--user", postgres::USER]);
    command.args(["--listen", &address.to_string(), "--upstream", &real.login.address.to_string()]);
    command.args(["--database", postgres::DATABASE, "--statement", "select id, note from people where id <= $1"]);
    command.args(["--statement", "select * from people", "--statement", "copy people to stdout"]);
    command.env("PGPASSWORD", postgres::PASSWORD);
    let mut server = Server::start("canned", command, &folder.path().join("canned.log"), Signal::TERM).unwrap();
    let login = real.login.at(address);
    server.wait_ready(&stop, Duration::from_secs(60), || Client::login(&login).map(drop)).unwrap();

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
