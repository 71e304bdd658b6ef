//! The best items of one row so far: keys in a heap, the worst one first.

/// A place in a heap that no item has taken yet: below every score, and no item.
pub(super) const EMPTY: u64 = key(f32::NEG_INFINITY, u32::MAX);

/// An item as one number, which is larger where the item is better: a higher score, or an equal one
/// and a smaller number. Bits of positive floats rise as the floats do, those of negative ones fall.
pub(super) const fn key(score: f32, item: u32) -> u64 {
    // Adding zero makes one zero of two.
    let bits = (score + 0.0).to_bits();
    let rising = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    (rising as u64) << 32 | !item as u64
}

pub(super) const fn item_of(key: u64) -> u32 {
    !(key as u32)
}

pub(super) const fn score_of(key: u64) -> f32 {
    let rising = (key >> 32) as u32;
    f32::from_bits(if rising >> 31 == 1 { rising & !(1 << 31) } else { !rising })
}

/// Puts a better item in the place of the worst one, which is the first of a heap: each place k is
/// no better than the places 2k + 1 and 2k + 2.
pub(super) fn replace_worst(heap: &mut [u64], key: u64) {
    let mut place = 0;
    loop {
        let mut child = 2 * place + 1;
        if child >= heap.len() {
            break;
        }
        if child + 1 < heap.len() && heap[child + 1] < heap[child] {
            child += 1;
        }
        if heap[child] >= key {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = key;
}

/// Best first. Places that no item has taken go to items whose scores are −∞ or not numbers: all
/// that are not among the others, by rising number.
pub(super) fn finish(heap: &mut [u64]) {
    heap.sort_unstable_by(|a, b| b.cmp(a));
    let found = heap.partition_point(|&key| key > EMPTY);
    if found == heap.len() {
        return;
    }
    let mut taken: Vec<u32> = heap[..found].iter().map(|&key| item_of(key)).collect();
    taken.sort_unstable();
    let mut taken = taken.into_iter().peekable();
    let free = (0..).filter(|item| taken.next_if_eq(item).is_none());
    for (place, item) in heap[found..].iter_mut().zip(free) {
        *place = key(f32::NEG_INFINITY, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_rise_with_scores_and_fall_with_numbers() {
        let scores = [f32::NEG_INFINITY, f32::MIN, -1.0, -1e-40, 0.0, 1e-40, 1.0, f32::INFINITY];
        for pair in scores.windows(2) {
            assert!(key(pair[0], 0) < key(pair[1], u32::MAX), "{pair:?}");
        }
        for score in scores {
            assert!(key(score, 4) > key(score, 5));
            assert_eq!((score_of(key(score, 5)), item_of(key(score, 5))), (score, 5));
        }
        assert_eq!(key(-0.0, 1), key(0.0, 1));
    }
}
