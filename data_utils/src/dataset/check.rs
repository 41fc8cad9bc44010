//! What is wrong with a dataset, gathered before anything is refused, so that one run names all of it.
//!
//! A fault that many frames share is one line: `ori_imgs/{3,7,9-12}.jpg: …`.

use crate::error::{Error, Problem, Result};

/// Everything found wrong so far.
#[derive(Default)]
pub(super) struct Findings {
    rows: Vec<Row>,
    internal: Option<Error>,
}

struct Row {
    /// Place, with `{}` where the frame's number goes.
    at: String,
    expected: String,
    found: String,
    remedy: String,
    ids: Vec<u32>,
}

impl Findings {
    /// Notes a fault of the whole dataset.
    pub(super) fn push(&mut self, problem: Problem) {
        let Problem { at, expected, found, remedy } = problem;
        self.rows.push(Row { at, expected, found, remedy, ids: Vec::new() });
    }

    /// Notes a fault of frame `id`; `at` has `{}` where the number goes.
    pub(super) fn frame(&mut self, at: &str, id: u32, expected: &str, found: &str, remedy: &str) {
        let same = |r: &&mut Row| r.at == at && r.expected == expected && r.found == found;
        if let Some(row) = self.rows.iter_mut().find(same) {
            row.ids.push(id);
        } else {
            self.rows.push(Row {
                at: at.into(),
                expected: expected.into(),
                found: found.into(),
                remedy: remedy.into(),
                ids: vec![id],
            });
        }
    }

    /// The value, or nothing and one more finding.
    pub(super) fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => return Some(value),
            Err(Error::Input(problem)) => self.push(problem),
            Err(Error::Inputs(problems)) => problems.into_iter().for_each(|p| self.push(p)),
            Err(other) => self.internal = self.internal.take().or(Some(other)),
        }
        None
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.internal.is_none()
    }

    /// Nothing when nothing was found; otherwise the error that lists it all.
    pub(super) fn into_result(self) -> Result<()> {
        if let Some(error) = self.internal {
            return Err(error);
        }
        let mut problems: Vec<Problem> = self
            .rows
            .into_iter()
            .map(|r| Problem::new(r.at.replace("{}", &ranges(&r.ids)), r.expected, r.found, r.remedy))
            .collect();
        match problems.len() {
            0 => Ok(()),
            1 => Err(Error::Input(problems.remove(0))),
            _ => Err(Error::Inputs(problems)),
        }
    }
}

/// `7`, or `{3,7,9-12}`.
pub(super) fn ranges(ids: &[u32]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let parts: Vec<String> = ids
        .chunk_by(|a, b| a + 1 == *b)
        .map(|run| match run {
            [one] => one.to_string(),
            _ => format!("{}-{}", run[0], run[run.len() - 1]),
        })
        .collect();
    if let ([_], [one]) = (ids.as_slice(), parts.as_slice()) {
        one.clone()
    } else {
        format!("{{{}}}", parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_a_row_are_one_range() {
        assert_eq!(ranges(&[7]), "7");
        assert_eq!(ranges(&[12, 3, 7, 9, 10, 11]), "{3,7,9-12}");
    }

    #[test]
    fn the_same_fault_of_many_frames_is_one_problem_and_two_faults_are_two() {
        let mut findings = Findings::default();
        (3..6).for_each(|id| findings.frame("parsing/{}.png", id, "a picture", "no such file", "make it"));
        findings.push(Problem::new("bc.jpg", "a picture", "an empty file", "make it"));
        let Err(Error::Inputs(problems)) = findings.into_result() else { panic!("two problems expected") };
        assert_eq!(problems.len(), 2);
        assert_eq!(problems[0].at, "parsing/{3-5}.png");
    }
}
