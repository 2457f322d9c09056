//! Versions and ciphers by the names that OpenSSL gives them, as `tls-protocols`, `tls-ciphers` and `tls-ciphersuites` list them.

use rustls::crypto::ring::cipher_suite as suites;
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// Versions by name; those that are not spoken here have nothing.
const VERSIONS: [(&str, Option<&SupportedProtocolVersion>); 4] = [
    ("TLSv1", None),
    ("TLSv1.1", None),
    ("TLSv1.2", Some(&version::TLS12)),
    ("TLSv1.3", Some(&version::TLS13)),
];

/// Ciphers of TLS 1.3 by name.
const OF_13: [(&str, SupportedCipherSuite); 3] = [
    ("TLS_AES_256_GCM_SHA384", suites::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", suites::TLS13_AES_128_GCM_SHA256),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        suites::TLS13_CHACHA20_POLY1305_SHA256,
    ),
];

/// Ciphers of TLS 1.2 by name.
const OF_12: [(&str, SupportedCipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Words of OpenSSL's lists that stand for all ciphers.
const ALL: [&str; 3] = ["DEFAULT", "ALL", "HIGH"];

/// What is offered.
#[derive(Debug)]
pub struct Offer {
    /// Versions.
    pub versions: Vec<&'static SupportedProtocolVersion>,
    /// Ciphers, the preferred one first.
    pub suites: Vec<SupportedCipherSuite>,
}

impl Offer {
    /// Reads the three lists; an empty one is all that there is.
    ///
    /// # Errors
    /// The line for the log: a word that nobody knows or that is not spoken here, and what is.
    pub fn parse(protocols: &str, ciphers: &str, ciphersuites: &str) -> Result<Offer, String> {
        let versions = versions(protocols)?;
        let mut all = match ciphersuites {
            "" => OF_13.map(|(_, suite)| suite).to_vec(),
            list => listed(list, &OF_13).map_err(|word| {
                unknown(
                    "ciphersuites",
                    ciphersuites,
                    &word,
                    OF_13.map(|(name, _)| name),
                )
            })?,
        };
        all.extend(match ciphers {
            "" => OF_12.map(|(_, suite)| suite).to_vec(),
            list => listed(list, &OF_12)
                .map_err(|word| unknown("ciphers", ciphers, &word, OF_12.map(|(name, _)| name)))?,
        });
        all.retain(|suite| versions.iter().any(|version| suite.version() == *version));
        match versions
            .iter()
            .find(|version| !all.iter().any(|suite| suite.version() == **version))
        {
            Some(version) => Err(format!(
                "Failed to configure ciphers: none is left for {:?}",
                version.version
            )),
            None => Ok(Offer {
                versions,
                suites: all,
            }),
        }
    }
}

fn versions(list: &str) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let mut found = Vec::new();
    for word in list.split_ascii_whitespace() {
        let known = VERSIONS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        match known {
            Some((_, Some(version))) => found.push(*version),
            Some((name, None)) => {
                return Err(format!(
                    "Invalid tls-protocols specified: {name} is not supported, 'TLSv1.2' and 'TLSv1.3' are."
                ));
            }
            None => {
                return Err(
                    "Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3'."
                        .to_owned(),
                );
            }
        }
    }
    Ok(match found.is_empty() {
        true => vec![&version::TLS13, &version::TLS12],
        false => found,
    })
}

/// The ciphers of a list in its order. `!` and `-` take one away, and what is not there need not be.
fn listed(
    list: &str,
    known: &[(&str, SupportedCipherSuite)],
) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut suites: Vec<SupportedCipherSuite> = Vec::new();
    for word in list.split([':', ',', ' ']).filter(|word| !word.is_empty()) {
        let bare = word.trim_start_matches(['!', '-']);
        let named: Vec<SupportedCipherSuite> = known
            .iter()
            .filter(|(name, _)| *name == bare || ALL.contains(&bare))
            .map(|(_, suite)| *suite)
            .collect();
        if word.starts_with(['!', '-']) {
            suites.retain(|suite| !named.contains(suite));
        } else if named.is_empty() {
            return Err(word.to_owned());
        } else {
            let fresh = named.into_iter().filter(|suite| !suites.contains(suite));
            let fresh: Vec<SupportedCipherSuite> = fresh.collect();
            suites.extend(fresh);
        }
    }
    Ok(suites)
}

fn unknown<const N: usize>(what: &str, list: &str, word: &str, names: [&str; N]) -> String {
    let names = names.join(", ");
    format!("Failed to configure {what}: {list}: '{word}' is not supported, these are: {names}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_their_order() {
        let all = Offer::parse("", "", "").unwrap();
        assert_eq!((all.versions.len(), all.suites.len()), (2, 9));
        let few = Offer::parse(
            "TLSv1.2",
            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
            "",
        )
        .unwrap();
        let names: Vec<_> = few.suites.iter().map(|suite| suite.suite()).collect();
        assert_eq!(
            format!("{names:?}"),
            "[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]"
        );
        let less = Offer::parse(
            "tlsv1.2 TLSv1.3",
            "DEFAULT:!aNULL:-ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_AES_128_GCM_SHA256",
        )
        .unwrap();
        assert_eq!((less.versions.len(), less.suites.len()), (2, 6));
    }

    #[test]
    fn what_is_not_spoken_is_named() {
        for (protocols, ciphers, ciphersuites, named) in [
            ("TLSv1.1 TLSv1.2", "", "", "TLSv1.1 is not supported"),
            ("foo", "", "", "Use a combination"),
            ("", "AES128-SHA256", "", "'AES128-SHA256' is not supported"),
            ("", "@SECLEVEL=0", "", "'@SECLEVEL=0' is not supported"),
            ("", "", "TLS_AES_128_CCM_SHA256", "'TLS_AES_128_CCM_SHA256'"),
            ("TLSv1.2", "DEFAULT:-ALL", "", "none is left for TLSv1_2"),
        ] {
            let offer = Offer::parse(protocols, ciphers, ciphersuites);
            assert!(offer.as_ref().unwrap_err().contains(named), "{offer:?}");
        }
        assert!(
            Offer::parse("TLSv1.3", "-ALL", "").is_ok(),
            "nobody asks for it"
        );
    }
}
