//! The console and the API behind it.
