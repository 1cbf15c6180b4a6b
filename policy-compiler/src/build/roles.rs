//! `roles`: who sees what. A class that a role says nothing about becomes NULL.

use policy::model::{Derive, Mode, Redaction, Role, Unclassified};

use super::{Build, Named};
use crate::diagnostic::Diagnostic;
use crate::read::{Fields, shorten};
use crate::redaction;
use crate::source::Place;
use crate::words;
use crate::yaml::{Node, Value};

impl Build<'_> {
    pub(super) fn roles(&mut self, written: &[Named<'_>]) {
        for named in written {
            self.role(named);
        }
        if written.is_empty() {
            let place = if self.sources.files().len() == 1 { Place::whole(0) } else { Place::BUILT_IN };
            self.report.push(
                Diagnostic::error(place, "no role is defined, so nobody could log in")
                    .fix("add `roles: {analyst: {groups: [analysts], targets: [warehouse]}}`"),
            );
        }
        self.shadowed();
    }

    fn role(&mut self, named: &Named<'_>) {
        let what = format!("role `{}`", named.name);
        let Some(fields) = Fields::of(named.node, words::ROLE, &what, self.report) else { return };
        let owned = |list: Vec<(&str, Place)>| list.into_iter().map(|(t, _)| t.to_owned()).collect::<Vec<_>>();
        let groups = owned(fields.texts("groups", self.report));
        let targets = fields.texts("targets", self.report);
        let unclassified = match fields.word("default", words::DEFAULT, self.report) {
            Some("clear") => Unclassified::Clear,
            Some("refuse") => Unclassified::Refuse,
            _ => Unclassified::Mask,
        };
        for (key, none, fix) in [
            ("groups", groups.is_empty(), "write the identity groups that have the role, or `\"*\"` for everyone"),
            ("targets", targets.is_empty(), "write the targets it may use, or `\"*\"` for all"),
        ] {
            if none && fields.get(key).is_some_and(|n| matches!(&n.value, Value::List(l) if l.is_empty())) {
                self.error(named.place, format!("{what} has an empty list of `{key}`"), fix);
            }
        }
        let names: Vec<String> = self.model.targets.iter().map(|t| t.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        for (target, place) in &targets {
            if !target.contains('*') {
                self.known("target", target, *place, &names);
            }
        }
        let (redactions, origin) = self.redact(&fields, &what);
        let mode = match fields.word("mode", words::MODE, self.report) {
            Some("migrate") => Mode::Migrate,
            Some("observe") => Mode::Observe,
            _ => Mode::Enforce,
        };
        if mode == Mode::Observe
            && let Some(node) = fields.get("mode")
        {
            let message = format!("{what} is in observe mode: nothing is refused or masked for it, only recorded");
            self.report.push(Diagnostic::warning(node.place, message).fix("write `mode: migrate` or remove the line"));
        }
        let comparisons = self.filter(&fields, &what, &redactions);
        let budgets = self.budgets(&fields, &what);
        let treatment = redactions.into_iter().map(|r| self.redaction(r)).collect();
        let trusted_functions = fields.texts("trusted-functions", self.report);
        for (function, place) in &trusted_functions {
            if !function.contains('.') {
                let message = format!("`{}` does not say which schema the function is in", shorten(function));
                self.error(
                    *place,
                    message,
                    format!("write `public.{}`, or `*.{}`", shorten(function), shorten(function)),
                );
            }
        }
        let channels = owned(fields.texts("channels", self.report));
        let request = self.request(&fields, &what);
        let break_glass = self.break_glass(&fields, &what);
        if fields.get("groups").is_none() && request.is_none() && break_glass.is_none() {
            self.error(
                named.place,
                format!("{what} has no `groups`, and nobody may ask for it"),
                "add `groups: …`: identity groups that have the role, or `request: …`: who may ask for it for a time",
            );
        }
        self.model.roles.push(Role {
            name: named.name.to_owned(),
            groups,
            targets: owned(targets),
            treatment,
            unclassified,
            trusted_functions: owned(trusted_functions),
            channels,
            mode,
            comparisons,
            budgets,
            derive: Derive::Refuse,
            request,
            break_glass,
            line: named.place.line,
        });
        self.origins.roles.push(named.place);
        self.origins.treatment.push(origin);
    }

    /// The redaction of every class, and where it is written.
    fn redact(&mut self, fields: &Fields<'_>, what: &str) -> (Vec<Redaction>, Vec<Option<Place>>) {
        let count = self.model.classes.len();
        let mut given: Vec<Option<Redaction>> = vec![None; count];
        let mut origin = vec![None; count];
        let mut rest = (Redaction::Null, None);
        match fields.get("redact") {
            None => {}
            Some(Node { value: Value::Map(pairs), .. }) => {
                let names: Vec<String> = self.model.classes.iter().map(|c| c.name.clone()).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                for (key, node) in pairs {
                    let class = key.scalar().unwrap_or_default();
                    let value = redaction::read(node, self.report);
                    if class == "*" {
                        rest = (value.unwrap_or(Redaction::Null), Some(key.place));
                    } else if self.known("class", class, key.place, &names)
                        && let Some(i) = names.iter().position(|n| *n == class)
                    {
                        given[i] = value;
                        origin[i] = Some(key.place);
                    }
                }
            }
            // `redact: clear` is short for `redact: {"*": clear}`.
            Some(node @ Node { value: Value::Scalar { .. }, .. }) => {
                if let Some(value) = redaction::read(node, self.report) {
                    rest = (value, Some(node.place));
                }
            }
            Some(node) => self.report.push(
                Diagnostic::error(node.place, format!("`redact` of {what} is {}; a mapping is needed", node.kind()))
                    .fix("write `class: redaction` per line, or one redaction for everything"),
            ),
        }
        let treatment = given.into_iter().map(|r| r.unwrap_or_else(|| rest.0.clone())).collect();
        let origin = origin.into_iter().map(|p| p.or(rest.1)).collect();
        (treatment, origin)
    }

    /// A role all of whose groups go to an earlier role on every target it names is never given to anyone.
    fn shadowed(&mut self) {
        let mut found = Vec::new();
        for (i, role) in self.model.roles.iter().enumerate() {
            for (j, earlier) in self.model.roles[..i].iter().enumerate() {
                let groups = earlier.groups.iter().any(|g| g == "*")
                    || (!role.groups.is_empty() && role.groups.iter().all(|g| earlier.groups.contains(g)));
                let targets = earlier.targets.iter().any(|t| t == "*")
                    || (!role.targets.is_empty() && role.targets.iter().all(|t| earlier.targets.contains(t)));
                // Who is given a role for a time gets it before those of the groups.
                let asked = role.request.is_some() || role.break_glass.is_some();
                if groups && targets && !asked {
                    found.push((i, j));
                    break;
                }
            }
        }
        for (i, j) in found {
            let (role, earlier) = (&self.model.roles[i].name, &self.model.roles[j].name);
            let message = format!("nobody can ever have role `{role}`: everyone in its groups gets `{earlier}` first");
            let diagnostic = Diagnostic::error(self.origins.roles[i], message)
                .also(self.origins.roles[j], "the earlier role")
                .fix(format!("put `{role}` before `{earlier}`, or give it other groups"));
            self.report.push(diagnostic);
        }
    }

    /// Names of roles, with places, that must exist.
    pub(super) fn role_names(&mut self, fields: &Fields<'_>, key: &str) -> Vec<String> {
        let known: Vec<String> = self.model.roles.iter().map(|r| r.name.clone()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut names = Vec::new();
        for (name, place) in fields.texts(key, self.report) {
            if name == "*" || self.known("role", name, place, &known) {
                names.push(name.to_owned());
            }
        }
        names
    }
}
