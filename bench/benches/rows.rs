//! Rows through the protocol's value and the lanes, beside a memcpy of the same bytes: nothing masked, two and six of eight
//! columns, six and a scanned note; in text and binary, and as COPY.
//!
//! The data is larger than any cache; a slice of it is copied into the lane's buffer, as a read from a socket would be, and
//! worked on there. Two copies of the same bytes stand beside it: one into such a buffer, which stays in a cache and is what
//! the goals are ratios to, and one into memory that no cache holds either. A core that reads memory at 30 GB/s makes the first
//! ratio hard and one that reads it at 10 easy; nanoseconds a row beyond the copy say the same of both. Copies and work take
//! turns in the same run, processor time counts, and the median of their ratios, because the machine may have other work.
//! Arguments choose: `cargo bench -p bench --bench rows -- text "6 of 8"`.

use std::hint::black_box;
use std::time::Duration;

use bench::conversation::Conversation;
use bench::masking::{self, Work};
use contract::{BUFFER_LARGE_BYTES, CopyFormat};
use rustix::time::{ClockId, clock_gettime};

/// Larger than the caches of today's servers.
const COLD_BYTES: usize = 384 << 20;
/// Likewise, for what a copy is written to.
const FAR_BYTES: usize = 256 * READ_BYTES;
/// What a read from a socket brings at most.
const READ_BYTES: usize = BUFFER_LARGE_BYTES;
/// Reads of one turn.
const READS: usize = 32;
const TURNS: usize = 41;
/// A row, about.
const ROW_BYTES: f64 = 325.0;

const KINDS: [&str; 4] = ["text", "binary", "COPY text", "COPY binary"];

struct Case {
    name: &'static str,
    goal: Option<f64>,
    conversation: Conversation,
}

fn main() {
    if std::env::args().any(|argument| argument == "--help") {
        println!(
            "Usage: cargo bench -p bench --bench rows -- [text|binary|\"COPY text\"|\"COPY binary\"]... [WHAT IS MASKED]..."
        );
        return;
    }
    let only: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let works = [
        (Work::Nothing, None),
        (Work::Two, Some(0.8)),
        (Work::Six, Some(0.65)),
        (Work::SixAndNote, Some(0.35)),
        (Work::SixAndAll, None),
        (Work::Resized, None),
    ];
    let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
    println!(
        "{:<14} {:<22} {:>11} {:>11} {:>6} {:>7} {:>6} {:>5} {:>14}",
        "", "masked", "memcpy GB/s", "far to far", "GB/s", "ns/row", "ratio", "goal", "to far to far"
    );
    for (kind, copy) in
        [("text", None), ("binary", None), ("COPY text", Some(&text)), ("COPY binary", Some(&CopyFormat::Binary))]
    {
        let (kinds, names): (Vec<&String>, Vec<&String>) = only.iter().partition(|o| KINDS.contains(&o.as_str()));
        if !kinds.is_empty() && !kinds.iter().any(|o| kind == o.as_str()) {
            continue;
        }
        let unit = copy.map_or_else(|| masking::rows(8 << 20), |format| masking::copy_rows(8 << 20, format));
        let cold = unit.repeat(COLD_BYTES / unit.len());
        for (work, goal) in works {
            if !names.is_empty() && !names.iter().any(|o| o.as_str() == work.name()) {
                continue;
            }
            let goal = if copy.is_none() { goal } else { None };
            let conversation = copy.map_or_else(|| work.rows(kind == "binary"), |format| work.copy(format));
            measure(kind, &cold, Case { name: work.name(), goal, conversation });
        }
    }
}

fn measure(kind: &str, cold: &[u8], mut case: Case) {
    let mut at = 0;
    let mut buffer = vec![0u8; READ_BYTES];
    let next = |at: &mut usize| {
        if *at + READ_BYTES > cold.len() {
            *at = 0;
        }
        let slice = &cold[*at..*at + READ_BYTES];
        *at += READ_BYTES;
        slice
    };
    // The stream has to go on where it stopped: the copies read what is far away from it.
    let (mut far, mut farther) = (cold.len() / 2, cold.len() / 4);
    let mut memory = vec![1u8; FAR_BYTES];
    let mut place = 0;
    let (mut ratios, mut copies, mut worked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut far_ratios, mut far_copies) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let began = cpu();
        for _ in 0..READS {
            buffer.copy_from_slice(black_box(next(&mut far)));
            black_box(&mut buffer);
        }
        let copied = (cpu() - began).as_secs_f64();
        let began = cpu();
        for _ in 0..READS {
            let slice = black_box(next(&mut farther));
            memory[place..place + READ_BYTES].copy_from_slice(slice);
            place = (place + READ_BYTES) % FAR_BYTES;
            black_box(&mut memory);
        }
        let far_copied = (cpu() - began).as_secs_f64();
        let began = cpu();
        let end = (at + READS * READ_BYTES).min(cold.len());
        case.conversation.stream(black_box(&cold[at..end]));
        let work = (cpu() - began).as_secs_f64() * (READS * READ_BYTES) as f64 / (end - at) as f64;
        at = if end == cold.len() { 0 } else { end };
        if turn > 0 {
            ratios.push(copied / work);
            far_ratios.push(far_copied / work);
            far_copies.push(far_copied);
            copies.push(copied);
            worked.push(work);
        }
    }
    let bytes = (READS * READ_BYTES) as f64;
    let (copied, worked) = (median(&mut copies), median(&mut worked));
    println!(
        "{kind:<14} {:<22} {:>11.1} {:>11.1} {:>6.1} {:>7.1} {:>6.2} {:>5} {:>14.2}",
        case.name,
        bytes / copied / 1e9,
        bytes / median(&mut far_copies) / 1e9,
        bytes / worked / 1e9,
        (worked - copied) / (bytes / ROW_BYTES) * 1e9,
        median(&mut ratios),
        case.goal.map_or_else(String::new, |goal| format!("{goal:.2}")),
        median(&mut far_ratios)
    );
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
