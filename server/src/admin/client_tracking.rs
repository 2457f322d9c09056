//! CLIENT TRACKING and what belongs to it: client-side caching. Words, errors and their order are those of Redis 7.2.4.

use std::collections::BTreeSet;

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::interests::stop_tracking;
use cairn_engine::call::{Command, Ctx};
use cairn_engine::session::Session;
use cairn_engine::tracking::options::{Choice, Options, Redirect, overlap};

use super::client_common::SUB;

pub(super) const TRACKING: Command = Command {
    name: "client|tracking",
    since: "6.0.0",
    arity: -3,
    complexity: "O(1). Some options may introduce additional complexity.",
    summary: "Be told of changed keys that this connection has read, or that have prefixes",
    run: tracking,
    ..SUB
};

/// The prefixes of BCAST where none is named.
const ALL: &[&[u8]] = &[b""];

/// What a call asks for.
#[derive(Default)]
struct Asked<'a> {
    redirect: Option<Redirect>,
    bcast: bool,
    optin: bool,
    optout: bool,
    noloop: bool,
    prefixes: Vec<&'a [u8]>,
}

fn tracking(cx: &mut Ctx, args: &Args) -> Outcome {
    let asked = Asked::of(cx, args)?;
    if args.is(2, "off") {
        stop_tracking(cx.ks, cx.session);
    } else if args.is(2, "on") {
        let choice = asked.choice(cx.session.tracking.as_deref())?;
        let prefixes = asked.new_prefixes(cx.session.tracking.as_deref())?;
        begin(cx, &asked, choice, prefixes);
    } else {
        return Err(error::SYNTAX);
    }
    cx.reply.ok();
    Ok(())
}

impl<'a> Asked<'a> {
    fn of(cx: &Ctx, args: &Args<'a>) -> Result<Asked<'a>, Error> {
        let mut asked = Asked::default();
        let mut i = 3;
        while i < args.len() {
            let has_value = i + 1 < args.len();
            if args.is(i, "redirect") && has_value {
                i += 1;
                asked.set_redirect(cx, args, i)?;
            } else if args.is(i, "bcast") {
                asked.bcast = true;
            } else if args.is(i, "optin") {
                asked.optin = true;
            } else if args.is(i, "optout") {
                asked.optout = true;
            } else if args.is(i, "noloop") {
                asked.noloop = true;
            } else if args.is(i, "prefix") && has_value {
                i += 1;
                asked.prefixes.push(args.at(i));
            } else {
                return Err(error::SYNTAX);
            }
            i += 1;
        }
        Ok(asked)
    }

    fn set_redirect(&mut self, cx: &Ctx, args: &Args, at: usize) -> Outcome {
        if self.redirect.is_some() {
            return Err(Error::new(
                "ERR A client can only redirect to a single other client",
            ));
        }
        let id = args.int(at)?;
        let others = cx.shared.sessions.iter();
        let mut all = std::iter::once(&*cx.session).chain(others);
        let target = all.find(|session| i64::try_from(session.id) == Ok(id));
        let target = target.map(Session::reader).ok_or(Error::new(
            "ERR The client ID you want redirect to does not exist",
        ))?;
        self.redirect = Some(Redirect {
            target,
            id: id.cast_unsigned(),
        });
        Ok(())
    }

    /// Which reads are to be remembered, if that and the rest fit together and with what is on.
    fn choice(&self, now: Option<&Options>) -> Result<Choice, Error> {
        if !self.bcast && !self.prefixes.is_empty() {
            return Err(Error::new(
                "ERR PREFIX option requires BCAST mode to be enabled",
            ));
        }
        if now.is_some_and(|now| now.bcast != self.bcast) {
            return Err(Error::new(
                "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        if self.bcast && (self.optin || self.optout) {
            return Err(Error::new(
                "ERR OPTIN and OPTOUT are not compatible with BCAST",
            ));
        }
        let choice = match (self.optin, self.optout) {
            (true, true) => {
                return Err(Error::new(
                    "ERR You can't specify both OPTIN mode and OPTOUT mode",
                ));
            }
            (true, false) => Choice::OptIn,
            (false, true) => Choice::OptOut,
            (false, false) => Choice::All,
        };
        let before = now.map(|now| now.choice);
        if matches!(
            (before, choice),
            (Some(Choice::OptIn), Choice::OptOut) | (Some(Choice::OptOut), Choice::OptIn)
        ) {
            return Err(Error::new(
                "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.",
            ));
        }
        Ok(choice)
    }

    /// The prefixes to add: with BCAST there is one at least, the empty one if none is named. None may begin with another.
    fn new_prefixes(&self, now: Option<&Options>) -> Result<BTreeSet<Box<[u8]>>, Error> {
        if !self.bcast {
            return Ok(BTreeSet::new());
        }
        let named = match self.prefixes.as_slice() {
            [] => ALL,
            named => named,
        };
        for (place, prefix) in named.iter().enumerate() {
            if let Some(own) = now.and_then(|now| now.overlapping(prefix)) {
                return Err(overlapping(prefix, "an existing", own));
            }
            let other = named[place + 1..]
                .iter()
                .find(|other| overlap(prefix, other));
            if let Some(other) = other {
                return Err(overlapping(prefix, "another provided", other));
            }
        }
        Ok(named.iter().copied().map(Box::from).collect())
    }
}

fn overlapping(prefix: &[u8], which: &str, other: &[u8]) -> Error {
    let [prefix, other] = [prefix, other].map(error::lossless);
    Error::text(format!(
        "ERR Prefix '{prefix}' overlaps with {which} prefix '{other}'. Prefixes for a single client must not overlap."
    ))
}

fn begin(cx: &mut Ctx, asked: &Asked, choice: Choice, prefixes: BTreeSet<Box<[u8]>>) {
    let reader = cx.session.reader();
    let mut options = match cx.session.tracking.take() {
        Some(options) => options,
        None => {
            cx.ks.begin_tracking();
            Box::default()
        }
    };
    if let Some(tracking) = &mut cx.ks.tracking {
        prefixes
            .iter()
            .for_each(|text| tracking.prefixes.add(text, reader));
    }
    options.bcast = asked.bcast;
    options.choice = choice;
    options.noloop = asked.noloop;
    options.redirect = asked.redirect;
    options.broken = false;
    options.prefixes.extend(prefixes);
    cx.session.tracking = Some(options);
}

pub(super) const CACHING: Command = Command {
    name: "client|caching",
    since: "6.0.0",
    arity: 3,
    summary: "Have the next command's keys remembered, or not",
    run: caching,
    ..SUB
};

fn caching(cx: &mut Ctx, args: &Args) -> Outcome {
    let Some(options) = cx.session.tracking.as_deref_mut() else {
        return Err(Error::new(
            "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        ));
    };
    if args.is(2, "yes") {
        if options.choice != Choice::OptIn {
            return Err(Error::new(
                "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.",
            ));
        }
    } else if args.is(2, "no") {
        if options.choice != Choice::OptOut {
            return Err(Error::new(
                "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.",
            ));
        }
    } else {
        return Err(error::SYNTAX);
    }
    options.marked = true;
    cx.reply.ok();
    Ok(())
}

pub(super) const GETREDIR: Command = Command {
    name: "client|getredir",
    since: "6.0.0",
    summary: "Tell which connection is told of changed keys",
    run: |cx, _| {
        cx.reply.int(redirection(cx.session));
        Ok(())
    },
    ..SUB
};

fn redirection(session: &Session) -> i64 {
    let options = session.tracking.as_deref();
    options.map_or(-1, Options::redirection)
}

pub(super) const TRACKINGINFO: Command = Command {
    name: "client|trackinginfo",
    since: "6.2.0",
    summary: "Tell whether keys are tracked for this connection",
    run: |cx, _| {
        let flags = flags_of(cx.session.tracking.as_deref());
        cx.reply.map(3);
        cx.reply.bulk(b"flags");
        cx.reply.set(flags.len());
        flags.iter().for_each(|flag| cx.reply.bulk(flag.as_bytes()));
        cx.reply.bulk(b"redirect");
        cx.reply.int(redirection(cx.session));
        cx.reply.bulk(b"prefixes");
        let prefixes = cx
            .session
            .tracking
            .as_deref()
            .map(|options| &options.prefixes);
        cx.reply.array(prefixes.map_or(0, BTreeSet::len));
        prefixes
            .into_iter()
            .flatten()
            .for_each(|text| cx.reply.bulk(text));
        Ok(())
    },
    ..SUB
};

fn flags_of(options: Option<&Options>) -> Vec<&'static str> {
    let Some(options) = options else {
        return vec!["off"];
    };
    let (optin, optout) = (
        options.choice == Choice::OptIn,
        options.choice == Choice::OptOut,
    );
    [
        (true, "on"),
        (options.bcast, "bcast"),
        (optin, "optin"),
        (optin && options.marked, "caching-yes"),
        (optout, "optout"),
        (optout && options.marked, "caching-no"),
        (options.noloop, "noloop"),
        (options.broken, "broken_redirect"),
    ]
    .into_iter()
    .filter_map(|(holds, flag)| holds.then_some(flag))
    .collect()
}
