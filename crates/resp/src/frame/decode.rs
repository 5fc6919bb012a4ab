//! From `redis-protocol`'s frames, which point into the bytes, to ours, which share them.
//!
//! Its frames of ranges are used rather than its frames of bytes, since those refuse an error line that is
//! not UTF-8, which Redis sends when it quotes an argument.

use super::{Frame, FrameError};
use crate::Protocol;
use bytes::Bytes;
use redis_protocol::{error::RedisProtocolError, resp2, resp3};

type Resp2 = resp2::types::RangeFrame;
type Resp3 = resp3::types::RangeFrame;

/// Decodes `reply`, which is one whole reply.
pub(super) fn decode(reply: &Bytes, protocol: Protocol) -> Result<Frame, FrameError> {
    match protocol {
        Protocol::Resp2 => from_resp2(whole(resp2::decode::decode_range(reply))?, reply),
        Protocol::Resp3 => from_resp3(whole(resp3::decode::complete::decode_range(reply))?, reply),
    }
}

fn whole<F>(decoded: Result<Option<(F, usize)>, RedisProtocolError>) -> Result<F, FrameError> {
    match decoded {
        Ok(Some((frame, _))) => Ok(frame),
        Ok(None) => Err(FrameError::Malformed("lengths that do not agree".to_owned())),
        Err(error) => Err(FrameError::Malformed(error.details().to_owned())),
    }
}

fn text(reply: &Bytes, (start, end): (usize, usize)) -> String {
    String::from_utf8_lossy(&reply[start..end]).into_owned()
}

fn from_resp2(frame: Resp2, reply: &Bytes) -> Result<Frame, FrameError> {
    Ok(match frame {
        Resp2::SimpleString(range) => Frame::Simple(text(reply, range)),
        Resp2::Error(range) => Frame::Error(text(reply, range)),
        Resp2::Integer(value) => Frame::Integer(value),
        Resp2::BulkString((start, end)) => Frame::Bulk(reply.slice(start..end)),
        Resp2::Null => Frame::Null,
        Resp2::Array(items) => {
            Frame::Array(items.into_iter().map(|item| from_resp2(item, reply)).collect::<Result<_, _>>()?)
        }
    })
}

fn from_resp3(frame: Resp3, reply: &Bytes) -> Result<Frame, FrameError> {
    Ok(match frame {
        Resp3::SimpleString { data, .. } => Frame::Simple(text(reply, data)),
        Resp3::SimpleError { data, .. } | Resp3::BlobError { data, .. } => Frame::Error(text(reply, data)),
        Resp3::Number { data, .. } => Frame::Integer(data),
        Resp3::BlobString { data: (start, end), .. } => Frame::Bulk(reply.slice(start..end)),
        Resp3::VerbatimString { data: (start, end), .. } => Frame::Verbatim(reply.slice(start..end)),
        Resp3::Null => Frame::Null,
        Resp3::Double { data, .. } => Frame::Double(data),
        Resp3::Boolean { data, .. } => Frame::Boolean(data),
        Resp3::BigNumber { data, .. } => Frame::BigNumber(text(reply, data)),
        Resp3::Array { data, .. } => Frame::Array(items(data, reply)?),
        Resp3::Set { data, .. } => Frame::Set(items(data, reply)?),
        Resp3::Push { data, .. } => Frame::Push(items(data, reply)?),
        Resp3::Map { data, .. } => {
            // The decoder fills its map from the back.
            let pairs = data.into_iter().rev();
            let pairs = pairs.map(|(key, value)| Ok((from_resp3(key, reply)?, from_resp3(value, reply)?)));
            Frame::Map(pairs.collect::<Result<_, FrameError>>()?)
        }
        Resp3::Hello { .. } | Resp3::ChunkedString(_) => {
            return Err(FrameError::Malformed("a type that is no reply".to_owned()));
        }
    })
}

fn items(frames: impl IntoIterator<Item = Resp3>, reply: &Bytes) -> Result<Vec<Frame>, FrameError> {
    frames.into_iter().map(|frame| from_resp3(frame, reply)).collect()
}
