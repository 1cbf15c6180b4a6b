//! Redacted values are values of their type: text and binary denote the same one, the server takes both, drivers decode them.

use crate::typed::{self, REDACTIONS, TYPES, column};
use tests::{
    clients,
    wire::{Frame, Wire, describe, error, execute, frame, parse, parse_typed, sync, zero},
};

/// Bind whose parameters have formats of their own.
fn bind_formats(parameters: &[(u16, Option<&[u8]>)], result: u16) -> Vec<u8> {
    let mut body = [zero(""), zero("")].concat();
    let count = u16::try_from(parameters.len()).unwrap().to_be_bytes();
    body.extend(count);
    parameters.iter().for_each(|(format, _)| body.extend(format.to_be_bytes()));
    body.extend(count);
    for (_, value) in parameters {
        body.extend(value.map_or(-1, |v| i32::try_from(v.len()).unwrap()).to_be_bytes());
        body.extend(value.unwrap_or_default());
    }
    body.extend([1u16, result].map(u16::to_be_bytes).concat());
    frame(b'B', &body)
}

type Rows = Vec<Vec<Option<Vec<u8>>>>;

/// Type OIDs of the columns and the rows.
fn rows(wire: &mut Wire, sql: &str, format: u16) -> (Vec<u32>, Rows) {
    wire.send(&[parse("", sql), bind_formats(&[], format), describe(b'P', ""), execute("", 0), sync()].concat());
    let frames = wire.until_ready(1);
    assert!(error(&frames).is_none(), "{sql}: {:?}", error(&frames));
    let description = frames.iter().find(|f| f.tag == b'T').unwrap();
    (types(description), frames.iter().filter(|f| f.tag == b'D').map(Frame::values).collect())
}

fn types(description: &Frame) -> Vec<u32> {
    let mut rest = &description.body[2..];
    let mut types = Vec::new();
    while !rest.is_empty() {
        let name = rest.iter().position(|b| *b == 0).unwrap() + 1;
        types.push(u32::from_be_bytes(rest[name + 6..name + 10].try_into().unwrap()));
        rest = &rest[name + 18..];
    }
    types
}

/// What the server reads a value as, in its own text.
fn canonical(wire: &mut Wire, type_oid: u32, format: u16, value: &[u8]) -> Result<Vec<u8>, String> {
    let frames = {
        let bind = bind_formats(&[(format, Some(value))], 0);
        wire.send(&[parse_typed("", "select $1::text", &[type_oid]), bind, execute("", 0), sync()].concat());
        wire.until_ready(1)
    };
    match frames.iter().find(|f| f.tag == b'D') {
        Some(row) => Ok(row.values()[0].clone().unwrap()),
        None => Err(format!("{:?}", error(&frames))),
    }
}

#[test]
fn text_and_binary_of_a_redacted_value_are_one_value_of_its_type() {
    let mut through = Wire::login(&typed::gateway().endpoint("ana"));
    let mut direct = Wire::login(&typed::direct());
    let columns: Vec<String> = (0..TYPES.len()).map(column).collect();
    let mut wrong = Vec::new();
    let (mut values, mut shown) = (0, 0);
    for (table, _) in REDACTIONS {
        let sql = format!("select {} from {table} order by id", columns.join(", "));
        let (oids, text) = rows(&mut through, &sql, 0);
        let (_, binary) = rows(&mut through, &sql, 1);
        let (_, raw) = rows(&mut direct, &sql, 0);
        assert_eq!((text.len(), binary.len()), (raw.len(), raw.len()), "{table}");
        for (row, ((text, binary), raw)) in text.iter().zip(&binary).zip(&raw).enumerate() {
            for (i, (type_name, _)) in TYPES.iter().enumerate() {
                let what = format!("{table} {type_name} row {row}");
                let shown_as = |v: &Option<Vec<u8>>| v.as_ref().map(|v| String::from_utf8_lossy(v).into_owned());
                match (&text[i], &binary[i]) {
                    (None, None) => {}
                    (Some(t), Some(b)) => {
                        shown += 1;
                        let pair = (canonical(&mut direct, oids[i], 0, t), canonical(&mut direct, oids[i], 1, b));
                        if pair.0.is_err() || pair.0 != pair.1 {
                            wrong.push(format!("{what}: {:?}, {b:02x?}: {pair:?}", shown_as(&text[i])));
                        }
                        // Ages of at most 89 and values without anything to hide stay.
                        if raw[i].as_ref() == Some(t) && !stays(table, t) {
                            wrong.push(format!("{what}: not redacted: {:?}", shown_as(&raw[i])));
                        }
                    }
                    _ => wrong.push(format!("{what}: text {:?}, binary {:02x?}", shown_as(&text[i]), binary[i])),
                }
                if raw[i].is_none() && text[i].is_some() {
                    wrong.push(format!("{what}: NULL became {:?}", shown_as(&text[i])));
                }
                values += usize::from(raw[i].is_some());
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {values}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(shown > 4000, "only {shown} of {values} values have a typed form");
}

/// A value that its redaction leaves as it is.
fn stays(table: &str, value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value);
    let text = text.trim_end();
    let empty = matches!(text, "" | "{}" | "[]" | "\\x" | "empty") || text.bytes().all(|b| matches!(b, b'0' | b'.'));
    let age = table == "age" && (text.parse::<f64>().is_ok_and(|n| n <= 90.0) || text == "{{1,2},{3,4}}");
    let same = matches!((table, text), ("zero", "00:00:00") | ("year", "0001-01-01 00:00:00"));
    empty || age || same
}

#[test]
fn what_has_a_form_of_its_type_is_not_null() {
    let mut wire = Wire::login(&typed::gateway().endpoint("ana"));
    let index = |name: &str| TYPES.iter().position(|(t, _)| *t == name).unwrap();
    let mut one = |table: &str, type_name: &str, row: usize| {
        let sql = format!("select {} from {table} where id = {row}", column(index(type_name)));
        let (_, rows) = rows(&mut wire, &sql, 0);
        rows[0][0].clone().map(|v| String::from_utf8(v).unwrap())
    };
    for (table, type_name, row, want) in [
        ("last4", "text", 0, Some("*******6789")),
        ("last4", "uuid", 0, Some("00000000-0000-0000-0000-00000000eeff")),
        ("last4", "citext", 0, Some("***********Case")),
        ("last4", "text[]", 0, Some(r#"{*******6789,NULL,"","********* ,\\ {}",****,******5-21}"#)),
        (
            "last4",
            "jsonb",
            0,
            Some(r#"{"e": "**", "n": ["*2345", null, null, {"d": "******5-21"}], "ssn": "*******6789"}"#),
        ),
        ("last4", "int4", 0, None),
        ("digits", "int4", 0, Some("789")),
        ("digits", "numeric", 3, Some("8.60")),
        ("year", "timestamptz", 1, Some("1951-01-01 00:00:00+00")),
        ("year", "date[]", 0, Some("{1952-01-01,NULL,NULL}")),
        ("age", "int4[]", 0, Some("{90,90,NULL,-7}")),
        ("zip", "int4", 1, Some("430")),
        ("zero", "numeric", 0, Some("0")),
        ("zero", "interval", 0, Some("00:00:00")),
        ("day", "timestamp", 0, Some("2001-02-03 00:00:00")),
        ("hour", "time", 0, Some("12:34:56.5")),
        ("unid", "uuid[]", 0, Some("{00000000-0000-0000-0000-0000000000ff,NULL}")),
        ("address", "inet", 0, Some("10.0.0.0/8")),
        ("nothing", "jsonb", 0, Some("{}")),
        ("nothing", "text[]", 0, Some("{}")),
        ("last4", "a_domain", 0, Some("*******6789")),
        ("last4", "a_label", 0, None),
        ("last4", "a_pair", 0, None),
        ("last4", "hstore", 0, None),
    ] {
        let got = one(table, type_name, row);
        if type_name == "text[]" && table == "last4" {
            assert!(got.as_deref().is_some_and(|g| g.starts_with("{*******6789,NULL,\"\",")), "{got:?}");
            continue;
        }
        assert_eq!(got.as_deref(), want, "{table} {type_name} row {row}");
    }
}

#[test]
fn drivers_decode_every_redacted_value() {
    let endpoint = typed::gateway().endpoint("ana");
    let tables: Vec<&str> = REDACTIONS.iter().map(|(name, _)| *name).collect();
    for (what, done) in [
        ("psycopg and asyncpg", clients::python(&endpoint, "values.py", &tables)),
        ("JDBC", clients::java(&endpoint, "Values.java", &tables)),
    ] {
        let done = done.success();
        let wanted = format!("decoded {} tables", tables.len());
        assert!(done.text().contains(&wanted), "{what}: {}", done.both());
        assert!(!done.text().contains("123-45-6789"), "{what}");
    }
}
