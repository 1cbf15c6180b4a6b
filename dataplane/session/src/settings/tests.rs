#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use proptest::prelude::*;

/// What a client does.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, usize),
    Reset(usize),
    ResetAll,
    Local(usize, usize),
    SetConfig(usize, usize),
    Select,
    Fail,
    Begin,
    Commit,
    Rollback,
    /// A text of the simple protocol.
    Text(Vec<Self>),
    /// Ends what the extended protocol has begun.
    Sync,
    /// The database's answers arrive.
    Hear,
}

const NAMES: [&str; 2] = ["timezone", "app.tenant"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let text = prop_oneof![
        3 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::Set(n, v)),
        2 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::SetConfig(n, v)),
        1 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::Local(n, v)),
        1 => (0..2_usize).prop_map(Step::Reset),
        1 => Just(Step::ResetAll),
        2 => Just(Step::Select),
        1 => Just(Step::Fail),
        1 => Just(Step::Commit),
        1 => Just(Step::Begin),
        1 => Just(Step::Rollback),
    ];
    let step = prop_oneof![
        4 => proptest::collection::vec(text, 1..4).prop_map(Step::Text),
        5 => Just(Step::Hear),
        4 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::Set(n, v)),
        2 => (0..2_usize).prop_map(Step::Reset),
        1 => Just(Step::ResetAll),
        1 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::Local(n, v)),
        1 => (0..2_usize, 0..2_usize).prop_map(|(n, v)| Step::SetConfig(n, v)),
        1 => Just(Step::Select),
        1 => Just(Step::Fail),
        1 => Just(Step::Begin),
        1 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        8 => Just(Step::Sync),
    ];
    proptest::collection::vec(step, 0..18)
}

type Values = BTreeMap<usize, usize>;

/// A server as its manual describes it: what was set in a transaction holds when that ends well.
#[derive(Default)]
struct Server {
    now: Values,
    before: Values,
    local: Vec<usize>,
    block: bool,
    /// Something ran since the last Sync outside of a block.
    implicit: bool,
    failed: bool,
}

impl Server {
    fn end(&mut self, well: bool) {
        if well && !self.failed {
            for name in std::mem::take(&mut self.local) {
                match self.before.get(&name) {
                    Some(value) => drop(self.now.insert(name, *value)),
                    None => drop(self.now.remove(&name)),
                }
            }
        } else {
            self.now = self.before.clone();
        }
        self.local.clear();
        (self.block, self.implicit, self.failed) = (false, false, false);
        self.before = self.now.clone();
    }

    /// True if it succeeded.
    fn run(&mut self, step: &Step) -> bool {
        if self.failed && !matches!(step, Step::Commit | Step::Rollback) {
            return false;
        }
        self.implicit |= !self.block;
        match step {
            Step::Set(name, value) | Step::SetConfig(name, value) => {
                self.local.retain(|n| n != name);
                self.now.insert(*name, *value);
            }
            Step::Local(name, value) => {
                self.local.push(*name);
                self.now.insert(*name, *value);
            }
            Step::Reset(name) => {
                self.local.retain(|n| n != name);
                self.now.remove(name);
            }
            Step::ResetAll => {
                self.local.clear();
                self.now.clear();
            }
            Step::Fail => {
                self.failed = true;
                return false;
            }
            Step::Begin => self.block = true,
            Step::Commit => self.end(true),
            Step::Rollback => self.end(false),
            Step::Select | Step::Sync | Step::Hear | Step::Text(_) => {}
        }
        true
    }
}

fn text_of(step: &Step) -> String {
    match step {
        Step::Set(name, value) => format!("SET {} = '{value}'", NAMES[*name]),
        Step::Local(name, value) => format!("SET LOCAL {} = '{value}'", NAMES[*name]),
        Step::SetConfig(name, value) => format!("SELECT set_config('{}', '{value}', false)", NAMES[*name]),
        Step::Reset(name) => format!("RESET {}", NAMES[*name]),
        Step::ResetAll => "RESET ALL".to_owned(),
        Step::Select => "SELECT 1".to_owned(),
        Step::Fail => "SELECT 1/0".to_owned(),
        Step::Begin => "BEGIN".to_owned(),
        Step::Commit => "COMMIT".to_owned(),
        Step::Rollback => "ROLLBACK".to_owned(),
        Step::Sync | Step::Hear | Step::Text(_) => String::new(),
    }
}

/// What the database has said, or will.
enum Answer {
    Ok(u64),
    Failed,
    /// Nothing: what follows an error is skipped.
    Skipped,
    Ready {
        block: bool,
    },
}

/// The gateway's side.
#[derive(Default)]
struct Gateway {
    settings: Settings,
    owed: Vec<Answer>,
    /// As the database last said.
    block: bool,
    /// Something ran since the last Sync.
    ran: bool,
    failures: u64,
}

impl Gateway {
    /// What was owed arrives.
    fn hear(&mut self) {
        for answer in std::mem::take(&mut self.owed) {
            match answer {
                Answer::Ok(number) => self.settings.succeeded(number),
                Answer::Failed => self.failures += 1,
                Answer::Skipped => {}
                Answer::Ready { block } => self.block = block,
            }
        }
        if !self.block && !self.ran && self.settings.wait() {
            self.settings.settle(self.failures);
        }
    }

    fn forward(&mut self, number: u64, text: &str, simple: bool) {
        let facts = lineage::analyse(text).unwrap();
        let sets = facts.statements.iter().any(|s| changes(s));
        if sets || self.settings.wait() {
            let open = self.block || self.ran || !self.owed.is_empty();
            self.settings.before(open, self.failures);
            if sets {
                self.settings.change(number, text.as_bytes(), &facts, simple, self.failures, open);
            }
        }
    }
}

const END: &[Step] = &[Step::Sync, Step::Hear, Step::Rollback, Step::Sync, Step::Hear];

/// A session that does this; each step in the extended protocol, or, where it says so, as a text in the simple one. Answers arrive where it says so, and at the end.
fn session(steps: &[Step]) -> (Settings, Values) {
    let (mut gateway, mut server, mut skipping) = (Gateway::default(), Server::default(), false);
    let sync = |gateway: &mut Gateway, server: &mut Server| {
        gateway.ran = false;
        if !server.block {
            server.end(true);
        }
        gateway.owed.push(Answer::Ready { block: server.block });
    };
    for (number, step) in steps.iter().chain(END).enumerate() {
        let number = number as u64;
        match step {
            Step::Hear => gateway.hear(),
            Step::Sync => {
                sync(&mut gateway, &mut server);
                skipping = false;
            }
            Step::Text(inner) => {
                if gateway.ran {
                    continue;
                }
                let texts: Vec<String> = inner.iter().map(text_of).collect();
                gateway.forward(number, &texts.join("; "), true);
                let well = inner.iter().all(|step| server.run(step));
                gateway.owed.push(if well { Answer::Ok(number) } else { Answer::Failed });
                sync(&mut gateway, &mut server);
            }
            step => {
                gateway.forward(number, &text_of(step), false);
                gateway.ran = true;
                gateway.owed.push(match skipping {
                    true => Answer::Skipped,
                    false if server.run(step) => Answer::Ok(number),
                    false => {
                        skipping = true;
                        Answer::Failed
                    }
                });
            }
        }
    }
    (gateway.settings, server.now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]
    #[test]
    fn equal_digests_mean_equal_settings(one in steps(), other in steps()) {
        let ((one, now), (other, then)) = (session(&one), session(&other));
        if one.digest("TG-1", true) == other.digest("TG-2", true) {
            prop_assert_eq!(now, then);
        }
    }

    #[test]
    fn what_is_set_alone_is_known(values in proptest::collection::vec((0..2_usize, 0..2_usize), 0..6)) {
        let set = |(name, value): &(usize, usize)| [Step::Set(*name, *value), Step::Sync, Step::Hear];
        let (all, now) = session(&values.iter().flat_map(set).collect::<Vec<_>>());
        let last: Vec<Step> = now.iter().flat_map(|(name, value)| set(&(*name, *value))).collect();
        prop_assert_eq!(all.digest("TG-1", true), session(&last).0.digest("TG-2", true));
    }
}

#[test]
fn a_doubt_is_one_questions_alone() {
    let (doubtful, _) = session(&[Step::SetConfig(0, 1), Step::Sync]);
    assert!(!doubtful.are_plain());
    assert_eq!(doubtful.digest("TG-1", true), doubtful.digest("TG-1", true));
    assert_ne!(doubtful.digest("TG-1", true), doubtful.digest("TG-2", true));
    // Everything is back where it was.
    let (plain, _) = session(&[Step::SetConfig(0, 1), Step::Sync, Step::Hear, Step::ResetAll, Step::Sync]);
    assert!(plain.are_plain());
    assert_eq!(plain.digest("TG-1", true), Settings::default().digest("TG-2", true));
}

/// After these texts, each answered before the next.
fn after(texts: &[&str]) -> Settings {
    let mut gateway = Gateway::default();
    for (number, text) in (0..).zip(texts) {
        gateway.forward(number, text, true);
        gateway.owed.extend([Answer::Ok(number), Answer::Ready { block: false }]);
        gateway.hear();
    }
    gateway.settings
}

#[test]
fn half_a_date_style_goes_by_the_one_before() {
    let of = |texts: &[&str]| after(texts).digest("TG-1", true);
    let full = "SET DateStyle = 'ISO, MDY'";
    assert_eq!(of(&["SET DateStyle = 'SQL, DMY'", full]), of(&[full]));
    assert_ne!(of(&["SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'ISO'"]), of(&["SET DateStyle = 'ISO'"]));
    for half in ["SET DateStyle = 'ISO, ISO'", "SET DateStyle TO DMY, DMY", "SET DateStyle = 'US, NonEuro'"] {
        assert_ne!(of(&["SET DateStyle = 'SQL, YMD'", half]), of(&[half]), "{half}");
    }
    for full in ["SET DateStyle = 'dmy,German'", "SET DateStyle TO Postgres, YMD"] {
        assert_eq!(of(&["SET DateStyle = 'SQL, MDY'", full]), of(&[full]), "{full}");
    }
    let doubt = ["BEGIN; SET DateStyle = 'SQL, DMY'; COMMIT", "SET DateStyle = 'ISO'"];
    assert!(!after(&doubt).are_known());
    assert!(after(&[doubt[0], full]).are_known() && after(&[doubt[0], "RESET DateStyle"]).are_known());
}

#[test]
fn what_transactions_begin_with_is_told_by_all_that_was_said() {
    let of = |texts: &[&str]| {
        let settings = after(texts);
        assert!(settings.are_known(), "{texts:?}");
        settings.digest("TG-1", true)
    };
    let serializable = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE";
    let committed = "SET default_transaction_isolation = 'read committed'";
    let reset = "RESET default_transaction_isolation";
    assert_eq!(of(&[serializable]), of(&["SET TimeZone = 'UTC'", serializable, "RESET TimeZone"]));
    let each = [of(&[]), of(&[serializable]), of(&[committed]), of(&[serializable, committed])];
    assert!(!each.contains(&of(&[committed, serializable])));
    assert!(each.iter().all(|one| each.iter().filter(|other| *other == one).count() == 1));
    assert_ne!(of(&[serializable, reset]), of(&[reset, serializable]));
    assert_eq!(of(&[serializable, committed, "RESET ALL"]), of(&[]));
    assert!(!after(&["BEGIN; SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; COMMIT"]).are_known());
    assert!(after(&["BEGIN", "SET TRANSACTION READ ONLY"]).are_known());
}

#[test]
fn what_drivers_send_for_every_connection_is_known() {
    for known in [
        "SELECT set_config('TimeZone', 'UTC', false)",
        " select pg_catalog.set_config ( 'app.tenant' , '7' , FALSE ) ",
        "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;",
        "SET TimeZone = 'UTC'; SELECT set_config('app.tenant', '7', false); SELECT 1",
    ] {
        assert!(after(&[known]).are_known(), "{known}");
    }
    let plain = after(&[]).digest("TG-1", true);
    assert_eq!(after(&["SET TimeZone = 'UTC'", "SELECT 1; RESET ALL"]).digest("TG-2", true), plain);
    assert_ne!(after(&["SELECT set_config('TimeZone', 'UTC', false)"]).digest("TG-1", true), plain);
    for doubt in [
        "SELECT set_config('TimeZone', 'UTC', true)",
        "SELECT set_config('TimeZone', 'UTC', false) FROM t",
        "SELECT set_config('TimeZone', 'UTC', false) WHERE false",
        "SELECT set_config('TimeZone', 'UTC', false) LIMIT 0",
        "SELECT set_config('TimeZone', 'UTC', false), set_config('TimeZone', 'UTC', true)",
        "SELECT set_config('TimeZone', E'\\x41', false)",
        "SELECT set_config('TimeZone', 'a\\'')', false)",
        "SELECT CASE WHEN false THEN set_config('TimeZone', 'UTC', false) END",
        "SET TimeZone = 'UTC'; COMMIT",
        "EXECUTE p; RESET ALL",
    ] {
        if lineage::analyse(doubt).is_ok() {
            assert!(!after(&[doubt]).are_known(), "{doubt}");
        }
    }
    let mut extended = Gateway::default();
    extended.forward(0, "SELECT set_config('TimeZone', 'UTC', false)", false);
    extended.owed.extend([Answer::Ok(0), Answer::Ready { block: false }]);
    extended.hear();
    assert!(!extended.settings.are_known(), "a row limit can leave it for later");
}

#[test]
fn a_parameter_that_was_made_does_not_go_away() {
    let reset = after(&["SET app.x_timeout = '1'", "RESET app.x_timeout"]);
    assert!(reset.are_known() && reset.own_names());
    assert_ne!(reset.digest("TG-1", true), Settings::default().digest("TG-1", true));
    let all = after(&["SET app.x_timeout = '1'", "SET TimeZone = 'UTC'", "RESET ALL"]);
    assert_eq!(all.digest("TG-1", true), reset.digest("TG-2", true));
    assert!(
        after(&["DO $$ begin end $$"]).own_names() && !after(&["SET statement_timeout = 1", "SELECT 1"]).own_names()
    );
}

#[test]
fn what_was_set_unseen_is_in_doubt_for_good() {
    // What EXECUTE and FETCH run is looked up by the caller: they come here if it can set something.
    for unseen in ["DO $$ begin end $$", "CALL p()", "EXECUTE p", "FETCH c", "SELECT set_config(a, b, false) FROM t"] {
        for reset in ["RESET ALL", "DISCARD ALL"] {
            let mut settings = Settings::default();
            for (number, text) in (0..).zip([unseen, reset, "SET DateStyle = 'ISO, MDY'", reset]) {
                settings.change(number, text.as_bytes(), &lineage::analyse(text).unwrap(), true, 0, false);
                settings.succeeded(number);
                settings.settle(0);
            }
            assert!(!settings.are_known() && settings.own_names(), "{unseen}; {reset}");
            assert_ne!(settings.digest("TG-1", true), settings.digest("TG-2", true));
        }
    }
    // Only the names of what is written in the text are known.
    let written = after(&["BEGIN; SET DateStyle = 'SQL, DMY'; COMMIT", "RESET ALL"]);
    assert!(written.are_known() && !written.own_names());
}

#[test]
fn what_runs_a_text_can_set_anything() {
    for text in [
        "DO $$ begin end $$",
        "CALL p()",
        "SELECT query_to_xml('select set_config(''a.b'', ''c'', false)', true, true, '')",
        "DELETE FROM t USING ts_stat('select x from t') AS s WHERE t.a = s.word",
        "SELECT * FROM public.crosstab('select 1') AS c (a int)",
    ] {
        assert!(!after(&[text]).are_known() && !after(&[text, "RESET ALL"]).are_known(), "{text}");
    }
    assert!(after(&["SELECT pg_sleep(1), f(), nextval('s')"]).are_known());
}

#[test]
fn what_reads_parameters_by_name_is_one_questions_alone() {
    for (text, does) in [
        ("DELETE FROM t WHERE a = current_setting('statement_timeout')", true),
        ("DELETE FROM t USING pg_settings s WHERE s.setting = a", true),
        ("DELETE FROM t WHERE a = 1", false),
    ] {
        assert_eq!(reads(&lineage::analyse(text).unwrap()), does, "{text}");
    }
    let settings = Settings::default();
    assert_ne!(settings.digest("TG-1", false), settings.digest("TG-2", false));
}

#[test]
fn a_session_that_sets_without_end_is_in_doubt_and_small() {
    let mut settings = Settings::default();
    for number in 0..10_000 {
        let text = format!("SET app.n{number} = '1'");
        settings.change(number, text.as_bytes(), &lineage::analyse(&text).unwrap(), true, 0, false);
        settings.succeeded(number);
        settings.settle(0);
    }
    let small = |changes: &Changes| changes.set.len().max(changes.open.len()) <= SETTINGS_MAX;
    assert!(settings.changes.as_deref().is_none_or(small) && settings.all_open);
    settings.change(10_000, b"RESET ALL", &lineage::analyse("RESET ALL").unwrap(), true, 0, false);
    settings.succeeded(10_000);
    settings.settle(0);
    assert!(!settings.are_known(), "their names were forgotten, and they are still there");
}

#[test]
fn start_up_parameters_count_in_any_order_and_case() {
    let of = |all: &[(&str, &str)]| {
        Startup::of(&all.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>())
    };
    let both = [("DateStyle", "German"), ("TimeZone", "UTC")];
    assert_eq!(of(&both), of(&[("timezone", "UTC"), ("application_name", "psql"), ("datestyle", "German")]));
    assert_ne!(of(&both), of(&both[..1]));
    assert_ne!(of(&[("timezone", "UTC")]), of(&[("timezone", "utc")]));
    assert_eq!(of(&[("application_name", "psql"), ("extra_float_digits", "3")]), Startup::default());
    assert_ne!(of(&[("extra_float_digits", "0")]), Startup::default());
    assert!(of(&[("search_path", "")]).own_path && !of(&both).own_path);
    let plain = |all: &[(&str, &str)]| Settings::new(of(all)).are_plain();
    assert!(plain(&[("DateStyle", "ISO"), ("TimeZone", "Europe/Rome")]));
    assert!(!plain(&[("DateStyle", "German")]) && !plain(&[("lc_monetary", "C")]));
}
