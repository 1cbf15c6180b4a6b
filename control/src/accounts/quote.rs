//! Names and texts inside SQL that takes no parameters (CREATE ROLE, COMMENT ON ROLE).

/// A quoted identifier; `None` if the server could not have such a name.
pub(super) fn identifier(name: &str) -> Option<String> {
    if name.is_empty() || name.len() > 63 || name.contains('\0') {
        return None;
    }
    Some(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// A quoted text, whatever `standard_conforming_strings` is; `None` if it cannot be one.
pub(super) fn text(text: &str) -> Option<String> {
    if text.contains('\0') {
        return None;
    }
    Some(format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")))
}

#[cfg(test)]
mod tests {
    use super::{identifier, text};

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(identifier("clinic_read").as_deref(), Some("\"clinic_read\""));
        assert_eq!(identifier("a\"; DROP ROLE b; --").as_deref(), Some("\"a\"\"; DROP ROLE b; --\""));
        assert_eq!(identifier(""), None);
        assert_eq!(identifier("a\0b"), None);
        assert_eq!(identifier(&"a".repeat(64)), None, "the server would cut it to another name");
        assert_eq!(text("it's \\' x").as_deref(), Some("E'it''s \\\\'' x'"));
        assert_eq!(text("\0"), None);
    }
}
