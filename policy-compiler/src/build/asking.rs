//! `request` and `break-glass` of a role: who may have it for a time, and who must agree.

use policy::model::{Asking, Emergency};

use super::Build;
use crate::diagnostic::Diagnostic;
use crate::read::{self, Fields, shorten};
use crate::words;

/// Longest time a role is given for, seconds.
const REQUEST_SECONDS_MAX: u32 = 8 * 3600;
/// Longest emergency, seconds.
const EMERGENCY_SECONDS_MAX: u32 = 3600;
/// Most votes that can be required.
const APPROVALS_MAX: u32 = 9;

impl Build<'_> {
    /// `request: {groups: [analysts], approvers: [privacy], approvals: 1, max: 4h}`
    pub(super) fn request(&mut self, fields: &Fields<'_>, what: &str) -> Option<Asking> {
        let node = fields.get("request")?;
        let of = format!("`request` of {what}");
        let asked = Fields::of(node, words::REQUEST, &of, self.report)?;
        let groups = self.nonempty(&asked, "groups", &of);
        let approvers = self.nonempty(&asked, "approvers", &of);
        let approvals = match asked.get("approvals") {
            None => Some(1),
            Some(node) => read::number(node, "`approvals`", 0..=APPROVALS_MAX, self.report),
        };
        if approvals.is_some_and(|n| n > 0) && asked.get("approvers").is_none() {
            self.error(
                node.place,
                format!("{of} needs votes, and nobody may vote"),
                "add `approvers: […]`, or write `approvals: 0` to give the role to whoever asks",
            );
        }
        if approvals == Some(0) && !approvers.is_empty() {
            let message = format!("{of} needs no votes, so its `approvers` are never asked");
            let at = asked.get("approvers").map_or(node.place, |n| n.place);
            self.report.push(Diagnostic::warning(at, message).fix("remove the line, or write `approvals: 1`"));
        }
        let seconds = self.max(&asked, &of, REQUEST_SECONDS_MAX, None);
        Some(Asking { groups, approvers, approvals: u16::try_from(approvals?).ok()?, seconds: seconds? })
    }

    /// `break-glass: {groups: [on-call], max: 30m}`
    pub(super) fn break_glass(&mut self, fields: &Fields<'_>, what: &str) -> Option<Emergency> {
        let node = fields.get("break-glass")?;
        let of = format!("`break-glass` of {what}");
        let taken = Fields::of(node, words::BREAK_GLASS, &of, self.report)?;
        let groups = self.nonempty(&taken, "groups", &of);
        if groups.iter().any(|group| group == "*") {
            let at = taken.get("groups").map_or(node.place, |n| n.place);
            self.error(
                at,
                format!("{of} is for everyone"),
                "name the groups of people who are enrolled for emergencies",
            );
        }
        let seconds = self.max(&taken, &of, EMERGENCY_SECONDS_MAX, Some(EMERGENCY_SECONDS_MAX))?;
        Some(Emergency { groups, seconds })
    }

    fn nonempty(&mut self, fields: &Fields<'_>, key: &str, of: &str) -> Vec<String> {
        let list: Vec<String> = fields.texts(key, self.report).into_iter().map(|(text, _)| text.to_owned()).collect();
        if list.is_empty()
            && let Some(node) = fields.get(key)
            && matches!(&node.value, crate::yaml::Value::List(items) if items.is_empty())
        {
            self.error(node.place, format!("{of} has an empty list of `{key}`"), "name at least one group");
        }
        list
    }

    /// `max: 4h` in seconds.
    fn max(&mut self, fields: &Fields<'_>, of: &str, most: u32, default: Option<u32>) -> Option<u32> {
        let Some(node) = fields.get("max") else { return default };
        let written = read::text(node, "`max`", self.report)?;
        match seconds(written) {
            Some(time) if time <= most => Some(time),
            Some(_) => {
                let most = show_time(most);
                self.error(
                    node.place,
                    format!("{of} allows `{}`; at most {most}", shorten(written)),
                    format!("write `max: {most}` or less"),
                );
                None
            }
            None => {
                let message = format!("`max` is `{}`; a time is needed", shorten(written));
                self.error(node.place, message, "write minutes or hours, for instance `30m` or `4h`");
                None
            }
        }
    }
}

/// `30m` or `4h` in seconds.
fn seconds(text: &str) -> Option<u32> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u32 = text[..digits].parse().ok().filter(|n| *n > 0)?;
    let unit = match text[digits..].trim_start() {
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        _ => return None,
    };
    number.checked_mul(unit)
}

/// Seconds as rule files have them.
pub(crate) fn show_time(seconds: u32) -> String {
    if seconds.is_multiple_of(3600) { format!("{}h", seconds / 3600) } else { format!("{}m", seconds / 60) }
}

#[cfg(test)]
mod tests {
    use super::{seconds, show_time};

    #[test]
    fn times() {
        for (text, time) in [
            ("30m", Some(1800)),
            ("4h", Some(14_400)),
            ("90 minutes", Some(5400)),
            ("1 hour", Some(3600)),
            ("0h", None),
            ("4", None),
            ("-1h", None),
            ("1.5h", None),
            ("9999999999h", None),
            ("4294967295h", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), time, "{text}");
        }
        assert_eq!(
            (show_time(1800), show_time(14_400), show_time(5400)),
            ("30m".to_owned(), "4h".to_owned(), "90m".to_owned())
        );
    }
}
