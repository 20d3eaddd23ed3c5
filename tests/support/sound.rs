//! Sound for tests: WAV files of telephones (16 bits, 8000 a second, one channel), written, read and measured.

#![allow(dead_code, reason = "each test program uses what it needs")]

use std::f64::consts::TAU;
use std::time::Duration;

/// Samples a second.
const RATE: u32 = 8000;

/// A sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    samples: Vec<i16>,
}

impl Sound {
    /// A tone: its frequency, how loud it is (dB below the loudest), how long.
    pub fn tone(hertz: f64, level: f64, length: Duration) -> Self {
        let top = f64::from(i16::MAX) * 10_f64.powf(level / 20.0);
        let sample = |at: u32| (top * (TAU * hertz * f64::from(at) / f64::from(RATE)).sin()).round();
        let count = (length.as_secs_f64() * f64::from(RATE)).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "both are within their bounds")]
        let samples = (0..count as u32).map(|at| sample(at) as i16).collect();
        Self { samples }
    }

    /// Nothing to be heard.
    pub fn silence(length: Duration) -> Self {
        Self::tone(0.0, 0.0, length)
    }

    /// This and then another.
    pub fn then(mut self, other: &Self) -> Self {
        self.samples.extend(&other.samples);
        self
    }

    /// What is in a WAV file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
            return Err("no WAV file");
        }
        let mut at = 12;
        let mut fits = false;
        while let (Some(name), Some(length)) = (bytes.get(at..at + 4), word(at + 4)) {
            let begin = at + 8;
            let length = usize::try_from(length).map_err(|_| "too long")?;
            match name {
                b"fmt " => {
                    // PCM and one channel, then the rate, then how many bits.
                    let [kind, rate, bits] = [word(begin), word(begin + 4), word(begin + 12).map(|word| word >> 16)];
                    fits = (kind, rate, bits) == (Some(0x0001_0001), Some(RATE), Some(16));
                }
                b"data" if fits => {
                    let data = bytes.get(begin..begin + length).ok_or("cut off")?;
                    let samples = data.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
                    return Ok(Self { samples });
                }
                b"data" => return Err("not a telephone's sound"),
                _ => {}
            }
            at = begin + length + length % 2;
        }
        Err("no sound in it")
    }

    /// As a WAV file.
    pub fn wav(&self) -> Vec<u8> {
        let data: Vec<u8> = self.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut wav = b"RIFF".to_vec();
        wav.extend((36 + length).to_le_bytes());
        wav.extend(b"WAVEfmt ");
        for word in [16, 0x0001_0001, RATE, 2 * RATE, 0x0010_0002] {
            wav.extend(word.to_le_bytes());
        }
        wav.extend(b"data");
        wav.extend(length.to_le_bytes());
        wav.extend(data);
        wav
    }

    /// How long it is.
    pub fn length(&self) -> Duration {
        Duration::from_secs(self.samples.len() as u64) / RATE
    }

    /// A part of it, as far as there is so much.
    pub fn part(&self, from: Duration, length: Duration) -> Self {
        let sample = |at: Duration| usize::try_from(at.as_millis() * u128::from(RATE) / 1000).unwrap_or(usize::MAX);
        let end = sample(from + length).min(self.samples.len());
        Self { samples: self.samples[sample(from).min(end)..end].to_vec() }
    }

    /// How loud it is altogether: dB below a square wave of the largest numbers; a loudest sine is at -3.
    pub fn loudness(&self) -> f64 {
        let energy: f64 = self.samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        decibels((energy / self.count()).sqrt())
    }

    /// How loud it is at a frequency, on the same scale (Goertzel's algorithm).
    pub fn loudness_at(&self, hertz: f64) -> f64 {
        let turn = TAU * hertz / f64::from(RATE);
        let (mut one, mut two) = (0.0, 0.0);
        for &sample in &self.samples {
            (one, two) = (f64::from(sample) + 2.0 * turn.cos() * one - two, one);
        }
        let power = one * one + two * two - 2.0 * turn.cos() * one * two;
        // Of a sine all the power is here: half of the amplitude's square times a quarter of the count's.
        decibels((2.0 * power).sqrt() / self.count())
    }

    /// When it is louder than so much for the first time, in steps of 20 ms.
    pub fn begins(&self, level: f64) -> Option<Duration> {
        let mut frames = self.samples.chunks(160).map(|frame| Self { samples: frame.to_vec() });
        let first = frames.position(|frame| frame.loudness() > level)?;
        Some(Duration::from_millis(20 * first as u64))
    }

    /// How much of it is louder than so much, in steps of 20 ms.
    pub fn louder_than(&self, level: f64) -> Duration {
        let frames = self.samples.chunks(160).map(|frame| Self { samples: frame.to_vec() });
        Duration::from_millis(20)
            * u32::try_from(frames.filter(|frame| frame.loudness() > level).count()).unwrap_or(u32::MAX)
    }

    /// How much of it is this tone and hardly anything else, in steps of 20 ms.
    pub fn tone_for(&self, hertz: f64) -> Duration {
        let frames = self.samples.chunks(160).map(|frame| Self { samples: frame.to_vec() });
        let tone = |frame: &Self| frame.loudness() > -50.0 && frame.loudness_at(hertz) > frame.loudness() - 3.0;
        Duration::from_millis(20) * u32::try_from(frames.filter(tone).count()).unwrap_or(u32::MAX)
    }

    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.samples.len().max(1)).unwrap_or(u32::MAX))
    }
}

/// dB below the largest number; silence is at -100.
fn decibels(level: f64) -> f64 {
    (20.0 * (level / f64::from(i16::MAX)).log10()).max(-100.0)
}
