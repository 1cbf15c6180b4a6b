//! Writes the seed corpora: `cargo run -p fuzz-targets --bin fuzz-seeds` in the project's root.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut rules = Vec::new();
    for entry in fs::read_dir(root.join("examples/clinic"))? {
        let path = entry?.path();
        if let (Some("yaml"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_name()) {
            rules.push((name.to_string_lossy().into_owned(), fs::read_to_string(&path)?));
        }
    }
    rules.sort();
    let documents: Vec<(&str, &str)> = rules.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let seeds = fuzz_targets::seeds::all(&documents);
    for (target, name, bytes) in &seeds {
        let folder = root.join("fuzz/corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)?;
    }
    eprintln!("{} seeds in fuzz/corpus", seeds.len());
    Ok(())
}
