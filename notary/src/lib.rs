//! What vouches for the audit log outside of the data path: the tree of a node and its signed checkpoints, the signer,
//! witnesses, and copies in an object store; over blocking sockets and files.
//!
//! Deliberately absent: the data path. Nothing here is called by a session, and nothing here keeps one waiting.

pub mod anchor;
mod error;
mod files;
mod headers;
pub mod history;
pub mod http;
pub mod keys;
pub mod s3;
pub mod sequencer;
pub mod service;
pub mod signer;
pub mod signer_process;
mod tree_files;
pub mod witness_client;
pub mod witness_server;

pub use error::Error;
pub use sequencer::{Append, Durable, Folders, Notary, Published};
pub use signer::{FileSigner, Signer};
pub use signer_process::RemoteSigner;
pub use tree_files::TileFiles;
