//! An engine's process: started, fed, listened to and ended, within bounds.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use crate::ports::Clock;

/// Most bytes an engine may write for one prompt: twelve minutes of what it usually writes.
pub const MOST_BYTES: u64 = 32 << 20;

/// Most of an engine's complaint that is kept, in characters.
const COMPLAINT: usize = 200;

/// How often a file that an engine writes is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Runs processes, a few at a time, each for a while at most.
pub struct Runner {
    clock: Arc<dyn Clock>,
    places: Semaphore,
    within: Duration,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The program: a path, or a name to be looked for where programs are.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The file that it writes, whose size is watched; none: it writes to its output.
    pub writes: Option<PathBuf>,
}

/// What a process that came to its end has left.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its output.
    pub output: Vec<u8>,
    /// The first line of its complaints.
    pub complaint: String,
}

/// Why a process did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// It could not be started or listened to.
    #[error("{program} cannot be run: {error}")]
    NotRun {
        /// What was to be started.
        program: String,
        /// Why not.
        error: std::io::Error,
    },
    /// It took too long.
    #[error("{0} has not ended within {1:?}")]
    TooLong(String, Duration),
    /// It wrote too much.
    #[error("{0} has written more than {MOST_BYTES} bytes")]
    TooMuch(String),
}

impl Runner {
    /// Runs at most `places` processes at a time, each within `within`.
    pub fn new(clock: Arc<dyn Clock>, places: usize, within: Duration) -> Self {
        Self { clock, places: Semaphore::new(places.max(1)), within }
    }

    /// Runs a process with `input`. It ends with the future, and whatever it has started too.
    ///
    /// # Errors
    /// When it does not come to its end by itself.
    pub async fn run(&self, what: &Invocation, input: &[u8]) -> Result<Ran, Stopped> {
        let failed = |error| Stopped::NotRun { program: what.program.clone(), error };
        // Never closed.
        let _place = self.places.acquire().await.map_err(|error| failed(std::io::Error::other(error)))?;
        let mut command = Command::new(&what.program);
        command.args(&what.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Of its own group, so that a worker's Ctrl-C is not the engine's.
        command.kill_on_drop(true).process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let mut group = Group::of(&child);
        let give_up_at = self.clock.now() + self.within;
        let mut work = std::pin::pin!(talk(&mut child, input));
        let (status, output, complaint) = loop {
            let now = self.clock.now();
            let next = if what.writes.is_some() { give_up_at.min(now + LOOK) } else { give_up_at };
            tokio::select! {
                biased;
                done = &mut work => match done.map_err(failed)? {
                    Some(done) => break done,
                    None => return Err(Stopped::TooMuch(what.program.clone())),
                },
                () = self.clock.sleep_until(next) => {}
            }
            if what.writes.as_deref().is_some_and(is_too_large) {
                return Err(Stopped::TooMuch(what.program.clone()));
            }
            if self.clock.now() >= give_up_at {
                return Err(Stopped::TooLong(what.program.clone(), self.within));
            }
        };
        group.has_ended();
        Ok(Ran { status, output, complaint: first_line(&complaint) })
    }
}

fn is_too_large(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > MOST_BYTES)
}

/// Feeds a process and listens until it has ended; none: it says too much.
async fn talk(child: &mut Child, input: &[u8]) -> std::io::Result<Option<(ExitStatus, Vec<u8>, Vec<u8>)>> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that has heard enough closes it.
            let _closed = stdin.write_all(input).await;
        }
        Ok(())
    };
    let (mut output, mut complaint) = (Vec::new(), Vec::new());
    let told = async {
        let whole = heard(stdout, &mut output, MOST_BYTES).await?;
        // Whoever is not listened to any more may wait for ever.
        if whole { Ok(()) } else { Err(None) }
    };
    let complained = async {
        let mut rest = Vec::new();
        if let Some(mut stderr) = stderr {
            (&mut stderr).take(4 * COMPLAINT as u64).read_to_end(&mut complaint).await.map_err(Some)?;
            // It may go on complaining; nobody keeps that.
            while (&mut stderr).take(64 << 10).read_to_end(&mut rest).await.map_err(Some)? > 0 {
                rest.clear();
            }
        }
        Ok(())
    };
    match tokio::try_join!(feed, told, complained) {
        Ok(_) => Ok(Some((child.wait().await?, output, complaint))),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

/// Listens to the end, or says that there is more than `most`.
async fn heard(
    pipe: Option<impl AsyncRead + Unpin>,
    into: &mut Vec<u8>,
    most: u64,
) -> Result<bool, Option<std::io::Error>> {
    let Some(pipe) = pipe else { return Ok(true) };
    let length = pipe.take(most + 1).read_to_end(into).await.map_err(Some)?;
    Ok(length as u64 <= most)
}

/// The first line with anything in it, without what a terminal would take for orders.
fn first_line(complaint: &[u8]) -> String {
    let text = String::from_utf8_lossy(complaint);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(COMPLAINT).collect()
}

/// A process and all it has started, killed when this is dropped before it has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Its first process was not waited for yet, so the number is still its own.
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::ManualClock;

    fn shell(script: &str) -> Invocation {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        Invocation { program: "sh".to_owned(), arguments, writes: None }
    }

    fn runner(clock: &Arc<ManualClock>) -> Runner {
        Runner::new(Arc::<ManualClock>::clone(clock), 2, Duration::from_secs(5))
    }

    fn run(script: &str, input: &[u8]) -> Result<Ran, Stopped> {
        let clock = Arc::new(ManualClock::default());
        runtime().block_on(runner(&clock).run(&shell(script), input))
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    #[test]
    fn a_process_hears_its_input_and_is_heard() {
        let ran = run("cat; echo >&2; echo ' no\x1b such voice ' >&2; echo more >&2; exit 3", b"hello").unwrap();
        assert_eq!((ran.output.as_slice(), ran.complaint.as_str()), (&b"hello"[..], "no such voice"));
        assert_eq!(ran.status.code(), Some(3));
    }

    #[test]
    fn one_that_does_not_listen_or_complains_without_end_is_no_trouble() {
        assert!(run("exit 0", &vec![b'x'; 1 << 20]).unwrap().status.success());
        let ran = run("yes no | head -c 300000 >&2; echo done", b"").unwrap();
        assert_eq!((ran.output.as_slice(), ran.complaint.as_str()), (&b"done\n"[..], "no"));
    }

    #[test]
    fn one_that_writes_without_end_is_stopped() {
        assert!(matches!(run("yes", b""), Err(Stopped::TooMuch(_))));
    }

    #[test]
    fn one_that_is_not_there_is_named() {
        let clock = Arc::new(ManualClock::default());
        let absent = Invocation { program: "/no/such/engine".to_owned(), arguments: Vec::new(), writes: None };
        let error = runtime().block_on(runner(&clock).run(&absent, b"")).unwrap_err();
        assert!(error.to_string().starts_with("/no/such/engine cannot be run: "), "{error}");
    }

    #[test]
    fn one_that_takes_too_long_is_killed_and_so_is_what_it_has_started() {
        let folder = std::env::temp_dir().join(format!("robocall-process-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let pipe = folder.join("pipe");
        let clock = Arc::new(ManualClock::default());
        let runner = runner(&clock);
        // Its child holds the pipe open for as long as it lives.
        let script = format!("mkfifo '{0}'; sh -c 'exec >\"{0}\"; echo up; sleep 100'; true", pipe.display());
        runtime().block_on(async {
            let slow = shell(&script);
            let run = runner.run(&slow, b"");
            let watch = async {
                let path = pipe.clone();
                tokio::task::spawn_blocking(move || {
                    let opened = loop {
                        match std::fs::File::open(&path) {
                            Ok(file) => break file,
                            Err(_) => std::thread::yield_now(),
                        }
                    };
                    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(opened));
                    let first = lines.next().unwrap().unwrap();
                    (first, lines)
                })
                .await
                .unwrap()
            };
            let both = async {
                let (first, lines) = watch.await;
                assert_eq!(first, "up");
                clock.advance(Duration::from_secs(5));
                lines
            };
            let (ran, mut lines) = tokio::join!(run, both);
            assert!(matches!(ran, Err(Stopped::TooLong(_, bound)) if bound == Duration::from_secs(5)));
            let end = tokio::task::spawn_blocking(move || lines.next().is_none()).await.unwrap();
            assert!(end, "the child that held the pipe is gone");
        });
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_more_run_at_a_time_than_may() {
        let clock = Arc::new(ManualClock::default());
        let runner = runner(&clock);
        let folder = std::env::temp_dir().join(format!("robocall-places-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        // Each leaves a mark, counts the marks, and takes its own away.
        let script = format!("cd '{}'; touch $$; ls | wc -l; rm $$", folder.display());
        let counts = runtime().block_on(async {
            let what = shell(&script);
            futures_util::future::join_all((0..12).map(|_| runner.run(&what, b""))).await
        });
        for ran in counts {
            let count: u32 = String::from_utf8(ran.unwrap().output).unwrap().trim().parse().unwrap();
            assert!((1..=2).contains(&count), "{count} at a time");
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
