//! Sound as files: WAV read with patience, and written in the one form that every telephony server plays.

use std::time::Duration;

/// Samples a second of everything that is played.
pub const RATE: u32 = 8_000;

/// Bytes before the samples in a file that was written here.
pub const HEADER: usize = 44;

/// Rates that are taken, in samples a second.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// Most channels that are mixed.
const MOST_CHANNELS: u16 = 16;

/// Sound of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// Samples a second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

/// Why bytes are no sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSound {
    /// They are not a WAV file, or end before its samples.
    #[error("it is no WAV file")]
    NotWav,
    /// Nothing here reads samples of this form.
    #[error("it holds samples that are not understood: format {tag}, {bits} bits, {channels} channels, {rate} Hz")]
    Unknown {
        /// The format's number.
        tag: u16,
        /// Bits of a sample.
        bits: u16,
        /// Samples at a time.
        channels: u16,
        /// Samples a second.
        rate: u32,
    },
}

/// How samples are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    tag: u16,
    bits: u16,
    channels: u16,
    rate: u32,
}

const WHOLE: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;

impl Form {
    /// Whole numbers of sixteen bits, the lower byte first, without anything before them.
    pub const fn raw(rate: u32, channels: u16) -> Self {
        Self { tag: WHOLE, bits: 16, channels, rate }
    }

    /// Whether such samples can be read.
    pub fn is_known(self) -> bool {
        let width = matches!((self.tag, self.bits), (WHOLE, 8 | 16 | 24 | 32) | (FLOAT, 32 | 64) | (A_LAW | MU_LAW, 8));
        width && (1..=MOST_CHANNELS).contains(&self.channels) && RATES.contains(&self.rate)
    }

    fn of_chunk(chunk: &[u8]) -> Option<Self> {
        let tag = match u16_at(chunk, 0)? {
            // The real one begins a longer name.
            EXTENSIBLE => u16_at(chunk, 24)?,
            tag => tag,
        };
        Some(Self { tag, channels: u16_at(chunk, 2)?, rate: u32_at(chunk, 4)?, bits: u16_at(chunk, 14)? })
    }

    /// Reads samples and mixes their channels; a last one that is cut off is left out.
    ///
    /// # Errors
    /// When nothing here reads such samples.
    pub fn read(self, bytes: &[u8]) -> Result<Sound, NoSound> {
        let Self { tag, bits, channels, rate } = self;
        if !self.is_known() {
            return Err(NoSound::Unknown { tag, bits, channels, rate });
        }
        let width = usize::from(bits / 8);
        let samples = match (tag, bits) {
            (WHOLE, 16) if channels == 1 => {
                bytes.chunks_exact(2).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect()
            }
            (WHOLE, 8) => mixed(bytes, width, channels, |sample| (i32::from(sample[0]) - 128) << 8),
            (WHOLE, 16) => {
                mixed(bytes, width, channels, |sample| i32::from(i16::from_le_bytes([sample[0], sample[1]])))
            }
            // The upper sixteen bits are all that is kept.
            (WHOLE, _) => mixed(bytes, width, channels, |sample| {
                i32::from(i16::from_le_bytes([sample[width - 2], sample[width - 1]]))
            }),
            (FLOAT, 32) => mixed(bytes, width, channels, |sample| {
                whole(f64::from(f32::from_le_bytes([sample[0], sample[1], sample[2], sample[3]])))
            }),
            (FLOAT, _) => mixed(bytes, width, channels, |sample| {
                let mut eight = [0; 8];
                eight.copy_from_slice(sample);
                whole(f64::from_le_bytes(eight))
            }),
            (A_LAW, _) => mixed(bytes, width, channels, |sample| a_law(sample[0])),
            (_, _) => mixed(bytes, width, channels, |sample| mu_law(sample[0])),
        };
        Ok(Sound { rate, samples })
    }
}

/// The mean of all channels.
fn mixed(bytes: &[u8], width: usize, channels: u16, read: impl Fn(&[u8]) -> i32) -> Vec<i16> {
    let mix = |frame: &[u8]| {
        let sum: i32 = frame.chunks_exact(width).map(&read).sum();
        narrow(sum / i32::from(channels))
    };
    bytes.chunks_exact(width * usize::from(channels)).map(mix).collect()
}

fn narrow(sample: i32) -> i16 {
    i16::try_from(sample).unwrap_or(if sample < 0 { i16::MIN } else { i16::MAX })
}

/// From -1.0 to 1.0; louder is cut off, and what is no number is silence, as a cast makes it.
fn whole(sample: f64) -> i32 {
    (sample.clamp(-1.0, 1.0) * 32_767.0).round() as i32
}

/// ITU-T G.711.
fn a_law(code: u8) -> i32 {
    let code = code ^ 0x55;
    let (exponent, mantissa) = ((code >> 4) & 7, i32::from(code & 15));
    let level = match exponent {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (exponent - 1),
    };
    if code & 0x80 == 0 { -level } else { level }
}

/// ITU-T G.711.
fn mu_law(code: u8) -> i32 {
    let code = !code;
    let level = (((i32::from(code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84;
    if code & 0x80 == 0 { level } else { -level }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads a WAV file. Whoever writes one into a pipe does not know its length: what the file says of it counts only
/// where there is as much.
///
/// # Errors
/// When the bytes are no WAV file, or one of another kind of samples.
pub fn read(bytes: &[u8]) -> Result<Sound, NoSound> {
    if bytes.get(..4) != Some(b"RIFF") || bytes.get(8..12) != Some(b"WAVE") {
        return Err(NoSound::NotWav);
    }
    let (mut at, mut form) = (12, None);
    loop {
        let name = bytes.get(at..at + 4).ok_or(NoSound::NotWav)?;
        let said = usize::try_from(u32_at(bytes, at + 4).ok_or(NoSound::NotWav)?).unwrap_or(usize::MAX);
        let rest = &bytes[at + 8..];
        match (name, form) {
            (b"data", Some(form)) => {
                // Nothing at all is what a pipe's writer says, too.
                let there = if said == 0 { rest.len() } else { said.min(rest.len()) };
                return Form::read(form, &rest[..there]);
            }
            (b"fmt ", _) => {
                let chunk = rest.get(..said).ok_or(NoSound::NotWav)?;
                form = Some(Form::of_chunk(chunk).ok_or(NoSound::NotWav)?);
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = at.saturating_add(8).saturating_add(said).saturating_add(said & 1);
        if at > bytes.len() {
            return Err(NoSound::NotWav);
        }
    }
}

/// A file of 8,000 samples a second, sixteen bits each.
pub fn write(samples: &[i16]) -> Vec<u8> {
    let data = u32::try_from(samples.len() * 2).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER + samples.len() * 2);
    bytes.extend_from_slice(&header(data));
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn header(data: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&data.saturating_add(36).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16u32.to_le_bytes());
    header[20..22].copy_from_slice(&WHOLE.to_le_bytes());
    header[22..24].copy_from_slice(&1u16.to_le_bytes());
    header[24..28].copy_from_slice(&RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(RATE * 2).to_le_bytes());
    header[32..34].copy_from_slice(&2u16.to_le_bytes());
    header[34..36].copy_from_slice(&16u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header[40..44].copy_from_slice(&data.to_le_bytes());
    header
}

/// How many samples a file holds that was written here, told from its beginning and its size in bytes; none if it is
/// another's, or not whole.
pub fn samples_in(beginning: &[u8; HEADER], size: u64) -> Option<u32> {
    let data = u32::try_from(size.checked_sub(HEADER as u64)?).ok()?;
    (*beginning == header(data) && data % 2 == 0).then_some(data / 2)
}

/// How long so many samples play.
pub fn length(samples: u32) -> Duration {
    Duration::from_micros(u64::from(samples) * 1_000_000 / u64::from(RATE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &[u8; 4], said: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = name.to_vec();
        bytes.extend(said.to_le_bytes());
        bytes.extend(content);
        bytes
    }

    fn file(form: Form, data: &[u8], said: u32) -> Vec<u8> {
        let mut format = form.tag.to_le_bytes().to_vec();
        format.extend(form.channels.to_le_bytes());
        format.extend(form.rate.to_le_bytes());
        format.extend([0; 6]);
        format.extend(form.bits.to_le_bytes());
        let mut bytes = chunk(b"RIFF", 0, b"WAVE");
        bytes.extend(chunk(b"LIST", 3, b"odd\0"));
        bytes.extend(chunk(b"fmt ", 16, &format));
        bytes.extend(chunk(b"data", said, data));
        bytes
    }

    fn heard(tag: u16, bits: u16, channels: u16, data: &[u8]) -> Vec<i16> {
        let form = Form { tag, bits, channels, rate: 8_000 };
        read(&file(form, data, u32::try_from(data.len()).unwrap())).unwrap().samples
    }

    #[test]
    fn what_is_written_is_read_again() {
        let samples: Vec<i16> = (-400..400).map(|step| step * 81).collect();
        let bytes = write(&samples);
        assert_eq!(read(&bytes).unwrap(), Sound { rate: RATE, samples });
        assert_eq!(samples_in(bytes[..HEADER].try_into().unwrap(), bytes.len() as u64), Some(800));
        assert_eq!(length(800), Duration::from_millis(100));
    }

    #[test]
    fn a_file_that_is_not_whole_is_noticed() {
        let bytes = write(&[1, 2, 3]);
        let beginning: &[u8; HEADER] = bytes[..HEADER].try_into().unwrap();
        for size in [0, 43, 44, 48, 49, 51, 1 << 40] {
            assert_eq!(samples_in(beginning, size), None, "{size}");
        }
        assert_eq!(samples_in(&[0; HEADER], 50), None);
    }

    #[test]
    fn lengths_that_a_pipe_knows_nothing_of_are_not_believed() {
        let data = [1, 0, 2, 0, 3, 0];
        for said in [0, 6, 7, 0x7FFF_F000, u32::MAX] {
            let sound = read(&file(Form::raw(22_050, 1), &data, said)).unwrap();
            assert_eq!(sound, Sound { rate: 22_050, samples: vec![1, 2, 3] }, "{said}");
        }
        assert_eq!(read(&file(Form::raw(22_050, 1), &data, 4)).unwrap().samples, [1, 2], "a tag may follow");
    }

    #[test]
    fn samples_of_every_usual_form_are_read() {
        assert_eq!(heard(WHOLE, 8, 1, &[0, 128, 255]), [-32_768, 0, 32_512]);
        assert_eq!(heard(WHOLE, 16, 2, &[100, 0, 200, 0, 1]), [150], "channels are mixed, a rest is left out");
        assert_eq!(heard(WHOLE, 24, 1, &[9, 1, 2, 9, 0, 0x80]), [0x0201, i16::MIN]);
        assert_eq!(heard(WHOLE, 32, 1, &[9, 9, 1, 2]), [0x0201]);
        let float: Vec<u8> = [0.5f32, -2.0, f32::NAN].iter().flat_map(|sample| sample.to_le_bytes()).collect();
        assert_eq!(heard(FLOAT, 32, 1, &float), [16_384, -32_767, 0]);
        assert_eq!(heard(FLOAT, 64, 1, &1.0f64.to_le_bytes()), [32_767]);
        assert_eq!(heard(A_LAW, 8, 1, &[0xD5, 0x55, 0xAA, 0x2A]), [8, -8, 32_256, -32_256]);
        assert_eq!(heard(MU_LAW, 8, 1, &[0xFF, 0x7F, 0x80, 0x00]), [0, 0, 32_124, -32_124]);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        for bytes in
            [&b""[..], b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"<html>hello world</html>"]
        {
            assert_eq!(read(bytes), Err(NoSound::NotWav), "{bytes:?}");
        }
        let far = chunk(b"LIST", u32::MAX, b"");
        assert_eq!(read(&[&chunk(b"RIFF", 0, b"WAVE")[..], &far].concat()), Err(NoSound::NotWav));
        for form in [Form::raw(8_000, 0), Form::raw(1, 1), Form { tag: 85, ..Form::raw(8_000, 1) }] {
            assert!(matches!(read(&file(form, &[0; 8], 8)), Err(NoSound::Unknown { .. })), "{form:?}");
        }
    }
}
