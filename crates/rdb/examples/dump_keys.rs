//! Prints the keys of an RDB file: `cargo run -p redkeep-rdb --example dump_keys -- dump.rdb`

use std::io::{Read, Write};
use std::process::ExitCode;

use redkeep_rdb::{Entry, Item, Limits, Loaded, Reader};

const PIECE: usize = 64 * 1024;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: dump_keys <file.rdb>");
        return ExitCode::FAILURE;
    };
    let done = std::fs::File::open(path)
        .map_err(Into::into)
        .and_then(|file| print_keys(file, std::io::stdout().lock()));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print_keys(mut file: impl Read, mut out: impl Write) -> Result<(), Box<dyn std::error::Error>> {
    let mut reader = Reader::new(Limits::default());
    let mut piece = vec![0; PIECE];
    let mut db = 0;
    while !reader.is_done() {
        let len = file.read(&mut piece)?;
        if len == 0 {
            break;
        }
        reader.feed(&piece[..len]);
        while let Some(item) = reader.next()? {
            match item {
                Item::SelectDb(selected) => db = selected,
                Item::Entry(entry) => print_entry(&mut out, db, &entry)?,
                Item::Aux { .. } | Item::ResizeDb { .. } | Item::Function(_) | Item::End => {}
            }
        }
    }
    Ok(reader.finish()?)
}

fn print_entry(out: &mut impl Write, db: u64, entry: &Entry<'_>) -> std::io::Result<()> {
    let kind = match &entry.value {
        Loaded::String(_) => "string",
        Loaded::Value(value) => value.value_type().name(),
    };
    writeln!(out, "{db} {kind} {}", entry.key.escape_ascii())
}
