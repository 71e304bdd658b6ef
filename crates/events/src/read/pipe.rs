//! Rows on their way from the thread that reads them to the one that keeps them.
//!
//! Parsing takes about as long as what comes after it: names looked up, events put in their place. So the
//! two go on at once, a block of rows apart, in the order of the log.
//!
//! ```text
//!     reader thread:  lines → fields → rows ──full──▶ the caller's thread: rows → sink
//!                                          ◀─empty──
//! ```

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use super::sink::{Key, Row};
use crate::Error;

/// Bytes of text, about, that make a block worth handing over.
const TEXT: usize = 32 * 1024;
/// Blocks that may wait: enough for one side to go on while the other is held up.
const WAITING: usize = 4;

/// Rows in one piece of memory.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Bytes of all files that were read for it and for those before it.
    pub bytes: u64,
    text: String,
    rows: Vec<Packed>,
    /// The further words and numbers of all rows.
    labels: Vec<Span>,
    numbers: Vec<Option<f32>>,
}

/// A part of the text, or nothing.
#[derive(Debug, Clone, Copy)]
struct Span(Option<(usize, usize)>);

#[derive(Debug, Clone, Copy)]
enum PackedKey {
    None,
    Name(Span),
    Unnamed(u32),
}

/// A [`Row`] whose words are in the text.
#[derive(Debug, Clone, Copy)]
struct Packed {
    item: Span,
    user: Span,
    session: PackedKey,
    time: Option<i64>,
    order: Option<u32>,
    kind: Span,
    category: Span,
    price: Option<f32>,
    quantity: Option<f32>,
    amount: Option<f32>,
    labels: usize,
    numbers: usize,
}

impl Block {
    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: &Row<'_>) {
        let text = &mut self.text;
        let mut put = |word: Option<&str>| {
            Span(word.map(|word| {
                let start = text.len();
                text.push_str(word);
                (start, text.len())
            }))
        };
        let packed = Packed {
            item: put(Some(row.item)),
            user: put(row.user),
            session: match row.session {
                None => PackedKey::None,
                Some(Key::Name(name)) => PackedKey::Name(put(Some(name))),
                Some(Key::Unnamed(number)) => PackedKey::Unnamed(number),
            },
            time: row.time,
            order: row.order,
            kind: put(row.kind),
            category: put(row.category),
            price: row.price,
            quantity: row.quantity,
            amount: row.amount,
            labels: row.labels.len(),
            numbers: row.numbers.len(),
        };
        self.labels.extend(row.labels.iter().map(|&word| put(word)));
        self.numbers.extend(row.numbers);
        self.rows.push(packed);
    }

    /// Hands its rows on in their order.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let word = |span: Span| span.0.map(|(start, end)| &self.text[start..end]);
        let (mut labels, mut numbers) = (self.labels.as_slice(), self.numbers.as_slice());
        let mut words = Vec::new();
        for row in &self.rows {
            let (of_row, others) = labels.split_at(row.labels);
            words.clear();
            words.extend(of_row.iter().map(|&span| word(span)));
            labels = others;
            let (of_row, others) = numbers.split_at(row.numbers);
            numbers = others;
            take(&Row {
                item: word(row.item).unwrap_or_default(),
                user: word(row.user),
                session: match row.session {
                    PackedKey::None => None,
                    PackedKey::Name(name) => word(name).map(Key::Name),
                    PackedKey::Unnamed(number) => Some(Key::Unnamed(number)),
                },
                time: row.time,
                order: row.order,
                kind: word(row.kind),
                category: word(row.category),
                price: row.price,
                quantity: row.quantity,
                amount: row.amount,
                labels: &words,
                numbers: of_row,
            })?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.text.clear();
        self.rows.clear();
        self.labels.clear();
        self.numbers.clear();
    }
}

/// The reader's end.
pub(super) struct Inlet {
    full: SyncSender<Block>,
    empty: Receiver<Block>,
    block: Block,
    /// Rows that came to nothing since the last block.
    passed: usize,
}

/// The keeper's end.
pub(super) struct Outlet {
    full: Receiver<Block>,
    empty: Sender<Block>,
}

/// A pipe of blocks.
pub(super) fn pipe() -> (Inlet, Outlet) {
    let (to_keeper, full) = sync_channel(WAITING);
    let (to_reader, empty) = channel();
    let inlet = Inlet { full: to_keeper, empty, block: Block::default(), passed: 0 };
    (inlet, Outlet { full, empty: to_reader })
}

impl Inlet {
    /// Adds a row; `bytes` of all files were read so far.
    pub(super) fn push(&mut self, row: &Row<'_>, bytes: u64) -> Result<(), Error> {
        self.block.push(row);
        if self.block.text.len() < TEXT && self.block.len() < TEXT / 16 {
            return Ok(());
        }
        self.flush(bytes)
    }

    /// Counts a row that is no event, so that whoever waits hears of those, too.
    pub(super) fn pass(&mut self, bytes: u64) -> Result<(), Error> {
        self.passed += 1;
        if self.passed < TEXT / 16 { Ok(()) } else { self.flush(bytes) }
    }

    /// Hands over what there is.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`] where nobody wants it any more.
    pub(super) fn flush(&mut self, bytes: u64) -> Result<(), Error> {
        self.passed = 0;
        self.block.bytes = bytes;
        let mut next = self.empty.try_recv().unwrap_or_default();
        next.clear();
        let full = std::mem::replace(&mut self.block, next);
        self.full.send(full).map_err(|_| Error::Stopped)
    }
}

impl Outlet {
    /// Takes all blocks, until the reader has no more.
    pub(super) fn each(
        self,
        mut take: impl FnMut(&Block) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for block in &self.full {
            take(&block)?;
            // The reader may have gone already.
            let _ = self.empty.send(block);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> impl Iterator<Item = (String, Option<String>)> {
        (0..50_000).map(|n| (format!("item {n}"), (n % 3 > 0).then(|| format!("wört {n}"))))
    }

    #[test]
    fn rows_come_out_as_they_went_in() {
        let (mut inlet, outlet) = pipe();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for (n, (item, word)) in rows().enumerate() {
                    let labels = [word.as_deref(), None, Some("")];
                    let numbers = [Some(n as f32), None];
                    let row = Row {
                        item: &item,
                        user: word.as_deref(),
                        session: match n % 4 {
                            0 => None,
                            1 => Some(Key::Unnamed(n as u32)),
                            _ => Some(Key::Name(&item)),
                        },
                        time: (n % 5 > 0).then_some(n as i64),
                        kind: Some("view"),
                        price: Some(0.5),
                        labels: &labels[..n % 4],
                        numbers: &numbers[..n % 3],
                        ..Row::default()
                    };
                    inlet.push(&row, n as u64).unwrap();
                }
                inlet.flush(99).unwrap();
            });
            let (mut expected, mut n, mut bytes) = (rows(), 0, 0);
            let check = |row: &Row<'_>| {
                let (item, word) = expected.next().unwrap();
                assert_eq!((row.item, row.user), (item.as_str(), word.as_deref()));
                match n % 4 {
                    0 => assert_eq!(row.session, None),
                    1 => assert_eq!(row.session, Some(Key::Unnamed(n as u32))),
                    _ => assert_eq!(row.session, Some(Key::Name(&item))),
                }
                assert_eq!(row.time, (n % 5 > 0).then_some(n as i64));
                assert_eq!(row.labels, &[word.as_deref(), None, Some("")][..n % 4]);
                assert_eq!(row.numbers, &[Some(n as f32), None][..n % 3]);
                assert_eq!((row.kind, row.price, row.amount), (Some("view"), Some(0.5), None));
                n += 1;
                Ok(())
            };
            let mut check = check;
            let taken = outlet.each(|block| {
                bytes = block.bytes;
                block.each(&mut check)
            });
            taken.unwrap();
            assert_eq!((n, bytes), (50_000, 99));
        });
    }

    #[test]
    fn a_keeper_that_gives_up_stops_the_reader() {
        let (mut inlet, outlet) = pipe();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let row = Row { item: "a", ..Row::default() };
                (0..10_000_000).try_for_each(|n| inlet.push(&row, n))
            });
            let error = outlet.each(|_| Err(Error::TooManySessions)).unwrap_err();
            assert!(matches!(error, Error::TooManySessions));
            assert!(matches!(reader.join().unwrap(), Err(Error::Stopped)));
        });
    }
}
