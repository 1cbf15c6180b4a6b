//! `00-README.md`: what the pack is, how to check it, and what it cannot show.

use audit::{render, time};

use super::{FRAMEWORKS, Facts};

pub(super) fn text(facts: &Facts<'_>) -> String {
    let settings = facts.settings;
    let (from, to) = settings.period;
    let (from, to) = (time::format(from, 0), time::format(to, 0));
    let names: Vec<&str> = FRAMEWORKS
        .iter()
        .filter(|(name, _)| settings.frameworks.iter().any(|f| f == name))
        .map(|(_, title)| *title)
        .collect();
    let totals = &facts.reports.totals;
    let signed = if settings.key.is_some() {
        "`manifest.note` is a signed note (C2SP signed-note) over the digest of the manifest."
    } else {
        "The manifest of this pack is not signed."
    };
    let nonce = if settings.nonce.is_empty() {
        "No nonce was given, so the sample is the same for everybody; for a sample of your own, choose a nonce now and ask for \
         `tidegate audit sample DIR --nonce YOUR-NONCE` (its proofs with `tidegate audit prove`)."
            .to_owned()
    } else {
        format!("The sample was drawn with the nonce `{}`.", render::printable(settings.nonce.as_bytes()))
    };
    let agreed = facts.reports.agreed();
    let proofs = super::approvals::proofs(facts);
    let proofs = match (proofs.uses, proofs.left_out) {
        (0, _) => "No approval was used in this period.".to_owned(),
        (uses, 0) => format!("There are {uses}."),
        (uses, left_out) => {
            format!("{uses} approvals were used; {left_out} of them have no proof here, see `LEFT-OUT.txt`.")
        }
    };
    let cell = |text: &str| render::printable(text.as_bytes());
    format!(
        "# Evidence pack

Log `{origin}`, from {from} to {to} (not included). For: {frameworks}.

In it: {statements} statements of {persons} persons, {refused} of them refused; {failed} failed logins;
{continuity}.

Signed in: {sign_ins} times, {failed_sign_ins} attempts failed. Roles given for a time: {given}, {emergencies} of them in an
emergency ({unreviewed} not reviewed in time). Statements that waited for other people: {asked}; approved {approved}, run
{used}, denied {denied}. To be explained: {findings} (`09-approvals/approval-findings.csv`).

`summary.html` says the same for readers who are not engineers. `01-index.csv` leads from each control to its file, the
command that gives the same from the log, the number of rows and the file's SHA-256.

## Check it in five commands

In the folder of this file; the first two need nothing of ours, the others the program `tidegate` (or a verifier of your own,
written after `05-verify/audit-format.md` and `05-verify/audit.cddl`).

```
sha256sum --check --quiet 02-attestation/manifest.txt
sha256sum 02-attestation/manifest.txt
tidegate evidence check .
tidegate audit sample 03-population/headers.bin --nonce '{shown_nonce}' --count {count} --root {root}
tidegate audit verify DIR
```

1. No file of the pack was changed since the manifest was made.
2. The digest of the manifest: `manifest-sha256` in `02-attestation/manifest.note`. {signed}
3. The headers chain, their numbers have no gap, and they add up to `03-population/cores.csv`; the note's signature holds if
   you give its key (`--key FILE`).
4. The sample in `14-samples/sample.csv` is the one that nonce and root give. {nonce}
5. On the audit directory itself (DIR): nothing in the log was changed, removed, added or moved, and its heads are those of
   `03-population/cores.csv`. The result at the time of the pack is in `05-verify`: exit code {code}, {errors} findings.

The root of the sample is the {root_is}.

## Approvals

Each use of an approval is one record, made before the statement went to the database: id, requester, digest of exactly what
was approved, session and statement. `09-approvals/proofs/ID_CORE-SEQUENCE.proof` proves it on its own, like a sample:
`tidegate audit check FILE --key KEY`, with the log's public key. {proofs}

## Order

A session is recorded in one order on one core. Between cores, records are ordered by wall clock, core and sequence; two
records of different cores that lie closer together than {tolerance} may have happened the other way round.

## Limits of this evidence

- The log says what the gateway saw and did. A gateway that was subverted while it wrote can lie; compare with the database's
  own log.
- That the end is the end is proved by checkpoints that others keep (witnesses, object lock, an earlier pack), not by the
  log alone.
- Statement texts and values are not in the tables of this pack. Names of people, roles, tables and columns are. A proof holds
  its record as it stands: that of a sampled statement holds the text, unless the log's texts are sealed to recipients.
- Times are the gateway's wall clock; changes of it are in `12-continuity/clock.csv`.
{damaged}- What this version's records cannot answer is said in `NOT-ANSWERED.txt` of the section it belongs to.

## Sections

| folder | what |
|---|---|
| 02-attestation | manifest of all files, signed if a key was given |
| 03-population | block headers of the period (256 bytes each, no names, no values) and their counts |
| 04-checkpoints | signed checkpoints, cosignatures, receipts, public keys |
| 05-verify | result of the verification; format and schema for a second verifier |
| 06-access | who used which target in which role; roles given for a time, by whom, until when; bound sessions; what was taken away or refused; accounts of sessions; sessions without a person; persons behind shared accounts |
| 07-authn | logins and failed logins; sign-ins by person and way; credentials given out |
| 08-phi-release | who saw which classes masked or in clear; what was refused |
| 09-approvals | statements that waited for others, votes, emergencies and their reviews, what needs an explanation (CSV and JSON); a proof for each use |
| 10-reviews | reviews of activity; who looked at recordings or took records out |
| 11-changes | rules, configuration, program, modes, nodes |
| 12-continuity | starts, ends, outages, gaps, clock |
| 13-retention | holds, destroyed keys, oldest record |
| 14-samples | the sampled records |
| 15-drills | to be added by whoever held them |
",
        origin = cell(&facts.origin),
        frameworks = names.join(", "),
        statements = totals.statements,
        persons = totals.persons.len(),
        refused = totals.refused,
        failed = totals.failed_logins,
        continuity = facts.reports.continuity_note(),
        sign_ins = totals.sign_ins,
        failed_sign_ins = totals.failed_sign_ins,
        given = agreed.roles_given,
        emergencies = agreed.emergencies,
        unreviewed = agreed.unreviewed,
        asked = agreed.asked,
        approved = agreed.approved,
        used = agreed.used,
        denied = agreed.denied,
        findings = facts.tables.get("approval-findings").map_or(0, crate::table::Table::count),
        shown_nonce = cell(&settings.nonce).replace('\'', ""),
        count = settings.sample,
        root = render::hex(&facts.root),
        root_is = facts.root_is,
        code = facts.verified.exit_code(),
        errors = facts.verified.errors(),
        tolerance = tolerance(facts),
        damaged = if facts.damaged > 0 {
            format!("- {} places of the log could not be read and are not in the tables; see `05-verify`.\n", facts.damaged)
        } else {
            String::new()
        },
    )
}

/// How far apart records of two cores must lie for their order to be certain.
pub(super) fn tolerance(facts: &Facts<'_>) -> String {
    match facts.population.cores.iter().map(|core| core.clock_error_ns).max() {
        Some(0) | None => {
            "a millisecond (one clock serves all cores; its error against true time was not measured)".to_owned()
        }
        Some(ns) => format!("{:.3} ms (the largest bound that the headers state)", ns as f64 / 1e6),
    }
}
