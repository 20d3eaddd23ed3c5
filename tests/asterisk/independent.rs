//! A telephone that has nothing of Asterisk's: SIPp, behind a trunk of its own, which counts the INVITEs it gets.

use std::sync::OnceLock;
use std::time::Duration;

use robocall::callflow::program::Target;
use robocall::model::{DispositionResult, LegId, Party, Phone};
use robocall::ports::Telephony as _;
use robocall::ports::telephony::LegEvent;

use crate::asterisk::carrier::Carrier;
use crate::call::{Line, outcome};
use crate::outcomes::in_real_time;
use crate::sipp::Sipp;
use crate::world::{bed, network, number, tone_of};

const SECOND: Duration = Duration::from_secs(1);

/// Its place among the trunks.
const SIPP: usize = 3;

/// The telephone that these tests share, since they have one port for it.
fn telephone() -> &'static Sipp {
    static TELEPHONE: OnceLock<Sipp> = OnceLock::new();
    TELEPHONE.get_or_init(|| {
        let ports = bed().ours.ports();
        Sipp::start(ports.callee(), ports.callee_sound(), ports.callee_control())
    })
}

/// Dials a number of such a kind.
async fn call(line: &Line, kind: &str) -> (LegId, Phone) {
    let (leg, number) = (line.leg(1), number(kind, ""));
    telephone();
    line.dial(leg, Target::External(number), SIPP, 30).await;
    (leg, number)
}

/// It was dialled, and once.
fn was_dialled_once(number: Phone) {
    let invites = telephone().invites(&number.to_string());
    assert_eq!(invites, 1, "{number}: {}", telephone().said());
}

#[test]
fn a_telephone_rings_and_answers_and_is_played_to() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (leg, number) = call(&line, "10").await;
        let mut events = line.until(leg, |event| *event == LegEvent::Answered).await;
        assert_eq!(events, [LegEvent::Ringing, LegEvent::Answered]);
        line.play(leg, 1, &tone_of(700.0, 2 * SECOND)).await;
        line.until(leg, |event| *event == LegEvent::PlaybackFinished { playback: 1, played: true }).await;
        line.hang_up(leg).await;
        let (more, end) = line.hear_out(leg).await;
        events.extend(more);
        assert_eq!(outcome(&events, end, None).result, DispositionResult::Answered);
        was_dialled_once(number);
    });
}

#[test]
fn a_telephone_is_busy() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (leg, number) = call(&line, "20").await;
        let (events, end) = line.hear_out(leg).await;
        assert_eq!((&*events, end.cause, end.sip), (&[][..], Some(17), Some(486)));
        assert_eq!(outcome(&events, end, None).result, DispositionResult::Busy);
        was_dialled_once(number);
    });
}

#[test]
fn a_telephone_rings_until_we_give_up() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (leg, number) = call(&line, "30").await;
        line.until(leg, |event| *event == LegEvent::Ringing).await;
        line.hang_up(leg).await;
        let (events, end) = line.hear_out(leg).await;
        assert_eq!((events, end.by), (vec![], Some(Party::Us)));
        was_dialled_once(number);
    });
}

#[test]
fn a_telephone_hangs_up() {
    in_real_time(async {
        let mut line = Line::open().await;
        let (leg, number) = call(&line, "60").await;
        line.until(leg, |event| *event == LegEvent::Answered).await;
        let (events, end) = line.hear_out(leg).await;
        assert_eq!((events, end.by), (vec![], Some(Party::Callee)));
        was_dialled_once(number);
    });
}

#[test]
fn a_trunk_refuses_and_the_next_one_carries_the_call() {
    in_real_time(async {
        let mut line = Line::open().await;
        let number = number("10", "");
        let names: Vec<&str> = line.phones.trunks().iter().map(|name| &**name).collect();
        assert_eq!(names, ["carrier", "refused", "hole", "sipp"]);
        let refused = line.leg(1);
        line.dial(refused, Target::External(number), 1, 30).await;
        let (events, end) = line.hear_out(refused).await;
        assert_eq!((&*events, end.cause, end.sip), (&[][..], Some(34), Some(503)));
        let leg = line.reach(2, number).await;
        line.bye(leg).await;
        let invites = move |carrier: &Carrier| carrier.invites(&number.to_string());
        assert_eq!(network(invites).await, 1);
    });
}
