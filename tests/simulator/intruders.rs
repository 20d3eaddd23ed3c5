//! Whoever sends what is no message loses the connection, and nobody else notices.

use robocall::adapters::simulator::MOST_BYTES;
use robocall::ports::Telephony as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::scene::{Served, ended, fresh_leg, in_real_time, until, within};

/// What a client says first.
pub const GREETING: [u8; 8] = *b"robosim\x03";

/// A request for the legs of the app `x`, as it stands on the wire: an id, the number of the question, a name.
pub fn legs_of_x() -> Vec<u8> {
    frame(&[0, 14, 1, b'x'])
}

fn frame(body: &[u8]) -> Vec<u8> {
    [&u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

/// Sends bytes and answers with what came back before the server closed.
async fn closed_after(served: &Served, bytes: &[u8]) -> Vec<u8> {
    let mut intruder = TcpStream::connect(served.address).await.unwrap();
    // The server may close before it has read everything.
    let _reset = intruder.write_all(bytes).await;
    let mut heard = Vec::new();
    let _reset = within(intruder.read_to_end(&mut heard)).await;
    heard
}

#[test]
fn rubbish_costs_the_connection_and_nothing_else() {
    in_real_time(async {
        let served = Served::at_speed(50.0).await;
        let worker = served.worker();
        let mut reports = worker.listen("w1").await;
        let too_long = u32::try_from(MOST_BYTES + 1).unwrap().to_le_bytes().to_vec();
        let rubbish = [
            frame(&[]),
            frame(&[0]),
            frame(&[0, 99]),
            frame(&[255; 40]),
            frame(&[0, 0, 0]),
            frame(&vec![7; MOST_BYTES]),
            too_long,
            vec![255; 4],
        ];
        for bytes in rubbish {
            closed_after(&served, &[&GREETING[..], &bytes].concat()).await;
            let leg = worker.call("w1", 20).await;
            assert_eq!(until(&mut reports, ended).await.leg, leg);
        }
        served.stop().await;
    });
}

#[test]
fn whoever_does_not_greet_is_not_answered() {
    in_real_time(async {
        let served = Served::at_speed(50.0).await;
        for greeting in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"robosim\x01", b"robosim\x00"] {
            assert_eq!(closed_after(&served, greeting).await, GREETING);
        }
        assert_eq!(served.worker().telephony.inspect(fresh_leg()).await, Ok(None));
        served.stop().await;
    });
}

#[test]
fn a_number_that_cannot_be_is_refused_like_rubbish() {
    in_real_time(async {
        let served = Served::at_speed(50.0).await;
        // Create: an app, a leg (index, hash, claim, role, ordinal), an external target, no caller, ten milliseconds, and ten.
        let create = |number: u8| {
            let leg = [&[0][..], &[9; 10], &[1, 0, 0]].concat();
            [&GREETING[..], &frame(&[&[0, 3, 1, b'x'][..], &leg, &[0, number, 0, 10, 10]].concat())].concat()
        };
        assert_eq!(closed_after(&served, &create(0)).await, GREETING);
        // With a number that can be, the same is answered.
        let mut client = TcpStream::connect(served.address).await.unwrap();
        client.write_all(&create(99)).await.unwrap();
        let mut answer = [0; GREETING.len() + 4 + 2];
        within(client.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer[GREETING.len() + 4..], [1, 0], "the answer to request 0");
        served.stop().await;
    });
}
