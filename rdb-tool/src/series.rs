//! Servers as they are named on the command line.

/// What an error line says about names that are not known.
pub const KNOWN: &str = "known are redis-2.2 to redis-8.10 and valkey-7.2 to valkey-9.2";

/// `valkey-8` means the newest of that series, and `redis-8` the newest that real files confirm.
pub fn newest_of(name: &str) -> &str {
    match name {
        "redis-2" => "redis-2.8",
        "redis-3" => "redis-3.2",
        "redis-4" => "redis-4.0",
        "redis-5" => "redis-5.0",
        "redis-6" => "redis-6.2",
        "redis-7" => "redis-7.4",
        "redis-8" => "redis-8.6",
        "valkey-7" => "valkey-7.2",
        "valkey-8" => "valkey-8.1",
        "valkey-9" => "valkey-9.1",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_format::rdb::Dialect;

    #[test]
    fn each_series_has_a_server_and_the_ends_are_those_that_are_known() {
        for (family, series) in [("redis", 2..=8), ("valkey", 7..=9)] {
            for number in series {
                let name = format!("{family}-{number}");
                assert!(Dialect::parse(newest_of(&name)).is_some(), "{name}");
            }
        }
        let names = KNOWN.split(' ').filter(|word| word.contains('-'));
        for name in names.clone() {
            assert!(Dialect::parse(name).is_some(), "{name}");
        }
        assert_eq!(names.count(), 4);
        for beyond in ["redis-2.0", "redis-8.11", "valkey-7.1", "valkey-9.3"] {
            assert!(Dialect::parse(beyond).is_none(), "{beyond}");
        }
    }
}
