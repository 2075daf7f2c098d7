//! The TLS options and their files, checked before the command prompts for anything or connects.

use std::path::Path;

use user_proto::client::{ConnectError, InvalidTlsOption, Stream, Tls, TlsOption, TlsOptions};
use zeroize::Zeroizing;

use crate::endpoint::Endpoint;
use crate::failure::Failure;

/// Returns the TLS configuration of a server, or `None` for a connection in plain text.
///
/// # Errors
/// If an option has no effect or lacks its counterpart, or if a file is not usable.
pub(crate) fn of_endpoint(endpoint: &Endpoint) -> Result<Option<Tls>, Failure> {
    let (ca, cert, key) =
        (endpoint.ca.as_deref(), endpoint.cert.as_deref(), endpoint.key.as_deref());
    if !endpoint.uses_tls() {
        let without_effect = [
            ("--cert", cert.is_some()),
            ("--key", key.is_some()),
            ("--server-name", endpoint.server_name.is_some()),
        ];
        return match without_effect.into_iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Failure::usage(
                format!("{} has no effect without TLS", endpoint.setting(option)),
                "Add --ca FILE with the server's certificate authority, or --tls if that is a \
                 public one.",
            )),
            None => Ok(None),
        };
    }
    match (cert, key) {
        (Some(_), None) => {
            return Err(Failure::usage(
                "--cert requires --key",
                "Pass the private key of the certificate with --key.",
            ));
        }
        (None, Some(_)) => {
            return Err(Failure::usage(
                "--key requires --cert",
                "Pass the certificate of the key with --cert.",
            ));
        }
        _ => {}
    }
    let authorities = ca.map(|file| read(&endpoint.setting("--ca"), file)).transpose()?;
    let certificate = cert.map(|file| read(&endpoint.setting("--cert"), file)).transpose()?;
    let private_key = key.map(|file| read(&endpoint.setting("--key"), file)).transpose()?;
    let options = TlsOptions {
        authorities: authorities.as_ref().map(|bytes| bytes.as_slice()),
        certificate: certificate.as_ref().map(|bytes| bytes.as_slice()),
        key: private_key.as_ref().map(|bytes| bytes.as_slice()),
        server_name: endpoint.server_name.as_deref(),
    };
    Tls::new(&options).map(Some).map_err(|InvalidTlsOption { option, reason }| match option {
        TlsOption::Authorities => invalid_file(
            &endpoint.setting("--ca"),
            ca,
            &reason,
            "Pass a PEM file with the certificate of the server's authority.",
        ),
        TlsOption::Certificate => invalid_file(
            &endpoint.setting("--cert"),
            cert,
            &reason,
            "Pass a PEM file with your client certificate.",
        ),
        TlsOption::Key => invalid_file(
            &endpoint.setting("--key"),
            key,
            &reason,
            "Pass a PEM file with the private key of --cert, not encrypted.",
        ),
        TlsOption::ServerName => Failure::usage(
            format!("{}: {reason}", endpoint.setting("--server-name")),
            "Pass a name from the server's certificate.",
        ),
    })
}

/// Opens a stream to the server in the same way as user-proto's client, for commands that write raw
/// frames.
pub(crate) async fn connect(addr: &str, tls: Option<&Tls>) -> Result<Stream, ConnectError> {
    match tls {
        Some(tls) => Stream::connect_tls(addr, tls).await,
        None => Stream::connect(addr).await,
    }
}

fn read(option: &str, file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    std::fs::read(file).map(Zeroizing::new).map_err(|error| {
        Failure::usage(
            format!("{option}: cannot read {}: {error}", file.display()),
            "Pass a readable file in PEM format.",
        )
    })
}

fn invalid_file(option: &str, file: Option<&Path>, reason: &str, hint: &str) -> Failure {
    let file = file.map(|file| format!("{}: ", file.display())).unwrap_or_default();
    Failure::usage(format!("{option}: {file}{reason}"), hint)
}
