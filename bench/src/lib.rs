//! Measurements: the load harness, and what the micro-benchmarks of `benches/` share.
//!
//! The harness starts real servers, runs the same work through each way to the database in turn, and prints ratios: figures
//! of one machine in one hour mean little alone. It owns every process it starts and stops each by its id, also when it is
//! interrupted. It deliberately never judges: goals are printed beside the figures, the exit code only says that it ran, or
//! that others disturbed it too much to say anything.

pub mod accounting;
pub mod bypass;
pub mod bypass_random;
pub mod canned;
pub mod conversation;
pub mod copy_proxy;
pub mod detect;
pub mod disk;
pub mod disturbance;
pub mod failure;
pub mod folder;
pub mod gateway;
pub mod generator;
pub mod goals;
pub mod load;
pub mod machine;
pub mod masking;
pub mod peers;
pub mod piece;
pub mod pki;
pub mod plots;
pub mod poller;
pub mod postgres;
pub mod process;
pub mod progress;
pub mod report;
pub mod statistics;
pub mod syscalls;
pub mod target;
pub mod useful;
pub mod wire;
pub mod work;
