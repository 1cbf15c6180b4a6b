//! What a session does with a statement: how it is said, what else it is wrapped in.

use super::{Dice, Kind, Maker, Schema, query::reach};
use tests::wire::{bind, close, describe, execute, flush, parse, query, sync};

/// Bytes to send at once and the number of ReadyForQuery that answer them.
#[derive(Clone, Debug)]
pub struct Step {
    /// Frames.
    pub bytes: Vec<u8>,
    /// ReadyForQuery to wait for.
    pub ready: usize,
}

/// One unit: it leaves the session as it found it.
#[derive(Clone, Debug)]
pub struct Work {
    /// The statements, for a report.
    pub text: String,
    /// What is sent.
    pub steps: Vec<Step>,
    /// Whether the database answers the same however often it is asked.
    pub read_only: bool,
}

/// The work with this number.
#[must_use]
pub fn work(schema: &Schema, seed: u64, number: u64) -> Work {
    let mut maker = Maker::new(schema, Dice::new(seed, number));
    match maker.dice.below(100) {
        0..30 => maker.simple(),
        30..58 => maker.extended(),
        58..66 => maker.prepared(),
        66..73 => maker.pipelined(),
        73..78 => maker.cursor(),
        78..83 => maker.sql_prepared(),
        83..88 => maker.copy(),
        88..94 => maker.writing(),
        94..97 => maker.derived(),
        _ => maker.other(),
    }
}

impl Maker<'_> {
    fn simple(&mut self) -> Work {
        let text = self.query(3).text;
        let text = if self.dice.percent(12) { format!("select 1; {text}; select 'x'::text") } else { text };
        Work { steps: vec![said(&text)], text, read_only: true }
    }

    fn format(&mut self) -> u16 {
        self.dice.below(2) as u16
    }

    /// A query with parameters: its text and their values.
    fn with_parameters(&mut self) -> (String, Vec<String>) {
        self.parameters = Some(Vec::new());
        let text = self.query(3).text;
        (text, self.parameters.take().unwrap_or_default())
    }

    fn extended(&mut self) -> Work {
        let (text, values) = self.with_parameters();
        let values: Vec<Option<&str>> = values.iter().map(|v| Some(&**v)).collect();
        let mut bytes = parse("", &text);
        if self.dice.percent(40) {
            bytes.extend(describe(b'S', ""));
        }
        bytes.extend(bind("", "", &values, self.format()));
        if self.dice.percent(50) {
            bytes.extend(describe(b'P', ""));
        }
        if self.dice.percent(15) {
            bytes.extend(execute("", 3));
            bytes.extend(flush());
            bytes.extend(execute("", 0));
        } else {
            bytes.extend(execute("", 0));
        }
        bytes.extend(sync());
        Work { text, steps: vec![Step { bytes, ready: 1 }], read_only: true }
    }

    fn prepared(&mut self) -> Work {
        let (text, values) = self.with_parameters();
        let values: Vec<Option<&str>> = values.iter().map(|v| Some(&**v)).collect();
        let mut steps = vec![Step { bytes: [parse("s", &text), describe(b'S', "s"), sync()].concat(), ready: 1 }];
        for _ in 0..2 {
            let format = self.format();
            steps.push(Step { bytes: [bind("p", "s", &values, format), execute("p", 0), sync()].concat(), ready: 1 });
        }
        steps.push(Step { bytes: [close(b'S', "s"), sync()].concat(), ready: 1 });
        Work { text, steps, read_only: true }
    }

    fn pipelined(&mut self) -> Work {
        let (mut text, mut bytes, mut ready) = (String::new(), Vec::new(), 0);
        for _ in 0..2 + self.dice.below(4) {
            let query = self.query(2).text;
            bytes.extend([parse("", &query), bind("", "", &[], self.format()), execute("", 0)].concat());
            if self.dice.percent(60) {
                bytes.extend(sync());
                ready += 1;
            }
            text.push_str(&query);
            text.push_str(";\n");
        }
        bytes.extend(sync());
        Work { text, steps: vec![Step { bytes, ready: ready + 1 }], read_only: true }
    }

    fn cursor(&mut self) -> Work {
        let query = self.query(2).text;
        let kind = *self.dice.pick(&["", "binary ", "scroll ", "no scroll "]);
        let fetch =
            *self.dice.pick(&["fetch all from c", "fetch 5 from c", "fetch forward 3 from c", "fetch next from c"]);
        let declare = format!("declare c {kind}cursor for {query}");
        let mut steps = vec![said("begin"), said(&declare), said(fetch)];
        if self.dice.percent(40) {
            let bytes = [parse("", fetch), bind("", "", &[], self.format()), execute("", 0), sync()].concat();
            steps.push(Step { bytes, ready: 1 });
        }
        steps.push(said("rollback"));
        Work { text: format!("{declare}; {fetch}"), steps, read_only: true }
    }

    fn sql_prepared(&mut self) -> Work {
        let query = self.query(2).text;
        let prepare = format!("prepare e as {query}");
        let steps = vec![said("begin"), said(&prepare), said("execute e"), said("rollback"), said("deallocate all")];
        Work { text: format!("{prepare}; execute e"), steps, read_only: true }
    }

    fn copy(&mut self) -> Work {
        let query = self.query(2).text;
        let options = *self.dice.pick(&[
            "",
            " with (format csv)",
            " with (format binary)",
            " with (format csv, header, force_quote *)",
        ]);
        let text = if self.dice.percent(25) {
            format!("copy {} to stdout{options}", self.table().name)
        } else {
            format!("copy ({query}) to stdout{options}")
        };
        Work { steps: vec![said(&text)], text, read_only: true }
    }

    fn writing(&mut self) -> Work {
        let tables: Vec<_> = self.schema.tables.iter().filter(|t| t.writable).cloned().collect();
        if tables.is_empty() {
            return self.simple();
        }
        let table = self.dice.pick(&tables).clone();
        let alias = self.name("t");
        let scope = reach(&table, &alias);
        let kind = self.any_kind();
        let returned = self.expression(&scope, kind, 2);
        let returning = if self.dice.percent(80) { format!(" returning {returned}, {alias}.*") } else { String::new() };
        let text = match self.dice.below(5) {
            0 => format!("delete from {} {alias} where {}{returning}", table.name, self.condition(&scope, 2)),
            1 | 2 => {
                let column = self.dice.pick(&table.columns).clone();
                let value = self.expression(&scope, column.kind, 2);
                format!(
                    "update {} {alias} set {} = {value} where {}{returning}",
                    table.name,
                    column.name,
                    self.condition(&scope, 1)
                )
            }
            3 => {
                let column = self.dice.pick(&table.columns).clone();
                let source = self.table();
                let source_alias = self.name("t");
                let value = self.expression(&reach(&source, &source_alias), column.kind, 2);
                format!(
                    "insert into {} as {alias} ({}) select {value} from {} {source_alias} limit 3{returning}",
                    table.name, column.name, source.name
                )
            }
            _ => {
                let column = self.dice.pick(&table.columns).clone();
                let value = self.expression(&scope, column.kind, 1);
                format!(
                    "with w as (update {} {alias} set {} = {value} where {}{returning}) select * from w limit 9",
                    table.name,
                    column.name,
                    self.condition(&scope, 1)
                )
            }
        };
        let run = if self.dice.percent(50) {
            said(&text)
        } else {
            Step {
                bytes: [parse("", &text), bind("", "", &[], self.format()), execute("", 0), sync()].concat(),
                ready: 1,
            }
        };
        Work { text, steps: vec![said("begin"), run, said("rollback")], read_only: false }
    }

    fn derived(&mut self) -> Work {
        let query = self.query(2);
        let list: Vec<String> = (0..query.columns.len()).map(|n| format!("d{n}")).collect();
        let list = list.join(", ");
        let make = match self.dice.below(4) {
            0 => format!("create temp view derived({list}) as {}", query.text),
            1 => format!("create temp table derived({list}) as {}", query.text),
            2 => format!("create temp table derived({list}) as select * from ({}) q", query.text),
            _ => format!("select * into temp derived from ({}) as q({list})", query.text),
        };
        let read = *self.dice.pick(&[
            "select * from derived",
            "table derived",
            "select d0 from derived",
            "select max(d0::text) from derived",
            "select derived from derived",
        ]);
        let steps = vec![said("begin"), said(&make), said(read), said("rollback")];
        Work { text: format!("{make}; {read}"), steps, read_only: false }
    }

    fn other(&mut self) -> Work {
        let query = self.query(2).text;
        let text = match self.dice.below(6) {
            0 => format!("explain (costs off) {query}"),
            1 => format!("explain (analyze, costs off, timing off, summary off) {query}"),
            2 => format!("do $$ begin perform * from ({query}) q; end $$"),
            3 => format!("select query_to_xml({}, true, false, '')", quoted(&query)),
            4 => format!("select lab.f_dynamic({})", quoted(&query)),
            _ => {
                let table = self.table();
                let scope = reach(&table, "t");
                let value = self.expression(&scope, Kind::Text, 2);
                format!(
                    "select set_config('x.y', ({value})::text, true), current_setting('x.y', true) from {} t limit 9",
                    table.name
                )
            }
        };
        Work { steps: vec![said("begin"), said(&text), said("rollback")], text, read_only: false }
    }
}

fn said(text: &str) -> Step {
    Step { bytes: query(text), ready: 1 }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
