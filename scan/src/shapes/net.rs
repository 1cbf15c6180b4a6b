//! Names of the network: mail addresses, URLs and host names, IPv6 and hardware addresses.
//!
//! Deliberately absent: checks that a host exists.

use std::net::Ipv6Addr;

use crate::detector::Detector;
use crate::find::Hit;

/// A mail address round the sign at `at`, which takes `width` bytes (`@` or `%40`).
pub(super) fn email(text: &[u8], at: usize, width: usize) -> Option<(usize, usize)> {
    let local = text
        .get(at.saturating_sub(64)..at)?
        .iter()
        .rev()
        .take_while(|b| {
            b.is_ascii_alphanumeric() || b"._%+-'=&!#$*?^`{|}~".contains(b) && **b != b'=' && **b != b'&' || **b >= 0x80
        })
        .count();
    let mut start = at - local;
    // Do not begin in the middle of a character or with a quote.
    while text.get(start).is_some_and(|b| b & 0xc0 == 0x80 || matches!(b, b'\'' | b'`' | b'{' | b'|' | b'?' | b'.')) {
        start += 1;
    }
    if start >= at {
        return None;
    }
    let domain = text.get(at + width..).unwrap_or_default();
    let mut len = domain
        .iter()
        .take(253)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-') || **b >= 0x80)
        .count();
    while matches!(domain.get(len.wrapping_sub(1)), Some(b'.' | b'-')) {
        len -= 1;
    }
    let dot = domain.get(..len)?.iter().rposition(|b| *b == b'.')?;
    let top = domain.get(dot + 1..len)?;
    let named =
        top.len() >= 2 && top.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-' || *b >= 0x80 || b.is_ascii_digit());
    (dot > 0 && named && top.first().is_some_and(|b| !b.is_ascii_digit()))
        .then_some((start, at + width + whole_characters(domain, len)))
}

/// `len`, extended to the end of the character that it cuts.
fn whole_characters(text: &[u8], len: usize) -> usize {
    len + text.get(len..).unwrap_or_default().iter().take(3).take_while(|b| **b & 0xc0 == 0x80).count()
}

/// `scheme://…` round the colon at `at`.
pub(super) fn url(text: &[u8], at: usize) -> Option<Hit> {
    if text.get(at + 1..at + 3) != Some(b"//") {
        return None;
    }
    let scheme = text
        .get(at.saturating_sub(16)..at)?
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        .count();
    if scheme < 2 {
        return None;
    }
    let hit = url_from(text, at - scheme)?;
    (hit.end > at + 3).then_some(hit)
}

/// A URL from `start` to the first byte that cannot be in one, without the punctuation of the sentence it stands in.
pub(crate) fn url_from(text: &[u8], start: usize) -> Option<Hit> {
    if start.checked_sub(1).and_then(|i| text.get(i)).is_some_and(u8::is_ascii_alphanumeric)
        && text.get(start) == Some(&b'w')
    {
        return None;
    }
    let rest = text.get(start..)?;
    let mut len =
        rest.iter().take_while(|b| **b > b' ' && !matches!(b, b'"' | b'<' | b'>' | b'`' | b'|' | b'\\')).count();
    while matches!(rest.get(len.wrapping_sub(1)), Some(b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'\'')) {
        len -= 1;
    }
    (len > 4).then_some(Hit { start, end: start + len, detector: Detector::Url })
}

pub(super) fn ipv6(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let before = text.get(at.saturating_sub(40)..at)?.iter().rev().take_while(|b| part(b)).count();
    let after = text.get(at..)?.iter().take(46).take_while(|b| part(b)).count();
    let (start, mut end) = (at - before, at + after);
    while end > start + 2 && (text.get(end - 1) == Some(&b'.') || ends_single(text, end)) {
        end -= 1;
    }
    let edge = |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if edge(start.checked_sub(1)) || edge(Some(end)) {
        return None;
    }
    let token = std::str::from_utf8(text.get(start..end)?).ok()?;
    let hex = token.bytes().filter(u8::is_ascii_hexdigit).count();
    token.parse::<Ipv6Addr>().ok()?;
    // The length of a network, `/64`, or the name of a link, `%eth0`.
    let rest = text.get(end + 1..).unwrap_or_default();
    let tail = match text.get(end) {
        Some(b'/') => rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count(),
        Some(b'%') => rest.iter().take(16).take_while(|b| b.is_ascii_alphanumeric()).count(),
        _ => 0,
    };
    let end = if tail > 0 { end + 1 + tail } else { end };
    (hex > 0 || tail > 0).then_some((start, end))
}

/// A single colon, of the sentence and not of the address, ends before `end`.
fn ends_single(text: &[u8], end: usize) -> bool {
    text.get(end - 1) == Some(&b':') && text.get(end - 2) != Some(&b':')
}

/// `@name` of a social network round the sign at `at`.
pub(super) fn handle(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let free = at.checked_sub(1).and_then(|i| text.get(i)).is_none_or(|b| b" \n\t\"'(<>:,;|=/".contains(b));
    let rest = text.get(at + 1..)?;
    let len = rest.iter().take(31).take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
    let len = len - usize::from(rest.get(len.wrapping_sub(1)) == Some(&b'.'));
    let letters = rest.iter().take(len).filter(|b| b.is_ascii_alphabetic()).count();
    (free && letters >= 3 && (4..=30).contains(&len)).then_some((at, at + 1 + len))
}

/// A hardware address whose first colon is at `at`, or one of whose colons is.
pub(super) fn mac(text: &[u8], at: usize) -> Option<(usize, usize)> {
    octets(text, at.checked_sub(2)?, b':')
}

/// A hardware address with hyphens, the first of them at `at`.
pub(crate) fn mac_by_dashes(text: &[u8], at: usize) -> Option<Hit> {
    let (start, end) = octets(text, at.checked_sub(2)?, b'-')?;
    Some(Hit { start, end, detector: Detector::Mac })
}

/// Six (or eight) pairs of hexadecimal digits from `start` on.
fn octets(text: &[u8], start: usize, separator: u8) -> Option<(usize, usize)> {
    let inside =
        |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == separator);
    let mut at = start;
    let mut pairs = 0;
    loop {
        if !text.get(at..at + 2)?.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        pairs += 1;
        at += 2;
        if pairs == 8 || text.get(at) != Some(&separator) {
            break;
        }
        at += 1;
    }
    (matches!(pairs, 6 | 8) && !inside(start.checked_sub(1)) && !inside(Some(at))).then_some((start, at))
}

/// `001A.2B3C.4D5E` round the point at `at`, which is its first.
fn mac_by_points(text: &[u8], at: usize) -> Option<Hit> {
    let start = at.checked_sub(4)?;
    let all = text.get(start..at + 10)?;
    let shape = all.iter().enumerate().all(|(i, b)| if i == 4 || i == 9 { *b == b'.' } else { b.is_ascii_hexdigit() });
    let inside =
        |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'.');
    let whole = shape && !inside(start.checked_sub(1)) && !text.get(at + 10).is_some_and(u8::is_ascii_alphanumeric);
    whole.then_some(Hit { start, end: at + 10, detector: Detector::Mac })
}

/// Top-level domains under which a bare host name is taken for one; no words of prose among them.
const TOP: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "info",
    "biz",
    "int",
    "io",
    "co",
    "ai",
    "app",
    "dev",
    "health",
    "care",
    "clinic",
    "hospital",
    "online",
    "site",
    "cloud",
    "tech",
    "store",
    "shop",
    "xyz",
    "club",
    "blog",
    "media",
    "email",
    "systems",
    "solutions",
    "services",
    "digital",
    "agency",
    "doctor",
    "dental",
    "pharmacy",
    "uk",
    "us",
    "ca",
    "au",
    "nz",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "be",
    "ch",
    "at",
    "se",
    "no",
    "fi",
    "dk",
    "pl",
    "cz",
    "sk",
    "hu",
    "ro",
    "bg",
    "gr",
    "pt",
    "ie",
    "ru",
    "ua",
    "tr",
    "il",
    "in",
    "cn",
    "jp",
    "kr",
    "tw",
    "hk",
    "sg",
    "my",
    "th",
    "vn",
    "id",
    "ph",
    "br",
    "mx",
    "ar",
    "cl",
    "pe",
    "za",
    "ng",
    "ke",
    "eg",
    "ae",
    "sa",
    "ir",
    "pk",
    "lk",
    "eu",
    "asia",
    "tv",
    "me",
    "cc",
    "museum",
    "mobi",
    "name",
    "pro",
    "aero",
    "jobs",
    "travel",
    "coop",
    "microsoft",
    "google",
    "amazon",
    "ly",
    "gl",
    "gd",
    "to",
    "so",
    "la",
    "fm",
    "gg",
    "sh",
];
/// Those that are also words: they need a path, a second point, or `www.`.
const WORDLIKE: &[&str] = &[
    "us",
    "it",
    "be",
    "at",
    "no",
    "in",
    "my",
    "id",
    "me",
    "to",
    "so",
    "la",
    "care",
    "health",
    "name",
    "pro",
    "jobs",
    "ph",
    "pt",
    "pe",
    "il",
    "ca",
    "is",
    "co",
    "es",
    "de",
    "hospital",
    "clinic",
    "services",
    "solutions",
    "systems",
    "doctor",
    "pharmacy",
    "email",
    "media",
    "store",
    "site",
    "online",
    "app",
    "ai",
    "ar",
    "cc",
    "ch",
    "se",
    "sa",
    "sh",
    "th",
    "dental",
    "travel",
    "digital",
    "google",
    "amazon",
    "microsoft",
    "int",
    "mil",
    "net",
    "club",
    "shop",
    "cl",
    "br",
    "fm",
    "ng",
    "gg",
    "gl",
    "gd",
    "ro",
];

/// A host name (and what follows it of a URL), or a hardware address, whose first inner point is at `at`.
pub(crate) fn host(text: &[u8], at: usize, mac: bool, url: bool) -> Option<Hit> {
    if mac && let Some(hit) = mac_by_points(text, at) {
        return Some(hit);
    }
    if !url {
        return None;
    }
    let label = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-' || *b >= 0x80;
    let before = text.get(at.saturating_sub(64)..at)?.iter().rev().take_while(|b| label(b)).count();
    let start = at - before;
    // Behind `@`, `/` and `.` it is part of something that has been looked at.
    if before == 0
        || matches!(start.checked_sub(1).and_then(|i| text.get(i)), Some(b'@' | b'/' | b'.' | b':' | b'_' | b'\\'))
    {
        return None;
    }
    let rest = text.get(at..)?;
    let mut len = rest.iter().take(250).take_while(|b| label(b) || **b == b'.').count();
    while matches!(rest.get(len.wrapping_sub(1)), Some(b'.' | b'-')) {
        len -= 1;
    }
    let names = rest.get(1..len)?;
    let points = 1 + names.iter().filter(|b| **b == b'.').count();
    let top = names.rsplit(|b| *b == b'.').next()?;
    let mut lower = [0u8; 12];
    let lower = lower.get_mut(..top.len())?;
    lower.copy_from_slice(top);
    lower.make_ascii_lowercase();
    // The lists have letters only.
    let known = |list: &[&str]| lower.iter().all(u8::is_ascii_lowercase) && list.iter().any(|t| t.as_bytes() == lower);
    let www = text.get(start..at).is_some_and(|w| w.eq_ignore_ascii_case(b"www"));
    let follows =
        matches!(rest.get(len), Some(b'/' | b':')) && rest.get(len + 1).is_some_and(u8::is_ascii_alphanumeric);
    // `done.No pain`: a new sentence begins with a capital.
    let host = text.get(start..at + len)?;
    let one_case = !top.iter().any(u8::is_ascii_uppercase) || !host.iter().any(u8::is_ascii_lowercase);
    let sure = follows || www || points > 1;
    let letters = text.get(start..at)?.iter().any(u8::is_ascii_alphabetic);
    let is =
        one_case && letters && known(TOP) && (sure || !known(WORDLIKE)) || (www && !lower.is_empty() && points > 1);
    if !is {
        return None;
    }
    let path = if matches!(rest.get(len), Some(b'/' | b':' | b'?' | b'#')) { url_from(text, start) } else { None };
    Some(path.unwrap_or(Hit { start, end: at + len, detector: Detector::Url }))
}
