use super::*;
use proptest::prelude::*;

const TYPES: [u32; 45] = [
    oid::BOOL,
    oid::CHAR,
    oid::NAME,
    oid::INT8,
    oid::INT2,
    oid::INT4,
    oid::TEXT,
    oid::JSON,
    oid::XML,
    oid::FLOAT4,
    oid::FLOAT8,
    oid::UNKNOWN,
    oid::BPCHAR,
    oid::VARCHAR,
    oid::DATE,
    oid::TIMESTAMP,
    oid::TIMESTAMPTZ,
    oid::NUMERIC,
    oid::CSTRING,
    oid::UUID,
    oid::JSONB,
    oid::BYTEA,
    oid::CIDR,
    oid::INET,
    oid::MACADDR,
    oid::MACADDR8,
    oid::TIME,
    oid::TIMETZ,
    oid::INTERVAL,
    1000,
    1001,
    oid::TEXT_ARRAY,
    1005,
    1007,
    1014,
    1016,
    1115,
    1182,
    1185,
    1231,
    2951,
    3807,
    3904,
    4451,
    99_999,
];

fn key() -> TokenKey {
    TokenKey::new(b"a secret for tests").unwrap()
}

fn run(redaction: &Redaction, type_oid: u32, format: Format, value: &[u8]) -> Option<Vec<u8>> {
    let step = Step::prepare(redaction, type_oid, Some(&key())).unwrap();
    let mut out = vec![1, 2, 3];
    match step.apply(format, value, &mut out) {
        Redacted::Keep => Some(value.to_vec()),
        Redacted::Null => None,
        Redacted::Scratch => Some(out),
    }
}

fn text(redaction: &Redaction, type_oid: u32, value: &str) -> Option<String> {
    run(redaction, type_oid, Format::Text, value.as_bytes()).map(|b| String::from_utf8(b).unwrap())
}

fn keep_last(count: u16) -> Redaction {
    Redaction::KeepLast { count, fill: '*' }
}

#[test]
fn keeping_and_filling() {
    let first = |count| Redaction::KeepFirst { count, fill: '#' };
    let fill = Redaction::Fill { fill: '•' };
    for (redaction, value, want) in [
        (keep_last(4), "123-45-6789", "*******6789"),
        (keep_last(4), "6789", "****"),
        (keep_last(4), "789", "***"),
        (keep_last(0), "789", "***"),
        (keep_last(1), "", ""),
        (keep_last(2), "Zoë", "*oë"),
        (first(1), "Zoë", "Z##"),
        (first(2), "éé", "##"),
        (first(2), "日本語", "日本#"),
        (fill.clone(), "ab日", "•••"),
    ] {
        for oid in [oid::TEXT, oid::VARCHAR, oid::NAME] {
            assert_eq!(text(&redaction, oid, value).as_deref(), Some(want), "{redaction:?} {value}");
            let binary = run(&redaction, oid, Format::Binary, value.as_bytes());
            assert_eq!(binary.as_deref(), Some(want.as_bytes()));
        }
    }
    assert_eq!(text(&keep_last(4), oid::BPCHAR, "123456   ").as_deref(), Some("**3456   "));
    assert_eq!(text(&keep_last(4), oid::BPCHAR, "1234   ").as_deref(), Some("****   "));
    assert_eq!(text(&keep_last(4), oid::CHAR, "x").as_deref(), Some("*"));
    assert_eq!(text(&fill, oid::CHAR, "x"), None);
    assert_eq!(text(&fill, oid::XML, "<a/>").as_deref(), Some("••••"));
    assert_eq!(text(&keep_last(1), oid::XML, "<a/>"), None);
    assert_eq!(run(&keep_last(1), oid::TEXT, Format::Text, b"\xff\xfeab").unwrap(), b"****");
}

#[test]
fn what_has_no_such_form_becomes_null() {
    for redaction in [keep_last(4), Redaction::Fill { fill: '*' }, Redaction::KeepFirst { count: 1, fill: '*' }] {
        for oid in [oid::INT4, oid::DATE, oid::BOOL, oid::NUMERIC, oid::INET, oid::TIMETZ, 3904, 99_999, 1007, 1182] {
            assert_eq!(run(&redaction, oid, Format::Text, b"12"), None);
            assert_eq!(run(&redaction, oid, Format::Binary, &[0, 0, 0, 12]), None);
        }
    }
    for oid in [oid::INT4, oid::INT2, oid::BOOL, oid::DATE, 99_999] {
        assert_eq!(text(&Redaction::Token { key: "k".into(), length: 16 }, oid, "12"), None);
    }
    assert_eq!(text(&Redaction::Zip3, oid::DATE, "12345"), None);
    assert_eq!(text(&Redaction::Year, oid::INT4, "1952"), None);
    assert_eq!(text(&Redaction::Year, oid::UUID, "1952-01-02"), None);
    assert_eq!(text(&Redaction::AgeCap, oid::DATE, "91"), None);
}

#[test]
fn bytes_in_hexadecimal() {
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(text(&keep_last(4), oid::UUID, uuid).as_deref(), Some("00000000-0000-0000-0000-00000000eeff"));
    let first = Redaction::KeepFirst { count: 3, fill: 'f' };
    assert_eq!(text(&first, oid::UUID, uuid).as_deref(), Some("001fffff-ffff-ffff-ffff-ffffffffffff"));
    assert_eq!(text(&Redaction::Fill { fill: '*' }, oid::BYTEA, "\\x0a0b0c").as_deref(), Some("\\x000000"));
    assert_eq!(text(&keep_last(2), oid::MACADDR, "08:00:2b:01:02:03").as_deref(), Some("00:00:00:00:00:03"));
    assert_eq!(text(&keep_last(99), oid::UUID, uuid).as_deref(), Some("00000000-0000-0000-0000-000000000000"));
    for malformed in ["", "00112233", "00112233-4455-6677-8899-aabbccddee", "g0112233-4455-6677-8899-aabbccddeeff"] {
        assert_eq!(text(&keep_last(4), oid::UUID, malformed), None);
    }
    assert_eq!(text(&keep_last(4), oid::BYTEA, "escaped\\000"), None);
    assert_eq!(run(&keep_last(4), oid::UUID, Format::Binary, &[1; 15]), None);
    let token = Redaction::Token { key: "k".into(), length: 16 };
    let as_text = text(&Redaction::Token { key: "k".into(), length: 32 }, oid::TEXT, uuid).unwrap();
    assert_eq!(text(&token, oid::UUID, uuid).unwrap().replace('-', ""), as_text, "the same identifier, the same token");
    assert_eq!(text(&token, oid::BYTEA, "\\x01").unwrap().len(), 2 + 16);
}

#[test]
fn numbers_by_their_digits() {
    let last = Redaction::KeepLast { count: 4, fill: '0' };
    assert_eq!(text(&last, oid::INT4, "123456789").as_deref(), Some("6789"));
    assert_eq!(text(&last, oid::INT8, "-123456789").as_deref(), Some("-6789"));
    assert_eq!(text(&last, oid::NUMERIC, "123456.789").as_deref(), Some("6.789"));
    assert_eq!(
        run(&last, oid::INT4, Format::Binary, &123_456_789i32.to_be_bytes()),
        Some(6789i32.to_be_bytes().into())
    );
    let nines = Redaction::Fill { fill: '9' };
    assert_eq!(text(&nines, oid::INT2, "12345"), None, "99999 is no smallint");
    assert_eq!(text(&nines, oid::INT2, "-123").as_deref(), Some("-999"));
    assert_eq!(text(&Redaction::Zip3, oid::INT4, "94110").as_deref(), Some("941"));
    assert_eq!(text(&Redaction::Zip3, oid::INT4, "501").as_deref(), Some("5"));
    assert_eq!(text(&Redaction::Zip3, oid::INT8, "941101234").as_deref(), Some("941"));
    assert_eq!(text(&Redaction::Zip3, oid::INT4, "-4"), None);
    let token = Redaction::Token { key: "k".into(), length: 8 };
    let number = text(&token, oid::INT8, "77").unwrap();
    assert_eq!(text(&token, oid::NUMERIC, "77").unwrap(), number);
    assert!(number.parse::<i64>().unwrap() >= 0);
    assert_eq!(text(&token, oid::INT8, "x"), None);
}

#[test]
fn json_leaf_by_leaf() {
    let json = |r: &Redaction, v: &str| text(r, oid::JSON, v);
    let document = r#"{"ssn": "123-45-6789", "n": [12345, true, null, {"é": "a\"b\u00e9\ud83d\ude00"}], "": ""}"#;
    assert_eq!(
        json(&keep_last(1), document).as_deref(),
        Some(r#"{"ssn": "**********9", "n": ["****5", null, null, {"é": "****😀"}], "": ""}"#)
    );
    assert_eq!(json(&Redaction::AgeCap, r#"[91, "95", 12, "x"]"#).as_deref(), Some(r#"[90, "90", 12, null]"#));
    assert_eq!(json(&Redaction::Year, r#"{"dob":"1952-05-21"}"#).as_deref(), Some(r#"{"dob":"1952"}"#));
    assert_eq!(json(&Redaction::Constant("0".into()), r#"[7,"x"]"#).as_deref(), Some(r#"[0,"0"]"#));
    assert_eq!(json(&Redaction::Constant("say \"x\"\n".into()), "7").as_deref(), Some(r#""say \"x\"\u000a""#));
    assert_eq!(json(&keep_last(4), " \"123456\" ").as_deref(), Some(" \"**3456\" "));
    for malformed in [
        "",
        "{",
        "[1,]",
        "[1 2]",
        "{\"a\"}",
        "{\"a\":1,}",
        "01",
        "1.",
        "tru",
        "\"a",
        "\"\\x\"",
        "\"\t\"",
        "1 2",
        "[}",
        "{]",
        "{\"a\":1]",
        ",",
        "[,1]",
        "{1:2}",
        "\u{feff}1",
        "nul",
        "-",
        "1e",
    ] {
        assert_eq!(json(&keep_last(4), malformed), None, "{malformed}");
    }
    let deep = format!("{}\"x\"{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(json(&keep_last(4), &deep).unwrap(), deep.replace('x', "*"));
    let binary = |value: &[u8]| run(&keep_last(1), oid::JSONB, Format::Binary, value);
    assert_eq!(binary(b"\x01{\"a\": \"xyz\"}").as_deref(), Some(&b"\x01{\"a\": \"**z\"}"[..]));
    assert_eq!((binary(b"\x02{}"), binary(b"")), (None, None), "another version of the form");
    let parts = format!("[{}0]", "0,".repeat(100_000));
    assert_eq!(json(&Redaction::Constant("x".repeat(1000)), &parts), None, "the result is bounded");
}

#[test]
fn arrays_element_by_element() {
    let array = |r: &Redaction, of: u32, v: &str| text(r, of, v);
    let last = |v: &str| array(&keep_last(1), oid::TEXT_ARRAY, v);
    assert_eq!(last("{}").as_deref(), Some("{}"));
    assert_eq!(last(r#"{123456,NULL,"NULL","a \"b"}"#).as_deref(), Some(r#"{*****6,NULL,***L,***b}"#));
    assert_eq!(last(r#"{"x\"","x,","x\\"}"#).as_deref(), Some(r#"{"*\"","*,","*\\"}"#));
    assert_eq!(last("{{ab,cd},{ef,\"\"}}").as_deref(), Some("{{*b,*d},{*f,\"\"}}"));
    assert_eq!(last("[0:1]={ab,cd}").as_deref(), Some("[0:1]={*b,*d}"));
    for malformed in
        ["", "{", "}", "{a", "{a}x", "{a,}b", "{a b\"c\"}", "{,a}", "{a,,b}", "x{a}", "[a]={b}", "{\"a}", "{a}{b}"]
    {
        assert_eq!(last(malformed), None, "{malformed}");
    }
    assert_eq!(array(&Redaction::AgeCap, 1007, "{89,90,104,NULL}").as_deref(), Some("{89,90,90,NULL}"));
    assert_eq!(array(&Redaction::Year, 1182, "{1952-05-21,infinity}").as_deref(), Some("{1952-01-01,NULL}"));
    assert_eq!(array(&Redaction::Constant("{}".into()), 1007, "{1}").as_deref(), Some("{}"));
    assert_eq!(array(&Redaction::Constant("null".into()), oid::TEXT_ARRAY, "{1}").as_deref(), Some("{\"null\"}"));
    assert_eq!(array(&Redaction::Null, oid::TEXT_ARRAY, "{1}"), None);
    assert_eq!(array(&keep_last(1), 1007, "{12}"), None);

    let binary = |of: u32, nulls: i32, element: u32, elements: &[Option<&[u8]>]| {
        let mut v = [1i32, nulls].map(i32::to_be_bytes).concat();
        v.extend(element.to_be_bytes());
        v.extend([i32::try_from(elements.len()).unwrap(), 1].map(i32::to_be_bytes).concat());
        for e in elements {
            v.extend(e.map_or(-1, |e| i32::try_from(e.len()).unwrap()).to_be_bytes());
            v.extend(e.unwrap_or_default());
        }
        (of, v)
    };
    let redacted = |r: &Redaction, (of, v): (u32, Vec<u8>)| run(r, of, Format::Binary, &v);
    let two = binary(oid::TEXT_ARRAY, 0, oid::TEXT, &[Some(b"abc"), None]);
    assert_eq!(redacted(&keep_last(1), two.clone()), Some(binary(0, 1, oid::TEXT, &[Some(b"**c"), None]).1));
    let ages = binary(1007, 0, oid::INT4, &[Some(&[0, 0, 0, 99]), Some(&[0, 1])]);
    assert_eq!(redacted(&Redaction::AgeCap, ages), Some(binary(0, 1, oid::INT4, &[Some(&[0, 0, 0, 90]), None]).1));
    assert_eq!(redacted(&keep_last(1), binary(oid::TEXT_ARRAY, 0, oid::INT4, &[Some(b"abcd")])), None, "another type");
    for cut in 0..two.1.len() {
        assert_eq!(run(&keep_last(1), two.0, Format::Binary, &two.1[..cut]), None, "cut at {cut}");
    }
    assert_eq!(run(&keep_last(1), two.0, Format::Binary, &[two.1, vec![0]].concat()), None);
    let empty = [[0; 4], [0; 4], oid::TEXT.to_be_bytes()].concat();
    assert_eq!(run(&keep_last(1), oid::TEXT_ARRAY, Format::Binary, &empty), Some(empty.clone()));
    let many = [1i32, 0, 25, i32::MAX, 1].map(i32::to_be_bytes).concat();
    assert_eq!(run(&keep_last(1), oid::TEXT_ARRAY, Format::Binary, &many), None);
}

#[test]
fn null_and_refuse_are_null_everywhere() {
    for oid in TYPES {
        for format in [Format::Text, Format::Binary] {
            assert_eq!(run(&Redaction::Null, oid, format, b"x"), None);
            assert_eq!(run(&Redaction::Refuse, oid, format, b"x"), None);
        }
        assert!(Step::prepare(&Redaction::Clear, oid, None).is_none());
    }
}

#[test]
fn constants_fit_their_type() {
    let both = |c: &str, oid: u32| {
        let r = Redaction::Constant(c.to_owned());
        (text(&r, oid, "anything"), run(&r, oid, Format::Binary, b"anything"))
    };
    let same = |c: &str| (Some(c.to_owned()), Some(c.as_bytes().to_vec()));
    let never = (None, None);
    assert_eq!(both("hidden", oid::TEXT), same("hidden"));
    assert_eq!(both("hidden", oid::INT4), never);
    assert_eq!(both("0", oid::INT4), (Some("0".into()), Some(vec![0; 4])));
    assert_eq!(both("-1", oid::INT2), (Some("-1".into()), Some(vec![255; 2])));
    assert_eq!(both("70000", oid::INT2), never);
    assert_eq!(both("1", oid::INT8), (Some("1".into()), Some(vec![0, 0, 0, 0, 0, 0, 0, 1])));
    assert_eq!(both("1.5", oid::FLOAT8).1, Some(1.5f64.to_be_bytes().to_vec()));
    assert_eq!(both("inf", oid::FLOAT4), never);
    assert_eq!(
        both("12.5", oid::NUMERIC),
        (Some("12.5".into()), Some(vec![0, 2, 0, 0, 0, 0, 0, 1, 0, 12, 0x13, 0x88]))
    );
    assert_eq!(both("x", oid::NUMERIC), never);
    assert_eq!(both("2000-01-02", oid::DATE), (Some("2000-01-02".into()), Some(vec![0, 0, 0, 1])));
    assert_eq!(both("2000-02-30", oid::DATE), never);
    assert_eq!(both("2000-01-01", oid::TIMESTAMPTZ), (Some("2000-01-01 00:00:00+00".into()), Some(vec![0; 8])));
    assert_eq!(both("TRUE", oid::BOOL), (Some("t".into()), Some(vec![1])));
    assert_eq!(both("yes?", oid::BOOL), never);
    assert_eq!(both("00000000-0000-0000-0000-0000000000ff", oid::UUID).1.unwrap()[15], 255);
    assert_eq!(both("00000000-0000", oid::UUID), never);
    assert_eq!(both("{\"a\":1}", oid::JSON), same("{\"a\":1}"));
    assert_eq!(both("{a}", oid::JSON), never, "and the value is not JSON");
    let typed = |c: &str, oid| both(c, oid).0;
    assert_eq!(typed("007", oid::INT4).as_deref(), Some("7"));
    assert_eq!(typed("12:30", oid::TIME).as_deref(), Some("12:30:00"));
    assert_eq!(typed("12:30+02", oid::TIMETZ).as_deref(), Some("12:30:00+02"));
    assert_eq!(typed("1 year 2 months 00:00:01.5", oid::INTERVAL).as_deref(), Some("1 year 2 mons 00:00:01.5"));
    assert_eq!(typed("0", oid::INTERVAL).as_deref(), Some("00:00:00"));
    assert_eq!(typed("2001-02-03 04:05:06.7", oid::TIMESTAMP).as_deref(), Some("2001-02-03 04:05:06.7"));
    assert_eq!(typed("2001-01-01 01:00+02", oid::TIMESTAMPTZ).as_deref(), Some("2000-12-31 23:00:00+00"));
    assert_eq!(both("10.0.0.1", oid::INET), (Some("10.0.0.1".into()), Some(vec![2, 32, 0, 4, 10, 0, 0, 1])));
    assert_eq!(typed("10.0.0.0/8", oid::CIDR).as_deref(), Some("10.0.0.0/8"));
    assert_eq!(typed("hidden", oid::BYTEA).as_deref(), Some("\\x68696464656e"));
    assert_eq!(both("empty", 3904), (Some("empty".into()), Some(vec![1])));
    assert_eq!(both("{}", 4451), (Some("{}".into()), Some(vec![0; 4])));
    for (c, oid) in [
        ("25:00", oid::TIME),
        ("noon", oid::TIMETZ),
        ("1 fortnight", oid::INTERVAL),
        ("-1 day", oid::INTERVAL),
        ("99999999999 days", oid::INTERVAL),
        ("", oid::INTERVAL),
        ("2001-02-30 00:00", oid::TIMESTAMP),
        ("2001-02-03 00:00+02", oid::TIMESTAMP),
        ("999999-01-01", oid::TIMESTAMP),
        ("10.0.0.1/8", oid::CIDR),
        ("10.0.0.1/33", oid::INET),
        ("\\x0", oid::BYTEA),
        ("zero", 3904),
    ] {
        assert_eq!(both(c, oid), never, "{c}");
    }
    assert_eq!(both("[]", oid::JSONB), (Some("[]".into()), Some(vec![1, b'[', b']'])));
    assert_eq!(both("nope", oid::JSONB), never);
    assert_eq!(both("<a>", oid::XML), never);
    assert_eq!(both("gone", oid::XML), same("gone"));
    assert_eq!(both("xy", oid::CHAR), never);
    assert_eq!(both("hidden", 99_999), never);
    assert_eq!(both("a\0b", oid::TEXT), never);
}

#[test]
fn tokens() {
    let token = |length| Redaction::Token { key: "k".into(), length };
    let whole = text(&token(64), oid::TEXT, "123-45-6789").unwrap();
    assert_eq!(whole.len(), 64);
    assert!(whole.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    assert_eq!(text(&token(12), oid::VARCHAR, "123-45-6789").unwrap(), whole[..12]);
    assert_eq!(text(&token(64), oid::BPCHAR, "123-45-6789  ").unwrap(), whole);
    assert_ne!(text(&token(64), oid::TEXT, "123-45-6780").unwrap(), whole);
    assert!(matches!(Step::prepare(&token(8), oid::TEXT, None), Some(Step::Null)), "no key, no value");
    assert!(TokenKey::new(b"").is_none());
    // RFC 4231, test case 2.
    let mut out = Vec::new();
    TokenKey::new(b"Jefe").unwrap().write(b"what do ya want for nothing?", 64, &mut out);
    assert_eq!(out, b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

#[test]
fn years() {
    let year = |oid, value| text(&Redaction::Year, oid, value);
    for (oid, value, want) in [
        (oid::DATE, "1952-05-21", Some("1952-01-01")),
        (oid::DATE, "0044-03-15 BC", Some("0044-01-01 BC")),
        (oid::DATE, "12024-03-15", Some("12024-01-01")),
        (oid::DATE, "infinity", None),
        (oid::DATE, "-infinity", None),
        (oid::DATE, "21.05.1952", None),
        (oid::DATE, "05/21/1952", None),
        (oid::TIMESTAMP, "1952-05-21 13:14:15.167", Some("1952-01-01 00:00:00")),
        (oid::TIMESTAMP, "Wed May 21 13:14:15 1952", None),
        (oid::TIMESTAMP, "infinity", None),
        (oid::TIMESTAMPTZ, "1952-05-21 13:14:15+02", Some("1952-01-01 00:00:00+00")),
        (oid::TIMESTAMPTZ, "1952-01-01 01:14:15+02", Some("1951-01-01 00:00:00+00")),
        (oid::TIMESTAMPTZ, "0001-01-01 01:14:15+02", Some("0001-01-01 00:00:00+00 BC")),
        (oid::TIMESTAMPTZ, "1952-05-21 13:14:15", None),
        (oid::DATE, "4714-12-01 BC", None),
        (oid::DATE, "4713-12-01 BC", Some("4713-01-01 BC")),
        (oid::DATE, "0005-02-29 BC", Some("0005-01-01 BC")),
        (oid::TIMESTAMPTZ, "1852-05-21 13:14:15-07:52:58", Some("1852-01-01 00:00:00+00")),
        (oid::TIMESTAMPTZ, "0044-03-15 13:00:00+00 BC", Some("0044-01-01 00:00:00+00 BC")),
        (oid::TEXT, "May 21, 1952", Some("1952")),
        (oid::VARCHAR, "5/21/52", None),
        (oid::TEXT, "born long ago", None),
    ] {
        assert_eq!(year(oid, value).as_deref(), want, "{oid} {value}");
    }
    let days = |n: i32| run(&Redaction::Year, oid::DATE, Format::Binary, &n.to_be_bytes());
    assert_eq!(days(0), Some(vec![0; 4]));
    assert_eq!(days(365), Some(vec![0; 4]));
    assert_eq!(days(366), Some(366i32.to_be_bytes().to_vec()));
    assert_eq!(days(-1), Some((-365i32).to_be_bytes().to_vec()));
    assert_eq!((days(i32::MAX), days(i32::MIN)), (None, None));
    let micros = |n: i64| run(&Redaction::Year, oid::TIMESTAMPTZ, Format::Binary, &n.to_be_bytes());
    assert_eq!(micros(dates::DAY * 200 + 5), Some(vec![0; 8]));
    assert_eq!(micros(-1), Some((-365 * dates::DAY).to_be_bytes().to_vec()));
    assert_eq!((micros(i64::MAX), micros(i64::MIN)), (None, None));
    assert_eq!(run(&Redaction::Year, oid::DATE, Format::Binary, b"1952-05-21"), None);
}

#[test]
fn ages() {
    let age = |oid, value| text(&Redaction::AgeCap, oid, value);
    for oid in [oid::INT2, oid::INT4, oid::INT8, oid::NUMERIC, oid::TEXT, oid::FLOAT8] {
        assert_eq!(age(oid, "89").as_deref(), Some("89"));
        assert_eq!(age(oid, "90").as_deref(), Some("90"));
        assert_eq!(age(oid, "104").as_deref(), Some("90"));
        assert_eq!(age(oid, "-3").as_deref(), Some("-3"));
    }
    assert_eq!(age(oid::NUMERIC, "89.5").as_deref(), Some("90"));
    assert_eq!(age(oid::NUMERIC, "NaN"), None);
    assert_eq!(age(oid::FLOAT8, "Infinity").as_deref(), Some("90"));
    assert_eq!(age(oid::FLOAT4, "NaN"), None);
    assert_eq!(age(oid::TEXT, "ninety"), None);
    let binary = |oid, value: &[u8]| run(&Redaction::AgeCap, oid, Format::Binary, value);
    assert_eq!(binary(oid::INT2, &[0, 89]), Some(vec![0, 89]));
    assert_eq!(binary(oid::INT2, &[0, 104]), Some(vec![0, 90]));
    assert_eq!(binary(oid::INT4, &[0, 0, 1, 4]), Some(vec![0, 0, 0, 90]));
    assert_eq!(binary(oid::INT8, &[255; 8]), Some(vec![255; 8]));
    assert_eq!(binary(oid::INT8, &[0, 0, 0, 0, 0, 0, 0, 200]), Some(vec![0, 0, 0, 0, 0, 0, 0, 90]));
    assert_eq!(binary(oid::INT4, &[0, 1]), None);
    assert_eq!(binary(oid::FLOAT8, &91f64.to_be_bytes()), Some(90f64.to_be_bytes().to_vec()));
    assert_eq!(binary(oid::FLOAT4, &9f32.to_be_bytes()), Some(9f32.to_be_bytes().to_vec()));
    assert_eq!(binary(oid::NUMERIC, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 95]), Some(vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 90]));
    assert_eq!(binary(oid::NUMERIC, &[9]), None);
}

#[test]
fn zips() {
    for (value, want) in [
        ("94110", Some("941")),
        ("94110-1234", Some("941")),
        ("941101234", Some("941")),
        (" 94110 ", Some("941")),
        ("03601", Some("000")),
        ("75399", Some("000")),
        ("20301-0001", Some("000")),
        ("9411", None),
        ("94110-12", None),
        ("K1A 0B1", None),
        ("", None),
    ] {
        assert_eq!(text(&Redaction::Zip3, oid::TEXT, value).as_deref(), want, "{value}");
    }
}

fn any_redaction() -> impl Strategy<Value = Redaction> {
    let fill = prop_oneof![Just('*'), Just('•'), any::<char>()];
    prop_oneof![
        Just(Redaction::Null),
        "[a-z0-9.-]{0,12}".prop_map(Redaction::Constant),
        (any::<u16>(), fill.clone()).prop_map(|(count, fill)| Redaction::KeepFirst { count: count % 9, fill }),
        (any::<u16>(), fill.clone()).prop_map(|(count, fill)| Redaction::KeepLast { count: count % 9, fill }),
        fill.prop_map(|fill| Redaction::Fill { fill }),
        (8u8..=64).prop_map(|length| Redaction::Token { key: "k".into(), length }),
        Just(Redaction::Year),
        Just(Redaction::AgeCap),
        Just(Redaction::Zip3),
    ]
}

proptest! {
    #[test]
    fn never_panics_and_keeps_to_its_bound(
        redaction in any_redaction(),
        which in 0..TYPES.len(),
        binary in any::<bool>(),
        value in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "\\PC{0,20}".prop_map(String::into_bytes),
            "[0-9]{0,6}[-/. ]?[0-9]{0,3}[-/. ]?[0-9]{0,5}".prop_map(String::into_bytes),
            "[{}\\[\\]\",:a0 n]{0,16}".prop_map(String::into_bytes),
        ],
    ) {
        let format = if binary { Format::Binary } else { Format::Text };
        let step = Step::prepare(&redaction, TYPES[which], Some(&key())).unwrap();
        let mut out = Vec::new();
        if step.apply(format, &value, &mut out) == Redacted::Scratch {
            match step.grows() {
                Grows::Never => prop_assert!(out.len() <= value.len()),
                Grows::Bounded(n) => prop_assert!(out.len() <= n as usize, "{} > {}", out.len(), n),
                Grows::Unbounded => prop_assert!(out.len() <= 80 * (value.len() + 1)),
            }
        }
    }

    #[test]
    fn keeping_n_reveals_at_most_n(value in "[a-zé日]{0,12}", count in 0u16..14, last in any::<bool>()) {
        let redaction = if last {
            Redaction::KeepLast { count, fill: '*' }
        } else {
            Redaction::KeepFirst { count, fill: '*' }
        };
        let out = text(&redaction, oid::TEXT, &value).unwrap();
        prop_assert_eq!(out.chars().count(), value.chars().count());
        let kept = out.chars().filter(|c| *c != '*').count();
        prop_assert!(kept <= usize::from(count));
        prop_assert!(value.is_empty() || kept < value.chars().count());
    }
}

proptest::proptest! {
    #[test]
    fn a_column_of_values_becomes_what_each_becomes_alone(
        texts in proptest::collection::vec(
            proptest::option::of(proptest::prop_oneof![
                "[ -~]{0,70}",
                "[0-9-]{0,12}",
                "[ -é]{0,20}",
                "[a-c]{0,9} {0,3}",
                "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-5][0-9]:[0-5][0-9]([+]0[0-2])?)?",
            ]),
            0..80,
        ),
        (how, n) in (0usize..10, 0u16..40),
        (type_oid, format) in (
            proptest::sample::select(&[25u32, 1042, 18, 114, 1082, 1114, 1184, 23, 2950, 1009][..]),
            proptest::sample::select(&[Format::Text, Format::Binary][..]),
        ),
    ) {
        let redaction = [
            Redaction::Null,
            Redaction::Constant("hidden".into()),
            Redaction::KeepFirst { count: n, fill: '*' },
            Redaction::KeepLast { count: n, fill: '7' },
            Redaction::Fill { fill: '*' },
            Redaction::Fill { fill: '█' },
            Redaction::Token { key: "k".into(), length: 16 },
            Redaction::Year,
            Redaction::AgeCap,
            Redaction::Zip3,
        ][how].clone();
        let key = TokenKey::new(b"secret");
        let step = Step::prepare(&redaction, type_oid, key.as_ref()).unwrap();
        let (mut bytes, mut fields) = (Vec::new(), Vec::new());
        for text in &texts {
            let start = u32::try_from(bytes.len()).unwrap();
            fields.push(match text {
                Some(text) => contract::Field::new(start, u32::try_from(text.len()).unwrap()),
                None => contract::Field::null(start),
            });
            bytes.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
        }
        let (mut aside, mut scratch) = (Vec::new(), Vec::new());
        let mut values = Values::new(&mut bytes, &mut fields, &mut aside, &mut scratch);
        step.apply_batch(format, &mut values);
        for (text, field) in texts.iter().zip(&fields) {
            let together = match field.fate() {
                contract::Fate::Null => None,
                contract::Fate::There if field.is_null() => None,
                contract::Fate::There => Some(bytes[field.range()].to_vec()),
                contract::Fate::Aside(range) => Some(aside[range].to_vec()),
            };
            let alone = text.as_ref().and_then(|text| {
                let mut out = Vec::new();
                match step.apply(format, text.as_bytes(), &mut out) {
                    Redacted::Keep => Some(text.clone().into_bytes()),
                    Redacted::Null => None,
                    Redacted::Scratch => Some(out),
                }
            });
            proptest::prop_assert_eq!(&together, &alone, "{:?}", text);
        }
    }
}
