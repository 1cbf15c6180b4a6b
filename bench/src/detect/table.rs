//! The figures as text: one line per kind of label and engine side by side, totals below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::kinds;
use super::labelled::{Case, Document};
use super::score::{Counts, Found, Score, ratio};

const HEAD: &str = "                                          Tidegate                             Presidio patterns\n\
     label                         spans   covered  recall   prec.  false/MB   covered  recall   prec.  false/MB\n";

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |s| format!("{:.1}%", s * 100.0))
}

fn columns(counts: Counts, score: &Score) -> String {
    format!(
        "{:>9} {:>7} {:>7} {:>9.1}",
        percent(counts.coverage()),
        percent(counts.recall()),
        percent(counts.precision()),
        score.wrong_per_megabyte(counts.wrong())
    )
}

/// One set.
pub(super) fn set(name: &str, documents: usize, ours: &Score, theirs: Option<&Score>) -> String {
    let mut out = format!("{name}: {documents} documents, {:.2} MB\n{HEAD}", ours.bytes as f64 / 1e6);
    let mut line = |label: &str, of: &dyn Fn(&Score) -> Counts| {
        let beside = theirs.map_or_else(String::new, |t| columns(of(t), t));
        let _ = writeln!(out, "{label:<28} {:>6} {} {beside}", of(ours).labels, columns(of(ours), ours));
    };
    let names: BTreeMap<&str, ()> =
        ours.kinds.keys().chain(theirs.iter().flat_map(|t| t.kinds.keys())).map(|k| (k.as_str(), ())).collect();
    for structured in [true, false] {
        for kind in names.keys().filter(|k| kinds::is_structured(k) == structured) {
            let shown = if structured { (*kind).to_owned() } else { format!("  ({kind})") };
            line(&shown, &|s| s.kinds.get(*kind).copied().unwrap_or_default());
        }
    }
    line("TOTAL structured", &Score::structured);
    line("TOTAL all labels", &|s| s.total(|_| true));
    let dates = |s: &Score| s.kinds.get("TIMESTAMP").map_or(0, Counts::wrong);
    let rest = |s: &Score| s.wrong_per_megabyte(s.total(|_| true).wrong() - dates(s));
    let _ = writeln!(
        out,
        "false hits per MB without dates: {:.1}{}  (goal: at most 60)\nspeed: {:.0} MB/s{}",
        rest(ours),
        theirs.map_or_else(String::new, |t| format!(", Presidio {:.1}", rest(t))),
        ours.speed(),
        theirs.map_or_else(String::new, |t| format!(", Presidio {:.2} MB/s", t.speed())),
    );
    out.push_str(
        "  structured labels are those without brackets; covered: every byte in some hit; recall: some byte in a hit;\n  \
         prec.: hits of this kind that meet any label; false: hits that meet none, over all bytes. Dates apart, because\n  \
         the clinical set leaves days of admission and visit unlabelled, which are identifiers all the same.\n\n",
    );
    out
}

/// Examples of what was not covered, and of hits that meet no label.
pub(super) fn misses(documents: &[Document], found: &[Vec<Found>], most: usize) -> String {
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (document, hits) in documents.iter().zip(found) {
        let text = |start: usize, end: usize| {
            let from = document.text.floor_char_boundary(start.saturating_sub(30));
            let to = document.text.ceil_char_boundary(end + 12);
            let part = |a: usize, b: usize| document.text.get(a..b).unwrap_or_default().replace('\n', "⏎");
            format!("{}⟦{}⟧{}", part(from, start), part(start, end), part(end, to))
        };
        for label in document.labels.iter().filter(|l| kinds::is_structured(&l.kind)) {
            let covered = (label.start..label.end).all(|i| hits.iter().any(|h| (h.start..h.end).contains(&i)));
            if !covered {
                missed.entry(label.kind.clone()).or_default().push(text(label.start, label.end));
            }
        }
        for hit in hits {
            if !document.labels.iter().any(|l| l.start < hit.end && hit.start < l.end) {
                missed.entry(format!("false {}", hit.kind)).or_default().push(text(hit.start, hit.end));
            }
        }
    }
    let mut out = String::new();
    for (kind, texts) in &missed {
        let _ = writeln!(out, "{kind}: {}", texts.len());
        let step = (texts.len() / most).max(1);
        for text in texts.iter().step_by(step).take(most) {
            let _ = writeln!(out, "    {text}");
        }
    }
    out
}

/// The recognisers' cases.
pub(super) fn cases(cases: &[Case], ours: &[Vec<Found>], theirs: Option<&[Vec<Found>]>, misses: usize) -> String {
    #[derive(Default)]
    struct Row {
        positive: usize,
        ours: usize,
        theirs: usize,
        negative: usize,
        ours_left: usize,
        theirs_left: usize,
    }
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    let mut missed = String::new();
    for (i, case) in cases.iter().enumerate() {
        let row = rows.entry(&case.entity).or_default();
        let of = |engine: &[Vec<Found>]| engine.get(i).is_some_and(|hits| found(case, hits));
        let left = |engine: &[Vec<Found>]| engine.get(i).is_some_and(Vec::is_empty);
        match case.expected {
            Some(0) => {
                row.negative += 1;
                row.ours_left += usize::from(left(ours));
                row.theirs_left += usize::from(theirs.is_some_and(left));
                if !left(ours) && misses > 0 && kinds::does_not_apply(&case.entity).is_none() {
                    let of: Vec<_> = ours.get(i).into_iter().flatten().map(|h| h.kind).collect();
                    let _ = writeln!(missed, "    not left {}: {:?} {of:?}", case.entity, case.document.text);
                }
            }
            Some(_) => {
                row.positive += 1;
                row.ours += usize::from(of(ours));
                row.theirs += usize::from(theirs.is_some_and(of));
                if !of(ours) && misses > 0 && kinds::does_not_apply(&case.entity).is_none() {
                    let _ = writeln!(missed, "    missed {}: {:?}", case.entity, case.document.text);
                }
            }
            None => {}
        }
    }
    let mut out = String::from(
        "cases of Presidio's recogniser tests (found: every span of the case covered; left: nothing found in a case that \
         must stay,\nwhich a scanner that does not ask for a right checksum will not always do)\n\
         entity                       cases     found  Presidio   must stay      left  Presidio\n",
    );
    let mut total = Row::default();
    let mut out_of_scope: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (entity, row) in &rows {
        if let Some(why) = kinds::does_not_apply(entity) {
            out_of_scope.entry(why).or_default().push(entity);
            continue;
        }
        line(
            &mut out,
            entity,
            [row.positive, row.ours, row.theirs, row.negative, row.ours_left, row.theirs_left],
            theirs,
        );
        total.positive += row.positive;
        total.ours += row.ours;
        total.theirs += row.theirs;
        total.negative += row.negative;
        total.ours_left += row.ours_left;
        total.theirs_left += row.theirs_left;
    }
    let t = total;
    line(
        &mut out,
        "TOTAL (goal: 95 %)",
        [t.positive, t.ours, t.theirs, t.negative, t.ours_left, t.theirs_left],
        theirs,
    );
    for (why, entities) in out_of_scope {
        let _ = writeln!(out, "does not apply, {why}: {}", entities.join(", "));
    }
    out.push_str(&missed);
    out
}

fn line(out: &mut String, name: &str, n: [usize; 6], theirs: Option<&[Vec<Found>]>) {
    let [positive, ours, their, negative, ours_left, their_left] = n;
    let other = |part, whole| if theirs.is_some() { percent(ratio(part, whole)) } else { String::new() };
    let _ = writeln!(
        out,
        "{name:<28} {positive:>5} {:>9} {:>9} {negative:>11} {:>9} {:>9}",
        percent(ratio(ours, positive)),
        other(their, positive),
        percent(ratio(ours_left, negative)),
        other(their_left, negative)
    );
}

/// Every span is covered; where the set gives no spans, there is a hit.
fn found(case: &Case, hits: &[Found]) -> bool {
    let covered = |i: usize| hits.iter().any(|h| (h.start..h.end).contains(&i));
    if case.document.labels.is_empty() {
        return !hits.is_empty();
    }
    let bytes = case.document.text.as_bytes();
    // Blanks at the edges of a span are not part of an identifier.
    case.document
        .labels
        .iter()
        .all(|l| (l.start..l.end).all(|i| covered(i) || bytes.get(i).is_none_or(u8::is_ascii_whitespace)))
}
