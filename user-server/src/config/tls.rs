//! Settings of the server's certificate.

use super::reader::Reader;
use super::sources;
use crate::tls::{Identity, TlsFiles};

/// Returns the files of the server's certificate, or `None` without a certificate and its key. Adds
/// an error if a file is missing or cannot be used.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<TlsFiles> {
    let [certificate, key, client_authorities] =
        ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"].map(|name| vars.optional(name));
    if certificate.is_none() && key.is_none() && client_authorities.is_none() {
        return None;
    }
    for (name, file) in [("TLS_CERT", &certificate), ("TLS_KEY", &key)] {
        if file.is_none() {
            vars.error(
                name,
                format!("{name} is not set: TLS needs a certificate and its key"),
                "Set TLS_CERT and TLS_KEY, or unset all TLS_* variables.",
            );
        }
    }
    let client_authorities = client_authorities.map(Into::into);
    let files = TlsFiles { certificate: certificate?.into(), key: key?.into(), client_authorities };
    match Identity::read(&files) {
        Ok(_) => vars.warn(sources::permission_warning(&files.key)),
        Err(fault) => {
            let path = files.path(fault.file).to_string_lossy();
            vars.invalid(fault.file.variable(), &path, &fault.reason, fault.file.hint());
        }
    }
    Some(files)
}
