//! Everything that goes wrong, one thing at a time, and what people do meanwhile.

use std::time::Duration;

use robocall::callflow::call::Invitation;
use robocall::callflow::program::{Target, TransferKind};
use robocall::command::{Command, CommandKind, SessionName};
use robocall::model::{CallId, LegRole, OrganisationId, Phone, RequestId, SessionType};
use robocall::ports::store::{CampaignStore, Given, LimitChange};

use super::World;

/// Most workers that run at once.
const CREW: usize = 4;

impl World {
    pub(super) async fn trouble(&mut self) {
        self.workers.retain(|worker| !worker.task.is_finished());
        let kind = self.dice.below(31);
        self.checker.tell(|| format!("trouble {kind}"));
        if self.workers.is_empty() && self.dice.below(2) == 0 {
            self.start_worker();
        }
        match kind {
            0 => self.crash(),
            1 | 2 => self.light_fuse(),
            3 | 4 => self.freeze_one(),
            5 => self.freeze_all(),
            6 | 7 if self.workers.len() < CREW => self.start_worker(),
            8 | 20 => self.start_namesake(),
            9 => self.drain_one(),
            10 => self.command(CommandKind::Pause),
            11 | 12 => self.command(CommandKind::Resume),
            13 if self.dice.below(3) == 0 => {
                let hang_up = self.dice.below(2) == 0;
                self.command(|request| CommandKind::Cancel { request, hang_up });
            }
            14 | 15 => self.ask_of_a_call(CommandKind::HangUp),
            24 | 25 => {
                let invitation = self.invitation();
                self.ask_of_a_call(|call| CommandKind::Invite { call, invitation });
            }
            28..=30 => {
                let (target, kind) = (self.somebody(), self.transfer_kind());
                self.ask_of_a_call(|call| CommandKind::Transfer { call, target, kind });
            }
            26 => self.send_somebody_away(),
            27 => {
                let on = self.dice.below(2) == 0;
                self.ask_of_a_call(|call| CommandKind::Record { call, on });
            }
            16 => self.change_settings().await,
            17 => self.change_external().await,
            18 => self.block_somebody().await,
            21 | 22 => self.ambush().await,
            23 => self.come_late(),
            19 => drop(self.queue.redeliver_unsettled()),
            _ => {}
        }
    }

    fn victim(&mut self) -> Option<usize> {
        let count = self.workers.len() as u64;
        (count > 0).then(|| self.dice.below(count) as usize)
    }

    fn crash(&mut self) {
        if let Some(victim) = self.victim() {
            self.workers.swap_remove(victim).task.abort();
            self.checker.count("crashes");
        }
    }

    fn light_fuse(&mut self) {
        if let Some(victim) = self.victim() {
            self.workers[victim].fate.light_fuse(self.dice.below(200) as i64);
            self.checker.count("crashes at an await");
        }
    }

    fn freeze_one(&mut self) {
        if let Some(victim) = self.victim() {
            let until = self.workers[victim].fate.freeze(Duration::from_millis(self.dice.below(90_000)));
            self.checker.crew.upset(until);
            self.checker.count("freezes");
        }
    }

    /// Workers stand still before they commit to a dial, and meanwhile somebody forbids it.
    async fn ambush(&mut self) {
        let length = Duration::from_millis(10_000 + self.dice.below(18_000));
        for worker in &self.workers {
            worker.fate.ambush(length);
        }
        self.pause(20_000).await;
        match self.dice.below(5) {
            0 => self.command(CommandKind::Pause),
            1 => self.command(|request| CommandKind::Cancel { request, hang_up: false }),
            2 => self.block_somebody().await,
            3 => self.change_external().await,
            _ => self.change_settings().await,
        }
    }

    /// Workers stand still after they were allowed to dial and before they do.
    fn come_late(&mut self) {
        let most = if self.dice.below(2) == 0 { 3_000 } else { 60_000 };
        for worker in &self.workers {
            worker.fate.make_late(Duration::from_millis(500 + self.dice.below(most)));
        }
    }

    fn freeze_all(&mut self) {
        let length = Duration::from_millis(self.dice.below(90_000));
        for worker in &self.workers {
            self.checker.crew.upset(worker.fate.freeze(length));
        }
        if !self.workers.is_empty() {
            self.checker.count("freezes of all workers at once");
        }
    }

    /// A worker starts again under a name that was used before; its namesake may still run, or be long dead and what it
    /// left be in other hands.
    fn start_namesake(&mut self) {
        if self.workers.len() >= CREW {
            return;
        }
        if let Some(victim) = self.victim().filter(|_| self.started.is_multiple_of(2)) {
            let id = self.workers[victim].id.clone();
            self.workers.swap_remove(victim).task.abort();
            self.checker.count("crashes");
            self.start_worker_named(id);
        } else if let Some(id) = self.any_name() {
            self.start_worker_named(id);
        }
        self.checker.count("restarts under the same name");
    }

    fn drain_one(&mut self) {
        if let Some(victim) = self.victim() {
            self.checker.crew.drain(&self.workers[victim].fate);
            self.checker.count("drains");
        }
    }

    fn command(&mut self, kind: impl FnOnce(RequestId) -> CommandKind) {
        let which = self.dice.below(self.submissions.len() as u64) as usize;
        let key = self.submissions[which].key.clone();
        self.send(key.organisation, kind(key.request));
    }

    fn send(&mut self, organisation: OrganisationId, kind: CommandKind) {
        let id = format!("command{}", self.dice.below(u64::MAX)).into();
        // Nobody waits for the reply: what counts is what the store acknowledged.
        drop(self.commands.send(Command { id, organisation, actor: None, expect: None, trace: None, kind }));
    }

    fn somebody(&mut self) -> Target {
        let targets = ["+9991077777", "+9991088888", "Ext:2000"];
        targets[self.dice.below(3) as usize].parse().unwrap()
    }

    fn transfer_kind(&mut self) -> TransferKind {
        if self.dice.below(3) == 0 { TransferKind::Blind } else { TransferKind::Attended }
    }

    fn invitation(&mut self) -> Invitation {
        let sessions = [SessionType::Monitor, SessionType::Coaching, SessionType::BargeIn];
        Invitation {
            role: if self.dice.below(2) == 0 { LegRole::Supervisor } else { LegRole::Participant },
            target: self.somebody(),
            caller: None,
            session: sessions[self.dice.below(3) as usize],
        }
    }

    /// Whoever was called in first is sent away, if anybody was.
    fn send_somebody_away(&mut self) {
        let role = if self.dice.below(2) == 0 { LegRole::Supervisor } else { LegRole::Participant };
        let there = self.checker.network().live_legs().into_iter().map(|(leg, _)| leg).find(|leg| leg.role == role);
        let session = there.map(SessionName::Leg);
        let session = session.unwrap_or_else(|| SessionName::Target("Ext:2000".parse().unwrap()));
        self.ask_of_a_call(|call| CommandKind::EndSession { call, session });
    }

    /// Somebody wants something of a call that is live, as a rule.
    fn ask_of_a_call(&mut self, kind: impl FnOnce(CallId) -> CommandKind) {
        let slots = self.store.audit_slots();
        let leased = slots.iter().flat_map(|slots| slots.leases.iter().map(|lease| (&slots.id, lease.leg)));
        let live: Vec<(&OrganisationId, CallId)> = leased
            .filter(|(_, leg)| leg.role == LegRole::Callee)
            .map(|(organisation, leg)| (organisation, leg.attempt.call))
            .collect();
        if live.is_empty() {
            return;
        }
        let (organisation, call) = live[self.dice.below(live.len() as u64) as usize];
        let organisation = organisation.clone();
        self.send(organisation, kind(call));
    }

    async fn change_settings(&mut self) {
        let organisation = self.any_organisation();
        let before = self.store.organisation(&organisation).await.unwrap();
        let mut settings = before.clone();
        settings.limit = self.dice.below(6) as u32;
        if self.dice.below(3) == 0 {
            settings.calls_per_second = (self.dice.below(2) == 0).then(|| 1 + self.dice.below(3) as u32);
        }
        let (set, given) = (LimitChange::Set, given());
        let changed = self.store.change_organisation(&organisation, &before, settings, set, Some(&given));
        assert!(changed.await.unwrap(), "nobody else changes them");
    }

    async fn change_external(&mut self) {
        let organisation = self.any_organisation();
        let value = match self.dice.below(6) {
            0 => Some("many".to_owned()),
            1 => Some("-2".to_owned()),
            2 => None,
            _ => Some(self.dice.below(4).to_string()),
        };
        self.store.set_external(&organisation, value).await.unwrap();
    }

    /// Somebody is put on the do-not-call list by other means than a call.
    async fn block_somebody(&mut self) {
        let which = self.dice.below(self.submissions.len() as u64) as usize;
        let (organisation, phones): (_, Vec<Phone>) =
            (self.submissions[which].key.organisation.clone(), self.submissions[which].phones.clone());
        let phone = phones[self.dice.below(phones.len() as u64) as usize];
        self.store.block_number(&organisation, phone, Some(&given())).await.unwrap();
        self.checker.blocked(&organisation, phone);
    }
}

/// A command to an organisation: whoever gives one is told of.
fn given() -> Given {
    Given { id: "command".into(), actor: None, expect: None }
}
