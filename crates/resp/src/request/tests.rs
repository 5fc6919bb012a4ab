use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use redis_protocol::resp2::{decode::decode_bytes, types::BytesFrame};

type Outcome = Result<Vec<Vec<Vec<u8>>>, ProtocolError>;

/// All requests of `input`, which arrives in pieces that end at `cuts`. The buffer is compacted before
/// each piece, as a connection does it.
fn read_in_pieces(input: &[u8], cuts: impl IntoIterator<Item = usize>, limits: &Limits) -> Outcome {
    let (mut reader, mut buf, mut requests) = (RequestReader::default(), Vec::new(), Vec::new());
    let mut arrived = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        buf.extend_from_slice(&input[arrived..cut]);
        arrived = cut;
        let mut from = 0;
        loop {
            let mut args = Vec::new();
            match reader.next(&mut buf, from, limits, &mut args)? {
                Parsed::Incomplete { want } => {
                    assert!(want > 0 && args.is_empty());
                    break;
                }
                Parsed::Request { len } => {
                    assert!(!reader.is_midway() && reader.pending.capacity() == 0);
                    requests.push(args.iter().map(|arg| arg.of(&buf[from..]).to_vec()).collect());
                    from += len;
                }
            }
        }
        buf.drain(..from);
    }
    Ok(requests)
}

fn read(input: &[u8]) -> Outcome {
    read_in_pieces(input, [], &Limits::default())
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn multibulk(args: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[test]
fn a_pipeline_cut_at_every_byte_reads_the_same() {
    let input =
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\nhello\r\nworld\r\nPING  \"a\\x41 b\" 'c'\r\n\r\n*0\r\n*-1\r\n\
                  *1\r\n$0\r\n\r\n*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\nQUIT\n";
    let expected = vec![
        words(&["SET", "k", "hello\r\nworld"]),
        words(&["PING", "aA b", "c"]),
        vec![],
        vec![],
        vec![],
        words(&[""]),
        words(&["ECHO", "0123456789"]),
        words(&["QUIT"]),
    ];
    assert_eq!(read(input).as_ref(), Ok(&expected));
    for cut in 0..input.len() {
        assert_eq!(read_in_pieces(input, [cut], &Limits::default()).as_ref(), Ok(&expected), "cut at {cut}");
    }
    assert_eq!(read_in_pieces(input, 0..input.len(), &Limits::default()), Ok(expected));
}

#[test]
fn what_stands_behind_lengths_is_skipped_unseen() {
    assert_eq!(read(b"*1\rX$4\rYPINGZZ"), Ok(vec![words(&["PING"])]));
}

#[test]
fn broken_requests_are_refused_in_the_words_of_redis() {
    let endless = |start: &str, byte: &str| format!("{start}{}", byte.repeat(64 * 1024));
    let cases = [
        ("*01\r\n".to_owned(), "invalid multibulk length"),
        ("*+1\r\n".into(), "invalid multibulk length"),
        ("*-0\r\n".into(), "invalid multibulk length"),
        ("*\r\n".into(), "invalid multibulk length"),
        ("*1x\r\n".into(), "invalid multibulk length"),
        ("*2147483648\r\n".into(), "invalid multibulk length"),
        ("*9223372036854775808\r\n".into(), "invalid multibulk length"),
        ("*1\r\n$-1\r\n".into(), "invalid bulk length"),
        ("*1\r\n$\r\n".into(), "invalid bulk length"),
        ("*1\r\n$04\r\nPING\r\n".into(), "invalid bulk length"),
        ("*1\r\n$536870913\r\n".into(), "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n".into(), "invalid bulk length"),
        ("*1\r\nfoo\r\n".into(), "expected '$', got 'f'"),
        ("*1\r\n\r\n".into(), "expected '$', got ' '"),
        ("*2\r\n$1\r\na\r\n:1\r\n".into(), "expected '$', got ':'"),
        (endless("*", "1"), "too big mbulk count string"),
        (endless("*1\r\n$", "1"), "too big bulk count string"),
        (endless("A", "A"), "too big inline request"),
        ("ECHO \"abc\r\n".into(), "unbalanced quotes in request"),
        ("ECHO \"abc\\\r\n".into(), "unbalanced quotes in request"),
        ("ECHO 'a'b\r\n".into(), "unbalanced quotes in request"),
    ];
    for (input, text) in cases {
        let error = read(input.as_bytes()).expect_err(text);
        assert_eq!(error.to_string(), text, "{:.40}", input);
        let trickled = read_in_pieces(input.as_bytes(), 0..input.len(), &Limits::default());
        assert_eq!(trickled, Err(error), "{:.40}", input);
    }
}

#[test]
fn a_stranger_may_send_little() {
    let limits = Limits::unauthenticated();
    let refused = |input: &[u8]| read_in_pieces(input, [], &limits).expect_err("refused").to_string();
    assert_eq!(refused(b"*11\r\n"), "unauthenticated multibulk length");
    assert_eq!(refused(b"*1\r\n$16385\r\n"), "unauthenticated bulk length");
    assert_eq!(read_in_pieces(b"*10\r\n$16384\r\n", [], &limits), Ok(vec![]));
}

#[test]
fn an_error_leaves_no_arguments_behind_and_no_state() {
    let (mut reader, mut args) = (RequestReader::default(), Vec::new());
    let limits = Limits::default();
    for cut in [9, 11] {
        let mut input = b"*2\r\n$1\r\na\r\n$x\r\n".to_vec();
        let first = reader.next(&mut input[..cut], 0, &limits, &mut args);
        assert!(matches!(first, Ok(Parsed::Incomplete { .. })));
        assert_eq!(reader.next(&mut input, 0, &limits, &mut args), Err(ProtocolError::InvalidBulkLength));
        assert!(args.is_empty() && !reader.is_midway());
    }
}

#[test]
fn want_is_what_an_argument_lacks() {
    let (mut reader, mut args) = (RequestReader::default(), Vec::new());
    let mut input = b"*1\r\n$1000\r\nabc".to_vec();
    let parsed = reader.next(&mut input, 0, &Limits::default(), &mut args);
    assert_eq!(parsed, Ok(Parsed::Incomplete { want: 999 }));
}

/// Bytes and arguments that were looked at for one request of `count` arguments in pieces of `piece`.
fn steps_for(count: usize, piece: usize) -> usize {
    let input = multibulk(&vec![b"x".to_vec(); count]);
    let (mut reader, mut args, mut buf) = (RequestReader::default(), Vec::new(), Vec::new());
    let mut steps = 0;
    for chunk in input.chunks(piece) {
        buf.extend_from_slice(chunk);
        let parsed = reader.next(&mut buf, 0, &Limits::default(), &mut args).expect("a good request");
        steps = steps.max(reader.progress.steps);
        assert_eq!(matches!(parsed, Parsed::Request { .. }), buf.len() == input.len());
    }
    assert_eq!(args.len(), count);
    steps
}

#[test]
fn many_arguments_in_small_reads_stay_linear() {
    // Each read looks again at one unfinished argument, and at its header if that was cut.
    let (count, piece) = (200_000_usize, 37_usize);
    let reads = (count * 7).div_ceil(piece);
    assert!(steps_for(count, piece) <= count + reads * (1 + piece));
    assert!(steps_for(20_000, 1) <= 20_000 * 7 * 3);
}

#[test]
fn an_endless_line_is_searched_once() {
    let (mut reader, mut args) = (RequestReader::default(), Vec::new());
    let mut buf = vec![b'*'];
    for _ in 0..60_000 {
        buf.push(b'1');
        reader.next(&mut buf, 0, &Limits::default(), &mut args).expect("not too long yet");
    }
    assert!(reader.progress.steps <= buf.len());
}

fn oracle(input: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let (mut input, mut requests) = (Bytes::copy_from_slice(input), Vec::new());
    while let Some((frame, len)) = decode_bytes(&input).expect("a good request") {
        let BytesFrame::Array(args) = frame else { panic!("{frame:?} is no request") };
        let args = args.into_iter().map(|arg| match arg {
            BytesFrame::BulkString(bytes) => bytes.to_vec(),
            other => panic!("{other:?} is no argument"),
        });
        requests.push(args.collect());
        input = input.slice(len..);
    }
    requests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn good_requests_read_as_the_oracle_reads_them(
        requests in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..12), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let input: Vec<u8> = requests.iter().flat_map(|args| multibulk(args)).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(read_in_pieces(&input, cuts, &Limits::default()), Ok(oracle(&input)));
    }

    #[test]
    fn any_bytes_read_the_same_in_any_pieces(
        input in "([*$][0-9]{0,3}|\r\n|\r|\n|[ \"'\\\\xa]|-|GET){0,30}",
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..5),
    ) {
        let input = input.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        let limits = Limits::default();
        prop_assert_eq!(read_in_pieces(input, cuts, &limits), read_in_pieces(input, [], &limits));
    }

    #[test]
    fn noise_never_panics(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_in_pieces(&input, 0..input.len(), &Limits::default());
    }

    #[test]
    fn quoting_survives(text in prop::collection::vec(any::<u8>(), 0..60)) {
        let mut line = Vec::new();
        inline::push_quoted(&mut line, &text);
        prop_assert_eq!(inline::split_words(&line), Ok(vec![text]));
    }
}
