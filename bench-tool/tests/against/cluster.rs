//! A cluster of three nodes of 7.0.15.

use crate::json;
use crate::real_server::RealServer;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

struct Cluster {
    nodes: Vec<RealServer>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let start = |n: usize| {
            let path: PathBuf = folder.path().join(n.to_string());
            std::fs::create_dir(&path).unwrap();
            RealServer::start(&path, &["--cluster-enabled", "yes"])
        };
        let nodes: Vec<RealServer> = (0..3).map(start).collect();
        for (node, (from, to)) in nodes.iter().zip([(0, 5460), (5461, 10922), (10923, 16383)]) {
            node.ask(&format!("CLUSTER ADDSLOTSRANGE {from} {to}"));
            node.ask(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port));
        }
        let since = Instant::now();
        let is_up = |node: &RealServer| {
            let info = node.ask("CLUSTER INFO");
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        };
        while !nodes.iter().all(is_up) {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "the cluster does not come up"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Cluster {
            nodes,
            _folder: folder,
        }
    }

    fn id(&self, node: usize) -> String {
        let reply = self.nodes[node].ask("CLUSTER MYID");
        reply.lines().nth(1).unwrap().trim().to_owned()
    }
}

#[test]
fn requests_go_to_the_node_of_their_slot_and_follow_it() {
    let cluster = Cluster::start();
    let port = cluster.nodes[1].port.to_string();
    let words = [
        "run",
        "-p",
        &port,
        "--cluster",
        "-c",
        "4",
        "-P",
        "4",
        "--json",
        "-",
    ];
    let fill = [
        &words[..],
        &["-n", "3000", "--command", "SET {key:seq} {data:20}"],
    ]
    .concat();
    let (code, result, stderr) = json(&fill);
    assert_eq!((code, stderr.as_str()), (0, ""), "{result:#}");
    assert_eq!(
        (&result["moved"], &result["asked"], &result["errors"]),
        (&0.into(), &0.into(), &0.into())
    );
    let keys: u64 = cluster
        .nodes
        .iter()
        .map(|node| {
            node.ask("DBSIZE")
                .trim_start_matches(':')
                .lines()
                .next()
                .unwrap()
                .trim()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(keys, 3000);

    // A slot moves while requests come: first it is asked for once (ASK), then it is another's for good (MOVED).
    let slot = 12_182; // of foo
    let (from, to) = (&cluster.nodes[2], &cluster.nodes[0]);
    let (from_id, to_id) = (cluster.id(2), cluster.id(0));
    from.ask("SET foo 1");
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            json(
                &[
                    &words[..],
                    &[
                        "--rate",
                        "400",
                        "-d",
                        "3",
                        "--command",
                        "INCR foo",
                        "--command",
                        "GET {key:3000}",
                    ],
                ]
                .concat(),
            )
        });
        thread::sleep(Duration::from_millis(800));
        to.ask(&format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"));
        from.ask(&format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"));
        from.ask(&format!("MIGRATE 127.0.0.1 {} foo 0 5000", to.port));
        thread::sleep(Duration::from_millis(500));
        for node in [to, from, &cluster.nodes[1]] {
            node.ask(&format!("CLUSTER SETSLOT {slot} NODE {to_id}"));
        }
        let (code, result, stderr) = load.join().unwrap();
        assert_eq!((code, stderr.as_str()), (0, ""), "{result:#}");
        assert_eq!(
            (&result["replies"], &result["errors"]),
            (&1200.into(), &0.into()),
            "{result:#}"
        );
        let (moved, asked) = (
            result["moved"].as_u64().unwrap(),
            result["asked"].as_u64().unwrap(),
        );
        assert!(asked > 20 && (1..=40).contains(&moved), "{result:#}");
    });
}

#[test]
fn a_server_alone_is_no_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let server = RealServer::start(folder.path(), &[]);
    let (code, _, stderr) = json(&[
        "run",
        "-p",
        &server.port.to_string(),
        "--cluster",
        "--command",
        "PING",
    ]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("CLUSTER was refused: ERR This instance has cluster support disabled"),
        "{stderr}"
    );
}
