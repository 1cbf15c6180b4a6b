//! The console, served over a gateway that does not exist.

#![allow(clippy::unwrap_used)]

mod authorization;
mod guard;
mod made_up;
mod notices;
mod pages;
mod served;
