//! Statement text as voters see it: exactly what would run, and nothing that hides in it.
//!
//! Characters that are invisible, that change the order of what is around them, or that look like another character are shown
//! as what they are. The page fixes the order of characters, so that right-to-left letters stay where they are. Marks are byte
//! ranges of the text, from the rule; what does not fit the text is passed over.

use audit::render::is_active;
use maud::{Markup, html};

/// Most bytes of a statement on a page.
const SHOWN_MAX: usize = 256 << 10;

/// Why a character is shown as what it is.
fn odd(c: char) -> Option<&'static str> {
    if c == '\n' || c == '\t' {
        return None;
    }
    if c.is_control() {
        return Some("a control character");
    }
    if matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        return Some("changes the order of the text around it");
    }
    if is_active(c)
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
    {
        return Some("invisible");
    }
    if matches!(c, '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}') {
        return Some("a space that is not a space");
    }
    if matches!(c, '\u{0300}'..='\u{036f}') {
        return Some("written over the character before it");
    }
    None
}

/// What a character is taken for.
fn looks_like(c: char) -> Option<char> {
    const SAME: &[(char, char)] = &[
        ('а', 'a'),
        ('с', 'c'),
        ('ԁ', 'd'),
        ('е', 'e'),
        ('һ', 'h'),
        ('і', 'i'),
        ('ј', 'j'),
        ('ӏ', 'l'),
        ('о', 'o'),
        ('р', 'p'),
        ('ԛ', 'q'),
        ('ѕ', 's'),
        ('ԝ', 'w'),
        ('х', 'x'),
        ('у', 'y'),
        ('ν', 'v'),
        ('ο', 'o'),
        ('α', 'a'),
        ('ρ', 'p'),
        ('ι', 'i'),
        ('κ', 'k'),
        ('υ', 'u'),
        ('А', 'A'),
        ('В', 'B'),
        ('С', 'C'),
        ('Е', 'E'),
        ('Н', 'H'),
        ('І', 'I'),
        ('Ј', 'J'),
        ('К', 'K'),
        ('М', 'M'),
        ('О', 'O'),
        ('Р', 'P'),
        ('Ѕ', 'S'),
        ('Т', 'T'),
        ('Х', 'X'),
        ('У', 'Y'),
        ('Α', 'A'),
        ('Β', 'B'),
        ('Ε', 'E'),
        ('Ζ', 'Z'),
        ('Η', 'H'),
        ('Ι', 'I'),
        ('Κ', 'K'),
        ('Μ', 'M'),
        ('Ν', 'N'),
        ('Ο', 'O'),
        ('Ρ', 'P'),
        ('Τ', 'T'),
        ('Υ', 'Y'),
        ('Χ', 'X'),
        ('օ', 'o'),
        ('ո', 'n'),
        ('ս', 'u'),
        ('\u{37e}', ';'),
        ('\u{2c8}', '\''),
        ('\u{2bc}', '\''),
        ('\u{2018}', '\''),
        ('\u{2019}', '\''),
        ('\u{201c}', '"'),
        ('\u{201d}', '"'),
        ('\u{2032}', '\''),
        ('\u{2033}', '"'),
        ('\u{2010}', '-'),
        ('\u{2011}', '-'),
        ('\u{2012}', '-'),
        ('\u{2013}', '-'),
        ('\u{2014}', '-'),
        ('\u{2212}', '-'),
        ('\u{2044}', '/'),
        ('\u{2215}', '/'),
        ('\u{2217}', '*'),
        ('\u{a789}', ':'),
        ('\u{2236}', ':'),
        ('\u{ff3f}', '_'),
        ('ı', 'i'),
        ('ɑ', 'a'),
        ('ɡ', 'g'),
    ];
    match c {
        // Full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0),
        // Letters of mathematics are alphabets over and over.
        '\u{1d400}'..='\u{1d6a3}' => {
            let at = (u32::from(c) - 0x1d400) % 52;
            char::from_u32(if at < 26 { 0x41 + at } else { 0x61 + at - 26 })
        }
        _ => SAME.iter().find(|(from, _)| *from == c).map(|(_, to)| *to),
    }
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    Line,
    Odd(char, &'static str),
    Alike(char, char),
}

fn pieces(text: &str) -> Vec<(usize, Piece<'_>)> {
    let mut out = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let piece = if c == '\n' {
            Piece::Line
        } else if let Some(why) = odd(c) {
            Piece::Odd(c, why)
        } else if !c.is_ascii()
            && let Some(like) = looks_like(c)
        {
            Piece::Alike(c, like)
        } else {
            continue;
        };
        if from < at {
            out.push((from, Piece::Text(&text[from..at])));
        }
        out.push((at, piece));
        from = at + c.len_utf8();
    }
    if from < text.len() {
        out.push((from, Piece::Text(&text[from..])));
    }
    out
}

/// How many characters of it are not what they seem.
pub(super) fn strange(text: &str) -> usize {
    pieces(text).iter().filter(|(_, piece)| matches!(piece, Piece::Odd(..) | Piece::Alike(..))).count()
}

fn is_marked(marks: &[(usize, usize)], at: usize) -> bool {
    marks.iter().any(|(from, to)| (*from..*to).contains(&at))
}

/// Parts of a text, each wholly inside or outside of the marks.
fn parts<'a>(text: &'a str, start: usize, marks: &[(usize, usize)]) -> Vec<(&'a str, bool)> {
    let inside = |at: &usize| *at > start && *at < start + text.len() && text.is_char_boundary(at - start);
    let mut cuts: Vec<usize> = marks.iter().flat_map(|(from, to)| [*from, *to]).filter(inside).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut out = Vec::new();
    let mut from = start;
    for cut in cuts.into_iter().chain([start + text.len()]) {
        out.push((&text[from - start..cut - start], is_marked(marks, from)));
        from = cut;
    }
    out
}

/// The text, whole, with line numbers.
pub(super) fn show(text: &str, marks: &[(usize, usize)]) -> Markup {
    // Where everything is marked, nothing stands out.
    let whole = |(from, to): &(usize, usize)| *from == 0 && *to >= text.trim_end().len();
    let marks = if marks.iter().any(whole) { &[] } else { marks };
    let end = text.floor_char_boundary(SHOWN_MAX);
    let (shown, hidden) = text.split_at(end);
    let mut lines: Vec<Vec<Markup>> = vec![Vec::new()];
    for (start, piece) in pieces(shown) {
        let marked = is_marked(marks, start);
        let markup = match piece {
            Piece::Line => {
                lines.push(Vec::new());
                continue;
            }
            Piece::Text(text) => html! {
                @for (part, marked) in parts(text, start, marks) {
                    @if marked { mark { (part) } } @else { (part) }
                }
            },
            Piece::Odd(c, why) => {
                let code = format!("U+{:04X}", u32::from(c));
                html! { span.odd.marked[marked] title={ (code) ": " (why) } { (code) } }
            }
            Piece::Alike(c, like) => {
                let title = format!("U+{:04X}: looks like {like}, and is not", u32::from(c));
                html! { span.odd.alike.marked[marked] title=(title) { (c) span.code { (format!("U+{:04X}", u32::from(c))) } } }
            }
        };
        if let Some(line) = lines.last_mut() {
            line.push(markup);
        }
    }
    html! {
        pre.statement tabindex="0" role="region" aria-label="Statement" {
            code { @for line in &lines { span.line { @for piece in line { (piece) } "\n" } } }
        }
        @if !hidden.is_empty() {
            p.warn { "The last " (hidden.len()) " bytes of this statement are too long to show. A vote is about all of it." }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_in_a_statement_is_shown() {
        let text = "DELETE FROM patients /*\u{202e} } \u{2066}if admin\u{2069} begin */ WHERE n\u{200b}ame = 'р'";
        let shown = show(text, &[]).into_string();
        for code in ["U+202E", "U+2066", "U+2069", "U+200B", "U+0440"] {
            assert!(shown.contains(code), "{code} in {shown}");
        }
        assert!(!shown.chars().any(is_active_but_line), "{shown}");
        assert_eq!(strange(text), 5);
        assert_eq!(strange("SELECT 'Ärztin', 'naïve', '病院' -- plain\n\tFROM t"), 0);
    }

    fn is_active_but_line(c: char) -> bool {
        c != '\n' && is_active(c)
    }

    #[test]
    fn markup_in_a_statement_is_text() {
        let shown = show("SELECT '<script>alert(1)</script>' AS \"<img src=x onerror=y>\"", &[(7, 30)]).into_string();
        assert!(!shown.contains("<script") && !shown.contains("<img"), "{shown}");
    }

    #[test]
    fn marks_of_any_numbers_mark_what_is_there() {
        let shown = show("DELETE FROM ä", &[(0, 6)]).into_string();
        assert!(shown.contains("<mark>DELETE</mark> FROM ä"), "{shown}");
        for marks in [&[(5, 2)][..], &[(1, usize::MAX)], &[(0, usize::MAX)], &[(13, 13)], &[(900, 901)], &[(12, 13)]] {
            assert!(show("DELETE FROM ä", marks).into_string().contains("FROM"));
        }
    }
}
