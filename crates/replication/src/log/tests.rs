//! The log against a plain byte vector, and under many threads.

use super::*;
use proptest::prelude::*;
use std::task::{Context, Poll, Wake, Waker};

const KIB: u64 = 1024;
const SET: &[u8] = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";

fn active(slots: usize, backlog_size: u64) -> Arc<Log> {
    let log = Log::new(slots, backlog_size);
    log.activate();
    log
}

fn read_all(reader: &mut Reader, max: usize) -> Result<Vec<u8>, ReadError> {
    let mut all = Vec::new();
    loop {
        let piece = reader.peek(max)?;
        if piece.is_empty() {
            return Ok(all);
        }
        let len = piece.len();
        all.extend_from_slice(piece);
        reader.consume(len);
    }
}

fn text(log: &Arc<Log>) -> String {
    let mut reader = log.reader(ReplOffset(0), 0).expect("nothing has been trimmed");
    String::from_utf8(read_all(&mut reader, usize::MAX).unwrap()).unwrap().replace("\r\n", " ")
}

#[test]
fn select_comes_where_the_database_changes_and_where_it_is_forced() {
    let log = active(1, KIB);
    for db in [3, 3, 11] {
        log.append(0, db, b"x\r\n");
    }
    log.append_link(0, b"ping\r\n");
    log.append(0, 11, b"x\r\n");
    log.force_select();
    log.append(0, 11, b"x\r\n");
    log.append_raw(0, log.end(), b"raw\r\n");
    log.append(0, 11, b"x\r\n");
    let select = |db: usize| format!("*2 $6 SELECT ${} {db} ", db.to_string().len());
    let (three, eleven) = (select(3), select(11));
    assert_eq!(text(&log), format!("{three}x x {eleven}x ping x {eleven}x raw {eleven}x "));
}

#[test]
fn a_transaction_is_wrapped_unless_it_is_a_single_effect() {
    let log = active(1, KIB);
    let effect = |db, bytes| Effect { db, bytes };
    log.append_transaction(0, &[]);
    log.append_transaction(0, &[effect(0, b"a\r\n")]);
    log.append_transaction(0, &[effect(0, b"b\r\n"), effect(0, b"c\r\n"), effect(1, b"d\r\n")]);
    let end = log.append(0, 1, b"e\r\n");
    let (zero, one) = ("*2 $6 SELECT $1 0 ", "*2 $6 SELECT $1 1 ");
    assert_eq!(text(&log), format!("{zero}a *1 $5 MULTI b c {one}d *1 $4 EXEC e "));
    assert_eq!((end, end), (log.end(), log.published()));
}

#[test]
fn an_effect_may_be_longer_than_the_backlog() {
    let log = active(1, KIB);
    let big: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    let mut reader = log.reader(ReplOffset(0), 0).unwrap();
    log.append_link(0, &big);
    assert!(read_all(&mut reader, 1000).unwrap() == big, "it arrives as it was");
    drop(reader);
    assert!(log.memory() < 64 * KIB, "and is given up: {} bytes are held", log.memory());
}

#[test]
fn the_front_is_given_up_by_blocks_but_at_least_the_backlog_size_is_kept() {
    let size = 100 * KIB;
    let log = active(1, size);
    for _ in 0..20_000 {
        log.append(0, 0, SET);
        let held = log.available().unwrap();
        assert!(held.histlen() >= size.min(held.end.0), "only {} bytes are kept", held.histlen());
        assert!(held.histlen() <= size + 3 * 16 * KIB, "{} bytes are kept", held.histlen());
    }
    let held = log.available().unwrap();
    assert!(log.reader(held.first, 0).is_some());
    assert!(log.reader(ReplOffset(held.first.0 - 1), 0).is_none(), "before the first there is nothing");
    assert!(log.reader(held.end.plus(1), 0).is_none(), "nor after the end");
    log.resize(16 * KIB);
    assert!(log.available().unwrap().histlen() < 16 * KIB + 2 * 16 * KIB);
}

#[test]
fn what_a_reader_holds_serves_others_and_goes_with_it() {
    let log = active(1, 16 * KIB);
    let mut slow = log.reader(ReplOffset(0), 0).unwrap();
    for _ in 0..20_000 {
        log.append(0, 0, SET);
    }
    assert_eq!(log.available().unwrap().first, ReplOffset(0));
    assert_eq!(slow.behind(), log.end().0);
    let mut late = log.reader(ReplOffset(0), 0).expect("a slow reader keeps the beginning");
    assert!(read_all(&mut late, 777) == read_all(&mut slow, 50_000));
    assert!(log.available().unwrap().histlen() < 64 * KIB, "they have left it behind");
    let pinning = log.reader(log.available().unwrap().first, 0).unwrap();
    drop((slow, late));
    for _ in 0..20_000 {
        log.append(0, 0, SET);
    }
    let before = log.memory();
    drop(pinning);
    assert!(log.memory() < 64 * KIB && log.memory() < before / 4);
}

#[test]
fn a_reader_is_told_when_it_lags_or_its_log_is_gone() {
    let log = active(1, KIB);
    log.append_link(0, b"0123456789");
    let mut reader = log.reader(ReplOffset(0), 10).unwrap();
    assert_eq!(reader.peek(4), Ok(&b"0123"[..]));
    log.append_link(0, b"x");
    assert_eq!(reader.peek(4), Err(ReadError::Lagged { behind: 11 }));
    reader.set_limit(11);
    assert_eq!(reader.peek(1), Ok(&b"0"[..]));
    log.deactivate();
    assert_eq!(reader.peek(1), Err(ReadError::Discarded));
    assert_eq!((log.is_active(), log.end(), log.available()), (false, ReplOffset(11), None));
    assert!(log.reader(ReplOffset(11), 0).is_none());
    assert_eq!(log.memory(), 0);
    log.activate();
    let mut second = log.reader(ReplOffset(11), 0).expect("it goes on where it stood");
    log.reset(ReplOffset(5_000_000_000));
    assert_eq!(log.append_link(0, b"far"), ReplOffset(5_000_000_003));
    assert_eq!(second.peek(1), Err(ReadError::Discarded));
    let mut third = log.reader(ReplOffset(5_000_000_001), 0).unwrap();
    assert_eq!(third.peek(10), Ok(&b"ar"[..]));
}

#[test]
#[should_panic(expected = "no more than it was shown")]
fn what_was_not_shown_cannot_be_taken() {
    let log = active(1, KIB);
    log.append_link(0, b"0123456789");
    let mut reader = log.reader(ReplOffset(0), 0).unwrap();
    assert_eq!(reader.peek(4), Ok(&b"0123"[..]));
    reader.consume(5);
}

#[test]
#[should_panic(expected = "inactive log")]
fn nothing_is_appended_to_an_inactive_log() {
    Log::new(1, KIB).append(0, 0, SET);
}

/// Wakes by unparking.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait(reader: &mut Reader) {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    while reader.poll_ready(&mut Context::from_waker(&waker)) == Poll::Pending {
        std::thread::park();
    }
}

#[test]
fn a_waiting_reader_is_woken_once_and_by_any_change() {
    struct Count(AtomicU64);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let log = active(1, KIB);
    let mut reader = log.reader(ReplOffset(0), 0).unwrap();
    let count = Arc::new(Count(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    let poll = |reader: &mut Reader| reader.poll_ready(&mut Context::from_waker(&waker));
    assert_eq!((poll(&mut reader), poll(&mut reader)), (Poll::Pending, Poll::Pending));
    log.append(0, 0, SET);
    log.append(0, 0, SET);
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the second append finds nobody waiting");
    assert_eq!(poll(&mut reader), Poll::Ready(()));
    read_all(&mut reader, usize::MAX).unwrap();
    assert_eq!(poll(&mut reader), Poll::Pending);
    log.deactivate();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(poll(&mut reader), Poll::Ready(()), "there is an error to be seen");
}

#[derive(Clone, Debug)]
enum Step {
    Append { db: usize, len: usize },
    Transaction(Vec<(usize, usize)>),
    Link { len: usize },
    ForceSelect,
    Resize { kib: u64 },
    NewReader { from_permille: u64 },
    DropReader { which: usize },
    Read { which: usize, max: usize, times: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = || prop_oneof![8 => 0..200usize, 1 => 0..40_000usize];
    let step = prop_oneof![
        8 => (0..3usize, len()).prop_map(|(db, len)| Step::Append { db, len }),
        2 => proptest::collection::vec((0..3usize, len()), 0..4).prop_map(Step::Transaction),
        1 => len().prop_map(|len| Step::Link { len }),
        1 => Just(Step::ForceSelect),
        1 => (0..300u64).prop_map(|kib| Step::Resize { kib }),
        2 => (0..=1000u64).prop_map(|from_permille| Step::NewReader { from_permille }),
        1 => (0..8usize).prop_map(|which| Step::DropReader { which }),
        6 => (0..8usize, 1..20_000usize, 1..30usize).prop_map(|(which, max, times)| Step::Read { which, max, times }),
    ];
    proptest::collection::vec(step, 1..120)
}

/// The obvious twin: everything ever written, in one vector.
#[derive(Default)]
struct Twin {
    bytes: Vec<u8>,
    db: Option<usize>,
}

impl Twin {
    fn select(&mut self, db: usize) {
        if self.db.replace(db) != Some(db) {
            let digits = db.to_string();
            let select = format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{digits}\r\n", digits.len());
            self.bytes.extend(select.bytes());
        }
    }

    fn transaction(&mut self, effects: &[Effect<'_>]) {
        let wrapped = effects.len() > 1;
        for (at, effect) in effects.iter().enumerate() {
            self.select(effect.db);
            if wrapped && at == 0 {
                self.bytes.extend(b"*1\r\n$5\r\nMULTI\r\n");
            }
            self.bytes.extend(effect.bytes);
        }
        if wrapped {
            self.bytes.extend(b"*1\r\n$4\r\nEXEC\r\n");
        }
    }
}

fn run(steps: Vec<Step>) {
    let source: Vec<u8> = (0..50_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let log = active(1, 16 * KIB);
    let mut twin = Twin::default();
    let mut readers: Vec<Reader> = Vec::new();
    let mut count = 0;
    for step in steps {
        count += 97;
        let bytes = |len: usize| &source[count % 5000..count % 5000 + len];
        match step {
            Step::Append { db, len } => {
                twin.transaction(&[Effect { db, bytes: bytes(len) }]);
                assert_eq!(log.append(0, db, bytes(len)).0, twin.bytes.len() as u64);
            }
            Step::Transaction(effects) => {
                let effects: Vec<_> =
                    effects.iter().map(|&(db, len)| Effect { db, bytes: bytes(len) }).collect();
                twin.transaction(&effects);
                assert_eq!(log.append_transaction(0, &effects).0, twin.bytes.len() as u64);
            }
            Step::Link { len } => {
                twin.bytes.extend(bytes(len));
                log.append_link(0, bytes(len));
            }
            Step::ForceSelect => {
                twin.db = None;
                log.force_select();
            }
            Step::Resize { kib } => log.resize(kib * KIB),
            Step::NewReader { from_permille } => {
                let from = ReplOffset(log.end().0 * from_permille / 1000);
                let reader = log.reader(from, 0);
                assert_eq!(reader.is_some(), log.available().unwrap().contains(from));
                readers.extend(reader);
            }
            Step::DropReader { which } if which < readers.len() => drop(readers.swap_remove(which)),
            Step::Read { which, max, times } if which < readers.len() => {
                let reader = &mut readers[which];
                for _ in 0..times {
                    let at = reader.offset().0 as usize;
                    let piece = reader.peek(max).unwrap();
                    assert!(piece == &twin.bytes[at..at + piece.len()], "what was written at {at} is read");
                    assert!(piece.len() <= max && (!piece.is_empty() || at == twin.bytes.len()));
                    let len = piece.len();
                    reader.consume(len);
                }
            }
            Step::DropReader { .. } | Step::Read { .. } => {}
        }
        assert_eq!((log.end().0, log.published()), (twin.bytes.len() as u64, log.end()));
    }
    for mut reader in readers {
        let from = reader.offset().0 as usize;
        assert!(read_all(&mut reader, usize::MAX).unwrap() == twin.bytes[from..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn it_reads_as_a_plain_vector_would(steps in steps()) {
        run(steps);
    }
}

mod stress {
    //! Several writers, readers that follow, readers that come late, a backlog so small that blocks are reused all the
    //! time. Every byte that a reader sees is checked.

    use super::*;

    const WRITERS: u64 = 3;
    const RECORDS: u64 = 12_000;

    /// `<writer> <number> <len> <filling>\r\n`, so that a torn or stale byte does not go unnoticed.
    fn record(writer: u64, number: u64, db: usize) -> Vec<u8> {
        let len = if number.is_multiple_of(997) { 50_000 } else { (number * 7 + writer) % 120 };
        let fill = b'a' + ((number + writer) % 26) as u8;
        let mut record = format!("w {writer} {number} {db} {len} ").into_bytes();
        record.extend(std::iter::repeat_n(fill, len as usize));
        record.extend(b"\r\n");
        record
    }

    fn write(log: &Log, writer: u64, slot: usize) {
        for number in 0..RECORDS {
            let db = (number / 50 % 2) as usize;
            if number % 100 == 99 {
                let pair = [record(writer, number, db), b"t\r\n".to_vec()];
                log.append_transaction(slot, &pair.each_ref().map(|bytes| Effect { db, bytes }));
            } else {
                log.append(slot, db, &record(writer, number, db));
            }
        }
    }

    /// Follows a stream of records, which begins somewhere in the middle if `late`.
    struct Checker {
        unread: Vec<u8>,
        synced: bool,
        db: Option<usize>,
        next: [Option<u64>; WRITERS as usize],
        in_transaction: bool,
    }

    impl Checker {
        fn new(late: bool) -> Checker {
            let next = if late { None } else { Some(0) };
            Checker { unread: Vec::new(), synced: !late, db: None, next: [next; 3], in_transaction: false }
        }

        fn feed(&mut self, bytes: &[u8]) {
            self.unread.extend_from_slice(bytes);
            let mut from = 0;
            while let Some(len) = self.unread[from..].windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread[from..from + len].to_vec();
                from += len + 2;
                if std::mem::replace(&mut self.synced, true) {
                    self.line(&line);
                }
            }
            self.unread.drain(..from);
        }

        fn line(&mut self, line: &[u8]) {
            match line {
                [b'*' | b'$', ..] | b"SELECT" => {}
                [digit] if digit.is_ascii_digit() => self.db = Some(usize::from(digit - b'0')),
                b"MULTI" => assert!(!std::mem::replace(&mut self.in_transaction, true)),
                b"EXEC" => self.in_transaction = false,
                b"t" => {}
                [b'w', ..] => self.record(line),
                other => panic!("torn: {}", String::from_utf8_lossy(&other[..other.len().min(80)])),
            }
        }

        fn record(&mut self, line: &[u8]) {
            let text = std::str::from_utf8(line).expect("records are ASCII");
            let mut words = text.split(' ').skip(1).map(|word| word.parse::<u64>());
            let mut word = || words.next().and_then(Result::ok).expect("a record begins with numbers");
            let (writer, number, db) = (word(), word(), word() as usize);
            assert!(Some(line) == record(writer, number, db).strip_suffix(b"\r\n"), "torn: {text}");
            let next = &mut self.next[writer as usize];
            assert_eq!(next.unwrap_or(number), number, "writer {writer}'s records come in order");
            *next = Some(number + 1);
            assert_eq!(self.db.unwrap_or(db), db, "the database was selected");
        }

        fn is_complete(&self) -> bool {
            self.next.iter().all(|next| *next == Some(RECORDS))
        }
    }

    fn follow(mut reader: Reader, late: bool) {
        let mut checker = Checker::new(late);
        while !checker.is_complete() {
            wait(&mut reader);
            let piece = reader.peek(10_000).expect("there is no limit");
            checker.feed(piece);
            let len = piece.len();
            reader.consume(len);
        }
    }

    fn run(slot_of: fn(u64) -> usize) {
        let log = active(WRITERS as usize, 40 * KIB);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                let reader = log.reader(ReplOffset(0), 0).unwrap();
                scope.spawn(move || follow(reader, false));
            }
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let log = &log;
                    scope.spawn(move || write(log, writer, slot_of(writer)))
                })
                .collect();
            let mut late = 0;
            while !writers.iter().all(|writer| writer.is_finished()) && late < 200 {
                let held = log.available().expect("the log is active");
                if let Some(mut reader) = log.reader(held.first, 0) {
                    late += 1;
                    let mut checker = Checker::new(true);
                    for _ in 0..20 {
                        let piece = reader.peek(5000).expect("there is no limit");
                        checker.feed(piece);
                        let len = piece.len();
                        reader.consume(len);
                    }
                }
            }
        });
        assert_eq!(log.end(), log.published());
        assert!(log.memory() < 200 * KIB, "{} bytes are left", log.memory());
    }

    #[test]
    fn many_threads_with_slots_of_their_own() {
        run(|writer| writer as usize);
    }

    #[test]
    fn threads_that_share_a_slot_only_wait() {
        run(|writer| (writer / 2) as usize);
    }
}
