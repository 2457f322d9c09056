//! What a library may do while it is loaded: register functions, and write to the log.

use cairn_lua::{Host, Kept, Kind, Raise, Stack};

use super::api::{Loudness, function, log_line, raise_error};
use super::flags::ScriptFlags;
use super::shebang::{BAD_NAME, is_name_of_function};

/// A function that was registered.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) name: Vec<u8>,
    pub(super) description: Option<Vec<u8>>,
    pub(super) flags: ScriptFlags,
    pub(super) function: Kept,
}

/// Listens to a library that is being loaded.
pub(super) struct Loading<'a> {
    pub(super) registered: Vec<Registered>,
    pub(super) lines: Vec<(Loudness, Vec<u8>)>,
    /// Whether it has had its time.
    pub(super) is_over: &'a mut dyn FnMut() -> bool,
}

impl Host for Loading<'_> {
    fn call(&mut self, number: u32, stack: &mut Stack) -> Result<usize, Raise> {
        match number {
            function::REGISTER_FUNCTION => self.register(stack)?,
            function::LOG => self.lines.push(log_line(stack)?),
            _ => {
                return Err(raise_error(
                    stack,
                    b"ERR this cannot be called while a library is loaded",
                ));
            }
        }
        Ok(0)
    }

    fn tick(&mut self) -> Option<&'static str> {
        (self.is_over)().then_some("FUNCTION LOAD timeout")
    }
}

/// What `register_function` is told; the callback is on top of the stack.
struct Told {
    name: Vec<u8>,
    description: Option<Vec<u8>>,
    flags: ScriptFlags,
}

impl Loading<'_> {
    fn register(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let told = match told(stack) {
            Ok(told) => told,
            Err(Refused::Text(text)) => {
                return Err(raise_error(stack, format!("ERR {text}").as_bytes()));
            }
            Err(Refused::Raise(raise)) => return Err(raise),
        };
        let same = |one: &Registered| one.name.eq_ignore_ascii_case(&told.name);
        if self.registered.iter().any(same) {
            return Err(raise_error(
                stack,
                b"ERR Function already exists in the library",
            ));
        }
        self.registered.push(Registered {
            name: told.name,
            description: told.description,
            flags: told.flags,
            function: stack.keep()?,
        });
        Ok(())
    }
}

enum Refused {
    Text(&'static str),
    Raise(Raise),
}

impl From<Raise> for Refused {
    fn from(raise: Raise) -> Refused {
        Refused::Raise(raise)
    }
}

fn told(stack: &mut Stack) -> Result<Told, Refused> {
    let told = match stack.top() {
        1 => named(stack)?,
        2 => positional(stack)?,
        _ => {
            return Err(Refused::Text(
                "wrong number of arguments to redis.register_function",
            ));
        }
    };
    match is_name_of_function(&told.name) {
        true => Ok(told),
        false => Err(Refused::Text(BAD_NAME)),
    }
}

fn positional(stack: &mut Stack) -> Result<Told, Refused> {
    let Some(name) = stack.text(1).map(|name| name.into_owned()) else {
        return Err(Refused::Text(
            "first argument to redis.register_function must be a string",
        ));
    };
    if stack.kind(2) != Kind::Function {
        return Err(Refused::Text(
            "second argument to redis.register_function must be a function",
        ));
    }
    stack.push_copy(2)?;
    Ok(Told {
        name,
        description: None,
        flags: ScriptFlags::NONE,
    })
}

fn named(stack: &mut Stack) -> Result<Told, Refused> {
    if stack.kind(1) != Kind::Table {
        return Err(Refused::Text(
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        ));
    }
    let (mut name, mut description, mut flags) = (None, None, ScriptFlags::NONE);
    let (mut refused, mut callback) = (None, None);
    stack.for_each(1, |stack| {
        let said = one_of(stack, &mut name, &mut description, &mut flags);
        match said {
            Ok(key) => callback = key.or(callback.take()),
            Err(Refused::Text(text)) => refused = refused.or(Some(text)),
            Err(Refused::Raise(raise)) => return Err(raise),
        }
        Ok(())
    })?;
    if let Some(text) = refused {
        return Err(Refused::Text(text));
    }
    let name = name.ok_or(Refused::Text(
        "redis.register_function must get a function name argument",
    ))?;
    let callback = callback.ok_or(Refused::Text(
        "redis.register_function must get a callback argument",
    ))?;
    stack.push_bytes(&callback)?;
    stack.get(1);
    Ok(Told {
        name,
        description,
        flags,
    })
}

/// Takes one named argument, its name below its value on top. Of the callback the name as it is written is given.
fn one_of(
    stack: &mut Stack,
    name: &mut Option<Vec<u8>>,
    description: &mut Option<Vec<u8>>,
    flags: &mut ScriptFlags,
) -> Result<Option<Vec<u8>>, Refused> {
    let Some(key) = stack.bytes(-2).map(<[u8]>::to_ascii_lowercase) else {
        return Err(Refused::Text(
            "named argument key given to redis.register_function is not a string",
        ));
    };
    match key.as_slice() {
        b"function_name" => {
            let text = stack.text(-1).map(|text| text.into_owned());
            *name = Some(text.ok_or(Refused::Text(
                "function_name argument given to redis.register_function must be a string",
            ))?);
        }
        b"description" => {
            let text = stack.text(-1).map(|text| text.into_owned());
            *description = Some(text.ok_or(Refused::Text(
                "description argument given to redis.register_function must be a string",
            ))?);
        }
        b"callback" => {
            if stack.kind(-1) != Kind::Function {
                return Err(Refused::Text(
                    "callback argument given to redis.register_function must be a function",
                ));
            }
            return Ok(stack.bytes(-2).map(<[u8]>::to_vec));
        }
        b"flags" => *flags = flags_of(stack)?,
        _ => {
            return Err(Refused::Text(
                "unknown argument given to redis.register_function",
            ));
        }
    }
    Ok(None)
}

/// The flags in the array on top of the stack.
fn flags_of(stack: &mut Stack) -> Result<ScriptFlags, Refused> {
    if stack.kind(-1) != Kind::Table {
        return Err(Refused::Text(
            "flags argument to redis.register_function must be a table representing function flags",
        ));
    }
    let mut flags = ScriptFlags::NONE;
    let list = stack.top();
    for n in 1.. {
        stack.get_index(list, n)?;
        if stack.kind(-1) == Kind::Nil {
            stack.pop(1);
            break;
        }
        let name = stack.bytes(-1).map(<[u8]>::to_ascii_lowercase);
        stack.pop(1);
        let flag = name.and_then(|name| ScriptFlags::by_name(&name));
        flags = flags.and(flag.ok_or(Refused::Text("unknown flag given"))?);
    }
    Ok(flags)
}
