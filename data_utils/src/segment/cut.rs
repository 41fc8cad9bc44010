//! The binary segmentation of a picture with the least cost, by maximum flow (Boykov and Kolmogorov, "An Experimental
//! Comparison of Min-Cut/Max-Flow Algorithms for Energy Minimization in Vision", PAMI 2004, with the marking of
//! distances of Kolmogorov's thesis).
//!
//! The graph is the picture's grid with its eight neighbours, stored without lists: an arc is a node and one of
//! eight directions. Capacities are integers, so the result is exact and the same everywhere.

use std::collections::VecDeque;

/// Capacities of one unit of energy.
const UNIT: f32 = 256.0;
/// Largest energy of a pixel; it fixes the pixel's label.
pub const CERTAIN: f32 = 4096.0;

/// Steps to the eight neighbours, column and row; direction d and d + 4 are opposite.
const STEPS: [[isize; 2]; 8] = [[1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0], [-1, -1], [0, -1], [1, -1]];

const FREE: u8 = 0;
const SOURCE: u8 = 1;
const SINK: u8 = 2;
/// Parents beside the eight directions.
const TERMINAL: u8 = 8;
const ORPHAN: u8 = 9;
const NONE: u8 = 10;

/// A minimum cut over the pixels of a picture.
pub struct Cut {
    /// Nodes in a row: the picture and one more on each side, which no arc leads to.
    stride: usize,
    width: usize,
    height: usize,
    offsets: [isize; 8],
    capacities: Vec<[i32; 8]>,
    /// Residual capacity from the source (above 0) or to the sink (below 0).
    terminals: Vec<i32>,
    trees: Vec<u8>,
    parents: Vec<u8>,
    distances: Vec<u32>,
    stamps: Vec<u32>,
    active: VecDeque<usize>,
    queued: Vec<bool>,
    orphans: VecDeque<usize>,
    time: u32,
}

impl Cut {
    /// A picture of the given size without any costs.
    pub fn new(width: usize, height: usize) -> Self {
        let stride = width + 2;
        let count = stride * (height + 2);
        Cut {
            stride,
            width,
            height,
            offsets: STEPS.map(|[x, y]| y * stride as isize + x),
            capacities: vec![[0; 8]; count],
            terminals: vec![0; count],
            trees: vec![FREE; count],
            parents: vec![NONE; count],
            distances: vec![0; count],
            stamps: vec![0; count],
            active: VecDeque::new(),
            queued: vec![false; count],
            orphans: VecDeque::new(),
            time: 0,
        }
    }

    /// Sets the cost of pixel `at` being outside minus the cost of it being inside. Values are clamped to
    /// ±[`CERTAIN`].
    pub fn prefer_inside(&mut self, at: usize, energy: f32) {
        let node = self.node(at);
        self.terminals[node] = (energy.clamp(-CERTAIN, CERTAIN) * UNIT) as i32;
    }

    /// Sets the costs of giving pixel `at` another label than its neighbours to the right, lower right, below and lower
    /// left; `cost` gets the neighbour's index. It is not called for neighbours outside the picture.
    pub fn neighbours(&mut self, at: usize, cost: impl Fn(usize, f32) -> f32) {
        let (x, y) = ((at % self.width) as isize, (at / self.width) as isize);
        let node = self.node(at);
        for (d, [dx, dy]) in STEPS.into_iter().enumerate().take(4) {
            let (nx, ny) = (x + dx, y + dy);
            if nx < 0 || ny < 0 || nx >= self.width as isize || ny >= self.height as isize {
                continue;
            }
            let length = if dx != 0 && dy != 0 { std::f32::consts::SQRT_2 } else { 1.0 };
            let energy = cost(ny as usize * self.width + nx as usize, length).clamp(0.0, CERTAIN);
            let capacity = (energy * UNIT) as i32;
            let other = self.step(node, d as u8);
            self.capacities[node][d] = capacity;
            self.capacities[other][d + 4] = capacity;
        }
    }

    /// Finds the cut with the least cost: true for each pixel inside, `[height, width]`. Pixels that cost the same
    /// either way are outside.
    pub fn solve(mut self) -> Vec<bool> {
        for node in 0..self.terminals.len() {
            let left = self.terminals[node];
            if left != 0 {
                self.trees[node] = if left > 0 { SOURCE } else { SINK };
                self.parents[node] = TERMINAL;
                self.distances[node] = 1;
                self.activate(node);
            }
        }
        while let Some(node) = self.active.pop_front() {
            self.queued[node] = false;
            while self.trees[node] != FREE {
                self.time += 1;
                let Some((from, d)) = self.grow(node) else { break };
                self.augment(from, d);
                self.adopt();
            }
        }
        let pixels = (0..self.height).flat_map(|y| (0..self.width).map(move |x| [x, y]));
        pixels.map(|[x, y]| self.trees[(y + 1) * self.stride + x + 1] == SOURCE).collect()
    }

    fn node(&self, at: usize) -> usize {
        (at / self.width + 1) * self.stride + at % self.width + 1
    }

    fn step(&self, node: usize, d: u8) -> usize {
        node.wrapping_add_signed(self.offsets[usize::from(d & 7)])
    }

    fn activate(&mut self, node: usize) {
        if !self.queued[node] {
            self.queued[node] = true;
            self.active.push_back(node);
        }
    }

    /// What the arc that leads towards the source's side (for its tree) or away from it can still carry, seen
    /// from a child `node` whose parent lies in direction `d`.
    fn parents_capacity(&self, tree: u8, node: usize, d: u8) -> i32 {
        if tree == SOURCE {
            self.capacities[self.step(node, d)][usize::from(d ^ 4)]
        } else {
            self.capacities[node][usize::from(d)]
        }
    }

    /// Lets a tree grow from `node`; the arc from the source's tree to the sink's where they meet.
    fn grow(&mut self, node: usize) -> Option<(usize, u8)> {
        let tree = self.trees[node];
        for d in 0..8u8 {
            let other = self.step(node, d);
            // The child is `other`, its parent lies the other way.
            if self.parents_capacity(tree, other, d ^ 4) <= 0 {
                continue;
            }
            if self.trees[other] == FREE {
                self.trees[other] = tree;
                self.parents[other] = d ^ 4;
                self.stamps[other] = self.stamps[node];
                self.distances[other] = self.distances[node] + 1;
                self.activate(other);
            } else if self.trees[other] != tree {
                return Some(if tree == SOURCE { (node, d) } else { (other, d ^ 4) });
            } else if self.stamps[other] <= self.stamps[node] && self.distances[other] > self.distances[node]
            {
                self.parents[other] = d ^ 4;
                self.stamps[other] = self.stamps[node];
                self.distances[other] = self.distances[node] + 1;
            }
        }
        None
    }

    /// Augments the flow along the path through an arc from the source's tree to the sink's.
    fn augment(&mut self, from: usize, d: u8) {
        let to = self.step(from, d);
        let mut most = self.capacities[from][usize::from(d)];
        for (tree, start) in [(SOURCE, from), (SINK, to)] {
            let mut node = start;
            while self.parents[node] < TERMINAL {
                let p = self.parents[node];
                most = most.min(self.parents_capacity(tree, node, p));
                node = self.step(node, p);
            }
            most = most.min(self.terminals[node].abs());
        }
        self.capacities[from][usize::from(d)] -= most;
        self.capacities[to][usize::from(d ^ 4)] += most;
        for (tree, start) in [(SOURCE, from), (SINK, to)] {
            let mut node = start;
            while self.parents[node] < TERMINAL {
                let p = self.parents[node];
                let parent = self.step(node, p);
                let (down, up) = if tree == SOURCE { (parent, node) } else { (node, parent) };
                let along = usize::from(if tree == SOURCE { p ^ 4 } else { p });
                self.capacities[down][along] -= most;
                self.capacities[up][along ^ 4] += most;
                if self.capacities[down][along] == 0 {
                    self.orphan(node);
                }
                node = parent;
            }
            self.terminals[node] -= if tree == SOURCE { most } else { -most };
            if self.terminals[node] == 0 {
                self.orphan(node);
            }
        }
    }

    fn orphan(&mut self, node: usize) {
        self.parents[node] = ORPHAN;
        self.orphans.push_back(node);
    }

    /// Finds new parents for the nodes that lost theirs, or frees them.
    fn adopt(&mut self) {
        while let Some(node) = self.orphans.pop_front() {
            let tree = self.trees[node];
            let (mut best, mut nearest) = (NONE, u32::MAX);
            for d in 0..8u8 {
                let other = self.step(node, d);
                if self.trees[other] == tree && self.parents_capacity(tree, node, d) > 0 {
                    let distance = self.distance(other);
                    if distance < nearest {
                        (best, nearest) = (d, distance);
                    }
                }
            }
            self.parents[node] = best;
            if best != NONE {
                self.stamps[node] = self.time;
                self.distances[node] = nearest + 1;
                continue;
            }
            for d in 0..8u8 {
                let other = self.step(node, d);
                if self.trees[other] != tree {
                    continue;
                }
                if self.parents_capacity(tree, node, d) > 0 {
                    self.activate(other);
                }
                if self.parents[other] == d ^ 4 {
                    self.orphan(other);
                }
            }
            self.trees[node] = FREE;
        }
    }

    /// How far a node is from its terminal; the largest number where it leads to an orphan.
    fn distance(&mut self, start: usize) -> u32 {
        let (mut node, mut steps) = (start, 0);
        loop {
            if self.stamps[node] == self.time {
                steps += self.distances[node];
                break;
            }
            match self.parents[node] {
                TERMINAL => {
                    steps += 1;
                    self.stamps[node] = self.time;
                    self.distances[node] = 1;
                    break;
                }
                ORPHAN | NONE => return u32::MAX,
                p => {
                    steps += 1;
                    node = self.step(node, p);
                }
            }
        }
        let (found, mut left) = (steps, steps);
        let mut node = start;
        while self.stamps[node] != self.time {
            self.stamps[node] = self.time;
            self.distances[node] = left;
            left -= 1;
            node = self.step(node, self.parents[node]);
        }
        found
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
