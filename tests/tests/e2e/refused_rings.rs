//! Where io_uring is refused: by what, and what to do, in one sentence, before anything is begun.

use crate::plain::direct;
use std::process::Command;
use tests::{
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run},
    programs::program,
    rules::Bundle,
    server::Postgres,
};

/// Runs a program under a filter that answers io_uring's system calls (425 to 427) with an error number.
const FILTER: &str = r#"
import ctypes, os, struct, sys
errno, program = int(sys.argv[1]), sys.argv[2:]
def step(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
filter = b"".join([
    step(0x20, 0, 0, 0),                  # the number of the call
    step(0x35, 0, 2, 425),                # below: allowed
    step(0x25, 1, 0, 427),                # above: allowed
    step(0x06, 0, 0, 0x00050000 | errno), # the error
    step(0x06, 0, 0, 0x7fff0000),
])
space = ctypes.create_string_buffer(filter)
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
of = Program(len(filter) // 8, ctypes.addressof(space))
assert libc.prctl(22, 2, ctypes.byref(of), 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(program[0], program)
"#;

/// A gateway's folder in good order; the gateway itself has ended.
fn folder() -> Gateway {
    direct();
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).start();
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).unwrap();
    gateway
}

fn tidegate(gateway: &Gateway, before: &[&str], arguments: &[&str]) -> Finished {
    let mut command = Command::new(before[0]);
    command.args(&before[1..]).arg(program("tidegate")).args(arguments).current_dir(gateway.folder.path());
    run(&mut command, b"", PATIENCE)
}

#[test]
fn each_way_to_refuse_io_uring_is_told_from_the_others() {
    const EPERM: &str = "1";
    const ENOMEM: &str = "12";
    const ENOSYS: &str = "38";
    let gateway = folder();
    for (errno, says) in [
        (EPERM, "io_uring is forbidden by a seccomp filter"),
        (ENOSYS, "io_uring is hidden by a seccomp filter"),
        (ENOMEM, "io_uring gets no memory"),
    ] {
        let filter = ["python3", "-c", FILTER, errno];
        for arguments in [
            &["check-config", "--config", "tidegate.yaml"][..],
            &["serve", "--config", "tidegate.yaml"],
            &["serve", "--config", "tidegate.yaml", "--driver", "uring"],
            &["serve", "--config", "tidegate.yaml", "--driver", "glommio"],
        ] {
            let done = tidegate(&gateway, &filter, arguments);
            assert_ne!(done.code, 0, "{arguments:?}");
            let said = done.both();
            let lines: Vec<&str> = said.lines().filter(|line| line.contains("io_uring")).collect();
            assert_eq!(lines.len(), 1, "one sentence, {errno} {arguments:?}: {said}");
            assert!(lines[0].contains(says), "{errno} {arguments:?}: {said}");
        }
    }
}

#[test]
fn too_little_locked_memory_is_told_with_what_to_raise() {
    let gateway = folder();
    for arguments in [&["check-config", "--config", "tidegate.yaml"][..], &["serve", "--config", "tidegate.yaml"]] {
        let done = tidegate(&gateway, &["prlimit", "--memlock=65536:65536"], arguments);
        assert_ne!(done.code, 0);
        let said = done.both();
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("RLIMIT_MEMLOCK")).collect();
        assert_eq!(lines.len(), 1, "{arguments:?}: {said}");
        assert!(lines[0].contains("LimitMEMLOCK="), "{said}");
    }
    // A limit that the process may raise itself is none.
    let done = tidegate(&gateway, &["prlimit", "--memlock=65536:"], &["check-config", "--config", "tidegate.yaml"]);
    assert_eq!(done.code, 0, "{}", done.both());
}
