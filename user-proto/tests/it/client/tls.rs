//! What a client says of the certificates, keys and names that it is given.

use user_proto::client::{Tls, TlsOptions, TlsPart};

#[test]
fn each_fault_names_its_part() {
    let (none, broken) =
        (Some(&b"no PEM at all"[..]), Some(&b"-----BEGIN CERTIFICATE-----\n!\n"[..]));
    let with = |authorities, certificate, key, server_name| TlsOptions {
        authorities,
        certificate,
        key,
        server_name,
    };
    for (options, part, wrong) in [
        (with(none, None, None, None), TlsPart::Authorities, "it holds no certificate in PEM"),
        (with(broken, None, None, None), TlsPart::Authorities, "it is broken PEM"),
        (with(None, none, None, None), TlsPart::Key, "it is missing"),
        (with(None, None, none, None), TlsPart::Certificate, "it is missing"),
        (with(None, none, none, None), TlsPart::Certificate, "it holds no certificate in PEM"),
        (
            with(None, None, None, Some("a b")),
            TlsPart::ServerName,
            "`a b` can not be the name of a certificate",
        ),
    ] {
        let fault = Tls::new(&options).unwrap_err();
        assert_eq!((fault.part, fault.wrong.as_str()), (part, wrong));
    }
}
