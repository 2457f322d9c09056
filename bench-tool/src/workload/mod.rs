//! What is sent: requests, how often each, and what is there before.
//!
//! | module | question it answers |
//! |---|---|
//! | [`place`] | what stands between braces |
//! | [`template`] | which bytes the next request has |
//! | [`rows`] | the same, of the commonest requests, many at once |
//! | [`page`] | bytes on their way, and how they are put down |
//! | [`numbers`], [`zipf`], [`shape`] | which number comes next |
//! | [`data`] | the bytes of values |
//! | [`reading`] | what replies tell beside errors |
//! | [`suite`], [`ycsb`] | workloads that are known by name |
//! | [`file`] | a workload in a TOML file |

pub mod data;
pub mod file;
pub mod numbers;
pub mod page;
pub mod place;
pub mod reading;
mod rows;
pub mod shape;
#[cfg(test)]
mod stream;
pub mod suite;
pub mod template;
pub mod ycsb;
mod zipf;

use data::Pools;
use place::Vocabulary;
use std::sync::Arc;
use template::Template;

/// A request and how often it is chosen.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What it is called in tables.
    pub name: String,
    /// Its bytes.
    pub template: Template,
    /// Its share: this among the sum of all.
    pub weight: u32,
}

/// Requests that are sent before anything is measured.
#[derive(Clone, Debug)]
pub struct Fill {
    /// What is sent.
    pub template: Template,
    /// How often.
    pub count: u64,
}

/// A mix of requests.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What is measured.
    pub operations: Vec<Operation>,
    /// What is sent before, with `--prefill`.
    pub fills: Vec<Fill>,
}

impl Workload {
    /// One request after the other, as words, with their weights.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn of_commands(
        commands: &[(String, u32)],
        vocabulary: &Vocabulary,
    ) -> Result<Workload, String> {
        let operation = |(text, weight): &(String, u32)| {
            Ok(Operation {
                name: text.clone(),
                template: Template::parse(text, vocabulary)?,
                weight: *weight,
            })
        };
        Ok(Workload {
            operations: commands
                .iter()
                .map(operation)
                .collect::<Result<_, String>>()?,
            fills: Vec::new(),
        })
    }

    /// The same with other requests before it.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn filled(
        mut self,
        fills: &[(String, u64)],
        vocabulary: &Vocabulary,
    ) -> Result<Workload, String> {
        for (text, count) in fills {
            self.fills.push(Fill {
                template: Template::parse(text, vocabulary)?,
                count: *count,
            });
        }
        Ok(self)
    }

    /// Pools for all values in it.
    pub fn pools(&self) -> Arc<Pools> {
        let measured = self.operations.iter().map(|operation| &operation.template);
        let fills = self.fills.iter().map(|fill| &fill.template);
        Arc::new(Pools::new(measured.chain(fills).flat_map(Template::data)))
    }

    /// The workload that fills, as one whose requests are measured; `None` if there is nothing to fill.
    pub fn fill_steps(&self) -> impl Iterator<Item = (Workload, u64)> + '_ {
        self.fills.iter().map(|fill| {
            let operation = Operation {
                name: fill.template.text().to_owned(),
                template: fill.template.clone(),
                weight: 1,
            };
            let workload = Workload {
                operations: vec![operation],
                fills: Vec::new(),
            };
            (workload, fill.count)
        })
    }
}
