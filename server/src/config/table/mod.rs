//! All directives, by topic: one row each.
//!
//! A row is the constant that code reads the value with, its one-line summary, the type of its value, and name,
//! default and bounds. Names, defaults and bounds are those of Redis 7.2. To add a directive, add a row; CONFIG,
//! the file, the command line and `docs/configuration.md` follow (a test compares the document with the rows).
//!
//! A row without `.waits(..)` or `.moot(..)` works; who gives a directive its effect takes that mark away.

/// Rows of one topic: a constant for each, and the list of them. `after` is the place of the first row.
macro_rules! directives {
    (after $start:expr; $(#[doc = $doc:literal] $name:ident: $type:ty = $row:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Place { $($name,)* End }
        $(#[doc = $doc] pub const $name: Key<$type> = Key::at($start + Place::$name as usize);)*
        /// The place after the last row.
        pub(super) const END: usize = $start + Place::End as usize;
        /// The rows, in the order of their places.
        pub(super) static ROWS: &[Directive] = &[$($row.about($doc)),*];
        /// Whether each constant's type fits its row.
        #[cfg(test)]
        pub(super) fn types_fit(value: &dyn Fn(usize) -> Value) -> Vec<(usize, bool)> {
            vec![$(($name.place(), <$type as Setting>::view(&value($name.place())).is_some())),*]
        }
    };
}

mod cluster;
mod encoding;
mod general;
mod hidden;
mod memory;
mod network;
mod persistence;
mod replication;
mod tls;

pub use cluster::*;
pub use encoding::*;
pub use general::*;
pub use hidden::*;
pub use memory::*;
pub use network::*;
pub use persistence::*;
pub use replication::*;
pub use tls::*;

use super::directive::{Directive, Key};

static TOPICS: [&[Directive]; 9] = [
    network::ROWS,
    general::ROWS,
    memory::ROWS,
    encoding::ROWS,
    persistence::ROWS,
    replication::ROWS,
    cluster::ROWS,
    tls::ROWS,
    hidden::ROWS,
];

/// How many directives there are.
pub const COUNT: usize = hidden::END;

/// All rows, in the order of their places.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    TOPICS.iter().copied().flatten()
}

/// Whether a row is one of those that encrypted connections are made by.
pub fn is_of_tls(directive: &Directive) -> bool {
    tls::ROWS.iter().any(|row| row.name == directive.name)
}

/// The row at a place.
///
/// # Panics
/// If the place is not below `COUNT`.
pub fn at(place: usize) -> &'static Directive {
    let mut rest = place;
    for rows in TOPICS {
        match rows.get(rest) {
            Some(row) => return row,
            None => rest -= rows.len(),
        }
    }
    unreachable!("place {place} is outside the table of {COUNT} directives")
}

impl<T> Key<T> {
    /// The row.
    pub fn directive(self) -> &'static Directive {
        at(self.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::value::Value;

    #[test]
    fn every_key_is_the_place_of_its_row_and_fits_its_type() {
        let config = Config::new(std::path::Path::new("/"));
        let value = |place: usize| -> Value { config.value_at(place).clone() };
        let mut seen = Vec::new();
        for fits in [
            network::types_fit,
            general::types_fit,
            memory::types_fit,
            encoding::types_fit,
            persistence::types_fit,
            replication::types_fit,
            cluster::types_fit,
            tls::types_fit,
            hidden::types_fit,
        ] {
            seen.extend(fits(&value));
        }
        assert_eq!(seen.len(), COUNT);
        assert_eq!(all().count(), COUNT);
        for (expected, (place, fits)) in seen.into_iter().enumerate() {
            assert_eq!(place, expected);
            assert!(
                fits,
                "{}: constant and row have different types",
                at(place).name
            );
        }
        assert_eq!(PORT.directive().name, "port");
        assert_eq!(MAXMEMORY.directive().name, "maxmemory");
        assert_eq!(KEY_LOAD_DELAY.directive().name, "key-load-delay");
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = all()
            .flat_map(|d| [Some(d.name), d.alias])
            .flatten()
            .collect();
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }
}
