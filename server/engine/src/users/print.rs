//! A user as words again.

use super::selector::Selector;
use super::user::User;

impl User {
    /// The flags, in the order in which they are told.
    pub fn flags(&self) -> Vec<&'static str> {
        let mut flags = vec![if self.enabled { "on" } else { "off" }];
        if self.needs_no_password {
            flags.push("nopass");
        }
        flags.push(match self.sanitizes {
            true => "sanitize-payload",
            false => "skip-sanitize-payload",
        });
        flags
    }

    /// The digests of the passwords.
    pub fn digests(&self) -> impl ExactSizeIterator<Item = String> {
        self.passwords.iter().map(|password| password.hex())
    }

    /// What is allowed: the root, and the selectors in parentheses.
    pub fn parts(&self) -> (&Selector, &[Selector]) {
        let (root, others) = self.selectors.split_first().expect("the root stays");
        (root, others)
    }

    /// The words that make this user out of a fresh one, without the name.
    pub fn print(&self) -> Vec<u8> {
        let mut out = self.flags().join(" ").into_bytes();
        out.push(b' ');
        for digest in self.digests() {
            out.extend_from_slice(format!("#{digest} ").as_bytes());
        }
        let (root, others) = self.parts();
        root.print(&mut out);
        for selector in others {
            out.extend_from_slice(b" (");
            selector.print(&mut out);
            out.push(b')');
        }
        out
    }
}

impl Selector {
    /// The words that make it out of one that allows nothing.
    pub fn print(&self, out: &mut Vec<u8>) {
        self.keys.print(out);
        if !self.channels.has_all() {
            out.extend_from_slice(b"resetchannels ");
        }
        self.channels.print(out);
        self.commands.print(out);
    }
}
