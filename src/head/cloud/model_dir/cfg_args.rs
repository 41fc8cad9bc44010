//! `cfg_args`: one line of Python, `Namespace(key=value, …)`. The readers of the 3DGS family evaluate it; this
//! one only reads it. SIBR looks for `source_path=`, `white_background=` and `sh_degree=` in it.

use std::fmt;

/// A value of `cfg_args`.
#[derive(Debug, Clone, PartialEq)]
pub enum CfgValue {
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A quoted text.
    Text(String),
    /// `None`.
    None,
    /// Anything else with balanced brackets, as it was written: lists, tuples.
    Other(String),
}

impl From<bool> for CfgValue {
    fn from(v: bool) -> Self {
        CfgValue::Bool(v)
    }
}

impl From<i64> for CfgValue {
    fn from(v: i64) -> Self {
        CfgValue::Int(v)
    }
}

impl From<f64> for CfgValue {
    fn from(v: f64) -> Self {
        CfgValue::Float(v)
    }
}

impl From<&str> for CfgValue {
    fn from(v: &str) -> Self {
        CfgValue::Text(v.to_string())
    }
}

impl fmt::Display for CfgValue {
    /// As Python's `repr`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CfgValue::Bool(true) => f.write_str("True"),
            CfgValue::Bool(false) => f.write_str("False"),
            CfgValue::Int(v) => write!(f, "{v}"),
            // {:?} keeps the point that tells a float from an int.
            CfgValue::Float(v) => write!(f, "{v:?}"),
            CfgValue::Text(v) => {
                f.write_str("'")?;
                for c in v.chars() {
                    match c {
                        '\\' => f.write_str("\\\\")?,
                        '\'' => f.write_str("\\'")?,
                        '\n' => f.write_str("\\n")?,
                        '\r' => f.write_str("\\r")?,
                        '\t' => f.write_str("\\t")?,
                        c => write!(f, "{c}")?,
                    }
                }
                f.write_str("'")
            }
            CfgValue::None => f.write_str("None"),
            CfgValue::Other(v) => f.write_str(v),
        }
    }
}

/// The keys and values of `cfg_args`, in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CfgArgs {
    values: Vec<(String, CfgValue)>,
}

impl CfgArgs {
    /// What SIBR needs, to which [`CfgArgs::set`] adds.
    pub fn new(sh_degree: usize, source_path: &str, white_background: bool) -> Self {
        let mut args = CfgArgs::default();
        args.set("sh_degree", sh_degree as i64);
        args.set("source_path", source_path);
        args.set("white_background", white_background);
        args
    }

    /// Sets a key, which must be a Python name; a key that is there keeps its place.
    pub fn set(&mut self, key: &str, value: impl Into<CfgValue>) {
        let value = value.into();
        match self.values.iter_mut().find(|(k, _)| k == key) {
            Some((_, v)) => *v = value,
            None => self.values.push((key.to_string(), value)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&CfgValue> {
        self.values.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// The value of a key that holds a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(CfgValue::Text(v)) => Some(v),
            _ => None,
        }
    }

    /// The value of a key that holds a whole number.
    pub fn int(&self, key: &str) -> Option<i64> {
        match self.get(key) {
            Some(CfgValue::Int(v)) => Some(*v),
            _ => None,
        }
    }

    /// The value of a key that holds a truth value.
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.get(key) {
            Some(CfgValue::Bool(v)) => Some(*v),
            _ => None,
        }
    }

    /// Reads the line; on failure what was found instead.
    pub fn parse(text: &str) -> Result<CfgArgs, String> {
        let line = text.trim();
        let inner = line.strip_prefix("Namespace(").and_then(|rest| rest.strip_suffix(')'));
        let Some(mut rest) = inner.map(str::trim) else { return Err(format!("`{}`", shortened(line))) };
        let mut args = CfgArgs::default();
        while !rest.is_empty() {
            let Some((key, after)) = rest.split_once('=') else {
                return Err(format!("no `=` in `{}`", shortened(rest)));
            };
            let key = key.trim();
            if key.is_empty() || !key.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("`{}` where a name should be", shortened(key)));
            }
            let length =
                value_length(after).ok_or_else(|| format!("an open quote or bracket after `{key}=`"))?;
            let value = after[..length].trim();
            let value = value_of(value).ok_or_else(|| format!("`{key}={}`", shortened(value)))?;
            args.set(key, value);
            rest = after[length..].trim_start_matches(',').trim_start();
        }
        Ok(args)
    }
}

impl fmt::Display for CfgArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
        write!(f, "Namespace({})", parts.join(", "))
    }
}

/// Bytes up to the comma that ends the first value of `text`, or to the end.
fn value_length(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0i32, None, false);
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None => match c {
                '\'' | '"' => quote = Some(c),
                '[' | '(' | '{' => depth += 1,
                ']' | ')' | '}' => depth -= 1,
                ',' if depth == 0 => return Some(at),
                _ => {}
            },
        }
        if depth < 0 {
            return None;
        }
    }
    (depth == 0 && quote.is_none()).then_some(text.len())
}

fn value_of(text: &str) -> Option<CfgValue> {
    match text {
        "" => return None,
        "True" => return Some(CfgValue::Bool(true)),
        "False" => return Some(CfgValue::Bool(false)),
        "None" => return Some(CfgValue::None),
        _ => {}
    }
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return text[1..].strip_suffix(quote).map(|inner| CfgValue::Text(unescaped(inner)));
    }
    if let Ok(v) = text.parse() {
        return Some(CfgValue::Int(v));
    }
    let float = text.parse().ok().map(CfgValue::Float);
    Some(float.unwrap_or_else(|| CfgValue::Other(text.to_string())))
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, false) => out.push(c),
            _ => match chars.next() {
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('t') => out.push('\t'),
                Some(other) => out.push(other),
                None => out.push('\\'),
            },
        }
    }
    out
}

fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
