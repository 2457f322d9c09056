//! Certificates that openssl makes, for tests that encrypt.

use std::fs;
use std::path::Path;
use std::process::Command;

/// `ca.crt`, and for each name a certificate that it has signed and its key: `NAME.crt`, `NAME.key`.
///
/// # Panics
/// Without openssl.
pub fn certificates(folder: &Path, names: &[&str]) {
    fs::write(
        folder.join("names"),
        "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
    )
    .unwrap();
    let openssl = |words: &str| {
        let output = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(folder)
            .output()
            .expect("these tests need openssl (Debian: openssl)");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words}: {told}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.crt -days 2 -subj /CN=ca"
    ));
    for name in names {
        openssl(&format!(
            "req {key} -keyout {name}.key -out {name}.csr -subj /CN={name}"
        ));
        openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out {name}.crt -days 2 -extfile names"
        ));
    }
}
