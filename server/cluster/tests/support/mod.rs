//! Machines that reach each other at once, and lose nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_cluster::Machine;
use cairn_cluster::machine::Addresses;
use cairn_cluster::seam::{Action, LinkId, Moment, PeerId, Upstream};
use cairn_format::cluster::NodeId;

/// Who made a connection, and who accepted it, each under its number.
type Conn = ((usize, PeerId), (usize, LinkId));

/// A machine and what it has done.
pub struct Host {
    pub machine: Machine,
    pub actions: Vec<Action>,
    pub saves: usize,
    is_up: bool,
}

/// All machines, by number; the address of one is `10.0.0.<number + 1>`.
#[derive(Default)]
pub struct Net {
    pub hosts: Vec<Host>,
    pub now_ms: u64,
    drawn: u64,
    /// Who made a connection, under which number, and who accepted it, under which.
    conns: BTreeMap<u64, Conn>,
    made: u64,
    /// Connections on which nothing arrives any more, and ways on which none is made.
    mute: Vec<u64>,
    hanging: Vec<(usize, usize)>,
}

impl Net {
    /// So many, each on its own.
    pub fn new(count: usize) -> Net {
        let mut net = Net {
            now_ms: 1000,
            ..Net::default()
        };
        for number in 0..count {
            let mut machine = net.moment(Machine::new);
            machine.options.node_timeout_ms = 1000;
            machine.local.port = 7000 + number as u16;
            machine.local.cport = machine.local.port + 10_000;
            machine.local.offset = 100;
            machine.local.upstream = Upstream::Up { silent_ms: 0 };
            net.hosts.push(Host {
                machine,
                actions: Vec::new(),
                saves: 0,
                is_up: true,
            });
        }
        net
    }

    /// A cluster of three primaries with a third of the slots each, and one replica of the first.
    pub fn cluster() -> Net {
        let mut net = Net::new(4);
        for (host, slots) in [(0, 0..5461), (1, 5461..10_923), (2, 10_923..16_384)] {
            let slots: Vec<u16> = slots.collect();
            net.on(host, |machine, moment| machine.add_slots(&slots, moment))
                .unwrap();
            net.on(host, |machine, _| machine.set_config_epoch(host as u64 + 1))
                .unwrap();
        }
        for host in 1..4 {
            net.on(host, |machine, moment| {
                machine.meet("10.0.0.1", 7000, None, moment)
            })
            .unwrap();
        }
        net.pass(6000);
        let first = net.id(0);
        net.on(3, |machine, moment| {
            machine.replicate(&first, false, moment)
        })
        .unwrap();
        net.pass(2000);
        assert!(
            net.hosts.iter().all(|host| host.machine.is_ok()),
            "a cluster that serves"
        );
        net
    }

    pub fn id(&self, host: usize) -> NodeId {
        self.hosts[host].machine.id()
    }

    pub fn moment<T>(&mut self, act: impl FnOnce(&mut Moment<'_>) -> T) -> T {
        let drawn = &mut self.drawn;
        let mut draw = || {
            *drawn += 1;
            drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15)
                ^ drawn.wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left(29)
        };
        act(&mut Moment {
            now_ms: self.now_ms,
            wall_ms: 1_795_824_000_000 + self.now_ms,
            draw: &mut draw,
        })
    }

    /// Lets a machine do something, and all that follows.
    pub fn on<T>(
        &mut self,
        host: usize,
        act: impl FnOnce(&mut Machine, &mut Moment<'_>) -> T,
    ) -> T {
        let mut machine = std::mem::replace(
            &mut self.hosts[host].machine,
            Machine::new(&mut no_moment()),
        );
        let answer = self.moment(|moment| act(&mut machine, moment));
        machine.check().unwrap();
        self.hosts[host].machine = machine;
        self.apply(host);
        answer
    }

    fn apply(&mut self, host: usize) {
        let output = self.hosts[host].machine.take();
        self.hosts[host].saves += usize::from(output.save.is_some());
        for action in output.actions {
            self.hosts[host].actions.push(action.clone());
            match action {
                Action::Connect { peer, ip, port } => self.connect(host, peer, &ip, port),
                Action::SendPeer(peer, bytes) => {
                    self.deliver(|(from, _)| *from == (host, peer), true, &bytes)
                }
                Action::SendLink(link, bytes) => {
                    self.deliver(|(_, to)| *to == (host, link), false, &bytes)
                }
                Action::Disconnect(peer) => self.end(|(from, _)| *from == (host, peer), false),
                Action::HangUp(link) => self.end(|(_, to)| *to == (host, link), true),
                _ => {}
            }
        }
    }

    fn connect(&mut self, host: usize, peer: PeerId, ip: &str, port: u16) {
        let to = ip
            .strip_prefix("10.0.0.")
            .and_then(|part| part.parse::<usize>().ok())
            .map(|number| number - 1);
        let to = to.filter(|to| {
            self.hosts
                .get(*to)
                .is_some_and(|host| host.is_up && host.machine.local.cport == port)
        });
        let Some(to) = to else {
            self.on(host, |machine, _| machine.disconnected(peer));
            return;
        };
        if self.hanging.contains(&(host, to)) {
            return;
        }
        self.made += 1;
        let link = LinkId(self.made);
        self.conns.insert(self.made, ((host, peer), (to, link)));
        let addresses = Addresses {
            remote: format!("10.0.0.{}", host + 1),
            local: ip.to_owned(),
        };
        self.on(to, |machine, _| machine.accepted(link, addresses));
        self.on(host, |machine, moment| machine.connected(peer, moment));
    }

    fn deliver(&mut self, which: impl Fn(&Conn) -> bool, is_to: bool, bytes: &Arc<[u8]>) {
        let found = self
            .conns
            .iter()
            .find(|(number, conn)| which(conn) && !self.mute.contains(number));
        let Some(((from, peer), (to, link))) = found.map(|(_, conn)| *conn) else {
            return;
        };
        match is_to {
            true if self.hosts[to].is_up => self.on(to, |machine, moment| {
                machine.frame_from_link(link, bytes, moment)
            }),
            false if self.hosts[from].is_up => self.on(from, |machine, moment| {
                machine.frame_from_peer(peer, bytes, moment)
            }),
            _ => {}
        }
    }

    fn end(&mut self, which: impl Fn(&Conn) -> bool, by_acceptor: bool) {
        let Some((number, ((from, peer), (to, link)))) = self
            .conns
            .iter()
            .find(|(_, conn)| which(conn))
            .map(|(n, c)| (*n, *c))
        else {
            return;
        };
        self.conns.remove(&number);
        match by_acceptor {
            true => self.on(from, |machine, _| machine.disconnected(peer)),
            false => self.on(to, |machine, _| machine.hung_up(link)),
        }
    }

    /// What one has sent on its own connection to another is lost from now on, and a new connection hangs, until [`Net::heal`].
    pub fn lose(&mut self, from: usize, to: usize) {
        let conns = self
            .conns
            .iter()
            .filter(|(_, ((of, _), (at, _)))| (*of, *at) == (from, to));
        self.mute.extend(conns.map(|(number, _)| *number));
        self.hanging.push((from, to));
    }

    /// New connections are made again.
    pub fn heal(&mut self) {
        self.hanging.clear();
    }

    /// A machine is gone, and nobody is told.
    pub fn kill(&mut self, host: usize) {
        self.hosts[host].is_up = false;
    }

    /// It goes on as it was.
    pub fn revive(&mut self, host: usize) {
        self.hosts[host].is_up = true;
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now_ms += 100;
            for host in 0..self.hosts.len() {
                if self.hosts[host].is_up {
                    self.on(host, Machine::tick);
                }
            }
        }
    }

    /// What one has logged.
    pub fn log(&self, host: usize) -> String {
        let lines = self.hosts[host]
            .actions
            .iter()
            .filter_map(|action| match action {
                Action::Log(_, text) => Some(text.as_str()),
                _ => None,
            });
        lines.collect::<Vec<_>>().join("\n")
    }
}

fn no_moment() -> Moment<'static> {
    let draw: &'static mut dyn FnMut() -> u64 = Box::leak(Box::new(|| 7));
    Moment {
        now_ms: 0,
        wall_ms: 0,
        draw,
    }
}
