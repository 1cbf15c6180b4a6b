//! The tests of the audit writer, on our own driver.

#[path = "ring_writer.rs"]
mod tests;
