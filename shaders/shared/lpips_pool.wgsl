struct PoolParams {
    pictures: u32,
    in_rows: u32,
    in_columns: u32,
    out_rows: u32,
    out_columns: u32,
    // Channels by four.
    quads: u32,
    // Of a window: 2 or 3.
    side: u32,
    // Of gradients: whether they are added to what is there.
    keep: u32,
}
