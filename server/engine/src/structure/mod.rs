//! Memory layouts: one key in one allocation, hash tables of cache lines, orders. They know bytes and keys, and nothing
//! of commands or types.
//!
//! | file | what |
//! |---|---|
//! | `record` | one key with flags, expiry and a small value in one allocation; fields and members of collections |
//! | `table` | the hash table of such allocations |
//! | `keyed` | the keys of one database and which of them expire |
//! | `sizes` | how many of these keys are of which size |
//! | `btree`, `ranked` | a counted B+tree, and the sorted set made of table and tree |
//! | `ordered` | an ordered map, in one part or in two while it is moved |
//! | `mover` | moves blocks of all of these out of slabs that are being emptied |
//! | `words` | sixteen bytes compared at once |
//! | `ones` | bits that are set, counted with wide vectors |
//! | `fetch` | hints to the processor: what will be read soon |

pub mod btree;
pub mod fetch;
pub mod keyed;
pub mod mover;
pub mod ones;
pub mod ordered;
pub mod ranked;
pub mod record;
pub mod sizes;
pub mod table;
pub mod words;
