//! How far something long has come: a bar on a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A line at most this often where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// What is counted, how many there are, and how many are done.
pub struct Progress {
    bar: ProgressBar,
    what: String,
    began: Instant,
    /// When the latest line was written; `None` on a terminal.
    said: Option<Mutex<Instant>>,
}

impl Progress {
    /// Begins to count; `total` may be 0 while nobody knows it.
    pub fn new(what: impl Into<String>, total: u64) -> Self {
        let (what, began) = (what.into(), Instant::now());
        if !std::io::stderr().is_terminal() {
            let bar = ProgressBar::hidden();
            bar.set_length(total);
            return Progress { bar, what, began, said: Some(Mutex::new(began)) };
        }
        let style =
            ProgressStyle::with_template("{msg:20} {bar:40} {human_pos}/{human_len} {per_sec:>12} {eta}")
                .expect("the template has no unknown key");
        let bar = ProgressBar::new(total).with_style(style).with_message(what.clone());
        Progress { bar, what, began, said: None }
    }

    /// One more is done.
    pub fn one(&self) {
        self.bar.inc(1);
        self.say();
    }

    /// So many are done, of so many.
    pub fn at(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
        self.say();
    }

    /// It is over: the bar goes, a last line stays where there is no terminal.
    pub fn finish(&self) {
        if self.said.is_some() {
            eprintln!("{}", self.line());
        }
        self.bar.finish_and_clear();
    }

    fn say(&self) {
        let Some(said) = &self.said else { return };
        let mut said = said.lock().expect("nobody panics while holding the time of the latest line");
        if said.elapsed() >= LINE {
            *said = Instant::now();
            eprintln!("{}", self.line());
        }
    }

    fn line(&self) -> String {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let rate = done as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        format!("{}: {done} of {total}, {rate:.0}/s", self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_is_counted_without_a_terminal_too() {
        let progress = Progress::new("orders", 3);
        progress.one();
        progress.one();
        assert!(progress.line().starts_with("orders: 2 of 3, "), "{}", progress.line());
        progress.at(5, 9);
        assert!(progress.line().starts_with("orders: 5 of 9, "), "{}", progress.line());
    }
}
