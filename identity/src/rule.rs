//! Rules that give groups by claims: how workloads get theirs.
//!
//! A rule holds when every one of its conditions does. A pattern is exact but for `*`, which stands for any run of
//! characters other than `/` and `:`, the separators of the names that issuers make. A rule has to pin something that its
//! issuer never gives to another: a name that can be given up and registered again, such as a repository's, is not enough.

use serde_json::{Map, Value};

/// Claims that say something about a workload but can come to mean another one, or be shared by many.
const WEAK: &[&str] = &[
    "repository",
    "repository_owner",
    "repository_visibility",
    "actor",
    "ref",
    "ref_type",
    "head_ref",
    "base_ref",
    "workflow",
    "workflow_ref",
    "job_workflow_ref",
    "environment",
    "event_name",
    "runner_environment",
    "email",
    "name",
    "preferred_username",
    "project_path",
    "namespace_path",
    "user_login",
    "user_email",
    "/kubernetes.io/namespace",
    "/kubernetes.io/serviceaccount/name",
    "/kubernetes.io/pod/name",
    "iss",
    "aud",
];

/// Conditions, and the groups of who meets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Claims and what they must be. A name that begins with `/` is a JSON pointer (RFC 6901) in which a name may hold dots.
    pub when: Vec<(String, Pattern)>,
    /// Groups given.
    pub groups: Vec<String>,
    /// Name to show for the workload, instead of its subject.
    pub name: Option<String>,
}

impl Rule {
    /// Whether these claims meet it.
    #[must_use]
    pub fn holds(&self, claims: &Map<String, Value>) -> bool {
        !self.when.is_empty()
            && self.when.iter().all(|(claim, pattern)| match lookup(claims, claim) {
                Some(Value::String(text)) => pattern.matches(text),
                Some(Value::Number(number)) => pattern.matches(&number.to_string()),
                Some(Value::Bool(value)) => pattern.matches(if *value { "true" } else { "false" }),
                _ => false,
            })
    }

    /// What is wrong with it.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.when.is_empty() {
            problems.push("a rule without conditions would accept every token of the issuer".to_owned());
        }
        if self.groups.is_empty() {
            problems.push("a rule gives no groups".to_owned());
        }
        for (claim, pattern) in &self.when {
            if pattern.0.is_empty() {
                problems.push(format!("the condition on `{claim}` is empty"));
            }
        }
        if !self.when.is_empty() && !self.when.iter().any(|(claim, pattern)| pins(claim, pattern)) {
            let claims: Vec<&str> = self.when.iter().map(|(claim, _)| claim.as_str()).collect();
            problems.push(format!(
                "a rule on `{}` alone pins nothing that stays the same: names can be given up and registered again by \
                 somebody else; add `repository_id`, `repository_owner_id`, a full `sub` or another identifier that the \
                 issuer never gives twice",
                claims.join("`, `")
            ));
        }
        problems
    }
}

/// Whether a condition ties a rule to something its issuer never gives to another.
fn pins(claim: &str, pattern: &Pattern) -> bool {
    // The subject that GitHub makes is the repository's name, unless it is told to use the identifier.
    let by_name = claim == "sub" && pattern.0.starts_with("repo:");
    !WEAK.contains(&claim) && !by_name && pattern.0.chars().any(|c| !matches!(c, '*' | '/' | ':'))
}

/// The claim of this name, or at this pointer.
pub(crate) fn lookup<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(found) = claims.get(name) {
        return Some(found);
    }
    let mut steps = name.strip_prefix('/')?.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
    let mut at = claims.get(&steps.next()?)?;
    for step in steps {
        at = at.as_object()?.get(&step)?;
    }
    Some(at)
}

/// A text with `*` for any run of characters other than `/` and `:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether the whole text fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let pattern = self.0.as_bytes();
        let text = text.as_bytes();
        let (mut p, mut t) = (0, 0);
        // Where the last star was, and where in the text it has to give up one more character to.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                    continue;
                }
                Some(byte) if *byte == text[t] => {
                    p += 1;
                    t += 1;
                    continue;
                }
                _ => {}
            }
            let Some((at, taken)) = star else { return false };
            if matches!(text[taken], b'/' | b':') {
                return false;
            }
            star = Some((at, taken + 1));
            p = at + 1;
            t = taken + 1;
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rule(when: &[(&str, &str)]) -> Rule {
        let when = when.iter().map(|(claim, pattern)| ((*claim).to_owned(), Pattern::from(*pattern))).collect();
        Rule { when, groups: vec!["deploy".to_owned()], name: None }
    }

    #[test]
    fn a_star_stays_within_one_part() {
        for (pattern, text, fits) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abc", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("*", "a/b", false),
            ("a*c", "abbbc", true),
            ("a*c", "a/c", false),
            ("a*c*", "acxcx", true),
            ("refs/heads/*", "refs/heads/main", true),
            ("refs/heads/*", "refs/heads/a/b", false),
            ("system:serviceaccount:prod:*", "system:serviceaccount:prod:etl", true),
            ("system:serviceaccount:prod:*", "system:serviceaccount:prod:etl:x", false),
            ("system:serviceaccount:*:etl", "system:serviceaccount:prod:etl", true),
            ("spiffe://a/*/etl", "spiffe://a/ns/x/etl", false),
            ("**b", "aab", true),
        ] {
            assert_eq!(Pattern::from(pattern).matches(text), fits, "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn patterns_fit_as_their_definition_says(pattern in "[ab*/]{0,8}", text in "[ab/]{0,8}") {
            fn defined(pattern: &[u8], text: &[u8]) -> bool {
                match pattern {
                    [] => text.is_empty(),
                    [b'*', rest @ ..] => {
                        defined(rest, text) || text.first().is_some_and(|b| *b != b'/' && defined(pattern, &text[1..]))
                    }
                    [byte, rest @ ..] => text.first() == Some(byte) && defined(rest, &text[1..]),
                }
            }
            assert_eq!(Pattern(pattern.clone()).matches(&text), defined(pattern.as_bytes(), text.as_bytes()));
        }
    }

    #[test]
    fn a_rule_needs_something_that_stays() {
        for bad in [
            &[("repository", "octo/app")][..],
            &[("repository", "octo/app"), ("environment", "prod"), ("ref", "refs/heads/main")],
            &[("sub", "repo:octo/app:environment:prod")],
            &[("sub", "*")],
            &[("sub", "*:*")],
            &[("job_workflow_ref", "octo/app/.github/workflows/x.yml@refs/heads/main")],
            &[("email", "a@example.com")],
            &[],
        ] {
            assert!(!rule(bad).problems().is_empty(), "{bad:?}");
        }
        for good in [
            &[("repository_id", "74"), ("repository", "octo/app")][..],
            &[("sub", "system:serviceaccount:prod:etl")],
            &[("sub", "spiffe://example.org/ns/prod/sa/*")],
            &[("repository_owner_id", "65"), ("job_workflow_ref", "octo/app/.github/workflows/x.yml@*")],
        ] {
            assert_eq!(rule(good).problems(), Vec::<String>::new(), "{good:?}");
        }
    }

    #[test]
    fn every_condition_has_to_hold() {
        let claims = json!({
            "sub": "repo:octo/app:environment:prod", "repository_id": "74", "environment": "prod", "run": 7,
            "kubernetes.io": {"namespace": "prod", "pod": {"name": "x"}}, "list": ["prod"]
        });
        let claims = claims.as_object().unwrap();
        assert!(rule(&[("repository_id", "74"), ("environment", "prod")]).holds(claims));
        assert!(rule(&[("run", "7")]).holds(claims));
        assert!(rule(&[("/kubernetes.io/namespace", "prod")]).holds(claims));
        assert!(!rule(&[("repository_id", "74"), ("environment", "test")]).holds(claims));
        assert!(!rule(&[("absent", "*")]).holds(claims));
        assert!(!rule(&[("list", "prod")]).holds(claims));
        assert!(!rule(&[]).holds(claims));
    }
}
