//! What comes from outside, for whoever feeds it any bytes: fuzz targets and their tests.

use crate::capture;
use crate::load::skim::skim;
use crate::random::Random;
use crate::workload::data::Pools;
use crate::workload::numbers::Counted;
use crate::workload::page::Page;
use crate::workload::place::Vocabulary;
use crate::workload::shape::Shapes;
use crate::workload::template::{Filler, Template};
use crate::workload::{Workload, file};
use std::sync::Arc;

/// Values above this are not made for a look.
const LOOK_MAX: u64 = 1 << 20;
/// Requests that are looked at.
const REQUESTS: u64 = 3;

/// A request as bytes of the protocol, and the number of its commands.
pub type Request = (Vec<u8>, u32);

/// Reads a workload file and gives a few of its requests, as bytes of the protocol, each with the number of its commands.
///
/// # Errors
/// Line, column and what is wrong there.
pub fn requests_of_file(text: &str) -> Result<Vec<Request>, (usize, usize, String)> {
    let described =
        file::read(text, 1000).map_err(|wrong| (wrong.line, wrong.column, wrong.what))?;
    Ok(requests(&described.workload))
}

/// Reads a request as `--command` takes it, and gives it a few times.
///
/// # Errors
/// What is wrong.
pub fn requests_of_words(text: &str) -> Result<Vec<Request>, String> {
    let vocabulary = Vocabulary {
        keys: 1000,
        shapes: Shapes::default(),
    };
    Workload::of_commands(&[(text.to_owned(), 1)], &vocabulary).map(|workload| requests(&workload))
}

/// Reads a line of MONITOR: its words, if it has any.
///
/// # Errors
/// What was expected.
pub fn words_of_line(line: &[u8]) -> Result<Option<Vec<Vec<u8>>>, &'static str> {
    capture::line(line).map(|line| line.map(|line| line.words))
}

/// Passes over whole replies, `most` of them at most: replies, their bytes, and how many found nothing.
pub fn skimmed(replies: &[u8], most: u64) -> (u64, usize, u64) {
    let skimmed = skim(replies, most);
    (skimmed.replies, skimmed.bytes, skimmed.misses)
}

fn requests(workload: &Workload) -> Vec<Request> {
    let measured = workload
        .operations
        .iter()
        .map(|operation| &operation.template);
    let all: Vec<&Template> = measured
        .chain(workload.fills.iter().map(|fill| &fill.template))
        .collect();
    if all
        .iter()
        .flat_map(|template| template.data())
        .any(|(_, len)| len > LOOK_MAX)
    {
        return Vec::new();
    }
    let pools = Arc::new(Pools::new(all.iter().flat_map(|template| template.data())));
    let mut filler = Filler::new(Random::new(1), pools, true, true);
    let mut requests = Vec::new();
    for template in all {
        for own in 0..REQUESTS {
            let mut page = Page::default();
            let counted = Counted {
                own,
                given: own + 1,
            };
            template.write(&mut page, &mut filler, counted);
            requests.push((page.rest().to_vec(), template.replies()));
        }
    }
    requests
}
