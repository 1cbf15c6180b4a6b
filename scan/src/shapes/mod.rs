//! The shapes of identifiers in prose: given a trigger, decides whether it begins (or lies in) one, and how far it reaches.
//!
//! Every function looks at a bounded neighbourhood of its position and is total. They prefer to find too much: where a
//! shape is ambiguous, a context word before it decides, and a checksum is never required of a value written in groups.
//! Deliberately absent: checks that a number is issued, a domain exists, or a date is in the past.

mod codes;
mod groups;
mod moments;
mod net;
mod numbers;
mod places;

use crate::context::Context;
use crate::detector::Detector;
use crate::find::{Hit, Shapes};

use groups::{Groups, Token};
pub(crate) use net::{host, mac_by_dashes};

/// The digit at `at` is part of a vehicle's plate.
pub(crate) fn is_plate(text: &[u8], at: usize) -> bool {
    Token::round(text, at).is_some_and(|token| codes::is_plate(text, &token))
}

fn byte(text: &[u8], at: usize, back: usize) -> Option<u8> {
    at.checked_sub(back).and_then(|i| text.get(i)).copied()
}

/// Looks at the sign or the first digit at `at` with every shape of the set.
pub(crate) fn verify(shapes: Shapes, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
    match text.get(at) {
        Some(b'@') => sign(shapes, text, at, hits),
        Some(b':') => colon(shapes, text, at, hits),
        _ => digit(shapes, text, at, hits, codes::are_whole_tokens(shapes)),
    }
}

fn sign(shapes: Shapes, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
    let mut add = |(start, end): (usize, usize), detector| hits.push(Hit { start, end, detector });
    if shapes.has(Detector::Email)
        && let Some(found) = net::email(text, at, 1)
    {
        add(found, Detector::Email);
    } else if shapes.has(Detector::Code)
        && let Some(found) = net::handle(text, at)
    {
        add(found, Detector::Code);
    }
}

fn colon(shapes: Shapes, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
    if shapes.has(Detector::Url)
        && let Some(hit) = net::url(text, at)
    {
        hits.push(hit);
        return;
    }
    if shapes.has(Detector::Mac)
        && let Some((start, end)) = net::mac(text, at)
    {
        hits.push(Hit { start, end, detector: Detector::Mac });
    } else if shapes.has(Detector::Ip)
        && let Some((start, end)) = net::ipv6(text, at)
    {
        hits.push(Hit { start, end, detector: Detector::Ip });
    }
}

/// `whole`: what is known by its label alone is always a whole token ([`codes::are_whole_tokens`]), so that labels need not
/// be read where a hit covers the token already.
fn digit(shapes: Shapes, text: &[u8], at: usize, hits: &mut Vec<Hit>, whole: bool) {
    let known = hits.len();
    let mut add = |(start, end): (usize, usize), detector: Detector| hits.push(Hit { start, end, detector });
    let previous = byte(text, at, 1);
    if shapes.has(Detector::Email)
        && previous == Some(b'%')
        && text.get(at..at + 2) == Some(b"40")
        && let Some(found) = net::email(text, at - 1, 3)
    {
        add(found, Detector::Email);
    }
    // In the middle of a longer number: `3` of `1.3`, whose first digit was looked at already.
    let middle = matches!(previous, Some(b'-' | b'.' | b'/')) && byte(text, at, 2).is_some_and(|b| b.is_ascii_digit());
    let in_word = previous.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let groups = Groups::read(text, at);
    let mut read: Option<Context> = None;
    let mut context = || *read.get_or_insert_with(|| Context::before(text, at));
    let mut dated = false;
    if shapes.has(Detector::Date)
        && let Some(found) = moments::date(text, at, middle, in_word, &groups, &mut context)
    {
        dated = true;
        add(found, Detector::Date);
    }
    if !middle && !in_word {
        if shapes.has(Detector::Ip)
            && let Some(end) = numbers::ipv4(text, &groups)
        {
            return add((at, end), Detector::Ip);
        }
        if shapes.has(Detector::Card)
            && let Some(end) = numbers::card(text, at, &groups, &mut context)
        {
            add((at, end), Detector::Card);
        }
        if shapes.has(Detector::Address) {
            if let Some(end) = places::address(text, at, &mut context) {
                add((at, end), Detector::Address);
            } else if let Some(found) = places::coordinates(text, at) {
                add(found, Detector::Address);
            }
        }
        if shapes.has(Detector::Zip)
            && let Some(end) = places::zip(text, at, &groups, &mut context)
        {
            add((at, end), Detector::Zip);
        }
        if shapes.has(Detector::Age)
            && let Some(end) = moments::age(text, at, &mut context)
        {
            add((at, end), Detector::Age);
        }
    }
    if shapes.has(Detector::Ssn)
        && let Some(found) = numbers::ssn(text, at, &groups, middle || in_word, &mut context)
    {
        add(found, Detector::Ssn);
    }
    if shapes.has(Detector::Phone)
        && !dated
        && let Some(found) = numbers::phone(text, at, &groups, middle || in_word, &mut context)
    {
        add(found, Detector::Phone);
    }
    if shapes.meets(codes::DETECTORS)
        && !dated
        && let Some((start, end)) = Token::bounds(text, at)
    {
        let covers = |from: usize, to: usize| from <= start && end <= to;
        // The sign of a mail address is looked at by itself.
        let addressed = || {
            shapes.has(Detector::Email)
                && text.get(end) == Some(&b'@')
                && net::email(text, end, 1).is_some_and(|(from, to)| covers(from, to))
        };
        if whole && (hits.get(known..).unwrap_or_default().iter().any(|hit| covers(hit.start, hit.end)) || addressed())
        {
            return;
        }
        let Some(token) = Token::within(text, start, end) else { return };
        let mut add = |(start, end): (usize, usize), detector| hits.push(Hit { start, end, detector });
        codes::verify(shapes, text, &token, &groups, whole, &mut add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::unite;
    use proptest::prelude::*;

    proptest! {
        /// Labels that are not read would have changed nothing.
        #[test]
        fn what_is_left_out_makes_no_difference(
            text in "((MRN|chart|policy no\\.|member|call|SSN|seen|card|dob|mg) ?:? ?|[0-9]{1,4}[-/ .]?|[A-Z]{1,3}-?|x|@|[a-z]{2}[.]de|, ){1,14}",
            known in proptest::sample::subsequence(
                vec![
                    Detector::Ssn, Detector::Phone, Detector::Card, Detector::Date, Detector::Ip, Detector::Zip,
                    Detector::Email,
                ], 0..=7),
            labelled in proptest::sample::subsequence(vec![Detector::Mrn, Detector::Plan], 1..=2),
        ) {
            let shapes = Shapes::of(&[known, labelled].concat());
            prop_assert!(codes::are_whole_tokens(shapes));
            let bytes = text.as_bytes();
            for at in (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()) {
                let (mut short, mut long) = (Vec::new(), Vec::new());
                digit(shapes, bytes, at, &mut short, true);
                digit(shapes, bytes, at, &mut long, false);
                if let Some(next) = (at..bytes.len()).find(|i| bytes[*i] == b'@') {
                    sign(shapes, bytes, next, &mut short);
                    sign(shapes, bytes, next, &mut long);
                }
                unite(&mut short);
                unite(&mut long);
                prop_assert_eq!(&short, &long, "{:?} at {}", text, at);
            }
        }
    }
}
