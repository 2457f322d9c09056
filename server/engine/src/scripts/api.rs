//! The table `redis`: functions by number, and constants. Names and values are those of Redis 7.2.4.

use cairn_lua::sandbox::{Api, Constant, library_room, room};
use cairn_lua::{Kind, Machine, Raise, Stack};

/// Version of the interface that scripts see.
const VERSION: &str = "7.2.4";
/// The same in a number, a byte for each part.
const VERSION_NUMBER: u32 = 0x07_02_04;

/// Numbers of the functions.
#[allow(missing_docs)]
pub mod function {
    pub const CALL: u32 = 0;
    pub const PCALL: u32 = 1;
    pub const ERROR_REPLY: u32 = 2;
    pub const STATUS_REPLY: u32 = 3;
    pub const LOG: u32 = 4;
    pub const SHA1HEX: u32 = 5;
    pub const SETRESP: u32 = 6;
    pub const SET_REPL: u32 = 7;
    pub const ACL_CHECK_CMD: u32 = 8;
    pub const REPLICATE_COMMANDS: u32 = 9;
    pub const BREAKPOINT: u32 = 10;
    pub const DEBUG: u32 = 11;
    pub const REGISTER_FUNCTION: u32 = 12;
    pub const ERROR_HANDLER: u32 = 13;
}

const FUNCTIONS: [(&str, u32); 9] = [
    ("call", function::CALL),
    ("pcall", function::PCALL),
    ("error_reply", function::ERROR_REPLY),
    ("status_reply", function::STATUS_REPLY),
    ("log", function::LOG),
    ("sha1hex", function::SHA1HEX),
    ("setresp", function::SETRESP),
    ("set_repl", function::SET_REPL),
    ("acl_check_cmd", function::ACL_CHECK_CMD),
];

/// What only EVAL has.
const EVAL_ONLY: [(&str, u32); 3] = [
    ("replicate_commands", function::REPLICATE_COMMANDS),
    ("breakpoint", function::BREAKPOINT),
    ("debug", function::DEBUG),
];

const LOADING: &[(&str, u32)] = &[
    ("register_function", function::REGISTER_FUNCTION),
    ("log", function::LOG),
];

const LOADING_CONSTANTS: [(&str, Constant); 6] = [
    ("LOG_DEBUG", Constant::Number(0.0)),
    ("LOG_VERBOSE", Constant::Number(1.0)),
    ("LOG_NOTICE", Constant::Number(2.0)),
    ("LOG_WARNING", Constant::Number(3.0)),
    ("REDIS_VERSION", Constant::Text(VERSION)),
    ("REDIS_VERSION_NUM", Constant::Number(VERSION_NUMBER as f64)),
];

const REPLICATION: [(&str, Constant); 5] = [
    ("REPL_NONE", Constant::Number(0.0)),
    ("REPL_AOF", Constant::Number(1.0)),
    ("REPL_SLAVE", Constant::Number(2.0)),
    ("REPL_REPLICA", Constant::Number(2.0)),
    ("REPL_ALL", Constant::Number(3.0)),
];

/// A machine for EVAL.
pub fn eval_machine() -> Machine {
    let functions = [&FUNCTIONS[..], &EVAL_ONLY].concat();
    let mut machine = room(Api {
        functions: &functions,
        constants: &[&LOADING_CONSTANTS[..], &REPLICATION].concat(),
    });
    let stack = &mut machine.stack();
    put_error_handler(stack).expect("a fresh machine has room");
    machine
}

/// The global that Redis leaves in sight.
fn put_error_handler(stack: &mut Stack) -> Result<(), Raise> {
    cairn_lua::sandbox::push_globals_behind(stack)?;
    stack.push_host(function::ERROR_HANDLER)?;
    stack.set_field(-2, "__redis__err__handler")?;
    stack.pop(1);
    Ok(())
}

/// A machine for functions.
pub fn library_machine() -> Machine {
    library_room(
        Api {
            functions: &FUNCTIONS,
            constants: &[&LOADING_CONSTANTS[..], &REPLICATION].concat(),
        },
        Api {
            functions: LOADING,
            constants: &LOADING_CONSTANTS,
        },
    )
}

/// Raises a table with the field `err`, as Redis raises its own errors.
pub fn raise_error(stack: &mut Stack, text: &[u8]) -> Raise {
    match push_error(stack, text) {
        Ok(()) => Raise::Top,
        Err(raise) => raise,
    }
}

/// Pushes a table with the field `err`.
///
/// # Errors
/// There is no room.
pub fn push_error(stack: &mut Stack, text: &[u8]) -> Result<(), Raise> {
    push_field(stack, "err", text)
}

/// Pushes a table with one field, a string.
///
/// # Errors
/// There is no room.
pub fn push_field(stack: &mut Stack, name: &str, text: &[u8]) -> Result<(), Raise> {
    stack.push_table(0, 2)?;
    stack.push_bytes(text)?;
    stack.set_field(-2, name)
}

/// How loud a line of `redis.log` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Loudness {
    Debug,
    Verbose,
    Notice,
    Warning,
}

/// `redis.log(level, text, ...)`: the line.
///
/// # Errors
/// Arguments that Redis refuses.
pub fn log_line(stack: &mut Stack) -> Result<(Loudness, Vec<u8>), Raise> {
    if stack.top() < 2 {
        return Err(raise_error(
            stack,
            b"ERR redis.log() requires two arguments or more.",
        ));
    }
    let Some(level) = stack.as_number(1) else {
        return Err(raise_error(
            stack,
            b"ERR First argument must be a number (log level).",
        ));
    };
    let loudness = match level as i64 {
        0 => Loudness::Debug,
        1 => Loudness::Verbose,
        2 => Loudness::Notice,
        3 => Loudness::Warning,
        _ => return Err(raise_error(stack, b"ERR Invalid debug level.")),
    };
    let mut line = Vec::new();
    for index in 2..=stack.top() {
        if let Some(text) = stack.text(index) {
            if !line.is_empty() {
                line.push(b' ');
            }
            line.extend_from_slice(&text);
        }
    }
    Ok((loudness, line))
}

/// The text of the error on top of the stack: that of its field `err`, or `ERR` and what it says.
pub fn error_text(stack: &mut Stack) -> Vec<u8> {
    let top = stack.top();
    match stack.kind(-1) {
        Kind::Table => {
            let found = stack.get_field(-1, "err").is_ok();
            let text = found.then(|| stack.text(-1).map(|text| text.into_owned()));
            stack.cut(top);
            text.flatten()
                .unwrap_or_else(|| b"ERR unknown error".to_vec())
        }
        Kind::String | Kind::Number => {
            let text = stack.text(-1).map(|text| text.into_owned());
            [b"ERR ", text.unwrap_or_default().as_slice()].concat()
        }
        Kind::Bool => format!("ERR {}", stack.truth(-1)).into_bytes(),
        kind => format!("ERR {}", kind.name()).into_bytes(),
    }
}
