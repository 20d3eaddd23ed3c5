//! What a metric is: its name, what it counts or measures, and by which labels. All that a metric may ever be called stands in
//! the [catalogue](super::catalogue); nothing else in the program names one.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, Unit};

/// Which processes emit a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `robocall worker`: what this worker does.
    Worker,
    /// `robocall api`: what the interface and webhooks do, and what the store knows of everybody.
    Api,
    /// Both.
    Every,
}

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Grows, from zero at the start of the process.
    Counter,
    /// Says how things are.
    Gauge,
    /// Counts by size: upper bounds, growing, in the metric's unit.
    Histogram(&'static [f64]),
}

/// A label, and the words it may have where they are known before anything happens.
#[derive(Clone, Copy, Debug)]
pub struct By {
    /// The label's name.
    pub name: &'static str,
    /// Its words; none: they are names of the configuration.
    pub words: &'static [&'static str],
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name in full, unit and `_total` included.
    pub name: &'static str,
    /// What it says, in a sentence.
    pub help: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// Who emits it.
    pub role: Role,
    /// What it is told apart by.
    pub by: &'static [By],
    /// Its series, by their place among all ways in which its labels can be worded, each from when it is first needed. To look one up
    /// by its name would cost more than all else that counting does.
    series: OnceLock<Box<[OnceLock<Series>]>>,
}

/// Where one series is counted.
#[derive(Debug)]
enum Series {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// Whether anybody is to read what is counted in this process.
static COUNTING: AtomicBool = AtomicBool::new(false);

/// The facade wants to know where a metric is emitted from; nobody asks.
static METADATA: Metadata<'static> = Metadata::new("robocall", Level::INFO, None);

impl Metric {
    /// A counter.
    pub(super) const fn counter(role: Role, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, role, by: &[], series: OnceLock::new() }
    }

    /// A gauge.
    pub(super) const fn gauge(role: Role, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, role, by: &[], series: OnceLock::new() }
    }

    /// A histogram.
    pub(super) const fn histogram(role: Role, name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self { name, help, kind: Kind::Histogram(bounds), role, by: &[], series: OnceLock::new() }
    }

    /// The same, told apart by these labels.
    pub(super) const fn by(mut self, by: &'static [By]) -> Self {
        self.by = by;
        self
    }

    /// Counts so many more.
    pub(super) fn add<const N: usize>(&self, words: [&str; N], more: u64) {
        self.on(words, |series| {
            if let Series::Counter(counter) = series {
                counter.increment(more);
            }
        });
    }

    /// Counts one more.
    pub(super) fn count<const N: usize>(&self, words: [&str; N]) {
        self.add(words, 1);
    }

    /// Says how things are.
    pub(super) fn set<const N: usize>(&self, words: [&str; N], value: f64) {
        self.on(words, |series| {
            if let Series::Gauge(gauge) = series {
                gauge.set(value);
            }
        });
    }

    /// Says that there is so much more, or less.
    pub(super) fn change<const N: usize>(&self, words: [&str; N], by: f64) {
        self.on(words, |series| {
            if let Series::Gauge(gauge) = series {
                gauge.increment(by);
            }
        });
    }

    /// Counts something of this size.
    pub(super) fn record<const N: usize>(&self, words: [&str; N], value: f64) {
        self.on(words, |series| {
            if let Series::Histogram(histogram) = series {
                histogram.record(value);
            }
        });
    }

    fn on<const N: usize>(&self, words: [&str; N], act: impl FnOnce(&Series)) {
        debug_assert_eq!(N, self.by.len(), "{}", self.name);
        if !COUNTING.load(Ordering::Relaxed) {
            // Tests of this room have recorders of their own, one after the other.
            if cfg!(test) {
                act(&self.registered(self.labels(words)));
            }
            return;
        }
        match self.series.get().zip(self.place(words)).and_then(|(series, place)| series.get(place)) {
            Some(series) => act(series.get_or_init(|| self.registered(self.labels(words)))),
            // Names of the configuration are looked up.
            None => act(&self.registered(self.labels(words))),
        }
    }

    /// The place of these words among all ways of wording the labels.
    fn place<const N: usize>(&self, words: [&str; N]) -> Option<usize> {
        self.by.iter().zip(words).try_fold(0, |place, (by, word)| {
            let at = by.words.iter().position(|known| *known == word)?;
            Some(place * by.words.len() + at)
        })
    }

    fn labels<const N: usize>(&self, words: [&str; N]) -> Vec<Label> {
        let label = |(by, word): (&By, &str)| match by.words.iter().find(|known| **known == word) {
            Some(known) => Label::from_static_parts(by.name, known),
            None => Label::new(by.name, word.to_owned()),
        };
        self.by.iter().zip(words).map(label).collect()
    }

    fn registered(&self, labels: Vec<Label>) -> Series {
        metrics::with_recorder(|recorder| self.register(recorder, labels))
    }

    fn register(&self, recorder: &dyn Recorder, labels: Vec<Label>) -> Series {
        let key = Key::from_parts(self.name, labels);
        match self.kind {
            Kind::Counter => Series::Counter(recorder.register_counter(&key, &METADATA)),
            Kind::Gauge => Series::Gauge(recorder.register_gauge(&key, &METADATA)),
            Kind::Histogram(_) => Series::Histogram(recorder.register_histogram(&key, &METADATA)),
        }
    }

    /// Has its series kept at hand: the recorder is the process's, and stays.
    pub(super) fn keep(&self) {
        if self.by.iter().all(|by| !by.words.is_empty()) {
            let series = self.by.iter().map(|by| by.words.len()).product();
            let _kept_already = self.series.set((0..series).map(|_| OnceLock::new()).collect());
        }
    }

    /// Tells the recorder what it is, and begins at zero wherever it is known by what: a rate over the first event is else
    /// never seen.
    pub(super) fn begin(&self) {
        metrics::with_recorder(|recorder| {
            let (name, help) = (self.name.into(), self.help.into());
            match self.kind {
                Kind::Counter => recorder.describe_counter(name, self.unit(), help),
                Kind::Gauge => recorder.describe_gauge(name, self.unit(), help),
                Kind::Histogram(_) => recorder.describe_histogram(name, self.unit(), help),
            }
            if self.by.iter().any(|by| by.words.is_empty()) {
                return;
            }
            // What is not known yet is not zero.
            if self.kind != Kind::Gauge {
                for labels in combinations(self.by) {
                    if let Series::Counter(counter) = self.register(recorder, labels) {
                        counter.increment(0);
                    }
                }
            }
        });
    }

    /// By its name, which ends with it.
    fn unit(&self) -> Option<Unit> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match name.rsplit('_').next() {
            Some("seconds") => Some(Unit::Seconds),
            Some("bytes") => Some(Unit::Bytes),
            _ => None,
        }
    }
}

/// Somebody reads what is counted from now on, with the recorder of the process.
pub(super) fn begin_counting() {
    COUNTING.store(true, Ordering::Relaxed);
}

/// Every way in which labels can be worded; one without any if there are none.
fn combinations(by: &[By]) -> Vec<Vec<Label>> {
    by.iter().fold(vec![Vec::new()], |before, by| {
        let with = |labels: &Vec<Label>| {
            let labels = labels.clone();
            by.words.iter().map(move |word| {
                let mut labels = labels.clone();
                labels.push(Label::from_static_parts(by.name, word));
                labels
            })
        };
        before.iter().flat_map(with).collect()
    })
}
