use super::*;
use crate::ReplyWriter;
use proptest::prelude::*;

fn bulk(text: &str) -> Frame {
    Frame::Bulk(Bytes::copy_from_slice(text.as_bytes()))
}

/// Reads replies from `input`, which arrives in pieces of `piece` bytes.
fn read(input: &[u8], protocol: Protocol, piece: usize) -> Result<Vec<Frame>, FrameError> {
    let (mut reader, mut buf, mut frames) = (FrameReader::new(protocol, 1 << 20), BytesMut::new(), vec![]);
    for piece in input.chunks(piece) {
        buf.extend_from_slice(piece);
        while let Some(frame) = reader.next(&mut buf)? {
            frames.push(frame);
        }
    }
    Ok(frames)
}

#[test]
fn resp2_in_pieces_of_any_size() {
    let input =
        b"+OK\r\n-ERR \xff\r\n\n\n:-7\r\n$5\r\na\r\nb\n\r\n$-1\r\n*-1\r\n*2\r\n*1\r\n$0\r\n\r\n*0\r\n";
    let expected = vec![
        Frame::Simple("OK".into()),
        Frame::Error("ERR \u{fffd}".into()),
        Frame::Integer(-7),
        bulk("a\r\nb\n"),
        Frame::Null,
        Frame::Null,
        Frame::Array(vec![Frame::Array(vec![bulk("")]), Frame::Array(vec![])]),
    ];
    for piece in 1..input.len() {
        assert_eq!(read(input, Protocol::Resp2, piece).as_ref(), Ok(&expected), "pieces of {piece}");
    }
}

#[test]
fn resp3_in_pieces_of_any_size() {
    let mut input = Vec::new();
    let mut reply = ReplyWriter::new(&mut input, Protocol::Resp3);
    reply.map(3);
    for (key, value) in [("b", 1.5), ("a", f64::INFINITY), ("c", -0.25)] {
        reply.bulk_str(key);
        reply.double(value);
    }
    reply.push(2);
    reply.null();
    reply.boolean(true);
    reply.set(2);
    reply.big_number("12345678901234567890123");
    reply.verbatim("txt", b"hi");
    reply.raw(b"|1\r\n+ttl\r\n:3600\r\n*1\r\n+x\r\n!5\r\nERR x\r\n");
    let expected = vec![
        Frame::Map(vec![
            (bulk("b"), Frame::Double(1.5)),
            (bulk("a"), Frame::Double(f64::INFINITY)),
            (bulk("c"), Frame::Double(-0.25)),
        ]),
        Frame::Push(vec![Frame::Null, Frame::Boolean(true)]),
        Frame::Set(vec![
            Frame::BigNumber("12345678901234567890123".into()),
            Frame::Verbatim(Bytes::from_static(b"hi")),
        ]),
        Frame::Array(vec![Frame::Simple("x".into())]),
        Frame::Error("ERR x".into()),
    ];
    for piece in 1..input.len() {
        assert_eq!(read(&input, Protocol::Resp3, piece).as_ref(), Ok(&expected), "pieces of {piece}");
    }
}

#[test]
fn what_is_no_reply() {
    for input in [
        "HTTP/1.1 400 Bad Request\r\n",
        "\r\n",
        "$x\r\n",
        "$3\r\nabcXY",
        "*-2\r\n",
        "+OK\n\n",
        "$?\r\n",
        "=2\r\nab\r\n",
        "#x\r\n",
    ] {
        let result = read(input.as_bytes(), Protocol::Resp3, 100);
        assert!(matches!(result, Err(FrameError::Malformed(_))), "{input:?}: {result:?}");
    }
}

#[test]
fn limits_hold_before_anything_is_built() {
    let too_long = Err(FrameError::TooLong { limit: 1 << 20 });
    assert_eq!(read(b"$1048576\r\n", Protocol::Resp2, 100), too_long);
    assert_eq!(read(b"*9223372036854775807\r\n", Protocol::Resp2, 100), too_long);
    assert_eq!(read(&vec![b'+'; (1 << 20) + 1], Protocol::Resp2, 5000), too_long);
    let deep = b"*1\r\n".repeat(100_000);
    assert_eq!(read(&deep, Protocol::Resp2, 5000), Err(FrameError::TooDeep));
    let mut deepest = b"*1\r\n".repeat(MAX_DEPTH);
    deepest.extend_from_slice(b":1\r\n");
    assert_eq!(read(&deepest, Protocol::Resp2, 5000).map(|frames| frames.len()), Ok(1));
}

#[test]
fn what_a_frame_can_be_read_as() {
    assert_eq!(bulk("12").as_int(), Some(12));
    assert_eq!(Frame::Integer(3).as_int(), Some(3));
    assert_eq!(Frame::Simple("PONG".into()).as_str(), Some("PONG"));
    assert_eq!(Frame::Error("ERR x".into()).as_str(), None);
    assert_eq!(Frame::Error("ERR x".into()).as_error(), Some("ERR x"));
    let flat = Frame::Array(vec![bulk("k"), Frame::Integer(1)]);
    let map = Frame::Map(vec![(bulk("k"), Frame::Integer(1))]);
    assert_eq!(flat.clone().into_pairs(), map.clone().into_pairs());
    assert_eq!(map.into_array(), flat.into_array());
    assert_eq!(Frame::Array(vec![bulk("k")]).into_pairs(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn noise_never_panics(
        input in "([-+:$*_,#(=!~>%|][-0-9]{0,2}|\r\n|\r|\n|txt:|t|[a-z]){0,40}",
        piece in 1usize..20,
        resp3: bool,
    ) {
        let protocol = if resp3 { Protocol::Resp3 } else { Protocol::Resp2 };
        let whole = read(input.as_bytes(), protocol, 1000);
        let pieces = read(input.as_bytes(), protocol, piece);
        prop_assert_eq!(whole.is_ok(), pieces.is_ok());
    }
}
