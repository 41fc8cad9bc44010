struct LearnParams {
    // Numbers; learning rate; 1 − βᵗ of either moment.
    count: u32,
    rate: f32,
    correction1: f32,
    correction2: f32,
    // Of a row: numbers that are learned, numbers of the gradient, and where the former start in the latter.
    width: u32,
    row: u32,
    start: u32,
}
