use super::*;
use proptest::prelude::*;

const ALL: &[Detector] = Detector::SHAPES;

fn found(detectors: &[Detector], text: &str) -> Vec<String> {
    find(detectors, text.as_bytes()).iter().map(|h| text[h.start..h.end].to_owned()).collect()
}

#[test]
fn shapes_are_found() {
    use Detector as D;
    for (detector, text, want) in [
        (D::Ssn, "SSN 123-45-6789.", "123-45-6789"),
        (D::Ssn, "number 123 45 6789 given", "123 45 6789"),
        (D::Ssn, "ssn: 123456789", "123456789"),
        (D::Ssn, "Social Security: 000-00-0000", "000-00-0000"),
        (D::Ssn, "itin 912-70-1234", "912-70-1234"),
        (D::Ssn, "123–45–6789", "123–45–6789"),
        (D::Ssn, "xxx-xx-1234", "xxx-xx-1234"),
        (D::Mrn, "MRN: MRN-1015952, seen", "MRN-1015952"),
        (D::Mrn, "mrn 00123456", "00123456"),
        (D::Mrn, "Medical Record Number AB-1234567", "AB-1234567"),
        (D::Mrn, "MR# 8812345", "8812345"),
        (D::Mrn, "shows MRN-1003212.", "MRN-1003212"),
        (D::Phone, "call (415) 555-0100 now", "(415) 555-0100"),
        (D::Phone, "+1 (952) 664-1376.", "+1 (952) 664-1376"),
        (D::Phone, "415.555.0100", "415.555.0100"),
        (D::Phone, "415-555-0100 ext. 12", "415-555-0100 ext. 12"),
        (D::Phone, "415 555 0100x5", "415 555 0100x5"),
        (D::Phone, "+44 20 7952 7952.", "+44 20 7952 7952"),
        (D::Phone, "+442079527952", "+442079527952"),
        (D::Phone, "phone 4155550100", "4155550100"),
        (D::Phone, "tel. 555-0100", "555-0100"),
        (D::Phone, "1-800-555-0199", "1-800-555-0199"),
        (D::Email, "to thomas.wilson52@yahoo.com.", "thomas.wilson52@yahoo.com"),
        (D::Email, "a%40example.org", "a%40example.org"),
        (D::Email, "<zoë@exämple.de>", "zoë@exämple.de"),
        (D::Card, "4111-1111-1111-1112", "4111-1111-1111-1112"),
        (D::Card, "paid 4111111111111111 ok", "4111111111111111"),
        (D::Card, "card 4111111111111112", "4111111111111112"),
        (D::Card, "3782 822463 10005", "3782 822463 10005"),
        (D::Date, "DOB: 1952-05-21.", "1952-05-21"),
        (D::Date, "at 2025-01-27T14:05:00Z", "2025-01-27T14:05:00Z"),
        (D::Date, "on 5/21/52 he", "5/21/52"),
        (D::Date, "21-MAY-1952", "21-MAY-1952"),
        (D::Date, "born 5 January 1952,", "5 January 1952"),
        (D::Date, "January 5th, 1952", "January 5th, 1952"),
        (D::Date, "on Jan. 5 he", "Jan. 5"),
        (D::Date, "in March 2021 he", "March 2021"),
        (D::Date, "seen 03/14 again", "03/14"),
        (D::Date, "since 11/2019", "11/2019"),
        (D::Date, "the 5th of May", "5th of May"),
        (D::Date, "DOB 19520521", "19520521"),
        (D::Age, "a 92-year-old man", "92"),
        (D::Age, "94 yo female", "94"),
        (D::Age, "101y/o", "101"),
        (D::Age, "age: 97", "97"),
        (D::Plan, "number 55, insurance WXB001234567.", "WXB001234567"),
        (D::Plan, "Member ID: 993-22-118812", "993-22-118812"),
        (D::Plan, "Policy # ZG-88123412", "ZG-88123412"),
        (D::Address, "Lives at 812 Oak Street, Albany", "812 Oak Street"),
        (D::Address, "moved to 12B N. Martin Luther King Blvd last", "12B N. Martin Luther King Blvd"),
        (D::Address, "9 5th Ave", "9 5th Ave"),
        (D::Ip, "from 192.168.1.1.", "192.168.1.1"),
        (D::Ip, "via fe80::1ff:fe23:4567:890a ok", "fe80::1ff:fe23:4567:890a"),
        (D::Ip, "::1", "::1"),
        (D::Url, "see https://example.com/u?id=1&e=a@b.co.", "https://example.com/u?id=1&e=a@b.co"),
        (D::Url, "at www.example.com/x, or", "www.example.com/x"),
        (D::Zip, "Arlington, AK 59607", "59607"),
        (D::Zip, "zip code 94110-1234", "94110-1234"),
    ] {
        assert_eq!(found(&[detector], text), [want], "{detector:?} in {text}");
        assert!(!find(ALL, text.as_bytes()).is_empty(), "{text}");
    }
}

#[test]
fn numbers_that_institutions_give_out_are_found() {
    use Detector as D;
    let mut wrong = Vec::new();
    for (detector, text, want) in [
        (D::Npi, "NPI: 1234567893", "1234567893"),
        (D::Npi, "npi 9313971225 given", "9313971225"),
        (D::Npi, "by 1245319599.", "1245319599"),
        (D::Npi, "1234 567 893", "1234 567 893"),
        (D::Dea, "DEA: MC3808463", "MC3808463"),
        (D::Dea, "F91234567", "F91234567"),
        (D::Mbi, "MBI 1EG4-TE5-MK73,", "1EG4-TE5-MK73"),
        (D::Mbi, "1eg4te5mk73", "1eg4te5mk73"),
        (D::Plan, "Subscriber ID: XYZ123456789", "XYZ123456789"),
        (D::Plan, "\"group_number\": \"0078512\"", "0078512"),
        (D::Mrn, "<medical mrn=\"A-204981\">", "A-204981"),
        (D::Mrn, "Patient #: 4471029", "4471029"),
        (D::Mrn, "visit no. 10293", "10293"),
        (D::Account, "routing: 021000021", "021000021"),
        (D::Account, "account number is 12345678", "12345678"),
        (D::Account, "SWIFT CHASUS33", "CHASUS33"),
        (D::Iban, "GB29 NWBK 6016 1331 9268 19.", "GB29 NWBK 6016 1331 9268 19"),
        (D::Iban, "DE89370400440532013000", "DE89370400440532013000"),
        (D::Vin, "1HGBH41JXMN109186", "1HGBH41JXMN109186"),
        (D::Plate, "license plate 7ABC123", "7ABC123"),
        (D::Plate, "plate: 123 ABC", "123 ABC"),
        (D::Device, "IMEI 490154203237518", "490154203237518"),
        (D::Device, "AEBE52E7-03EE-455A-B3C4-E57283966239", "AEBE52E7-03EE-455A-B3C4-E57283966239"),
        (D::Device, "(01)00844588003288(17)241231(21)ABC-1", "(01)00844588003288(17)241231(21)ABC-1"),
        (D::Device, "pacemaker serial no. PJN-48213", "PJN-48213"),
        (D::Mac, "MAC 00:1a:2B:3c:4d:5E,", "00:1a:2B:3c:4d:5E"),
        (D::Mac, "AA-BB-CC-DD-EE-FF", "AA-BB-CC-DD-EE-FF"),
        (D::Mac, "001a.2b3c.4d5e", "001a.2b3c.4d5e"),
        (D::License, "driver's license D123-4567-8901", "D123-4567-8901"),
        (D::License, "Passport: P2I110382", "P2I110382"),
        (D::License, "medical license # A-48213", "A-48213"),
        (D::Code, "EMP-15935", "EMP-15935"),
        (D::Code, "tax id 12-3456789", "12-3456789"),
        (D::Code, "username: jsmith42", "jsmith42"),
        (D::Code, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        (D::Code, "by @johnsmith42,", "@johnsmith42"),
        (D::Address, "40.7128° N, 74.0060° W", "40.7128° N, 74.0060° W"),
        (D::Address, "at 48.8566, -2.3522.", "48.8566, -2.3522"),
        (D::Address, "3189 Cherry Ln, Apt 4B, Arlington, AK 59607", "3189 Cherry Ln, Apt 4B, Arlington, AK 59607"),
        (D::Url, "on example.org/x.", "example.org/x"),
        (D::Url, "visit mail.clinic.co.uk now", "mail.clinic.co.uk"),
        (D::Ip, "net 10.0.0.0/8 is", "10.0.0.0/8"),
        (D::Ip, "fe80::1%eth0", "fe80::1%eth0"),
        (D::Date, "13MAY1952", "13MAY1952"),
        (D::Date, "Today is 5/2021", "5/2021"),
        (D::Date, "el 21 de mayo de 1952", "21 de mayo de 1952"),
        (D::Date, "le 3 février 2021", "3 février 2021"),
        (D::Date, "1952年5月21日", "1952年5月21日"),
        (D::Date, "20260209T225000Z", "20260209T225000Z"),
        (D::Ssn, "SSN ending in 1234", "1234"),
        (D::Ssn, "078-051120", "078-051120"),
        (D::Phone, "0532 123 45 67", "0532 123 45 67"),
        (D::Phone, "(020) 7946 0958", "(020) 7946 0958"),
        (D::Phone, "+49 (0)30 1234567", "+49 (0)30 1234567"),
        (D::Card, "card ending in 4242", "4242"),
    ] {
        let all = found(&[detector], text);
        if all != [want] {
            wrong.push(format!("{detector:?} in {text}: {all:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ordinary_clinical_text_is_left() {
    for text in [
        "BP 120/80, HR 72, temp 98.6, SpO2 99% on 2L. Metoprolol 25mg BID, Gabapentin 300mg.",
        "pain 6/10, 3 days ago; may 2 tablets q6h; march 4 steps. Room 12. ICD E11.9, J45.909",
        "Labs: Na 140, K 4.1, Cl 101, BUN 14, Cr 0.9, WBC 10.5, Hgb 13.2, Plt 250,000",
        "The patient is 65 years old. Weight 90 kg, height 170 cm. ratio 1:2, std::string 10:20:30",
        "strength 5/5, murmur 3/6, vision 20/40, from 1/2 to 3/4 inch, room 4 West, 12 Lead ECG ST changes",
        "closed with 4-0 Vicryl at 0830 and 1400; given 700 cc. Seen in 2019-2021; Head CT 2 Abdominal CT",
        "amoxicillin 875-125, 5-10-15 minutes, COVID-19, CA 19-9, IL-6, BRCA1, heparin 5000 units, 1,250,000",
        "Metformin 500mg (NDC-0591-3740-01) twice daily, shift 0700-1900",
        "done.No pain. Call if worse. ratio 1:20, HLA-B27, E. coli 100,000 CFU/mL, 10^9/L, CPT 99214, L4-L5",
        "version 1.2.3, 666-00-0000, 5 mg @ 8pm, a@b, 90% of 100 patients, 2019 and 2020",
        "",
    ] {
        assert_eq!(found(ALL, text), Vec::<String>::new(), "{text}");
    }
}

/// Text that has something of every shape in it, and long stretches without.
const TEXT: &str = "([0-9]{1,9}[-/. :@()+,]{1,2}|[0-9]{1,3}(st|th|mg|\u{f1}o)? ?(Jan|mayo|of March|de|oct|f\u{e9}vr|inch)|\
    (MRN|ssn|age|Jan|plate|DL|user|on|lat|tel|\u{e9}|September) ?|[A-Z]{1,3}[0-9]|[0-9][A-Z] |[a-z ]{1,50}|[a-z]{2,9}[.@](com|org)|\
    (AA-BB-CC|1a:2b:3c|::1|http://x|www\\.)[-: .]|98[.]6, |12 Oak St ){0,24}";

/// Looks at every digit and every sign.
fn slowly(shapes: Shapes, text: &[u8]) -> Vec<Hit> {
    let folded = unicode::fold(text);
    let plain = folded.as_ref().map_or(text, |f| &f.text);
    let mut visit = Visit::new(shapes, Wanted::of(shapes), 0, plain, 0);
    let signs = Reach::of(shapes).signs != 0;
    let mut hits = Vec::new();
    for (at, b) in plain.iter().enumerate() {
        let first = b.is_ascii_digit() && !at.checked_sub(1).is_some_and(|i| plain[i].is_ascii_digit());
        let sign = signs && b"@:.".contains(b) || *b == b'-' && shapes.has(Detector::Mac);
        visit.window(at, u64::from(first), 0, u64::from(sign), &mut hits);
    }
    if let Some(folded) = &folded {
        for hit in &mut hits {
            (hit.start, hit.end) = folded.origin(text, hit.start, hit.end);
        }
    }
    unite(&mut hits);
    hits
}

#[test]
fn numbers_of_prose_are_known() {
    let prose = |detectors: &[Detector], text: &str| {
        let at = text.bytes().position(|b| b.is_ascii_digit()).unwrap();
        let len = text.bytes().skip(at).take_while(u8::is_ascii_digit).count();
        is_prose(Wanted::of(Shapes::of(detectors)), text.as_bytes(), at, len)
    };
    for text in [
        "sutures to be removed in 10 days; no sign",
        "was started on metoprolol 25mg twice daily",
        "he walked on for some 400 metres behind the house",
        "he took it for the second of 3 weeks until",
    ] {
        assert!(prose(ALL, text), "{text}");
    }
    for text in [
        "he was seen here in May, 10 days later",
        "he was seen here on 5 may again",
        "he was seen here on the 5th of May",
        "he was seen here on 5 de mayo de 1952",
        "she was at that time aged 92 years old",
        "he lives in a house at 12 Oak Street",
        "he can be called by 415 555 0132 now",
        "he can be called by 4155 and nothing",
        "at the end of all that 10",
        "in 10 days",
    ] {
        assert!(!prose(ALL, text), "{text}");
    }
    assert!(prose(&[Detector::Ssn, Detector::Age], "he was seen here in May, 10 days later"));
    assert!(prose(&[Detector::Ssn, Detector::Date], "she was at that time aged 92 years old"));
}

#[test]
fn fields_outside_of_the_buffer_are_empty() {
    let mut hits = vec![Hit { start: 0, end: 1, detector: Detector::Ssn }];
    let mut all = Vec::new();
    let fields = [(0, 12), (1, 12), (5, 4), (8, 13), (40, 50), (0, 0), (12, 12)].map(|(from, to)| from..to);
    let ssn = Shapes::of(&[Detector::Ssn]);
    batch(ssn, b"x123-45-6789", &fields, &mut hits, |field, hits| all.push((field, hits.to_vec())));
    let hit = Hit { start: 0, end: 11, detector: Detector::Ssn };
    assert_eq!(all, [(1, vec![hit])]);
}

proptest! {
    #[test]
    fn hits_are_ordered_and_in_bounds(
        text in prop_oneof![
            "\\PC{0,80}",
            "[0-9 ./:@()+xXA-Za-z-]{0,80}",
            "([0-9]{1,9}[-/. :@()+]{1,2}|(MRN|ssn|age|Jan|www\\.|http://|é) ?){0,12}",
        ],
    ) {
        let mut last = 0;
        for hit in find(ALL, text.as_bytes()) {
            prop_assert!(hit.start >= last && hit.start < hit.end && hit.end <= text.len());
            prop_assert!(text.is_char_boundary(hit.start) && text.is_char_boundary(hit.end), "{:?}", hit);
            last = hit.end;
        }
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut last = 0;
        for hit in find(ALL, &bytes) {
            prop_assert!(hit.start >= last && hit.start < hit.end && hit.end <= bytes.len());
            last = hit.end;
        }
    }

    /// What the filter before verification lets go of would not have been a hit.
    #[test]
    fn the_filter_loses_nothing(
        text in prop_oneof![
            "\\PC{0,60}",
            "[0-9 ./:@()+xXA-Za-z-]{0,80}",
            "([0-9]{1,5}[-/. :@()+]{1,2}|[0-9]{1,3}(st|th)? ?(Jan|mayo|of March|de|oct|févr)|(MRN|ssn|age|Jan|plate|DL|user|on|lat|é) ?|[A-Z]{1,3}[0-9]|[0-9][A-Z] ){0,12}",
        ],
        detector in proptest::sample::select(ALL),
        all in any::<bool>(),
    ) {
        let set = Shapes::of(if all { ALL } else { std::slice::from_ref(&detector) });
        let text = text.as_bytes();
        let mut done = 0;
        let mut digit = false;
        for (at, b) in text.iter().enumerate() {
            let first = b.is_ascii_digit() && !digit;
            digit = b.is_ascii_digit();
            if first && at >= done {
                let mut hits = Vec::new();
                shapes::verify(set, text, at, &mut hits);
                prop_assert!(hits.is_empty() || likely(Wanted::of(set), text, at, 1), "{:?} at {}", hits, at);
                done = hits.iter().map(|h| h.end).max().unwrap_or(done);
            }
        }
    }

    /// Numbers of prose are let go of by the filter too.
    #[test]
    fn numbers_of_prose_are_unlikely(
        words in proptest::collection::vec(
            prop_oneof![
                "[a-zA-Z]{1,12}[.,/)-]?",
                "(Jan|march|mayo|oktober|F\u{e9}v|may|of|de|aged|plate|DL|MRN|\u{e9})[.,]?",
                "[0-9]{1,4}",
                "[0-9]{1,3}[a-zA-Z]{1,4}",
                "[0-9]{1,2}(st|nd|th|of|de|mg|may|days)",
                "[0-9]{1,3}[-/.%][0-9]{0,3}",
            ],
            1..14,
        ),
        gap in "( |  |\\(|, )",
        set in proptest::sample::subsequence(ALL, 0..=ALL.len()),
    ) {
        let text = words.join(&gap);
        let (bytes, wanted) = (text.as_bytes(), Wanted::of(Shapes::of(&set)));
        for at in 0..bytes.len() {
            for len in 1..=4 {
                let prose = is_prose(wanted, bytes, at, len);
                prop_assert!(!prose || !likely(wanted, bytes, at, 1), "{:?} at {}", text, at);
            }
        }
    }

    /// Marks and the first pass lose nothing that looking at every digit and sign would find, whatever takes the planes,
    /// in fields of one buffer with other text round them.
    #[test]
    fn fast_is_as_slow(
        texts in proptest::collection::vec(proptest::string::string_regex(TEXT).unwrap(), 1..6),
        between in "([0-9]{1,3}|[a-z]|\u{e9}|@){0,3}",
        after in 0usize..100,
        set in proptest::sample::subsequence(ALL, 0..=ALL.len()),
    ) {
        let set = Shapes::of(&set);
        let mut buffer = Vec::new();
        let mut fields = Vec::new();
        for text in &texts {
            buffer.extend_from_slice(between.as_bytes());
            fields.push(buffer.len()..buffer.len() + text.len());
            buffer.extend_from_slice(text.as_bytes());
        }
        buffer.extend(std::iter::repeat_n(b'5', after));
        let slow: Vec<(usize, Hit)> =
            texts.iter().enumerate().flat_map(|(i, t)| slowly(set, t.as_bytes()).into_iter().map(move |h| (i, h))).collect();
        let mut one_by_one = Vec::new();
        for (i, text) in texts.iter().enumerate() {
            let mut hits = Vec::new();
            collect(set, text.as_bytes(), &mut hits);
            unite(&mut hits);
            one_by_one.extend(hits.into_iter().map(|h| (i, h)));
        }
        prop_assert_eq!(&one_by_one, &slow);
        for level in Level::all() {
            let mut hits = Vec::new();
            let mut together = Vec::new();
            sweep(level, set, &buffer, &fields, &mut hits, Fold::Yes, |field, hits| {
                unite(hits);
                together.extend(hits.drain(..).map(|h| (field, h)));
            });
            prop_assert_eq!(&together, &slow, "{:?}", level);
        }
    }

    /// Where a text begins in a block of the planes changes nothing.
    #[test]
    fn alignment_changes_nothing(
        text in "([0-9]{1,5}[-/. :@()+]{1,2}|[a-z]{2,9}\\.(com|org)|AA-BB-CC-DD-EE-FF |(MRN|ssn|age|Jan|user) ?|[A-Z]{1,3}[0-9]| ){0,30}",
        pad in 0usize..130,
    ) {
        let at = |pad: usize| -> Vec<(usize, usize)> {
            let padded = format!("{}{text}", " ".repeat(pad));
            find(ALL, padded.as_bytes()).iter().map(|h| (h.start - pad, h.end - pad)).collect()
        };
        prop_assert_eq!(at(8), at(8 + pad));
    }
}
