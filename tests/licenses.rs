//! Every crate that we build with is under a licence that `.deny.toml` allows, comes from crates.io, and is not one
//! that it bans.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The list of strings at `table.key`; of a list of tables their `name`s.
fn list(rules: &toml::Table, table: &str, key: &str) -> Vec<String> {
    let entries = rules[table][key].as_array().expect("a list");
    let name = |entry: &toml::Value| {
        entry.as_str().or_else(|| entry.get("name")?.as_str()).expect("a name").to_owned()
    };
    entries.iter().map(name).collect()
}

/// What `rules` have against a package of `cargo metadata`.
fn fault(rules: &toml::Table, package: &Value) -> Option<String> {
    let name = package["name"].as_str().expect("a name");
    if list(rules, "bans", "deny").iter().any(|banned| banned == name) {
        return Some(format!("{name} is banned"));
    }
    if let Some(source) = package["source"].as_str()
        && source != REGISTRY
    {
        return Some(format!("{name} comes from {source}"));
    }
    let Some(license) = package["license"].as_str() else {
        return Some(format!("{name} names no licence"));
    };
    let allowed = list(rules, "licenses", "allow");
    let expression = match spdx::Expression::parse_mode(license, spdx::ParseMode::LAX) {
        Ok(expression) => expression,
        Err(error) => return Some(format!("{name}: {license} is no SPDX expression: {error}")),
    };
    let allows = expression.evaluate(|requirement| {
        let named = requirement.license.id().map(|id| id.name);
        named.is_some_and(|id| requirement.addition.is_none() && allowed.iter().any(|a| a == id))
    });
    (!allows).then(|| format!("{name} is under {license}"))
}

fn rules() -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".deny.toml");
    std::fs::read_to_string(path).expect("rules").parse().expect("TOML")
}

#[test]
fn every_crate_is_allowed() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--all-features", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 100, "{} packages", packages.len());
    let rules = rules();
    let faults: Vec<String> = packages.iter().filter_map(|p| fault(&rules, p)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_not_allowed_is_named() {
    let rules = rules();
    let package = |name: &str, license: Value, source: &str| {
        fault(&rules, &serde_json::json!({ "name": name, "license": license, "source": source }))
    };
    for license in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert_eq!(package("a", license.into(), REGISTRY), None, "{license}");
    }
    for license in ["GPL-3.0", "MIT AND AGPL-3.0", "MIT WITH LLVM-exception", "what it says in LICENSE"] {
        assert!(package("a", license.into(), REGISTRY).is_some(), "{license}");
    }
    assert!(package("a", Value::Null, REGISTRY).is_some());
    assert!(package("a", "MIT".into(), "git+https://example.org/a").is_some());
    assert!(package("reqwest", "MIT".into(), REGISTRY).is_some());
}
