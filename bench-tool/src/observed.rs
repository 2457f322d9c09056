//! What a server says of itself: INFO.

use crate::target::Target;
use cairn_toolkit::Failure;

/// Processor time, memory and keys of a server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// What it is, as in `redis 7.0.15`.
    pub name: String,
    /// Processor time of all its threads since its start, seconds.
    pub cpu_s: Option<f64>,
    /// Bytes that it has allocated since it was started and empty.
    pub memory: Option<u64>,
    /// Keys of all databases.
    pub keys: u64,
}

impl Observed {
    /// Asks the server.
    ///
    /// # Errors
    /// It is not there, or refuses INFO.
    pub fn of(target: &Target) -> Result<Observed, Failure> {
        let mut client = target.client()?;
        // A cluster node and old servers know `everything` as little as each other; the plain command has what is needed.
        let reply = client.ask(&["INFO"])?;
        let text = String::from_utf8_lossy(reply.as_bytes().unwrap_or_default()).into_owned();
        Ok(Observed::read(&text))
    }

    fn read(info: &str) -> Observed {
        let field = |name: &str| {
            let line = info
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim)
        };
        let number = |name: &str| field(name).and_then(|text| text.parse::<f64>().ok());
        let cpu = number("used_cpu_sys").zip(number("used_cpu_user"));
        let used =
            number("used_memory").map(|bytes| bytes - number("used_memory_startup").unwrap_or(0.0));
        let keys = info.lines().filter_map(|line| {
            let (db, rest) = line.strip_prefix("db")?.split_once(":keys=")?;
            db.parse::<u32>().ok()?;
            rest.split(',').next()?.trim().parse::<u64>().ok()
        });
        let version = |family: &str| {
            field(&format!("{family}_version")).map(|version| format!("{family} {version}"))
        };
        Observed {
            name: version("valkey")
                .or_else(|| version("cairn"))
                .or_else(|| version("redis"))
                .unwrap_or_default(),
            cpu_s: cpu.map(|(system, user)| system + user),
            memory: used.map(|bytes| bytes.max(0.0) as u64),
            keys: keys.sum(),
        }
    }

    /// Bytes for each key, if there are any.
    pub fn memory_per_key(&self) -> Option<f64> {
        let memory = self.memory.filter(|_| self.keys > 0)?;
        Some(memory as f64 / self.keys as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_and_what_is_not_is_none() {
        let info = "# Server\r\nredis_version:7.0.15\r\nused_memory:3000000\r\nused_memory_startup:1000000\r\nused_cpu_sys:1.5\r\nused_cpu_user:2.25\r\n\
                    used_cpu_sys_children:9\r\ndb0:keys=900,expires=0,avg_ttl=0\r\ndb3:keys=100,expires=1\r\n";
        let seen = Observed::read(info);
        assert_eq!(
            (seen.name.as_str(), seen.cpu_s, seen.memory, seen.keys),
            ("redis 7.0.15", Some(3.75), Some(2_000_000), 1000)
        );
        assert_eq!(seen.memory_per_key(), Some(2000.0));
        assert_eq!(Observed::read("nonsense"), Observed::default());
        assert_eq!(Observed::default().memory_per_key(), None);
    }
}
