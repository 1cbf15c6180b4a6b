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
        let (start, end) = Self::bounds(text, at)?;
        Self::within(text, start, end)
    }

    /// From where to where the token round `at` goes; `None` if it is longer than an identifier.
    pub(super) fn bounds(text: &[u8], at: usize) -> Option<(usize, usize)> {
        let (before, behind) = text.split_at_checked(at)?;
        let part = |b: u8| b.is_ascii_alphanumeric();
        let joint = |b: u8| matches!(b, b'-' | b'_');
        let mut head = before;
        while let [rest @ .., b] = head
            && (part(*b) || joint(*b) && rest.last().is_some_and(|b| part(*b)))
        {
            head = rest;
            if before.len() - head.len() > TOKEN_REACH {
                return None;
            }
        }
        let mut tail = behind;
        while let [b, rest @ ..] = tail
            && (part(*b) || joint(*b) && head.len() + tail.len() < text.len() && rest.first().is_some_and(|b| part(*b)))
        {
            tail = rest;
            if behind.len() - tail.len() > TOKEN_REACH {
                return None;
            }
        }
        Some((head.len(), text.len() - tail.len()))
    }

    /// The token that lies there.
    pub(super) fn within(text: &[u8], start: usize, end: usize) -> Option<Self> {
        let mut token = Self { start, end, digits: 0, upper: 0, lower: 0, joins: 0, prefix: 0 };
        for byte in text.get(start..end)? {
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
