use super::*;
use proptest::prelude::*;

const ALL: &[Detector] = Detector::SHAPES;

fn scanner(redaction: &Redaction, type_oid: u32) -> Scanner {
    let model = crate::Model {
        classes: vec![crate::model::Class {
            name: "notes".into(),
            identifier: None,
            description: String::new(),
            detectors: ALL.iter().copied().chain([Detector::Words(0)]).collect(),
            line: 0,
        }],
        word_lists: vec![crate::model::WordList {
            name: "names".into(),
            words: vec!["smith".into(), "van dyk".into()],
            patterns: vec!["hc-[0-9]{2}[a-z]{2}".into()],
        }],
        ..crate::Model::default()
    };
    let bundle = Arc::new(Bundle::load(&Bundle::encode(&model).unwrap()).unwrap());
    let key = TokenKey::new(b"secret").unwrap();
    Scanner::prepare(&bundle, 0, redaction, type_oid, Some(&key)).unwrap()
}

fn redacted(redaction: &Redaction, type_oid: u32, text: &str) -> Option<String> {
    let mut out = Vec::new();
    match scanner(redaction, type_oid).apply(Format::Text, text.as_bytes(), &mut out) {
        Redacted::Keep => Some(text.to_owned()),
        Redacted::Null => None,
        Redacted::Scratch => Some(String::from_utf8(out).unwrap()),
    }
}

#[test]
fn hits_are_redacted_by_the_method_of_the_class() {
    let note = "Mr. SMITH (MRN 0012345), 92yo, of TX 75001, born 1932-05-21. Smithson";
    for (redaction, want) in [
        (Redaction::Null, "Mr. ***** (MRN *******), **yo, of TX *****, born **********. Smithson"),
        (Redaction::Fill { fill: '#' }, "Mr. ##### (MRN #######), ##yo, of TX #####, born ##########. Smithson"),
        (Redaction::Constant("[x]".into()), "Mr. [x] (MRN [x]), [x]yo, of TX [x], born [x]. Smithson"),
        (
            Redaction::KeepLast { count: 2, fill: '*' },
            "Mr. ***TH (MRN *****45), **yo, of TX ***01, born ********21. Smithson",
        ),
        (Redaction::Year, "Mr. ***** (MRN *******), **yo, of TX *****, born 1932. Smithson"),
        (Redaction::AgeCap, "Mr. ***** (MRN *******), 90yo, of TX *****, born **********. Smithson"),
        (Redaction::Zip3, "Mr. ***** (MRN *******), **yo, of TX 750, born **********. Smithson"),
    ] {
        assert_eq!(redacted(&redaction, 25, note).as_deref(), Some(want), "{redaction:?}");
    }
    let token = redacted(&Redaction::Token { key: "k".into(), length: 8 }, 25, "smith").unwrap();
    assert_eq!(token.len(), 8);
    assert_eq!(redacted(&Redaction::Null, 25, "nothing here").as_deref(), Some("nothing here"));
    assert_eq!(redacted(&Redaction::Null, 25, "dr van dyk left").as_deref(), Some("dr ******* left"));
}

#[test]
fn numbers_of_a_rule_and_disguised_words_are_found() {
    for (text, want) in [
        ("file HC-12ab of the ward", "file ******* of the ward"),
        ("HC-12abc is another", "HC-12abc is another"),
        ("Mr. Smi\u{200b}th left", "Mr. ****** left"),
        ("ｓｍｉｔｈ left", "***** left"),
        ("é １２３-４５-６７８９", "é ***********"),
    ] {
        assert_eq!(redacted(&Redaction::Null, 25, text).as_deref(), Some(want), "{text}");
    }
}

#[test]
fn json_and_xml_stay_what_they_are() {
    let null = Redaction::Null;
    assert_eq!(redacted(&null, 114, r#"{"n":"ssn 123-45-6789"}"#).as_deref(), Some(r#"{"n":"ssn ***********"}"#));
    assert_eq!(redacted(&null, 114, r#"{"n":"x\n123-45-6789\n"}"#).as_deref(), Some(r#"{"n":"x\n***********\n"}"#));
    assert_eq!(redacted(&null, 114, r#"{"ssn":123456789}"#), None);
    assert_eq!(redacted(&null, 114, r#"{"n":"\u0031"}"#), None);
    assert_eq!(redacted(&null, 114, r#"{"u":"https:\/\/a.example\/x"}"#), None);
    assert_eq!(redacted(&null, 142, "<a>smith</a>").as_deref(), Some("<a>*****</a>"));
    assert_eq!(redacted(&null, 142, "<smith>x</smith>"), None);
    assert_eq!(redacted(&null, 142, "<a>&#49;</a>"), None);
    let mut out = Vec::new();
    let jsonb = scanner(&null, 3802);
    assert_eq!(jsonb.apply(Format::Binary, b"\x01[\"smith\"]", &mut out), Redacted::Scratch);
    assert_eq!(out, b"\x01[\"*****\"]");
    assert_eq!(jsonb.apply(Format::Binary, b"\x02[]", &mut out), Redacted::Null);
    assert_eq!(jsonb.apply(Format::Binary, b"", &mut out), Redacted::Null);
}

proptest! {
    #[test]
    fn a_planted_number_never_survives(
        before in "[a-z ,.]{0,40} ", area in 1u32..666, group in 1u32..100, serial in 1u32..10_000, after in " [a-z ,.]{0,40}",
    ) {
        let ssn = format!("{area:03}-{group:02}-{serial:04}");
        let out = redacted(&Redaction::Null, 25, &format!("{before}{ssn}{after}")).unwrap();
        prop_assert!(!out.contains(&ssn));
    }
}

proptest! {
    #[test]
    fn texts_looked_at_together_become_what_each_becomes_alone(
        texts in proptest::collection::vec(
            proptest::option::of(prop_oneof![
                "[a-zA-Z .,:0-9@/-]{0,90}",
                "(MRN 0012345|92yo|SMITH|ſmith|TX 75001|１２３-45-6789|123-45-6789|van dyk|HC-12ab| |é|x){0,8}",
            ]),
            0..150,
        ),
        how in 0usize..6,
        type_oid in proptest::sample::select(&[25u32, 1042, 114, 142][..]),
    ) {
        let redaction = [
            Redaction::Null,
            Redaction::KeepLast { count: 2, fill: '#' },
            Redaction::Fill { fill: '█' },
            Redaction::Constant("[x]".into()),
            Redaction::Year,
            Redaction::Token { key: "k".into(), length: 8 },
        ][how].clone();
        let scanner = scanner(&redaction, type_oid);
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
        scanner.apply_batch(Format::Text, &mut values);
        for (text, field) in texts.iter().zip(&fields) {
            let together = match field.fate() {
                contract::Fate::Null => None,
                contract::Fate::There if field.is_null() => None,
                contract::Fate::There => Some(bytes[field.range()].to_vec()),
                contract::Fate::Aside(range) => Some(aside[range].to_vec()),
            };
            let alone = text.as_ref().and_then(|text| {
                let mut out = Vec::new();
                match scanner.apply(Format::Text, text.as_bytes(), &mut out) {
                    Redacted::Keep => Some(text.clone().into_bytes()),
                    Redacted::Null => None,
                    Redacted::Scratch => Some(out),
                }
            });
            prop_assert_eq!(&together, &alone, "{:?}", text);
            if let (Some(text), Some(new), true) = (text, together, scanner.never_grows()) {
                prop_assert!(new.len() <= text.len());
            }
        }
    }
}
