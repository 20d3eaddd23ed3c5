//! What a metric is: its name, what it counts or measures, and by which labels. All that a metric may ever be called stands in
//! the [catalogue](super::catalogue); nothing else in the program names one.

use metrics::{Key, Label, Level, Metadata, SharedString, Unit};

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
#[derive(Clone, Copy, Debug)]
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
}

/// A label's word.
pub type Word = SharedString;

/// The facade wants to know where a metric is emitted from; nobody asks.
static METADATA: Metadata<'static> = Metadata::new("robocall", Level::INFO, None);

impl Metric {
    /// A counter.
    pub(super) const fn counter(role: Role, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter, role, by: &[] }
    }

    /// A gauge.
    pub(super) const fn gauge(role: Role, name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge, role, by: &[] }
    }

    /// A histogram.
    pub(super) const fn histogram(role: Role, name: &'static str, help: &'static str, bounds: &'static [f64]) -> Self {
        Self { name, help, kind: Kind::Histogram(bounds), role, by: &[] }
    }

    /// The same, told apart by these labels.
    pub(super) const fn by(mut self, by: &'static [By]) -> Self {
        self.by = by;
        self
    }

    /// Counts so many more.
    pub(super) fn add<const N: usize>(&self, words: [Word; N], more: u64) {
        debug_assert_eq!(self.kind, Kind::Counter, "{}", self.name);
        let key = self.key(words);
        metrics::with_recorder(|recorder| recorder.register_counter(&key, &METADATA).increment(more));
    }

    /// Counts one more.
    pub(super) fn count<const N: usize>(&self, words: [Word; N]) {
        self.add(words, 1);
    }

    /// Says how things are.
    pub(super) fn set<const N: usize>(&self, words: [Word; N], value: f64) {
        debug_assert_eq!(self.kind, Kind::Gauge, "{}", self.name);
        let key = self.key(words);
        metrics::with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).set(value));
    }

    /// Says that there is so much more, or less.
    pub(super) fn change<const N: usize>(&self, words: [Word; N], by: f64) {
        debug_assert_eq!(self.kind, Kind::Gauge, "{}", self.name);
        let key = self.key(words);
        metrics::with_recorder(|recorder| recorder.register_gauge(&key, &METADATA).increment(by));
    }

    /// Counts something of this size.
    pub(super) fn record<const N: usize>(&self, words: [Word; N], value: f64) {
        debug_assert!(matches!(self.kind, Kind::Histogram(_)), "{}", self.name);
        let key = self.key(words);
        metrics::with_recorder(|recorder| recorder.register_histogram(&key, &METADATA).record(value));
    }

    fn key<const N: usize>(&self, words: [Word; N]) -> Key {
        debug_assert_eq!(N, self.by.len(), "{}", self.name);
        if N == 0 {
            return Key::from_static_name(self.name);
        }
        let labels: Vec<Label> = self.by.iter().zip(words).map(|(by, word)| Label::new(by.name, word)).collect();
        Key::from_parts(self.name, labels)
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
            for labels in combinations(self.by) {
                let key = Key::from_parts(self.name, labels);
                match self.kind {
                    Kind::Counter => recorder.register_counter(&key, &METADATA).increment(0),
                    // What is not known yet is not zero.
                    Kind::Gauge => {}
                    Kind::Histogram(_) => drop(recorder.register_histogram(&key, &METADATA)),
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
