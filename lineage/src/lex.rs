//! A cheap lexer of SQL text: enough to tell literals, comments, identifiers and punctuation apart.
//!
//! It serves the nesting estimate taken before the grammar runs and the fingerprint. It follows the server's lexical
//! rules with `standard_conforming_strings` on, never fails and never allocates. It deliberately knows no grammar.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// White space.
    Space,
    /// `-- …` or `/* … */`.
    Comment,
    /// Key word or unquoted identifier.
    Word,
    /// `"…"`.
    Quoted,
    /// `'…'` without prefix.
    Text,
    /// A literal with a prefix or dollar quotes: `E'…'`, `U&'…'`, `B'…'`, `$tag$…$tag$`.
    OtherText,
    /// Number.
    Number,
    /// `$1`.
    Parameter,
    /// One byte of punctuation or of an operator.
    Mark(u8),
}

/// For every byte, whether it may continue an unquoted identifier.
static CONTINUES: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let continues = continues_word(byte as u8);
        table[byte] = continues;
        byte += 1;
    }
    table
};

/// Tokens with their byte ranges.
pub(crate) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
}

/// A byte that may start an unquoted identifier.
pub(crate) const fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

/// A byte that may continue an unquoted identifier.
pub(crate) const fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of `text`.
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_while(&mut self, keep: impl Fn(u8) -> bool) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !keep(*byte)).unwrap_or(rest.len());
    }

    /// From the byte after the opening quote to after the closing one; doubled quotes stay inside.
    fn skip_quoted(&mut self, quote: u8, backslashes: bool) {
        while let Some(&byte) = self.text.get(self.at) {
            self.at += 1;
            if byte == b'\\' && backslashes {
                self.at = (self.at + 1).min(self.text.len());
            } else if byte == quote {
                if self.peek(0) != quote {
                    return;
                }
                self.at += 1;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0u32;
        while self.at < self.text.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
    }

    /// At `$`: a parameter, a dollar-quoted literal or a lone mark.
    fn dollar(&mut self) -> Token {
        if self.peek(1).is_ascii_digit() {
            self.at += 1;
            self.skip_while(|b| b.is_ascii_digit());
            return Token::Parameter;
        }
        let mut end = self.at + 1;
        while self.text.get(end).is_some_and(|b| continues_word(*b) && *b != b'$') {
            end += 1;
        }
        if self.text.get(end) != Some(&b'$') {
            self.at += 1;
            return Token::Mark(b'$');
        }
        let tag = &self.text[self.at..=end];
        self.at = end + 1;
        while self.at < self.text.len() {
            if self.text[self.at] == b'$' && self.text[self.at..].starts_with(tag) {
                self.at += tag.len();
                return Token::OtherText;
            }
            self.at += 1;
        }
        Token::OtherText
    }

    fn number(&mut self) {
        self.skip_while(|b| b.is_ascii_digit());
        if self.peek(0) == b'.' {
            self.at += 1;
            self.skip_while(|b| b.is_ascii_digit());
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.skip_while(|b| b.is_ascii_digit());
            }
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = (Token, usize, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let first = *self.text.get(start)?;
        let token = match first {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {
                self.skip_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c));
                Token::Space
            }
            b'-' if self.peek(1) == b'-' => {
                self.skip_while(|b| b != b'\n' && b != b'\r');
                Token::Comment
            }
            b'/' if self.peek(1) == b'*' => {
                self.skip_block_comment();
                Token::Comment
            }
            b'\'' => {
                self.at += 1;
                self.skip_quoted(b'\'', false);
                Token::Text
            }
            b'"' => {
                self.at += 1;
                self.skip_quoted(b'"', false);
                Token::Quoted
            }
            b'e' | b'E' | b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if self.peek(1) == b'\'' => {
                self.at += 2;
                self.skip_quoted(b'\'', matches!(first, b'e' | b'E'));
                Token::OtherText
            }
            b'u' | b'U' if self.peek(1) == b'&' && matches!(self.peek(2), b'\'' | b'"') => {
                let quote = self.peek(2);
                self.at += 3;
                self.skip_quoted(quote, false);
                if quote == b'"' { Token::Quoted } else { Token::OtherText }
            }
            b'$' => self.dollar(),
            b'.' if self.peek(1).is_ascii_digit() => {
                self.number();
                Token::Number
            }
            _ if first.is_ascii_digit() => {
                self.number();
                Token::Number
            }
            _ if starts_word(first) => {
                self.skip_while(|b| CONTINUES[usize::from(b)]);
                Token::Word
            }
            _ => {
                self.at += 1;
                Token::Mark(first)
            }
        };
        Some((token, start, self.at))
    }
}
