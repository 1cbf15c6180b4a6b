//! Tables to take away (RFC 4180), safe to open in a spreadsheet: a cell that it would run as a formula begins with an
//! apostrophe.

use audit::render::is_active;

/// A row.
pub(super) fn row(out: &mut String, cells: &[&str]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push('"');
        // Programs skip white space, and some know the full-width forms.
        let first = cell.trim_start().chars().next();
        let starts = cell.starts_with(['\t', '\r', '\n', '|', '%']);
        if starts || first.is_some_and(|c| matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠')) {
            out.push('\'');
        }
        for c in cell.chars() {
            match c {
                '"' => out.push_str("\"\""),
                c if is_active(c) => out.push(' '),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        let mut out = String::new();
        row(
            &mut out,
            &["=HYPERLINK(\"http://e\")", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "ann", "a\"b,c", "a\nb", "＝1"],
        );
        assert_eq!(
            out,
            "\"'=HYPERLINK(\"\"http://e\"\")\",\"'+1\",\"'-1\",\"'@SUM(A1)\",\"' =1\",\"' =1\",\"ann\",\"a\"\"b,c\",\"a b\",\"'＝1\"\r\n"
        );
    }
}
