//! The options about TLS, and the files that they name, as `user-proto` takes them. A wrong one is
//! told before anything is asked of the person or the server.

use std::path::Path;

use user_proto::client::{NoStream, Stream, Tls, TlsFault, TlsOptions, TlsPart};
use zeroize::Zeroizing;

use crate::args::Global;
use crate::failure::Failure;

/// TLS as the options say, or `None` where they say nothing of it.
pub(crate) fn of(global: &Global) -> Result<Option<Tls>, Failure> {
    let (ca, cert, key) = (global.ca.as_deref(), global.cert.as_deref(), global.key.as_deref());
    if !global.speaks_tls() {
        let in_vain = [
            ("--cert", cert.is_some()),
            ("--key", key.is_some()),
            ("--server-name", global.server_name.is_some()),
        ];
        return match in_vain.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::usage(
                format!("{option} says nothing without TLS"),
                "Add --ca FILE with the server's authority, or --tls where that is a public one.",
            )),
            None => Ok(None),
        };
    }
    match (cert, key) {
        (Some(_), None) => {
            return Err(Failure::usage(
                "--cert needs --key",
                "Name the file with its private key.",
            ));
        }
        (None, Some(_)) => {
            return Err(Failure::usage(
                "--key needs --cert",
                "Name the file with its certificate.",
            ));
        }
        _ => {}
    }
    let authorities = ca.map(|file| read("--ca", file)).transpose()?;
    let certificate = cert.map(|file| read("--cert", file)).transpose()?;
    let own_key = key.map(|file| read("--key", file)).transpose()?;
    let options = TlsOptions {
        authorities: authorities.as_ref().map(|bytes| bytes.as_slice()),
        certificate: certificate.as_ref().map(|bytes| bytes.as_slice()),
        key: own_key.as_ref().map(|bytes| bytes.as_slice()),
        server_name: global.server_name.as_deref(),
    };
    Tls::new(&options).map(Some).map_err(|TlsFault { part, wrong }| match part {
        TlsPart::Authorities => wrong_file(
            "--ca",
            ca,
            &wrong,
            "Name a file with the certificate of the server's authority in PEM.",
        ),
        TlsPart::Certificate => {
            wrong_file("--cert", cert, &wrong, "Name a file with your certificate in PEM.")
        }
        TlsPart::Key => wrong_file(
            "--key",
            key,
            &wrong,
            "Name a file with the private key of --cert in PEM, not encrypted.",
        ),
        TlsPart::ServerName => Failure::usage(
            format!("--server-name: {wrong}"),
            "Give a name of the server's certificate.",
        ),
    })
}

/// Connects as the client of `user-proto` does, for who speaks to the server without it.
pub(crate) async fn connect(addr: &str, tls: Option<&Tls>) -> Result<Stream, NoStream> {
    match tls {
        Some(tls) => Stream::connect_secret(addr, tls).await,
        None => Stream::connect(addr).await,
    }
}

fn read(option: &str, file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    std::fs::read(file).map(Zeroizing::new).map_err(|error| {
        Failure::usage(
            format!("{option}: can not read {}: {error}", file.display()),
            "Name a file in PEM that you may read.",
        )
    })
}

fn wrong_file(option: &str, file: Option<&Path>, wrong: &str, mend: &str) -> Failure {
    let file = file.map(|file| format!("{}: ", file.display())).unwrap_or_default();
    Failure::usage(format!("{option}: {file}{wrong}"), mend)
}
