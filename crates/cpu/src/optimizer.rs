//! The update of the parameters. Equations: `layout::OptimizerStep` and
//! `reference::optimizer_step`.

use crate::Cpu;
use crate::simd::{Kernel, Lanes, ROWS_AHEAD, prefetch};
use layout::{Adagrad, Adam, Matrix, OptimizerState, OptimizerStep, RmsProp, Sgd, UpdateRule};
use rayon::prelude::*;

/// Rows of a table in one task, where some of them move.
const ROWS_PER_TASK: usize = 256;
/// Entries in one task, and in one partial sum of squares.
const ENTRIES: usize = 1 << 14;

impl Cpu {
    /// One step of an optimiser for every entry of a parameter, or for some rows only, named in
    /// rising order; the other rows and what is remembered of them stay as they are. What the rule
    /// does not keep of the state is neither read nor written.
    ///
    /// # Panics
    ///
    /// Where shapes differ, rows do not rise or lie outside.
    pub fn optimizer_step(
        &self,
        step: &OptimizerStep,
        rows: Option<&[u32]>,
        gradient: &Matrix<f32>,
        parameter: &mut Matrix<f32>,
        state: &mut OptimizerState<Matrix<f32>>,
    ) {
        let width = gradient.columns();
        assert_eq!(parameter.shape(), gradient.shape(), "parameter and gradient have one shape");
        let state = state.as_mut().zip(step.rule.keeps()).map(|(part, kept)| {
            if !kept {
                return &mut [][..];
            }
            assert_eq!(
                part.shape(),
                gradient.shape(),
                "what is kept has the shape of the gradient"
            );
            part.as_mut_slice()
        });
        let whole = Part { first: 0, g: gradient.as_slice(), w: parameter.as_mut_slice(), state };
        let Some(rows) = rows else {
            let height = (ENTRIES / width.max(1)).max(1);
            return whole.share_out(height, width, &|part| part.make_step(self, step));
        };
        assert!(rows.is_sorted(), "rows in rising order");
        // A row that no task owns would be passed over in silence.
        assert!(rows.last().is_none_or(|&row| (row as usize) < gradient.rows()), "rows exist");
        // Each task owns some rows, and finds the wanted ones among them.
        whole.share_out(ROWS_PER_TASK, width, &|mut part| {
            let end = part.first + part.w.len() / width.max(1);
            let from = rows.partition_point(|&row| (row as usize) < part.first);
            let wanted = rows[from..].iter().map(|&row| row as usize);
            for row in wanted.take_while(|&row| row < end) {
                part.row(row, width).make_step(self, step);
            }
        });
    }

    /// Sum of the squares of all entries, or of those in `rows`: in f32 within 16,384 entries or a
    /// row, in f64 over them, 256 rows at a time.
    pub fn sum_of_squares(&self, x: &Matrix<f32>, rows: Option<&[u32]>) -> f64 {
        let square = |x: &[f32]| f64::from(self.path.run(Square { x }));
        // Partial sums of a fixed length, added in their order.
        match rows {
            Some(rows) => {
                let mut partial = self.scratch.sums(rows.len().div_ceil(ROWS_PER_TASK));
                partial.par_iter_mut().zip(rows.par_chunks(ROWS_PER_TASK)).for_each(
                    |(sum, rows)| {
                        let squares = rows.iter().enumerate().map(|(k, &row)| {
                            if let Some(&next) = rows.get(k + ROWS_AHEAD) {
                                prefetch(x.row(next as usize));
                            }
                            square(x.row(row as usize))
                        });
                        *sum = squares.sum();
                    },
                );
                partial.iter().sum()
            }
            None => {
                let x = x.as_slice();
                let mut partial = self.scratch.sums(x.len().div_ceil(ENTRIES));
                let pairs = partial.par_iter_mut().zip(x.par_chunks(ENTRIES));
                pairs.for_each(|(sum, x)| *sum = square(x));
                partial.iter().sum()
            }
        }
    }

    /// Sets some rows to zero.
    pub fn clear_rows(&self, rows: &[u32], x: &mut Matrix<f32>) {
        for &row in rows {
            x.row_mut(row as usize).fill(0.0);
        }
    }

    /// `mean += share · (x − mean)`.
    pub fn average(&self, share: f32, x: &Matrix<f32>, mean: &mut Matrix<f32>) {
        assert_eq!(x.shape(), mean.shape(), "x and its mean have one shape");
        let pairs =
            mean.as_mut_slice().par_chunks_mut(ENTRIES).zip(x.as_slice().par_chunks(ENTRIES));
        pairs.for_each(|(mean, x)| {
            mean.iter_mut().zip(x).for_each(|(mean, x)| *mean += share * (x - *mean));
        });
    }
}

/// Some rows of a parameter, with their gradient and what is remembered of them; parts of the state
/// that nobody keeps are empty.
struct Part<'a> {
    /// Number of the first row.
    first: usize,
    g: &'a [f32],
    w: &'a mut [f32],
    state: OptimizerState<&'a mut [f32]>,
}

impl<'a> Part<'a> {
    /// Halves the part until no piece has more than `height` rows, all pieces but the last a
    /// multiple of it, and works on them side by side.
    fn share_out(self, height: usize, width: usize, work: &(impl Fn(Part<'_>) + Sync)) {
        let rows = self.w.len() / width.max(1);
        if rows <= height {
            return work(self);
        }
        let half = (rows / 2).next_multiple_of(height);
        let (upper, lower) = self.split(half, width);
        rayon::join(
            || upper.share_out(height, width, work),
            || lower.share_out(height, width, work),
        );
    }

    /// The first rows and the others.
    fn split(self, rows: usize, width: usize) -> (Self, Self) {
        let Self { first, g, w, state } = self;
        let at = rows * width;
        let (g, g_below) = g.split_at(at);
        let (w, w_below) = w.split_at_mut(at);
        let halves = state.map(|part| part.split_at_mut(at.min(part.len())));
        let OptimizerState { m: (m, m_below), v: (v, v_below), b: (b, b_below) } = halves;
        let below = OptimizerState { m: m_below, v: v_below, b: b_below };
        (
            Self { first, g, w, state: OptimizerState { m, v, b } },
            Self { first: first + rows, g: g_below, w: w_below, state: below },
        )
    }

    /// One row of it.
    fn row(&mut self, row: usize, width: usize) -> Part<'_> {
        let at = (row - self.first) * width..(row - self.first + 1) * width;
        let state = self.state.as_mut().map(|part| part.get_mut(at.clone()).unwrap_or_default());
        Part { first: row, g: &self.g[at.clone()], w: &mut self.w[at], state }
    }

    fn make_step(self, cpu: &Cpu, step: &OptimizerStep) {
        let Self { g, w, state, .. } = self;
        cpu.path.run(Walk { step, g, w, state });
    }
}

/// A step over some entries, a register of them at a time.
struct Walk<'a> {
    step: &'a OptimizerStep,
    g: &'a [f32],
    w: &'a mut [f32],
    state: OptimizerState<&'a mut [f32]>,
}

/// A rule with its constants in registers.
trait Pace<L: Lanes> {
    /// The pace for a clipped gradient; `state` is what was remembered and becomes what is to be.
    fn pace(&self, lanes: L, g: L::V, state: &mut OptimizerState<L::V>) -> L::V;
}

impl Kernel for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let rate = self.step.learning_rate;
        match self.step.rule {
            // The correction of the mean is the same for all entries: the rate takes it.
            UpdateRule::Adam(rule) => {
                self.walk(lanes, rate / rule.correction_1, AdamPace::new(lanes, rule));
            }
            UpdateRule::Sgd(rule) => self.walk(lanes, rate, SgdPace::new(lanes, rule)),
            UpdateRule::Adagrad(rule) => self.walk(lanes, rate, AdagradPace::new(lanes, rule)),
            UpdateRule::RmsProp(rule) => self.walk(lanes, rate, RmsPropPace::new(lanes, rule)),
        }
    }
}

impl Walk<'_> {
    /// ```text
    ///     ĝ = scale · g + l2 · w
    ///     w = (w − η · weight_decay · w) − rate · pace
    /// ```
    #[inline(always)]
    fn walk<L: Lanes>(self, lanes: L, rate: f32, rule: impl Pace<L>) {
        let Self { step, g, w, state: OptimizerState { m, v, b } } = self;
        let keeps = step.rule.keeps();
        let (scale, l2, rate) = (lanes.splat(step.scale), lanes.splat(step.l2), lanes.splat(-rate));
        let decay = lanes.splat(-step.learning_rate * step.weight_decay);
        let zero = lanes.splat(0.0);
        for (k, (w, g)) in w.chunks_mut(L::WIDTH).zip(g.chunks(L::WIDTH)).enumerate() {
            let at = k * L::WIDTH;
            let mut state = OptimizerState {
                m: if keeps.m { lanes.load_partial(&m[at..]) } else { zero },
                v: if keeps.v { lanes.load_partial(&v[at..]) } else { zero },
                b: if keeps.b { lanes.load_partial(&b[at..]) } else { zero },
            };
            let old = lanes.load_partial(w);
            let g = lanes.mul_add(l2, old, lanes.mul(scale, lanes.load_partial(g)));
            let pace = rule.pace(lanes, g, &mut state);
            lanes.store_partial(lanes.mul_add(rate, pace, lanes.mul_add(decay, old, old)), w);
            if keeps.m {
                lanes.store_partial(state.m, &mut m[at..]);
            }
            if keeps.v {
                lanes.store_partial(state.v, &mut v[at..]);
            }
            if keeps.b {
                lanes.store_partial(state.b, &mut b[at..]);
            }
        }
    }
}

struct AdamPace<V> {
    beta_1: V,
    rest_1: V,
    beta_2: V,
    rest_2: V,
    correction_2: V,
    epsilon: V,
}

impl<V> AdamPace<V> {
    #[inline(always)]
    fn new<L: Lanes<V = V>>(lanes: L, rule: Adam) -> Self {
        Self {
            beta_1: lanes.splat(rule.beta_1),
            rest_1: lanes.splat(1.0 - rule.beta_1),
            beta_2: lanes.splat(rule.beta_2),
            rest_2: lanes.splat(1.0 - rule.beta_2),
            correction_2: lanes.splat(1.0 / rule.correction_2),
            epsilon: lanes.splat(rule.epsilon),
        }
    }
}

impl<L: Lanes> Pace<L> for AdamPace<L::V> {
    /// Without the correction of the mean.
    #[inline(always)]
    fn pace(&self, lanes: L, g: L::V, state: &mut OptimizerState<L::V>) -> L::V {
        state.m = lanes.mul_add(self.beta_1, state.m, lanes.mul(self.rest_1, g));
        let square = lanes.mul(self.rest_2, lanes.mul(g, g));
        state.v = lanes.mul_add(self.beta_2, state.v, square);
        let root = lanes.sqrt(lanes.mul(state.v, self.correction_2));
        lanes.div(state.m, lanes.add(root, self.epsilon))
    }
}

struct SgdPace<V> {
    momentum: V,
    rule: Sgd,
}

impl<V> SgdPace<V> {
    #[inline(always)]
    fn new<L: Lanes<V = V>>(lanes: L, rule: Sgd) -> Self {
        Self { momentum: lanes.splat(rule.momentum), rule }
    }
}

impl<L: Lanes> Pace<L> for SgdPace<L::V> {
    /// A velocity that is not kept starts as zero each time, and so is the gradient.
    #[inline(always)]
    fn pace(&self, lanes: L, g: L::V, state: &mut OptimizerState<L::V>) -> L::V {
        state.b = lanes.mul_add(self.momentum, state.b, g);
        if self.rule.nesterov { lanes.mul_add(self.momentum, state.b, g) } else { state.b }
    }
}

struct AdagradPace<V> {
    epsilon: V,
}

impl<V> AdagradPace<V> {
    #[inline(always)]
    fn new<L: Lanes<V = V>>(lanes: L, rule: Adagrad) -> Self {
        Self { epsilon: lanes.splat(rule.epsilon) }
    }
}

impl<L: Lanes> Pace<L> for AdagradPace<L::V> {
    #[inline(always)]
    fn pace(&self, lanes: L, g: L::V, state: &mut OptimizerState<L::V>) -> L::V {
        state.v = lanes.mul_add(g, g, state.v);
        lanes.div(g, lanes.add(lanes.sqrt(state.v), self.epsilon))
    }
}

struct RmsPropPace<V> {
    alpha: V,
    rest: V,
    epsilon: V,
    momentum: V,
    rule: RmsProp,
}

impl<V> RmsPropPace<V> {
    #[inline(always)]
    fn new<L: Lanes<V = V>>(lanes: L, rule: RmsProp) -> Self {
        Self {
            alpha: lanes.splat(rule.alpha),
            rest: lanes.splat(1.0 - rule.alpha),
            epsilon: lanes.splat(rule.epsilon),
            momentum: lanes.splat(rule.momentum),
            rule,
        }
    }
}

impl<L: Lanes> Pace<L> for RmsPropPace<L::V> {
    #[inline(always)]
    fn pace(&self, lanes: L, g: L::V, state: &mut OptimizerState<L::V>) -> L::V {
        let square = lanes.mul(self.rest, lanes.mul(g, g));
        state.v = lanes.mul_add(self.alpha, state.v, square);
        let mut spread = state.v;
        if self.rule.centered {
            state.m = lanes.mul_add(self.rest, lanes.sub(g, state.m), state.m);
            spread = lanes.sub(spread, lanes.mul(state.m, state.m));
            // Zero stands first: what is not a number gets through.
            spread = lanes.max(lanes.splat(0.0), spread);
        }
        let pace = lanes.div(g, lanes.add(lanes.sqrt(spread), self.epsilon));
        state.b = lanes.mul_add(self.momentum, state.b, pace);
        state.b
    }
}

struct Square<'a> {
    x: &'a [f32],
}

impl Kernel for Square<'_> {
    type Output = f32;
    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> f32 {
        crate::math::dot(lanes, self.x, self.x)
    }
}
