//! A layer's bits: the same whatever is kept, whatever the threads, and never denormal.

use super::*;
use testkit::wave_matrix as wave;

/// Every cell, and one with a projection, and one that is normalised besides.
pub(super) const KINDS: [(Cell, Option<usize>); 8] = [
    (Cell::Lstm, None),
    (Cell::Peephole, None),
    (Cell::LayerNorm, None),
    (Cell::Coupled, None),
    (Cell::Gru, None),
    (Cell::Rnn, None),
    (Cell::Peephole, Some(7)),
    (Cell::LayerNorm, Some(19)),
];

/// Waves of a phase each.
pub(super) fn params(dims: RecurrentDims) -> RecurrentParams<Matrix<f32>> {
    let mut phase = 0.0;
    dims.shapes().map(|[rows, columns]| {
        phase += 0.1;
        wave(rows, columns, phase)
    })
}

/// Everything that a layer leaves behind.
fn run(
    cpu: &Cpu,
    steps: &Steps,
    dims: RecurrentDims,
    keep: Keep,
    (masked, zoned): (bool, bool),
) -> Vec<Matrix<f32>> {
    let params = params(dims);
    let x = wave(steps.positions(), dims.input, 1.4);
    let dh = wave(steps.positions(), dims.width(), 1.5);
    let mut tape = RecurrentTape::default();
    tape.start_keeping(steps, dims, keep);
    if masked {
        tape.set_mask(steps, wave(steps.batch(), dims.width(), 1.6));
    }
    if zoned {
        let shares = [(dims.cell_width(), 1.7), (dims.width(), 1.8)]
            .map(|(columns, phase)| wave(steps.positions(), columns, phase));
        let [u_c, u_h] = shares;
        tape.set_shares(steps, u_c, u_h);
    }
    let mut grads = RecurrentParams::zeros(dims);
    let (mut dz, mut dx, mut start) = Default::default();
    cpu.run(|| {
        cpu.recurrent_forward(&params, Some(&x), steps, &mut tape);
        let (x, dx, start) = (Some(&x), Some(&mut dx), Some(&mut start));
        cpu.recurrent_backward(&params, x, steps, &tape, &dh, &mut grads, &mut dz, dx, start);
    });
    let RecurrentStart { dh_0, dc_0 } = start;
    [tape.h, tape.c, dz, dx, dh_0, dc_0].into_iter().chain(grads.into_vec()).collect()
}

/// The gates made again are those that were kept; and large weights, which a team shares unit by
/// unit, give what they give to a single thread.
#[test]
fn neither_what_is_kept_nor_how_work_is_cut_changes_a_bit() {
    for path in Path::available() {
        let machines = [1, 2, 3].map(|threads| Cpu::with_path(threads, path).unwrap());
        for (steps, input, hidden) in [
            (Steps::uniform(5, 3), 3, 5),
            (Steps::from_lengths(&[9, 7, 7, 2, 1]), 9, 33),
            (Steps::uniform(60, 40), 6, 161),
            (Steps::from_lengths(&[4, 4, 2]), 6, 161),
        ] {
            let kinds = KINDS.into_iter().flat_map(|kind| {
                [(false, false), (true, false), (true, true)].map(|dropped| (kind, dropped))
            });
            for ((cell, projection), dropped) in kinds {
                let dims = RecurrentDims { cell, input, hidden, projection };
                let expected = run(&machines[0], &steps, dims, Keep::Gates, dropped);
                for cpu in &machines {
                    for keep in [Keep::Gates, Keep::States] {
                        let same = run(cpu, &steps, dims, keep, dropped) == expected;
                        let case = format!("{path:?} {dims:?} {keep:?} {dropped:?}");
                        assert!(same, "{case} {}", cpu.threads());
                    }
                }
            }
        }
    }
}

/// Where only the first step has an input and only the last a gradient, both far too small. A
/// normalised layer knows no small numbers.
#[test]
fn what_fades_away_becomes_zero_and_never_denormal() {
    let (steps, input, hidden) = (Steps::uniform(40, 3), 4, 9);
    for cell in Cell::ALL.into_iter().filter(|&cell| cell != Cell::LayerNorm) {
        let dims = RecurrentDims { cell, input, hidden, projection: None };
        let mut params = params(dims);
        params.b.fill(0.0);
        params.w_h.as_mut_slice().iter_mut().for_each(|w| *w *= 0.1);
        let mut x = wave(steps.positions(), input, 0.4);
        x.as_mut_slice()[3 * input..].fill(0.0);
        let mut dh = wave(steps.positions(), hidden, 0.5);
        dh.as_mut_slice()[..39 * 3 * hidden].fill(0.0);
        for values in [x.as_mut_slice(), dh.as_mut_slice()] {
            values.iter_mut().for_each(|value| *value *= 1e-22);
        }
        for path in Path::available() {
            let cpu = Cpu::with_path(1, path).unwrap();
            let (mut tape, mut grads) = (RecurrentTape::default(), RecurrentParams::zeros(dims));
            tape.start(&steps, dims);
            let (mut dz, x) = (Matrix::default(), Some(&x));
            cpu.recurrent_forward(&params, x, &steps, &mut tape);
            cpu.recurrent_backward(&params, x, &steps, &tape, &dh, &mut grads, &mut dz, None, None);
            for (name, values) in [("c", &tape.c), ("h", &tape.h), ("dz", &dz)] {
                let values = values.as_slice();
                let case = format!("{cell:?} {path:?} {name}");
                let some = values.is_empty() || values.iter().any(|&value| value != 0.0);
                assert!(some, "{case} is not all zero");
                assert!(values.iter().all(|value| !value.is_subnormal()), "{case}");
            }
            assert_eq!(tape.h.row(tape.h.rows() - 1), [0.0; 9], "{cell:?} {path:?}");
            assert!(dz.row(0).iter().all(|&dz| dz == 0.0), "{cell:?} {path:?}");
        }
    }
}

#[test]
fn a_team_is_for_few_rows_and_large_weights() {
    for path in Path::available() {
        let cpu = Cpu::with_path(2, path).unwrap();
        let shared_out = |steps: Steps, hidden| {
            let dims = RecurrentDims::lstm(1, hidden);
            matches!(cpu.run(|| split(path, &steps, dims, false)), Split::Units(_))
        };
        assert!(shared_out(Steps::from_lengths(&[4, 4, 2]), 161));
        assert!(!shared_out(Steps::uniform(4, 64), 161));
        assert!(!shared_out(Steps::uniform(4, 3), 33));
        // From afar, a core with wide registers cannot have its own copy of them in time.
        assert_eq!(shared_out(Steps::uniform(4, 64), 640), path.width() > 8, "{path:?}");
        assert!(!shared_out(Steps::uniform(4, 400), 640));
    }
}
