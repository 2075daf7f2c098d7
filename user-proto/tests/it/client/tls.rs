//! Errors about the certificates, keys and names in the TLS options.

use user_proto::client::{Tls, TlsOption, TlsOptions};

#[test]
fn each_error_names_its_option() {
    let (not_pem, broken) =
        (Some(&b"not in PEM format"[..]), Some(&b"-----BEGIN CERTIFICATE-----\n!\n"[..]));
    let with = |authorities, certificate, key, server_name| TlsOptions {
        authorities,
        certificate,
        key,
        server_name,
    };
    let no_certificate = "expected a certificate in PEM format";
    for (options, option, reason) in [
        (with(not_pem, None, None, None), TlsOption::Authorities, no_certificate),
        (with(broken, None, None, None), TlsOption::Authorities, "the PEM encoding is invalid"),
        (with(None, not_pem, None, None), TlsOption::Key, "the key of the certificate is missing"),
        (
            with(None, None, not_pem, None),
            TlsOption::Certificate,
            "the certificate of the key is missing",
        ),
        (with(None, not_pem, not_pem, None), TlsOption::Certificate, no_certificate),
        (
            with(None, None, None, Some("a b")),
            TlsOption::ServerName,
            "`a b` is not a valid server name",
        ),
    ] {
        let error = Tls::new(&options).unwrap_err();
        assert_eq!((error.option, error.reason.as_str()), (option, reason));
    }
}
