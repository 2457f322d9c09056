//! From JSON to values. Nesting that the input asks for is kept in a list of open tables, not on the machine's stack.

use super::settings::{Setting, Settings};
use super::token::{Token, Tokens};
use crate::libraries::arguments;
use crate::raw::{Raise, Stack};

/// `decode(text)`
pub(super) fn decode(stack: &mut Stack) -> Result<usize, Raise> {
    super::expect_one_argument(stack)?;
    let settings = Settings::of(stack);
    // A copy, as the stack changes while it is read.
    let text = arguments::text(stack, 1)?.into_owned();
    if matches!(text[..], [0, _, ..] | [_, 0, ..]) {
        return Err(Raise::here("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader {
        tokens: Tokens::new(&text, settings.get(Setting::DecodeInvalid) != 0),
        depth_max: settings.get(Setting::DecodeDepth) as usize,
        open: Vec::new(),
    };
    reader.read(stack)?;
    Ok(1)
}

/// A table on the stack that is not complete; an object's key is above it.
enum Open {
    /// With so many elements.
    Array(i32),
    Object,
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    depth_max: usize,
    open: Vec<Open>,
}

/// What may come next.
enum Due {
    Value,
    /// A value or the end of the array that has just begun.
    ValueOrEnd,
    /// A key or the end of the object that has just begun.
    KeyOrEnd,
    /// What stands behind a value.
    Behind,
}

impl Reader<'_> {
    /// Pushes the one value of the text.
    fn read(&mut self, stack: &mut Stack) -> Result<(), Raise> {
        let mut due = Due::Value;
        loop {
            let token = self.tokens.next();
            due = match due {
                Due::Value => self.value(stack, token)?,
                Due::ValueOrEnd => match token {
                    Token::ArrayEnd => self.close(),
                    token => self.value(stack, token)?,
                },
                Due::KeyOrEnd => match token {
                    Token::ObjectEnd => self.close(),
                    token => self.key(stack, token)?,
                },
                Due::Behind => match self.behind(stack, token)? {
                    Some(due) => due,
                    None => return Ok(()),
                },
            };
        }
    }

    fn value(&mut self, stack: &mut Stack, token: Token<'_>) -> Result<Due, Raise> {
        match token {
            Token::String(text) => stack.push_bytes(text)?,
            Token::Unescaped => stack.push_bytes(&self.tokens.scratch)?,
            Token::Number(number) => stack.push_number(number)?,
            Token::Bool(truth) => stack.push_bool(truth)?,
            Token::Null => stack.push_null()?,
            Token::ArrayBegin => {
                self.begin(stack, Open::Array(0), 2)?;
                return Ok(Due::ValueOrEnd);
            }
            Token::ObjectBegin => {
                self.begin(stack, Open::Object, 3)?;
                return Ok(Due::KeyOrEnd);
            }
            token => return Err(self.expected("value", &token)),
        }
        Ok(Due::Behind)
    }

    /// Begins a table that needs so many places on the stack.
    fn begin(&mut self, stack: &mut Stack, open: Open, places: i32) -> Result<(), Raise> {
        let depth = self.open.len() + 1;
        if depth > self.depth_max || stack.reserve(places).is_err() {
            return Err(Raise::here(format!(
                "Found too many nested data structures ({depth}) at character {}",
                self.tokens.at
            )));
        }
        self.open.push(open);
        stack.push_table(0, 0)
    }

    /// The innermost table is complete.
    fn close(&mut self) -> Due {
        self.open.pop();
        Due::Behind
    }

    fn key(&mut self, stack: &mut Stack, token: Token<'_>) -> Result<Due, Raise> {
        match token {
            Token::String(text) => stack.push_bytes(text)?,
            Token::Unescaped => stack.push_bytes(&self.tokens.scratch)?,
            token => return Err(self.expected("object key string", &token)),
        }
        match self.tokens.next() {
            Token::Colon => Ok(Due::Value),
            token => Err(self.expected("colon", &token)),
        }
    }

    /// Takes the value on top into its table; `None` if it was the last of all.
    fn behind(&mut self, stack: &mut Stack, token: Token<'_>) -> Result<Option<Due>, Raise> {
        match self.open.last_mut() {
            None => match token {
                Token::End => Ok(None),
                token => Err(self.expected("the end", &token)),
            },
            Some(Open::Array(count)) => {
                *count += 1;
                stack.set_index(-2, *count)?;
                match token {
                    Token::ArrayEnd => Ok(Some(self.close())),
                    Token::Comma => Ok(Some(Due::Value)),
                    token => Err(self.expected("comma or array end", &token)),
                }
            }
            Some(Open::Object) => {
                stack.set(-3)?;
                match token {
                    Token::ObjectEnd => Ok(Some(self.close())),
                    Token::Comma => {
                        let token = self.tokens.next();
                        self.key(stack, token).map(Some)
                    }
                    token => Err(self.expected("comma or object end", &token)),
                }
            }
        }
    }

    fn expected(&self, what: &str, found: &Token) -> Raise {
        Raise::here(format!(
            "Expected {what} but found {} at character {}",
            found.name(),
            self.tokens.start + 1
        ))
    }
}
