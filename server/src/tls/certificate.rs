//! A certificate (X.509), as far as it is looked at here. What rustls' own judge (webpki) takes is left to it; it takes none
//! of version 1, which is what `openssl x509 -req` makes where nobody asks for more, and no authority that shows its own
//! certificate as a peer. OpenSSL, and with it Redis, takes both.
//!
//! ```text
//!   Certificate { TbsCertificate { [0] version, serial, algorithm, issuer, { from, until }, subject, key, ... }, algorithm, signature }
//! ```

use super::der::{BIT_STRING, GENERALIZED_TIME, INTEGER, Reader, SEQUENCE, UTC_TIME};

/// Tag of the version, which is left out in version 1.
const VERSION: u8 = 0xa0;

/// The parts of a certificate; all but the times and the version as they stand in it.
#[derive(Debug)]
pub struct Certificate<'a> {
    /// What is signed, with tag and length.
    pub signed: &'a [u8],
    /// The algorithm of the signature, without tag and length.
    pub algorithm: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
    /// 1, 2 or 3.
    pub version: u64,
    /// Who has signed, without tag and length.
    pub issuer: &'a [u8],
    /// Whose it is, without tag and length.
    pub subject: &'a [u8],
    /// The public key with its algorithm, with tag and length.
    pub key: &'a [u8],
    /// From when it is good, seconds since 1970.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl<'a> Certificate<'a> {
    /// Reads a certificate; none, if it is not one.
    pub fn parse(der: &'a [u8]) -> Option<Certificate<'a>> {
        let mut outer = Reader::new(der).sequence()?;
        let (tag, contents, signed) = outer.any()?;
        if tag != SEQUENCE {
            return None;
        }
        let algorithm = outer.value(SEQUENCE)?;
        let signature = outer.value(BIT_STRING)?.strip_prefix(&[0])?;
        let mut parts = Reader::new(contents);
        let version = match parts.tag()? {
            VERSION => Reader::new(parts.value(VERSION)?).number()? + 1,
            _ => 1,
        };
        parts.value(INTEGER)?;
        // The same algorithm as outside, or somebody has changed one of them.
        if parts.value(SEQUENCE)? != algorithm {
            return None;
        }
        let issuer = parts.value(SEQUENCE)?;
        let mut times = parts.sequence()?;
        let (from, until) = (time(&mut times)?, time(&mut times)?);
        let subject = parts.value(SEQUENCE)?;
        let (tag, _, key) = parts.any()?;
        (tag == SEQUENCE).then_some(Certificate {
            signed,
            algorithm,
            signature,
            version,
            issuer,
            subject,
            key,
            from,
            until,
        })
    }

    /// The algorithm of the public key, and the key itself.
    pub fn public_key(&self) -> Option<(&'a [u8], &'a [u8])> {
        let mut parts = Reader::new(self.key).sequence()?;
        Some((
            parts.value(SEQUENCE)?,
            parts.value(BIT_STRING)?.strip_prefix(&[0])?,
        ))
    }
}

/// `YYMMDDhhmmssZ`, from 1950 on, or `YYYYMMDDhhmmssZ`: seconds since 1970.
fn time(reader: &mut Reader<'_>) -> Option<i64> {
    let (tag, text, _) = reader.any()?;
    let digits = text.strip_suffix(b"Z")?;
    let number = |part: &[u8]| -> Option<i64> { std::str::from_utf8(part).ok()?.parse().ok() };
    let (year, rest) = match (tag, digits.len()) {
        (UTC_TIME, 12) => {
            let year = number(&digits[..2])?;
            (year + if year < 50 { 2000 } else { 1900 }, &digits[2..])
        }
        (GENERALIZED_TIME, 14) => (number(&digits[..4])?, &digits[4..]),
        _ => return None,
    };
    let part = |at: usize| number(&rest[at..at + 2]);
    let days = days_since_1970(year, part(0)?, part(2)?);
    Some(((days * 24 + part(4)?) * 60 + part(6)?) * 60 + part(8)?)
}

/// Of the calendar that has been used since 1582, as if it always had been.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let in_year = (153 * month + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + in_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_since_1970() {
        let read = |tag: u8, text: &[u8]| {
            let der = [&[tag, text.len() as u8][..], text].concat();
            time(&mut Reader::new(&der))
        };
        assert_eq!(read(UTC_TIME, b"700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(UTC_TIME, b"500101000000Z"), Some(-631_152_000));
        assert_eq!(
            read(GENERALIZED_TIME, b"20240229120000Z"),
            Some(1_709_208_000)
        );
        for text in [&b""[..], b"7001010000Z", b"700101000000", b"7001010000xxZ"] {
            assert_eq!(read(UTC_TIME, text), None, "{text:?}");
        }
    }

    fn golden() -> Vec<u8> {
        use rustls::pki_types::pem::PemObject;
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tls/rsa.crt");
        rustls::pki_types::CertificateDer::from_pem_file(file)
            .unwrap()
            .to_vec()
    }

    #[test]
    fn a_certificate_of_openssl_is_read() {
        let der = golden();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.version, 1);
        assert!(certificate.subject.ends_with(b"rsa"));
        assert!(certificate.issuer.ends_with(b"Authority"));
        let years = (certificate.until - certificate.from) / (365 * 86_400);
        assert_eq!(years, 100);
        assert_eq!(certificate.signature.len(), 256);
        let (_, key) = certificate.public_key().unwrap();
        assert!(key.len() > 256 && certificate.key.ends_with(key));
    }

    #[test]
    fn whatever_is_cut_or_changed_ends_in_a_value_or_none() {
        let der = golden();
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_none(), "{length}");
        }
        for at in 0..der.len() {
            for bits in [1, 0x80, 0xff] {
                let mut changed = der.clone();
                changed[at] ^= bits;
                let parsed = Certificate::parse(&changed);
                let _ = parsed.map(|certificate| certificate.public_key().is_some());
            }
        }
    }
}
