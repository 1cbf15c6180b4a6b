//! The console and the API behind it.

pub mod signin;
