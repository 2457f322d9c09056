//! Who we are: a chain of certificates and the key of its first one, out of files in PEM form.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SigningKey};

use super::certificate::Certificate;
use super::passphrase::{self, Locked};
use crate::host::{Disk, read_all};

/// No file of certificates or keys is longer; that of all authorities of a system has a quarter of a megabyte.
const FILE_MAX: usize = 8 << 20;

/// Reads a file of certificates or keys.
///
/// # Errors
/// The system's words, for the end of a line.
pub fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, String> {
    read_all(disk, path, FILE_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "No such file or directory".to_owned(),
        _ => error.to_string(),
    })
}

/// The certificates of a file in PEM form; there may be none.
///
/// # Errors
/// What is wrong with the form.
pub fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    found.map_err(|error| format!("no PEM form: {error}"))
}

/// Certificates and key of two files. `password` opens the key, if it is locked.
///
/// # Errors
/// The line for the log.
pub fn load(
    disk: &dyn Disk,
    cert: &Path,
    key: &Path,
    password: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, String> {
    let failed = |why: String| format!("Failed to load certificate: {}: {why}", cert.display());
    let chain = certificates(&read(disk, cert).map_err(failed)?).map_err(failed)?;
    let first = chain
        .first()
        .ok_or_else(|| failed("no certificate in PEM form in it".to_owned()))?;
    let parsed = Certificate::parse(first)
        .ok_or_else(|| failed("its first certificate cannot be read".to_owned()))?;
    let failed = |why: String| format!("Failed to load private key: {}: {why}", key.display());
    let bytes = read(disk, key).map_err(failed)?;
    let signer = private_key(&bytes, password)
        .and_then(|key| {
            let loaded = provider.key_provider.load_private_key(key);
            loaded.map_err(|error| format!("{error}"))
        })
        .map_err(failed)?;
    if !is_key_of(&*signer, &parsed) {
        return Err(failed("it is not the key of the certificate".to_owned()));
    }
    Ok(Arc::new(CertifiedKey::new(chain, signer)))
}

/// Whether the certificate is of this key; what cannot be told is believed.
fn is_key_of(signer: &dyn SigningKey, certificate: &Certificate<'_>) -> bool {
    signer
        .public_key()
        .is_none_or(|public| public.as_ref() == certificate.key)
}

/// The first private key of a file in PEM form.
fn private_key(bytes: &[u8], password: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if let Some(locked) = Locked::find(bytes)? {
        return unlocked(&locked, password);
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => "no private key in PEM form in it".to_owned(),
        other => format!("no PEM form: {other}"),
    })
}

fn unlocked(locked: &Locked, password: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    if password.is_empty() {
        return Err("it is locked, and no password is configured for it".to_owned());
    }
    let der = passphrase::open(locked, password)?;
    Ok(match locked.kind {
        SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(der).into(),
        SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(der).into(),
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}
