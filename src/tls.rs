//! The one provider of cryptography that everything in this program uses.

/// Makes it known to the libraries that ask for one. Called first of all, and as often as one likes.
pub fn install_provider() {
    // Refused if there is one already: ours, from an earlier call.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
