//! Every limit of a conversation, by name.

/// Limits of one session. Each is reached in a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest statement text in bytes; a longer one is refused and skipped without being buffered.
    pub statement_bytes_max: usize,
    /// Largest buffer of one direction in bytes; frames that need not be whole stream through it.
    pub buffer_bytes_max: usize,
    /// Named prepared statements of a session.
    pub prepared_max: usize,
    /// Open portals of a session.
    pub portals_max: usize,
    /// Replies owed to the client before its requests are left in the socket.
    pub owed_max: usize,
    /// Bytes of a prepared statement's or portal's name: the server truncates longer ones, so two could be one.
    pub name_bytes_max: usize,
    /// Columns of a result (PostgreSQL's own limit is 1664).
    pub columns_max: usize,
    /// Bytes of the first frame of a connection (PostgreSQL's own limit is 10,000).
    pub startup_bytes_max: usize,
    /// Bytes queued for one peer in scratch before the session waits for the socket.
    pub scratch_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            statement_bytes_max: 1 << 20,
            buffer_bytes_max: 256 << 10,
            prepared_max: 4096,
            portals_max: 1024,
            owed_max: 16_384,
            name_bytes_max: 63,
            columns_max: 1664,
            startup_bytes_max: 10_000,
            scratch_bytes_max: 512 << 10,
        }
    }
}
