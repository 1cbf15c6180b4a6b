//! The same gateway on either driver: what it does must not depend on what runs its cores.

use crate::plain::direct;
use std::fs;
use tests::{
    clients,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, query},
};

const DRIVERS: [&str; 2] = ["uring", "glommio"];

fn on(driver: &str, setup: Setup) -> Gateway {
    setup.line(&format!("driver: {driver}")).start()
}

#[test]
fn both_drivers_serve_every_protocol_and_say_who_they_are() {
    for driver in DRIVERS {
        let gateway = on(driver, Setup::new(Bundle::allow_all(), Postgres::shared()).cores(2));
        let endpoint = gateway.endpoint("app");
        for sslmode in ["disable", "require"] {
            let endpoint = endpoint.with_sslmode(sslmode);
            for mode in ["simple", "extended", "prepared"] {
                let arguments = ["-n", "-f", "/dev/stdin", "-M", mode, "-c", "8", "-j", "2", "-t", "50"];
                let mut program = std::process::Command::new("pgbench");
                program.args(arguments).envs(endpoint.variables());
                let script = b"\\set n random(1, 1000)\nselect :n, repeat('x', :n);\n";
                let done = tests::process::run(&mut program, script, 2 * PATIENCE).success();
                assert!(done.text().contains("processed: 400/400"), "{driver} {sslmode} {mode}: {}", done.both());
            }
        }
        let status = gateway.tidegate(&["status", "--config", "tidegate.yaml"]).success();
        assert!(status.text().lines().any(|l| l.split_whitespace().eq(["driver", driver])), "{}", status.text());
        let page = gateway.http("/metrics").unwrap();
        assert!(page.contains(&format!("tidegate_driver_info{{driver=\"{driver}\"}} 1")));
        gateway.signal("TERM");
        assert!(gateway.wait_end(PATIENCE).unwrap().success(), "{driver}: {}", gateway.log());
        gateway.tidegate(&["audit", "verify", "audit"]).success();
    }
}

/// Large results and large inputs, both ways at once with small statements beside them, plain and under TLS.
#[test]
fn both_drivers_move_every_byte_of_large_results_and_copies() {
    let sql = "select i, md5(i::text), repeat(md5((i*7)::text), 1 + i % 60) from generate_series(1, 20000) i";
    let expected =
        clients::rows(&direct(), &format!("select md5(string_agg(t::text, '' order by i)) from ({sql}) t")).success();
    let whole = clients::rows(&direct(), sql).success();
    for driver in DRIVERS {
        let gateway = on(driver, Setup::new(Bundle::allow_all(), Postgres::shared()));
        for sslmode in ["disable", "require"] {
            let endpoint = gateway.endpoint("app").with_sslmode(sslmode);
            assert!(clients::rows(&endpoint, sql).success().stdout == whole.stdout, "{driver} {sslmode}");
            let script = format!(
                "create temp table copied (i int, a text, b text);\n\\copy ({sql}) to 'rows.copy'\n\
                 \\copy copied from 'rows.copy'\nselect md5(string_agg(t::text, '' order by i)) from copied t;\n"
            );
            let mut psql = clients::psql_program();
            let folder = gateway.folder.path();
            psql.args(["-X", "-q", "-A", "-t"]).envs(endpoint.variables()).current_dir(folder);
            let done = tests::process::run(&mut psql, script.as_bytes(), 2 * PATIENCE).success();
            assert_eq!(done.text().trim(), expected.text().trim(), "{driver} {sslmode}");
            let _ = fs::remove_file(folder.join("rows.copy"));
        }
    }
}

#[test]
fn both_drivers_mask_and_record_and_leave_nothing_open() {
    for driver in DRIVERS {
        let setup = Setup::new(Bundle::clinic(), Postgres::shared());
        let gateway = on(driver, setup.audit("recordings: { mode: rows, compress: false, unencrypted: true }"));
        let open = || fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap().count();
        let before = open();
        for round in 0..20 {
            let mut wire = Wire::login(&gateway.endpoint("ana"));
            let first = wire.query("select first_name from clinic.patients where patient_id = 7");
            assert_eq!(first[1].values()[0], None, "NULL under the example rules");
            match round % 3 {
                // Gone in the middle of a statement, in the middle of a result, and in good order.
                0 => wire.send(&query("select pg_sleep(0.2)")),
                1 => wire.send(&query("select repeat('x', 1000) from generate_series(1, 20000)")),
                _ => {
                    wire.query("select 1");
                }
            }
        }
        wait_until("every session has ended", PATIENCE, || {
            gateway.metric("tidegate_sessions_open") == 0.0 && open() <= before + 4
        });
        gateway.signal("TERM");
        assert!(gateway.wait_end(PATIENCE).unwrap().success(), "{driver}: {}", gateway.log());
        gateway.tidegate(&["audit", "verify", "audit"]).success();
    }
}

#[test]
fn a_driver_that_nobody_knows_is_a_mistake_of_the_file() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).line("driver: epoll").launch();
    let status = gateway.wait_end(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(2), "{}", gateway.log());
    let log = gateway.log();
    assert!(log.contains("`driver`") && log.contains("`uring`") && log.contains("`glommio`"), "{log}");
}
