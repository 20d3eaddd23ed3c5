//! Where in the world a number rings, as far as its prefix tells: time zones by country calling code.
//!
//! Used only where nobody said in which zone a person lives, so the answer errs on the wide side: all zones in which
//! the number may be, one for each way the clocks run there. A number that may be anywhere in the world (satellites,
//! international networks, codes that nobody holds) gets `Etc/UTC`: there is no zone to prefer.

mod table;

use crate::model::Phone;

/// The zones in which a number may be: the longest prefix that is known decides. Never empty.
pub fn zones_of(phone: Phone) -> &'static [&'static str] {
    let mut head = phone.digits();
    while head >= 10_000_000 {
        head /= 10;
    }
    while head > 0 {
        if let Ok(found) = table::ZONES.binary_search_by_key(&head, |(prefix, _)| u64::from(*prefix)) {
            return table::ZONES[found].1;
        }
        head /= 10;
    }
    table::NOWHERE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> &'static [&'static str] {
        zones_of(text.parse().unwrap())
    }

    #[test]
    fn the_longest_prefix_decides() {
        assert_eq!(of("+6591234567"), ["Asia/Singapore"]);
        assert_eq!(of("+18765551234"), ["America/Jamaica"]);
        assert_eq!(of("+77011234567"), ["Asia/Almaty"]);
        assert_eq!(of("+262639123456"), ["Indian/Mayotte"]);
        assert_eq!(of("+262262123456"), ["Indian/Reunion"]);
        assert!(of("+12125551234").contains(&"Pacific/Honolulu"));
        assert!(of("+12125551234").contains(&"America/St_Johns"));
        assert!(of("+79161234567").contains(&"Asia/Kamchatka"));
    }

    #[test]
    fn a_number_of_nowhere_in_particular_is_read_on_utc() {
        for text in ["+999123456", "+8835100123", "+870123456", "+210123", "+80012345678"] {
            assert_eq!(of(text), ["Etc/UTC"], "{text}");
        }
    }

    #[test]
    fn every_zone_exists_and_the_table_is_sorted() {
        for (prefix, zones) in table::ZONES {
            assert!(!zones.is_empty(), "{prefix}");
            for name in *zones {
                assert!(jiff::tz::TimeZone::get(name).is_ok(), "{prefix}: {name}");
            }
        }
        assert!(table::ZONES.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn every_assigned_country_code_has_zones() {
        // ITU-T E.164, assigned to countries; shared codes once.
        const ASSIGNED: &str = "1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 \
            63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 \
            231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 \
            260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356 357 358 359 370 371 372 \
            373 374 375 376 377 378 379 380 381 382 383 385 386 387 389 420 421 423 500 501 502 503 504 505 506 507 508 509 \
            590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681 682 683 685 686 687 688 689 \
            690 691 692 850 852 853 855 856 880 886 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 992 \
            993 994 995 996 998";
        for code in ASSIGNED.split_whitespace() {
            let zones = of(&format!("{code}{}", "9".repeat(9)));
            assert_ne!(zones, table::NOWHERE, "{code}");
        }
    }
}
