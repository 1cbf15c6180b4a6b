//! Which control each file of the pack speaks to. A control is named where records of this version bear on it; whether
//! it is met is for the auditor to say.

/// Frameworks that a pack can be made for.
pub(super) const FRAMEWORKS: [(&str, &str); 3] =
    [("hipaa", "HIPAA Security Rule"), ("soc2", "SOC 2"), ("pci", "PCI DSS 4.0")];

/// One line of the control table.
pub(super) struct Control {
    /// References by framework.
    pub(super) references: &'static [(&'static str, &'static str)],
    /// What it asks for.
    pub(super) asks: &'static str,
    /// File of the pack.
    pub(super) file: &'static str,
    /// Command that gives the same on the log.
    pub(super) command: &'static str,
    /// What counts.
    pub(super) counts: Counts,
}

/// What the count of a control is.
#[derive(Clone, Copy)]
pub(super) enum Counts {
    /// Rows of the table in the file.
    Table,
    /// Statements.
    Statements,
    /// Records of the log in the period's blocks.
    Records,
    /// Findings of the verification that are errors.
    Errors,
    /// Sampled records.
    Sample,
}

/// The table.
pub(super) const CONTROLS: &[Control] = &[
    Control {
        references: &[("hipaa", "164.312(a)(1)"), ("soc2", "CC6.1"), ("pci", "7.2")],
        asks: "Access decisions, by person and role",
        file: "06-access/access.csv",
        command: "tidegate audit report access DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(a)(2)(i)"), ("soc2", "CC6.1"), ("pci", "8.2.1, 10.2.2")],
        asks: "Every session belongs to one person (unresolved must be 0)",
        file: "06-access/unresolved-sessions.csv",
        command: "tidegate audit report identity DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(5)(ii)(C)"), ("soc2", "CC6.1"), ("pci", "10.2.1.4")],
        asks: "Failed logins",
        file: "07-authn/failed-logins.csv",
        command: "tidegate audit report authn DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(d)"), ("soc2", "CC6.1"), ("pci", "8.3")],
        asks: "Persons are authenticated (factors at the identity provider are not recorded)",
        file: "07-authn/logins.csv",
        command: "tidegate audit report authn DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(d)"), ("soc2", "CC6.1"), ("pci", "8.3")],
        asks: "Sign-ins and failed ones, by person and way",
        file: "07-authn/sign-ins.csv",
        command: "tidegate audit report authn DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(d)"), ("soc2", "CC6.1, CC6.3"), ("pci", "8.3.1, 8.3.9")],
        asks: "Credentials are a person's own and end within hours",
        file: "07-authn/credentials.csv",
        command: "tidegate audit report authn DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(4)"), ("soc2", "CC6.1, CC6.2, CC6.3"), ("pci", "7.2.2, 7.2.3")],
        asks: "Roles are asked for, approved, given for a time, and end",
        file: "06-access/grants.csv",
        command: "tidegate audit report access DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[
            ("hipaa", "164.308(a)(3)(ii)(C), 164.308(a)(4)"),
            ("soc2", "CC6.2, CC6.3"),
            ("pci", "7.2.5, 8.2.5"),
        ],
        asks: "Access that somebody took away: revocations, suspensions, ended sessions",
        file: "06-access/administration.csv",
        command: "tidegate audit report access DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(a)(1)"), ("soc2", "CC6.1, CC6.3"), ("pci", "8.2.2, 8.6.1")],
        asks: "Accounts in databases that lived for one session; sessions cut off with their access",
        file: "06-access/session-accounts.csv",
        command: "tidegate audit report access DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(4)"), ("soc2", "CC6.1, CC6.3"), ("pci", "7.2.3")],
        asks: "Risky statements ran only after others agreed, each with its proof",
        file: "09-approvals/approvals.csv",
        command: "tidegate audit report approvals DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(a)(2)(ii)"), ("soc2", "CC6.1"), ("pci", "7.2.3")],
        asks: "Emergency access, each reviewed by two others",
        file: "09-approvals/emergencies.csv",
        command: "tidegate audit report approvals DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(1)(ii)(D)"), ("soc2", "CC6.3, CC7.2"), ("pci", "7.2.4")],
        asks: "Approvals and emergencies that need an explanation",
        file: "09-approvals/approval-findings.csv",
        command: "tidegate audit report approvals DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(b)"), ("soc2", "CC7.2"), ("pci", "10.2")],
        asks: "Activity is recorded: every statement",
        file: "03-population/cores.csv",
        command: "tidegate audit query DIR --count",
        counts: Counts::Statements,
    },
    Control {
        references: &[("hipaa", "164.312(c)(1)"), ("soc2", "CC7.2"), ("pci", "10.3.4")],
        asks: "Records cannot be changed unnoticed (findings must be 0)",
        file: "05-verify/verify.json",
        command: "tidegate audit verify DIR",
        counts: Counts::Errors,
    },
    Control {
        references: &[("hipaa", "164.312(b)"), ("soc2", "CC4.1"), ("pci", "10.3")],
        asks: "The population is complete: gap-free numbers from the headers",
        file: "03-population/headers.bin",
        command: "tidegate audit sample DIR --nonce NONCE",
        counts: Counts::Records,
    },
    Control {
        references: &[("hipaa", "164.312(b)"), ("soc2", "CC4.1"), ("pci", "10.4")],
        asks: "A sample that the auditor's nonce chose",
        file: "14-samples/sample.csv",
        command: "tidegate audit sample DIR --nonce NONCE",
        counts: Counts::Sample,
    },
    Control {
        references: &[("hipaa", "164.308(a)(6)(ii), 164.402"), ("soc2", "CC7.3")],
        asks: "Who saw which classes of protected data, masked or in clear",
        file: "08-phi-release/exposure.csv",
        command: "tidegate audit report exposure DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.502(b), 164.514(d)"), ("soc2", "C1.1"), ("pci", "3.4")],
        asks: "Minimum necessary: statements that showed protected columns in clear",
        file: "08-phi-release/shown-in-clear.csv",
        command: "tidegate audit query DIR --clear",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(1)(ii)(D)"), ("soc2", "CC7.2"), ("pci", "10.4.1")],
        asks: "Activity is reviewed",
        file: "10-reviews/reviews.csv",
        command: "tidegate audit report reviews DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(a)(1)"), ("soc2", "CC6.1"), ("pci", "7.2, 10.2.1")],
        asks: "What was refused, by which rule",
        file: "08-phi-release/refusals.csv",
        command: "tidegate audit report refusals DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(8)"), ("soc2", "CC8.1"), ("pci", "10.2.1.5, 6.5")],
        asks: "Changes of rules, configuration, program and recording modes",
        file: "11-changes/changes.csv",
        command: "tidegate audit report changes DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.312(b)"), ("soc2", "A1.2"), ("pci", "10.2.1.6, 10.7.2, 10.7.3")],
        asks: "Starts, stops and failures of recording",
        file: "12-continuity/continuity.csv",
        command: "tidegate audit report continuity DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("soc2", "CC7.2"), ("pci", "10.6")],
        asks: "Clocks: changes of the wall clock",
        file: "12-continuity/clock.csv",
        command: "tidegate audit report clock DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.308(a)(1)(ii)(D)"), ("soc2", "CC6.1"), ("pci", "10.2.1.3")],
        asks: "Who looked at recordings and took records out",
        file: "10-reviews/evidence-access.csv",
        command: "tidegate audit report evidence-access DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.316(b)(2)(i)"), ("soc2", "C1.2"), ("pci", "10.5.1")],
        asks: "Retention: keys destroyed, each by two signers",
        file: "13-retention/purges.csv",
        command: "tidegate audit report retention DIR",
        counts: Counts::Table,
    },
    Control {
        references: &[("hipaa", "164.316(b)(2)(i)"), ("soc2", "C1.2"), ("pci", "10.5.1")],
        asks: "Legal holds",
        file: "13-retention/holds.csv",
        command: "tidegate audit hold list DIR",
        counts: Counts::Table,
    },
];
