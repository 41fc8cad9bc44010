//! The figures of a run as JSON and as a table. A figure that could not be measured says why, in both.

use crate::{Error, Result};
use data_utils::media::files;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// A figure, or why there is none. In JSON a number, or `{"missing": "…"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    /// What was measured.
    Value(f64),
    /// Why it was not.
    Missing {
        /// The reason, such as "no weights given".
        missing: String,
    },
}

impl Figure {
    /// A figure; one that is infinite or NaN, which JSON cannot hold, becomes a missing one that says so.
    pub fn new(value: f64) -> Self {
        match value {
            v if v.is_finite() => Figure::Value(v),
            v if v.is_nan() => Figure::missing("not a number"),
            _ => Figure::missing("infinite: the pictures are equal"),
        }
    }

    /// A figure that could not be measured.
    pub fn missing(why: impl Into<String>) -> Self {
        Figure::Missing { missing: why.into() }
    }

    /// The number, where there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Figure::Value(v) => Some(*v),
            Figure::Missing { .. } => None,
        }
    }
}

/// Mean of what single frames gave.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mean {
    sum: f64,
    count: usize,
}

impl Mean {
    /// Adds the value of one frame.
    pub fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    /// Number of values added.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean, or `why` there is none.
    pub fn figure(&self, why: &str) -> Figure {
        if self.count == 0 { Figure::missing(why) } else { Figure::new(self.sum / self.count as f64) }
    }
}

/// A column of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Name in JSON, such as `psnr_head`.
    pub key: String,
    /// Heading of the table, with the unit, such as `PSNR head dB`.
    pub title: String,
    /// Digits after the point in the table.
    pub decimals: usize,
}

impl Column {
    /// A column.
    pub fn new(key: &str, title: &str, decimals: usize) -> Self {
        Column { key: key.into(), title: title.into(), decimals }
    }
}

/// One row: a set of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// What was measured, such as `test`.
    pub name: String,
    /// How many frames.
    pub frames: usize,
    /// One figure for each column.
    pub figures: Vec<Figure>,
}

/// A table of figures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Report {
    /// A report without rows.
    pub fn new(columns: Vec<Column>) -> Self {
        Report { columns, rows: Vec::new() }
    }

    /// The columns every evaluation of frames has: PSNR, PSNR under the mask, SSIM, LPIPS, LMD and the correlation
    /// of mouth openings.
    pub fn of_frames(network: &str) -> Self {
        Report::new(vec![
            Column::new("psnr", "PSNR dB", 2),
            Column::new("psnr_mask", "PSNR in mask dB", 2),
            Column::new("ssim", "SSIM", 4),
            Column::new("lpips", &format!("LPIPS {network}"), 4),
            Column::new("lmd", "LMD px", 3),
            Column::new("mouth_correlation", "mouth r", 3),
        ])
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`Error::Internal`] when it does not have a figure for each column.
    pub fn push(&mut self, name: &str, frames: usize, figures: Vec<Figure>) -> Result<()> {
        if figures.len() != self.columns.len() {
            let found = format!("{} figures for {} columns", figures.len(), self.columns.len());
            return Err(Error::Internal(found));
        }
        self.rows.push(Row { name: name.to_string(), frames, figures });
        Ok(())
    }

    /// The figures of another report of the same rows beside these, in columns of their own.
    ///
    /// # Errors
    /// [`Error::Internal`] when it has another number of rows.
    pub fn beside(mut self, other: Report) -> Result<Self> {
        if other.rows.len() != self.rows.len() {
            return Err(Error::Internal(format!("{} rows beside {}", other.rows.len(), self.rows.len())));
        }
        self.columns.extend(other.columns);
        self.rows.iter_mut().zip(other.rows).for_each(|(row, other)| row.figures.extend(other.figures));
        Ok(self)
    }

    /// The rows so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The figure of a row and a column by their names.
    pub fn figure(&self, row: &str, key: &str) -> Option<&Figure> {
        let column = self.columns.iter().position(|c| c.key == key)?;
        self.rows.iter().find(|r| r.name == row)?.figures.get(column)
    }

    /// `{"<row>": {"frames": n, "<key>": number or {"missing": why}, …}, …}` in the order of rows and columns.
    ///
    /// # Errors
    /// [`Error::Internal`] when a figure cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        let mut text = String::from("{");
        let quoted = |v: &str| serde_json::to_string(v).map_err(|e| Error::Internal(format!("metrics: {e}")));
        for (i, row) in self.rows.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            text += &format!("{comma}\n  {}: {{\n    \"frames\": {}", quoted(&row.name)?, row.frames);
            for (column, figure) in self.columns.iter().zip(&row.figures) {
                let figure =
                    serde_json::to_string(figure).map_err(|e| Error::Internal(format!("metrics: {e}")))?;
                text += &format!(",\n    {}: {figure}", quoted(&column.key)?);
            }
            text += "\n  }";
        }
        Ok(text + "\n}\n")
    }

    /// Writes [`Report::to_json`] to a file, as a whole or not at all.
    ///
    /// # Errors
    /// [`Error::Input`] when the place cannot be written to.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        files::write_bytes(path, self.to_json()?.as_bytes())
    }
}

impl fmt::Display for Report {
    /// An aligned table; below it, once each, why figures are missing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<Vec<String>> = vec![
            ["".to_string(), "frames".to_string()]
                .into_iter()
                .chain(self.columns.iter().map(|c| c.title.clone()))
                .collect(),
        ];
        let mut reasons: Vec<String> = Vec::new();
        for row in &self.rows {
            let mut cells = vec![row.name.clone(), row.frames.to_string()];
            for (column, figure) in self.columns.iter().zip(&row.figures) {
                cells.push(match figure {
                    Figure::Value(v) => format!("{v:.*}", column.decimals),
                    Figure::Missing { missing } => {
                        let reason = format!("{}: {missing}", column.title);
                        if !reasons.contains(&reason) {
                            reasons.push(reason);
                        }
                        "–".to_string()
                    }
                });
            }
            lines.push(cells);
        }
        let columns = self.columns.len() + 2;
        let widths: Vec<usize> = (0..columns)
            .map(|k| lines.iter().filter_map(|l| l.get(k)).map(|c| c.chars().count()).max().unwrap_or(0))
            .collect();
        for cells in &lines {
            let mut line = String::new();
            for (k, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // Names to the left, numbers to the right.
                line += &if k == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        for reason in &reasons {
            writeln!(f, "– {reason}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Report {
        let mut report = Report::new(vec![
            Column::new("psnr", "PSNR dB", 2),
            Column::new("lpips", "LPIPS", 4),
            Column::new("lmd", "LMD px", 1),
        ]);
        let missing = || Figure::missing("no weights given");
        report.push("test", 120, vec![Figure::new(31.256), missing(), Figure::new(2.0)]).expect("a row");
        report
            .push("train", 1000, vec![Figure::new(f64::INFINITY), missing(), Figure::new(12.34)])
            .expect("a row");
        report
    }

    #[test]
    fn the_table_is_aligned_and_says_what_is_missing_once() {
        let expected = "       frames  PSNR dB  LPIPS  LMD px\n\
                        test      120    31.26      –     2.0\n\
                        train    1000        –      –    12.3\n\
                        – LPIPS: no weights given\n\
                        – PSNR dB: infinite: the pictures are equal\n";
        assert_eq!(sample().to_string(), expected);
    }

    #[test]
    fn json_holds_numbers_and_reasons() {
        let json: serde_json::Value = serde_json::from_str(&sample().to_json().expect("json")).expect("json");
        assert_eq!(json["test"]["frames"], 120);
        assert_eq!(json["test"]["psnr"], 31.256);
        assert_eq!(json["test"]["lpips"]["missing"], "no weights given");
        assert!(json["train"]["psnr"]["missing"].as_str().expect("a text").starts_with("infinite"));
        let back: Figure = serde_json::from_value(json["test"]["lpips"].clone()).expect("a figure");
        assert_eq!(back, Figure::missing("no weights given"));
    }

    #[test]
    fn a_mean_of_nothing_says_why() {
        let mut mean = Mean::default();
        assert_eq!(mean.figure("no face found"), Figure::missing("no face found"));
        mean.add(1.0);
        mean.add(4.0);
        assert_eq!((mean.figure("no face found").value(), mean.count()), (Some(2.5), 2));
    }

    #[test]
    fn figures_are_found_by_name() {
        let report = sample();
        assert_eq!(report.figure("test", "lmd"), Some(&Figure::Value(2.0)));
        assert_eq!(report.figure("test", "ssim"), None);
        assert_eq!(report.figure("custom", "lmd"), None);
    }

    #[test]
    fn a_row_needs_every_figure() {
        assert_eq!(sample().push("x", 1, vec![]).expect_err("refused").exit_code(), 1);
        assert_eq!(Report::of_frames("squeeze").columns.len(), 6);
    }
}
