//! What a training tells, on the screen: bars on a terminal, plain lines elsewhere.

use crate::io::say;
use freqreg_train::train::Event;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shows events on standard error.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    terminal: bool,
    /// Where and when the phase began here: the base of the time left.
    began: Option<(&'static str, usize, Instant)>,
    seconds_left: f64,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress {
            bar: None,
            terminal: std::io::stderr().is_terminal(),
            began: None,
            seconds_left: 0.0,
        }
    }

    pub(crate) fn show(&mut self, event: &Event<'_>) {
        match *event {
            Event::Notice(text) => self.line(text),
            Event::Resumed { phase, step } => {
                self.line(&format!("{phase}: goes on after step {step}"));
            }
            Event::Step {
                phase,
                step,
                steps,
                epoch,
                loss,
                metric,
                score,
                kept,
            } => {
                let (_, first, since) = match self.began {
                    Some(began) if began.0 == phase => began,
                    _ => {
                        self.finish();
                        *self.began.insert((phase, step, Instant::now()))
                    }
                };
                let made = step.saturating_sub(first);
                if made > 0 {
                    let a_step = since.elapsed().as_secs_f64() / made as f64;
                    self.seconds_left = a_step * (steps - step) as f64;
                }
                if self.terminal {
                    let bar = self.bar.get_or_insert_with(|| new_bar(steps));
                    bar.set_prefix(phase);
                    bar.set_position(step as u64);
                    bar.set_message(format!(
                        "epoch {epoch}  loss {loss:.4}  {}{kept} numbers  {} left",
                        score.map_or(String::new(), |s| format!(
                            "{} {}  ",
                            metric.name(),
                            metric.show(s)
                        )),
                        duration(self.seconds_left)
                    ));
                }
                if step == steps {
                    self.finish();
                }
            }
            Event::Epoch {
                phase,
                metric,
                report,
                epochs,
            } => {
                self.line(&format!(
                    "{phase:11} epoch {:2} of {epochs}  loss {:.4}  {}validation {}  {} numbers kept  {} left",
                    report.epoch,
                    report.loss,
                    report.train.map_or(String::new(), |s| format!("training {}  ", metric.show(s))),
                    metric.show(report.validation),
                    report.kept,
                    duration(self.seconds_left)
                ));
            }
        }
    }

    /// A line that stays, above the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar(steps: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:11} {wide_bar} {pos}/{len}\n{msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps as u64).with_style(style)
}

/// Counts on a terminal what is tried, of so many; elsewhere it is silent.
pub(crate) fn tries(of: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:11} {wide_bar} {pos}/{len}  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(of as u64)
        .with_style(style)
        .with_prefix("trying")
}

fn duration(seconds: f64) -> String {
    let d = Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs();
    match (d / 3600, d / 60 % 60, d % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}
