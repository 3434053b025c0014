//! Shapes that there are.

use engine::{Shape, ShapeError};

#[test]
fn shapes_without_an_output_are_refused() {
    let shape = Shape { height: 3, width: 9, kernel: 5, padding: 1, ..Shape::linear(2, 4) };
    assert_eq!(shape.check(), Ok(shape));
    assert_eq!((shape.output_height(), shape.output_width()), (1, 7));
    let shape = Shape { padding: 0, ..shape };
    assert_eq!(
        shape.check().unwrap_err().to_string(),
        "a kernel of 5 × 5 does not fit on an image of 3 × 9 with 0 zeros on each side"
    );
    let shape = Shape { stride: 0, ..shape };
    assert_eq!(shape.check(), Err(ShapeError::Empty(shape)));
}
