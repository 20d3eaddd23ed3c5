//! From any rate to the telephone's: one low-pass filter, cut into as many phases as there are places of an output
//! sample between two input samples.

use super::wav::RATE;

/// What is kept, in parts of the lower of both rates: up to 3.4 kHz of 8 kHz, a telephone's whole band.
const PASSES: f64 = 0.425;

/// What is gone, in parts of the same: from 4.2 kHz on; what is left between folds back to above 3.8 kHz.
const STOPS: f64 = 0.525;

/// By how much what is above that is weaker, in decibels.
const REJECTION: f64 = 66.0;

/// Sums that go on side by side, so that the processor can do several at once.
const LANES: usize = 8;

/// A filter from one rate to the telephone's.
#[derive(Debug)]
pub struct Filter {
    /// Input and output samples of one round, without common divisor.
    rates: (usize, usize),
    /// Factors of one phase.
    taps: usize,
    /// All phases, one after the other.
    factors: Vec<f32>,
}

impl Filter {
    /// A filter for sound of a rate, in samples a second.
    pub fn new(rate: u32) -> Self {
        let rate = rate.max(1);
        let common = greatest_common_divisor(rate, RATE);
        let (input, output) = ((rate / common) as usize, (RATE / common) as usize);
        let lower = f64::from(rate.min(RATE)) / f64::from(rate);
        let (cut, width) = (lower * (PASSES + STOPS) / 2.0, lower * (STOPS - PASSES));
        // Kaiser's rules for the length and the window of a filter.
        let length = (REJECTION - 7.95) / (2.285 * std::f64::consts::TAU * width);
        let taps = (length.ceil() as usize + 1).next_multiple_of(LANES);
        let shape = 0.1102 * (REJECTION - 8.7);
        let half = taps as f64 / 2.0;
        let mut factors = Vec::with_capacity(taps * output);
        for phase in 0..output {
            let between = phase as f64 / output as f64;
            let own: Vec<f64> = (0..taps)
                .map(|tap| {
                    let away = tap as f64 + 1.0 - half - between;
                    let inside = (1.0 - (away / half).powi(2)).max(0.0);
                    2.0 * cut * sinc(2.0 * cut * away) * bessel(shape * inside.sqrt())
                })
                .collect();
            // Each phase by itself leaves a steady level as it is.
            let sum: f64 = own.iter().sum();
            factors.extend(own.iter().map(|factor| (factor / sum) as f32));
        }
        Self { rates: (input, output), taps, factors }
    }

    /// The same sound at the telephone's rate. Begins and ends where it did.
    pub fn apply(&self, samples: &[i16]) -> Vec<i16> {
        let (input, output) = self.rates;
        if input == output {
            return samples.to_vec();
        }
        // Silence around it, so that every output sample has all its neighbours.
        let before = self.taps / 2 - 1;
        let mut padded = vec![0.0f32; before + samples.len() + self.taps];
        for (place, sample) in padded[before..].iter_mut().zip(samples) {
            *place = f32::from(*sample);
        }
        let count = (samples.len() * output).div_ceil(input);
        let (mut at, mut phase) = (0, 0);
        let mut resampled = Vec::with_capacity(count);
        for _ in 0..count {
            let factors = &self.factors[phase * self.taps..][..self.taps];
            // The cast keeps to the bounds: what is too loud is cut off.
            resampled.push(product(&padded[at..][..self.taps], factors).round() as i16);
            phase += input;
            at += phase / output;
            phase %= output;
        }
        resampled
    }
}

fn product(samples: &[f32], factors: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (samples, factors) in samples.chunks_exact(LANES).zip(factors.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += samples[lane] * factors[lane];
        }
    }
    sums.iter().sum()
}

fn sinc(x: f64) -> f64 {
    let x = x * std::f64::consts::PI;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

/// The modified Bessel function of the first kind and order zero.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= (x / (2.0 * n)).powi(2);
        sum += term;
        n += 1.0;
    }
    sum
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000];

    /// A second of a tone, 10,000 high.
    fn tone(rate: u32, hertz: f64) -> Vec<i16> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..rate).map(|n| ((f64::from(n) * step).sin() * 10_000.0).round() as i16).collect()
    }

    /// How loud the middle of a sound is, in decibels of a tone of the test.
    fn level(samples: &[i16]) -> f64 {
        let middle = &samples[samples.len() / 4..samples.len() * 3 / 4];
        let power: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / middle.len() as f64;
        10.0 * (power / (10_000.0f64.powi(2) / 2.0)).max(1e-12).log10()
    }

    #[test]
    fn a_telephones_band_comes_through_as_loud_as_it_was() {
        for rate in RATES {
            let filter = Filter::new(rate);
            for hertz in [100.0, 1_000.0, 2_500.0, 3_300.0] {
                let loud = level(&filter.apply(&tone(rate, hertz)));
                assert!(loud.abs() < 0.1, "{hertz} Hz of {rate}: {loud} dB");
            }
        }
    }

    #[test]
    fn what_is_above_it_does_not_fold_back() {
        for rate in RATES.into_iter().filter(|rate| *rate > 8_500) {
            let filter = Filter::new(rate);
            let above = [4_200.0, 4_700.0, 5_400.0, 6_500.0, 7_900.0, 8_100.0, 10_500.0, 15_000.0, 23_000.0];
            for hertz in above.into_iter().filter(|hertz| *hertz < f64::from(rate) / 2.0) {
                let loud = level(&filter.apply(&tone(rate, hertz)));
                assert!(loud < -50.0, "{hertz} Hz of {rate}: {loud} dB");
            }
        }
    }

    #[test]
    fn lower_rates_come_up() {
        let filter = Filter::new(6_000);
        let (tone, expected) = (tone(6_000, 1_000.0), tone(8_000, 1_000.0));
        let heard = filter.apply(&tone);
        assert_eq!(heard.len(), 8_000);
        let apart = |n: usize| (i32::from(heard[n]) - i32::from(expected[n])).abs();
        assert!((2_000..6_000).all(|n| apart(n) < 100), "images, or another phase");
    }

    #[test]
    fn a_sound_keeps_its_length_its_place_and_its_silence() {
        for rate in RATES {
            let filter = Filter::new(rate);
            let mut samples = vec![0i16; rate as usize];
            // A click in the middle.
            samples[rate as usize / 2] = 30_000;
            let heard = filter.apply(&samples);
            assert_eq!(heard.len(), 8_000, "{rate}");
            let loudest = (0..8_000).max_by_key(|n| heard[*n].unsigned_abs()).unwrap();
            assert!(loudest.abs_diff(4_000) <= 1, "{rate}: {loudest}");
            assert!(heard[..3_900].iter().chain(&heard[4_100..]).all(|sample| *sample == 0), "{rate}");
        }
        assert!(Filter::new(22_050).apply(&[]).is_empty());
        assert_eq!(Filter::new(22_050).apply(&[7]).len(), 1);
        assert_eq!(Filter::new(44_100).apply(&[7; 12]).len(), 3);
    }

    #[test]
    fn what_is_too_loud_is_cut_off_and_does_not_turn_over() {
        // A square wave overshoots when its overtones go.
        let square: Vec<i16> = (0..22_050).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let heard = Filter::new(22_050).apply(&square);
        let turned = heard.windows(2).filter(|pair| (i32::from(pair[0]) - i32::from(pair[1])).abs() > 60_000).count();
        assert_eq!(turned, 0);
        assert!(heard.contains(&i16::MAX) && heard.contains(&i16::MIN));
        let steady = Filter::new(22_050).apply(&[i16::MAX; 4_000]);
        assert!(steady[200..1_200].iter().all(|sample| *sample == i16::MAX), "a steady level stays");
    }

    #[test]
    fn the_telephones_own_rate_is_left_alone() {
        let samples = [1, -2, 3, i16::MIN];
        assert_eq!(Filter::new(RATE).apply(&samples), samples);
    }
}
