//! CLUSTERLINK and DROP-CLUSTER-PACKET-FILTER: the cluster's bus at its worst.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{Error, Outcome, lossless};
use cairn_engine::call::Ctx;
use cairn_format::cluster::NodeId;

use super::{ok, unknown};
use crate::front::access;

/// `KILL to|from|all NODE`.
pub(super) fn end_links(cx: &mut Ctx, args: &Args) -> Outcome {
    let front = access::whole(&mut *cx.inst);
    let Some(cluster) = &mut front.cluster else {
        return Err(Error::new(
            "ERR Debug option only available for cluster mode enabled setup!",
        ));
    };
    if !args.is(2, "kill") {
        return Err(unknown(args));
    }
    let (own, accepted) = match args.at(3).to_ascii_lowercase().as_slice() {
        b"to" => (true, false),
        b"from" => (false, true),
        b"all" => (true, true),
        _ => {
            let word = lossless(args.at(3));
            return Err(Error::text(format!("ERR Unknown direction {word}")));
        }
    };
    cluster.is_asked = true;
    let id = NodeId::parse(args.at(4));
    let known = id.is_some_and(|id| cluster.machine.kill_links(&id, own, accepted));
    if !known {
        let word = lossless(args.at(4));
        return Err(Error::text(format!("ERR Unknown node {word}")));
    }
    ok(cx)
}

/// A number of a kind of messages, which are dropped unread from now on; another number: none are.
pub(super) fn drop_kind(cx: &mut Ctx, args: &Args) -> Outcome {
    let kind = u16::try_from(args.int(2)?).ok();
    let front = access::whole(&mut *cx.inst);
    if let Some(cluster) = &mut front.cluster {
        cluster.dropped = kind;
    }
    ok(cx)
}
