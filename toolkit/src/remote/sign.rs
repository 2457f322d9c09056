//! What a connection says first.

use cairn_format::resp::reply::Protocol;
use std::fmt;

/// Who we are, and what we want to talk about.
#[derive(Clone, PartialEq, Eq)]
pub struct Sign {
    /// User of the password, if not the default one.
    pub user: Option<String>,
    /// Password, if one is asked for.
    pub password: Option<String>,
    /// Database to select.
    pub db: u64,
    /// Protocol of the replies.
    pub protocol: Protocol,
}

/// Passwords are for nobody's eyes.
impl fmt::Debug for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sign {
            user, db, protocol, ..
        } = self;
        write!(f, "Sign({user:?}, db {db}, {protocol:?})")
    }
}

impl Sign {
    /// The commands of the introduction.
    pub fn commands(&self) -> Vec<Vec<String>> {
        let words = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| (*word).to_owned()).collect()
        };
        let user = self.user.as_deref();
        let mut commands = Vec::new();
        match (self.protocol, &self.password) {
            (Protocol::Resp3, None) => commands.push(words(&["HELLO", "3"])),
            (Protocol::Resp3, Some(password)) => {
                let user = user.unwrap_or("default");
                commands.push(words(&["HELLO", "3", "AUTH", user, password]));
            }
            (Protocol::Resp2, None) => {}
            (Protocol::Resp2, Some(password)) => commands.push(match user {
                Some(user) => words(&["AUTH", user, password]),
                None => words(&["AUTH", password]),
            }),
        }
        if self.db != 0 {
            commands.push(words(&["SELECT", &self.db.to_string()]));
        }
        commands
    }
}
