//! The names of every opcode and value type, up to Redis 8 and Valkey 9.
//!
//! The two share one byte: a record of the file begins with either. Value types grow from 0, opcodes shrink from 255.

use std::fmt;

/// Declares an enum over single bytes with the conversions and the printable name of each.
macro_rules! byte_enum {
    ($(#[$meta:meta])* $enum:ident { $($(#[$doc:meta])* $variant:ident = $byte:literal => $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $enum { $($(#[$doc])* $variant = $byte,)* }

        impl $enum {
            /// Every variant, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The variant whose code is `byte`.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$variant),)* _ => None }
            }

            /// The code in the file.
            pub const fn byte(self) -> u8 {
                self as u8
            }

            /// A name to show to people.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

byte_enum! {
    /// How the value of an entry, or of a DUMP payload, is laid out.
    ValueType {
        /// One string.
        String = 0 => "string",
        /// A count, then the elements as strings.
        List = 1 => "list",
        /// A count, then the members as strings.
        Set = 2 => "set",
        /// A count, then members with their scores as text.
        SortedSet = 3 => "zset",
        /// A count, then fields and values as strings.
        Hash = 4 => "hash",
        /// A count, then members with their scores as eight bytes.
        SortedSet2 = 5 => "zset-2",
        /// A module's value in the format of a pre-release of Redis 4.
        ModulePreRelease = 6 => "module (pre-release)",
        /// A module's value, cut into typed parts.
        Module2 = 7 => "module",
        /// A hash in one zipmap (before Redis 2.6).
        HashZipmap = 9 => "hash-zipmap",
        /// A list in one ziplist.
        ListZiplist = 10 => "list-ziplist",
        /// A set of integers in one intset.
        SetIntset = 11 => "set-intset",
        /// A sorted set in one ziplist.
        SortedSetZiplist = 12 => "zset-ziplist",
        /// A hash in one ziplist.
        HashZiplist = 13 => "hash-ziplist",
        /// A list as a count of ziplists.
        ListQuicklist = 14 => "quicklist",
        /// A stream of Redis 5.
        Stream = 15 => "stream",
        /// A hash in one listpack.
        HashListpack = 16 => "hash-listpack",
        /// A sorted set in one listpack.
        SortedSetListpack = 17 => "zset-listpack",
        /// A list as a count of listpacks and single large elements.
        ListQuicklist2 = 18 => "quicklist-2",
        /// A stream of Redis 7.0.
        Stream2 = 19 => "stream-2",
        /// A set in one listpack (Redis 7.2).
        SetListpack = 20 => "set-listpack",
        /// A stream of Redis 7.2.
        Stream3 = 21 => "stream-3",
        /// A hash whose fields expire: Valkey 9's, or a pre-release of Redis 7.4's.
        HashExpiring = 22 => "hash with expiring fields",
        /// A listpack hash whose fields expire, of a pre-release of Redis 7.4.
        HashListpackExpiringPreRelease = 23 => "hash-listpack with expiring fields (pre-release)",
        /// A hash whose fields expire (Redis 7.4).
        HashMetadata = 24 => "hash-metadata with expiring fields",
        /// A listpack hash whose fields expire (Redis 7.4).
        HashListpackExpiring = 25 => "hash-listpack with expiring fields",
    }
}

byte_enum! {
    /// What a record of the file is, when it is not an entry.
    Opcode {
        /// Sizes of one cluster slot; a hint.
        SlotInfo = 244 => "SLOT_INFO",
        /// The source of a function library.
        Function2 = 245 => "FUNCTION2",
        /// A function library in the format of a pre-release of Redis 7.
        FunctionPreRelease = 246 => "FUNCTION_PRE_GA",
        /// What a module keeps outside the keyspace.
        ModuleAux = 247 => "MODULE_AUX",
        /// Seconds since the next entry was last used.
        Idle = 248 => "IDLE",
        /// How often the next entry is used, as the LFU counter.
        Freq = 249 => "FREQ",
        /// A field of information about the file.
        Aux = 250 => "AUX",
        /// How many keys follow in this database; a hint.
        ResizeDb = 251 => "RESIZEDB",
        /// When the next entry expires, in milliseconds.
        ExpireTimeMs = 252 => "EXPIRETIME_MS",
        /// When the next entry expires, in seconds.
        ExpireTime = 253 => "EXPIRETIME",
        /// Which database the following entries belong to.
        SelectDb = 254 => "SELECTDB",
        /// The end of the entries.
        Eof = 255 => "EOF",
    }
}

byte_enum! {
    /// The typed parts of what a module saves, so that others can skip it.
    ModulePart {
        /// The end of the parts.
        Eof = 0 => "EOF",
        /// A signed integer, as a length.
        Signed = 1 => "SINT",
        /// An unsigned integer, as a length.
        Unsigned = 2 => "UINT",
        /// Four bytes.
        Float = 3 => "FLOAT",
        /// Eight bytes.
        Double = 4 => "DOUBLE",
        /// A string.
        String = 5 => "STRING",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_finds_its_variant_and_no_byte_is_both() {
        for byte in 0..=u8::MAX {
            let value = ValueType::from_byte(byte);
            let opcode = Opcode::from_byte(byte);
            assert!(value.is_none() || opcode.is_none(), "byte {byte} is both");
            assert!(value.is_none_or(|v| v.byte() == byte));
            assert!(opcode.is_none_or(|o| o.byte() == byte));
        }
        assert_eq!(ValueType::ALL.len() + Opcode::ALL.len(), 37);
    }
}
