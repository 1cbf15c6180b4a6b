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
    /// Ends what the extended protocol has begun.
    Sync,
}

const NAMES: [&str; 2] = ["datestyle", "app.tenant"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
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
    proptest::collection::vec(step, 0..14)
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
            Step::Select | Step::Sync => {}
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
        Step::Sync => String::new(),
    }
}

/// A session that does this in the extended protocol, driven as `Session` drives it; it is left after a Sync.
fn session(steps: &[Step]) -> (Settings, Values) {
    let (mut settings, mut server) = (Settings::default(), Server::default());
    let (mut ran, mut failures, mut skipping) = (false, 0, false);
    for (number, step) in steps.iter().chain([&Step::Sync, &Step::Rollback, &Step::Sync]).enumerate() {
        let number = number as u64;
        if matches!(step, Step::Sync) {
            (ran, skipping) = (false, false);
            if !server.block {
                server.end(true);
                if settings.wait() {
                    settings.settle(failures);
                }
            }
            continue;
        }
        if skipping {
            continue;
        }
        let open = server.block || ran;
        if settings.wait() && open {
            settings.disturb();
        }
        let text = text_of(step);
        let facts = lineage::analyse(&text).unwrap();
        if facts.statements.iter().any(|s| changes(s)) {
            settings.change(number, text.as_bytes(), &facts, failures, open);
        }
        ran = true;
        if server.run(step) {
            settings.succeeded(number);
        } else {
            failures += 1;
            skipping = true;
        }
    }
    (settings, server.now)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]
    #[test]
    fn equal_digests_mean_equal_settings(one in steps(), other in steps()) {
        let ((one, now), (other, then)) = (session(&one), session(&other));
        if one.digest("TG-1") == other.digest("TG-2") {
            prop_assert_eq!(now, then);
        }
    }

    #[test]
    fn what_is_set_alone_is_known(values in proptest::collection::vec((0..2_usize, 0..2_usize), 0..6)) {
        let set = |(name, value): &(usize, usize)| [Step::Set(*name, *value), Step::Sync];
        let (all, now) = session(&values.iter().flat_map(set).collect::<Vec<_>>());
        let last: Vec<Step> = now.iter().flat_map(|(name, value)| set(&(*name, *value))).collect();
        prop_assert_eq!(all.digest("TG-1"), session(&last).0.digest("TG-2"));
    }
}

#[test]
fn a_doubt_is_one_questions_alone() {
    let (doubtful, _) = session(&[Step::SetConfig(0, 1), Step::Sync]);
    assert!(!doubtful.are_plain());
    assert_eq!(doubtful.digest("TG-1"), doubtful.digest("TG-1"));
    assert_ne!(doubtful.digest("TG-1"), doubtful.digest("TG-2"));
    // Everything is back where it was.
    let (plain, _) = session(&[Step::SetConfig(0, 1), Step::Sync, Step::ResetAll, Step::Sync]);
    assert!(plain.are_plain());
    assert_eq!(plain.digest("TG-1"), Settings::default().digest("TG-2"));
}

#[test]
fn a_session_that_sets_without_end_is_in_doubt_and_small() {
    let mut settings = Settings::default();
    for number in 0..10_000 {
        let text = format!("SET app.n{number} = '1'");
        settings.change(number, text.as_bytes(), &lineage::analyse(&text).unwrap(), 0, false);
        settings.succeeded(number);
        settings.settle(0);
    }
    assert!(settings.set.len() <= SETTINGS_MAX && settings.open.len() <= SETTINGS_MAX && settings.all_open);
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
