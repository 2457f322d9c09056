//! Whom is believed: peers whose certificate was signed by a configured authority, directly or over others that they bring along.
//! A peer's name is not looked at, as in Redis: addresses change, keys do not.
//!
//! rustls' judge (webpki) decides. It knows neither certificates of version 1 nor authorities that show their own
//! certificate; these two are decided here, by less: a signature of an authority itself, and equality. Times count everywhere.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::certificate::Certificate;

/// The authorities, and how what they sign is checked.
#[derive(Debug)]
pub struct Trust {
    authorities: Vec<CertificateDer<'static>>,
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Believes these authorities.
    ///
    /// # Errors
    /// None of them can be read.
    pub fn new(
        authorities: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(authorities.iter().cloned());
        match added {
            0 => Err("no certificate of an authority in it".to_owned()),
            _ => Ok(Trust {
                authorities,
                roots: Arc::new(roots),
                algorithms: provider.signature_verification_algorithms,
            }),
        }
    }

    /// Decides on what webpki does not know; none: it does.
    fn beside_webpki(&self, peer: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), Error>> {
        let parsed = Certificate::parse(peer)?;
        let is_authority = self.authorities.iter().any(|known| known == peer);
        if parsed.version >= 3 && !is_authority {
            return None;
        }
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let bad = |what| Some(Err(Error::InvalidCertificate(what)));
        if now < parsed.from {
            return bad(CertificateError::NotValidYet);
        }
        if now > parsed.until {
            return bad(CertificateError::Expired);
        }
        let signed = || {
            let known = self
                .authorities
                .iter()
                .filter_map(|der| Certificate::parse(der));
            known
                .filter(|authority| authority.subject == parsed.issuer)
                .any(|authority| self.has_signed(&authority, &parsed, now))
        };
        match is_authority || signed() {
            true => Some(Ok(())),
            false => bad(CertificateError::UnknownIssuer),
        }
    }

    fn has_signed(&self, authority: &Certificate<'_>, of: &Certificate<'_>, now: i64) -> bool {
        let Some((algorithm, key)) = authority.public_key() else {
            return false;
        };
        (authority.from..=authority.until).contains(&now)
            && self.algorithms.all.iter().any(|known| {
                known.public_key_alg_id().as_ref() == algorithm
                    && known.signature_alg_id().as_ref() == of.algorithm
                    && known.verify_signature(key, of.signed, of.signature).is_ok()
            })
    }

    /// The public key of a certificate that webpki does not read.
    fn old_key<'a>(peer: &'a CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'a>> {
        let parsed = Certificate::parse(peer)?;
        (parsed.version < 3).then(|| SubjectPublicKeyInfoDer::from(parsed.key))
    }

    fn tls12(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(key) = Trust::old_key(peer) else {
            return verify_tls12_signature(message, peer, signed, &self.algorithms);
        };
        let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
        let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| bad())?;
        let schemes = self.algorithms.mapping.iter();
        schemes
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| algorithms.iter())
            .any(|algorithm| {
                key.verify_signature(*algorithm, message, signed.signature())
                    .is_ok()
            })
            .then(HandshakeSignatureValid::assertion)
            .ok_or_else(bad)
    }

    fn tls13(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match Trust::old_key(peer) {
            Some(key) => {
                verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
            None => verify_tls13_signature(message, peer, signed, &self.algorithms),
        }
    }
}

/// Whom we let in.
#[derive(Debug)]
pub struct Guests {
    trust: Arc<Trust>,
    webpki: Arc<dyn ClientCertVerifier>,
}

impl Guests {
    /// Those that are believed, and if a certificate is not `required` those who show none.
    ///
    /// # Errors
    /// What webpki says.
    pub fn new(
        trust: Arc<Trust>,
        required: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Guests, String> {
        let roots = Arc::clone(&trust.roots);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
        let builder = match required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        let webpki = builder.build().map_err(|error| error.to_string())?;
        Ok(Guests { trust, webpki })
    }
}

impl ClientCertVerifier for Guests {
    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        peer: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.trust.beside_webpki(peer, now) {
            Some(decided) => decided.map(|()| ClientCertVerified::assertion()),
            None => self.webpki.verify_client_cert(peer, between, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls12(message, peer, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls13(message, peer, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

/// Whom we connect to.
#[derive(Debug)]
pub struct Hosts(pub Arc<Trust>);

impl ServerCertVerifier for Hosts {
    fn verify_server_cert(
        &self,
        peer: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let trust = &self.0;
        let decided = trust.beside_webpki(peer, now).unwrap_or_else(|| {
            verify_server_cert_signed_by_trust_anchor(
                &ParsedCertificate::try_from(peer)?,
                &trust.roots,
                between,
                now,
                trust.algorithms.all,
            )
        });
        decided.map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.tls12(message, peer, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        peer: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.tls13(message, peer, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.algorithms.supported_schemes()
    }
}
