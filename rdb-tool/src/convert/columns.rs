//! Keys as rows of Parquet, for DuckDB, Polars, Spark and their like.
//!
//! ```text
//!   one row for each key      db key type encoding expires_at idle_s freq slot bytes elements
//!   with values               value    of a string
//!                             items    of all others: a list of { id, name, value, score, expires_at }
//!
//!   list, set    value                    zset      value, score
//!   hash         name, value, expires_at  stream    id, name, value: one item for each field of an entry
//!   array        id (the index), value
//! ```
//!
//! Rows are gathered column by column until they are many or large, and written as a row group; so memory is that of one group and the
//! largest value. Function libraries, groups of streams and values of modules have no place here.

use crate::snapshot::{Stop, Visit, inside};
use cairn_format::crc16::key_slot;
use cairn_format::error::Result as FormatResult;
use cairn_format::rdb::object::ArrayItem;
use cairn_format::rdb::{Event, Object, Record, Text};
use cairn_format::text::number::I64Text;
use cairn_toolkit::{Failure, Output};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// Rows of a group, and bytes of its texts.
const ROWS_MAX: usize = 1 << 17;
const BYTES_MAX: usize = 32 << 20;

const KEYS: &str = "
    REQUIRED INT64 db;
    REQUIRED BYTE_ARRAY key;
    REQUIRED BYTE_ARRAY type (UTF8);
    REQUIRED BYTE_ARRAY encoding (UTF8);
    OPTIONAL INT64 expires_at (TIMESTAMP(MILLIS, true));
    OPTIONAL INT64 idle_s;
    OPTIONAL INT32 freq;
    REQUIRED INT32 slot;
    REQUIRED INT64 bytes;
    REQUIRED INT64 elements;";
const VALUES: &str = "
    OPTIONAL BYTE_ARRAY value;
    OPTIONAL GROUP items (LIST) {
        REPEATED GROUP list {
            REQUIRED GROUP element {
                OPTIONAL BYTE_ARRAY id (UTF8);
                OPTIONAL BYTE_ARRAY name;
                OPTIONAL BYTE_ARRAY value;
                OPTIONAL DOUBLE score;
                OPTIONAL INT64 expires_at (TIMESTAMP(MILLIS, true));
            }
        }
    }";

/// How deep a leaf of an item is there: no items, none in the list, not in this item, there.
const NO_ITEMS: i16 = 0;
const EMPTY: i16 = 1;
const ABSENT: i16 = 2;
const THERE: i16 = 3;

/// A column under way: its values, and for optional ones which rows have one.
struct Column<T: DataType> {
    values: Vec<T::T>,
    levels: Vec<i16>,
    repeats: Vec<i16>,
}

impl<T: DataType> Default for Column<T> {
    fn default() -> Self {
        Column {
            values: Vec::new(),
            levels: Vec::new(),
            repeats: Vec::new(),
        }
    }
}

impl<T: DataType> Column<T> {
    /// A value of a row, if it has one.
    fn optional(&mut self, value: Option<T::T>) {
        self.levels.push(i16::from(value.is_some()));
        self.values.extend(value);
    }

    /// A row without items: none, or an empty list of them.
    fn without(&mut self, level: i16) {
        self.levels.push(level);
        self.repeats.push(0);
    }

    /// A value of an item, the first one of its row or another.
    fn item(&mut self, value: Option<T::T>, is_first: bool) {
        self.levels
            .push(if value.is_some() { THERE } else { ABSENT });
        self.repeats.push(i16::from(!is_first));
        self.values.extend(value);
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, &mut Output>,
    ) -> Result<(), ParquetError> {
        let given = |levels: &Vec<i16>| !levels.is_empty();
        if let Some(mut column) = group.next_column()? {
            let levels = Some(&self.levels[..]).filter(|_| given(&self.levels));
            let repeats = Some(&self.repeats[..]).filter(|_| given(&self.repeats));
            column
                .typed::<T>()
                .write_batch(&self.values, levels, repeats)?;
            column.close()?;
        }
        *self = Column::default();
        Ok(())
    }
}

/// The rows of one group.
#[derive(Default)]
struct Rows {
    count: usize,
    text_bytes: usize,
    db: Column<Int64Type>,
    key: Column<ByteArrayType>,
    type_name: Column<ByteArrayType>,
    encoding: Column<ByteArrayType>,
    expires_at: Column<Int64Type>,
    idle_s: Column<Int64Type>,
    freq: Column<Int32Type>,
    slot: Column<Int32Type>,
    bytes: Column<Int64Type>,
    elements: Column<Int64Type>,
    value: Column<ByteArrayType>,
    items: Items,
}

/// The columns of items.
#[derive(Default)]
struct Items {
    id: Column<ByteArrayType>,
    name: Column<ByteArrayType>,
    value: Column<ByteArrayType>,
    score: Column<DoubleType>,
    expires_at: Column<Int64Type>,
}

/// One item.
#[derive(Default)]
struct Item {
    id: Option<String>,
    name: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    score: Option<f64>,
    expires_at: Option<i64>,
}

/// A file of columns under way.
pub struct Columns<'o> {
    writer: SerializedFileWriter<&'o mut Output>,
    rows: Rows,
    written: u64,
    with_values: bool,
}

fn failed(error: ParquetError) -> Failure {
    match error {
        ParquetError::External(error) => Failure::new(error.to_string()),
        other => Failure::new(format!("parquet: {other}")),
    }
}

fn text(text: &Text<'_>) -> Vec<u8> {
    text.bytes(&mut I64Text::new()).to_vec()
}

impl<'o> Columns<'o> {
    /// Begins a file.
    pub fn begin(output: &'o mut Output, with_values: bool) -> Result<Columns<'o>, Failure> {
        let values = if with_values { VALUES } else { "" };
        let schema = parse_message_type(&format!("message snapshot {{{KEYS}{values}\n}}"));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("rdb-tool".to_owned())
            .build();
        let schema = Arc::new(schema.map_err(failed)?);
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties));
        Ok(Columns {
            writer: writer.map_err(failed)?,
            rows: Rows::default(),
            written: 0,
            with_values,
        })
    }

    /// Takes a key over. `bytes` are those that it takes in the snapshot.
    pub fn event(&mut self, event: &Event<'_>, bytes: u64) -> Visit {
        let Event::Record(record) = event else {
            return Ok(());
        };
        let added = self.rows.add(record, bytes, self.with_values);
        inside(added, record.db, record.head.key)?;
        if self.rows.count >= ROWS_MAX || self.rows.text_bytes >= BYTES_MAX {
            return self.flush().map_err(Stop::Failed);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.written += self.rows.count as u64;
        let mut group = self.writer.next_row_group().map_err(failed)?;
        self.rows
            .write(&mut group, self.with_values)
            .map_err(failed)?;
        group.close().map_err(failed)?;
        Ok(())
    }

    /// Writes what is left, and the end. How many rows there are.
    pub fn finish(mut self) -> Result<u64, Failure> {
        if self.rows.count > 0 {
            self.flush()?;
        }
        self.writer.close().map_err(failed)?;
        Ok(self.written)
    }
}

/// Reads all rows of what was written, where that can be; there must be as many as were given.
pub fn read_again(output: &mut Output, rows: u64) -> Result<(), Failure> {
    let Some(file) = output.reopened()? else {
        return Ok(());
    };
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let mut found = 0;
    for row in reader.get_row_iter(None).map_err(failed)? {
        row.map_err(failed)?;
        found += 1;
    }
    match found == rows {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{}: {found} rows can be read where {rows} were written",
            output.name()
        ))
        .hint("nothing was kept; this is a fault of ours or of the disk")),
    }
}

impl Rows {
    fn add(&mut self, record: &Record<'_>, bytes: u64, with_values: bool) -> FormatResult<()> {
        let (head, value) = (&record.head, &record.value);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.count += 1;
        self.text_bytes += head.key.len();
        self.db.values.push(number(record.db));
        self.key.values.push(ByteArray::from(head.key.to_vec()));
        self.type_name
            .values
            .push(ByteArray::from(value.type_name()));
        self.encoding
            .values
            .push(ByteArray::from(value.encoding_name()));
        self.expires_at.optional(head.expire_ms);
        self.idle_s.optional(head.idle_s.map(number));
        self.freq.optional(head.freq.map(i32::from));
        self.slot.values.push(i32::from(key_slot(head.key)));
        self.bytes.values.push(number(bytes));
        self.elements.values.push(number(value.count()?));
        match with_values {
            true => self.add_value(value),
            false => Ok(()),
        }
    }

    fn add_value(&mut self, value: &Object<'_>) -> FormatResult<()> {
        let string = match value {
            Object::String(string) => Some(text(string)),
            _ => None,
        };
        self.text_bytes += string.as_ref().map_or(0, Vec::len);
        self.value.optional(string.map(ByteArray::from));
        let (items, mut count) = (&mut self.items, 0_usize);
        let mut put = |item: Item| {
            let size = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
            self.text_bytes += size(&item.name) + size(&item.value) + size_of::<Item>();
            items.add(item, count == 0);
            count += 1;
        };
        let alone = |element: Text<'_>| Item {
            value: Some(text(&element)),
            ..Item::default()
        };
        match value {
            Object::String(_) | Object::Module(_) => {
                items.without(NO_ITEMS);
                return Ok(());
            }
            Object::List(list) => {
                for element in list.elements() {
                    put(alone(element?));
                }
            }
            Object::Set(set) => {
                for member in set.members() {
                    put(alone(member?));
                }
            }
            Object::Zset(zset) => {
                for pair in zset.pairs() {
                    let (member, score) = pair?;
                    put(Item {
                        score: Some(score),
                        ..alone(member)
                    });
                }
            }
            Object::Hash(hash) => {
                for field in hash.fields() {
                    let field = field?;
                    put(Item {
                        name: Some(text(&field.name)),
                        expires_at: field.expire_ms,
                        ..alone(field.value)
                    });
                }
            }
            Object::Stream(stream) => {
                for entry in stream.entries() {
                    let entry = entry?;
                    for (name, value) in &entry.fields {
                        put(Item {
                            id: Some(entry.id.to_string()),
                            name: Some(text(name)),
                            value: Some(text(value)),
                            ..Item::default()
                        });
                    }
                }
            }
            Object::Array(array) => {
                for item in array.items() {
                    let (index, item) = item?;
                    let mut made = Item {
                        id: Some(index.to_string()),
                        ..Item::default()
                    };
                    match item {
                        ArrayItem::String(string) => made.value = Some(text(&string)),
                        ArrayItem::Int(number) => made.value = Some(text(&Text::Int(number))),
                        ArrayItem::Double(double) => made.score = Some(double),
                    }
                    put(made);
                }
            }
        }
        if count == 0 {
            self.items.without(EMPTY);
        }
        Ok(())
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, &mut Output>,
        with_values: bool,
    ) -> Result<(), ParquetError> {
        self.db.write(group)?;
        self.key.write(group)?;
        self.type_name.write(group)?;
        self.encoding.write(group)?;
        self.expires_at.write(group)?;
        self.idle_s.write(group)?;
        self.freq.write(group)?;
        self.slot.write(group)?;
        self.bytes.write(group)?;
        self.elements.write(group)?;
        if with_values {
            self.value.write(group)?;
            self.items.write(group)?;
        }
        (self.count, self.text_bytes) = (0, 0);
        Ok(())
    }
}

impl Items {
    fn add(&mut self, item: Item, is_first: bool) {
        self.id
            .item(item.id.map(|id| ByteArray::from(id.into_bytes())), is_first);
        self.name.item(item.name.map(ByteArray::from), is_first);
        self.value.item(item.value.map(ByteArray::from), is_first);
        self.score.item(item.score, is_first);
        self.expires_at.item(item.expires_at, is_first);
    }

    fn without(&mut self, level: i16) {
        self.id.without(level);
        self.name.without(level);
        self.value.without(level);
        self.score.without(level);
        self.expires_at.without(level);
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, &mut Output>,
    ) -> Result<(), ParquetError> {
        self.id.write(group)?;
        self.name.write(group)?;
        self.value.write(group)?;
        self.score.write(group)?;
        self.expires_at.write(group)
    }
}
