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
fn ordinary_clinical_text_is_left() {
    for text in [
        "BP 120/80, HR 72, temp 98.6, SpO2 99% on 2L. Metoprolol 25mg BID, Gabapentin 300mg.",
        "pain 6/10, 3 days ago; may 2 tablets q6h; march 4 steps. Room 12. ICD E11.9, J45.909",
        "Labs: Na 140, K 4.1, Cl 101, BUN 14, Cr 0.9, WBC 10.5, Hgb 13.2, Plt 250,000",
        "The patient is 65 years old. Weight 90 kg, height 170 cm. ratio 1:2, std::string 10:20:30",
        "version 1.2.3, 666-00-0000, 5 mg @ 8pm, a@b, 90% of 100 patients, 2019 and 2020",
        "",
    ] {
        assert_eq!(found(ALL, text), Vec::<String>::new(), "{text}");
    }
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
                let run = text[at..].iter().take_while(|b| b.is_ascii_digit()).count();
                let dull = run < 4 && dull(Wanted::of(set), text, at, run);
                prop_assert!(hits.is_empty() || !dull, "{:?} at {}", hits, at);
                done = hits.iter().map(|h| h.end).max().unwrap_or(done);
            }
        }
    }
}
