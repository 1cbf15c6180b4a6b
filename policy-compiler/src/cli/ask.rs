//! `explain` and `test`: verbs that ask the runtime what it would do with a statement.

use clap::{ArgGroup, Args};
use policy_compiler::build::Who;
use policy_compiler::engine::Engine;
use policy_compiler::{explain, testing};

use super::live::choose;
use super::{Outcome, RuleFiles, Screen, Stop, load, print};

#[derive(Args)]
#[command(group(ArgGroup::new("who").required(true)), after_help =
    "Example: policy-compiler explain rules/ --catalog c.json --as analyst -s 'select ssn from clinic.patients'\n\
     Exit code 1 if the statement is refused.")]
pub(crate) struct Explain {
    #[command(flatten)]
    files: RuleFiles,
    /// Role to ask as.
    #[arg(long = "as", visible_alias = "role", group = "who", value_name = "ROLE")]
    role: Option<String>,
    /// Identity groups to ask as, separated by commas.
    #[arg(long, group = "who", value_delimiter = ',', value_name = "GROUPS")]
    groups: Vec<String>,
    /// Target; not needed if there is only one.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// SQL text; `-` reads standard input.
    #[arg(short, long, value_name = "SQL")]
    statement: String,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Longest statement read from standard input.
const STATEMENT_BYTES_MAX: u64 = 8 << 20;

impl Explain {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let (rules, catalogs) = load(&self.files, screen.err)?;
        let target = choose(&rules.model.targets, self.target.as_deref())?;
        let engine = Engine::new(&rules.model, &catalogs).map_err(Stop::Failed)?;
        let who = match &self.role {
            Some(name) => {
                let Some(role) = rules.model.roles.iter().position(|r| r.name == *name) else {
                    let near = policy_compiler::words::nearest(name, rules.model.roles.iter().map(|r| r.name.as_str()));
                    let fix = near.map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                    return Err(Stop::Failed(format!("unknown role `{name}`{fix}")));
                };
                Who::Role(role)
            }
            None => Who::Groups(self.groups.clone()),
        };
        let statement = if self.statement == "-" {
            let mut text = String::new();
            std::io::Read::read_to_string(
                &mut std::io::Read::take(std::io::stdin().lock(), STATEMENT_BYTES_MAX),
                &mut text,
            )
            .map_err(Stop::failed)?;
            text
        } else {
            self.statement.clone()
        };
        let judgement = engine.judge(target, &who, &statement);
        let explanation = explain::Explanation::new(&rules, target, who, &statement, judgement);
        print(&if self.json { explanation.json() } else { explanation.text(screen.out) })?;
        if explanation.refused() { Err(Stop::Findings) } else { Ok(()) }
    }
}

#[derive(Args)]
#[command(after_help = "Exit code 1 if a test fails.")]
pub(crate) struct Test {
    #[command(flatten)]
    files: RuleFiles,
    /// Show failed tests only.
    #[arg(short, long)]
    quiet: bool,
}

impl Test {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let (rules, catalogs) = load(&self.files, screen.err)?;
        if rules.tests.is_empty() {
            return Err(Stop::Failed("there are no tests; add some under `tests:` in a rule file".to_owned()));
        }
        let engine = Engine::new(&rules.model, &catalogs).map_err(Stop::Failed)?;
        let results = testing::run(&rules, &engine);
        print(&testing::text(&rules, &results, self.quiet, screen.out))?;
        if results.iter().all(|r| r.failures.is_empty()) { Ok(()) } else { Err(Stop::Findings) }
    }
}
