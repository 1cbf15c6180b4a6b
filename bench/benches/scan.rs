//! Free text through the scanner, field by field, beside Hyperscan (or Vectorscan) with the same eight rules.
//!
//! Fields are about 190 bytes of clinical sentences, one in twenty with an identifier in it. Ours includes validation and
//! the start of every hit; theirs is measured twice, with the ends of matches only and with their starts. The other program
//! is built when its headers are installed (Debian: libhyperscan-dev or libvectorscan-dev) and is left out otherwise. Rounds
//! alternate, processor time counts, and the best of each is kept, because the machine may have other work.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use bench::folder::Folder;
use paths::rules::EIGHT;
use scan::{Detector, Hit, Shapes, Words};

const ROUNDS: usize = 5;
const SECONDS: f64 = 0.4;
const FIELDS: usize = 20_000;
const FIELD_BYTES: usize = 190;
/// Fields given to the scanner at a time, 64 KiB or so.
const BATCH: usize = 340;

/// Sentences of history, findings and plans.
const NARRATIVE: &[&str] = &[
    "The patient reports mild discomfort after the procedure and denies fever, chills or nausea.",
    "She continues her current medication and will return to the clinic if symptoms persist.",
    "Heart sounds are regular without murmur, and the lungs are clear to auscultation bilaterally.",
    "Abdomen is soft and non-tender with normal bowel sounds; there is no peripheral edema.",
    "Imaging was reviewed with the family and shows no progression since the last visit.",
    "We discussed diet, exercise and the importance of taking the medication every morning.",
    "He presents with worsening shortness of breath over 3 days, worse when lying flat at night.",
    "Wound is clean and dry, sutures to be removed in 10 days; no sign of infection was seen.",
    "Started on metoprolol 25mg twice daily with good effect; warned about dizziness on standing.",
    "Social history is notable for occasional alcohol; there is no tobacco use in the last 5 years.",
    "Physical therapy twice weekly was ordered and a walker was provided for use at home.",
    "Assessment and plan were explained in plain language and all questions were answered.",
];
/// Sentences full of numbers.
const NUMBERS: &[&str] = &[
    "BP 120/80, HR 72, RR 16, temp 98.6, SpO2 99% on 2L.",
    "Labs: Na 140, K 4.1, Cl 101, BUN 14, Cr 0.9, WBC 10.5, Hgb 13.2, Plt 250.",
    "Gabapentin 300mg TID, lisinopril 10 mg daily, pain 6/10 for 3 days.",
    "EF 55-60%, LVEDD 4.8 cm, E/A ratio 1.2, PASP 30 mmHg.",
    "MRI shows a 2.1 x 1.4 x 1.8 cm mass; L4-5 disc bulge of 3 mm, T2 bright.",
];
/// What one field in twenty also holds.
const IDENTIFIERS: &[&str] = &[
    "SSN 123-45-6789",
    "call (415) 555-0132",
    "mail jane.doe@example.org",
    "card 4111 1111 1111 1111",
    "MRN: 00123456",
    "seen 03/14/2021",
    "from 10.1.2.3",
    "see https://example.org/x",
    "born January 5, 1952",
];

/// Fields in which `numbers` of ten sentences are full of numbers, and one in `every` has an identifier; none for 0.
fn fields(numbers: u64, every: usize) -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut roll = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    (0..FIELDS)
        .map(|i| {
            let mut text = String::new();
            if every > 0 && i % every == every / 3 {
                text.push_str(IDENTIFIERS[roll(IDENTIFIERS.len())]);
                text.push_str("; ");
            }
            while text.len() < FIELD_BYTES - 20 {
                let list = if (roll(10) as u64) < numbers { NUMBERS } else { NARRATIVE };
                text.push_str(list[roll(list.len())]);
                text.push(' ');
            }
            text.truncate(FIELD_BYTES + 20);
            text.into_bytes()
        })
        .collect()
}

/// Seconds of processor this thread has had.
fn cpu_seconds() -> f64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Fields one after the other in one buffer, as they come in rows.
struct Packed {
    buffer: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Packed {
    fn of(fields: &[Vec<u8>]) -> Self {
        let mut buffer = Vec::new();
        let places = fields
            .iter()
            .map(|f| {
                buffer.extend_from_slice(f);
                buffer.len() - f.len()..buffer.len()
            })
            .collect();
        Self { buffer, places }
    }
}

/// Bytes per second of processor time, and hits in one pass; a batch of fields at a time.
fn batches(detectors: &[Detector], fields: &Packed) -> (f64, usize) {
    let shapes = Shapes::of(detectors);
    let mut hits: Vec<Hit> = Vec::new();
    let mut scanned = 0;
    let mut count = 0;
    let began = cpu_seconds();
    while cpu_seconds() - began < SECONDS {
        count = 0;
        for some in fields.places.chunks(BATCH) {
            scan::batch(shapes, black_box(&fields.buffer), some, &mut hits, |_, found| count += black_box(found).len());
        }
        scanned += fields.buffer.len();
    }
    (scanned as f64 / (cpu_seconds() - began), count)
}

/// The same, one field after the other.
fn ours(detectors: &[Detector], fields: &[Vec<u8>]) -> (f64, usize) {
    let shapes = Shapes::of(detectors);
    let mut hits: Vec<Hit> = Vec::new();
    let mut scanned = 0;
    let mut count = 0;
    let began = cpu_seconds();
    while cpu_seconds() - began < SECONDS {
        count = 0;
        for field in fields {
            hits.clear();
            scan::collect(shapes, black_box(field), &mut hits);
            scan::unite(&mut hits);
            count += black_box(&hits).len();
            scanned += field.len();
        }
    }
    (scanned as f64 / (cpu_seconds() - began), count)
}

/// Builds the other program; says why not if it cannot be built.
fn build(folder: &Path) -> Result<std::path::PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/hyperscan.c");
    let program = folder.join("hyperscan");
    let output = Command::new("cc")
        .args(["-O3", "-march=native", "-o"])
        .arg(&program)
        .arg(&source)
        .arg("-lhs")
        .output()
        .map_err(|e| format!("no C compiler ({e})"))?;
    if output.status.success() {
        Ok(program)
    } else {
        Err("libhyperscan-dev or libvectorscan-dev is not installed".into())
    }
}

/// Bytes per second with ends and with starts, matches, and the version.
fn theirs(program: &Path, file: &Path) -> Option<([f64; 2], [u64; 2], String)> {
    let output = Command::new(program).arg(file).arg(SECONDS.to_string()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut speeds = [0.0; 2];
    let mut matches = [0; 2];
    let mut version = String::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        match words.next()? {
            "version" => words.next()?.clone_into(&mut version),
            name => {
                let i = usize::from(name == "starts");
                speeds[i] = words.next()?.parse().ok()?;
                matches[i] = words.next()?.parse().ok()?;
            }
        }
    }
    Some((speeds, matches, version))
}

/// A dictionary as names are: 100,000 words of many lengths and first letters, one of which every tenth field has.
fn dictionary(fields: &[Vec<u8>]) {
    const WORDS: usize = 100_000;
    const SYLLABLES: [&str; 18] =
        ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru", "son", "a", "e", "sha", "ton", "wo", "y", "ci"];
    let word = |n: usize| {
        let (mut n, mut word) = (n, String::new());
        while n > 0 || word.len() < 3 {
            word.push_str(SYLLABLES[n % SYLLABLES.len()]);
            n /= SYLLABLES.len();
        }
        word
    };
    let mut list: Vec<String> = (0..2 * WORDS).map(word).collect();
    list.sort_unstable();
    list.dedup();
    let list: Vec<String> = list.into_iter().take(WORDS).collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let fields: Vec<Vec<u8>> = fields
        .iter()
        .enumerate()
        .map(|(i, f)| {
            let mut field = f.clone();
            if i % 10 == 0 {
                field.extend_from_slice(list[i * 7 % list.len()].to_uppercase().as_bytes());
            }
            field
        })
        .collect();
    let began = cpu_seconds();
    let words = Words::build(&list).expect("a list that fits");
    let compiled = cpu_seconds() - began;
    let mut bytes = Vec::new();
    words.write(&mut bytes);
    let began = cpu_seconds();
    let loaded = Words::read(&bytes, &list).is_ok();
    let load = cpu_seconds() - began;
    let (mut scanned, mut hits) = (0, 0);
    let began = cpu_seconds();
    while cpu_seconds() - began < 4.0 * SECONDS {
        hits = 0;
        for field in &fields {
            words.for_each(black_box(field), |_, _| hits += 1);
            scanned += field.len();
        }
    }
    println!(
        "\ndictionary of {} words: compiled in {:.0} ms, {:.1} MB, loaded and checked in {:.0} ms ({loaded}), {:.0} MB/s \
         ({hits} hits)",
        list.len(),
        compiled * 1e3,
        bytes.len() as f64 / 1e6,
        load * 1e3,
        scanned as f64 / 1e6 / (cpu_seconds() - began),
    );
}

fn main() {
    let folder = Folder::new().expect("a temporary folder");
    let program = build(folder.path());
    if let Err(why) = &program {
        println!("Hyperscan is left out: {why}");
    }
    println!("GB/s of fields of {FIELD_BYTES} bytes, one core, validation included; * the goal is 10 times\n");
    println!("                           eight rules          all shapes           Hyperscan");
    println!("text                       batch   one   ratio  batch   one   ratio  ends   starts");
    for (name, numbers, identifiers, cached) in [
        ("notes, 5 % with PHI *", 2, 20, false),
        ("the same, in cache", 2, 20, true),
        ("narrative, 5 % with PHI", 0, 20, false),
        ("numbers, 5 % with PHI", 10, 20, false),
        ("notes, nothing to find", 2, 0, false),
        ("notes, all with PHI", 2, 1, false),
    ] {
        let mut fields = fields(numbers, identifiers);
        if cached {
            fields.truncate(BATCH);
        }
        let file = folder.path().join("fields");
        let bytes: Vec<u8> =
            fields.iter().flat_map(|f| (f.len() as u32).to_le_bytes().into_iter().chain(f.iter().copied())).collect();
        std::fs::write(&file, bytes).expect("room for the fields");
        let packed = Packed::of(&fields);
        let (mut best, mut other) = ([0.0f64; 4], [0.0f64; 2]);
        let (mut hits, mut matches, mut version) = (0, [0; 2], String::new());
        for _ in 0..ROUNDS {
            for (i, detectors) in [EIGHT, Detector::SHAPES].into_iter().enumerate() {
                let (together, found) = batches(detectors, &packed);
                let (alone, same) = ours(detectors, &fields);
                assert_eq!(found, same, "hits of batches and of single fields");
                best = std::array::from_fn(|k| match k {
                    k if k == 2 * i => best[k].max(together),
                    k if k == 2 * i + 1 => best[k].max(alone),
                    k => best[k],
                });
                hits = if i == 0 { found } else { hits };
            }
            if let Some((speeds, m, v)) = program.as_deref().ok().and_then(|p| theirs(p, &file)) {
                other = [other[0].max(speeds[0]), other[1].max(speeds[1])];
                (matches, version) = (m, v);
            }
        }
        let ratio = |ours: f64| if other[0] > 0.0 { ours / other[0] } else { f64::NAN };
        println!(
            "{name:<26} {:>5.2} {:>5.2} {:>7.1} {:>6.2} {:>5.2} {:>7.1} {:>6.3} {:>7.3}  ({hits} hits, {} and {} matches, {version})",
            best[0] / 1e9,
            best[1] / 1e9,
            ratio(best[0]),
            best[2] / 1e9,
            best[3] / 1e9,
            ratio(best[2]),
            other[0] / 1e9,
            other[1] / 1e9,
            matches[0],
            matches[1],
        );
    }
    println!("\nratio: of batches to Hyperscan's ends of matches, its faster way");
    dictionary(&fields(2, 0));
}
