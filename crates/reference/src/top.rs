//! The best items of each row, by sorting all of them.

use layout::{TopItems, TopTask};
use ndarray::{ArrayView2, NdFloat};

use crate::{dot, real};

/// The best of all scores, row by row; [`TopTask`] holds the equation of the scores and their order.
///
/// ```text
///     log_sum_p = top + log Σ_c exp(s[p, c] − top)        top = max_c s[p, c]
/// ```
///
/// # Shapes
///
/// | argument      | shape    | on entry                | on return |
/// |---------------|----------|-------------------------|-----------|
/// | `table`       | `[V, E]` | one vector an item      | untouched |
/// | `column_bias` | `[V, 1]` | by item                 | untouched |
/// | `q`           | `[N, E]` | what each row looks for | untouched |
/// | `task`        | see type | what is asked           | untouched |
/// | `out`         | see type | anything                | replaced  |
///
/// # Panics
///
/// Where entries of the task do not fit.
pub fn top_items<S: NdFloat>(
    table: ArrayView2<'_, S>,
    column_bias: ArrayView2<'_, S>,
    q: ArrayView2<'_, S>,
    task: &TopTask<'_>,
    out: &mut TopItems,
) {
    let columns = table.nrows();
    task.check(q.nrows(), columns);
    *out = TopItems { width: task.count.min(columns), ..TopItems::default() };
    for (p, q) in q.rows().into_iter().enumerate() {
        let mut s: Vec<S> =
            (0..columns).map(|c| dot(q, table.row(c)) + column_bias[[c, 0]]).collect();
        for entry in task.entries(p) {
            s[task.items[entry] as usize] += real(task.values[entry]);
        }
        if task.log_sums {
            out.log_sums.push(log_sum(&s));
        }

        let number =
            |c: u32| if s[c as usize].is_nan() { S::neg_infinity() } else { s[c as usize] };
        let mut order: Vec<u32> = (0..columns as u32).collect();
        // Stable: of two equal scores, the smaller number stays first.
        order.sort_by(|&a, &b| number(b).partial_cmp(&number(a)).expect("numbers"));
        order.truncate(out.width);
        out.scores.extend(order.iter().map(|&c| number(c).to_f32().expect("rounds to f32")));
        out.items.extend(order);
    }
}

/// `log Σ exp s`; −∞ of nothing.
fn log_sum<S: NdFloat>(s: &[S]) -> f64 {
    let top = s.iter().copied().fold(S::neg_infinity(), S::max);
    if top == S::neg_infinity() && !s.iter().any(|s| s.is_nan()) {
        return f64::NEG_INFINITY;
    }
    let sum = s.iter().fold(S::zero(), |sum, &s| sum + (s - top).exp());
    (top + sum.ln()).to_f64().expect("rounds to f64")
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_best_come_first_and_ties_by_number() {
        let mut out = TopItems::default();
        let bias = array![[1.0], [f64::NAN], [2.0], [1.0], [f64::NEG_INFINITY], [-1.0]];
        let (table, q) = (array![[0.0], [0.0], [0.0], [0.0], [0.0], [0.0]], array![[1.0]]);
        let task = TopTask { offsets: &[0, 1], items: &[5], values: &[3.0], ..TopTask::default() };
        let task = TopTask { count: 9, ..task };
        top_items(table.view(), bias.view(), q.view(), &task, &mut out);
        assert_eq!(out.items, [2, 5, 0, 3, 1, 4]);
        assert_eq!(out.scores[..4], [2.0, 2.0, 1.0, 1.0]);
        assert_eq!(out.scores[4..], [f32::NEG_INFINITY; 2]);
    }

    #[test]
    fn sums_are_those_of_all_scores() {
        assert_eq!(log_sum::<f64>(&[]), f64::NEG_INFINITY);
        assert!((log_sum(&[0.0, 1.0, 1000.0]) - 1000.0f64).abs() < 1e-12);
        assert!((log_sum(&[2.0f64; 3]) - (2.0 + 3f64.ln())).abs() < 1e-12);
        assert!(log_sum(&[f64::NAN, 1.0]).is_nan());
    }
}
