//! The local time zone.

/// Seconds that local time is ahead of UTC at the moment `unix_seconds`; 0 if the system cannot tell.
///
/// The C library takes a lock for this, so a forked child must not ask: see `crate::log`.
pub fn utc_offset(unix_seconds: i64) -> i64 {
    let time = unix_seconds as _;
    // SAFETY: all fields of `tm` are integers or a pointer, for which zero bytes are values.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are to live values of the right types, and `localtime_r` keeps neither.
    let result = unsafe { libc::localtime_r(&time, &mut local) };
    if result.is_null() {
        0
    } else {
        local.tm_gmtoff as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_earth() {
        for seconds in [0, 1_700_000_000, 1_720_000_000, -1] {
            assert!(utc_offset(seconds).abs() <= 15 * 3600);
        }
    }
}
