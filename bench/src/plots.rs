//! Plots of a run as SVG, written by hand: bars for what one number says, lines over the number of clients.
//!
//! Every plot is a value first (panels of labelled numbers) and is drawn from that alone, so that tests can look at it.
//! Ways keep their colour in all plots; the gateway's is the strongest. PNG files are made where a program that renders
//! SVG is on the machine.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    failure::{Doing, Result},
    generator::Mode,
    peers::Peer,
    report::{Line, Report},
    statistics::Summary,
    target::{Backend, Way},
    work::{Kind, Work},
};

const WIDTH: f64 = 900.0;
const ROW: f64 = 22.0;
/// Room for the names left of bars.
const NAMES: f64 = 290.0;
const MARGIN: f64 = 24.0;
const PANEL_HEIGHT: f64 = 330.0;

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Name of its file, without an ending.
    pub name: &'static str,
    title: String,
    unit: &'static str,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    /// A group of bars for each work.
    Bars(Vec<(String, Vec<Bar>)>),
    /// A panel for each mode; a line for each way over the number of clients.
    Lines(Vec<(String, Vec<Series>)>),
}

/// One bar; a second, paler one reaches further.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    name: String,
    way: Way,
    value: f64,
    further: Option<f64>,
    spread: Option<(f64, f64)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Series {
    way: Way,
    points: Vec<(usize, f64)>,
}

/// The plots for which there are figures.
#[must_use]
pub fn of(report: &Report) -> Vec<Plot> {
    let lines = report.lines();
    let mut plots = Vec::new();
    for (backend, name, behind) in [
        (Backend::Canned, "cpu-per-statement-canned", "answered from memory"),
        (Backend::Postgres, "cpu-per-statement-postgres", "in front of PostgreSQL"),
    ] {
        let title = format!("Processor time of the proxy for each small statement, {behind}");
        plots.push(Plot { name, title, unit: "µs", body: Body::Lines(over_clients(&lines, backend)) });
    }
    let small = |line: &Line| matches!(line.work.kind, Kind::Statements { .. });
    let latency = bars(&lines, small, |line| line.p50_us, |line| line.p99_us.map(|s| s.median));
    plots.push(Plot {
        name: "latency",
        title: "Latency of small statements: median, and 99th percentile (pale)".to_owned(),
        unit: "µs",
        body: Body::Bars(latency),
    });
    let bulk = |line: &Line| matches!(line.work.kind, Kind::Bulk(_));
    plots.push(Plot {
        name: "bulk",
        title: "Processor time of the proxy for each GB of a bulk read".to_owned(),
        unit: "s/GB",
        body: Body::Bars(bars(&lines, bulk, |line| line.cpu_s_per_gb, |_| None)),
    });
    let mixed = |line: &Line| line.work.kind == Kind::Mixed;
    let beside = |line: &Line| line.beside_p99_us.map(|s| s.median);
    plots.push(Plot {
        name: "fairness",
        title: "99th percentile of small statements: alone, and beside a bulk reader (pale)".to_owned(),
        unit: "µs",
        body: Body::Bars(bars(&lines, mixed, |line| line.p99_us, beside)),
    });
    let churn = |line: &Line| line.work.kind == Kind::Churn;
    plots.push(Plot {
        name: "churn",
        title: "Processor time of the proxy for each login, statement and leave".to_owned(),
        unit: "µs",
        body: Body::Bars(bars(&lines, churn, |line| line.cpu_us, |_| None)),
    });
    let idle = |line: &Line| line.work.kind == Kind::Idle;
    plots.push(Plot {
        name: "idle",
        title: "Memory of the proxy for each idle session, proportional".to_owned(),
        unit: "KiB",
        body: Body::Bars(bars(&lines, idle, |line| line.proportional_kib, |_| None)),
    });
    plots.retain(|plot| match &plot.body {
        Body::Bars(groups) => !groups.is_empty(),
        Body::Lines(panels) => !panels.is_empty(),
    });
    plots
}

fn bars(
    lines: &[Line],
    which: impl Fn(&Line) -> bool,
    pick: impl Fn(&Line) -> Option<Summary>,
    further: impl Fn(&Line) -> Option<f64>,
) -> Vec<(String, Vec<Bar>)> {
    let mut groups: Vec<(Work, Vec<Bar>)> = Vec::new();
    for line in lines.iter().filter(|line| which(line)) {
        let Some(value) = pick(line) else { continue };
        let bar = Bar {
            name: line.work.case_name(line.case),
            way: line.case.way,
            value: value.median,
            further: further(line),
            spread: (value.count > 1).then_some((value.min, value.max)),
        };
        match groups.iter_mut().find(|(work, _)| *work == line.work) {
            Some((_, bars)) => bars.push(bar),
            None => groups.push((line.work, vec![bar])),
        }
    }
    groups.into_iter().map(|(work, bars)| (work.to_string(), bars)).collect()
}

/// Processor time over the number of clients, where there is more than one number.
fn over_clients(lines: &[Line], backend: Backend) -> Vec<(String, Vec<Series>)> {
    let mut panels = Vec::new();
    for (mode, name) in [(Mode::Simple, "simple"), (Mode::Extended, "extended"), (Mode::Prepared, "prepared")] {
        let mut series: Vec<Series> = Vec::new();
        for line in lines.iter().filter(|line| line.work.backend == backend && !line.work.tls) {
            let Kind::Statements { mode: its, clients } = line.work.kind else { continue };
            let (true, Some(cpu)) = (its == mode, line.cpu_us) else { continue };
            match series.iter_mut().find(|series| series.way == line.case.way) {
                Some(series) => series.points.push((clients, cpu.median)),
                None => series.push(Series { way: line.case.way, points: vec![(clients, cpu.median)] }),
            }
        }
        series.retain(|series| series.points.len() > 1);
        for series in &mut series {
            series.points.sort_unstable_by_key(|(clients, _)| *clients);
        }
        if !series.is_empty() {
            panels.push((name.to_owned(), series));
        }
    }
    panels
}

/// The colour of a way.
fn colour(way: Way) -> &'static str {
    match way {
        Way::Direct => "#9e9e9e",
        Way::Peer(Peer::Floor) => "#616161",
        Way::Peer(Peer::Haproxy) => "#66a61e",
        Way::Peer(Peer::Pgbouncer) => "#1f78b4",
        Way::Peer(Peer::Odyssey) => "#e6ab02",
        Way::Peer(Peer::Pgcat) => "#7570b3",
        Way::Peer(Peer::Pgdog) => "#a6761d",
        Way::Peer(Peer::Pgagroal) => "#1b9e77",
        Way::Gateway(variant) if variant == crate::gateway::Variant::USUAL => "#d7301f",
        Way::Gateway(_) => "#fc8d59",
    }
}

impl Plot {
    /// Draws it.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut out = Svg::default();
        let height = match &self.body {
            Body::Bars(groups) => out.bars(groups, self.unit),
            Body::Lines(panels) => out.lines(panels, self.unit),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{MARGIN}\" y=\"26\" font-size=\"16\" font-weight=\"bold\">{}</text>\n{}</svg>\n",
            escape(&self.title),
            out.0
        )
    }
}

#[derive(Debug, Default)]
struct Svg(String);

impl Svg {
    fn text(&mut self, x: f64, y: f64, more: &str, text: &str) {
        let _infallible = writeln!(self.0, "<text x=\"{x:.1}\" y=\"{y:.1}\" {more}>{}</text>", escape(text));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        let _infallible =
            writeln!(self.0, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>");
    }

    fn rect(&mut self, x: f64, y: f64, width: f64, colour: &str, opacity: f64) {
        let height = ROW - 7.0;
        let _infallible = writeln!(
            self.0,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{colour}\" \
             fill-opacity=\"{opacity}\"/>"
        );
    }

    /// Draws groups of bars, each group with a scale of its own; returns the height.
    fn bars(&mut self, groups: &[(String, Vec<Bar>)], unit: &str) -> f64 {
        let room = WIDTH - NAMES - MARGIN - 110.0;
        let mut y = 44.0;
        for (name, bars) in groups {
            y += 14.0;
            self.text(MARGIN, y, "font-weight=\"bold\"", name);
            y += 8.0;
            let longest =
                |bar: &Bar| bar.further.unwrap_or(0.0).max(bar.value).max(bar.spread.map_or(0.0, |(_, max)| max));
            let most = bars.iter().map(longest).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
            let to = |value: f64| NAMES + value.max(0.0) / most * room;
            for bar in bars {
                self.text(NAMES - 8.0, y + 12.0, "text-anchor=\"end\"", &bar.name);
                if let Some(further) = bar.further {
                    self.rect(NAMES, y, to(further) - NAMES, colour(bar.way), 0.3);
                }
                self.rect(NAMES, y, to(bar.value) - NAMES, colour(bar.way), 1.0);
                if let Some((min, max)) = bar.spread {
                    let middle = y + (ROW - 7.0) / 2.0;
                    self.line((to(min), middle), (to(max), middle), "#000");
                }
                let further = bar.further.map_or_else(String::new, |further| format!(" / {}", number(further)));
                let end = to(longest(bar)) + 6.0;
                self.text(end, y + 12.0, "", &format!("{}{further} {unit}", number(bar.value)));
                y += ROW;
            }
            y += 8.0;
        }
        y + MARGIN
    }

    /// Draws panels side by side, on one logarithmic scale; returns the height.
    fn lines(&mut self, panels: &[(String, Vec<Series>)], unit: &str) -> f64 {
        let width = (WIDTH - MARGIN) / panels.len() as f64;
        let (top, bottom) = (70.0, 70.0 + PANEL_HEIGHT);
        let values = panels.iter().flat_map(|(_, series)| series).flat_map(|series| &series.points);
        let ticks = ticks(values.map(|(_, value)| *value));
        let (least, most) = (ticks.first().copied().unwrap_or(1.0), ticks.last().copied().unwrap_or(10.0));
        let y = |value: f64| bottom - (bottom - top) * (value.max(least) / least).ln() / (most / least).ln();
        for (i, (name, series)) in panels.iter().enumerate() {
            let (left, right) = (MARGIN + width * i as f64 + 36.0, MARGIN + width * (i + 1) as f64 - 24.0);
            self.text(left, top - 12.0, "font-weight=\"bold\"", &format!("{name} ({unit})"));
            for value in &ticks {
                self.line((left, y(*value)), (right, y(*value)), "#ddd");
                self.text(left - 6.0, y(*value) + 4.0, "text-anchor=\"end\"", &number(*value));
            }
            let mut clients: Vec<usize> = series.iter().flat_map(|s| &s.points).map(|(clients, _)| *clients).collect();
            clients.sort_unstable();
            clients.dedup();
            let steps = (clients.len() - 1).max(1) as f64;
            let x = |count: usize| {
                let at = clients.iter().position(|c| *c == count).unwrap_or(0) as f64;
                left + 8.0 + (right - left - 16.0) * at / steps
            };
            for count in &clients {
                self.text(x(*count), bottom + 18.0, "text-anchor=\"middle\"", &count.to_string());
            }
            self.text((left + right) / 2.0, bottom + 36.0, "text-anchor=\"middle\"", "clients");
            for series in series {
                let colour = colour(series.way);
                let path: Vec<String> =
                    series.points.iter().map(|(count, value)| format!("{:.1},{:.1}", x(*count), y(*value))).collect();
                let wide = if series.way.is_gateway() { 2.5 } else { 1.5 };
                let _infallible = writeln!(
                    self.0,
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{wide}\"{}/>",
                    path.join(" "),
                    dashes(series.way)
                );
                for (count, value) in &series.points {
                    let _infallible = writeln!(
                        self.0,
                        "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                        x(*count),
                        y(*value)
                    );
                }
            }
        }
        let mut ways: Vec<Way> = panels.iter().flat_map(|(_, series)| series).map(|series| series.way).collect();
        ways.sort_unstable();
        ways.dedup();
        let mut place = (MARGIN + 10.0, bottom + 66.0);
        for way in ways {
            let name = way.to_string();
            let wide = 44.0 + name.chars().count() as f64 * 7.0;
            if place.0 + wide > WIDTH - MARGIN {
                place = (MARGIN + 10.0, place.1 + ROW);
            }
            let (x, y) = place;
            let _infallible = writeln!(
                self.0,
                "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\" stroke-width=\"3\"{}/>",
                y - 4.0,
                x + 24.0,
                y - 4.0,
                colour(way),
                dashes(way)
            );
            self.text(x + 30.0, y, "", &name);
            place.0 += wide;
        }
        place.1 + MARGIN
    }
}

/// Variants of the gateway share a colour and differ in their dashes.
fn dashes(way: Way) -> String {
    let Way::Gateway(variant) = way else { return String::new() };
    if variant == crate::gateway::Variant::USUAL {
        return String::new();
    }
    let kind = variant.audit as usize * 2 + variant.driver.map_or(0, |driver| driver as usize + 1) + variant.cores;
    format!(" stroke-dasharray=\"{} 3\"", 2 + kind * 2)
}

/// Marks of a logarithmic scale round these values: 1, 2, 5, 10, … as far as needed, and two at least.
fn ticks(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let (mut least, mut most) = (f64::MAX, f64::MIN_POSITIVE);
    for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
        (least, most) = (least.min(value), most.max(value));
    }
    let marks: Vec<f64> = (-6..9).flat_map(|power| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(power))).collect();
    let first = marks.iter().rposition(|mark| *mark <= least).unwrap_or(0).min(marks.len() - 2);
    let last = marks.iter().position(|mark| *mark >= most).unwrap_or(marks.len() - 1).max(first + 1);
    marks[first..=last].to_vec()
}

fn number(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value > 0.0 {
        format!("{value:.2}")
    } else {
        "0".to_owned()
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Writes the plots of a report into a folder. Returns the files.
///
/// # Errors
/// They cannot be written.
pub fn write(report: &Report, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for plot in of(report) {
        let file = folder.join(format!("{}.svg", plot.name));
        fs::write(&file, plot.svg()).doing(format!("write {}", file.display()))?;
        let png = file.with_extension("png");
        files.push(file.clone());
        if render(&file, &png) {
            files.push(png);
        }
    }
    Ok(files)
}

/// Renders an SVG by a program of its own, if one is here.
fn render(svg: &Path, png: &Path) -> bool {
    let text = fs::read_to_string(svg).unwrap_or_default();
    let height = text.split("height=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("800");
    let mut rsvg = Command::new("rsvg-convert");
    rsvg.arg("-o").arg(png).arg(svg);
    let mut chromium = Command::new("chromium");
    // Its sandbox does not work for root; what it shows is our own file.
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    chromium.arg(format!("--window-size={WIDTH:.0},{}", height.split('.').next().unwrap_or(height)));
    chromium.arg(format!("--screenshot={}", png.display())).arg(svg);
    [rsvg, chromium].into_iter().any(|mut command| {
        let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()) && png.is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{Case, Mask};

    fn line(work: &str, way: &str, set: impl FnOnce(&mut Line)) -> Line {
        let mut line = Line::empty(work.parse().unwrap(), Case { way: way.parse().unwrap(), mask: Mask::Two });
        set(&mut line);
        line
    }

    fn cpu(work: &str, way: &str, us: f64) -> Line {
        line(work, way, |line| line.cpu_us = Summary::of([us]))
    }

    #[test]
    fn lines_go_over_numbers_of_clients_in_their_order() {
        let lines = [
            cpu("canned-prepared-64", "gateway", 9.0),
            cpu("canned-prepared-1", "gateway", 30.0),
            cpu("canned-prepared-1", "pgbouncer", 20.0),
            cpu("prepared-1", "gateway", 99.0),
        ];
        let panels = over_clients(&lines, Backend::Canned);
        assert_eq!(panels.len(), 1);
        assert_eq!(panels[0].1, [Series { way: "gateway".parse().unwrap(), points: vec![(1, 30.0), (64, 9.0)] }]);
        assert!(over_clients(&lines, Backend::Postgres).is_empty());
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let lines = [
            line("mixed", "pgbouncer", |l| (l.p99_us, l.beside_p99_us) = (Summary::of([50.0]), Summary::of([100.0]))),
            line("mixed", "gateway", |l| (l.p99_us, l.beside_p99_us) = (Summary::of([25.0]), Summary::of([30.0]))),
        ];
        let groups = bars(&lines, |_| true, |l| l.p99_us, |l| l.beside_p99_us.map(|s| s.median));
        let plot = Plot { name: "x", title: "a < b".to_owned(), unit: "µs", body: Body::Bars(groups) };
        let svg = plot.svg();
        let width = |n: usize| -> f64 {
            let rect = svg.match_indices("<rect x=").nth(n).unwrap().0;
            let rest = &svg[rect..];
            let from = rest.find("width=\"").unwrap() + 7;
            rest[from..from + rest[from..].find('"').unwrap()].parse().unwrap()
        };
        // Pale and full of pgbouncer, then of the gateway.
        assert!((width(1) * 2.0 - width(0)).abs() < 0.3);
        assert!((width(3) * 4.0 - width(0)).abs() < 0.6);
        assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("50.0 / 100 µs"));
    }

    #[test]
    fn scales_go_as_far_as_their_values_and_read_well() {
        let of = |values: &[f64]| ticks(values.iter().copied());
        assert_eq!(of(&[12.0, 340.0]), [10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(of(&[20.0]), [20.0, 50.0]);
        assert!(of(&[]).len() >= 2 && of(&[1e300]).len() >= 2 && of(&[0.0]).len() >= 2);
    }
}
