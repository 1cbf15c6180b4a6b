//! Authenticators (WebAuthn level 3): registered by people for themselves, asked when a vote or an emergency needs one.

/// What has begun and not ended, in memory.
#[derive(Debug, Default)]
pub(crate) struct Ceremonies;
