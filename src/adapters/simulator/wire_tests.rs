//! Frames survive the way, however they are cut, and what is none is refused.

use super::*;
use crate::model::{AttemptId, CallId};

fn leg(claim: u32) -> LegId {
    let call = CallId::new(&"acme".parse().unwrap(), &"r".parse().unwrap(), 7);
    LegId::callee(AttemptId { call, claim })
}

/// What comes out of an inbox that gets bytes in pieces of `piece`.
fn through_an_inbox(bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, Garbled> {
    let (mut inbox, mut frames) = (Inbox::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            let room = inbox.room();
            let taken = room.len().min(rest.len());
            assert!(taken > 0, "there is always room");
            room[..taken].copy_from_slice(&rest[..taken]);
            inbox.end += taken;
            rest = &rest[taken..];
            while let Some(frame) = inbox.frame()? {
                frames.push(frame.to_vec());
            }
        }
    }
    Ok(frames)
}

#[test]
fn frames_come_out_as_they_went_in_however_they_are_cut() {
    let mut bytes = Vec::new();
    for id in 0..300 {
        put(&mut bytes, &Asked { id, what: Question::Dial { leg: leg(id), ring_timeout: 30_000 } }).unwrap();
    }
    let long = Told::Legs((0..1_000).map(|claim| (leg(claim), LegState::Up)).collect());
    put(&mut bytes, &long).unwrap();
    for piece in [1, 3, 1_000, 17_000, 1_000_000] {
        let frames = through_an_inbox(&bytes, piece).unwrap();
        assert_eq!(frames.len(), 301);
        for (id, frame) in (0..300).zip(&frames) {
            let asked: Asked = read(frame).unwrap();
            assert!(matches!(asked.what, Question::Dial { leg: found, .. } if asked.id == id && found == leg(id)));
        }
        assert!(matches!(read(&frames[300]), Ok(Told::Legs(legs)) if legs.len() == 1_000));
    }
}

#[test]
fn a_list_of_the_greatest_length_fits_a_frame() {
    let call = CallId::new(&"acme".parse().unwrap(), &"r".parse().unwrap(), u32::MAX);
    let leg = LegId::transfer(AttemptId { call, claim: u32::MAX }, u16::MAX);
    put(&mut Vec::new(), &Told::Legs(vec![(leg, LegState::Up); LEGS_A_FRAME])).unwrap();
}

#[test]
fn a_frame_that_is_too_long_is_refused_by_its_length_alone() {
    assert_eq!(through_an_inbox(&[255; 4], 4), Err(Garbled::TooLong(u32::MAX as usize)));
    let mut bytes = Vec::new();
    let huge = Answer::Unavailable("x".repeat(MOST_BYTES));
    assert!(matches!(put(&mut bytes, &huge), Err(Garbled::TooLong(_))));
    assert!(bytes.is_empty(), "nothing of it is left");
}

#[test]
fn what_is_no_message_is_refused() {
    let mut good = Vec::new();
    put(&mut good, &Asked { id: 1, what: Question::HangUp { leg: leg(1) } }).unwrap();
    let good = &good[4..];
    assert!(read::<Asked>(good).is_ok());
    for end in 0..good.len() {
        assert!(read::<Asked>(&good[..end]).is_err(), "cut after {end} bytes");
    }
    assert!(read::<Asked>(&[good, &[0]].concat()).is_err(), "something behind it");
    assert!(read::<Asked>(&[1, 99]).is_err(), "no such question");
}

#[test]
fn only_a_busy_line_is_made_to_wait() {
    let clock = crate::conformance::ManualClock::default();
    let mut pace = Pace::new(BETWEEN_WRITES);
    let write = |pace: &mut Pace| {
        let wait = pace.next_write(clock.now());
        if let Some(next) = wait {
            clock.advance(next.since(clock.now()));
        }
        let mut gathering = std::pin::pin!(pace.gather(&clock));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while gathering.as_mut().poll(&mut context).is_pending() {}
        wait.is_some()
    };
    let waits = (0..20).map(|_| write(&mut pace)).collect::<Vec<_>>();
    assert_eq!(waits, [[false; 10], [true; 10]].concat(), "ten at once, then each a millisecond after the one before");
    clock.advance(Duration::from_millis(30));
    assert!(!write(&mut pace));
    for _ in 0..100 {
        clock.advance(Duration::from_millis(3));
        assert!(!write(&mut pace), "a write every three milliseconds is not busy");
    }
}
