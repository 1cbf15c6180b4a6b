//! What goes wrong in a conversation. A refusal by policy is not a fault.

/// A side of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// The client's side.
    Downstream,
    /// The database's side.
    Upstream,
}

/// A conversation cannot go on. Holds constants only, never peer bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Who is to blame.
    pub side: Peer,
    /// Five-character SQLSTATE (or the protocol's equivalent) the downstream is told.
    pub state: &'static str,
    /// What the downstream is told, and what the record says.
    pub reason: &'static str,
}

impl Fault {
    /// The client broke the protocol.
    #[must_use]
    pub const fn downstream(reason: &'static str) -> Self {
        Self { side: Peer::Downstream, state: "08P01", reason }
    }

    /// The database broke the protocol.
    #[must_use]
    pub const fn upstream(reason: &'static str) -> Self {
        Self { side: Peer::Upstream, state: "08P01", reason }
    }

    /// The same with another state.
    #[must_use]
    pub const fn with_state(self, state: &'static str) -> Self {
        Self { state, ..self }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.side {
            Peer::Downstream => "client",
            Peer::Upstream => "database",
        };
        write!(f, "{side}: {}", self.reason)
    }
}

impl std::error::Error for Fault {}
