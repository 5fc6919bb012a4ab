//! The grammar of an RDB file, as a machine over bytes that others hold.
//!
//! ```text
//!   Magic ──► Record ◄──► Value       an aggregate, element by element
//!                │ ▲ ◄───► ModuleAux   skipped part by part
//!                ▼
//!             Checksum ──► Done        (and from anywhere ──► Failed)
//! ```
//!
//! The machine moves in *units*: a record, an element, a part. A unit is a handful of primitives, so what it costs to find
//! that one is not complete yet does not depend on how long it is; and as the machine then knows how many bytes are missing
//! at least, it does not even look before they are there. A unit changes the machine only when it is complete.

use crate::Limits;
use crate::crc64::Crc64;
use crate::decode::{self, Begun, Growing};
use crate::error::{ErrorKind, Fault, RdbError};
use crate::item::{Attributes, Entry, Item};
use crate::opcodes::{ModulePart, Opcode, ValueType};
use crate::primitives::Cursor;

/// The checksum is brought up to date whenever this many bytes have been read, while they are in the cache.
const CHECKSUM_STRIDE: usize = 64 * 1024;
/// `REDIS` and four digits, or `VALKEY` and three.
const MAGIC_LEN: usize = 9;
/// The first version that ends with a checksum.
const FIRST_VERSION_WITH_CHECKSUM: u32 = 5;

/// Whether files and payloads of this version are read.
///
/// 1 to 11 are Redis up to 7.2 and Valkey up to 8, 12 is Redis 8 and 80 Valkey 9. The last two add value types that are
/// refused when they occur.
pub(crate) const fn is_known_version(version: u32) -> bool {
    matches!(version, 1..=12 | 80)
}

/// The machine; see the module.
pub(crate) struct Parser {
    limits: Limits,
    state: State,
    version: u32,
    attributes: Attributes,
    skipped_empty: u64,
    checksum: Crc64,
    /// Offset in the file of the first byte of the input.
    base: u64,
    /// Index into the input: what is before is read.
    at: usize,
    /// Index into the input: what is before is in the checksum.
    summed: usize,
    /// How many bytes from `at` on are needed at least for the next unit.
    needed: usize,
}

enum State {
    Magic,
    Record,
    Value {
        key: Vec<u8>,
        growing: Box<Growing>,
    },
    ModuleAux,
    Checksum,
    Done,
    /// Where something was wrong there is no way on.
    Failed(RdbError),
}

/// What a complete unit was.
enum Unit<'a> {
    /// Something to hand out.
    Item(Item<'a>),
    /// Something that only moved the machine.
    Inner,
}

impl Parser {
    pub(crate) fn new(limits: Limits) -> Self {
        Parser {
            limits,
            state: State::Magic,
            version: 0,
            attributes: Attributes::default(),
            skipped_empty: 0,
            checksum: Crc64::new(),
            base: 0,
            at: 0,
            summed: 0,
            needed: MAGIC_LEN,
        }
    }

    /// The next item; `None` when the input does not hold one completely, or after the end.
    #[inline]
    pub(crate) fn next<'a>(&mut self, input: &'a [u8]) -> Result<Option<Item<'a>>, RdbError> {
        while !self.is_over() && input.len() - self.at >= self.needed {
            let mut cursor = Cursor::new(input, self.at, self.base, self.limits.max_string_len);
            match self.unit(&mut cursor, input) {
                Ok(unit) => {
                    self.at = cursor.at();
                    self.needed = 1;
                    if self.at - self.summed >= CHECKSUM_STRIDE {
                        self.sum(input);
                    }
                    if let Unit::Item(item) = unit {
                        return Ok(Some(item));
                    }
                }
                Err(Fault::Incomplete { missing }) => {
                    self.needed = (input.len() - self.at).saturating_add(missing);
                }
                Err(Fault::Wrong(error)) => self.state = State::Failed(error),
            }
        }
        match &self.state {
            State::Failed(error) => Err(error.clone()),
            _ => Ok(None),
        }
    }

    /// Whether no unit will follow.
    fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Failed(_))
    }

    /// Whether the end was read.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// How many bytes more than `input` are needed at least; 0 after the end or an error.
    pub(crate) fn missing(&self, input: &[u8]) -> usize {
        if self.is_over() { 0 } else { self.needed.saturating_sub(input.len() - self.at) }
    }

    /// The version of the format, once it was read.
    pub(crate) fn version(&self) -> Option<u32> {
        (self.version != 0).then_some(self.version)
    }

    pub(crate) fn skipped_empty(&self) -> u64 {
        self.skipped_empty
    }

    /// Offset in the file of the next byte to read.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Index into the input of the next byte to read.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// How many bytes at the front of `input` are done with. From now on the machine takes the input to begin after them.
    pub(crate) fn release(&mut self, input: &[u8]) -> usize {
        self.sum(input);
        let released = std::mem::take(&mut self.at);
        self.summed = 0;
        self.base += released as u64;
        released
    }

    /// Brings the checksum up to the last unit.
    fn sum(&mut self, input: &[u8]) {
        if self.limits.verify_checksum && !self.is_over() {
            self.checksum.update(&input[self.summed..self.at]);
        }
        self.summed = self.at;
    }

    #[inline]
    fn unit<'a>(&mut self, cursor: &mut Cursor<'a>, input: &'a [u8]) -> Result<Unit<'a>, Fault> {
        match &mut self.state {
            State::Record => self.record(cursor),
            State::Value { growing, .. } => {
                growing.step(cursor, &self.limits.encodings)?;
                Ok(if growing.is_complete() { self.grown() } else { Unit::Inner })
            }
            State::Magic => self.magic(cursor),
            State::ModuleAux => self.module_part(cursor),
            State::Checksum => self.verify(cursor, input),
            State::Done | State::Failed(_) => Ok(Unit::Inner),
        }
    }

    fn magic<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Unit<'a>, Fault> {
        let offset = cursor.offset();
        let magic = cursor.take(MAGIC_LEN)?;
        let digits = magic.strip_prefix(b"REDIS").or_else(|| magic.strip_prefix(b"VALKEY"));
        let version = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_digit))
            .map(|digits| digits.iter().fold(0, |version, digit| version * 10 + u32::from(digit - b'0')))
            .ok_or_else(|| Cursor::wrong_at(offset, ErrorKind::BadMagic))?;
        if !is_known_version(version) {
            return Err(Cursor::wrong_at(offset, ErrorKind::UnsupportedVersion(version)));
        }
        self.version = version;
        self.state = State::Record;
        Ok(Unit::Inner)
    }

    #[inline]
    fn record<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Unit<'a>, Fault> {
        let offset = cursor.offset();
        let byte = cursor.u8()?;
        if let Some(value_type) = ValueType::from_byte(byte) {
            return self.entry(cursor, value_type);
        }
        match Opcode::from_byte(byte) {
            Some(opcode) => self.opcode(cursor, opcode, offset),
            None => Err(Cursor::wrong_at(offset, ErrorKind::UnknownOpcode(byte))),
        }
    }

    #[inline]
    fn entry<'a>(&mut self, cursor: &mut Cursor<'a>, value_type: ValueType) -> Result<Unit<'a>, Fault> {
        let key = cursor.string()?.into_cow();
        match decode::begin(cursor, value_type, &self.limits)? {
            Begun::Done(value) => {
                let attributes = std::mem::take(&mut self.attributes);
                Ok(Unit::Item(Item::Entry(Entry { key, attributes, value })))
            }
            Begun::Empty => {
                self.skip_empty();
                Ok(Unit::Inner)
            }
            Begun::Growing(growing) => {
                self.state = State::Value { key: key.into_owned(), growing };
                Ok(Unit::Inner)
            }
        }
    }

    /// Hands out the aggregate whose last element was read.
    fn grown(&mut self) -> Unit<'static> {
        let State::Value { key, growing } = std::mem::replace(&mut self.state, State::Record) else {
            unreachable!("only called while an aggregate is being read");
        };
        match growing.finish(&self.limits.encodings) {
            Some(value) => {
                let attributes = std::mem::take(&mut self.attributes);
                Unit::Item(Item::Entry(Entry { key: key.into(), attributes, value }))
            }
            None => {
                self.skip_empty();
                Unit::Inner
            }
        }
    }

    /// Passes over an aggregate without elements, as Redis does: old versions could write them.
    fn skip_empty(&mut self) {
        self.attributes = Attributes::default();
        self.skipped_empty += 1;
    }

    fn opcode<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        opcode: Opcode,
        offset: u64,
    ) -> Result<Unit<'a>, Fault> {
        let item = match opcode {
            Opcode::ExpireTimeMs => {
                self.attributes.expire_ms = Some(u64::try_from(cursor.i64_le()?).unwrap_or(0));
                return Ok(Unit::Inner);
            }
            Opcode::ExpireTime => {
                self.attributes.expire_ms = Some(u64::try_from(cursor.i32_le()?).unwrap_or(0) * 1000);
                return Ok(Unit::Inner);
            }
            Opcode::Idle => {
                self.attributes.idle_seconds = Some(cursor.length()?);
                return Ok(Unit::Inner);
            }
            Opcode::Freq => {
                self.attributes.freq = Some(cursor.u8()?);
                return Ok(Unit::Inner);
            }
            Opcode::SelectDb => Item::SelectDb(cursor.length()?),
            Opcode::ResizeDb => Item::ResizeDb { keys: cursor.length()?, expires: cursor.length()? },
            Opcode::Aux => Item::Aux { key: cursor.string()?.into_cow(), value: cursor.string()?.into_cow() },
            Opcode::Function2 => Item::Function(cursor.string()?.into_cow()),
            Opcode::SlotInfo => {
                let _hints = [cursor.length()?, cursor.length()?, cursor.length()?];
                return Ok(Unit::Inner);
            }
            Opcode::ModuleAux => return self.module_aux(cursor),
            Opcode::Eof => return Ok(self.eof()),
            Opcode::FunctionPreRelease => {
                return Err(Cursor::wrong_at(offset, ErrorKind::PreReleaseFunction));
            }
        };
        Ok(Unit::Item(item))
    }

    /// The id of the module, and when it wants to be given the parts that follow.
    fn module_aux<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Unit<'a>, Fault> {
        let _module = cursor.length()?;
        let offset = cursor.offset();
        if cursor.length()? != u64::from(ModulePart::Unsigned.byte()) {
            let kind = ErrorKind::Corrupt("a module's data does not say when it is to be loaded");
            return Err(Cursor::wrong_at(offset, kind));
        }
        let _when = cursor.length()?;
        self.state = State::ModuleAux;
        Ok(Unit::Inner)
    }

    fn module_part<'a>(&mut self, cursor: &mut Cursor<'a>) -> Result<Unit<'a>, Fault> {
        let offset = cursor.offset();
        let code = cursor.length()?;
        match u8::try_from(code).ok().and_then(ModulePart::from_byte) {
            Some(ModulePart::Eof) => self.state = State::Record,
            Some(ModulePart::Signed | ModulePart::Unsigned) => _ = cursor.length()?,
            Some(ModulePart::Float) => _ = cursor.take(4)?,
            Some(ModulePart::Double) => _ = cursor.take(8)?,
            Some(ModulePart::String) => _ = cursor.string()?,
            None => {
                let kind = ErrorKind::Corrupt("a module's data has a part of an unknown kind");
                return Err(Cursor::wrong_at(offset, kind));
            }
        }
        Ok(Unit::Inner)
    }

    fn eof(&mut self) -> Unit<'static> {
        if self.version < FIRST_VERSION_WITH_CHECKSUM {
            self.state = State::Done;
            return Unit::Item(Item::End);
        }
        self.state = State::Checksum;
        Unit::Inner
    }

    fn verify<'a>(&mut self, cursor: &mut Cursor<'a>, input: &[u8]) -> Result<Unit<'a>, Fault> {
        let offset = cursor.offset();
        let stored = cursor.u64_le()?;
        self.sum(input);
        let computed = self.checksum.value();
        // Zero stands for a file that was written without a checksum.
        if self.limits.verify_checksum && stored != 0 && stored != computed {
            return Err(Cursor::wrong_at(offset, ErrorKind::ChecksumMismatch { stored, computed }));
        }
        self.state = State::Done;
        Ok(Unit::Item(Item::End))
    }
}
