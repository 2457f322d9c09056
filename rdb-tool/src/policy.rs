//! What becomes of what has no place in a target, class by class.

use crate::loss::Loss;
use cairn_format::rdb::writer::Lack;
use clap::ValueEnum;
use std::collections::BTreeMap;

/// What becomes of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// The conversion ends, and nothing is written.
    Fail,
    /// It is left out.
    Drop,
    /// It is written in the lesser form that the target has.
    Degrade,
}

impl Policy {
    /// As one word.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Fail => "fail",
            Policy::Drop => "drop",
            Policy::Degrade => "degrade",
        }
    }
}

/// `CLASS=POLICY` on the command line; `all` means every class that is data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    lack: Option<Lack>,
    policy: Policy,
}

/// Which policy goes for which class.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    all: Option<Policy>,
    by_class: BTreeMap<Lack, Policy>,
}

/// Whether what is left of a value without this is worth something, so that it can be degraded.
fn has_lesser_form(lack: Lack) -> bool {
    is_silent(lack)
        || matches!(
            lack,
            Lack::FieldExpiry | Lack::KeyMeta | Lack::Producers | Lack::Unowned
        )
}

/// What goes without a refusal unless one is asked for: no data, but what a server knows of it. It went with every server that was
/// brought back to an older version.
pub fn is_silent(lack: Lack) -> bool {
    matches!(
        lack,
        Lack::Idle | Lack::Frequency | Lack::StreamCounters | Lack::ConsumerTimes | Lack::ExpiryMs
    )
}

impl Rule {
    /// Reads `CLASS=POLICY`.
    pub fn parse(text: &str) -> Result<Rule, String> {
        let (class, policy) = text
            .split_once('=')
            .ok_or("expected CLASS=POLICY, as in stream=drop")?;
        let policy = Policy::from_str(policy, false)
            .map_err(|_| format!("'{policy}' is no policy; fail, drop and degrade are"))?;
        if class == "all" {
            let lack = None;
            return Ok(Rule { lack, policy });
        }
        let Some(lack) = Lack::ALL.into_iter().find(|lack| lack.word() == class) else {
            let words = Lack::ALL.map(Lack::word).join(", ");
            return Err(format!("'{class}' is no class; all, {words} are"));
        };
        if policy == Policy::Degrade && !has_lesser_form(lack) {
            let what = lack.what();
            return Err(format!("{what} has no lesser form; fail or drop it"));
        }
        let lack = Some(lack);
        Ok(Rule { lack, policy })
    }
}

impl Policies {
    /// What the rules say; of two for one class the later one.
    pub fn of(rules: &[Rule]) -> Policies {
        let mut policies = Policies::default();
        for rule in rules {
            match rule.lack {
                Some(lack) => {
                    policies.by_class.insert(lack, rule.policy);
                }
                None => policies.all = Some(rule.policy),
            }
        }
        policies
    }

    /// The policy of a class where no rule names it.
    pub fn or(mut self, lack: Lack, policy: Option<Policy>) -> Policies {
        if let Some(policy) = policy {
            self.by_class.entry(lack).or_insert(policy);
        }
        self
    }

    /// The policy of all classes where no rule names them.
    pub fn or_all(mut self, policy: Option<Policy>) -> Policies {
        self.all = self.all.or(policy);
        self
    }

    /// What becomes of this class.
    pub fn get(&self, lack: Lack) -> Policy {
        if let Some(policy) = self.by_class.get(&lack) {
            return *policy;
        }
        match self.all {
            _ if is_silent(lack) => Policy::Degrade,
            None => Policy::Fail,
            // What has no lesser form is left out.
            Some(Policy::Degrade) if !has_lesser_form(lack) => Policy::Drop,
            Some(policy) => policy,
        }
    }

    /// What became of a loss, for a line that begins with it.
    pub fn verb(&self, loss: &Loss) -> &'static str {
        match (self.get(loss.lack), loss.lack) {
            _ if is_silent(loss.lack) => "goes",
            (Policy::Degrade, Lack::FieldExpiry) => "kept without their expiry:",
            _ => "dropped",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(rules: &[&str]) -> Policies {
        let rules: Vec<Rule> = rules
            .iter()
            .map(|rule| Rule::parse(rule).expect("a rule"))
            .collect();
        Policies::of(&rules)
    }

    #[test]
    fn the_later_rule_and_the_nearer_one_win() {
        let one = policies(&["stream=drop", "stream=fail", "all=drop", "idle=fail"]);
        assert_eq!(one.get(Lack::Stream), Policy::Fail);
        assert_eq!(one.get(Lack::Function), Policy::Drop);
        assert_eq!(one.get(Lack::Idle), Policy::Fail);
        assert_eq!(one.get(Lack::Frequency), Policy::Degrade);
        assert_eq!(policies(&[]).get(Lack::Function), Policy::Fail);
        let all = policies(&["all=degrade"]);
        assert_eq!(all.get(Lack::FieldExpiry), Policy::Degrade);
        assert_eq!(all.get(Lack::Stream), Policy::Drop);
    }

    #[test]
    fn wrong_rules_say_what_is_right() {
        for (rule, told) in [
            ("stream", "CLASS=POLICY"),
            ("stream=keep", "fail, drop and degrade are"),
            ("steam=drop", "all, function, stream,"),
            ("function=degrade", "a function library has no lesser form"),
        ] {
            let error = Rule::parse(rule).unwrap_err();
            assert!(error.contains(told), "{rule}: {error}");
        }
    }
}
