//! Events as bytes, on their way through the disk.

use crate::Error;

/// One event, its names being numbers already.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Event {
    /// Row of the log, counted over all files.
    pub row: u64,
    pub item: u32,
    pub time: i64,
    pub order: u32,
    /// [`NONE`](crate::NONE) where there is none, as for the category.
    pub kind: u32,
    pub category: u32,
    /// Price, quantity, amount; not a number where there is none.
    pub money: [f32; 3],
    pub labels: Vec<u32>,
    pub numbers: Vec<f32>,
}

/// Writes numbers and words one after the other, the lowest byte first.
pub(super) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// A word, or none.
    fn put_text(&mut self, text: Option<&str>) {
        // No word of a log is as long: a line is not.
        self.put_u32(text.map_or(u32::MAX, |text| text.len() as u32));
        self.put(text.unwrap_or("").as_bytes());
    }

    fn put_event(&mut self, event: &Event) {
        self.put_u64(event.row);
        self.put_u32(event.item);
        self.put_u64(event.time as u64);
        for number in [event.order, event.kind, event.category] {
            self.put_u32(number);
        }
        for number in event.money {
            self.put_u32(number.to_bits());
        }
        for &label in &event.labels {
            self.put_u32(label);
        }
        for number in &event.numbers {
            self.put_u32(number.to_bits());
        }
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes of an event without further columns.
const FIXED: usize = 8 + 4 + 8 + 3 * 4 + 3 * 4;

fn next_u32(rest: &mut &[u8]) -> u32 {
    let (bytes, others) = rest.split_first_chunk().expect("as many bytes as an event has");
    *rest = others;
    u32::from_le_bytes(*bytes)
}

fn next_u64(rest: &mut &[u8]) -> u64 {
    let (low, high) = (next_u32(rest), next_u32(rest));
    u64::from(low) | u64::from(high) << 32
}

/// Reads what [`Put`] has written.
pub(super) struct Take<R> {
    input: R,
    /// The bytes of one event.
    event: Vec<u8>,
    /// For errors.
    path: String,
}

impl<R: std::io::Read> Take<R> {
    pub(super) fn new(input: R, path: String) -> Self {
        Self { input, event: Vec::new(), path }
    }

    pub(super) fn get(&self) -> &R {
        &self.input
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.exactly(&mut bytes)?;
        Ok(bytes)
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.input
            .read_exact(bytes)
            .map_err(|source| Error::Write { path: self.path.clone(), source })
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    pub(super) fn text(&mut self) -> Result<Option<String>, Error> {
        let length = self.u32()?;
        if length == u32::MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; length as usize];
        self.exactly(&mut bytes)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// An event with so many labels and numbers.
    pub(super) fn event(&mut self, labels: usize, numbers: usize) -> Result<Event, Error> {
        let mut bytes = std::mem::take(&mut self.event);
        bytes.resize(FIXED + 4 * (labels + numbers), 0);
        self.exactly(&mut bytes)?;
        let rest = &mut bytes.as_slice();
        let (row, item, time) = (next_u64(rest), next_u32(rest), next_u64(rest) as i64);
        let [order, kind, category] = [(); 3].map(|()| next_u32(rest));
        let money = [(); 3].map(|()| f32::from_bits(next_u32(rest)));
        let labels = (0..labels).map(|_| next_u32(rest)).collect();
        let numbers = (0..numbers).map(|_| f32::from_bits(next_u32(rest))).collect();
        self.event = bytes;
        Ok(Event { row, item, time, order, kind, category, money, labels, numbers })
    }
}
