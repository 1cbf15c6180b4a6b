//! `hold`: statements that wait until other people approve them. Conditions are those of `block`, and how many rows.

use lineage::Effects;
use policy::model::{Hold, InTransaction};

use super::Build;
use crate::read::{self, Fields};
use crate::words;
use crate::yaml::Node;

/// Most votes one statement can need.
const APPROVALS_MAX: u32 = 16;
/// What has rows to count, for a rule that says how many and not of what.
const HAS_ROWS: Effects = Effects::READ
    .with(Effects::INSERT)
    .with(Effects::UPDATE)
    .with(Effects::DELETE)
    .with(Effects::MERGE)
    .with(Effects::TRUNCATE)
    .with(Effects::CREATE_AS)
    .with(Effects::COPY_OUT)
    .with(Effects::COPY_IN);

impl Build<'_> {
    pub(super) fn holds(&mut self, written: &[&Node]) {
        for node in written {
            self.hold(node);
        }
    }

    fn hold(&mut self, node: &Node) {
        let Some(fields) = Fields::of(node, words::HOLD, "a holding rule", self.report) else { return };
        let conditions = ["effects", "objects", "words", "patterns", "rows-over"];
        let (mut rule, place) = self.conditions(node, &fields, &conditions, "hold");
        let mut number = |key: &str, most: u32| {
            fields.get(key).and_then(|node| read::number(node, &format!("`{key}`"), 1..=most, self.report))
        };
        let rows_over = number("rows-over", u32::MAX).map_or(0, u64::from);
        let approvals = number("approvals", APPROVALS_MAX).and_then(|n| u16::try_from(n).ok()).unwrap_or(1);
        if rows_over > 0 && rule.effects == 0 {
            rule.effects = HAS_ROWS.0;
        }
        let mut approvers = Vec::new();
        for (group, place) in fields.texts("approvers", self.report) {
            if group == "*" {
                self.error(place, "`*` in `approvers` would let everybody approve", "name the groups");
            } else if !approvers.iter().any(|known| known == group) {
                approvers.push(group.to_owned());
            }
        }
        if let Some(list) = fields.get("approvers").filter(|_| approvers.is_empty()) {
            let message = format!("nobody can approve what rule `{}` holds", rule.name);
            self.error(list.place, message, "name at least one group");
        }
        let distinct_groups = fields.word("distinct-groups", words::YES_OR_NO, self.report) == Some("true");
        if distinct_groups && approvers.len() < usize::from(approvals) {
            let message =
                format!("{approvals} votes from distinct groups, of {} groups: never enough", approvers.len());
            self.error(place, message, "add groups to `approvers`, or lower `approvals`");
        }
        let in_transaction = match fields.word("in-transaction", words::IN_TRANSACTION, self.report) {
            Some("hold") => InTransaction::Hold,
            _ => InTransaction::Refuse,
        };
        self.model.holds.push(Hold { rule, rows_over, approvers, approvals, distinct_groups, in_transaction });
        self.origins.holds.push(place);
    }
}
