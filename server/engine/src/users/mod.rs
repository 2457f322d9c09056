//! Users: who may log in, and what each may run, touch and hear. Rules, their printed form and the words of their errors are those of
//! Redis 7.2.4.
//!
//! ```text
//! registry   all users by name                      log        refusals, as ACL LOG tells them
//! rules      words of a user, applied in order      print      a user as words again
//! user       one user: passwords and selectors      check      whether a user may run a command
//! selector   commands, keys and channels together
//! commands   which commands                         patterns   which keys and channels
//! catalog    what must be known of commands         password   digests
//! file       all users as lines                     passes     what is known before a call
//! glob       a pattern of keys taken apart          likeness   what keys have in common with one that is allowed
//! front      keys told by their first bytes         places     keys told by others
//! granted    what a session remembers of these
//! ```
//! A selector is one set of permissions: the first of a user (the root) takes the words that stand alone, the others those in parentheses.
//! One selector has to allow a call as a whole. Printed words that are read again make an equal user.

pub mod catalog;
pub mod check;
pub mod commands;
pub mod file;
pub mod front;
pub mod glob;
pub mod granted;
pub mod likeness;
pub mod log;
pub mod passes;
pub mod password;
pub mod patterns;
pub mod places;
pub mod print;
pub mod registry;
pub mod rules;
pub mod selector;
pub mod user;

pub use catalog::Catalog;
pub use registry::Users;
pub use user::User;
