//! Private keys that are locked by a password, in the two forms that OpenSSL writes.
//!
//! ```text
//!   -----BEGIN ENCRYPTED PRIVATE KEY-----       PKCS #8: { { PBES2, { { PBKDF2, { salt, rounds, ... } }, { AES-CBC, iv } } }, bytes }
//!
//!   -----BEGIN RSA PRIVATE KEY-----             before that, and `-traditional` since: the key is MD5 of password and salt,
//!   Proc-Type: 4,ENCRYPTED                      the salt is the first half of the iv
//!   DEK-Info: AES-256-CBC,<iv in hex>
//! ```
//! Opened are those under AES; DES, scrypt and what is older are refused by name.

use std::num::NonZeroU32;

use aes::cipher::{BlockDecrypt, KeyInit, generic_array::GenericArray};
use aes::{Aes128, Aes192, Aes256};
use md5::{Digest, Md5};
use ring::pbkdf2;
use rustls::pki_types::pem::{self, PemObject, SectionKind};

use super::der::{INTEGER, OBJECT, OCTET_STRING, Reader, SEQUENCE};

const BLOCK: usize = 16;
/// More rounds than this take longer than a start may: OpenSSL writes 2,048, careful people a million.
const ROUNDS_MAX: u64 = 20_000_000;

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
/// HMAC with SHA-1, SHA-256, SHA-384, SHA-512: this and a last number.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
/// AES: this and a last number.
const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];
const DES3: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7];

/// A key that is locked, as it stands in its file.
#[derive(Debug)]
pub struct Locked {
    /// What it is once it is open.
    pub kind: SectionKind,
    /// Of the older form: cipher and iv.
    traditional: Option<(Cipher, [u8; BLOCK])>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

impl Cipher {
    fn key_len(self) -> usize {
        match self {
            Cipher::Aes128 => 16,
            Cipher::Aes192 => 24,
            Cipher::Aes256 => 32,
        }
    }

    fn named(name: &str) -> Result<Cipher, String> {
        match name {
            "AES-128-CBC" => Ok(Cipher::Aes128),
            "AES-192-CBC" => Ok(Cipher::Aes192),
            "AES-256-CBC" => Ok(Cipher::Aes256),
            other => Err(format!("a key locked by {other} is not supported")),
        }
    }
}

impl Locked {
    /// The first locked key of a file in PEM form, if the file has one.
    ///
    /// # Errors
    /// It is locked in a way that is not known here, or broken.
    pub fn find(file: &[u8]) -> Result<Option<Locked>, String> {
        let text = String::from_utf8_lossy(file);
        if let Some(at) = text.find("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            let body = body(&text[at..])?;
            return Ok(Some(Locked {
                kind: SectionKind::PrivateKey,
                traditional: None,
                bytes: unarmored(&body)?,
            }));
        }
        let Some(head) = text.find("Proc-Type: 4,ENCRYPTED") else {
            return Ok(None);
        };
        let kind = match text[..head].lines().next_back() {
            Some("-----BEGIN RSA PRIVATE KEY-----") => SectionKind::RsaPrivateKey,
            Some("-----BEGIN EC PRIVATE KEY-----") => SectionKind::EcPrivateKey,
            _ => return Err("a locked key of this kind is not supported".to_owned()),
        };
        let rest = &text[head..];
        let info = rest
            .lines()
            .find_map(|line| line.strip_prefix("DEK-Info: "))
            .and_then(|info| info.split_once(','))
            .ok_or_else(|| "it is locked, and has no DEK-Info".to_owned())?;
        let cipher = Cipher::named(info.0)?;
        let iv = hex(info.1.trim()).ok_or_else(|| "its DEK-Info has no iv".to_owned())?;
        let lines = body(rest)?;
        let lines: String = lines.lines().filter(|line| !line.contains(':')).collect();
        Ok(Some(Locked {
            kind,
            traditional: Some((cipher, iv)),
            bytes: unarmored(&lines)?,
        }))
    }
}

/// What stands between the first line and the one that ends it.
fn body(text: &str) -> Result<String, String> {
    let lines = text.lines().skip(1);
    let body: Vec<&str> = lines
        .take_while(|line| !line.starts_with("-----END"))
        .collect();
    match text.contains("-----END") {
        true => Ok(body.join("\n")),
        false => Err("it ends in the middle of a key".to_owned()),
    }
}

/// Bytes out of letters: PEM's reader does it under any name.
fn unarmored(body: &str) -> Result<Vec<u8>, String> {
    let text = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
        .map(|key| key.secret_pkcs8_der().to_vec())
        .map_err(|error: pem::Error| format!("no PEM form: {error}"))
}

fn hex(text: &str) -> Option<[u8; BLOCK]> {
    let mut bytes = [0; BLOCK];
    if text.len() != 2 * BLOCK || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// The key as it is without its lock.
///
/// # Errors
/// The password is wrong, or the lock is not known here.
pub fn open(locked: &Locked, password: &[u8]) -> Result<Vec<u8>, String> {
    let plain = match locked.traditional {
        Some((cipher, iv)) => {
            let key = stretched_by_md5(password, &iv[..8], cipher.key_len());
            unchained(cipher, &key, iv, &locked.bytes)
        }
        None => {
            let lock = Lock::read(&locked.bytes)?;
            let mut key = vec![0; lock.cipher.key_len()];
            pbkdf2::derive(lock.hmac, lock.rounds, lock.salt, password, &mut key);
            unchained(lock.cipher, &key, lock.iv, lock.bytes)
        }
    };
    // Whatever comes out under a wrong password is hardly ever a key.
    let is_key = |der: &Vec<u8>| Reader::new(der).sequence().is_some();
    plain
        .filter(is_key)
        .ok_or_else(|| "the password does not open it".to_owned())
}

/// How a key in the form of PKCS #8 is locked.
struct Lock<'a> {
    hmac: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &'a [u8],
    cipher: Cipher,
    iv: [u8; BLOCK],
    bytes: &'a [u8],
}

impl<'a> Lock<'a> {
    fn read(der: &'a [u8]) -> Result<Lock<'a>, String> {
        Lock::parse(der).unwrap_or_else(|| Err("its lock cannot be read".to_owned()))
    }

    /// None: it is cut or garbled. An error: it is not known here.
    fn parse(der: &'a [u8]) -> Option<Result<Lock<'a>, String>> {
        let unknown = |what: &str| Some(Err(format!("a key locked by {what} is not supported")));
        let mut outer = Reader::new(der).sequence()?;
        let mut scheme = outer.sequence()?;
        let bytes = outer.value(OCTET_STRING)?;
        if scheme.value(OBJECT)? != PBES2 {
            return unknown("a scheme before PBES2");
        }
        let mut parts = scheme.sequence()?;
        let (mut stretch, mut cipher) = (parts.sequence()?, parts.sequence()?);
        match stretch.value(OBJECT)? {
            PBKDF2 => {}
            SCRYPT => return unknown("scrypt"),
            _ => return unknown("a stretching other than PBKDF2"),
        }
        let mut stretch = stretch.sequence()?;
        let salt = stretch.value(OCTET_STRING)?;
        let rounds = stretch.number()?;
        if rounds > ROUNDS_MAX {
            return unknown(&format!("{rounds} rounds"));
        }
        let rounds = NonZeroU32::new(u32::try_from(rounds).ok()?)?;
        if stretch.tag() == Some(INTEGER) {
            stretch.number()?;
        }
        let hmac = match stretch.value(SEQUENCE) {
            None => pbkdf2::PBKDF2_HMAC_SHA1,
            Some(name) => match Reader::new(name).value(OBJECT)?.strip_prefix(HMAC)? {
                [7] => pbkdf2::PBKDF2_HMAC_SHA1,
                [9] => pbkdf2::PBKDF2_HMAC_SHA256,
                [10] => pbkdf2::PBKDF2_HMAC_SHA384,
                [11] => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return unknown("this HMAC"),
            },
        };
        let name = cipher.value(OBJECT)?;
        if name == DES3 {
            return unknown("DES");
        }
        let kind = match name.strip_prefix(AES) {
            Some([2]) => Cipher::Aes128,
            Some([22]) => Cipher::Aes192,
            Some([42]) => Cipher::Aes256,
            _ => return unknown("a cipher other than AES in CBC mode"),
        };
        Some(Ok(Lock {
            hmac,
            rounds,
            salt,
            cipher: kind,
            iv: cipher.value(OCTET_STRING)?.try_into().ok()?,
            bytes,
        }))
    }
}

/// The key of the older form: as many sums as it takes, each of the one before, the password and the salt.
fn stretched_by_md5(password: &[u8], salt: &[u8], length: usize) -> Vec<u8> {
    let mut key = Vec::new();
    let mut sum: Vec<u8> = Vec::new();
    while key.len() < length {
        let mut md5 = Md5::new();
        md5.update(&sum);
        md5.update(password);
        md5.update(salt);
        sum = md5.finalize().to_vec();
        key.extend_from_slice(&sum);
    }
    key.truncate(length);
    key
}

/// Undoes cipher block chaining and takes the padding off; none, if the padding is none.
fn unchained(cipher: Cipher, key: &[u8], iv: [u8; BLOCK], bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(BLOCK) {
        return None;
    }
    let decrypt: Decrypt = match cipher {
        Cipher::Aes128 => block_of(Aes128::new_from_slice(key).ok()?),
        Cipher::Aes192 => block_of(Aes192::new_from_slice(key).ok()?),
        Cipher::Aes256 => block_of(Aes256::new_from_slice(key).ok()?),
    };
    let mut plain = Vec::with_capacity(bytes.len());
    let mut before: &[u8] = &iv;
    for block in bytes.chunks_exact(BLOCK) {
        let mut open: [u8; BLOCK] = block.try_into().ok()?;
        decrypt(&mut open);
        plain.extend(open.iter().zip(before).map(|(a, b)| a ^ b));
        before = block;
    }
    let padding = usize::from(*plain.last()?);
    let is_padding = (1..=BLOCK).contains(&padding)
        && plain
            .iter()
            .rev()
            .take(padding)
            .all(|byte| usize::from(*byte) == padding);
    is_padding.then(|| {
        plain.truncate(plain.len() - padding);
        plain
    })
}

/// Decrypts one block in place.
type Decrypt = Box<dyn Fn(&mut [u8])>;

fn block_of<C: BlockDecrypt + 'static>(cipher: C) -> Decrypt {
    Box::new(move |block| cipher.decrypt_block(GenericArray::from_mut_slice(block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tls/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    }

    #[test]
    fn whatever_is_cut_or_changed_is_told() {
        for name in ["ec-traditional-aes192.key", "ec-pkcs8-aes192-sha512.key"] {
            let file = golden(name);
            for length in 0..file.len() - 40 {
                let found = Locked::find(&file[..length]);
                assert!(!matches!(found, Ok(Some(_))), "{name}: {length}");
            }
        }
        let locked = Locked::find(&golden("ec-pkcs8-aes192-sha512.key"));
        let locked = locked.unwrap().unwrap();
        for at in 0..locked.bytes.len().min(110) {
            let mut bytes = locked.bytes.clone();
            bytes[at] ^= 0xff;
            // Where the rounds are changed they are too many, or take their time: the lock alone is read.
            let _ = Lock::read(&bytes);
        }
        for length in 0..locked.bytes.len() {
            assert!(Lock::read(&locked.bytes[..length]).is_err(), "{length}");
        }
    }
}
