//! Aligned columns of text.

use std::io::{self, Write};

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading; every column is as wide as its widest cell.
#[derive(Debug)]
pub struct Table {
    sides: Vec<Side>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings, each with the side on which its column stands.
    pub fn new(columns: &[(&str, Side)]) -> Table {
        let headings = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Table {
            sides: columns.iter().map(|(_, side)| *side).collect(),
            rows: vec![headings],
        }
    }

    /// Adds a row. It must have a cell for every column.
    pub fn row(&mut self, cells: Vec<String>) {
        assert_eq!(
            cells.len(),
            self.sides.len(),
            "a row has one cell per column"
        );
        self.rows.push(cells);
    }

    /// Rows without the heading.
    pub fn len(&self) -> usize {
        self.rows.len() - 1
    }

    /// Whether there is nothing below the heading.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes heading and rows, each line after `indent` spaces, two spaces between columns, none at a line's end.
    pub fn write_to(&self, out: &mut dyn Write, indent: usize) -> io::Result<()> {
        let widths: Vec<usize> = (0..self.sides.len())
            .map(|c| {
                self.rows
                    .iter()
                    .map(|row| row[c].chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (c, cell) in row.iter().enumerate() {
                let fill = " ".repeat(widths[c] - cell.chars().count());
                match self.sides[c] {
                    Side::Left => line.extend([cell.as_str(), &fill]),
                    Side::Right => line.extend([fill.as_str(), cell]),
                }
                line.push_str("  ");
            }
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_clean() {
        let mut table = Table::new(&[
            ("type", Side::Left),
            ("keys", Side::Right),
            ("note", Side::Left),
        ]);
        assert!(table.is_empty());
        table.row(vec!["string".into(), "12,000".into(), "".into()]);
        table.row(vec!["set".into(), "7".into(), "odd".into()]);
        let mut out = Vec::new();
        table.write_to(&mut out, 2).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "  type      keys  note\n  string  12,000\n  set          7  odd\n"
        );
    }
}
