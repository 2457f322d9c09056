//! Pictures of where the memory is: a treemap of two levels and a flame graph, as SVG.
//!
//! Every shape has its numbers as attributes (`data-what`, `data-keys`, `data-bytes`), for programs, and as a title, for who points at it.

use super::layout::{Area, treemap};
use super::page::escaped;
use cairn_toolkit::human;
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const MAP_HEIGHT: f64 = 520.0;
const BAR_HEIGHT: f64 = 22.0;
/// Room for the name of a part above its own parts.
const TITLE_HEIGHT: f64 = 18.0;
/// Bytes of text for which a unit of width is enough.
const LETTER: f64 = 7.0;
/// Narrower bars are not drawn.
const BAR_MIN: f64 = 0.5;
/// Colours, as turns of the wheel.
const HUES: [u32; 8] = [210, 30, 140, 280, 340, 60, 175, 250];

/// A part of the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is, in full.
    pub what: String,
    /// What is written on it.
    pub name: String,
    /// Keys in it.
    pub keys: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Its own parts, largest first.
    pub parts: Vec<Part>,
}

impl Part {
    /// Its parts and what is in none of them, so that they add up.
    fn whole(&self) -> Vec<Part> {
        let mut parts = self.parts.clone();
        let (keys, bytes) = (
            sum(&parts, |part| part.keys),
            sum(&parts, |part| part.bytes),
        );
        if self.bytes > bytes {
            parts.push(Part {
                what: format!("the rest of {}", self.what),
                name: "...".to_owned(),
                keys: self.keys.saturating_sub(keys),
                bytes: self.bytes - bytes,
                parts: Vec::new(),
            });
        }
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        parts
    }
}

fn sum(parts: &[Part], of: impl Fn(&Part) -> u64) -> u64 {
    parts.iter().map(of).sum()
}

/// A treemap of the parts of `root` and their parts.
pub fn map(id: &str, label: &str, root: &Part) -> String {
    let mut svg = opened(id, label, MAP_HEIGHT);
    let area = Area {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: MAP_HEIGHT,
    };
    let parts = root.whole();
    let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
    for ((part, place), hue) in parts
        .iter()
        .zip(treemap(&sizes, area))
        .zip(HUES.iter().cycle())
    {
        shape(&mut svg, part, root.bytes, place, (*hue, 62));
        if part.parts.is_empty() || place.height < 3.0 * TITLE_HEIGHT || place.width < 40.0 {
            continue;
        }
        let inner = part.whole();
        let sizes: Vec<u64> = inner.iter().map(|part| part.bytes).collect();
        for (inner, place) in inner
            .iter()
            .zip(treemap(&sizes, place.inset(3.0, TITLE_HEIGHT)))
        {
            shape(&mut svg, inner, root.bytes, place, (*hue, 74));
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A flame graph: a bar for each part, below the one that it is a part of.
pub fn flame(id: &str, label: &str, root: &Part) -> String {
    let height = BAR_HEIGHT * (depth(root) as f64);
    let mut svg = opened(id, label, height);
    let place = Area {
        x: 0.0,
        y: 0.0,
        width: WIDTH,
        height: BAR_HEIGHT,
    };
    bar(&mut svg, root, root.bytes, place, 0);
    svg.push_str("</svg>\n");
    svg
}

fn depth(part: &Part) -> usize {
    1 + part.parts.iter().map(depth).max().unwrap_or(0)
}

fn bar(svg: &mut String, part: &Part, all: u64, place: Area, level: usize) {
    if place.width < BAR_MIN {
        return;
    }
    shape(svg, part, all, place, (HUES[level % HUES.len()], 68));
    let mut x = place.x;
    for below in &part.parts {
        let width = match part.bytes {
            0 => 0.0,
            bytes => place.width * below.bytes as f64 / bytes as f64,
        };
        let next = Area {
            x,
            y: place.y + BAR_HEIGHT,
            width,
            height: BAR_HEIGHT,
        };
        bar(svg, below, all, next, level + 1);
        x += width;
    }
}

fn opened(id: &str, label: &str, height: f64) -> String {
    format!(
        "<svg id=\"{id}\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {WIDTH} {height:.0}\">\n"
    )
}

fn shape(svg: &mut String, part: &Part, all: u64, place: Area, (hue, light): (u32, u32)) {
    let what = escaped(&part.what);
    let keys = human::plural(part.keys, "key", "keys");
    let (bytes, share) = (human::bytes(part.bytes), human::share(part.bytes, all));
    let _ = write!(
        svg,
        "<g data-what=\"{what}\" data-keys=\"{}\" data-bytes=\"{}\"><title>{what}: {bytes}, {share}, {keys}</title><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"hsl({hue} 55% {light}%)\"/>",
        part.keys, part.bytes, place.x, place.y, place.width, place.height
    );
    let letters = ((place.width - 6.0) / LETTER).max(0.0) as usize;
    if letters >= 3 && place.height >= 12.0 {
        let name: String = part.name.chars().take(letters).collect();
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            place.x + 3.0,
            place.y + 13.0,
            escaped(&name)
        );
    }
    svg.push_str("</g>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, bytes: u64, parts: Vec<Part>) -> Part {
        Part {
            what: name.to_owned(),
            name: name.to_owned(),
            keys: bytes / 10,
            bytes,
            parts,
        }
    }

    #[test]
    fn what_is_in_no_part_is_drawn_too_and_names_are_harmless() {
        let root = part(
            "all",
            100,
            vec![
                part("<a&\">", 60, vec![part("b", 20, Vec::new())]),
                part("c", 30, Vec::new()),
            ],
        );
        let svg = map("m", "a map", &root);
        assert!(
            svg.contains("data-what=\"the rest of all\" data-keys=\"1\" data-bytes=\"10\""),
            "{svg}"
        );
        assert!(
            svg.contains("data-what=\"&lt;a&amp;&quot;&gt;\" data-keys=\"6\" data-bytes=\"60\""),
            "{svg}"
        );
        assert!(svg.contains("data-what=\"b\""));
        let flame = flame("f", "a flame", &root);
        assert!(flame.contains("viewBox=\"0 0 1200 66\""), "{flame}");
        assert_eq!(flame.matches("<rect").count(), 4);
    }
}
