//! Figures of probabilities of several classes, `[N, C]`, against the classes that came.

use ndarray::ArrayView2;
use serde::Serialize;

use crate::binary::{FLOOR, Scored};
use crate::error::{Error, PROBABILITY, check_cells, check_lengths, check_values};

/// Probabilities and classes, checked and sorted once, so that the figures of a resample cost a few
/// passes.
#[derive(Debug, Clone)]
pub struct Classes {
    /// Of each case, its class, what was given to it, and whether nothing else was given as much.
    cases: Vec<(u32, f64, bool)>,
    /// Of each class, its probabilities against whether it came.
    each: Vec<Scored>,
}

/// The figures that one reports; what is not defined is `None`, in JSON `null`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// How many cases.
    pub cases: u64,
    /// The share of cases whose class got the highest probability. Ties count against it.
    pub accuracy: Option<f64>,
    /// The mean of −ln of what was given to the class that came, at least [`FLOOR`].
    pub log_loss: Option<f64>,
    /// The mean AUC of a class against all others, over the classes of which there are cases, and
    /// cases of others.
    pub macro_auc: Option<f64>,
    /// Of each class, the share of its cases that counts for the accuracy.
    pub recall: Vec<Option<f64>>,
}

impl Classes {
    /// Checks and sorts `probabilities`, `[N, C]`, and the numbers of the classes that came, `[N]`.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`]; [`Error::Cell`] for what is not a probability; [`Error::Value`] where a class is not
    /// below C, and where the probabilities of a case miss 1 by more than 1e-3.
    pub fn new(probabilities: ArrayView2<'_, f64>, classes: &[u32]) -> Result<Self, Error> {
        let count = probabilities.ncols();
        check_lengths("classes", classes.len(), "rows of probabilities", probabilities.nrows())?;
        check_cells("probabilities", probabilities, PROBABILITY, |value| {
            (0.0..=1.0).contains(&value)
        })?;
        let sums: Vec<f64> = probabilities.rows().into_iter().map(|row| row.sum()).collect();
        check_values("sums of probabilities", &sums, "1, to a thousandth", |sum| {
            (sum - 1.0).abs() <= 1e-3
        })?;
        let numbers: Vec<f64> = classes.iter().map(|&class| f64::from(class)).collect();
        check_values("classes", &numbers, "0 to the number of classes less 1", |class| {
            class < count as f64
        })?;
        let cases = classes
            .iter()
            .zip(probabilities.rows())
            .map(|(&class, row)| {
                let given = row[class as usize];
                let others = row.iter().enumerate().filter(|&(other, _)| other != class as usize);
                (class, given, others.into_iter().all(|(_, &other)| other < given))
            })
            .collect();
        let each: Result<_, Error> = (0..count)
            .map(|class| {
                let came: Vec<bool> = classes.iter().map(|&came| came as usize == class).collect();
                Scored::new(&probabilities.column(class).to_vec(), &came)
            })
            .collect();
        Ok(Self { cases, each: each? })
    }

    /// All figures, each case as often as `weights` says, or once.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    ///
    /// # Source
    ///
    /// Macro-averaged AUC: F. Provost, P. Domingos, "Well-trained PETs", 2000, without their weights.
    pub fn figures(&self, weights: Option<&[u32]>) -> Result<ClassFigures, Error> {
        let found = weights.map_or(self.cases.len(), <[u32]>::len);
        check_lengths("weights", found, "classes", self.cases.len())?;
        let mut counts = vec![[0u64; 2]; self.each.len()];
        let mut loss = 0.0;
        for (case, &(class, given, right)) in self.cases.iter().enumerate() {
            let weight = weights.map_or(1, |weights| u64::from(weights[case]));
            loss -= weight as f64 * given.clamp(FLOOR, 1.0 - FLOOR).ln();
            counts[class as usize][0] += weight;
            counts[class as usize][1] += weight * u64::from(right);
        }
        let share = |[cases, right]: [u64; 2]| (cases > 0).then(|| right as f64 / cases as f64);
        let [cases, right] =
            counts.iter().fold([0, 0], |sum, count| [sum[0] + count[0], sum[1] + count[1]]);
        Ok(ClassFigures {
            cases,
            accuracy: share([cases, right]),
            log_loss: (cases > 0).then(|| loss / cases as f64),
            macro_auc: self.macro_auc(weights)?,
            recall: counts.into_iter().map(share).collect(),
        })
    }

    /// [`ClassFigures::log_loss`] alone.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    pub fn log_loss(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        self.mean(weights, |given, _| -given.clamp(FLOOR, 1.0 - FLOOR).ln())
    }

    /// [`ClassFigures::accuracy`] alone.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    pub fn accuracy(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        self.mean(weights, |_, right| f64::from(u8::from(right)))
    }

    /// The mean over the cases of what was given to the class that came, and whether nothing else was given
    /// as much.
    fn mean(
        &self,
        weights: Option<&[u32]>,
        of: impl Fn(f64, bool) -> f64,
    ) -> Result<Option<f64>, Error> {
        let found = weights.map_or(self.cases.len(), <[u32]>::len);
        check_lengths("weights", found, "classes", self.cases.len())?;
        let (mut sum, mut count) = (0.0, 0u64);
        for (case, &(_, given, right)) in self.cases.iter().enumerate() {
            let weight = weights.map_or(1, |weights| weights[case]);
            sum += f64::from(weight) * of(given, right);
            count += u64::from(weight);
        }
        Ok((count > 0).then(|| sum / count as f64))
    }

    /// [`ClassFigures::macro_auc`] alone.
    ///
    /// # Errors
    ///
    /// [`Error::Lengths`] where there is not one weight a case.
    pub fn macro_auc(&self, weights: Option<&[u32]>) -> Result<Option<f64>, Error> {
        let mut defined = Vec::new();
        for scored in &self.each {
            defined.extend(scored.levels(weights)?.auc());
        }
        let mean = defined.iter().sum::<f64>() / defined.len() as f64;
        Ok((!defined.is_empty()).then_some(mean))
    }
}

impl ClassFigures {
    /// The figures of `probabilities`, `[N, C]`, against the classes that came, `[N]`.
    ///
    /// # Errors
    ///
    /// Those of [`Classes::new`].
    pub fn new(probabilities: ArrayView2<'_, f64>, classes: &[u32]) -> Result<Self, Error> {
        Classes::new(probabilities, classes)?.figures(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::tests::close;
    use ndarray::{Array2, array};

    const CAME: [u32; 8] = [0, 1, 2, 2, 0, 1, 2, 0];

    fn probabilities() -> Array2<f64> {
        array![
            [0.6, 0.3, 0.1],
            [0.2, 0.5, 0.3],
            [0.3, 0.3, 0.4],
            [0.5, 0.25, 0.25],
            [0.4, 0.4, 0.2],
            [0.1, 0.1, 0.8],
            [0.2, 0.3, 0.5],
            [0.7, 0.2, 0.1],
        ]
    }

    // scikit-learn 1.9.1: log_loss, roc_auc_score(multi_class="ovr") of CAME and `probabilities`.
    #[test]
    fn scikit_learn_agrees() {
        let found = ClassFigures::new(probabilities().view(), &CAME).unwrap();
        close(
            &[found.log_loss.unwrap(), found.macro_auc.unwrap()],
            &[0.9719069808358574, 0.7222222222222222],
            1e-14,
        );
        // The fifth case has its class at the top, and another beside it.
        assert_eq!(found.accuracy, Some(5.0 / 8.0));
        assert_eq!(found.recall, [Some(2.0 / 3.0), Some(0.5), Some(2.0 / 3.0)]);
    }

    #[test]
    fn a_weight_is_a_case_that_comes_again() {
        let weights = [1, 0, 2, 1, 3, 1, 0, 1];
        let again: Vec<usize> =
            (0..8).flat_map(|case| vec![case; weights[case] as usize]).collect();
        let p = probabilities();
        let rows = Array2::from_shape_fn((9, 3), |(row, class)| p[[again[row], class]]);
        let came: Vec<u32> = again.iter().map(|&case| CAME[case]).collect();
        let expected = ClassFigures::new(rows.view(), &came).unwrap();
        let found = Classes::new(p.view(), &CAME).unwrap().figures(Some(&weights)).unwrap();
        close(&[found.log_loss.unwrap()], &[expected.log_loss.unwrap()], 1e-14);
        let other = |figures: ClassFigures| ClassFigures { log_loss: None, ..figures };
        assert_eq!(other(found), other(expected));
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let none = ClassFigures::new(Array2::zeros((0, 2)).view(), &[]).unwrap();
        let text = serde_json::to_string(&none).unwrap();
        assert_eq!(
            text,
            "{\"cases\":0,\"accuracy\":null,\"log_loss\":null,\"macro_auc\":null,\"recall\":[null,null]}"
        );
        let one =
            ClassFigures::new(array![[0.6, 0.4, 0.0], [0.2, 0.8, 0.0]].view(), &[0, 1]).unwrap();
        // The third class has no cases: the mean is over the other two.
        assert_eq!((one.macro_auc, one.recall[2]), (Some(1.0), None));
        let sure = ClassFigures::new(array![[0.0, 1.0]].view(), &[0]).unwrap();
        assert_eq!(sure.log_loss, Some(-FLOOR.ln()));
    }

    #[test]
    fn wrong_numbers_are_named() {
        let p = array![[0.5, 0.5]];
        assert!(matches!(Classes::new(p.view(), &[]), Err(Error::Lengths { .. })));
        assert!(matches!(Classes::new(p.view(), &[2]), Err(Error::Value { name: "classes", .. })));
        let found = Classes::new(array![[0.5, f64::NAN]].view(), &[0]);
        assert!(matches!(found, Err(Error::Cell { column: 1, .. })));
        let found = Classes::new(array![[0.5, 0.6]].view(), &[0]);
        assert!(matches!(found, Err(Error::Value { name: "sums of probabilities", .. })));
        let classes = Classes::new(p.view(), &[1]).unwrap();
        assert!(matches!(classes.figures(Some(&[])), Err(Error::Lengths { .. })));
    }
}
