//! Columns that code of the database may fill with protected values: defaults and triggers whose functions name a relation
//! with protected columns, build statements, or cannot be read.
//!
//! Texts of functions are taken as bags of words: a word that is the name of another such function brings in that
//! function's words. That is coarse, and errs on the side of suspicion; a rule that names the column itself overrules it.
//! Deliberately absent: the languages' grammars.

use std::collections::{HashMap, HashSet};

use lineage::Catalog;
use lineage::catalog::Code;

use crate::epoch::{MarkedRelation, Marking};

/// Relations and columns, by index, that such code fills.
pub(crate) fn suspects(catalog: &Catalog, relations: &[MarkedRelation]) -> Vec<(usize, usize)> {
    if catalog.relations.iter().all(|r| r.filled_by.is_empty()) {
        return Vec::new();
    }
    let protected = |r: &&MarkedRelation| {
        r.columns.iter().any(|c| matches!(c.marking, Marking::Class(_) | Marking::Derived { .. }))
    };
    let names: HashSet<String> = relations.iter().filter(protected).map(|r| r.name.to_lowercase()).collect();
    let mut by_name: HashMap<String, Vec<&Code>> = HashMap::new();
    for code in &catalog.code {
        by_name.entry(code.name.to_lowercase()).or_default().push(code);
    }
    let mut found = Vec::new();
    for (r, relation) in catalog.relations.iter().enumerate() {
        for fill in &relation.filled_by {
            let Ok(at) = catalog.code.binary_search_by_key(&fill.function, |c| c.oid) else { continue };
            let Some(code) = catalog.code.get(at) else { continue };
            if !reaches(code, &names, &by_name) {
                continue;
            }
            for (c, column) in relation.columns.iter().enumerate() {
                let fills = match fill.column {
                    Some(number) => column.number == number,
                    None => assigns(code, &column.name),
                };
                if fills && !found.contains(&(r, c)) {
                    found.push((r, c));
                }
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let apart = |c: char| !(c.is_alphanumeric() || c == '_' || c == '$');
    text.split(apart).filter(|w| !w.is_empty()).map(str::to_lowercase)
}

/// The function, or one that it may call, can read a protected relation.
fn reaches(code: &Code, names: &HashSet<String>, by_name: &HashMap<String, Vec<&Code>>) -> bool {
    let mut open = vec![code];
    let mut seen = HashSet::new();
    while let Some(code) = open.pop() {
        if !seen.insert(code.oid) {
            continue;
        }
        let Some(body) = &code.body else { return true };
        for word in words(body) {
            if word == "execute" || names.contains(&word) {
                return true;
            }
            open.extend(by_name.get(&word).into_iter().flatten());
        }
    }
    false
}

/// A trigger's function may assign to this column of the row.
fn assigns(code: &Code, column: &str) -> bool {
    let Some(body) = &code.body else { return true };
    let all: Vec<String> = words(body).collect();
    let compact: String = body.to_lowercase().split_whitespace().collect();
    let whole = all.windows(2).any(|pair| matches!(pair, [a, b] if a == "into" && b == "new"));
    all.contains(&column.to_lowercase()) || compact.contains("new:=") || compact.contains("new=") || whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(oid: u32, name: &str, body: Option<&str>) -> Code {
        Code { oid, name: name.to_owned(), body: body.map(str::to_owned) }
    }

    #[test]
    fn functions_reach_what_they_name_and_what_they_call() {
        let all = [
            code(1, "touch", Some("begin new.updated_at := now(); return new; end")),
            code(2, "leak", Some("select ssn from clinic.Patients limit 1")),
            code(3, "outer_one", Some("begin new.v := lab.leak(); return new; end")),
            code(4, "dynamic", Some("begin execute 'select ' || 1; end")),
            code(5, "native", None),
            code(6, "circle", Some("select lab.circle()")),
        ];
        let names = HashSet::from(["patients".to_owned()]);
        let mut by_name: HashMap<String, Vec<&Code>> = HashMap::new();
        for one in &all {
            by_name.entry(one.name.clone()).or_default().push(one);
        }
        let reaching: Vec<_> = all.iter().filter(|c| reaches(c, &names, &by_name)).map(|c| c.oid).collect();
        assert_eq!(reaching, [2, 3, 4, 5]);
    }

    #[test]
    fn triggers_fill_the_columns_they_name_or_the_whole_row() {
        let one = code(1, "t", Some("begin NEW.v := 'x'; return new; end"));
        assert!(assigns(&one, "v") && !assigns(&one, "n"));
        assert!(assigns(&code(2, "t", Some("begin select * into new from x; end")), "n"));
        assert!(assigns(&code(3, "t", Some("begin new := row(1); end")), "n"));
        assert!(assigns(&code(4, "t", None), "n"));
    }
}
