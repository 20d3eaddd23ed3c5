//! Amounts, shares and lengths of time, for people.

use std::time::Duration;

/// A share in tenths of a percent; nothing of nothing.
pub fn share(some: u64, of: u64) -> String {
    if of == 0 {
        return String::new();
    }
    // Tenths of a percent, in whole numbers, so that it is the same everywhere.
    let tenths = (u128::from(some) * 2000 / u128::from(of)).div_ceil(2);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// So many of something.
pub fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A length of time, for people: the two largest units.
pub fn lasting(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 100 => format!("{seconds}.{} s", length.subsec_millis() / 100),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_show_their_two_largest_units() {
        let shown = |millis| lasting(Duration::from_millis(millis));
        assert_eq!(shown(0), "0.0 s");
        assert_eq!(shown(12_340), "12.3 s");
        assert_eq!(shown(754_000), "12 min 34 s");
        assert_eq!(shown(7_500_000), "2 h 5 min");
        assert_eq!(shown(3 * 86_400_000 + 3_600_000), "3 d 1 h");
    }

    #[test]
    fn shares_are_rounded_to_tenths_of_a_percent() {
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(2, 3), "66.7 %");
        assert_eq!(share(3, 3), "100.0 %");
        assert_eq!(share(1, 0), "");
    }
}
