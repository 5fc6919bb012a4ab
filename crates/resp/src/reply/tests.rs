use super::*;

/// What `write` sends to a RESP2 client and to a RESP3 client.
fn both(write: impl Fn(&mut ReplyWriter<'_>)) -> [String; 2] {
    [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
        let mut out = Vec::new();
        write(&mut ReplyWriter::new(&mut out, protocol));
        String::from_utf8(out).expect("the tests write text")
    })
}

fn same(write: impl Fn(&mut ReplyWriter<'_>)) -> String {
    let [resp2, resp3] = both(write);
    assert_eq!(resp2, resp3);
    resp2
}

#[test]
fn what_both_protocols_share() {
    assert_eq!(same(|r| r.ok()), "+OK\r\n");
    assert_eq!(same(|r| r.queued()), "+QUEUED\r\n");
    assert_eq!(same(|r| r.pong()), "+PONG\r\n");
    assert_eq!(same(|r| r.simple("string")), "+string\r\n");
    assert_eq!(same(|r| r.bulk(b"")), "$0\r\n\r\n");
    assert_eq!(same(|r| r.bulk(b"0123456789")), "$10\r\n0123456789\r\n");
    assert_eq!(same(|r| r.bulk_integer(-42)), "$3\r\n-42\r\n");
    assert_eq!(same(|r| r.array(123456)), "*123456\r\n");
    assert_eq!(same(|r| r.raw(b":1\r\n")), ":1\r\n");
}

#[test]
fn integers_of_every_length() {
    for value in [0, 9, 10, -1, 99, 100, i64::MIN, i64::MAX] {
        assert_eq!(same(|r| r.integer(value)), format!(":{value}\r\n"));
    }
}

#[test]
fn an_error_stays_one_line() {
    assert_eq!(same(|r| r.error("ERR one\r\ntwo\n")), "-ERR one  two\r\n");
    let mut out = Vec::new();
    ReplyWriter::new(&mut out, Protocol::Resp2).error(b"ERR \xff");
    assert_eq!(out, b"-ERR \xff\r\n");
}

#[test]
fn what_resp2_lacks() {
    assert_eq!(both(|r| r.null()), ["$-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.null_array()), ["*-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.map(2)), ["*4\r\n", "%2\r\n"]);
    assert_eq!(both(|r| r.set(2)), ["*2\r\n", "~2\r\n"]);
    assert_eq!(both(|r| r.push(3)), ["*3\r\n", ">3\r\n"]);
    assert_eq!(both(|r| r.boolean(true)), [":1\r\n", "#t\r\n"]);
    assert_eq!(both(|r| r.boolean(false)), [":0\r\n", "#f\r\n"]);
    assert_eq!(both(|r| r.big_number("-123")), ["$4\r\n-123\r\n", "(-123\r\n"]);
    assert_eq!(both(|r| r.verbatim("txt", b"hi")), ["$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"]);
}

#[test]
fn doubles_print_as_redis_prints_them() {
    assert_eq!(both(|r| r.double(3.0)), ["$1\r\n3\r\n", ",3\r\n"]);
    assert_eq!(both(|r| r.double(3.1)), ["$3\r\n3.1\r\n", ",3.1\r\n"]);
    assert_eq!(both(|r| r.double(1e300)), ["$6\r\n1e+300\r\n", ",1e+300\r\n"]);
    assert_eq!(both(|r| r.double(f64::INFINITY)), ["$3\r\ninf\r\n", ",inf\r\n"]);
    assert_eq!(both(|r| r.double(f64::NEG_INFINITY)), ["$4\r\n-inf\r\n", ",-inf\r\n"]);
    assert_eq!(both(|r| r.double(f64::NAN)), ["$3\r\nnan\r\n", ",nan\r\n"]);
}

#[test]
fn deferred_lengths_nest_and_leave_what_was_before() {
    let write = |r: &mut ReplyWriter<'_>| {
        r.ok();
        let outer = r.deferred_array();
        let map = r.deferred_array();
        for n in 0..11 {
            r.integer(n);
            r.bulk_str("v");
        }
        r.finish_map(map, 11);
        let set = r.deferred_array();
        r.finish_set(set, 0);
        r.finish_array(outer, 2);
    };
    let pairs: String = (0..11).map(|n| format!(":{n}\r\n$1\r\nv\r\n")).collect();
    let [resp2, resp3] = both(write);
    assert_eq!(resp2, format!("+OK\r\n*2\r\n*22\r\n{pairs}*0\r\n"));
    assert_eq!(resp3, format!("+OK\r\n*2\r\n%11\r\n{pairs}~0\r\n"));
}

#[test]
fn truncating_takes_back() {
    let text = same(|r| {
        r.ok();
        let mark = r.len();
        r.bulk(b"no");
        assert_eq!(r.written_since(mark), b"$2\r\nno\r\n");
        r.truncate(mark);
    });
    assert_eq!(text, "+OK\r\n");
}
