//! What a log is called: the origin of its checkpoints; before it has any, the origin that its node's first key gives it.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use audit::block::ALIGN_BYTES;
use audit::render;
use audit::segment::SegmentHeader;

/// Longest first line of a checkpoint that is taken for a name.
const ORIGIN_BYTES_MAX: usize = 256;

/// The log's name.
#[must_use]
pub fn origin(directory: &Path) -> String {
    checkpoint_origin(directory)
        .or_else(|| node(directory).map(|node| format!("tidegate/{node}")))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn checkpoint_origin(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("tlog/checkpoint")).ok()?;
    let line = text.lines().next()?.trim();
    (!line.is_empty() && line.len() <= ORIGIN_BYTES_MAX && !line.chars().any(render::is_active))
        .then(|| line.to_owned())
}

/// Node of the first segment, in hexadecimal.
#[must_use]
pub fn node(directory: &Path) -> Option<String> {
    let mut folders = entries(directory);
    folders.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core-")));
    folders.into_iter().find_map(|folder| {
        let mut segments = entries(&folder);
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "tgseg"));
        segments.into_iter().find_map(|segment| {
            let mut page = [0; ALIGN_BYTES];
            File::open(segment).ok()?.read_exact(&mut page).ok()?;
            SegmentHeader::decode(&page).map(|header| render::hex(&header.node))
        })
    })
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
    paths.sort();
    paths
}
