//! What clients cost that do nothing. Ten thousand of them are measured by hand (`scripts/bench FOLDER idle`).

mod support;

use support::{Folder, Setup, wait_until};

const CLIENTS: usize = 800;
/// Bytes that each may take, beyond what the kernel keeps for it.
const EACH: u64 = 1024;

/// They talked once: what that needed is given back after two seconds.
#[test]
fn idle_clients_take_less_than_a_kilobyte_each() {
    let folder = Folder::new();
    let server = Setup::cairn(&folder).start();
    let mut asking = server.connect();
    let memory = |asking: &mut support::Connection| -> u64 {
        asking.info("memory")["mem_clients_normal"].parse().unwrap()
    };
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.call(&["SET", "a", &"x".repeat(10_000)]);
        client.call(&["GET", "a"]);
    }
    assert!(memory(&mut asking) > EACH * CLIENTS as u64, "buffers count");
    wait_until("buffers are given back", || {
        // The one that asks has its own.
        memory(&mut asking) < EACH * CLIENTS as u64
    });
    for client in &mut clients {
        assert_eq!(
            client.call(&["STRLEN", "a"]),
            cairn_format::resp::value::Value::Int(10_000)
        );
    }
}
