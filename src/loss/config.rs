//! The weights as keys of a configuration, `lambda_…`, beside keys of other meaning.

use super::terms::{TERMS, Weights};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// Keys of the terms in the order of [`TERMS`]; empty where a term has none.
const KEYS: &[&str] = &{
    let mut keys = [""; TERMS.len()];
    let mut number = 0;
    while number < keys.len() {
        if let Some(key) = &TERMS[number].key {
            keys[number] = key.name;
        }
        number += 1;
    }
    keys
};

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, weight) in KEYS.iter().zip(self.each()).filter(|(key, _)| !key.is_empty()) {
            map.serialize_entry(key, &weight)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As a struct with fields of these names, so that a struct which flattens the weights keeps its other keys.
        deserializer.deserialize_struct("Weights", KEYS, Keys)
    }
}

/// Reads the keys that are there; the others keep their defaults.
struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Weights;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("weights of the loss, lambda_…")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights, A::Error> {
        let mut each = Weights::default().each();
        while let Some(key) = map.next_key::<String>()? {
            match KEYS.iter().position(|known| *known == key) {
                Some(number) => each[number] = map.next_value()?,
                None => return Err(serde::de::Error::unknown_field(&key, KEYS)),
            }
        }
        Ok(Weights::new(each))
    }
}
