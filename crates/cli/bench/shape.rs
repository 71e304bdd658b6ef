//! The shape of a bench, as one types it: `T50,B64,I128,H256,lengths=skew`.

use anyhow::Result;
use layout::{RecurrentDims, Steps};
use model::ModelConfig;

use crate::failure::usage;

/// How a shape is spelled, for help and errors.
const GRAMMAR: &str = "T50,B64,I128,H256[,L2][,bi][,V10000][,lengths=skew]";
/// The same where a step is timed.
const STEP_GRAMMAR: &str = "B1,I128,H128[,V10000]";
/// The same where rows have no steps.
const ROWS_GRAMMAR: &str = "B10000,H100[,V17376]";
/// The largest number after a letter.
const LARGEST: usize = 1 << 20;
/// Items where a shape names no V.
const ITEMS: usize = 10_000;

/// The shapes of a bench that is given none: small and large, short and long, many rows and few,
/// sizes that are no multiple of a register, two layers, sessions.
pub(crate) const DEFAULT: [&str; 10] = [
    "T20,B32,I100,H100",
    "T50,B32,I64,H128",
    "T50,B64,I128,H256",
    "T50,B128,I256,H512",
    "T20,B512,I100,H100",
    "T100,B64,I256,H256,L2",
    "T100,B16,I512,H1024",
    "T50,B64,I500,H500",
    "T200,B32,I1760,H1760",
    "T200,B512,I128,H128,lengths=skew",
];

/// The layers of `bench stream` where it is given none, small to large.
pub(crate) const STEP_DEFAULT: [&str; 4] =
    ["B1,I128,H64", "B1,I128,H128", "B1,I128,H256", "B1,I128,H512"];

/// The rows of `bench score` where it is given none: few sessions, where what is done once for all of
/// them shows, and many.
pub(crate) const ROWS_DEFAULT: [&str; 2] = ["B100,H100,V17376", "B10000,H100,V17376"];

/// The sizes of a bench. A size that a bench has no use for (V without a softmax) it leaves alone, so that
/// one list of shapes serves all that take batches of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// As it was typed.
    pub(crate) text: String,
    /// T, steps of the longest row.
    pub(crate) steps: usize,
    /// B, rows.
    pub(crate) batch: usize,
    /// I, width of the input.
    pub(crate) input: usize,
    /// H, units of a layer.
    pub(crate) hidden: usize,
    /// L, layers.
    pub(crate) layers: usize,
    /// Whether each layer reads its rows in both directions.
    pub(crate) both: bool,
    /// V, items.
    pub(crate) items: usize,
    /// Whether rows are as long as sessions are ([`skewed_length`]), or all of T steps.
    pub(crate) skewed: bool,
}

impl Shape {
    /// Reads a shape.
    ///
    /// # Errors
    ///
    /// One that names the part that is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let shape = Self::read(text, GRAMMAR, "")?;
        if shape.skewed && shape.steps < 2 {
            let problem = "\"lengths=skew\" makes lengths from 2 to T; set T to 2 or more";
            return Err(refusal(&shape.text, problem));
        }
        Ok(shape)
    }

    /// Reads the shape of positions whose layers, if any, are done with.
    ///
    /// # Errors
    ///
    /// One that names the part that is wrong.
    pub(crate) fn parse_positions(text: &str) -> Result<Self> {
        Self::parse(text)?.in_no_direction()
    }

    /// Reads the shape of rows without steps. T and I are left alone and count as 1.
    ///
    /// # Errors
    ///
    /// One that names the part that is wrong.
    pub(crate) fn parse_rows(text: &str) -> Result<Self> {
        let shape = Self::read(text, ROWS_GRAMMAR, "TI")?;
        Self { steps: 1, input: 1, skewed: false, ..shape }.in_no_direction()
    }

    /// Refuses directions where no layer reads the rows.
    fn in_no_direction(self) -> Result<Self> {
        match self.both {
            true => Err(refusal(&self.text, "\"bi\": no layer reads these rows; leave it out")),
            false => Ok(self),
        }
    }

    /// Reads the shape of a step: one row, one layer, no T.
    ///
    /// # Errors
    ///
    /// One that names the part that is wrong.
    pub(crate) fn parse_step(text: &str) -> Result<Self> {
        let shape = Self::read(text, STEP_GRAMMAR, "T")?;
        if let Some(part) = shape.text.split(',').map(str::trim).find(|p| p.starts_with('T')) {
            let problem = format!("{part:?}: a step is one step; leave it out");
            return Err(refusal(&shape.text, &problem));
        }
        let Self { batch, layers, .. } = shape;
        if batch > 1 {
            let problem = format!("\"B{batch}\": a streaming step is for one user; write B1");
            return Err(refusal(&shape.text, &problem));
        }
        if layers > 1 {
            let problem =
                format!("\"L{layers}\": a step of several layers is not timed yet; write L1");
            return Err(refusal(&shape.text, &problem));
        }
        if shape.skewed {
            let problem = "\"lengths=skew\": a step is as long as any other; leave it out";
            return Err(refusal(&shape.text, problem));
        }
        if shape.both {
            let problem = "\"bi\": nobody can read on from a row's end as it comes; leave it out";
            return Err(refusal(&shape.text, problem));
        }
        Ok(Self { steps: 1, ..shape })
    }

    /// Reads the parts. Of T, B, I and H those in `optional` may be left out, and are 1 then.
    fn read(text: &str, grammar: &str, optional: &str) -> Result<Self> {
        let text = text.trim();
        let refuse = |problem: String| refusal(text, &problem);
        let mut sizes: [(char, Option<usize>); 6] =
            ['T', 'B', 'I', 'H', 'L', 'V'].map(|l| (l, None));
        let (mut skewed, mut both) = (false, false);
        for part in text.split(',').map(str::trim) {
            let twice = || refuse(format!("{part:?} says it again; name each letter once"));
            if part == "bi" {
                if std::mem::replace(&mut both, true) {
                    return Err(twice());
                }
                continue;
            }
            if let Some(rule) = part.strip_prefix("lengths=") {
                match (rule, skewed) {
                    ("skew", false) => skewed = true,
                    ("skew", true) => return Err(twice()),
                    _ => {
                        let problem =
                            "the one rule is lengths=skew; without it all rows have T steps";
                        return Err(refuse(format!("{part:?}: {problem}")));
                    }
                }
                continue;
            }
            let size = sizes.iter_mut().find(|(letter, _)| part.starts_with(*letter));
            let Some((letter, size)) = size else {
                return Err(refuse(format!("{part:?} is no part of a shape; write {grammar}")));
            };
            if size.is_some() {
                return Err(twice());
            }
            let digits = &part[1..];
            let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok());
            match number.flatten().filter(|number| (1..=LARGEST).contains(number)) {
                Some(number) => *size = Some(number),
                None => {
                    let problem = format!("after {letter} comes a number from 1 to {LARGEST}");
                    return Err(refuse(format!("{part:?}: {problem}")));
                }
            }
        }
        let [steps, batch, input, hidden, layers, items] = sizes;
        let needed = |(letter, size): (char, Option<usize>)| {
            size.or(optional.contains(letter).then_some(1))
                .ok_or_else(|| refuse(format!("{letter} is missing; write {grammar}")))
        };
        Ok(Self {
            text: text.to_owned(),
            steps: needed(steps)?,
            batch: needed(batch)?,
            input: needed(input)?,
            hidden: needed(hidden)?,
            layers: layers.1.unwrap_or(1),
            both,
            items: items.1.unwrap_or(ITEMS),
            skewed,
        })
    }

    /// The length of each row, none longer than the one before it.
    pub(crate) fn lengths(&self) -> Vec<usize> {
        match self.skewed {
            true => (0..self.batch).map(|b| skewed_length(b, self.batch, self.steps)).collect(),
            false => vec![self.steps; self.batch],
        }
    }

    /// The rows in memory.
    pub(crate) fn layout(&self) -> Steps {
        Steps::from_lengths(&self.lengths())
    }

    /// N, positions: the sum of the lengths.
    pub(crate) fn positions(&self) -> f64 {
        match self.skewed {
            true => self.lengths().iter().map(|&length| length as f64).sum(),
            false => self.steps as f64 * self.batch as f64,
        }
    }

    /// Layers of one direction that stand for a layer.
    pub(crate) fn directions(&self) -> usize {
        if self.both { 2 } else { 1 }
    }

    /// The cell and the sizes of every layer, the lowest first; `model` says which cell. Of a layer in
    /// both directions, each has these.
    pub(crate) fn layers(
        &self,
        model: &ModelConfig,
    ) -> impl DoubleEndedIterator<Item = RecurrentDims> + ExactSizeIterator {
        let model = self.sized(model);
        let directions = self.directions();
        (0..self.layers).map(move |l| {
            let dims = model.dims(l);
            let input = if l > 0 { directions * dims.input } else { dims.input };
            RecurrentDims { input, ..dims }
        })
    }

    /// A model of these sizes; `widths` of the settings give way to them.
    pub(crate) fn sized(&self, model: &ModelConfig) -> ModelConfig {
        let Self { input: embedding, hidden, layers, .. } = *self;
        ModelConfig { embedding, hidden, widths: Vec::new(), layers, ..model.clone() }
    }
}

/// The error of a shape that cannot be used.
fn refusal(text: &str, problem: &str) -> anyhow::Error {
    usage(format!("--shape {text}: {problem}"))
}

/// The length of row `b` of `batch` rows where lengths are skewed: the quantiles of a Pareto
/// distribution that starts at 2, rounded down and cut at T.
///
/// ```text
///     length_b = min(T, ⌊2 · (2B / (2b + 1))^0.8⌋)        b = 0 .. B − 1
/// ```
///
/// As in shops, half of the rows have two or three steps and a few reach far out: of 512 rows with
/// T = 200 the mean is 7.03 and two are cut. Nothing is drawn, so a script in another language makes
/// the same ones: `min(T, int(2 * (2 * B / (2 * b + 1)) ** 0.8))` in Python.
fn skewed_length(b: usize, batch: usize, steps: usize) -> usize {
    let rarity = 2.0 * batch as f64 / (2.0 * b as f64 + 1.0);
    ((2.0 * rarity.powf(0.8)) as usize).min(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_any_order() {
        let shape = Shape::parse(" H256,T50,bi,lengths=skew,V300,I128,B64,L2 ").unwrap();
        let text = "H256,T50,bi,lengths=skew,V300,I128,B64,L2".to_owned();
        let (steps, batch, input, hidden, layers, items) = (50, 64, 128, 256, 2, 300);
        let (skewed, both) = (true, true);
        assert_eq!(shape, Shape { text, steps, batch, input, hidden, layers, both, items, skewed });
        let plain = Shape::parse("T3,B2,I4,H5").unwrap();
        assert_eq!((plain.layers, plain.items), (1, 10_000));
        assert!(!plain.skewed && !plain.both);
        assert!(DEFAULT.iter().all(|text| Shape::parse(text).is_ok()));
    }

    #[test]
    fn a_wrong_shape_names_the_part_and_the_remedy() {
        for (text, problem, remedy) in [
            ("", "\"\" is no part", "write T50"),
            ("T3,B2,I4", "H is missing", "write T50"),
            ("T3,B2,I4,H5,", "\"\" is no part", "write T50"),
            ("T3,B2,I4,H5,X6", "\"X6\" is no part", "write T50"),
            ("t3,B2,I4,H5", "\"t3\" is no part", "write T50"),
            ("T3,B2,I4,H5,B2", "\"B2\" says it again", "once"),
            ("T0,B2,I4,H5", "\"T0\"", "from 1 to 1048576"),
            ("T3,B,I4,H5", "\"B\"", "from 1"),
            ("T3,B+2,I4,H5", "\"B+2\"", "from 1"),
            ("T3,B2,I4,H5.5", "\"H5.5\"", "from 1"),
            ("T3,B2,I4,H9999999", "\"H9999999\"", "to 1048576"),
            ("T3,B2,I4,H99999999999999999999999", "after H", "to 1048576"),
            ("T3,B2,I4,H5,bi,bi", "\"bi\" says it again", "once"),
            ("T3,B2,I4,H5,lengths=flat", "\"lengths=flat\"", "lengths=skew"),
            ("T3,B2,I4,H5,lengths=skew,lengths=skew", "says it again", "once"),
            ("T1,B2,I4,H5,lengths=skew", "from 2 to T", "set T to 2"),
            ("T3,\u{fc}", "\"\u{fc}\" is no part", "write T50"),
        ] {
            let error = Shape::parse(text).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            let message = error.to_string();
            assert!(message.starts_with(&format!("--shape {text}: ")), "{message}");
            assert!(message.contains(problem) && message.contains(remedy), "{text}: {message}");
        }
    }

    #[test]
    fn a_step_is_of_one_row_and_one_layer() {
        let shape = Shape::parse_step("V300,H5,B1,I4").unwrap();
        let Shape { steps, batch, input, hidden, layers, items, .. } = shape;
        assert_eq!((steps, batch, input, hidden, layers, items), (1, 1, 4, 5, 1, 300));
        assert_eq!(Shape::parse_step("B1,I4,H5,L1").unwrap().positions(), 1.0);
        assert!(STEP_DEFAULT.iter().all(|text| Shape::parse_step(text).is_ok()));
        for (text, problem, remedy) in [
            ("B2,I4,H5", "\"B2\": a streaming step is for one user", "write B1"),
            ("B1,I4,H5,L2", "\"L2\"", "write L1"),
            ("B1,I4,H5,lengths=skew", "\"lengths=skew\"", "leave it out"),
            ("B1,I4,H5,bi", "\"bi\"", "leave it out"),
            ("B1,I4,T50,H5", "\"T50\": a step is one step", "leave it out"),
            ("I4,H5", "B is missing", "write B1,I128"),
            ("B1,I4,H5,X6", "\"X6\" is no part", "write B1,I128"),
        ] {
            let error = Shape::parse_step(text).unwrap_err();
            assert_eq!(crate::failure::exit_code(&error), 2);
            let message = error.to_string();
            assert!(message.starts_with(&format!("--shape {text}: ")), "{message}");
            assert!(message.contains(problem) && message.contains(remedy), "{text}: {message}");
        }
    }

    #[test]
    fn rows_have_no_steps() {
        let rows = Shape::parse_rows("B2,H5").unwrap();
        assert_eq!((rows.steps, rows.batch, rows.input, rows.hidden), (1, 2, 1, 5));
        assert_eq!(Shape::parse_rows("T9,B2,I4,H5,lengths=skew").unwrap().positions(), 2.0);
        assert!(ROWS_DEFAULT.iter().all(|text| Shape::parse_rows(text).is_ok()));
        let message = Shape::parse_rows("B2,V5").unwrap_err().to_string();
        assert_eq!(message, "--shape B2,V5: H is missing; write B10000,H100[,V17376]");
    }

    #[test]
    fn what_no_layer_reads_has_no_directions() {
        let positions = Shape::parse_positions("T3,B2,I4,H5,lengths=skew").unwrap();
        assert_eq!(positions, Shape::parse("T3,B2,I4,H5,lengths=skew").unwrap());
        for error in [
            Shape::parse_positions("T3,B2,I4,H5,bi").unwrap_err(),
            Shape::parse_rows("B2,H5,bi").unwrap_err(),
        ] {
            assert_eq!(crate::failure::exit_code(&error), 2);
            assert!(error.to_string().contains("\"bi\": no layer reads these rows"), "{error}");
        }
    }

    #[test]
    fn skewed_lengths_are_those_of_sessions() {
        let shape = Shape::parse("T200,B512,I1,H1,lengths=skew").unwrap();
        let lengths = shape.lengths();
        assert_eq!(lengths[..6], [200, 200, 141, 107, 88, 75]);
        assert_eq!((lengths[255], lengths[511]), (3, 2));
        assert_eq!((lengths.len(), shape.positions()), (512, 3599.0));
        let few = Shape::parse("T20,B8,I1,H1,lengths=skew").unwrap();
        assert_eq!(few.lengths(), [18, 7, 5, 3, 3, 2, 2, 2]);
        assert_eq!((few.positions(), few.layout().positions()), (42.0, 42));
    }

    #[test]
    fn upper_layers_are_as_wide_as_the_lower_ones() {
        let shape = Shape::parse("T3,B2,I4,H5,L3").unwrap();
        let dims: Vec<_> =
            shape.layers(&ModelConfig::default()).map(|dims| (dims.input, dims.hidden)).collect();
        assert_eq!(dims, [(4, 5), (5, 5), (5, 5)]);
        let both = Shape::parse("T3,B2,I4,H5,L2,bi").unwrap();
        let inputs: Vec<_> = both.layers(&ModelConfig::default()).map(|dims| dims.input).collect();
        assert_eq!((both.directions(), inputs), (2, vec![4, 10]));
    }
}
