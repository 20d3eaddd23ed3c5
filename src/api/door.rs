//! The door: whose key it is that asks, whether it is good for what is asked, and how often it may ask.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Api;
use super::answer::Refusal;
use crate::model::{ApiKey, ApiKeyRecord, KeyHash, KeyId, Scope};
use crate::ports::ApiKeys;

/// The header that carries a key, besides `Authorization: Bearer`.
pub(super) const KEY_HEADER: &str = "x-credential-api-key";

/// Keys that are remembered as good; past it, all are forgotten.
const REMEMBERED: usize = 10_000;

/// Every how many questions limits of those who ask no more are forgotten.
const TIDIED: u32 = 4_096;

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock, NoOpMiddleware>;

/// The door.
pub(super) struct Door {
    keys: Arc<dyn ApiKeys>,
    by_key: Limiter<KeyId>,
    strangers: Limiter<IpAddr>,
    clock: DefaultClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Keys that were good when they were last shown: whoever shows one is no stranger, however many strangers ask from
    /// the same address. What they are good for is looked up every time.
    known: BTreeMap<KeyId, KeyHash>,
    asked: u32,
}

impl Door {
    /// A door to which some keys fit, each so many times a second; and from one address so many a second may be tried
    /// that nobody was seen with lately, five times as many at once.
    pub fn new(keys: Arc<dyn ApiKeys>, per_second: u32, strangers: u32) -> Self {
        let least = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        let strangers = Quota::per_second(least(strangers)).allow_burst(least(strangers.saturating_mul(5)));
        Self {
            keys,
            by_key: RateLimiter::hashmap(Quota::per_second(least(per_second))),
            strangers: RateLimiter::hashmap(strangers),
            clock: DefaultClock::default(),
            state: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tidy(&self) {
        let mut state = self.lock();
        state.asked = state.asked.wrapping_add(1);
        if state.asked.is_multiple_of(TIDIED) {
            self.by_key.retain_recent();
            self.strangers.retain_recent();
        }
    }

    /// Whether a key that is known may ask once more.
    fn try_known(&self, id: &KeyId) -> Result<(), Refusal> {
        self.by_key.check_key(id).map_err(|until| {
            let wait = seconds(until.wait_time_from(self.clock.now()));
            Refusal::rate_limited(wait, "this key asks too often")
        })
    }

    /// Whether a key nobody was seen with lately may be tried from an address.
    fn try_stranger(&self, from: IpAddr) -> Result<(), Refusal> {
        self.strangers.check_key(&household(from)).map_err(|until| {
            let wait = seconds(until.wait_time_from(self.clock.now()));
            Refusal::rate_limited(wait, "too many keys that are not known were tried from this address")
        })
    }
}

/// Whose an address is: of those of version 6 one has at least 2⁶⁴.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

fn seconds(wait: std::time::Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1)
}

impl Api {
    /// Lets in whoever shows a key that is good for `scope`.
    pub(super) async fn let_in(
        &self,
        headers: &HeaderMap,
        from: IpAddr,
        scope: Scope,
    ) -> Result<(ApiKey, ApiKeyRecord), Refusal> {
        self.door.tidy();
        let key = match shown(headers) {
            Ok(Some(key)) => key,
            Ok(None) => {
                let how = format!("an API key is needed, in {KEY_HEADER} or as Authorization: Bearer");
                return Err(Refusal::unauthorised(how));
            }
            Err(message) => {
                self.door.try_stranger(from)?;
                return Err(Refusal::unauthorised(message));
            }
        };
        let (id, hash) = (key.id(), key.hash());
        let is_known = self.door.lock().known.get(id) == Some(&hash);
        // Whoever asks too often does not make the store be asked.
        if is_known {
            self.door.try_known(id)?
        } else {
            self.door.try_stranger(from)?
        }
        let Some(record) = self.ask(self.door.keys.find(id, &hash)).await? else {
            if is_known {
                // Only then: another secret under its public id says nothing about the key itself.
                self.door.lock().known.remove(id);
            }
            return Err(Refusal::unauthorised("this key is not known: revoked, perhaps"));
        };
        if !is_known {
            let mut state = self.door.lock();
            if state.known.len() >= REMEMBERED {
                state.known.clear();
            }
            state.known.insert(id.clone(), hash);
            drop(state);
            self.door.try_known(id)?;
        }
        if record.scopes.contains(&scope) {
            Ok((key, record))
        } else {
            Err(Refusal::forbidden(format!("this key is not good for it: the scope {scope} is needed")))
        }
    }
}

/// The key that is shown, if one is.
fn shown(headers: &HeaderMap) -> Result<Option<ApiKey>, &'static str> {
    const NO_KEY: &str = "this is no API key of this system";
    let bearer = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let text = value.to_str().map_err(|_| NO_KEY)?;
        let (scheme, key) = text.split_once(' ').ok_or(NO_KEY)?;
        if scheme.eq_ignore_ascii_case("bearer") { Ok(key.trim()) } else { Err("Authorization must be Bearer") }
    });
    let own = headers.get_all(KEY_HEADER).iter().map(|value| value.to_str().map_err(|_| NO_KEY));
    let mut found: Option<&str> = None;
    for key in bearer.chain(own) {
        let key = key?;
        if found.is_some_and(|found| found != key) {
            return Err("two different keys are shown");
        }
        found = Some(key);
    }
    found.map(|key| key.parse().map_err(|_| NO_KEY)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_network_of_version_6_is_one_stranger() {
        let of = |address: &str| household(address.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
