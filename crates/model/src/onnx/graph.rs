//! A graph in the making: operators, constants, and how much memory these take.

use super::proto::{
    ATTRIBUTE_INT, ATTRIBUTE_INTS, ATTRIBUTE_STRING, AttributeProto, DimensionProto, FLOAT,
    GraphProto, INT64, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use crate::ExportError;

/// More than this no protobuf message may hold.
const LIMIT: u64 = i32::MAX as u64;

/// Operators in an order in which each finds its inputs made, and the constants that they read.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    bytes: u64,
}

impl Graph {
    /// Adds an operator without attributes.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str], output: &str) {
        self.node(kind, inputs, &[output], Vec::new());
    }

    /// Adds an operator.
    pub(super) fn node(
        &mut self,
        kind: &str,
        inputs: &[&str],
        outputs: &[&str],
        attribute: Vec<AttributeProto>,
    ) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(NodeProto {
            input: names(inputs),
            output: names(outputs),
            name: outputs.iter().find(|name| !name.is_empty()).map_or("", |name| name).to_owned(),
            op_type: kind.to_owned(),
            attribute,
        });
    }

    /// Adds a constant of numbers. They are made only once it is known that the file can hold them.
    pub(super) fn numbers(
        &mut self,
        name: &str,
        shape: &[usize],
        values: impl FnOnce() -> Vec<f32>,
    ) -> Result<(), ExportError> {
        let size = shape.iter().try_fold(4u64, |size, &length| size.checked_mul(length as u64));
        self.grow(size.unwrap_or(u64::MAX))?;
        let values = values();
        debug_assert_eq!(values.len(), shape.iter().product::<usize>(), "{name} is {shape:?}");
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, shape, FLOAT, bytes);
        Ok(())
    }

    /// Adds a constant that is one number.
    pub(super) fn number(&mut self, name: &str, value: f32) {
        self.constant(name, &[], FLOAT, value.to_le_bytes().to_vec());
    }

    /// Adds a constant list of whole numbers.
    pub(super) fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, &[values.len()], INT64, bytes);
    }

    /// Adds a constant that is one whole number.
    pub(super) fn integer(&mut self, name: &str, value: i64) {
        self.constant(name, &[], INT64, value.to_le_bytes().to_vec());
    }

    fn constant(&mut self, name: &str, shape: &[usize], data_type: i32, raw_data: Vec<u8>) {
        let dims = shape.iter().map(|&length| length as i64).collect();
        self.constants.push(TensorProto { dims, data_type, name: name.to_owned(), raw_data });
    }

    /// Counts memory of the file, as far as it may grow.
    pub(super) fn grow(&mut self, bytes: u64) -> Result<(), ExportError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes <= LIMIT { Ok(()) } else { Err(ExportError::TooLarge { bytes: self.bytes }) }
    }

    /// The graph, with what goes in and comes out of it.
    pub(super) fn finish(
        self,
        name: &str,
        input: Vec<ValueInfoProto>,
        output: Vec<ValueInfoProto>,
    ) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.constants,
            input,
            output,
        }
    }
}

/// An attribute that is a whole number.
pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i, r#type: ATTRIBUTE_INT, ..Default::default() }
}

/// An attribute that is a list of whole numbers.
pub(super) fn ints(name: &str, ints: &[i64]) -> AttributeProto {
    let ints = ints.to_vec();
    AttributeProto { name: name.to_owned(), ints, r#type: ATTRIBUTE_INTS, ..Default::default() }
}

/// An attribute that is a text.
pub(super) fn text(name: &str, text: &str) -> AttributeProto {
    let s = text.as_bytes().to_vec();
    AttributeProto { name: name.to_owned(), s, r#type: ATTRIBUTE_STRING, ..Default::default() }
}

/// A size of an input or an output.
pub(super) enum Size {
    /// The same in every call.
    Fixed(usize),
    /// As the caller likes; the same name is the same size.
    Free(&'static str),
}

/// What an input or an output is called, and what shape it has.
pub(super) fn value(name: &str, elem_type: i32, sizes: &[Size], doc: &str) -> ValueInfoProto {
    let dim = sizes.iter().map(|size| match size {
        Size::Fixed(length) => DimensionProto { dim_value: Some(*length as i64), dim_param: None },
        Size::Free(name) => DimensionProto { dim_value: None, dim_param: Some((*name).to_owned()) },
    });
    let shape = Some(TensorShapeProto { dim: dim.collect() });
    let tensor_type = Some(TensorTypeProto { elem_type, shape });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type }),
        doc_string: doc.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_file_can_hold_is_never_made() {
        let mut graph = Graph::default();
        graph.numbers("a", &[1 << 9, 1 << 9], || vec![0.0; 1 << 18]).expect("a megabyte");
        for shape in [[1 << 20, 1 << 9], [usize::MAX, usize::MAX]] {
            let mut graph = Graph::default();
            let made = graph.numbers("b", &shape, || unreachable!("it is too large"));
            assert!(matches!(made, Err(ExportError::TooLarge { .. })));
        }
        // Each would fit, but not all of them.
        let error = (0..3).try_for_each(|_| graph.grow(1 << 30)).unwrap_err().to_string();
        assert!(error.contains("2.1 GB") && error.contains("safetensors"), "{error}");
    }
}
