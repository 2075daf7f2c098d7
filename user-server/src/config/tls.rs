//! The server's certificate, as the environment names it.

use super::sources;
use super::vars::Reader;
use crate::tls::{Identity, TlsFiles};

/// The files, where they are named. What is wrong with them is noted with the other faults.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<TlsFiles> {
    let [certificate, key, client_authorities] =
        ["TLS_CERT", "TLS_KEY", "TLS_CLIENT_CA"].map(|name| vars.optional(name));
    if certificate.is_none() && key.is_none() && client_authorities.is_none() {
        return None;
    }
    for (name, file) in [("TLS_CERT", &certificate), ("TLS_KEY", &key)] {
        if file.is_none() {
            let mend =
                "TLS needs a certificate and its key: set TLS_CERT and TLS_KEY, or none of TLS_*.";
            vars.fault(name, "it is missing, and TLS is asked for".to_owned(), mend.to_owned());
        }
    }
    let client_authorities = client_authorities.map(Into::into);
    let files = TlsFiles { certificate: certificate?.into(), key: key?.into(), client_authorities };
    match Identity::read(&files) {
        Ok(_) => vars.note(sources::openness(&files.key)),
        Err(fault) => vars.fault(fault.part.variable(), fault.wrong, fault.part.mend().to_owned()),
    }
    Some(files)
}
