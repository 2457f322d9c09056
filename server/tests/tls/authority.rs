//! Certificates made for the test: DER written out, signed with P-256.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

/// Seconds of a year.
pub const YEAR: i64 = 365 * 86_400;

/// How a certificate is to be.
#[derive(Clone, Copy)]
pub struct Wish {
    /// 1 or 3.
    pub version: u8,
    /// From when it is good, seconds from now.
    pub from: i64,
    /// Until when.
    pub until: i64,
}

impl Default for Wish {
    fn default() -> Wish {
        Wish {
            version: 3,
            from: -86_400,
            until: YEAR,
        }
    }
}

fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    match length {
        0..=0x7f => out.push(length as u8),
        0x80..=0xff => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend_from_slice(contents);
    out
}

fn row(parts: &[Vec<u8>]) -> Vec<u8> {
    value(0x30, &parts.concat())
}

fn object(bytes: &[u8]) -> Vec<u8> {
    value(6, bytes)
}

fn bits(bytes: &[u8]) -> Vec<u8> {
    value(3, &[&[0], bytes].concat())
}

fn name(text: &str) -> Vec<u8> {
    let pair = row(&[object(&[0x55, 4, 3]), value(12, text.as_bytes())]);
    row(&[value(0x31, &pair)])
}

/// `YYYYMMDDhhmmssZ`, so many seconds from now.
fn time(from_now: i64) -> Vec<u8> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64;
    let at = now + from_now;
    let (days, second) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let (mut year, mut day) = (1970, days);
    let length = |year: i64| 365 + i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
    while day >= length(year) {
        day -= length(year);
        year += 1;
    }
    let mut month = 0;
    loop {
        let days = [
            31,
            length(year) - 337,
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ][month];
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    let text = format!(
        "{year:04}{:02}{:02}{:02}{:02}{:02}Z",
        month + 1,
        day + 1,
        second / 3600,
        second / 60 % 60,
        second % 60
    );
    value(0x18, text.as_bytes())
}

fn algorithm() -> Vec<u8> {
    row(&[object(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])])
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len())
        .step_by(64)
        .map(|at| &text[at..text.len().min(at + 64)])
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

struct Pair {
    key: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

impl Pair {
    fn new() -> Pair {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let pkcs8 = pkcs8.as_ref().to_vec();
        Pair {
            key: EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random).unwrap(),
            pkcs8,
        }
    }

    fn public(&self) -> Vec<u8> {
        let kind = row(&[
            object(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]),
            object(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]),
        ]);
        row(&[kind, bits(self.key.public_key().as_ref())])
    }
}

/// Who signs.
pub struct Authority {
    pair: Pair,
    subject: String,
    /// Its certificate in PEM form.
    pub cert: String,
}

impl Authority {
    /// A new one of this name.
    pub fn new(subject: &str) -> Authority {
        let pair = Pair::new();
        let mut authority = Authority {
            subject: subject.to_owned(),
            pair,
            cert: String::new(),
        };
        let public = authority.pair.public();
        authority.cert = authority.signed(subject, &public, true, Wish::default());
        authority
    }

    fn signed(&self, subject: &str, public: &[u8], is_authority: bool, wish: Wish) -> String {
        let random = SystemRandom::new();
        let mut serial = [1; 8];
        ring::rand::SecureRandom::fill(&random, &mut serial[1..]).unwrap();
        let extension = |id: &[u8], critical: bool, contents: Vec<u8>| {
            let critical = critical.then(|| value(1, &[0xff]));
            let parts = [
                object(id),
                critical.unwrap_or_default(),
                value(4, &contents),
            ];
            row(&parts)
        };
        let extensions = match is_authority {
            true => extension(&[0x55, 0x1d, 19], true, row(&[value(1, &[0xff])])),
            false => extension(
                &[0x55, 0x1d, 17],
                false,
                row(&[value(0x87, &[127, 0, 0, 1])]),
            ),
        };
        let mut parts = vec![
            value(2, &serial),
            algorithm(),
            name(&self.subject),
            row(&[time(wish.from), time(wish.until)]),
            name(subject),
            public.to_vec(),
        ];
        if wish.version == 3 {
            parts.insert(0, value(0xa0, &value(2, &[2])));
            parts.push(value(0xa3, &row(&[extensions])));
        }
        let body = row(&parts);
        let signature = self.pair.key.sign(&random, &body).unwrap();
        pem(
            "CERTIFICATE",
            &row(&[body, algorithm(), bits(signature.as_ref())]),
        )
    }

    /// A certificate of this name and its key, both in PEM form.
    pub fn sign(&self, subject: &str, wish: Wish) -> (String, String) {
        let pair = Pair::new();
        let cert = self.signed(subject, &pair.public(), false, wish);
        (cert, pem("PRIVATE KEY", &pair.pkcs8))
    }

    /// Writes the own certificate, and another with its key: `ca.crt`, `NAME.crt`, `NAME.key`.
    pub fn write(&self, folder: &Path, name: &str, wish: Wish) {
        let (cert, key) = self.sign(name, wish);
        fs::write(folder.join("ca.crt"), &self.cert).unwrap();
        fs::write(folder.join(format!("{name}.crt")), cert).unwrap();
        fs::write(folder.join(format!("{name}.key")), key).unwrap();
    }
}
