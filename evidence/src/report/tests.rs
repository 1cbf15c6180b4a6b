use audit::record::{Record, SessionId};
use audit::{Body, OwnedAccess, OwnedActor, OwnedApproval, OwnedCredential, time};

use super::*;
use crate::join::Rows;
use crate::person::record;

const SESSION: SessionId = SessionId([5; 16]);
/// Eight in the morning, nanoseconds since 1970.
const EIGHT: u64 = 1_795_334_400_000_000_000;
const HOUR: f64 = 3600.0;

fn person(subject: &str, role: &str) -> OwnedActor {
    OwnedActor { issuer: "https://id.example".to_owned(), subject: subject.to_owned(), role: role.to_owned() }
}

fn at(seconds: f64) -> u64 {
    EIGHT + (seconds * 1e9) as u64
}

fn access(kind: &str, id: &str, actor: OwnedActor, about: OwnedActor) -> OwnedAccess {
    let (kind, id) = (kind.to_owned(), id.to_owned());
    OwnedAccess { kind, id, actor, about, target: "clinic".to_owned(), ..OwnedAccess::default() }
}

fn told(access: OwnedAccess) -> Body {
    Body::Access(Box::new(access))
}

fn approval(kind: &str, id: &str, subject: &str) -> OwnedApproval {
    OwnedApproval {
        kind: kind.to_owned(),
        id: id.to_owned(),
        session: SESSION,
        statement: 7,
        actor: person(subject, ""),
        digest: [3; 32],
        target: "clinic".to_owned(),
        rule: "no-bulk-delete".to_owned(),
        ..OwnedApproval::default()
    }
}

fn step(approval: OwnedApproval) -> Body {
    Body::Approval(Box::new(approval))
}

fn vote(id: &str, subject: &str, detail: &str) -> Body {
    let assertion = if detail.ends_with("console") { br#"{"credential":"key-9"}"#.to_vec() } else { Vec::new() };
    let (reason, detail) = ("looked at it".to_owned(), detail.to_owned());
    step(OwnedApproval { reason, detail, assertion, ..approval("vote", id, subject) })
}

/// The rows of these records, as if they had been written so many seconds after eight.
fn rows(acts: &[(f64, Record<'_>)]) -> Vec<Row> {
    let directory = tempfile::tempdir().unwrap();
    let records: Vec<Record<'_>> = acts.iter().map(|(_, record)| *record).collect();
    record(directory.path(), &records).unwrap();
    let mut rows: Vec<Row> = Rows::open(directory.path()).unwrap().map(Result::unwrap).collect();
    rows.retain(|row| !row.kind.starts_with("EPOCH"));
    for row in &mut rows {
        // The epoch's start is the first record.
        let (seconds, _) = acts[usize::try_from(row.place.sequence).unwrap() - 2];
        row.begin_ns = at(seconds);
    }
    rows
}

fn lent(bodies: &[(f64, Body)]) -> Vec<(f64, Record<'_>)> {
    bodies.iter().map(|(at, body)| (*at, body.lend().unwrap())).collect()
}

fn reports(rows: &[Row], wants: impl Fn(&Row) -> bool) -> Reports {
    let mut reports = Reports::default();
    for row in rows {
        reports.know(row);
        if wants(row) {
            reports.add(row);
        }
    }
    reports
}

/// Cells of one column.
fn column(reports: &Reports, report: &str, table: &str, name: &str) -> Vec<String> {
    let tables = reports.tables(report);
    let table = tables.iter().find(|t| t.name == table).unwrap();
    let index = table.head.iter().position(|head| *head == name).unwrap();
    assert!(table.rows.iter().all(|row| row.len() == table.head.len()), "{}", table.name);
    table.rows.iter().map(|row| row[index].clone()).collect()
}

fn found(reports: &Reports) -> Vec<(String, String)> {
    let names = column(reports, "approvals", "approval-findings", "finding");
    names.into_iter().zip(column(reports, "approvals", "approval-findings", "person")).collect()
}

fn asked(id: &str, subject: &str) -> OwnedApproval {
    let (text, tables) = (b"delete from clinic.visits".to_vec(), vec!["clinic.visits".to_owned()]);
    let reason = "TICKET-1".to_owned();
    OwnedApproval { text, tables, reason, actor: person(subject, "analyst"), ..approval("request", id, subject) }
}

fn granted(id: &str, until: f64) -> Body {
    step(OwnedApproval { until_ns: at(until), ..approval("grant", id, "s-ana") })
}

#[test]
fn an_approval_is_told_from_the_request_to_the_rows_it_touched() {
    let signed_in =
        OwnedAccess { user: "ana".to_owned(), ..access("sign_in", "1", person("s-ana", ""), person("", "")) };
    let bodies = [
        (0.0, told(signed_in)),
        (1.0, step(asked("TG-1", "s-ana"))),
        (61.0, vote("TG-1", "s-bob", "approve console")),
        (61.1, granted("TG-1", 661.0)),
        (62.0, step(approval("consume", "TG-1", "s-ana"))),
    ];
    let tables = ["clinic.visits".to_owned()];
    let mut acts = lent(&bodies);
    acts.push((
        62.1,
        Record::Intent {
            session: SESSION,
            statement: 7,
            text: b"delete from clinic.visits",
            sealed_text: &[],
            tables: &tables,
            via: "simple",
            fingerprint: 7,
            effects: 1 << 4,
            bundle: [1; 32],
            catalog_epoch: 1,
            parameters: None,
            sealed_parameters: &[],
            row_limit: 0,
        },
    ));
    let (session, sqlstate) = (SESSION, *b"00000");
    acts.push((
        62.5,
        Record::Result {
            session,
            statement: 7,
            outcome: "ok",
            sqlstate,
            rows: 812,
            bytes: 0,
            duration_us: 9,
            masked: &[],
            clear: &[],
        },
    ));
    let rows = rows(&acts);
    let reports = reports(&rows, |_| true);
    let cell = |name: &str| column(&reports, "approvals", "approvals", name).concat();
    assert_eq!(cell("requester"), "ana", "the name that a sign-in told");
    assert_eq!(cell("identity"), "s-ana@https://id.example");
    assert_eq!((cell("rule"), cell("tables")), ("no-bulk-delete".to_owned(), "clinic.visits".to_owned()));
    assert_eq!(cell("votes"), "s-bob approved (console, authenticator)");
    assert_eq!((cell("ended"), cell("elapsed_s")), ("used".to_owned(), "61.000".to_owned()));
    assert_eq!((cell("outcome"), cell("rows_returned")), ("ok".to_owned(), "812".to_owned()));
    assert_eq!((cell("session"), cell("statement")), ("05".repeat(16), "7".to_owned()));
    assert_eq!(cell("findings"), "");
    assert_eq!(column(&reports, "approvals", "votes", "authenticator"), ["key-9"]);
    assert_eq!(column(&reports, "approvals", "votes", "seconds_after_request"), ["60.000"]);
    assert_eq!(found(&reports), []);
    assert_eq!(reports.uses(), [("TG-1".to_owned(), audit::desk::DESK, 6)]);
    // Nothing of the statement's text is in a report.
    for table in reports.tables("all") {
        assert!(!table.csv().contains("delete from"), "{}", table.name);
    }
    // A period that begins after the request still knows of it, and one without it shows nothing of it.
    let late = self::reports(&rows, |row| row.begin_ns >= at(62.0));
    assert_eq!(column(&late, "approvals", "approvals", "ended"), ["used"]);
    assert_eq!(found(&late), []);
    let none = self::reports(&rows, |row| row.begin_ns >= at(62.05));
    assert!(column(&none, "approvals", "approvals", "id").is_empty());
    assert_eq!(none.agreed(), Agreed::default());
}

#[test]
fn what_must_not_be_is_found() {
    let bodies = [
        // Used, though nobody granted it.
        (0.0, step(asked("TG-1", "s-ana"))),
        (9.0, step(approval("consume", "TG-1", "s-ana"))),
        // Voted by who asked; used twice, after its end, for something else.
        (10.0, step(asked("TG-2", "s-ana"))),
        (20.0, vote("TG-2", "s-ana", "approve cli")),
        (20.1, granted("TG-2", 30.0)),
        (91.0, step(approval("consume", "TG-2", "s-ana"))),
        (92.0, step(OwnedApproval { digest: [4; 32], ..approval("consume", "TG-2", "s-ana") })),
        // Granted although denied, by a vote that came at once.
        (50.0, step(asked("TG-3", "s-ana"))),
        (50.4, vote("TG-3", "s-bob", "approve console")),
        (55.0, vote("TG-3", "s-carol", "deny cli")),
        (55.1, granted("TG-3", 600.0)),
        // As it should be: denied.
        (70.0, step(asked("TG-4", "s-ana"))),
        (80.0, vote("TG-4", "s-carol", "deny cli")),
        (80.1, step(OwnedApproval { reason: "denied".to_owned(), ..approval("end", "TG-4", "s-ana") })),
    ];
    let rows = rows(&lent(&bodies));
    let reports = reports(&rows, |_| true);
    let expected = [
        ("used-without-grant", "s-ana"),
        ("used-after-end", "s-ana"),
        ("used-again", "s-ana"),
        ("not-the-same", "s-ana"),
        ("own-vote", "s-ana"),
        ("granted-although-denied", "s-carol"),
        ("quick-vote", "s-bob"),
    ];
    assert_eq!(found(&reports), expected.map(|(name, who)| (name.to_owned(), who.to_owned())));
    assert_eq!(column(&reports, "approvals", "approvals", "ended"), ["used", "used", "approved, not used", "denied"]);
    let agreed = reports.agreed();
    assert_eq!((agreed.asked, agreed.approved, agreed.used, agreed.denied), (4, 2, 2, 1));
    // Votes are decisions of the voter.
    let votes: Vec<_> = rows.iter().filter(|row| row.act == "vote").collect();
    assert_eq!(
        (votes[0].person(), votes[0].decision, votes[0].outcome.as_str()),
        ("s-ana", Decision::Allowed, "approve")
    );
    assert_eq!(
        (votes[2].person(), votes[2].decision, votes[2].outcome.as_str()),
        ("s-carol", Decision::Refused, "deny")
    );
}

#[test]
fn one_person_who_approves_nearly_everything_is_named() {
    let approved = |voters: &[&str]| {
        let mut bodies = Vec::new();
        for (n, voter) in voters.iter().enumerate() {
            let (begin, id) = (n as f64 * 100.0, format!("TG-{n}"));
            bodies.push((begin, step(asked(&id, "s-ana"))));
            bodies.push((begin + 30.0, vote(&id, voter, "approve cli")));
            bodies.push((begin + 30.1, granted(&id, begin + 600.0)));
        }
        found(&reports(&rows(&lent(&bodies)), |_| true))
    };
    assert_eq!(approved(&["s-bob"; 6]), [("one-approver".to_owned(), "s-bob".to_owned())]);
    assert_eq!(approved(&["s-bob"; 4]), [], "too few to say anything");
    assert_eq!(approved(&["s-bob", "s-carol", "s-bob", "s-dora", "s-bob"]), []);
}

#[test]
fn a_role_for_a_time_is_told_with_its_votes_sessions_and_end() {
    let (ana, wanted) = (person("s-ana", ""), person("s-ana", "steward"));
    let nobody = OwnedActor::default;
    let reason = || "TICKET-2 wrong visits".to_owned();
    let login = || "ana".to_owned();
    let bodies = [
        (
            0.0,
            told(OwnedAccess {
                user: login(),
                detail: "oidc".to_owned(),
                ..access("sign_in", "s1", ana.clone(), nobody())
            }),
        ),
        (
            1.0,
            told(OwnedAccess {
                detail: "suspended".to_owned(),
                ..access("sign_in_failed", "", person("s-eve", ""), nobody())
            }),
        ),
        (
            2.0,
            told(OwnedAccess {
                user: login(),
                detail: "password".to_owned(),
                until_ns: at(HOUR),
                ..access("mint", "TC-1", ana.clone(), nobody())
            }),
        ),
        (
            10.0,
            told(OwnedAccess {
                user: login(),
                reason: reason(),
                ..access("request", "TG-1", ana.clone(), wanted.clone())
            }),
        ),
        (
            30.0,
            told(OwnedAccess {
                user: "bob".to_owned(),
                detail: "approve console with a key".to_owned(),
                ..access("vote", "TG-1", person("s-bob", ""), wanted.clone())
            }),
        ),
        (
            30.1,
            told(OwnedAccess {
                user: login(),
                reason: reason(),
                until_ns: at(HOUR),
                ..access("grant", "TG-1", nobody(), wanted)
            }),
        ),
        (
            40.0,
            told(OwnedAccess {
                session: SESSION,
                user: login(),
                detail: "password".to_owned(),
                ..access("bind", "TG-1", person("s-ana", "steward"), nobody())
            }),
        ),
        (
            41.0,
            Body::Credential(OwnedCredential {
                kind: "issue".to_owned(),
                session: SESSION,
                target: "clinic".to_owned(),
                account: "tg_ana_1".to_owned(),
                duration_us: 2500,
                ..OwnedCredential::default()
            }),
        ),
        (
            50.0,
            told(OwnedAccess {
                detail: "revoked".to_owned(),
                reason: "no longer needed".to_owned(),
                ..access("end", "TG-1", person("s-adm", ""), ana.clone())
            }),
        ),
        (
            51.0,
            told(OwnedAccess { detail: "TG-9: own".to_owned(), ..access("vote_refused", "", ana.clone(), nobody()) }),
        ),
        (
            60.0,
            told(OwnedAccess {
                detail: "suspend".to_owned(),
                reason: "left".to_owned(),
                ..access("admin", "", person("s-adm", ""), ana)
            }),
        ),
    ];
    let rows = rows(&lent(&bodies));
    let reports = reports(&rows, |_| true);
    let grant = |name: &str| column(&reports, "access", "grants", name).concat();
    assert_eq!((grant("person"), grant("role"), grant("target")), (login(), "steward".to_owned(), "clinic".to_owned()));
    assert_eq!((grant("way"), grant("votes")), ("voted on".to_owned(), "bob approved (console)".to_owned()));
    assert_eq!((grant("from"), grant("until")), (time::format(at(30.1), 3), time::format(at(HOUR), 3)));
    assert_eq!(
        (grant("sessions"), grant("how"), grant("by")),
        ("1".to_owned(), "revoked".to_owned(), "s-adm".to_owned())
    );
    assert_eq!(grant("purpose"), reason());
    let list = |table: &str, name: &str| column(&reports, "access", table, name);
    assert_eq!(list("sign-ins", "event"), ["sign_in", "sign_in_failed"]);
    assert_eq!(list("sign-ins", "way"), ["oidc", "suspended"]);
    assert_eq!(
        (list("credentials", "what"), list("credentials", "person")),
        (vec!["password".to_owned()], vec![login()])
    );
    assert_eq!(list("bound-sessions", "id"), ["TG-1"]);
    assert_eq!(list("administration", "act"), ["revoked", "suspend"]);
    assert_eq!(list("administration", "about"), ["ana", "ana"]);
    assert_eq!(list("refused-acts", "act"), ["vote_refused"]);
    assert_eq!(
        (list("session-accounts", "account"), list("session-accounts", "ms")),
        (vec!["tg_ana_1".to_owned()], vec!["2.500".to_owned()])
    );
    assert_eq!((reports.totals.sign_ins, reports.totals.failed_sign_ins), (1, 1));
    assert_eq!(column(&reports, "approvals", "votes", "about"), ["role"]);
    // As rows: who acts, or whom it is about; the target of the record.
    let who: Vec<(&str, &str, &str)> =
        rows.iter().map(|row| (row.act.as_str(), row.person(), row.facts.target.as_str())).collect();
    assert!(who.contains(&("grant", "s-ana", "clinic")) && who.contains(&("vote", "s-bob", "clinic")), "{who:?}");
    assert_eq!(rows.iter().find(|row| row.act == "grant").unwrap().facts.role, "steward");
    assert_eq!(rows.iter().find(|row| row.act == "vote").unwrap().facts.role, "", "the role is not the voter's");
    let query = crate::query::Query { kind: vec!["ACCESS.vote".to_owned()], ..Default::default() };
    assert_eq!(rows.iter().filter(|row| query.wants(row)).count(), 1);
}

#[test]
fn an_emergency_has_a_day_for_two_reviews_by_others() {
    let taken = |id: &str| {
        let (reason, until_ns) = ("the ward is down".to_owned(), at(HOUR));
        let (ana, about) = (person("s-ana", ""), person("s-ana", "emergency"));
        told(OwnedAccess { user: "ana".to_owned(), reason, until_ns, ..access("break_glass", id, ana, about) })
    };
    let review = |id: &str, by: &str| {
        let reason = "justified".to_owned();
        told(OwnedAccess { reason, ..access("break_glass_review", id, person(by, ""), person("s-ana", "")) })
    };
    let later = |at: f64| (at, told(access("sign_out", "", person("s-bob", ""), OwnedActor::default())));
    let look = |bodies: &[(f64, Body)]| {
        let reports = reports(&rows(&lent(bodies)), |_| true);
        (column(&reports, "approvals", "emergencies", "in_time").concat(), found(&reports), reports.agreed())
    };
    let (in_time, findings, agreed) = look(&[
        (0.0, taken("TG-1")),
        (HOUR, review("TG-1", "s-bob")),
        (2.0 * HOUR, review("TG-1", "s-dora")),
        later(30.0 * HOUR),
    ]);
    assert_eq!((in_time.as_str(), findings.len()), ("yes", 0));
    assert_eq!((agreed.emergencies, agreed.unreviewed, agreed.roles_given), (1, 0, 1));
    let (in_time, findings, _) = look(&[(0.0, taken("TG-1")), later(23.0 * HOUR)]);
    assert!(in_time.starts_with("due ") && findings.is_empty(), "{in_time} {findings:?}");
    // The second one came too late; one's own does not count.
    let (in_time, findings, agreed) = look(&[
        (0.0, taken("TG-1")),
        (1.0, review("TG-1", "s-ana")),
        (HOUR, review("TG-1", "s-bob")),
        (25.0 * HOUR, review("TG-1", "s-dora")),
    ]);
    let names: Vec<&str> = findings.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((in_time.as_str(), names), ("no", vec!["not-reviewed-in-time", "own-review"]));
    assert_eq!(agreed.unreviewed, 1);
}
