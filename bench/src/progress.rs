//! What is going on and how long it will take, on standard error.

use std::{
    io::{IsTerminal, Write},
    time::Instant,
};

/// How far a run is, in planned seconds.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    planned: f64,
    done: f64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { start: Instant::now(), planned: 0.0, done: 0.0 }
    }
}

impl Progress {
    /// So many seconds more are planned.
    pub fn plan(&mut self, seconds: f64) {
        self.planned += seconds;
    }

    /// So many of them are over.
    pub fn done(&mut self, seconds: f64) {
        self.done += seconds;
    }

    /// Seconds left, judged by how long what is done took; never less than planned for it.
    fn left(&self, elapsed: f64) -> f64 {
        let rest = (self.planned - self.done).max(0.0);
        let pace = if self.done > 0.0 { (elapsed / self.done).max(1.0) } else { 1.0 };
        rest * pace
    }

    /// Says what is done now; on a terminal in one line that is written over.
    pub fn say(&self, what: &str) {
        let left = self.left(self.start.elapsed().as_secs_f64());
        let part = if self.planned > 0.0 { (self.done / self.planned * 100.0).min(100.0) } else { 0.0 };
        let text = format!("{part:3.0} %, {} left: {what}", clock(left));
        let mut err = std::io::stderr().lock();
        let _unread = if err.is_terminal() { write!(err, "\r\x1b[K{text}") } else { writeln!(err, "{text}") };
        let _unread = err.flush();
    }

    /// Says something that stays.
    pub fn note(&self, what: &str) {
        let mut err = std::io::stderr().lock();
        let before = if err.is_terminal() { "\r\x1b[K" } else { "" };
        let _unread = writeln!(err, "{before}{what}");
    }
}

fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_pace() {
        let mut progress = Progress::default();
        progress.plan(100.0);
        assert_eq!(progress.left(0.0), 100.0);
        progress.done(20.0);
        assert_eq!(progress.left(40.0), 160.0);
        assert_eq!(progress.left(5.0), 80.0);
        progress.done(90.0);
        assert_eq!(progress.left(300.0), 0.0);
        assert_eq!(clock(61.4), "1:01");
    }
}
