//! The directives whose value is one word of a few: an enum each, with its words in the order in which error
//! replies list them (as Redis 7.2 `config.c` orders them).

use super::value::{Setting, Value};

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $first:literal $(| $other:literal)*),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl $name {
            /// The words, each with the variant it stands for; the first word of a variant is the one printed.
            pub const WORDS: &'static [(&'static str, u8)] =
                &[$(($first, $name::$variant as u8), $(($other, $name::$variant as u8),)*)*];
            const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word that CONFIG GET prints.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $first),* }
            }
        }

        impl Setting for $name {
            type View<'a> = $name;
            fn view(value: &Value) -> Option<$name> {
                match value {
                    Value::Choice(variant) => $name::ALL.get(usize::from(*variant)).copied(),
                    _ => None,
                }
            }
        }
    };
}

choice!(
    /// `appendfsync`: when the log reaches the disk.
    AppendFsync {
        /// Once a second.
        Everysec = "everysec",
        /// Before each reply.
        Always = "always",
        /// When the operating system likes.
        No = "no",
    }
);
choice!(
    /// `loglevel`: the least important line that is written.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much.
        Verbose = "verbose",
        /// What matters in production.
        Notice = "notice",
        /// Only what needs attention.
        Warning = "warning",
        /// No line at all.
        Nothing = "nothing",
    }
);
choice!(
    /// `maxmemory-policy`: what goes when memory is full.
    MaxmemoryPolicy {
        /// Keys with an expiry, least recently used.
        VolatileLru = "volatile-lru",
        /// Keys with an expiry, least often used.
        VolatileLfu = "volatile-lfu",
        /// Keys with an expiry, at random.
        VolatileRandom = "volatile-random",
        /// Keys with an expiry, the nearest first.
        VolatileTtl = "volatile-ttl",
        /// Any key, least recently used.
        AllkeysLru = "allkeys-lru",
        /// Any key, least often used.
        AllkeysLfu = "allkeys-lfu",
        /// Any key, at random.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes fail.
        Noeviction = "noeviction",
    }
);
choice!(
    /// `enable-protected-configs`, `enable-debug-command`, `enable-module-command`: who may.
    Permission {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Connections from this machine.
        Local = "local",
    }
);
choice!(
    /// `sanitize-dump-payload`: whose payloads are checked deeply.
    Sanitize {
        /// Nobody's.
        No = "no",
        /// Everybody's.
        Yes = "yes",
        /// Those of clients, not those of files and primaries.
        Clients = "clients",
    }
);
choice!(
    /// `supervised`: who started the server.
    Supervised {
        /// Upstart.
        Upstart = "upstart",
        /// systemd.
        Systemd = "systemd",
        /// To be found out from the environment.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }
);
choice!(
    /// `syslog-facility`.
    SyslogFacility {
        /// user
        User = "user",
        /// local0
        Local0 = "local0",
        /// local1
        Local1 = "local1",
        /// local2
        Local2 = "local2",
        /// local3
        Local3 = "local3",
        /// local4
        Local4 = "local4",
        /// local5
        Local5 = "local5",
        /// local6
        Local6 = "local6",
        /// local7
        Local7 = "local7",
    }
);
impl SyslogFacility {
    /// Its number in RFC 3164.
    pub fn number(self) -> u8 {
        match self {
            SyslogFacility::User => 1,
            SyslogFacility::Local0 => 16,
            SyslogFacility::Local1 => 17,
            SyslogFacility::Local2 => 18,
            SyslogFacility::Local3 => 19,
            SyslogFacility::Local4 => 20,
            SyslogFacility::Local5 => 21,
            SyslogFacility::Local6 => 22,
            SyslogFacility::Local7 => 23,
        }
    }
}

choice!(
    /// `repl-diskless-load`: when a replica loads from the socket.
    DisklessLoad {
        /// Never.
        Disabled = "disabled",
        /// When it has no data.
        OnEmptyDb = "on-empty-db",
        /// Always, into a second data set.
        Swapdb = "swapdb",
    }
);
choice!(
    /// `oom-score-adj`: how the kernel's out-of-memory score is set.
    OomScoreAdj {
        /// Not at all.
        No = "no",
        /// Relative to the value at start.
        Relative = "yes" | "relative",
        /// As given.
        Absolute = "absolute",
    }
);
choice!(
    /// `acl-pubsub-default`: channels of new users.
    AclPubsubDefault {
        /// All.
        Allchannels = "allchannels",
        /// None.
        Resetchannels = "resetchannels",
    }
);
choice!(
    /// `propagation-error-behavior`: what an error in the replication stream does.
    PropagationError {
        /// Nothing.
        Ignore = "ignore",
        /// Ends the server.
        Panic = "panic",
        /// Ends a replica.
        PanicOnReplicas = "panic-on-replicas",
    }
);
choice!(
    /// `cluster-preferred-endpoint-type`.
    EndpointType {
        /// The address.
        Ip = "ip",
        /// The announced host name.
        Hostname = "hostname",
        /// Nothing: the client uses the address it knows.
        UnknownEndpoint = "unknown-endpoint",
    }
);
choice!(
    /// `tls-auth-clients`: whether clients need a certificate.
    TlsAuthClients {
        /// No.
        No = "no",
        /// Yes.
        Yes = "yes",
        /// If they have one.
        Optional = "optional",
    }
);
