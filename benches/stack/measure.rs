//! What the kernel says of a process, medians, and the table.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ticks of processor time a second, as Linux shows them to programs on every architecture of ours.
const TICKS: f64 = 100.0;

/// Processor time that a process has used so far, its threads included, in seconds.
pub fn cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name may have spaces; it ends with the last parenthesis.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS
}

/// A line of a process's status, such as `VmRSS` or `VmHWM`, in bytes.
pub fn memory(pid: u32, field: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1024.0
}

/// The machine's processors, as `taskset` lists them.
pub fn processors() -> String {
    fs::read_to_string("/sys/devices/system/cpu/online").unwrap().trim().to_owned()
}

/// Keeps processes, all their threads, to some processors.
pub fn keep_to(processors: &str, pids: &[u32]) {
    for pid in pids {
        let mut command = Command::new("taskset");
        let done = command.args(["-a", "-c", "-p", processors, &pid.to_string()]).stdout(Stdio::null()).status();
        assert!(done.unwrap().success(), "process {pid} is not kept to processors {processors}");
    }
}

/// A process that ends with whoever holds this.
pub struct Process(pub Child);

impl Process {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Processor time so far, in seconds.
    pub fn cpu(&self) -> f64 {
        cpu(self.pid())
    }

    /// Tells it to end, and waits until it has: what it led is another's to lead at once.
    pub fn end(mut self) {
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(told.success() && self.0.wait().unwrap().success(), "it did not end as it was told to");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks until there is an answer.
pub fn until<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The middle one.
pub fn median(figures: &[f64]) -> f64 {
    percentile(figures, 50.0)
}

/// What so many in a hundred do not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place in a list"
)]
pub fn percentile(figures: &[f64], percent: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() as f64 * percent / 100.0).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// A figure's target.
pub enum Target {
    /// At least this must be, and that is the aim.
    AtLeast(f64, f64),
    /// At most this may be, and that is the aim.
    AtMost(f64, f64),
    /// It is for the reader.
    None,
}

/// What was wanted and what was found.
#[derive(Default)]
pub struct Table(Vec<[String; 4]>);

impl Table {
    /// Notes a figure, and shows it at once.
    pub fn add(&mut self, what: &str, target: Target, figure: f64, unit: &str) {
        let aim = |must: f64, aim: f64| if must == aim { String::new() } else { format!(", aim {}", short(aim)) };
        let (wanted, verdict) = match target {
            Target::AtLeast(must, best) => {
                (format!(">= {}{}", short(must), aim(must, best)), grade(figure >= must, figure >= best))
            }
            Target::AtMost(must, best) => {
                (format!("<= {}{}", short(must), aim(must, best)), grade(figure <= must, figure <= best))
            }
            Target::None => (String::new(), ""),
        };
        let row = [what.to_owned(), wanted, format!("{} {unit}", short(figure)).trim().to_owned(), verdict.to_owned()];
        eprintln!("   {}: {} {}", row[0], row[2], row[3]);
        self.0.push(row);
    }

    /// Prints everything.
    pub fn print(&self) {
        let width = |column: usize| self.0.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second, third) = (width(0), width(1).max(6), width(2));
        println!("{:first$}  {:second$}  {:>third$}  verdict", "", "target", "figure");
        for [what, target, figure, verdict] in &self.0 {
            println!("{what:first$}  {target:second$}  {figure:>third$}  {verdict}");
        }
    }
}

fn grade(is_held: bool, is_reached: bool) -> &'static str {
    match (is_held, is_reached) {
        (true, true) => "reached",
        (true, false) => "held",
        (false, _) => "MISSED",
    }
}

fn short(figure: f64) -> String {
    match figure.abs() {
        0.0..10.0 => format!("{figure:.2}"),
        10.0..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
