//! What clients require of a server's certificate, in words. Without this check, a certificate
//! starts the server and is then refused by every client.

use x509_parser::prelude::X509Certificate;
use x509_parser::x509::X509Version;

/// Checks a server's certificate as clients do.
///
/// # Errors
/// Says why clients refuse the certificate.
pub(super) fn check(certificate: &X509Certificate<'_>) -> Result<(), &'static str> {
    let is_authority = certificate
        .basic_constraints()
        .ok()
        .flatten()
        .is_some_and(|constraints| constraints.value.ca);
    let names = certificate.subject_alternative_name().ok().flatten();
    let has_names = names.is_some_and(|names| !names.value.general_names.is_empty());
    let usage = certificate.extended_key_usage().ok().flatten();
    if certificate.version() != X509Version::V3 {
        Err("it is of X.509 version 1, which clients refuse; it needs a subjectAltName")
    } else if is_authority && certificate.subject() == certificate.issuer() {
        Err("it is the certificate of an authority (CA:TRUE), as `openssl req -x509` creates it, \
             which clients refuse as the certificate of a server; it needs CA:FALSE and a \
             subjectAltName with the server's host name")
    } else if is_authority {
        Err("it is the certificate of an authority (CA:TRUE), which clients refuse as the \
             certificate of a server")
    } else if !has_names {
        Err("it has no subjectAltName, and clients ignore the common name (CN); it needs the \
             server's host name or IP address there")
    } else if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
        Err("its extended key usage does not include serverAuth, so clients refuse it")
    } else {
        Ok(())
    }
}
