//! Signatures of Standard Webhooks: HMAC-SHA256 over the message's id, the time of this try, and the body.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::model::HookSecret;

/// The value of `webhook-signature`: one signature by each secret, so that receivers can change from one to another.
/// `at` is in seconds, as `webhook-timestamp` says it. Empty without secrets.
pub fn signatures(secrets: &[HookSecret], id: &str, at: i64, body: &[u8]) -> String {
    let signed = secrets.iter().filter_map(|secret| {
        // A key may have any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.key()).ok()?;
        for part in [id.as_bytes(), b".", at.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vector_of_the_specification_is_signed_as_it_says() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signed = signatures(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn whoever_has_either_of_two_secrets_takes_it_for_genuine() {
        let secrets = [HookSecret::from_random([1; 32]), HookSecret::from_random([2; 32])];
        let (id, body) = ("a-0.1.2", "{\"amount\":\"5 €\"}");
        #[expect(clippy::disallowed_methods, reason = "the other library compares with the real clock")]
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let at = i64::try_from(now.as_secs()).unwrap();
        let mut headers = axum::http::HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", at.to_string().parse().unwrap());
        headers.insert("webhook-signature", signatures(&secrets, id, at, body.as_bytes()).parse().unwrap());
        for secret in &secrets {
            let receiver = standardwebhooks::Webhook::new(&secret.expose()).unwrap();
            receiver.verify(body.as_bytes(), &headers).unwrap();
            assert!(receiver.verify(b"{}", &headers).is_err());
        }
        let stranger = standardwebhooks::Webhook::new(&HookSecret::from_random([3; 32]).expose()).unwrap();
        assert!(stranger.verify(body.as_bytes(), &headers).is_err());
        assert_eq!(signatures(&[], id, at, body.as_bytes()), "");
    }
}
