//! Whether what waits at the broker is taken: queues that exist may be down, or have nobody who takes from them.

use std::time::Duration;

use super::checkup::{Finding, SETTLED};
use super::console::{Console, ConsoleError};
use crate::adapters::amqp::{Client, Traffic};

/// How long the log of events may take until it can be read.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// What is there of requests and of commands.
type Both = [Result<Traffic, ConsoleError>; 2];

impl Console {
    /// Queues of requests and commands, and the log of events. What looks wrong is looked at twice: a worker that begins
    /// or ends takes from one before the other. How many workers there are, if that is known.
    pub(super) fn check_queues(&self, client: &Client, tell: &mut impl FnMut(Finding)) -> Option<u32> {
        let mut found = self.traffic(client);
        if workers(&found) == Some(0) || verdicts(&found).iter().any(|finding| finding.advice.is_some()) {
            self.pause(SETTLED);
            found = self.traffic(client);
        }
        verdicts(&found).into_iter().for_each(&mut *tell);
        tell(self.check_event_log(client));
        workers(&found)
    }

    fn traffic(&self, client: &Client) -> Both {
        [self.ask_broker(client.requests_waiting()), self.ask_broker(client.commands_waiting())]
    }

    /// Whether reading of the log can begin: one that is down is there all the same.
    fn check_event_log(&self, client: &Client) -> Finding {
        const CHECK: &str = "event log";
        let advice = "events are not kept: look at the broker's log; if the stream is down for good, delete its queue";
        match self.wait(self.within(READ_WITHIN, client.can_read_log())) {
            Some(Ok(())) => Finding::ok(CHECK, "it can be read"),
            Some(Err(error)) => Finding::fail(CHECK, self.of_broker(error).to_string(), advice),
            None => Finding::fail(CHECK, format!("reading does not begin within {READ_WITHIN:?}"), advice),
        }
    }
}

/// How many workers take from either, if one of the two is known: whoever stops takes commands to its end.
fn workers(both: &Both) -> Option<u32> {
    both.iter().filter_map(|of| of.as_ref().ok()).map(|traffic| traffic.takers).max()
}

/// What is to be said of them.
fn verdicts(both: &Both) -> [Finding; 2] {
    let workers = workers(both).unwrap_or(0);
    let [requests, commands] = both;
    [verdict("requests", requests, workers), verdict("commands", commands, workers)]
}

fn verdict(check: &'static str, found: &Result<Traffic, ConsoleError>, workers: u32) -> Finding {
    let Traffic { waiting, takers } = match found {
        Ok(traffic) => *traffic,
        Err(ConsoleError::NotFound) => {
            let advice = "look at the broker's log: its node may be away, or it has lost its leader";
            return Finding::fail(check, "their queue is not there, or down", advice);
        }
        Err(error) => return Finding::fail(check, error.to_string(), "look at the broker's log"),
    };
    let wait = format!("{waiting} {}", if waiting == 1 { "waits" } else { "wait" });
    if takers > 0 {
        let take = if takers == 1 { "1 worker takes".to_owned() } else { format!("{takers} workers take") };
        Finding::ok(check, format!("{wait}, {take} them"))
    } else if workers > 0 {
        let advice = "unless they are just stopping, look at their logs, and restart them";
        let are = if workers == 1 { "is" } else { "are" };
        Finding::warn(check, format!("{wait}, and no worker takes them, though {workers} {are} there"), advice)
    } else if waiting > 0 {
        Finding::warn(check, format!("{wait}, and there is no worker"), "start one: `robocall worker`")
    } else {
        Finding::ok(check, "none waits")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::Verdict;

    fn said(requests: (u32, u32), commands: (u32, u32)) -> [(Verdict, String); 2] {
        let both = [requests, commands].map(|(waiting, takers)| Ok(Traffic { waiting, takers }));
        verdicts(&both).map(|finding| (finding.status, finding.message))
    }

    #[test]
    fn workers_that_take_only_one_of_the_two_are_noticed() {
        let [requests, commands] = said((3, 0), (0, 2));
        let text = "3 wait, and no worker takes them, though 2 are there";
        assert_eq!(requests, (Verdict::Warn, text.to_owned()));
        assert_eq!(commands, (Verdict::Ok, "0 wait, 2 workers take them".to_owned()));
        let [requests, commands] = said((1, 1), (0, 0));
        assert_eq!(requests, (Verdict::Ok, "1 waits, 1 worker takes them".to_owned()));
        assert_eq!(commands.0, Verdict::Warn);
    }

    #[test]
    fn a_deployment_that_rests_without_workers_is_well_until_something_waits() {
        assert_eq!(said((0, 0), (0, 0)).map(|(verdict, _)| verdict), [Verdict::Ok, Verdict::Ok]);
        assert_eq!(said((1, 0), (0, 0)).map(|(verdict, _)| verdict), [Verdict::Warn, Verdict::Ok]);
    }

    #[test]
    fn a_queue_that_is_down_fails() {
        let found = [Err(ConsoleError::NotFound), Ok(Traffic { waiting: 0, takers: 1 })];
        assert_eq!(verdicts(&found).map(|finding| finding.status), [Verdict::Fail, Verdict::Ok]);
    }
}
