//! A certificate authority that is generated for a test, and its certificates as files.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes the authority's certificate and returns the name of the file.
    pub(crate) fn write(&self, file: &Path) -> String {
        write(file, &self.pem)
    }

    /// Writes a certificate for localhost and its key, and returns the names of the files.
    pub(crate) fn certify(&self, stem: &Path) -> [String; 2] {
        self.certify_until(stem, 2096)
    }

    /// Writes a certificate that expires at the start of `year`.
    pub(crate) fn certify_until(&self, stem: &Path, year: i32) -> [String; 2] {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        [
            write(&stem.with_extension("pem"), &certificate),
            write(&stem.with_extension("key"), &key.serialize_pem()),
        ]
    }
}

fn write(file: &Path, pem: &str) -> String {
    std::fs::write(file, pem).unwrap();
    file.to_str().unwrap().to_owned()
}
