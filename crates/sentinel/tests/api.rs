//! One sentinel, and what its clients see: replies, errors and events as Redis Sentinel 7.0 gives them.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod instances;

use std::time::Duration;

use instances::cluster::{Cluster, PATIENCE, local, settings};
use instances::{connect, eventually, free_port};
use redkeep_resp::Protocol;
use redkeep_resp::client::Client;
use redkeep_resp::frame::Frame;
use redkeep_sentinel::{Addr, Sentinel};

struct Fixture {
    sentinel: Sentinel,
    client: Client,
    /// Nobody listens there.
    nobody: Addr,
    _dir: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let nobody = Addr::new("127.0.0.1", free_port());
        let builder = Cluster::builder(dir.path()).settle(Duration::from_secs(600));
        let sentinel = builder.monitor("m", nobody.clone(), settings(60_000)).start().await.unwrap();
        let client = connect(&local(&sentinel)).await.unwrap();
        Self { sentinel, client, nobody, _dir: dir }
    }

    async fn call(&mut self, line: &str) -> Frame {
        let args: Vec<&str> = line.split(' ').collect();
        self.client.call(&args).await.unwrap()
    }

    async fn error(&mut self, line: &str) -> String {
        let reply = self.call(line).await;
        reply.as_error().unwrap_or_else(|| panic!("{line}: {reply:?}")).to_owned()
    }

    async fn fields(&mut self, line: &str) -> Vec<(String, String)> {
        let text = |frame: &Frame| frame.as_str().unwrap().to_owned();
        let pairs = self.call(line).await.into_pairs().unwrap();
        pairs.iter().map(|(field, value)| (text(field), text(value))).collect()
    }
}

#[tokio::test]
async fn errors_have_redis_words() {
    let mut sentinel = Fixture::start().await;
    let cases = [
        ("foo a b", "ERR unknown command 'foo', with args beginning with: 'a' 'b' "),
        ("sentinel", "ERR wrong number of arguments for 'sentinel' command"),
        ("sentinel foo", "ERR unknown subcommand 'foo'. Try SENTINEL HELP."),
        ("sentinel master", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("sentinel master x", "ERR No such master with that name"),
        ("sentinel replicas x", "ERR No such master with that name"),
        ("sentinel ckquorum x", "ERR No such master with that name"),
        ("sentinel failover x", "ERR No such master with that name"),
        ("sentinel remove x", "ERR No such master with that name"),
        ("sentinel set x a b", "ERR No such master with that name"),
        ("sentinel failover m", "NOGOODSLAVE No suitable replica to promote"),
        ("sentinel monitor m 127.0.0.1 1 2", "ERR Duplicate master name."),
        ("sentinel monitor a nohost.invalid 1 2", "ERR Invalid IP address or hostname specified"),
        ("sentinel monitor a 127.0.0.1 x 2", "ERR Invalid port"),
        ("sentinel monitor a 127.0.0.1 1 0", "ERR Quorum must be 1 or greater."),
        ("sentinel monitor a 127.0.0.1 1 x", "ERR Invalid quorum"),
        ("sentinel set m quorum", "ERR wrong number of arguments for 'sentinel|set' command"),
        ("sentinel set m quorum 0", "ERR Invalid argument '0' for SENTINEL SET 'quorum'"),
        ("sentinel set m fake 1", "ERR Unknown option or number of arguments for SENTINEL SET 'fake'"),
        ("sentinel set m quorum 1 fake", "ERR Unknown option or number of arguments for SENTINEL SET 'fake'"),
        (
            "sentinel config foo",
            "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.",
        ),
        ("sentinel config set nope x", "ERR Invalid argument 'nope' to SENTINEL CONFIG SET"),
        (
            "sentinel config set announce-port x",
            "ERR Invalid value 'x' to SENTINEL CONFIG SET 'announce-port'",
        ),
        ("sentinel debug info-period 0", "ERR Invalid argument '0' for SENTINEL DEBUG 'info-period'"),
        ("sentinel is-master-down-by-addr 127.0.0.1 x 0 *", "ERR value is not an integer or out of range"),
        ("publish foo bar", "ERR Only HELLO messages are accepted by Sentinel instances."),
        ("hello 4", "NOPROTO unsupported protocol version"),
        ("hello x", "ERR Protocol version is not an integer or out of range"),
        ("hello 2 auth", "ERR Syntax error in HELLO option 'auth'"),
        ("client foo", "ERR unknown subcommand 'foo'. Try CLIENT HELP."),
        ("client kill 1", "ERR No such client"),
        ("shutdown foo", "ERR syntax error"),
        ("ping a b", "ERR wrong number of arguments for 'ping' command"),
        (
            "auth x",
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(sentinel.error(line).await.trim_end(), expected.trim_end(), "{line}");
    }
    let scripts = sentinel.error("sentinel set m notification-script /bin/true").await;
    assert!(scripts.starts_with("ERR Reconfiguration of scripts path is denied"), "{scripts}");
}

#[tokio::test]
async fn maps_have_redis_fields_in_redis_order() {
    let mut sentinel = Fixture::start().await;
    let id = "ab".repeat(20);
    let (host, port) = (sentinel.nobody.host.clone(), sentinel.nobody.port);
    let hello = format!("127.0.0.1,1,{id},0,m,{host},{port},0");
    sentinel.client.call(&["PUBLISH", "__sentinel__:hello", &hello]).await.unwrap();
    eventually("the other sentinel is known", PATIENCE, || async {
        let mut client = connect(&local(&sentinel.sentinel)).await.unwrap();
        let reply = client.call(&["SENTINEL", "SENTINELS", "m"]).await.unwrap();
        reply.into_array().is_some_and(|items| items.len() == 1)
    })
    .await;
    let names = |fields: &[(String, String)]| {
        fields.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(" ")
    };
    let master = sentinel.fields("sentinel master m").await;
    assert_eq!(
        names(&master),
        "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply \
         last-ping-reply down-after-milliseconds info-refresh role-reported role-reported-time config-epoch \
         num-slaves num-other-sentinels quorum failover-timeout parallel-syncs"
    );
    let others = sentinel.call("sentinel sentinels m").await.into_array().unwrap();
    let pairs = others.into_iter().next().unwrap().into_pairs().unwrap();
    let fields: Vec<_> = pairs.iter().map(|(name, _)| name.as_str().unwrap()).collect();
    assert_eq!(
        fields.join(" "),
        "name ip port runid flags link-pending-commands link-refcount last-ping-sent last-ok-ping-reply \
         last-ping-reply down-after-milliseconds last-hello-message voted-leader voted-leader-epoch"
    );
    assert_eq!(sentinel.call("role").await.into_array().unwrap().len(), 2);
    let down = sentinel.call(&format!("sentinel is-master-down-by-addr {host} {port} 0 *")).await;
    let expected = [Frame::Integer(0), Frame::Bulk("*".into()), Frame::Integer(0)];
    assert_eq!(down.into_array().unwrap(), expected);
    let quorum = sentinel.error("sentinel ckquorum m").await;
    assert!(
        quorum.starts_with(
            "NOQUORUM 1 usable Sentinels. Not enough available Sentinels to reach the specified"
        )
    );
}

#[tokio::test]
async fn in_resp3_maps_are_maps_and_nothing_is_null() {
    let mut sentinel = Fixture::start().await;
    assert!(matches!(sentinel.call("sentinel master m").await, Frame::Array(_)));
    let greeting = sentinel.client.hello(Protocol::Resp3).await.unwrap();
    assert!(matches!(greeting, Frame::Map(ref pairs) if pairs.len() == 6), "{greeting:?}");
    assert!(matches!(sentinel.call("sentinel master m").await, Frame::Map(_)));
    assert!(
        matches!(sentinel.call("sentinel config get *").await, Frame::Map(ref pairs) if pairs.len() == 6)
    );
    assert_eq!(sentinel.call("sentinel get-master-addr-by-name x").await, Frame::Null);
    assert!(matches!(sentinel.call("info").await, Frame::Verbatim(_)));
}

#[tokio::test]
async fn what_is_set_is_shown_and_announced() {
    let mut sentinel = Fixture::start().await;
    let mut subscriber = connect(&local(&sentinel.sentinel)).await.unwrap();
    subscriber.call(&["PSUBSCRIBE", "*"]).await.unwrap();
    assert!(sentinel.call("sentinel set m quorum 5 parallel-syncs 3").await.is_ok());
    let (host, port) = (sentinel.nobody.host.clone(), sentinel.nobody.port);
    for note in ["quorum 5", "parallel-syncs 3"] {
        let message = subscriber.receive().await.unwrap().into_array().unwrap();
        let words: Vec<_> = message.iter().map(|word| word.as_str().unwrap().to_owned()).collect();
        assert_eq!(words, ["pmessage", "*", "+set", &format!("master m {host} {port} {note}")]);
    }
    let fields = sentinel.fields("sentinel master m").await;
    assert!(fields.contains(&("quorum".to_owned(), "5".to_owned())), "{fields:?}");

    assert!(sentinel.call("sentinel monitor other 127.0.0.1 1 2").await.is_ok());
    let message = subscriber.receive().await.unwrap().into_array().unwrap();
    assert_eq!(message[3].as_str(), Some("master other 127.0.0.1 1 quorum 2"));
    let addr = sentinel.call("sentinel get-master-addr-by-name other").await.into_array().unwrap();
    assert_eq!((addr[0].as_str(), addr[1].as_str()), (Some("127.0.0.1"), Some("1")));
    assert_eq!(sentinel.call("sentinel reset o*").await, Frame::Integer(1));
    assert!(sentinel.call("sentinel remove other").await.is_ok());
    assert_eq!(sentinel.error("sentinel remove other").await, "ERR No such master with that name");

    assert!(sentinel.call("sentinel config set announce-ip 10.1.2.3").await.is_ok());
    let shown = sentinel.fields("sentinel config get announce-ip").await;
    assert_eq!(shown, [("announce-ip".to_owned(), "10.1.2.3".to_owned())]);
}

#[tokio::test]
async fn a_resp2_subscriber_may_do_little_else() {
    let mut sentinel = Fixture::start().await;
    let confirmed = sentinel.call("subscribe +switch-master").await.into_array().unwrap();
    assert_eq!(confirmed[2], Frame::Integer(1));
    assert_eq!(
        sentinel.error("role").await,
        "ERR Can't execute 'role': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context"
    );
    assert_eq!(sentinel.call("ping").await.into_array().unwrap()[0].as_str(), Some("pong"));
    assert_eq!(sentinel.call("unsubscribe").await.into_array().unwrap()[2], Frame::Integer(0));
    assert_eq!(sentinel.call("ping").await.as_str(), Some("PONG"));
}

#[tokio::test]
async fn every_command_of_the_table_is_described() {
    let mut sentinel = Fixture::start().await;
    let count = sentinel.call("command count").await.as_int().unwrap();
    let all = sentinel.call("command").await.into_array().unwrap();
    assert_eq!(all.len(), usize::try_from(count).unwrap());
    assert!(all.iter().all(|entry| matches!(entry, Frame::Array(items) if items.len() == 10)));
    let docs = sentinel.call("command docs sentinel|masters").await.into_pairs().unwrap();
    assert_eq!(docs[0].0.as_str(), Some("sentinel|masters"));
    let names = sentinel.call("command list").await.into_array().unwrap();
    assert!(names.iter().any(|name| name.as_str() == Some("sentinel|get-master-addr-by-name")));
}

#[tokio::test]
async fn info_has_the_sections_that_exporters_read() {
    let mut sentinel = Fixture::start().await;
    let whole = sentinel.call("info").await;
    let whole = whole.as_str().unwrap();
    for section in ["# Server", "# Clients", "# Stats", "# CPU", "# Sentinel", "# Raft"] {
        assert!(whole.contains(&format!("{section}\r\n")), "{whole}");
    }
    assert!(whole.contains("redis_mode:sentinel\r\n"));
    let one = sentinel.call("info sentinel").await;
    let one = one.as_str().unwrap();
    let (host, port) = (&sentinel.nobody.host, sentinel.nobody.port);
    assert!(
        one.contains(&format!("master0:name=m,status=ok,address={host}:{port},slaves=0,sentinels=1\r\n")),
        "{one}"
    );
    assert!(one.contains("sentinel_tilt:0\r\n") && !one.contains("# Raft"));
}

#[tokio::test]
async fn garbage_is_refused_and_others_are_served() {
    let mut sentinel = Fixture::start().await;
    let at = local(&sentinel.sentinel);
    for garbage in [b"*1\r\n$-5\r\n".as_slice(), b"*99999999\r\n", b"\x00\xff\xfe\r\n", b"*3\r\n:1\r\n"] {
        let mut stream = tokio::net::TcpStream::connect((at.host.as_str(), at.port)).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, garbage).await.unwrap();
        let mut answer = [0; 8];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"-ERR"), "{garbage:?}: {:?}", &answer[..read]);
    }
    let raft = sentinel.client.call(&[b"SENTINEL".as_slice(), b"RAFT", b"\xff\x00garbage"]).await.unwrap();
    assert!(matches!(raft, Frame::Bulk(_)), "the group answers garbage, too: {raft:?}");
    assert_eq!(sentinel.error("sentinel report nobody").await, "ERR Invalid sentinel id");
    assert_eq!(sentinel.call("ping").await.as_str(), Some("PONG"));
}

#[tokio::test]
async fn a_client_may_stop_the_sentinel() {
    let mut sentinel = Fixture::start().await;
    drop(sentinel.client.call(&["SHUTDOWN", "NOSAVE"]).await);
    tokio::time::timeout(PATIENCE, sentinel.sentinel.stopped()).await.unwrap();
    tokio::time::timeout(PATIENCE, sentinel.sentinel.shutdown()).await.unwrap();
}
