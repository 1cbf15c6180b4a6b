//! `09-approvals`: the tables once more as JSON, and a proof for each use of an approval, checked alone like a sample.

use std::path::Path;

use super::{Facts, Pack};
use crate::cli::CliError;
use crate::row::line;

/// The folder.
pub(super) const FOLDER: &str = "09-approvals";

/// Proofs in one pack.
const PROOFS_MAX: usize = 200;

/// What the folder of proofs holds.
pub(super) struct Proofs {
    /// Uses of approvals that a proof belongs to.
    pub(super) uses: usize,
    /// Those beyond the limit.
    pub(super) left_out: usize,
}

pub(super) fn proofs(facts: &Facts<'_>) -> Proofs {
    let uses = facts.reports.uses().len();
    Proofs { uses, left_out: uses.saturating_sub(PROOFS_MAX) }
}

pub(super) fn write(facts: &Facts<'_>, pack: &mut Pack) -> Result<(), CliError> {
    let places = super::PLACES.iter().filter(|(folder, _)| *folder == FOLDER);
    for table in places.flat_map(|(_, tables)| *tables).filter_map(|name| facts.tables.get(*name)) {
        pack.put(&format!("{FOLDER}/{}.json", table.name), &(line(&table.json()) + "\n"))?;
    }
    for (id, core, sequence) in facts.reports.uses().into_iter().take(PROOFS_MAX) {
        // The log's word goes into a file name only where it is an id.
        let is_id = id.len() <= 32 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let id = if is_id { format!("{id}_") } else { String::new() };
        prove(facts, pack, &format!("{FOLDER}/proofs/{id}"), (core, sequence))?;
    }
    let Proofs { uses, left_out } = proofs(facts);
    if left_out > 0 {
        let text = format!(
            "{uses} approvals were used; the first {PROOFS_MAX} have a proof here, {left_out} have none.\n\
             A proof of any: tidegate audit prove DIR ID/consume\n"
        );
        pack.put(&format!("{FOLDER}/proofs/LEFT-OUT.txt"), &text)?;
    }
    Ok(())
}

/// Puts the proof of a record, or why there is none, under a name that begins with `before`.
pub(super) fn prove(
    facts: &Facts<'_>,
    pack: &mut Pack,
    before: &str,
    (core, sequence): (u16, u64),
) -> Result<(), CliError> {
    let wanted = verifier::Wanted::Sequence { core, sequence };
    let directory: &Path = &facts.settings.directory;
    match verifier::prove(directory, &wanted) {
        Ok(proof) => pack.put(&format!("{before}{core}-{sequence}.proof"), &proof),
        // The same for all of them: no checkpoint, or none that covers the end of the period yet.
        Err(why) => {
            let text = format!("Record {core}:{sequence} has no proof here: {why}.\n");
            pack.put(&format!("{before}{core}-{sequence}.txt"), &text)
        }
    }
}
