//! Digits in groups, as people write long numbers, and the token that a digit stands in.

/// Most groups read.
pub(super) const GROUPS_MAX: usize = 8;

/// Digits in groups, as they are read from a position on.
pub(super) struct Groups {
    pub(super) count: usize,
    pub(super) start: [usize; GROUPS_MAX],
    pub(super) len: [usize; GROUPS_MAX],
    /// Separator after the group, in a canonical form: `-`, ` `, `.`, `/`, `)`, `(`.
    pub(super) separator: [u8; GROUPS_MAX],
}

impl Groups {
    pub(super) fn read(text: &[u8], at: usize) -> Self {
        let mut groups = Self { count: 0, start: [0; GROUPS_MAX], len: [0; GROUPS_MAX], separator: [0; GROUPS_MAX] };
        let mut at = at;
        for i in 0..GROUPS_MAX {
            let len = digits(text, at);
            groups.start[i] = at;
            groups.len[i] = len;
            groups.count = i + 1;
            let Some((separator, width)) = separator(text, at + len) else { break };
            if !text.get(at + len + width).is_some_and(u8::is_ascii_digit) {
                break;
            }
            groups.separator[i] = separator;
            at += len + width;
        }
        groups
    }

    pub(super) fn end(&self, groups: usize) -> usize {
        groups.checked_sub(1).map_or(0, |i| self.start[i] + self.len[i])
    }

    /// The first groups have these lengths, and what follows them is not a further group with the same separator.
    pub(super) fn is(&self, lens: &[usize]) -> bool {
        let n = lens.len();
        self.count >= n
            && self.len.iter().zip(lens).all(|(have, want)| have == want)
            && (self.count == n
                || self.separator[n - 1] == b' '
                || self.separator[n - 1] != self.separator[n.saturating_sub(2)])
    }

    /// The separators between the first `n` groups are all `one`.
    pub(super) fn by(&self, n: usize, one: u8) -> bool {
        self.separator.iter().take(n.saturating_sub(1)).all(|s| *s == one)
    }
}

pub(super) fn digits(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).take(40).count()
}

/// A separator between groups of digits and how many bytes it takes.
fn separator(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match text.get(at..)? {
        [b')', b' ' | b'-', b'(', ..] => Some((b')', 3)),
        [b')', b' ' | b'-', ..] => Some((b')', 2)),
        [b')', ..] => Some((b')', 1)),
        [b' ' | b'-', b'(', ..] => Some((b'(', 2)),
        [b'(', ..] => Some((b'(', 1)),
        [b' ', b'-', b' ', ..] => Some((b'-', 3)),
        [s @ (b'-' | b' ' | b'.' | b'/'), ..] => Some((*s, 1)),
        _ => None,
    }
}

/// Longest token looked at, to either side.
const TOKEN_REACH: usize = 64;

/// Letters and digits in one piece, with single hyphens and low lines inside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) digits: usize,
    pub(super) upper: usize,
    pub(super) lower: usize,
    /// Hyphens and low lines.
    pub(super) joins: usize,
    /// Letters before the first digit or joint.
    pub(super) prefix: usize,
}

impl Token {
    /// The token round `at`; `None` if it is longer than an identifier.
    pub(super) fn round(text: &[u8], at: usize) -> Option<Self> {
        let part = |i: usize| text.get(i).is_some_and(u8::is_ascii_alphanumeric);
        let joint = |i: usize| matches!(text.get(i), Some(b'-' | b'_'));
        let (mut start, mut end) = (at, at);
        while start > 0 && (part(start - 1) || (joint(start - 1) && start >= 2 && part(start - 2))) {
            start -= 1;
            if at - start > TOKEN_REACH {
                return None;
            }
        }
        while part(end) || (joint(end) && end > start && part(end + 1)) {
            end += 1;
            if end - at > TOKEN_REACH {
                return None;
            }
        }
        let all = text.get(start..end)?;
        let mut token = Self { start, end, digits: 0, upper: 0, lower: 0, joins: 0, prefix: 0 };
        for byte in all {
            token.digits += usize::from(byte.is_ascii_digit());
            token.upper += usize::from(byte.is_ascii_uppercase());
            token.lower += usize::from(byte.is_ascii_lowercase());
            token.joins += usize::from(matches!(byte, b'-' | b'_'));
            token.prefix += usize::from(token.digits + token.joins == 0);
        }
        Some(token)
    }

    /// `300mg`: at most three digits, then small letters.
    pub(super) const fn is_measure(&self) -> bool {
        self.prefix == 0 && self.upper == 0 && self.joins == 0 && self.digits <= 3
    }

    pub(super) const fn len(&self) -> usize {
        self.end - self.start
    }

    pub(super) const fn letters(&self) -> usize {
        self.upper + self.lower
    }
}
