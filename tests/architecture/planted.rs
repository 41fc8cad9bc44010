//! The checker finds what is planted.

use crate::graph::{Graph, circles};
use crate::modules::Workspace;
use crate::rooms;
use std::collections::BTreeSet;

/// The graph of a crate `surfeltalk` of these files.
fn graph(files: &[(&str, &str)]) -> Graph {
    let mut workspace = Workspace::default();
    let read = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    if read("data_utils/src/lib.rs").is_some() {
        workspace.add("data_utils", "data_utils/src/lib.rs", &read);
    }
    workspace.add("surfeltalk", "src/lib.rs", &read);
    Graph::of(&workspace)
}

fn circle(files: &[&str]) -> BTreeSet<BTreeSet<String>> {
    BTreeSet::from([files.iter().map(|f| (*f).to_owned()).collect()])
}

const ROOT: (&str, &str) = ("src/lib.rs", "pub mod gpu;\npub mod raster;\n");

#[test]
fn two_files_that_use_each_other_are_a_circle() {
    let found = circles(&graph(&[
        ("src/lib.rs", "mod gpu;"),
        ("src/gpu/mod.rs", "mod a; mod b;"),
        ("src/gpu/a.rs", "use super::b::{B, other}; pub struct A;"),
        ("src/gpu/b.rs", "pub struct B(super::a::A);"),
    ]));
    assert_eq!(found, circle(&["src/gpu/a.rs", "src/gpu/b.rs"]));
}

#[test]
fn a_child_that_uses_its_parent_is_a_circle_only_where_the_parent_uses_it() {
    let child = ("src/gpu/child.rs", "use super::Parent; pub struct Child(Parent);");
    let of = |parent: &'static str| {
        circles(&graph(&[("src/lib.rs", "mod gpu;"), ("src/gpu/mod.rs", parent), child]))
    };
    assert!(of("mod child; pub struct Parent;").is_empty());
    assert!(of("mod child; pub use child::Child; pub struct Parent;").is_empty());
    let both = circle(&["src/gpu/child.rs", "src/gpu/mod.rs"]);
    assert_eq!(of("mod child; pub struct Parent; fn f() { child::g(); }"), both);
    assert_eq!(of("mod child; pub use child::Child; pub struct Parent(Vec<Child>);"), both);
    assert_eq!(of("mod child; use child::*; pub struct Parent(Vec<Child>);"), both);
    assert_eq!(of("mod child; pub struct Parent; fn f() { println!(\"{}\", child::VALUE); }"), both);
}

#[test]
fn a_re_export_leads_to_the_file_that_defines_the_item() {
    let found = circles(&graph(&[
        ("src/lib.rs", "mod gpu;"),
        ("src/gpu/mod.rs", "mod a; mod b; pub use a::A; pub use b::*;"),
        ("src/gpu/a.rs", "use crate::gpu::B; pub struct A;"),
        ("src/gpu/b.rs", "use super::A; pub struct B;"),
    ]));
    assert_eq!(found, circle(&["src/gpu/a.rs", "src/gpu/b.rs"]));
}

#[test]
fn a_circle_of_three_is_one_circle() {
    let found = circles(&graph(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
        ("src/a.rs", "use crate::b; pub fn f() { b::f() }"),
        ("src/b.rs", "pub fn f() { crate::c::f::<u8>() }"),
        ("src/c.rs", "use super::a::f as g; pub fn f<T>() { g() }"),
        ("src/d.rs", "use super::a::f; fn g() { f() }"),
    ]));
    assert_eq!(found, circle(&["src/a.rs", "src/b.rs", "src/c.rs"]));
}

#[test]
fn tests_comments_and_strings_are_left_out() {
    let found = circles(&graph(&[
        ("src/lib.rs", "mod a; mod b;"),
        (
            "src/a.rs",
            "//! `use crate::b::B;`\n// crate::b::B\nconst T: &str = \"crate::b::B\"; pub struct A;
            #[cfg(test)] mod tests { use crate::b::B; } #[cfg(test)] use crate::b::B; #[cfg(test)] mod more;",
        ),
        ("src/a/more.rs", "use crate::b::B;"),
        ("src/b.rs", "pub struct B(crate::a::A);"),
    ]));
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn an_arrow_that_runs_back_is_found() {
    let of = |gpu: &'static str| {
        rooms::faults(&graph(&[ROOT, ("src/gpu/mod.rs", gpu), ("src/raster/mod.rs", "pub struct R;")]))
    };
    assert!(of("pub struct G;").is_empty());
    for back in
        ["use crate::raster::R; struct G(R);", "pub use crate::raster::R;", "struct G(crate::raster::R);"]
    {
        let faults = of(back);
        assert!(
            faults.len() == 1 && faults[0].contains("src/gpu/mod.rs uses src/raster"),
            "{back}: {faults:?}"
        );
    }
}

#[test]
fn the_right_way_down_is_no_fault() {
    let faults = rooms::faults(&graph(&[
        ("data_utils/src/lib.rs", "pub struct Camera;"),
        ROOT,
        ("src/gpu/mod.rs", "pub struct G;"),
        ("src/raster/mod.rs", "use crate::gpu::G; struct R(G, data_utils::Camera);"),
    ]));
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn rooms_side_by_side_do_not_use_each_other_both_ways() {
    let of = |live: &'static str| {
        rooms::faults(&graph(&[
            ("src/lib.rs", "mod train; mod live;"),
            ("src/train.rs", "pub struct T; fn f(_: crate::live::L) {}"),
            ("src/live.rs", live),
        ]))
    };
    assert!(of("pub struct L;").is_empty());
    assert_eq!(of("pub struct L; use crate::train::T;").len(), 1);
}

#[test]
fn a_new_room_needs_a_place_in_the_table() {
    let faults = rooms::faults(&graph(&[
        ("src/lib.rs", "mod attic; mod gpu;"),
        ("src/attic.rs", "use crate::gpu::G;"),
        ("src/gpu.rs", "pub struct G;"),
    ]));
    assert!(faults.len() == 1 && faults[0].contains("src/attic has no place"), "{faults:?}");
}
