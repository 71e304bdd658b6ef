//! Every kernel against the reference, at odd sizes.

use cuda::{Direction, Error, Limits, Plan, Rung};
use layout::Steps;
use testkit::tolerance::RECURRENT_ULPS;
use testkit::{assert_parity, falling_lengths};

use crate::layer::{Case, Results};
use crate::shim::Shim;

/// A card on which even small layers take several blocks, groups and chunks of rows.
pub(crate) const SMALL: Limits =
    Limits { multiprocessors: 6, shared_bytes: 8 << 10, threads: 32, cooperative: true };
/// A card with room for larger ones.
const LARGER: Limits = Limits { shared_bytes: 100 << 10, threads: 128, ..SMALL };
/// Orders in which threads take their turns.
const SCHEDULES: [u64; 3] = [0, 1, 20];

fn case(batch: usize, longest: usize, input: usize, hidden: usize, dense: bool) -> Case {
    Case { steps: falling_lengths(batch, longest), input, hidden, dense }
}

pub(crate) fn assert_same(name: &str, found: &Results<f32>, expected: &Results<f32>) {
    for ((tensor, found), (_, expected)) in found.iter().zip(expected) {
        let bits = |matrix: &layout::Matrix<f32>| -> Vec<u32> {
            matrix.as_slice().iter().map(|value| value.to_bits()).collect()
        };
        assert!(bits(found) == bits(expected), "{name}: {tensor} depends on the order of threads");
    }
}

fn check(shim: &Shim, case: &Case, rung: Rung, limits: Limits) {
    let (plain, truth) = (case.in_reference::<f32>(), case.in_reference::<f64>());
    let mut first: Option<Results<f32>> = None;
    for schedule in SCHEDULES {
        let name = format!("{rung:?} {case:?}, schedule {schedule}");
        let found = case.on_card(&shim.card(limits, schedule), rung);
        let found = found.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(found.len(), truth.len());
        for ((tensor, found), ((_, plain), (_, truth))) in
            found.iter().zip(plain.iter().zip(&truth))
        {
            let name = format!("{name}: {tensor}");
            assert_parity(&name, found.view(), plain.view(), truth.view(), RECURRENT_ULPS);
        }
        assert_same(&name, &found, first.get_or_insert_with(|| found.clone()));
    }
}

const SHAPES: [(usize, usize, usize, usize); 7] = [
    (1, 1, 1, 1),
    (2, 3, 31, 2),
    (3, 5, 2, 33),
    (31, 7, 33, 31),
    (65, 4, 3, 16),
    (7, 9, 129, 8),
    (13, 2, 16, 129),
];

#[test]
fn one_kernel_an_equation() {
    let Some(shim) = Shim::shipped() else { return };
    for (batch, longest, input, hidden) in SHAPES {
        for dense in [true, false] {
            check(&shim, &case(batch, longest, input, hidden, dense), Rung::V1, SMALL);
        }
    }
}

#[test]
fn fused_kernels_a_step() {
    let Some(shim) = Shim::shipped() else { return };
    for (batch, longest, input, hidden) in SHAPES {
        for dense in [true, false] {
            check(&shim, &case(batch, longest, input, hidden, dense), Rung::V2, SMALL);
        }
    }
    let equal = Case { steps: Steps::uniform(5, 6), input: 7, hidden: 12, dense: true };
    check(&shim, &equal, Rung::V2, SMALL);
}

#[test]
fn all_steps_in_one_launch() {
    let Some(shim) = Shim::shipped() else { return };
    for (batch, longest, input, hidden) in SHAPES {
        let limits = if hidden > 40 { LARGER } else { SMALL };
        check(&shim, &case(batch, longest, input, hidden, true), Rung::V3, limits);
    }
    for (steps, hidden) in [(Steps::uniform(5, 6), 12), (Steps::from_lengths(&[9, 1, 1]), 7)] {
        check(&shim, &Case { steps, input: 3, hidden, dense: false }, Rung::V3, SMALL);
    }
}

/// The cases above take several of everything that a plan has: or they would test less than they seem to.
#[test]
fn persistent_kernels_are_tested_with_several_blocks_groups_and_chunks() {
    for direction in [Direction::Forward, Direction::Backward] {
        let plan = |limits, steps, hidden| Plan::new(limits, direction, &steps, hidden).unwrap();
        let several_blocks = plan(SMALL, falling_lengths(31, 7), 31);
        assert!(several_blocks.blocks > 1, "{several_blocks:?}");
        let several_groups = plan(SMALL, falling_lengths(65, 4), 16);
        assert!(several_groups.groups > 1, "{several_groups:?}");
        assert!(several_groups.rows > several_groups.chunk, "{several_groups:?}");
    }
}

#[test]
fn what_is_too_large_for_a_card_is_said() {
    let Some(shim) = Shim::shipped() else { return };
    let card = shim.card(SMALL, 0);
    let large = case(2, 2, 2, 129, true);
    assert_eq!(large.on_card(&card, Rung::V3).unwrap_err(), Error::DoesNotFit { hidden: 129 });
    assert!(large.on_card(&card, Rung::Auto).is_ok());
}
