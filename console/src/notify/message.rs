//! What a notice says: ids, names, counts and a link. No statement, no parameter, no reason, no row: what people need to see
//! to vote is on the page behind the link, after a sign-in.

use access::{Request, Review, State, Wanted};
use serde_json::{Value, json};

/// A notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Names this event among all others, on every gateway.
    pub(super) key: String,
    /// `request.pending`, `emergency.opened`, ...
    pub(super) event: String,
    /// One line for people.
    pub(super) text: String,
    /// Path of the page.
    path: String,
    data: Value,
    at_s: u64,
}

/// Names of our own and of others on one line, short.
fn tame(text: &str) -> String {
    text.chars().map(|c| if audit::render::is_active(c) { ' ' } else { c }).take(80).collect()
}

fn tables(of: &[String]) -> Vec<String> {
    of.iter().take(10).map(|table| tame(table)).collect()
}

impl Message {
    /// About a request that changed.
    pub(super) fn of_request(request: &Request, at_s: u64) -> Self {
        let approved = request.votes.iter().filter(|vote| vote.approve).count();
        let (word, says) = match (&request.state, &request.wanted) {
            (State::Pending, _) if request.votes.is_empty() => ("pending", "waits for a vote".to_owned()),
            (State::Pending, _) => ("voted", format!("has {approved} of {} votes", request.needed)),
            (State::Approved { .. }, Wanted::Access { .. }) => ("granted", "is granted".to_owned()),
            (State::Approved { .. }, Wanted::Statement(_)) => ("approved", "is approved, and may run once".to_owned()),
            (State::Consumed { .. }, _) => ("consumed", "has run".to_owned()),
            (State::Over { why }, _) => (why.as_str(), format!("is over: {why}")),
        };
        let handle = tame(&request.handle);
        let (what, mut data) = match &request.wanted {
            Wanted::Access { target, role, seconds } => (
                format!("{} on {} for {} min", tame(role), tame(target), seconds.div_ceil(60)),
                json!({"kind": "access", "target": tame(target), "role": tame(role), "seconds": seconds}),
            ),
            Wanted::Statement(of) => {
                let classes: Vec<String> = of.classes.iter().map(|(class, _)| tame(class)).collect();
                let named = tables(&of.tables).join(", ");
                (
                    format!("a statement on {}{}{named}", tame(&of.target), if named.is_empty() { "" } else { ": " }),
                    json!({
                        "kind": "statement", "target": tame(&of.target), "role": tame(&of.role), "rule": tame(&of.rule),
                        "tables": tables(&of.tables), "classes": classes, "estimate": of.estimate,
                        "digest_prefix": of.digest.get(..16),
                    }),
                )
            }
        };
        data["id"] = json!(request.id);
        data["requester"] = json!(handle);
        data["needed"] = json!(request.needed);
        data["votes"] = json!(request.votes.len());
        data["approvers"] = json!(request.approvers.iter().map(|group| tame(group)).collect::<Vec<_>>());
        data["until"] = json!(request.until_s);
        Self {
            key: format!("{}/{word}/{}", request.id, request.votes.len()),
            event: format!("request.{word}"),
            text: format!("{} by {handle} ({what}) {says}", request.id),
            path: format!("/approvals/{}", request.id),
            data,
            at_s,
        }
    }

    /// About an emergency: opened, or not reviewed in time.
    pub(super) fn of_emergency(review: &Review, at_s: u64) -> Self {
        let word = if review.alarmed { "overdue" } else { "opened" };
        let (handle, role, target) = (tame(&review.handle), tame(&review.role), tame(&review.target));
        let text = if review.alarmed {
            format!("{}: the emergency of {handle} ({role} on {target}) is not reviewed in time", review.id)
        } else {
            format!("{}: {handle} took {role} on {target} in an emergency; two others must review it", review.id)
        };
        let data = json!({
            "kind": "emergency", "id": review.id, "requester": handle, "role": role, "target": target,
            "until": review.until_s, "review_due": review.due_s,
        });
        Self {
            key: format!("{}/{word}", review.id),
            event: format!("emergency.{word}"),
            text,
            path: "/approvals".to_owned(),
            data,
            at_s,
        }
    }

    fn link(&self, origin: &str) -> String {
        format!("{origin}{}", self.path)
    }

    /// For a generic receiver.
    pub(super) fn generic(&self, origin: &str) -> String {
        let mut data = self.data.clone();
        data["link"] = json!(self.link(origin));
        let at = i64::try_from(self.at_s).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
        let at = at.map(|at| at.to_string()).unwrap_or_default();
        json!({"type": self.event, "timestamp": at, "data": data}).to_string()
    }

    /// For an incoming webhook of Slack's form. Plain text, in which nothing is a mention, a link or markup.
    pub(super) fn slack(&self, origin: &str) -> String {
        let escaped = self.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({
            "text": escaped,
            "blocks": [
                {"type": "section", "text": {"type": "plain_text", "text": self.text, "emoji": false}},
                {"type": "actions", "elements": [
                    {"type": "button", "text": {"type": "plain_text", "text": "Look"}, "url": self.link(origin)},
                ]},
            ],
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::{StatementWanted, Who};

    fn request() -> Request {
        let wanted = StatementWanted {
            digest: "ab".repeat(32),
            session: String::new(),
            statement: 1,
            node: "n".into(),
            target: "warehouse".into(),
            role: "support".into(),
            rule: "deletes".into(),
            sealed: "c2VhbGVk".into(),
            tables: vec!["public.patients".into()],
            classes: vec![("diagnosis".into(), "masked".into())],
            marks: Vec::new(),
            estimate: Some(3),
        };
        Request {
            id: "TG-7F3K9QXM".into(),
            wanted: Wanted::Statement(Box::new(wanted)),
            who: Who::default(),
            handle: "ann<!channel>\n*x*".into(),
            reason: "because Jane Doe asked".into(),
            source: "10.0.0.1".into(),
            at_s: 1,
            until_s: 2,
            approvers: vec!["leads".into()],
            needed: 2,
            distinct: false,
            step_up: true,
            votes: Vec::new(),
            state: State::Pending,
        }
    }

    #[test]
    fn a_notice_holds_a_link_and_no_protected_data() {
        let message = Message::of_request(&request(), 1_800_000_000);
        for text in [message.generic("https://t.example"), message.slack("https://t.example")] {
            assert!(text.contains("https://t.example/approvals/TG-7F3K9QXM"), "{text}");
            for never in ["Jane", "10.0.0.1", "c2VhbGVk", &"ab".repeat(9), "\\n"] {
                assert!(!text.contains(never), "{never} in {text}");
            }
        }
        assert!(message.slack("").contains("ann&lt;!channel&gt;"));
        assert_eq!(message.event, "request.pending");
        assert!(message.generic("").contains("\"timestamp\":\"2027-01-15T08:00:00Z\""));
    }

    #[test]
    fn each_step_is_another_event_and_the_same_step_is_the_same() {
        let mut request = request();
        let first = Message::of_request(&request, 1);
        assert_eq!(first.key, Message::of_request(&request, 9).key);
        request.state = State::Over { why: "denied".into() };
        let second = Message::of_request(&request, 2);
        assert_eq!(second.event, "request.denied");
        assert_ne!(first.key, second.key);
    }
}
