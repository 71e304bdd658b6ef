//! How the persistent kernels lie on a card: `kernels/lstm_sequence.cu`.
//!
//! ```text
//!     P blocks of U units each hold all of w_h;  G groups of P blocks share the rows of the batch
//!
//!     few units a block    w_h fits, but P is large: more blocks to wait for, each reads all of h
//!     many groups          fewer rows a block, but P · G blocks must be on the card at once
//! ```
//!
//! Of all that fit, the plan with the shortest estimated step is taken. The estimate knows the
//! operations and the traffic of a block, which is enough to tell the plans of one shape apart.

use layout::Steps;

use crate::{Grid, Limits};

/// Which way the sequence is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// `lstm_sequence_forward_v3`
    Forward,
    /// `lstm_sequence_backward_v3`
    Backward,
}

/// Rows that a thread computes at once: chunks are multiples of it.
const ROWS: usize = 4;
/// Bytes of an f32.
const F32: usize = size_of::<f32>();
/// Rows of a chunk at most.
const LARGEST_CHUNK: usize = 64;
/// Units of a block at most.
const LARGEST_UNITS: usize = 128;

/// A way to lie on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Units of a block, U: a multiple of 4.
    pub units: usize,
    /// Blocks of a group, P.
    pub blocks: usize,
    /// Groups, G: each has rows of its own.
    pub groups: usize,
    /// Rows of a group at most, R.
    pub rows: usize,
    /// Rows in shared memory at a time.
    pub chunk: usize,
    /// Threads of a block.
    pub threads: usize,
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
}

impl Plan {
    /// The plan for a batch and so many units; `None` where `w_h` does not fit on the card.
    pub fn new(limits: Limits, direction: Direction, steps: &Steps, hidden: usize) -> Option<Self> {
        if !limits.cooperative || steps.positions() == 0 || hidden == 0 {
            return None;
        }
        let (batch, usual) = (steps.batch(), usual_rows(steps));
        let units = (ROWS..=LARGEST_UNITS.min(hidden.next_multiple_of(ROWS))).step_by(ROWS);
        let plans =
            units.filter_map(|units| Self::with_units(limits, direction, batch, hidden, units));
        // Of equals the first, which has the fewest units.
        plans.min_by_key(|plan| plan.cycles(direction, usual, hidden))
    }

    /// The plan with so many units a block: as many groups as there is room for, as many rows at a
    /// time as fit.
    fn with_units(
        limits: Limits,
        direction: Direction,
        batch: usize,
        hidden: usize,
        units: usize,
    ) -> Option<Self> {
        let blocks = hidden.div_ceil(units);
        let groups = (limits.multiprocessors / blocks).min(batch);
        if groups == 0 {
            return None;
        }
        let rows = batch.div_ceil(groups);
        let threads = limits.threads;
        let shared = |chunk| shared_bytes(direction, hidden, units, blocks, chunk, threads);
        let most =
            LARGEST_CHUNK.min(rows.next_multiple_of(ROWS)).min(threads / units / ROWS * ROWS);
        let mut chunks = (1..=most / ROWS).rev().map(|chunk| ROWS * chunk);
        let chunk = chunks.find(|&chunk| shared(chunk) <= limits.shared_bytes)?;
        let shared_bytes = shared(chunk);
        Some(Self { units, blocks, groups, rows, chunk, threads, shared_bytes })
    }

    /// About how many cycles a step of so many rows takes.
    fn cycles(&self, direction: Direction, rows: usize, hidden: usize) -> usize {
        /// Multiply-adds that a multiprocessor really does in a cycle.
        const FMA: usize = 90;
        /// Bytes that it gets from L2 in a cycle.
        const L2: usize = 40;
        /// What a chunk costs whatever is in it: its barriers, and memory that is waited for.
        const CHUNK: usize = 1500;
        /// What waiting for one more block costs.
        const BLOCK: usize = 4;
        let chunks = rows.div_ceil(self.groups).div_ceil(self.chunk);
        let rows = rows.div_ceil(self.groups).next_multiple_of(ROWS);
        let width = self.blocks * self.units;
        let products = rows * 4 * self.units * width / FMA;
        let traffic = match direction {
            Direction::Forward => rows * hidden,
            Direction::Backward => 2 * rows * width,
        };
        products + F32 * traffic / L2 + CHUNK * chunks + BLOCK * self.blocks
    }

    /// Whether this is faster than v2. Where rows are many, a step is so large a product that fetching
    /// w_h for it is little, and cuBLAS is the better at large products.
    pub(crate) fn pays(&self, direction: Direction, steps: &Steps) -> bool {
        /// Rows of a group at most, as a rule: on an H100 v3 was 1.6 times as fast with 16, and v2
        /// 1.2 times with 125.
        const MOST: usize = 48;
        /// Bytes of shares that stay in the second-level cache.
        const SHARES: usize = 24 << 20;
        let rows = usual_rows(steps);
        let shares = 3 * F32 * rows * self.blocks * self.blocks * self.units;
        let near = direction == Direction::Forward || shares <= SHARES;
        rows.div_ceil(self.groups) <= MOST && near
    }

    /// The launch.
    pub(crate) fn grid(&self) -> Grid {
        Grid {
            blocks: [self.blocks, self.groups],
            threads: [self.threads, 1],
            shared_bytes: self.shared_bytes,
            cooperative: true,
        }
    }

    /// Numbers in the three buffers of shares of the backward pass.
    pub fn shares(&self) -> usize {
        3 * self.groups * self.blocks * self.rows * self.blocks * self.units
    }
}

/// Rows of a step on the average: of sessions, most steps have a few of the batch's rows.
fn usual_rows(steps: &Steps) -> usize {
    steps.positions().div_ceil(steps.count())
}

/// Numbers between two rows in shared memory, as `stride_of` of the kernels.
fn stride(width: usize) -> usize {
    4 * (width.div_ceil(4) | 1)
}

/// As the kernels say over themselves.
fn shared_bytes(
    direction: Direction,
    hidden: usize,
    units: usize,
    blocks: usize,
    chunk: usize,
    threads: usize,
) -> usize {
    let floats = match direction {
        Direction::Forward => (4 * units + chunk) * stride(hidden) + 16 * threads,
        Direction::Backward => {
            4 * units * stride(blocks * units) + chunk * (4 * units + 4) + 4 * threads
        }
    };
    F32 * floats
}

#[cfg(test)]
mod tests {
    use super::*;

    const H100: Limits =
        Limits { multiprocessors: 132, shared_bytes: 232_448, threads: 512, cooperative: true };

    #[test]
    fn a_plan_covers_all_units_and_rows_and_fits() {
        for direction in [Direction::Forward, Direction::Backward] {
            for batch in [1, 3, 16, 64, 500] {
                for hidden in [1, 5, 31, 128, 129, 256, 500, 512, 768, 1024] {
                    let steps = Steps::uniform(3, batch);
                    let plan = Plan::new(H100, direction, &steps, hidden).unwrap();
                    let Plan { units, blocks, groups, rows, chunk, threads, shared_bytes } = plan;
                    assert!(units % 4 == 0 && chunk % 4 == 0, "{plan:?}");
                    assert!(blocks * units >= hidden && (blocks - 1) * units < hidden, "{plan:?}");
                    assert!(groups * rows >= batch && groups <= batch, "{plan:?}");
                    assert!(blocks * groups <= 132 && shared_bytes <= 232_448, "{plan:?}");
                    assert!(chunk * units <= threads, "{plan:?}");
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_has_no_plan() {
        // 4 · 2048² numbers are 64 MiB, and the card has 29 MiB of shared memory.
        let (steps, nothing) = (Steps::uniform(3, 16), Steps::from_lengths(&[]));
        assert_eq!(Plan::new(H100, Direction::Forward, &steps, 2048), None);
        let alone = Limits { cooperative: false, ..H100 };
        assert_eq!(Plan::new(alone, Direction::Forward, &steps, 64), None);
        assert_eq!(Plan::new(H100, Direction::Backward, &nothing, 64), None);
    }

    #[test]
    fn many_rows_are_shared_out_among_groups() {
        let plan_of = |steps, hidden| Plan::new(H100, Direction::Forward, &steps, hidden).unwrap();
        let plan = plan_of(Steps::uniform(3, 64), 512);
        assert!(plan.groups >= 2 && plan.rows <= 32, "{plan:?}");
        let plan = plan_of(Steps::uniform(3, 32), 256);
        assert!(plan.blocks * plan.groups >= 64, "{plan:?}");
        // A few long rows among many short ones: the groups are for the steps that most of them miss.
        let mut lengths = vec![2; 512];
        lengths[..8].fill(200);
        let steps = Steps::from_lengths(&lengths);
        let plan = plan_of(steps.clone(), 128);
        assert!(plan.groups <= 16 && plan.pays(Direction::Forward, &steps), "{plan:?}");
        let many = Steps::uniform(3, 500);
        assert!(!plan_of(many.clone(), 500).pays(Direction::Forward, &many));
    }
}
