//! The gateway's own figures, from its metrics page.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::status;

/// What is read of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Figures {
    /// Processor seconds of the gateway's process.
    pub(super) cpu_seconds: Option<f64>,
    /// By stage: seconds, and how often.
    stages: BTreeMap<String, (f64, f64)>,
}

/// Reads it; `None` where no gateway answers.
pub(super) fn read(address: SocketAddr) -> Option<Figures> {
    status::get(address, "/metrics").ok().map(|text| Figures::of(&text))
}

impl Figures {
    fn of(text: &str) -> Self {
        let mut figures = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, value)) = line.rsplit_once(' ') else { continue };
            let Ok(value) = value.parse::<f64>() else { continue };
            if name == "process_cpu_seconds_total" {
                figures.cpu_seconds = Some(value);
            }
            let Some(rest) = name.strip_prefix("tidegate_stage_seconds_") else { continue };
            let Some(stage) = rest.split("stage=\"").nth(1).and_then(|rest| rest.split('"').next()) else { continue };
            let sums = figures.stages.entry(stage.to_owned()).or_default();
            if rest.starts_with("sum") {
                sums.0 += value;
            } else if rest.starts_with("count") {
                sums.1 += value;
            }
        }
        figures
    }

    /// Mean microseconds of each stage since then, and how often it was passed.
    pub(super) fn stages_since(&self, before: &Self) -> Vec<(String, f64, f64)> {
        let since = |(name, now): (&String, &(f64, f64))| {
            let then = before.stages.get(name).copied().unwrap_or_default();
            let count = now.1 - then.1;
            (count > 0.0).then(|| (name.clone(), (now.0 - then.0) / count * 1e6, count))
        };
        self.stages.iter().filter_map(since).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_read_and_cores_are_added() {
        let page = |n: f64| {
            format!(
                "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {n}\n\
                 tidegate_stage_seconds{{core=\"0\",stage=\"decide\",quantile=\"0.5\"}} 1\n\
                 tidegate_stage_seconds_sum{{core=\"0\",stage=\"decide\"}} {n}\n\
                 tidegate_stage_seconds_count{{core=\"0\",stage=\"decide\"}} 1000\n\
                 tidegate_stage_seconds_sum{{core=\"1\",stage=\"decide\"}} {n}\n\
                 tidegate_stage_seconds_count{{core=\"1\",stage=\"decide\"}} {}\n\
                 tidegate_stage_seconds_count{{core=\"1\",stage=\"durable\"}} 0\n",
                n * 1000.0
            )
        };
        let (before, after) = (Figures::of(&page(1.0)), Figures::of(&page(3.0)));
        assert_eq!(after.cpu_seconds, Some(3.0));
        assert_eq!(after.stages_since(&before), [("decide".to_owned(), 2000.0, 2000.0)]);
    }
}
