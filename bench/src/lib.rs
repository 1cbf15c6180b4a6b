//! Measurements: the load harness, and what the micro-benchmarks of `benches/` share.
//!
//! The harness starts real servers, runs the same work through each way to the database in turn, and prints ratios: figures
//! of one machine in one hour mean little alone. It owns every process it starts and stops each by its id, also when it is
//! interrupted. It deliberately never judges: goals are printed beside the figures, the exit code only says that it ran.

pub mod bouncer;
pub mod bypass;
pub mod bypass_random;
pub mod conversation;
pub mod detect;
pub mod disk;
pub mod failure;
pub mod folder;
pub mod gateway;
pub mod idle;
pub mod load;
pub mod machine;
pub mod masking;
pub mod pgbench;
pub mod postgres;
pub mod process;
pub mod report;
pub mod syscalls;
pub mod target;
pub mod useful;
pub mod wire;
pub mod work;
