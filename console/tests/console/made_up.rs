//! A gateway that does not exist: what the console shows of it, and what it was told.

use access::Person;
use console::world::{
    Answer, Bundle, Core, Coverage, Difference, Explained, Found, Health, Light, Live, Part, PolicySummary, Recorded,
    Replay, Replayed, Search, Sees, Standing, Target, Viewer, World,
};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A session that runs, of the person `ann`.
pub(crate) const SESSION: &str = "00112233445566778899aabbccddeeff";
/// A name that would run as a script, or as a formula.
pub(crate) const HOSTILE: &str = "=cmd|' /C calc'!A0<script>window.ran=1</script>\"'><img src=x onerror=window.ran=1>";

/// What it was told.
#[derive(Debug, Default)]
pub(crate) struct MadeUp {
    pub(crate) killed: Mutex<Vec<String>>,
    pub(crate) viewed: Mutex<Vec<Viewer>>,
}

fn recorded() -> Recorded {
    Recorded {
        session: SESSION.into(),
        user: "ann".into(),
        role: "support".into(),
        target: "warehouse".into(),
        source: "10.1.2.3".into(),
        application: HOSTILE.into(),
        opened_s: 1_800_000_000,
        closed: Some((1_800_000_900, "client".into())),
        forwarded: 3,
        refused: 1,
        rows: 42,
        bytes: 12_345,
        recording: "rows".into(),
    }
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

impl World for MadeUp {
    fn targets(&self) -> Vec<Target> {
        ["warehouse", "crm"]
            .iter()
            .map(|name| Target {
                name: (*name).into(),
                host: "tidegate.example".into(),
                port: 6432,
                database: (*name).into(),
                tls: true,
                ready: *name == "warehouse",
                purpose_required: false,
            })
            .collect()
    }

    fn standing(&self, person: &Person) -> Vec<Standing> {
        if person.groups.iter().any(|group| group == "engineers") {
            return vec![Standing { target: "warehouse".into(), role: "support".into() }];
        }
        Vec::new()
    }

    fn live(&self) -> Vec<Live> {
        vec![Live {
            session: SESSION.into(),
            core: 1,
            issuer: "https://id.example".into(),
            subject: "ann".into(),
            user: "ann".into(),
            role: "support".into(),
            target: "warehouse".into(),
            source: "10.1.2.3".into(),
            application: HOSTILE.into(),
            grant: String::new(),
            purpose: "CASE-4711".into(),
            since_s: 1_800_000_000,
            until_s: 0,
        }]
    }

    fn kill(&self, session: &str, _reason: &str) -> bool {
        self.killed.lock().unwrap().push(session.to_owned());
        session == SESSION
    }

    fn health(&self) -> Health {
        let part = |name: &str, light, says: &str| Part {
            name: name.into(),
            light,
            says: says.into(),
            facts: pairs(&[("behind", "12 blocks"), ("oldest", "340 ms")]),
        };
        let core = |core| Core {
            core,
            sessions: 12,
            statements: 48_200,
            stages: vec![("decide".into(), 21, 140), ("durable".into(), 2_300, 7_900), ("answer".into(), 35, 310)],
        };
        Health {
            version: "0.1.0".into(),
            node: "gate-1".into(),
            since_s: 1_799_990_000,
            light: Light::Warn,
            cores: vec![core(0), core(1)],
            parts: vec![
                part("Audit log", Light::Good, "Everything is durable."),
                part("Witness w1", Light::Warn, "Has not signed for 4 minutes."),
                part("Upstream crm", Light::Bad, "Connection refused."),
            ],
        }
    }

    fn policy(&self) -> Result<PolicySummary, String> {
        let row = |class: &str, support: &str, analyst: &str| Sees {
            class: class.into(),
            by_role: BTreeMap::from([("support".into(), support.into()), ("analyst".into(), analyst.into())]),
        };
        Ok(PolicySummary {
            bundle: Bundle { digest: "ab".repeat(32), from_s: 1_800_000_000 },
            earlier: vec![Bundle { digest: "cd".repeat(32), from_s: 1_799_000_000 }],
            roles: vec!["analyst".into(), "support".into()],
            observed: vec!["analyst".into()],
            sees: vec![row("name", "clear", "masked: initial"), row("diagnosis", "masked: hash", "refused")],
            coverage: vec![Coverage {
                target: "warehouse".into(),
                columns: 120,
                classified: 40,
                clear: 70,
                uncovered: 10,
                protected: vec![("public.patients".into(), "name".into(), "name".into())],
                open: vec![("public.visits".into(), HOSTILE.into(), "free text".into())],
            }],
        })
    }

    fn difference(&self, _from: &str, _to: &str) -> Result<Difference, String> {
        let change = |sign, text: &str| (sign, text.to_owned());
        let changes = vec![change('!', "analyst sees name in clear"), change('+', "rule r-9"), change('-', "rule r-2")];
        Ok(Difference { sees_more: true, changes })
    }

    fn explain(&self, _target: &str, role: &str, statement: &str) -> Result<Explained, String> {
        Ok(Explained {
            decision: "refused".into(),
            rule: format!("{role}/no-deletes"),
            message: "deletes are not allowed".into(),
            columns: vec![(HOSTILE.into(), "patients.name".into(), "masked: initial".into())],
            text: statement.to_owned(),
        })
    }

    fn search(&self, search: &Search) -> Result<Found, String> {
        let sessions = if search.session.is_empty() || SESSION.starts_with(&search.session) {
            vec![recorded()]
        } else {
            Vec::new()
        };
        Ok(Found { sessions, more: false, damage: Vec::new() })
    }

    fn replay(&self, _session: &str, viewer: &Viewer) -> Result<Replay, String> {
        self.viewed.lock().unwrap().push(viewer.clone());
        let cell = |text: &str| Some(text.to_owned());
        let answer = Answer {
            columns: vec!["id".into(), "name".into(), HOSTILE.into()],
            rows: vec![vec![cell("1"), cell("A…"), None], vec![cell("2"), cell("B…"), cell(HOSTILE)]],
            left_out: 40,
        };
        let statement = |number, text: &str| Replayed {
            statement: number,
            at_ns: 1_800_000_001_000_000_000 + number * 1_000_000_000,
            text: text.into(),
            outcome: "SELECT 2".into(),
            rows: 2,
            duration_us: 2_310,
            masked: pairs(&[("name", "initial")]),
            ..Replayed::default()
        };
        let mut first = statement(1, "SELECT id, name, note\nFROM patients\nWHERE id < 3");
        first.answer = Some(answer);
        let mut second = statement(2, "DELETE FROM patients");
        second.refused = Some(("42501".into(), "support/no-deletes".into()));
        Ok(Replay { session: recorded(), statements: vec![first, second], more: false, notes: Vec::new() })
    }
}
