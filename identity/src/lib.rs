//! Tokens of identity providers, validated.
