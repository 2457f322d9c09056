//! Definitions that later records refer to.

use super::super::opcode;
use super::super::raw::Source;
use super::{Kind, Reader, Shape};
use crate::error::Result;

impl<S: Source> Reader<S> {
    /// Notes what a record defines, if it does. A reader that goes back meets definitions again.
    pub(super) fn defined(&mut self, shape: Shape) -> Result<Shape> {
        let is_template = matches!(shape.kind, Kind::Opcode(opcode::TEMPLATE));
        if is_template && self.dialect.has_templates() {
            let offset = self.source.offset() + shape.body as u64;
            let body = &self.source.window()[shape.body..shape.len];
            let defined = self.templates.define(body, offset);
            if !self.examining {
                defined?;
            }
        }
        Ok(shape)
    }
}
