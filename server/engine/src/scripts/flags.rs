//! What a program asks for, or asks to be spared.

/// Flags of a script or function, a bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptFlags(u8);

#[allow(missing_docs)]
impl ScriptFlags {
    pub const NONE: ScriptFlags = ScriptFlags(0);
    pub const NO_WRITES: ScriptFlags = ScriptFlags(1);
    pub const ALLOW_OOM: ScriptFlags = ScriptFlags(2);
    pub const ALLOW_STALE: ScriptFlags = ScriptFlags(4);
    pub const NO_CLUSTER: ScriptFlags = ScriptFlags(8);
    pub const CROSS_SLOT: ScriptFlags = ScriptFlags(16);
    /// A script without a shebang: nothing is known of it, each of its commands is looked at.
    pub const COMPATIBLE: ScriptFlags = ScriptFlags(32);
}

/// In the order in which FUNCTION LIST shows them.
const NAMES: &[(ScriptFlags, &str)] = &[
    (ScriptFlags::NO_WRITES, "no-writes"),
    (ScriptFlags::ALLOW_OOM, "allow-oom"),
    (ScriptFlags::ALLOW_STALE, "allow-stale"),
    (ScriptFlags::NO_CLUSTER, "no-cluster"),
    (ScriptFlags::CROSS_SLOT, "allow-cross-slot-keys"),
];

impl ScriptFlags {
    /// Both sets.
    pub const fn and(self, other: ScriptFlags) -> ScriptFlags {
        ScriptFlags(self.0 | other.0)
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: ScriptFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flag of a name in lower case.
    pub fn by_name(name: &[u8]) -> Option<ScriptFlags> {
        let found = NAMES.iter().find(|(_, known)| known.as_bytes() == name);
        found.map(|(flag, _)| *flag)
    }

    /// Names of those that are set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let set = NAMES.iter().filter(move |(flag, _)| self.has(*flag));
        set.map(|(_, name)| *name)
    }
}
