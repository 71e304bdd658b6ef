//! Event files of TensorBoard: scalars over the steps of a run.
//!
//! ```text
//!     record = length: u64 | masked(length): u32 | event | masked(event): u32        all little-endian
//!     masked = rotate_right(crc, 15) + 0xa282_ead8                                   crc: CRC-32C
//! ```
//!
//! An event is a protobuf message; the first of a file says that it is one. Numbers of fields are those of
//! TensorFlow's `event.proto` and `summary.proto`; what we never write is left out.

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// CRC-32C, Castagnoli's.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A number at a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scalar {
    /// What it is of.
    pub(crate) tag: String,
    /// The number; TensorBoard keeps 32 bits of it.
    pub(crate) value: f64,
}

/// What is known at a step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    /// Seconds since 1970.
    pub(crate) at: f64,
    /// Steps of the run so far.
    pub(crate) step: u64,
    /// The numbers.
    pub(crate) scalars: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    // One of several kinds of value: which it is shows in the field being there, with 0 too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// A whole file. More moments make a longer file that begins with the same bytes.
pub(crate) fn file(began: f64, moments: impl IntoIterator<Item = Moment>) -> Vec<u8> {
    let version = Some("brain.Event:2".to_owned());
    let mut file = Vec::new();
    push(&mut file, &Event { wall_time: began, file_version: version, ..Event::default() });
    for Moment { at, step, scalars } in moments {
        let value =
            |scalar: Scalar| Value { tag: scalar.tag, simple_value: Some(scalar.value as f32) };
        let summary = Summary { value: scalars.into_iter().map(value).collect() };
        let event =
            Event { wall_time: at, step: step as i64, summary: Some(summary), ..Event::default() };
        push(&mut file, &event);
    }
    file
}

fn push(file: &mut Vec<u8>, event: &Event) {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend_from_slice(&length);
    file.extend_from_slice(&masked(&length).to_le_bytes());
    file.extend_from_slice(&bytes);
    file.extend_from_slice(&masked(&bytes).to_le_bytes());
}

/// The sum that stands beside some bytes. It is masked, so that a record inside a record has another.
fn masked(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C and that of 32 zeros in RFC 3720, and the mask.
    #[test]
    fn sums_are_those_of_the_format() {
        assert_eq!(CRC.checksum(b"123456789"), 0xe306_9283);
        assert_eq!(CRC.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(
            masked(b"123456789"),
            0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8)
        );
    }

    /// Byte by byte, as `event.proto` and `summary.proto` say.
    #[test]
    fn an_event_is_the_message_of_the_format() {
        let scalar = Scalar { tag: "a".to_owned(), value: 0.0 };
        let moment = Moment { at: 1.0, step: 3, scalars: vec![scalar] };
        let file = file(0.5, [moment]);
        let first = 24;
        assert_eq!(file[..8], [first, 0, 0, 0, 0, 0, 0, 0]);
        let version = &file[12..12 + usize::from(first)];
        assert_eq!(version[..9], [9, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]);
        assert_eq!(version[9..], *b"\x1a\x0dbrain.Event:2");
        let event = &file[16 + usize::from(first) + 12..file.len() - 4];
        // wall_time = 1.0, step = 3, summary = { value = { tag = "a", simple_value = 0.0 } }
        let expected =
            [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 16, 3, 42, 10, 10, 8, 10, 1, b'a', 21, 0, 0, 0, 0];
        assert_eq!(*event, expected);
    }

    #[test]
    fn more_moments_only_make_it_longer() {
        let moment = |step| Moment {
            at: 7.0,
            step,
            scalars: vec![Scalar { tag: "loss".to_owned(), value: 1.0 / step as f64 }],
        };
        let (short, long) = (file(1.0, (1..3).map(moment)), file(1.0, (1..9).map(moment)));
        assert!(long.len() > short.len() && long.starts_with(&short));
    }
}
