//! Issues certificates for a trial.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, Error, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use zeroize::Zeroizing;

use crate::format::unix_now;

/// Time in seconds by which the validity of the certificates begins before now, since clocks
/// differ.
const CLOCK_TOLERANCE: u64 = 3600;

/// Certificates of one authority, in PEM format.
pub(crate) struct Certified {
    pub(crate) authority: String,
    pub(crate) server: Identity,
    pub(crate) client: Identity,
    expires_at: u64,
}

/// A certificate with its private key, in PEM format.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: Zeroizing<String>,
}

impl Certified {
    /// Returns the time at which the certificates expire, in seconds since the Unix epoch.
    pub(crate) fn expires_at(&self) -> u64 {
        self.expires_at
    }
}

/// Creates an authority, and issues certificates to a server with these host names and IP addresses
/// and to a client. They are valid for `days`.
///
/// # Errors
/// If a name is invalid.
pub(crate) fn issue(names: &[String], client_name: &str, days: u32) -> Result<Certified, Error> {
    let now = unix_now();
    let expires_at = now + u64::from(days) * 86_400;
    let params = |names: Vec<String>, common_name: &str| {
        let mut params = CertificateParams::new(names)?;
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + Duration::from_secs(now.saturating_sub(CLOCK_TOLERANCE));
        params.not_after = epoch + Duration::from_secs(expires_at);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.use_authority_key_identifier_extension = true;
        Ok::<_, Error>(params)
    };
    let mut authority = params(Vec::new(), "user-cli dev-cert authority")?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let pem = authority.self_signed(&key)?.pem();
    let issuer = Issuer::new(authority, key);
    let identity = |names: Vec<String>, common_name: &str, purpose| {
        let mut params = params(names, common_name)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &issuer)?.pem();
        Ok::<_, Error>(Identity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    };
    Ok(Certified {
        authority: pem,
        server: identity(names.to_vec(), "user-server", ExtendedKeyUsagePurpose::ServerAuth)?,
        client: identity(
            vec![client_name.to_owned()],
            client_name,
            ExtendedKeyUsagePurpose::ClientAuth,
        )?,
        expires_at,
    })
}
