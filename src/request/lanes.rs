//! Which destinations share a clock, as far as a request tells: they are loaded into chunks together.

use crate::model::{Destination, Number, Phone};

/// Destinations with the same key are allowed to be called at the same hours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneKey {
    /// The destination names its zone.
    Zone(Box<str>),
    /// The zones of a country calling code.
    CallingCode(u16),
    /// There is nothing to dial.
    Undialable,
}

/// The lane of a destination.
pub fn lane_of(destination: &Destination) -> LaneKey {
    match (&destination.number, &destination.time_zone) {
        (Number::Invalid(_), _) => LaneKey::Undialable,
        (Number::Valid(_), Some(zone)) => LaneKey::Zone(zone.clone()),
        (Number::Valid(phone), None) => LaneKey::CallingCode(calling_code(*phone)),
    }
}

/// The country calling code a number begins with, after ITU-T E.164.
///
/// The codes are free of prefixes: 1 and 7 stand alone, the two-digit ones are listed, and all others have three digits.
/// Unassigned codes count as three digits too; a number shorter than its code is its own code.
pub fn calling_code(phone: Phone) -> u16 {
    let mut first_three = phone.digits();
    while first_three >= 1000 {
        first_three /= 10;
    }
    let code = match leading(first_three, 10) {
        1 | 7 => leading(first_three, 10),
        _ if is_two_digit_code(leading(first_three, 100)) => leading(first_three, 100),
        _ => first_three,
    };
    // Below 1000, so it fits.
    u16::try_from(code).unwrap_or(u16::MAX)
}

/// The leading digits of `number` that stay below `bound`.
const fn leading(mut number: u64, bound: u64) -> u64 {
    while number >= bound {
        number /= 10;
    }
    number
}

const fn is_two_digit_code(code: u64) -> bool {
    matches!(
        code,
        20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98
    )
}
