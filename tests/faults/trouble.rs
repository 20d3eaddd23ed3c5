//! What is broken.

use std::time::Duration;

use crate::deployment::{Deployment, Links};
use crate::evidence::{Drained, Evidence};
use crate::processes::Process;
use crate::proxy::{Faults, Proxy};

/// How long connections are half-open: longer than a worker's authority, which is 20 s.
const HALF_OPEN: Duration = Duration::from_secs(22);

/// How long a worker is frozen: its leases, of 30 s, are others' then.
const FROZEN: Duration = Duration::from_secs(60);

/// How long a drained worker's calls may go on.
pub const GRACE_SECS: u64 = 1;

/// A connection of the worker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Redis,
    Broker,
    Phones,
}

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// `kill -9` of the worker.
    Crash,
    /// The same, and another process comes at once under its name.
    Rebirth,
    /// The worker stands still for a minute.
    Freeze,
    /// SIGTERM, with a time of grace that its calls outlast.
    Drain,
    /// `kill -9` of the database, which has written everything down.
    RedisCrash,
    /// The database forgets everything.
    Flush,
    /// `kill -9` of a database that has written nothing down.
    RedisLost,
    /// `kill -9` of the broker.
    BrokerCrash,
    /// A connection is cut, and refused for a second.
    Cut(Line),
    /// A connection is cut in the middle of something that the worker says.
    Torn(Line),
    /// Nothing passes, in neither direction, and nobody is told.
    HalfOpen(Line),
    /// What the server answers is lost.
    Swallowed(Line),
    /// Everything takes long.
    Slow,
    /// The request is published again.
    Doubled,
}

impl Links {
    pub fn of(&self, line: Line) -> &Proxy {
        match line {
            Line::Redis => &self.redis,
            Line::Broker => &self.broker,
            Line::Phones => &self.phones,
        }
    }
}

impl Trouble {
    /// How long it takes, to begin with what takes longest.
    pub fn length(self) -> u32 {
        match self {
            Trouble::Freeze => 60,
            Trouble::Crash | Trouble::Rebirth | Trouble::RedisCrash | Trouble::Flush | Trouble::RedisLost => 35,
            Trouble::HalfOpen(_) | Trouble::Swallowed(_) => 30,
            _ => 5,
        }
    }

    /// Whether the worker dies of it.
    pub fn is_fatal(self) -> bool {
        matches!(self, Trouble::Crash | Trouble::Rebirth)
    }

    /// Whether the database must survive a crash.
    pub fn wants_durability(self) -> bool {
        self == Trouble::RedisCrash
    }

    /// Breaks it. Everything is whole again when this returns, but for a worker that is gone.
    pub async fn strike(
        self,
        deployment: &Deployment,
        worker: &mut Process,
        links: &Links,
        seen: &mut Evidence,
    ) -> Result<(), String> {
        match self {
            Trouble::Crash => worker.kill(),
            Trouble::Rebirth => {
                worker.kill();
                *worker = deployment.worker("victim", Some(links), 60);
            }
            Trouble::Freeze => {
                worker.signal("STOP");
                deployment.pause(FROZEN).await;
                worker.signal("CONT");
            }
            Trouble::Drain => {
                let told_at = deployment.now();
                worker.signal("TERM");
                let ended =
                    deployment.until("the drained worker's end", Duration::from_secs(40), async || worker.ended());
                let code = Some(ended.await?);
                seen.drained.push(Drained { app: "victim".to_owned(), told_at, grace_secs: GRACE_SECS, code });
            }
            Trouble::RedisCrash => deployment.crash_redis(),
            Trouble::Flush => {
                seen.emptied_at = Some(deployment.now());
                deployment.flush().await;
            }
            Trouble::RedisLost => {
                seen.emptied_at = Some(deployment.now());
                deployment.crash_redis();
            }
            Trouble::BrokerCrash => deployment.crash_broker().await,
            Trouble::Cut(line) => {
                links.of(line).set(Faults { refuse: true, ..Faults::default() });
                links.of(line).cut();
                deployment.pause(Duration::from_secs(1)).await;
                links.of(line).set(Faults::default());
            }
            Trouble::Torn(line) => {
                links.of(line).set(Faults { cut_after: Some(64), ..Faults::default() });
                deployment.pause(Duration::from_secs(3)).await;
                links.of(line).set(Faults::default());
                links.of(line).cut();
            }
            Trouble::HalfOpen(line) => {
                links.of(line).set(Faults { black_hole: true, ..Faults::default() });
                deployment.pause(HALF_OPEN).await;
                links.of(line).set(Faults::default());
            }
            Trouble::Swallowed(line) => {
                links.of(line).set(Faults { swallow_replies: true, ..Faults::default() });
                deployment.pause(Duration::from_secs(8)).await;
                links.of(line).set(Faults::default());
                // What was swallowed has left a hole in the stream of bytes.
                links.of(line).cut();
            }
            Trouble::Slow => {
                let slow = Faults { latency: Duration::from_millis(300), ..Faults::default() };
                for line in [Line::Redis, Line::Broker, Line::Phones] {
                    links.of(line).set(slow);
                }
            }
            // The driver does it, since it has the request.
            Trouble::Doubled => {}
        }
        Ok(())
    }
}
