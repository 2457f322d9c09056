//! CLIENT KILL: by address, or by what several options say together.

use cairn_engine::base::args::Args;
use cairn_engine::base::error::{self, Error, Outcome};
use cairn_engine::call::{Command, Ctx};
use cairn_engine::users::Users;
use cairn_format::text::number::parse_i64;

use super::client_common::{ADMIN, SUB, close};
use crate::front::client_line::{Line, kind_of_word};
use crate::net::ClientClass;

pub(super) const KILL: Command = Command {
    name: "client|kill",
    arity: -3,
    flags: ADMIN,
    complexity: "O(N) where N is the number of client connections",
    summary: "Close connections",
    run: kill,
    ..SUB
};

/// What the clients to be closed have in common; what is not asked for does not matter.
struct Filter {
    id: Option<u64>,
    kind: Option<ClientClass>,
    addr: Option<Vec<u8>>,
    laddr: Option<Vec<u8>>,
    user: Option<Vec<u8>>,
    skip_self: bool,
}

impl Filter {
    fn fits(&self, line: &Line) -> bool {
        let same = |asked: &Option<Vec<u8>>, is: &[u8]| asked.as_ref().is_none_or(|a| a == is);
        self.id.is_none_or(|id| id == line.id())
            && self.kind.is_none_or(|kind| kind == line.kind())
            && same(&self.addr, line.addr().as_bytes())
            && same(&self.laddr, line.laddr().as_bytes())
            && same(&self.user, line.user())
            && !(self.skip_self && line.is_self())
    }
}

fn kill(cx: &mut Ctx, args: &Args) -> Outcome {
    let by_address = args.len() == 3;
    let filter = match by_address {
        true => Filter {
            addr: Some(args.at(2).to_vec()),
            skip_self: false,
            ..parse(args, 3, &cx.shared.users)?
        },
        false => parse(args, 2, &cx.shared.users)?,
    };
    let victims: Vec<u64> = Line::all(cx, args)
        .iter()
        .filter(|line| filter.fits(line))
        .map(Line::id)
        .collect();
    for id in &victims {
        close(cx, *id);
    }
    match (by_address, victims.is_empty()) {
        (true, true) => return Err(Error::new("ERR No such client")),
        (true, false) => cx.reply.ok(),
        (false, _) => cx.reply.int(victims.len() as i64),
    }
    Ok(())
}

fn parse(args: &Args, from: usize, users: &Users) -> Result<Filter, Error> {
    let mut filter = Filter {
        id: None,
        kind: None,
        addr: None,
        laddr: None,
        user: None,
        skip_self: true,
    };
    let mut i = from;
    while i < args.len() {
        let value = args.get(i + 1).ok_or(error::SYNTAX)?;
        match args.at(i).to_ascii_lowercase().as_slice() {
            b"id" => filter.id = Some(client_id(value)?),
            b"type" => filter.kind = Some(kind_of_word(value)?),
            b"addr" => filter.addr = Some(value.to_vec()),
            b"laddr" => filter.laddr = Some(value.to_vec()),
            b"user" if users.find(value).is_some() => filter.user = Some(value.to_vec()),
            b"user" => {
                let user = String::from_utf8_lossy(value);
                return Err(Error::text(format!("ERR No such user '{user}'")));
            }
            b"skipme" => {
                filter.skip_self = match value.to_ascii_lowercase().as_slice() {
                    b"yes" => true,
                    b"no" => false,
                    _ => return Err(error::SYNTAX),
                }
            }
            _ => return Err(error::SYNTAX),
        }
        i += 2;
    }
    Ok(filter)
}

fn client_id(text: &[u8]) -> Result<u64, Error> {
    parse_i64(text)
        .and_then(|id| u64::try_from(id).ok())
        .filter(|id| *id > 0)
        .ok_or(Error::new("ERR client-id should be greater than 0"))
}
