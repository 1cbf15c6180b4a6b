//! `check`, `compile`, `diff`: verbs about rule files and bundles as wholes.

use std::path::{Path, PathBuf};

use clap::Args;
use policy_compiler::{Paint, Report, bundle, diff};

use super::{CatalogFiles, Outcome, RuleFiles, Screen, Stop, load, load_into, print, write};

#[derive(Args)]
#[command(after_help = "Without --catalog selectors are not compared with real columns.")]
pub(crate) struct Check {
    #[command(flatten)]
    files: RuleFiles,
    /// Warnings count as findings.
    #[arg(long)]
    strict: bool,
}

impl Check {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let mut report = Report::default();
        let (rules, catalogs, sources) = load_into(&self.files.rules, &self.files.catalogs, &mut report)?;
        eprint!("{}", report.render(&sources, screen.err));
        let rules = rules.ok_or(Stop::Findings)?;
        let m = &rules.model;
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut parts = vec![
            count(m.targets.len(), "target"),
            format!("{} classes", m.classes.len()),
            count(m.roles.len(), "role"),
            count(m.blocks.len(), "blocking rule"),
            count(m.holds.len(), "holding rule"),
            count(rules.tests.len(), "test"),
        ];
        if !catalogs.is_empty() {
            let classified = m.columns.iter().filter(|c| c.class.is_some()).count();
            parts.push(format!("{classified} of {} classified", count(m.columns.len(), "column")));
        }
        print(&format!("{}: {}\n", screen.out.green("ok"), parts.join(", ")))?;
        if self.strict && report.warnings() > 0 { Err(Stop::Findings) } else { Ok(()) }
    }
}

#[derive(Args)]
#[command(
    after_help = "The same source gives the same bytes, so the printed hash names the rules in every audit record."
)]
pub(crate) struct Compile {
    #[command(flatten)]
    files: RuleFiles,
    /// Bundle to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl Compile {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let (rules, _) = load(&self.files, screen.err)?;
        let bytes = bundle::encode(&rules.model).map_err(Stop::Failed)?;
        let digest = bundle::decode(&bytes).map_err(Stop::Failed)?.1;
        write(&self.output, &bytes)?;
        print(&format!("{}: {} bytes, sha256 {digest}\n", self.output.display(), bytes.len()))
    }
}

#[derive(Args)]
#[command(after_help = "OLD and NEW are bundles, rule files, or directories of rule files.")]
pub(crate) struct Diff {
    /// What is in force.
    old: PathBuf,
    /// What would be.
    new: PathBuf,
    #[command(flatten)]
    catalogs: CatalogFiles,
    /// Exit with 1 if anyone would see or do more than before.
    #[arg(long)]
    fail_on_more: bool,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Diff {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let old = self.side(&self.old, screen.err)?;
        let new = self.side(&self.new, screen.err)?;
        let changes = diff::compare(&old, &new);
        print(&if self.json { changes.json() } else { changes.text(screen.out) })?;
        if self.fail_on_more && changes.anyone_sees_more() { Err(Stop::Findings) } else { Ok(()) }
    }

    fn side(&self, path: &Path, paint: Paint) -> Result<policy::Model, Stop> {
        if path.is_dir() || path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            let catalogs = CatalogFiles { catalogs: self.catalogs.catalogs.clone() };
            let files = RuleFiles { rules: vec![path.to_owned()], catalogs };
            return load(&files, paint).map(|(rules, _)| rules.model);
        }
        bundle::read(path).map(|(model, _)| model).map_err(Stop::Failed)
    }
}
