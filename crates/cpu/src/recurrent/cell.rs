//! The gate equations in registers: of each cell forward, and under it backward.
//!
//! They stand here once, for batches ([`super::forward`], [`super::backward`]), for single users
//! (`stream`) and for gates that are made again ([`super::again`]). With derivation and shapes they
//! stand in `reference`, a file a cell, under the same letters.

use crate::math::{sigmoid, tanh};
use crate::simd::Lanes;
use layout::{Cell, GATES};

/// What a cell reads beside its pre-activations, for N registers of units.
pub(crate) struct Around<V, const N: usize> {
    /// The state that the cell hands on: c before the step, or h where there is no c.
    pub(crate) before: [V; N],
    /// GRU: what the candidate hears of the past.
    pub(crate) q: [V; N],
    /// Peepholes to i, f and o.
    pub(crate) p: [[V; N]; 3],
}

/// What a step has kept of one register of units.
pub(crate) struct Saved<V, const G: usize> {
    /// Activated gates.
    pub(crate) a: [V; G],
    /// As [`Around`] had them.
    pub(crate) before: V,
    pub(crate) q: V,
    pub(crate) p: [V; 3],
    /// tanh c, of the state after the step.
    pub(crate) u: V,
}

/// What the cell sends back of one register of units.
pub(crate) struct Slopes<V, const G: usize> {
    /// ∂L/∂z.
    pub(crate) dz: [V; G],
    /// GRU: ∂L/∂q.
    pub(crate) dq: V,
    /// What reaches the state before, other than by the products.
    pub(crate) carry: V,
}

/// The equations of a cell with G gates.
pub(crate) trait Equations<const G: usize>: Copy + Send + Sync + 'static {
    /// Which cell.
    const CELL: Cell;

    /// Pre-activations become gates, in place; returns c (where there is one) and h.
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; G],
        around: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]);

    /// Undoes it: `dh` is ∂L/∂h from above and from the products of the next step, `carry` what the
    /// next step has sent back otherwise.
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, G>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, G>;
}

/// Does the same with the equations of whatever cell it is, known when the program runs.
macro_rules! with_equations {
    ($cell:expr, |$E:ident, $G:ident| $body:expr) => {{
        use $crate::recurrent::cell::{Coupled, Gru, Lstm, Peephole, Rnn};
        macro_rules! with {
            ($equations:ty, $gates:literal) => {{
                type $E = $equations;
                const $G: usize = $gates;
                $body
            }};
        }
        match $cell {
            layout::Cell::Lstm => with!(Lstm, 4),
            layout::Cell::Peephole => with!(Peephole, 4),
            layout::Cell::Coupled => with!(Coupled, 3),
            layout::Cell::Gru => with!(Gru, 3),
            layout::Cell::Rnn => with!(Rnn, 1),
            layout::Cell::LayerNorm => unreachable!("its rows are normalised in `layer_norm`"),
        }
    }};
}
pub(crate) use with_equations;

/// `h = o ⊙ tanh c`
#[inline(always)]
fn shown<L: Lanes, const N: usize>(lanes: L, o: &[L::V; N], c: [L::V; N]) -> [L::V; N] {
    let mut h = tanh(lanes, c);
    for (h, &o) in h.iter_mut().zip(o) {
        *h = lanes.mul(o, *h);
    }
    h
}

/// `s ⊙ (1 − s)`: the slope of the sigmoid whose value is s.
#[inline(always)]
pub(crate) fn bell<L: Lanes>(lanes: L, s: L::V) -> L::V {
    lanes.mul(s, lanes.sub(lanes.splat(1.0), s))
}

/// `1 − t²`: the slope of the tanh whose value is t.
#[inline(always)]
pub(crate) fn flat<L: Lanes>(lanes: L, t: L::V) -> L::V {
    lanes.sub(lanes.splat(1.0), lanes.mul(t, t))
}

/// `reference::lstm`.
#[derive(Clone, Copy)]
pub(crate) struct Lstm;

impl Equations<GATES> for Lstm {
    const CELL: Cell = Cell::Lstm;

    /// ```text
    ///     i, f, o = σ(z_i, z_f, z_o)    g = tanh(z_g)
    ///     c = f ⊙ c_prev + i ⊙ g        h = o ⊙ tanh(c)
    /// ```
    #[inline(always)]
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; GATES],
        around: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]) {
        let [i, f, g, o] = *a;
        let (i, f, g, o) =
            (sigmoid(lanes, i), sigmoid(lanes, f), tanh(lanes, g), sigmoid(lanes, o));
        let mut c = around.before;
        for r in 0..N {
            c[r] = lanes.without_dust(lanes.mul_add(f[r], c[r], lanes.mul(i[r], g[r])));
        }
        *a = [i, f, g, o];
        (c, shown(lanes, &o, c))
    }

    /// ```text
    ///     dc      = carry + dh ⊙ o ⊙ (1 − u²)
    ///     dz_i    = dc ⊙ g      ⊙ i ⊙ (1 − i)      dz_f = dc ⊙ c_prev ⊙ f ⊙ (1 − f)
    ///     dz_g    = dc ⊙ i      ⊙ (1 − g²)         dz_o = dh ⊙ u      ⊙ o ⊙ (1 − o)
    ///     dc_prev = dc ⊙ f
    /// ```
    #[inline(always)]
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, GATES>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, GATES> {
        let Saved { a: [i, f, g, o], before: c_prev, u, q, .. } = *step;
        let dc = lanes.mul_add(dh, lanes.mul(o, flat(lanes, u)), carry);
        let dc = lanes.without_dust(dc);
        let dz = [
            lanes.mul(lanes.mul(dc, g), bell(lanes, i)),
            lanes.mul(lanes.mul(dc, c_prev), bell(lanes, f)),
            lanes.mul(lanes.mul(dc, i), flat(lanes, g)),
            lanes.mul(lanes.mul(dh, u), bell(lanes, o)),
        ];
        Slopes { dz, dq: q, carry: lanes.mul(dc, f) }
    }
}

/// `reference::peephole`.
#[derive(Clone, Copy)]
pub(crate) struct Peephole;

impl Equations<GATES> for Peephole {
    const CELL: Cell = Cell::Peephole;

    /// ```text
    ///     i, f = σ(z_i + p_i ⊙ c_prev, z_f + p_f ⊙ c_prev)    g = tanh(z_g)
    ///     c = f ⊙ c_prev + i ⊙ g
    ///     o = σ(z_o + p_o ⊙ c)        h = o ⊙ tanh(c)
    /// ```
    #[inline(always)]
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; GATES],
        around: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]) {
        let [mut i, mut f, g, mut o] = *a;
        let [p_i, p_f, p_o] = &around.p;
        let mut c = around.before;
        for r in 0..N {
            i[r] = lanes.mul_add(p_i[r], c[r], i[r]);
            f[r] = lanes.mul_add(p_f[r], c[r], f[r]);
        }
        let (i, f, g) = (sigmoid(lanes, i), sigmoid(lanes, f), tanh(lanes, g));
        for r in 0..N {
            c[r] = lanes.without_dust(lanes.mul_add(f[r], c[r], lanes.mul(i[r], g[r])));
            o[r] = lanes.mul_add(p_o[r], c[r], o[r]);
        }
        let o = sigmoid(lanes, o);
        *a = [i, f, g, o];
        (c, shown(lanes, &o, c))
    }

    /// ```text
    ///     dz_o    = dh ⊙ u ⊙ o ⊙ (1 − o)
    ///     dc      = carry + dh ⊙ o ⊙ (1 − u²) + dz_o ⊙ p_o
    ///     dz_i, dz_f, dz_g as without peepholes
    ///     dc_prev = dc ⊙ f + dz_i ⊙ p_i + dz_f ⊙ p_f
    /// ```
    #[inline(always)]
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, GATES>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, GATES> {
        let Saved { a: [i, f, g, o], before: c_prev, u, q, p: [p_i, p_f, p_o] } = *step;
        let dz_o = lanes.mul(lanes.mul(dh, u), bell(lanes, o));
        let dc = lanes.mul_add(dh, lanes.mul(o, flat(lanes, u)), carry);
        let dc = lanes.without_dust(lanes.mul_add(dz_o, p_o, dc));
        let dz_i = lanes.mul(lanes.mul(dc, g), bell(lanes, i));
        let dz_f = lanes.mul(lanes.mul(dc, c_prev), bell(lanes, f));
        let dz_g = lanes.mul(lanes.mul(dc, i), flat(lanes, g));
        let peeped = lanes.mul_add(dz_i, p_i, lanes.mul(dz_f, p_f));
        Slopes { dz: [dz_i, dz_f, dz_g, dz_o], dq: q, carry: lanes.mul_add(dc, f, peeped) }
    }
}

/// `reference::coupled`.
#[derive(Clone, Copy)]
pub(crate) struct Coupled;

impl Equations<3> for Coupled {
    const CELL: Cell = Cell::Coupled;

    /// ```text
    ///     f, o = σ(z_f, z_o)    g = tanh(z_g)
    ///     c = f ⊙ c_prev + (1 − f) ⊙ g        h = o ⊙ tanh(c)
    /// ```
    #[inline(always)]
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; 3],
        around: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]) {
        let [f, g, o] = *a;
        let (f, g, o) = (sigmoid(lanes, f), tanh(lanes, g), sigmoid(lanes, o));
        let mut c = around.before;
        for r in 0..N {
            let entering = lanes.mul(lanes.sub(lanes.splat(1.0), f[r]), g[r]);
            c[r] = lanes.without_dust(lanes.mul_add(f[r], c[r], entering));
        }
        *a = [f, g, o];
        (c, shown(lanes, &o, c))
    }

    /// ```text
    ///     dc      = carry + dh ⊙ o ⊙ (1 − u²)
    ///     dz_f    = dc ⊙ (c_prev − g) ⊙ f ⊙ (1 − f)
    ///     dz_g    = dc ⊙ (1 − f) ⊙ (1 − g²)        dz_o = dh ⊙ u ⊙ o ⊙ (1 − o)
    ///     dc_prev = dc ⊙ f
    /// ```
    #[inline(always)]
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, 3>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, 3> {
        let Saved { a: [f, g, o], before: c_prev, u, q, .. } = *step;
        let dc = lanes.mul_add(dh, lanes.mul(o, flat(lanes, u)), carry);
        let dc = lanes.without_dust(dc);
        let i = lanes.sub(lanes.splat(1.0), f);
        let dz = [
            lanes.mul(lanes.mul(dc, lanes.sub(c_prev, g)), lanes.mul(f, i)),
            lanes.mul(lanes.mul(dc, i), flat(lanes, g)),
            lanes.mul(lanes.mul(dh, u), bell(lanes, o)),
        ];
        Slopes { dz, dq: q, carry: lanes.mul(dc, f) }
    }
}

/// `reference::gru`.
#[derive(Clone, Copy)]
pub(crate) struct Gru;

impl Equations<3> for Gru {
    const CELL: Cell = Cell::Gru;

    /// ```text
    ///     r, z = σ(z_r, z_z)    n = tanh(z_n + r ⊙ q)
    ///     h = (1 − z) ⊙ n + z ⊙ h_prev = n + z ⊙ (h_prev − n)
    /// ```
    #[inline(always)]
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; 3],
        around: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]) {
        let [r, z, mut n] = *a;
        let (r, z) = (sigmoid(lanes, r), sigmoid(lanes, z));
        for k in 0..N {
            n[k] = lanes.mul_add(r[k], around.q[k], n[k]);
        }
        let n = tanh(lanes, n);
        let mut h = around.before;
        for k in 0..N {
            let mix = lanes.mul_add(z[k], lanes.sub(h[k], n[k]), n[k]);
            h[k] = lanes.without_dust(mix);
        }
        *a = [r, z, n];
        (h, h)
    }

    /// ```text
    ///     dh     += carry
    ///     dz_z    = dh ⊙ (h_prev − n) ⊙ z ⊙ (1 − z)
    ///     dz_n    = dh ⊙ (1 − z) ⊙ (1 − n²)
    ///     dz_r    = dz_n ⊙ q ⊙ r ⊙ (1 − r)        dq = dz_n ⊙ r
    ///     dh_prev = dh ⊙ z, and what the products send back
    /// ```
    #[inline(always)]
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, 3>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, 3> {
        let Saved { a: [r, z, n], before: h_prev, q, .. } = *step;
        let dh = lanes.without_dust(lanes.add(dh, carry));
        let rest = lanes.sub(lanes.splat(1.0), z);
        let dz_n = lanes.mul(lanes.mul(dh, rest), flat(lanes, n));
        let dz_z = lanes.mul(lanes.mul(dh, lanes.sub(h_prev, n)), lanes.mul(z, rest));
        let dz_r = lanes.mul(lanes.mul(dz_n, q), bell(lanes, r));
        Slopes { dz: [dz_r, dz_z, dz_n], dq: lanes.mul(dz_n, r), carry: lanes.mul(dh, z) }
    }
}

/// `reference::rnn`.
#[derive(Clone, Copy)]
pub(crate) struct Rnn;

impl Equations<1> for Rnn {
    const CELL: Cell = Cell::Rnn;

    /// `h = tanh z`
    #[inline(always)]
    fn forward<L: Lanes, const N: usize>(
        lanes: L,
        a: &mut [[L::V; N]; 1],
        _: &Around<L::V, N>,
    ) -> ([L::V; N], [L::V; N]) {
        let mut h = tanh(lanes, a[0]);
        for h in &mut h {
            *h = lanes.without_dust(*h);
        }
        a[0] = h;
        (h, h)
    }

    /// `dz = dh ⊙ (1 − h²)`
    #[inline(always)]
    fn backward<L: Lanes>(
        lanes: L,
        step: &Saved<L::V, 1>,
        dh: L::V,
        carry: L::V,
    ) -> Slopes<L::V, 1> {
        let dz = lanes.mul(dh, flat(lanes, step.a[0]));
        Slopes { dz: [dz], dq: step.q, carry }
    }
}
