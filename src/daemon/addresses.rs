//! Addresses in the settings: whether they can be some, before anybody tries.

use super::worker::DaemonError;

/// Whether a setting is an address to listen on, or to connect to.
///
/// # Errors
/// When it is not.
pub(super) fn check_address(setting: &str, address: &str) -> Result<(), DaemonError> {
    let parts = address.rsplit_once(':').map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
    match parts {
        Some((false, Ok(_))) => Ok(()),
        _ => Err(DaemonError::Settings(format!("{setting}: {address:?} is not HOST:PORT, such as 127.0.0.1:9464"))),
    }
}

/// Whether a server's URL begins as it must. Of the URL nothing is said: it may hold a password.
///
/// # Errors
/// When it does not, or ends where a password goes on.
pub(super) fn check_url(setting: &str, url: &str, schemes: &[&str]) -> Result<(), DaemonError> {
    let wrong = |why: String| Err(DaemonError::Settings(format!("{setting}: {why}")));
    if !schemes.iter().any(|scheme| url.split_once("://").is_some_and(|(begins, _)| begins == *scheme)) {
        let begins: Vec<String> = schemes.iter().take(2).map(|scheme| format!("{scheme}://")).collect();
        return wrong(format!("it must begin with {}", begins.join(" or ")));
    }
    if url.split_once('#').is_some_and(|(_, rest)| rest.contains('@')) {
        return wrong("an address ends at #: in a user or a password write # as %23".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for address in ["127.0.0.1:9464", "[::1]:0", "worker.example:65535"] {
            assert!(check_address("metrics.listen", address).is_ok(), "{address}");
        }
        for address in ["9464", ":9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536"] {
            let error = check_address("metrics.listen", address).unwrap_err().to_string();
            assert!(error.starts_with("metrics.listen: ") && error.ends_with("127.0.0.1:9464"), "{error}");
        }
    }

    #[test]
    fn a_url_that_is_none_is_not_shown() {
        let redis = |url| check_url("redis.url", url, &["redis", "rediss", "unix"]).map_err(|error| error.to_string());
        for url in ["redis://:sesame@db/", "rediss://db/#insecure", "unix:///run/redis", "redis://:ses%23ame@db/"] {
            assert_eq!(redis(url), Ok(()), "{url}");
        }
        for url in ["db:6379", "http://:sesame@db/", "redis:sesame@db"] {
            assert_eq!(redis(url), Err("redis.url: it must begin with redis:// or rediss://".to_owned()), "{url}");
        }
        let error = redis("redis://:6#sesame@db/").unwrap_err();
        assert!(error.contains("write # as %23") && !error.contains("sesame"), "{error}");
    }
}
