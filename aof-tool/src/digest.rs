//! The digest of a value, as DEBUG DIGEST-VALUE of a server answers it: the engine holds the value for a moment.

use cairn_engine::Engine;
use cairn_engine::persist::digest::of_value;
use cairn_engine::persist::restore::Attributes;
use cairn_engine::persist::value::Builder;
use cairn_format::rdb::Object;

/// Any key will do.
const KEY: &[u8] = b"k";
/// What an expiry is does not matter, only that there is one.
const EXPIRES: i64 = i64::MAX / 2;

/// Makes digests.
pub struct Digester {
    engine: Engine,
}

impl Default for Digester {
    fn default() -> Digester {
        Digester {
            engine: Engine::new(1, [1, 2, 3, 4], &[]),
        }
    }
}

impl Digester {
    /// The 40 hex digits; nothing for a value that the engine cannot hold.
    pub fn of(&mut self, value: &Object<'_>, expires: bool) -> Option<String> {
        let ks = &mut self.engine.ks;
        let builder = Builder {
            limits: &ks.limits,
            hasher: ks.hasher,
        };
        let restored = builder.build(value).ok()?;
        let attributes = Attributes {
            expire_ms: expires.then_some(EXPIRES),
            ..Attributes::default()
        };
        let slot = restored.store(ks, KEY, &attributes);
        let digest = of_value(ks.record(slot)).hex();
        ks.delete(KEY);
        Some(digest)
    }
}
