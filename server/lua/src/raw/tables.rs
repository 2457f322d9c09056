//! Tables as native functions see them: fields without metatables, and walks over all of them.

use std::ffi::c_int;

use mlua_sys as lua;

use super::{Kind, Raise, Stack};

impl Stack<'_> {
    /// Pushes element `n` of a table, without its metatable.
    #[allow(missing_docs)]
    pub fn get_index(&mut self, table: i32, n: i32) -> Result<(), Raise> {
        let at = self.table(table);
        self.reserve(1)?;
        // SAFETY: it is a table, and there is room.
        unsafe { lua::lua_rawgeti_(self.state, at, n) };
        Ok(())
    }

    /// Pushes a field of a table, without its metatable.
    #[allow(missing_docs)]
    pub fn get_field(&mut self, table: i32, name: &str) -> Result<(), Raise> {
        let at = self.table(table);
        self.push_bytes(name.as_bytes())?;
        // SAFETY: it is a table, and the key is replaced by what is found.
        unsafe { lua::lua_rawget_(self.state, at) };
        Ok(())
    }

    /// Replaces the key on top by what the table has for it, without its metatable.
    pub fn get(&mut self, table: i32) {
        let at = self.table(table);
        self.takes(1);
        // SAFETY: it is a table, and there is a key.
        unsafe { lua::lua_rawget_(self.state, at) };
    }

    /// Place of the value on top, which is to become a field. Nil removes one, which must not happen while one looks at all fields of a
    /// table: the next one could not be told.
    fn new_value(&self) -> c_int {
        let at = self.at(-1);
        // SAFETY: `extra` is borrowed for this expression only.
        let nobody_walks = || unsafe { (*self.extra).walks == 0 };
        assert!(
            self.type_at(at) != lua::LUA_TNIL || nobody_walks(),
            "nothing is removed"
        );
        at
    }

    /// Takes the value on top as element `n` of a table; nil removes it, and may not be set inside [`Stack::for_each`].
    #[allow(missing_docs)]
    pub fn set_index(&mut self, table: i32, n: i32) -> Result<(), Raise> {
        let at = self.table(table);
        self.new_value();
        self.takes(1);
        self.afford(64)?;
        // SAFETY: it is a table that may grow, see the head of the room.
        unsafe { lua::lua_rawseti_(self.state, at, n) };
        Ok(())
    }

    /// Takes the value on top as a field of a table.
    #[allow(missing_docs)]
    pub fn set_field(&mut self, table: i32, name: &str) -> Result<(), Raise> {
        let at = self.table(table);
        self.push_bytes(name.as_bytes())?;
        self.insert(-2);
        self.set(at)
    }

    /// Takes the value on top and the key below it into a table; nil removes the field, and may not be set inside [`Stack::for_each`]. A
    /// key that can be none, nil or not-a-number, is an error.
    #[allow(missing_docs)]
    pub fn set(&mut self, table: i32) -> Result<(), Raise> {
        let at = self.table(table);
        let key = self.new_value() - 1;
        self.afford(128)?;
        assert!(key > self.floor, "there is no key");
        match self.type_at(key) {
            lua::LUA_TNIL => return Err(Raise::plain("table index is nil")),
            lua::LUA_TNUMBER if self.number(key).is_some_and(f64::is_nan) => {
                return Err(Raise::plain("table index is NaN"));
            }
            _ => {}
        }
        // SAFETY: it is a table that may grow, and the key is one.
        unsafe { lua::lua_rawset(self.state, at) };
        Ok(())
    }

    /// Elements by the length operator.
    pub fn length(&self, table: i32) -> usize {
        let at = self.table(table);
        // SAFETY: it is a table.
        unsafe { lua::lua_objlen(self.state, at) }
    }

    /// Calls `each` with key and value of every field on top of the stack, in Lua's order; they are gone afterwards. `each` must leave the
    /// stack as it was and must not change the table.
    ///
    /// # Errors
    /// Those of `each`, which ends it.
    pub fn for_each(
        &mut self,
        table: i32,
        mut each: impl FnMut(&mut Self) -> Result<(), Raise>,
    ) -> Result<(), Raise> {
        self.all_fields(table, |stack| each(stack).map(|()| true))
            .map(drop)
    }

    /// As [`Stack::for_each`], until `holds` answers false; whether it never did.
    ///
    /// # Errors
    /// Those of `holds`, which ends it.
    pub fn all_fields(
        &mut self,
        table: i32,
        holds: impl FnMut(&mut Self) -> Result<bool, Raise>,
    ) -> Result<bool, Raise> {
        let at = self.table(table);
        self.reserve(3)?;
        // SAFETY: `extra` is borrowed for each expression only.
        unsafe { (*self.extra).walks += 1 };
        let held = self.walk(at, holds);
        // SAFETY: as above.
        unsafe { (*self.extra).walks -= 1 };
        held
    }

    /// The work of [`Stack::all_fields`], for a table and with room for three values.
    fn walk(
        &mut self,
        at: c_int,
        mut holds: impl FnMut(&mut Self) -> Result<bool, Raise>,
    ) -> Result<bool, Raise> {
        self.push_nil()?;
        let top = self.top();
        let below = std::mem::replace(&mut self.floor, top);
        let held = self.walk_on(at, top, &mut holds);
        self.floor = below;
        if let Ok(false) = held {
            self.pop(2);
        }
        held
    }

    fn walk_on(
        &mut self,
        at: c_int,
        top: c_int,
        holds: &mut impl FnMut(&mut Self) -> Result<bool, Raise>,
    ) -> Result<bool, Raise> {
        // SAFETY: it is a table, and the key is the one that Lua gave before: a field never goes meanwhile, see `new_value`, and nobody
        // touches what is below the floor.
        while unsafe { lua::lua_next(self.state, at) } != 0 {
            let goes_on = holds(self)?;
            assert_eq!(self.top(), top + 1, "the stack is as it was");
            if !goes_on {
                return Ok(false);
            }
            self.pop(1);
        }
        Ok(true)
    }

    /// Replaces the key on top by the next one of the table and pushes its value; or removes the key, if it was the last, and answers
    /// false. Nil is before the first. For who cannot wait in [`Stack::for_each`]; it looks each key up once more.
    ///
    /// # Errors
    /// The table does not have the key; or there is no room.
    pub fn next(&mut self, table: i32) -> Result<bool, Raise> {
        let at = self.table(table);
        self.takes(1);
        self.reserve(1)?;
        if self.kind(-1) != Kind::Nil {
            // SAFETY: there is room for a copy of the key, which is replaced by what the table has for it.
            let is_there = unsafe {
                lua::lua_pushvalue(self.state, -1);
                lua::lua_rawget_(self.state, at);
                let is_there = lua::lua_type(self.state, -1) != lua::LUA_TNIL;
                lua::lua_settop(self.state, -2);
                is_there
            };
            if !is_there {
                return Err(Raise::plain("invalid key to 'next'"));
            }
        }
        // SAFETY: it is a table, the key is nil or has a value in it, and there is room.
        Ok(unsafe { lua::lua_next(self.state, at) != 0 })
    }

    /// Pushes the metatable of a value; whether it has one.
    #[allow(missing_docs)]
    pub fn push_metatable(&mut self, index: i32) -> Result<bool, Raise> {
        let at = self.existing(index);
        self.reserve(1)?;
        // SAFETY: the value is there, and there is room.
        Ok(unsafe { lua::lua_getmetatable(self.state, at) != 0 })
    }

    /// Takes the table or nil on top as the metatable of a table.
    pub fn set_metatable(&mut self, table: i32) {
        let at = self.table(table);
        assert!(matches!(self.kind(-1), Kind::Nil | Kind::Table));
        self.takes(1);
        // SAFETY: both are what they must be.
        unsafe { lua::lua_setmetatable(self.state, at) };
    }
}
