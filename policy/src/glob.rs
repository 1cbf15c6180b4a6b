//! Name patterns of rule files and tags in comments.
//!
//! `*` stands for any run of characters, everything else for itself; matching is exact in case, as names are in the catalog.

/// Whether `name` matches `pattern`. Linear in both for one star, quadratic at worst.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let (p, n) = (pattern.as_bytes(), name.as_bytes());
    let (mut i, mut j) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while j < n.len() {
        match p.get(i) {
            Some(b'*') => {
                retry = Some((i + 1, j));
                i += 1;
            }
            Some(c) if n.get(j) == Some(c) => {
                i += 1;
                j += 1;
            }
            _ => match retry {
                Some((after, from)) => {
                    retry = Some((after, from + 1));
                    i = after;
                    j = from + 1;
                }
                None => return false,
            },
        }
    }
    p.get(i..).unwrap_or_default().iter().all(|b| *b == b'*')
}

/// Whether a comment contains `tag` as a whole word; `-` and `_` continue a word.
pub(crate) fn has_tag(comment: &str, tag: &str) -> bool {
    let continues = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-' || c == '_');
    comment.match_indices(tag).any(|(at, _)| {
        let before = comment.get(..at).unwrap_or_default().chars().next_back();
        let after = comment.get(at + tag.len()..).unwrap_or_default().chars().next();
        !continues(before) && !continues(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, want) in [
            ("*", "", true),
            ("member_*", "member_id", true),
            ("member_*", "member", false),
            ("*_dob", "child_dob", true),
            ("*_name*x", "first_name_abx", true),
            ("a*b*c", "aXbXbc", true),
            ("a*b*c", "aXbX", false),
            ("ssn", "SSN", false),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }

    #[test]
    fn tags() {
        assert!(has_tag("PHI class:ssn, last 4", "class:ssn"));
        assert!(has_tag("ssn", "ssn"));
        assert!(!has_tag("class:ssn-last4", "class:ssn"));
        assert!(!has_tag("passn", "ssn"));
        assert!(has_tag("passn ssn", "ssn"));
    }
}
