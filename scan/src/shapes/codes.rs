//! Numbers and codes that institutions give out: record, plan, provider, account, licence, vehicle and device numbers.
//!
//! They come as one token. Some have a shape of their own (DEA, MBI, VIN, IBAN, UUID); most are known by the word before
//! them, or by a prefix that is such a word (`MRN-1234567`); and a long number or a code with a prefix identifies something
//! whatever it is. Deliberately absent: codes of diagnoses, procedures and drugs as identifiers.

use crate::context::{self, Context, say};
use crate::detector::Detector;
use crate::find::Shapes;

use super::groups::{Groups, Token};
use super::{byte, numbers};

/// What this module looks for.
pub(super) const DETECTORS: Shapes = Shapes::CODES.with(Detector::Npi);

/// All but record and plan numbers: those that need not be long, or have a shape of their own.
const OF_OTHER_SHAPES: Shapes = DETECTORS.without(Detector::Mrn).without(Detector::Plan);

/// What this module finds for the set is the whole token and known by its label, so that it adds nothing to a hit that covers
/// the token.
pub(super) const fn are_whole_tokens(shapes: Shapes) -> bool {
    !shapes.meets(OF_OTHER_SHAPES)
}

type Add<'a> = dyn FnMut((usize, usize), Detector) + 'a;

/// Looks at a token with a digit in it; `whole_tokens` as [`are_whole_tokens`] says, or not to rely on it.
pub(super) fn verify(
    shapes: Shapes,
    text: &[u8],
    token: &Token,
    groups: &Groups,
    whole_tokens: bool,
    add: &mut Add<'_>,
) {
    let Some(all) = text.get(token.start..token.end) else { return };
    let before = byte(text, token.start, 1);
    let after = text.get(token.end).copied();
    let fraction = |edge: Option<u8>, beyond: Option<u8>| {
        matches!(edge, Some(b'.' | b',')) && beyond.is_some_and(|b| b.is_ascii_digit())
    };
    // Part of a decimal number, an amount of money or a percentage.
    if fraction(before, byte(text, token.start, 2))
        || fraction(after, text.get(token.end + 1).copied())
        || (matches!(before, Some(b'$')) || after == Some(b'%')) && token.letters() == 0
    {
        return;
    }
    // The groups of the whole number, whichever of them was met first.
    let reread;
    let groups = if token.letters() == 0 && groups.start.first() != Some(&token.start) {
        reread = Groups::read(text, token.start);
        &reread
    } else {
        groups
    };
    let whole = (token.start, token.end);
    let shape = Shape::of(text, token, groups);
    // Labels alone make none of these of what does not look like one.
    if shape == Shape::None && whole_tokens {
        return;
    }
    let context = told(text, token, all);
    if shapes.has(Detector::Dea) && (is_dea(all) || (context.tells(say::DEA) && token.digits >= 5)) {
        add(whole, Detector::Dea);
    }
    if shapes.has(Detector::Npi)
        && token.letters() == 0
        && token.digits == 10
        && token.joins == 0
        && (context.says(say::NPI) || numbers::is_npi(all))
    {
        add(whole, Detector::Npi);
    }
    if shapes.has(Detector::Npi)
        && groups.start.first() == Some(&token.start)
        && let Some(end) = grouped_npi(text, groups, &context)
    {
        add((token.start, end), Detector::Npi);
    }
    if shapes.has(Detector::Mbi)
        && let Some(end) = mbi(text, token.start)
    {
        add((token.start, end), Detector::Mbi);
    }
    if shapes.has(Detector::Iban)
        && let Some(end) = iban(text, token, &context)
    {
        add((token.start, end), Detector::Iban);
    }
    if shapes.has(Detector::Vin) && is_vin(all, token, &context) {
        add(whole, Detector::Vin);
    }
    if shapes.has(Detector::Device)
        && let Some(found) = device(text, token)
    {
        add(found, Detector::Device);
    }
    if shapes.has(Detector::Plate)
        && let Some(end) = plate(text, token, &context)
    {
        add((token.start, end), Detector::Plate);
    }
    if shapes.has(Detector::Account) && is_bic(all, token, &context) {
        add(whole, Detector::Account);
    }
    labelled(shapes, token, &context, shape, all, add);
    if shapes.has(Detector::Code) && is_code(text, token, &context, shape, groups) {
        add(whole, Detector::Code);
    }
}

/// What the words before a token say, and its prefix, which is itself a label: MRN-1015952, ssn123456789.
fn told(text: &[u8], token: &Token, all: &[u8]) -> Context {
    let mut context = Context::before(text, token.start);
    if let Some(prefix) = all.get(..token.prefix)
        && (2..=10).contains(&prefix.len())
    {
        let mut lower = [0u8; 10];
        if let Some(lower) = lower.get_mut(..prefix.len()) {
            lower.copy_from_slice(prefix);
            lower.make_ascii_lowercase();
            let bits = context::meaning(lower) & !(say::LINK | say::DAY | say::AGE);
            context.any |= bits;
            context.tight |= bits;
        }
    }
    context
}

/// How much a token looks like an identifier.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    /// A small number, a dose, a word.
    None,
    /// Four digits or more.
    Weak,
    /// Six digits or more, or letters and digits as codes have them.
    Strong,
}

impl Shape {
    fn of(text: &[u8], token: &Token, groups: &Groups) -> Self {
        let unit = token.letters() > 0
            && token.prefix == 0
            && token.digits < 6
            && token.lower > 0
            && token.joins == 0
            && token.len() < 16;
        // `120-130`
        let range = token.letters() == 0 && token.joins > 0 && token.digits < 5;
        if token.digits < 4 || range || unit || token.len() > 64 || years(text, token, groups) || counted(text, token) {
            Self::None
        } else if token.digits >= 6 || (token.digits >= 4 && token.upper > 0 && token.lower == 0) {
            Self::Strong
        } else {
            Self::Weak
        }
    }
}

/// `2019-2021`, `2019`.
fn years(text: &[u8], token: &Token, groups: &Groups) -> bool {
    let year = |i: usize| {
        groups.len.get(i) == Some(&4)
            && groups.start.get(i).and_then(|s| text.get(*s..*s + 2)).is_some_and(|c| c == b"19" || c == b"20")
    };
    token.letters() == 0
        && groups.start.first() == Some(&token.start)
        && match token.joins {
            0 => token.digits == 4 && year(0),
            1 => token.digits == 8 && (year(0) && year(1) || shift(text, groups)),
            _ => false,
        }
}

/// `0700-1900`
fn shift(text: &[u8], groups: &Groups) -> bool {
    let time = |i: usize| groups.len[i] == 4 && numbers::clock(text.get(groups.start[i]..).unwrap_or_default());
    time(0) && time(1)
}

/// What is counted: a unit follows, or the number is round.
fn counted(text: &[u8], token: &Token) -> bool {
    const UNITS: &[&[u8]] = &[
        b"units",
        b"unit",
        b"iu",
        b"mg",
        b"mcg",
        b"ml",
        b"cells",
        b"copies",
        b"cfu",
        b"g",
        b"kg",
        b"cc",
        b"u",
        b"ng",
        b"pg",
        b"meq",
        b"steps",
        b"calories",
        b"kcal",
        b"dollars",
        b"usd",
        b"times",
        b"bpm",
        b"mm",
        b"cm",
        b"hours",
        b"minutes",
        b"people",
        b"patients",
        b"persons",
        b"years",
        b"days",
        b"international",
        b"milligrams",
        b"grams",
    ];
    if token.letters() > 0 || token.joins > 0 {
        return false;
    }
    let all = text.get(token.start..token.end).unwrap_or_default();
    if token.digits < 10 && all.len() > 4 && all.ends_with(b"000") && !all.starts_with(b"0") {
        return true;
    }
    let rest = text.get(token.end..).unwrap_or_default();
    let blank = rest.iter().take(2).take_while(|b| matches!(b, b' ' | b'-')).count();
    let word = rest.get(blank..).unwrap_or_default();
    let len = word.iter().take(14).take_while(|b| b.is_ascii_alphabetic()).count();
    let word = word.get(..len).unwrap_or_default();
    len > 0 && UNITS.iter().any(|u| word.eq_ignore_ascii_case(u))
}

/// Numbers known by the word before them.
fn labelled(shapes: Shapes, token: &Token, context: &Context, shape: Shape, all: &[u8], add: &mut Add<'_>) {
    let named = context.tells(say::USER) && token.len() >= 6
        || context.tells(say::LICENSE | say::DEVICE | say::MRN) && token.digits >= 3 && token.len() >= 5;
    if shape == Shape::None && (!named || token.is_measure()) {
        return;
    }
    let whole = (token.start, token.end);
    let strong = shape == Shape::Strong && !context.tells(say::PHONE);
    let measured = context.tells(say::MEASURE);
    let known = |bits: u64| (context.tells(bits) && shape >= Shape::Weak) || (strong && context.says(bits));
    let numbered = |bits: u64| context.tells(bits) && (context.says(say::ID) || shape == Shape::Strong);
    if measured {
        return;
    }
    if shapes.has(Detector::Mrn) && (known(say::MRN) || (shape >= Shape::Weak && numbered(say::RECORD))) {
        add(whole, Detector::Mrn);
    }
    if shapes.has(Detector::Plan) && known(say::PLAN) {
        add(whole, Detector::Plan);
    }
    if shapes.has(Detector::Account) && known(say::ACCOUNT) {
        add(whole, Detector::Account);
    }
    let code = token.letters() > 0 && token.digits >= 3 && token.len() >= 5;
    if shapes.has(Detector::License)
        && (known(say::LICENSE) || (context.tells(say::LICENSE) && code && token.upper > 0))
    {
        add(whole, Detector::License);
    }
    if shapes.has(Detector::Device) && (known(say::DEVICE) || (context.tells(say::DEVICE) && code && token.lower == 0))
    {
        add(whole, Detector::Device);
    }
    if shapes.has(Detector::Code) {
        let named = context.tells(say::USER) && token.len() >= 4 && all.iter().any(u8::is_ascii_alphabetic);
        if known(say::CODE)
            || named
            || (shape >= Shape::Weak && (numbered(say::FILE) || context.tells(say::ID) && strong))
        {
            add(whole, Detector::Code);
        }
    }
}

/// A long number, or a code that no word and no measure looks like.
fn is_code(text: &[u8], token: &Token, context: &Context, shape: Shape, groups: &Groups) -> bool {
    if shape == Shape::None || context.tells(say::MEASURE) {
        return false;
    }
    let all = text.get(token.start..token.end).unwrap_or_default();
    if token.letters() == 0 {
        if token.joins == 0 {
            // 0000000 stands for no number.
            return token.digits >= 7 && all.iter().any(|b| Some(b) != all.first());
        }
        // 12-3456789, 3222-7162-7; not 120-130-140, nor the shape of a number that is never issued.
        let from_start = groups.start.first() == Some(&token.start);
        let longest = groups.len.iter().take(groups.count).max().copied().unwrap_or(0);
        return token.digits >= 8 && (!from_start || longest >= 4) && !(from_start && groups.is(&[3, 2, 4]));
    }
    let capital_code = token.lower == 0 && token.upper > 0;
    // EMP-15935, DL-X15925-25, D123-4567-8901
    if token.joins > 0 && capital_code && token.prefix <= 6 && token.digits >= 5 {
        return true;
    }
    // Z12803456, P5T124615, 12345678A
    if token.joins == 0 && capital_code && token.digits >= 6 && token.upper <= 6 {
        return true;
    }
    // Wallets, keys, hexadecimal: letters and digits change places often.
    let changes =
        all.windows(2).filter(|w| w.first().map(u8::is_ascii_digit) != w.last().map(u8::is_ascii_digit)).count();
    (token.len() >= 10 && token.digits >= 4 && changes >= 5) || (token.len() >= 16 && token.digits >= 5)
}

/// Ten digits as 1234 567 893 or 123-456-7893, with a right check digit or after a word for it.
fn grouped_npi(text: &[u8], groups: &Groups, context: &Context) -> Option<usize> {
    if !(groups.is(&[4, 3, 3]) || groups.is(&[3, 3, 4])) || !(groups.by(3, b' ') || groups.by(3, b'-')) {
        return None;
    }
    let mut all = [0u8; 10];
    let digits = text.get(groups.start[0]..groups.end(3))?.iter().filter(|b| b.is_ascii_digit());
    all.iter_mut().zip(digits).for_each(|(to, from)| *to = *from);
    let right = groups.len[0] == 4 && numbers::is_npi(&all);
    (right || context.tells(say::NPI)).then(|| groups.end(3))
}

fn is_dea(all: &[u8]) -> bool {
    let [a, b, rest @ ..] = all else { return false };
    rest.len() == 7
        && rest.iter().all(u8::is_ascii_digit)
        && a.is_ascii_alphabetic()
        && (b.is_ascii_alphabetic() || *b == b'9')
        && a.is_ascii_uppercase() == (b.is_ascii_uppercase() || *b == b'9' && a.is_ascii_uppercase())
}

/// Kinds of the eleven characters of a Medicare beneficiary identifier: 1 to 9, digit, letter, either.
const MBI: &[u8; 11] = b"CAXNAXNAANN";

/// The end of a Medicare beneficiary identifier that begins at `start`, with or without separators after the fourth and
/// seventh character.
fn mbi(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    for (i, kind) in MBI.iter().enumerate() {
        if (i == 4 || i == 7) && matches!(text.get(at), Some(b'-' | b' ')) {
            at += 1;
        }
        let b = text.get(at)?.to_ascii_uppercase();
        let letter = b.is_ascii_uppercase() && !b"SLOIBZ".contains(&b);
        let fits = match kind {
            b'C' => (b'1'..=b'9').contains(&b),
            b'N' => b.is_ascii_digit(),
            b'A' => letter,
            _ => letter || b.is_ascii_digit(),
        };
        if !fits {
            return None;
        }
        at += 1;
    }
    let ends = !text.get(at).is_some_and(|b| b.is_ascii_alphanumeric());
    ends.then_some(at)
}

/// Letters of the countries that have bank account numbers of this kind, in pairs.
const IBAN_COUNTRIES: &[u8] = b"ADAEALATAZBABEBGBHBRBYCHCRCYCZDEDJDKDOEEEGESFIFKFOFRGBGEGIGLGRGTHRHUIEILIQISITJOKWKZLBLCLILTLULVLYMCMDMEMKMNMRMTMUNINLNOOMPKPLPSPTQAROSRSSARUSCSDSESISKSMSOSTSVTLTNTRUAVAVGXKYE";

fn country(code: &[u8], list: &[u8]) -> bool {
    let [a, b] = code else { return false };
    let code = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
    list.as_chunks::<2>().0.contains(&code)
}

/// The end of an international bank account number that begins with `token`.
fn iban(text: &[u8], token: &Token, context: &Context) -> Option<usize> {
    let head = text.get(token.start..token.start + 4)?;
    let (code, check) = head.split_at(2);
    if !country(code, IBAN_COUNTRIES) || !check.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut at = token.start;
    let mut count = 0;
    let mut digits = 0;
    let (mut sum, mut later) = (0u32, [0u8; 4]);
    let mut group = 0;
    while let Some(&b) = text.get(at) {
        if matches!(b, b' ' | b'-') {
            // Groups of four, the last one shorter.
            let next =
                text.get(at + 1..).unwrap_or_default().iter().take(5).take_while(|b| b.is_ascii_alphanumeric()).count();
            let capital = text.get(at + 1).is_some_and(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
            if group != 4 || next == 0 || next > 4 || !capital || count >= 34 {
                break;
            }
            group = 0;
            at += 1;
            continue;
        }
        if !b.is_ascii_alphanumeric() {
            break;
        }
        if count < 4 {
            if let Some(slot) = later.get_mut(count) {
                *slot = b;
            }
        } else {
            sum = fold97(sum, b);
        }
        digits += usize::from(b.is_ascii_digit());
        count += 1;
        group += 1;
        at += 1;
        if count > 34 {
            return None;
        }
    }
    let right = later.iter().fold(sum, |s, b| fold97(s, *b)) == 1;
    let plain = text.get(token.start..at).is_some_and(|t| !t.iter().any(u8::is_ascii_lowercase));
    let fits = (15..=34).contains(&count) && (right || (plain && digits >= 8) || context.tells(say::ACCOUNT));
    fits.then_some(at)
}

fn fold97(sum: u32, b: u8) -> u32 {
    let b = b.to_ascii_uppercase();
    if b.is_ascii_digit() {
        (sum * 10 + u32::from(b - b'0')) % 97
    } else {
        (sum * 100 + u32::from(b.saturating_sub(b'A')) + 10) % 97
    }
}

/// Seventeen characters without I, O and Q.
fn is_vin(all: &[u8], token: &Token, context: &Context) -> bool {
    if all.len() != 17 || token.joins > 0 || all.iter().any(|b| b"IOQioq".contains(b)) {
        return false;
    }
    let capital = token.lower == 0 || token.upper == 0;
    context.says(say::VIN) || vin_checks(all) || (capital && token.digits >= 5 && token.letters() >= 3)
}

fn vin_checks(all: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let value = |b: u8| match b.to_ascii_uppercase() {
        d @ b'0'..=b'9' => u32::from(d - b'0'),
        l @ b'A'..=b'H' => u32::from(l - b'A') + 1,
        l @ b'J'..=b'R' => u32::from(l - b'J') + 1,
        l @ b'S'..=b'Z' => u32::from(l - b'S') + 2,
        _ => 0,
    };
    let sum: u32 = all.iter().zip(WEIGHTS).map(|(b, w)| value(*b) * w).sum();
    let check = all.get(8).map(|b| if b.eq_ignore_ascii_case(&b'X') { 10 } else { value(*b) });
    check == Some(sum % 11)
}

/// UUIDs, IMEI numbers, and the device identifiers that GS1 writes.
fn device(text: &[u8], token: &Token) -> Option<(usize, usize)> {
    let all = text.get(token.start..token.end)?;
    let uuid = all.len() == 36
        && all.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    let imei = token.letters() == 0 && token.joins == 0 && token.digits == 15 && numbers::luhn(all);
    if uuid || imei {
        return Some((token.start, token.end));
    }
    gs1(text, token.start)
}

/// `(01)00844588003288(17)241231(21)ABC123`: the brackets number the parts.
fn gs1(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let start = at.checked_sub(1)?;
    if text.get(start..at + 3)? != b"(01)" || text.get(at + 3..at + 17)?.iter().any(|b| !b.is_ascii_digit()) {
        return None;
    }
    let mut end = at + 17;
    while end - start < 120 {
        let part = text.get(end..).unwrap_or_default();
        let [b'(', a, b, rest @ ..] = part else { break };
        let width = rest.iter().take(1).take_while(|c| c.is_ascii_digit()).count();
        if !a.is_ascii_digit() || !b.is_ascii_digit() || rest.get(width) != Some(&b')') {
            break;
        }
        let value = rest.get(width + 1..).unwrap_or_default();
        let len =
            value.iter().take(20).take_while(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'/' | b'.')).count();
        end += 4 + width + len;
    }
    Some((start, end))
}

/// See [`plate`]; what is before the token is read only where its letters and digits would do.
pub(super) fn is_plate(text: &[u8], token: &Token) -> bool {
    let anything = Context { any: u64::MAX, tight: u64::MAX, near: 0 };
    let all = text.get(token.start..token.end).unwrap_or_default();
    plate(text, token, &anything).is_some() && plate(text, token, &told(text, token, all)).is_some()
}

/// Plates vary by state; two to eight letters and digits after a word that says so, in one or two parts.
fn plate(text: &[u8], token: &Token, context: &Context) -> Option<usize> {
    if !context.tells(say::PLATE) || token.lower > 0 || token.len() > 9 {
        return None;
    }
    let mixed = |upper: usize, digits: usize| upper > 0 && digits > 0 && upper + digits >= 4;
    if mixed(token.upper, token.digits) {
        return Some(token.end);
    }
    // `123 ABC`
    let rest = text.get(token.end..)?;
    let second = rest.strip_prefix(b" ")?;
    let letters = second.iter().take(5).take_while(|b| b.is_ascii_uppercase()).count();
    let ends = !second.get(letters).is_some_and(u8::is_ascii_alphanumeric);
    (token.upper == 0 && mixed(letters, token.digits) && letters <= 4 && ends).then_some(token.end + 1 + letters)
}

/// Bank identifier codes: four letters, a country, two characters and perhaps a branch. Only those that hold a digit come here.
fn is_bic(all: &[u8], token: &Token, context: &Context) -> bool {
    let shape = matches!(all.len(), 8 | 11) && token.joins == 0 && token.lower == 0 && token.prefix >= 6;
    shape && (context.says(say::ACCOUNT) || all.get(4..6).is_some_and(|c| c == b"US" || country(c, IBAN_COUNTRIES)))
}
