//! How the process and its children look from outside, as the configuration has it: title, score, processors.

use super::choice::OomScoreAdj;
use super::title::{Piece, TITLE, pieces};
use super::{Config, table};
use crate::host::OomScore;

/// Whose score is asked for: places of `oom-score-adj-values`. (The second is that of a replica.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OomClass {
    /// A primary.
    Primary = 0,
    /// A replica.
    Replica = 1,
    /// A child that saves.
    Child = 2,
}

impl Config {
    /// What lists of processes show a process as that is called `title`; none if they are left alone.
    pub fn proc_title(&self, title: &str) -> Option<String> {
        if !self.get(table::SET_PROC_TITLE) {
            return None;
        }
        let mut text = String::new();
        for piece in pieces(self.get(table::PROC_TITLE_TEMPLATE))? {
            match piece {
                Piece::Text(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
                Piece::Name(TITLE) => text.push_str(title),
                Piece::Name(name) => text.push_str(&self.title_part(name)),
            }
        }
        Some(text.trim_matches(' ').to_string())
    }

    fn title_part(&self, name: &str) -> String {
        let port = self.get(table::PORT);
        let socket = self.text(table::UNIXSOCKET);
        match name {
            "listen-addr" if port == 0 && !socket.is_empty() => format!("unixsocket:{socket}"),
            "listen-addr" => {
                let first = self.get(table::BIND).first();
                let address = first.map_or("*".into(), |word| String::from_utf8_lossy(word));
                format!("{address}:{port}")
            }
            "port" => port.to_string(),
            "tls-port" => self.get(table::TLS_PORT).to_string(),
            "unixsocket" => socket.into_owned(),
            "config-file" => self
                .file()
                .map_or_else(|| "-".to_string(), |file| file.display().to_string()),
            _ => String::new(),
        }
    }

    /// The score of a process.
    pub fn oom_score(&self, of: OomClass) -> OomScore {
        let value = self.get(table::OOM_SCORE_ADJ_VALUES)[of as usize];
        match self.get(table::OOM_SCORE_ADJ) {
            OomScoreAdj::No => OomScore::AsStarted,
            OomScoreAdj::Relative => OomScore::Relative(value),
            OomScoreAdj::Absolute => OomScore::Absolute(value),
        }
    }

    /// Whether the scores can be set by a process without rights: each then is at least the one before.
    pub fn oom_scores_rise(&self) -> bool {
        self.get(table::OOM_SCORE_ADJ_VALUES).is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(lines: &[(&[u8], &[u8])]) -> Config {
        let mut config = Config::new(Path::new("/"));
        let caller = crate::config::Caller {
            local: true,
            loading: false,
        };
        for (name, value) in lines {
            config
                .set_many(&[name, value], caller, &mut |_, _| Ok(()))
                .unwrap();
        }
        config
    }

    #[test]
    fn a_title_is_the_template_with_its_names_replaced() {
        let template = b"proc-title-template".as_slice();
        for (lines, title) in [
            (&[][..], "cairn *:6379"),
            (
                &[(b"bind".as_slice(), b"127.0.0.1 ::1".as_slice())],
                "cairn 127.0.0.1:6379",
            ),
            (&[(b"bind", b"")], "cairn *:6379"),
            (&[(b"port", b"0")], "cairn *:0"),
            (
                &[(
                    template,
                    b"  {{x} {title}|{port}|{tls-port}|{unixsocket}|{config-file}| ",
                )],
                "{x} cairn|6379|0||-|",
            ),
        ] {
            assert_eq!(config(lines).proc_title("cairn").as_deref(), Some(title));
        }
    }

    #[test]
    fn scores_are_those_of_the_class() {
        let values = (b"oom-score-adj-values".as_slice(), b"-5 6 7".as_slice());
        let relative = config(&[values, (b"oom-score-adj", b"yes")]);
        assert_eq!(
            relative.oom_score(OomClass::Primary),
            OomScore::Relative(-5)
        );
        assert_eq!(relative.oom_score(OomClass::Child), OomScore::Relative(7));
        let absolute = config(&[values, (b"oom-score-adj", b"absolute")]);
        assert_eq!(absolute.oom_score(OomClass::Child), OomScore::Absolute(7));
        assert_eq!(
            config(&[values]).oom_score(OomClass::Child),
            OomScore::AsStarted
        );
        assert!(absolute.oom_scores_rise());
        assert!(!config(&[(values.0, b"7 6 8")]).oom_scores_rise());
    }
}
