//! A table of numbers: one row a point.

/// Points as rows of one table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Points {
    values: Vec<f64>,
    width: usize,
}

impl Points {
    /// No points of a width.
    pub fn new(width: usize) -> Self {
        Self { values: Vec::new(), width }
    }

    /// Points whose rows stand one after the other.
    ///
    /// # Panics
    ///
    /// Where the values do not fill whole rows.
    pub fn from_rows(values: Vec<f64>, width: usize) -> Self {
        assert!(width > 0 && values.len().is_multiple_of(width), "whole rows");
        Self { values, width }
    }

    /// Adds a point.
    ///
    /// # Panics
    ///
    /// Where it has another width.
    pub fn push(&mut self, row: impl IntoIterator<Item = f64>) {
        let before = self.values.len();
        self.values.extend(row);
        assert_eq!(self.values.len() - before, self.width, "one width");
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers a point.
    pub fn width(&self) -> usize {
        self.width
    }

    /// A point.
    pub fn row(&self, point: usize) -> &[f64] {
        &self.values[point * self.width..][..self.width]
    }

    /// All points.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// All numbers, row after row.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Some of the points, in the order in which they are named.
    pub fn select(&self, points: &[usize]) -> Self {
        let values = points.iter().flat_map(|&point| self.row(point)).copied().collect();
        Self { values, width: self.width }
    }
}

/// The square of how far two points are apart.
///
/// ```text
///     d²(a, b) = Σ_j (a_j − b_j)²
/// ```
pub(crate) fn square_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// The nearest of some points and the square of how far it is; of equally near ones the first.
pub(crate) fn nearest(point: &[f64], among: &Points) -> (usize, f64) {
    let mut best = (0, f64::INFINITY);
    for (k, other) in among.rows().enumerate() {
        let d = square_distance(point, other);
        if d < best.1 {
            best = (k, d);
        }
    }
    best
}
