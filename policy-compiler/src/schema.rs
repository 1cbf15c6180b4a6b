//! The JSON Schema (2020-12) of rule files, made from the same tables the reader uses, so that an editor completes exactly
//! the words that are understood.
//!
//! The schema is looser than the compiler where JSON Schema cannot say it (names that must exist elsewhere, selectors,
//! literals in expressions); `policy-compiler check` has the last word.

use serde_json::{Map, Value, json};

use crate::library;
use crate::words::{self, Key};

/// The schema as text, ending in a newline: what `policy-compiler schema` prints.
#[must_use]
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text.push('\n');
    text
}

fn texts() -> Value {
    json!({"oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}]})
}

/// One of these words, or a list of them.
fn words_of(values: Vec<Value>) -> Value {
    let one = json!({"oneOf": values});
    json!({"oneOf": [one, {"type": "array", "items": one, "uniqueItems": true}]})
}

fn word(name: &str, meaning: &str) -> Value {
    json!({"const": name, "description": meaning})
}

/// A mapping with the keys of a table; `shape` gives the schema of each key's value.
fn mapping(keys: &[Key], shape: impl Fn(&str) -> Value) -> Value {
    let mut properties = Map::new();
    for key in keys {
        let mut value = shape(key.name);
        if let Value::Object(map) = &mut value {
            map.insert("description".to_owned(), json!(key.meaning));
        }
        properties.insert(key.name.to_owned(), value);
    }
    let required: Vec<_> = keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    let mut object = json!({"type": "object", "additionalProperties": false, "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn named(entry: &str) -> Value {
    json!({
        "type": "object",
        "propertyNames": {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"},
        "additionalProperties": {"$ref": format!("#/$defs/{entry}")}
    })
}

fn redaction() -> Value {
    let simple = words::SIMPLE_REDACTIONS.iter().map(|(n, meaning)| word(n, meaning));
    let counted = words::COUNTED_REDACTIONS.iter().map(
        |(n, meaning)| json!({"type": "string", "pattern": format!("^{n} +[0-9]{{1,4}}$"), "description": meaning}),
    );
    let token = mapping(words::TOKEN, |k| match k {
        "length" => json!({"type": "integer", "minimum": 8, "maximum": 64, "default": 16}),
        _ => json!({"type": "string", "minLength": 1}),
    });
    let mut object = mapping(words::REDACTION, |k| match k {
        "keep-first" | "keep-last" => json!({"type": "integer", "minimum": 1, "maximum": 1000}),
        "fill" => json!({"type": "string", "minLength": 1, "maxLength": 1}),
        "token" => token.clone(),
        _ => json!({"type": "string"}),
    });
    object["minProperties"] = json!(1);
    object["maxProperties"] = json!(2);
    let null = json!({"type": "null", "description": "SQL NULL."});
    json!({"oneOf": simple.chain(counted).chain([null, object]).collect::<Vec<_>>()})
}

fn schema() -> Value {
    let effects: Vec<_> = words::effects().map(|n| json!({"const": n})).collect();
    let detectors: Vec<_> = words::DETECTORS.iter().map(|(n, _, meaning)| word(n, meaning)).collect();
    let letters: Vec<String> = ('A'..='R').map(String::from).collect();
    let class_names: Vec<_> = library::CLASSES.iter().map(|c| (c.name, c.description)).collect();

    let target = mapping(words::TARGET, |k| match k {
        "protocol" => json!({"enum": words::PROTOCOLS}),
        "tls" => json!({"enum": words::TLS, "default": "verify-full"}),
        "audit" => json!({"enum": words::AUDIT, "default": "strict"}),
        "address" => json!({"type": "string", "pattern": ":[0-9]{1,5}$"}),
        _ => json!({"type": "string", "minLength": 1}),
    });
    let class = mapping(words::CLASS, |k| match k {
        // Detectors are offered; names of word lists are allowed.
        "scan" => {
            let mut offered = detectors.clone();
            offered.push(json!({"type": "string", "minLength": 1}));
            let one = json!({"anyOf": offered});
            json!({"oneOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": one, "minItems": 1}]})
        }
        "identifier" => json!({"enum": letters}),
        "description" => json!({"type": "string"}),
        _ => texts(),
    });
    let word_list =
        mapping(words::WORD_LIST, |k| if k == "file" { json!({"type": "string", "minLength": 1}) } else { texts() });
    let per: Vec<&str> = words::PER.iter().map(|(name, _)| *name).collect();
    let filter = mapping(words::FILTER, |k| match k {
        "per" => json!({"enum": per, "default": "day"}),
        _ => json!({"type": "integer", "minimum": 1, "maximum": 1_000_000}),
    });
    let budget = mapping(words::BUDGET, |k| match k {
        "per" => json!({"enum": per}),
        "class" => json!({"type": "string", "minLength": 1}),
        "bytes" => json!({"type": "string", "pattern": "^[1-9][0-9]* *(B|KB|MB|GB|KiB|MiB|GiB)$"}),
        _ => json!({"type": "integer", "minimum": 1}),
    });
    let time = json!({"type": "string", "pattern": "^[1-9][0-9]* *(m|min|minutes?|h|hours?)$"});
    let request = mapping(words::REQUEST, |k| match k {
        "approvals" => json!({"type": "integer", "minimum": 0, "maximum": 9, "default": 1}),
        "max" => time.clone(),
        _ => texts(),
    });
    let break_glass = mapping(words::BREAK_GLASS, |k| if k == "max" { time.clone() } else { texts() });
    let mut role = mapping(words::ROLE, |k| match k {
        "request" => request.clone(),
        "break-glass" => break_glass.clone(),
        "default" => json!({"enum": words::DEFAULT, "default": "mask"}),
        "redact" => json!({"oneOf": [{"$ref": "#/$defs/redaction"}, {"$ref": "#/$defs/redactions"}]}),
        "mode" => json!({"enum": words::MODE, "default": "enforce"}),
        "filter" => {
            json!({"type": "object", "additionalProperties": {"oneOf": [{"const": "equality"}, filter.clone()]}})
        }
        "budgets" => json!({"type": "array", "items": budget.clone()}),
        _ => texts(),
    });
    role["anyOf"] = json!([{"required": ["groups"]}, {"required": ["request"]}, {"required": ["break-glass"]}]);
    let block = mapping(words::BLOCK, |k| match k {
        "name" | "message" | "hint" => json!({"type": "string", "minLength": 1}),
        "effects" => words_of(effects.clone()),
        _ => texts(),
    });
    let hold = mapping(words::HOLD, |k| match k {
        "name" | "message" | "hint" => json!({"type": "string", "minLength": 1}),
        "effects" => words_of(effects.clone()),
        "rows-over" => json!({"type": "integer", "minimum": 1}),
        "approvals" => json!({"type": "integer", "minimum": 1, "maximum": 16, "default": 1}),
        "distinct-groups" => json!({"type": "boolean", "default": false}),
        "in-transaction" => json!({"enum": words::IN_TRANSACTION, "default": "refuse"}),
        _ => texts(),
    });
    let test = mapping(words::TEST, |k| match k {
        "expect" => json!({"enum": words::EXPECT}),
        "groups" => texts(),
        "columns" => json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/expected"}}),
        _ => json!({"type": "string", "minLength": 1}),
    });
    // Class names of the library are offered by the editor; a file's own are allowed.
    let mut redactions = Map::new();
    for (name, description) in class_names {
        redactions.insert(name.to_owned(), json!({"$ref": "#/$defs/redaction", "description": description}));
    }
    let expected = json!({"anyOf": [
        {"$ref": "#/$defs/redaction"},
        {"enum": ["keep-first", "keep-last", "token", "constant", "scan", "fill"]}
    ]});

    let mut root = mapping(words::FILE, |k| match k {
        "version" => json!({"const": 1}),
        "use" => {
            words_of(vec![word(library::SAFE_HARBOR, "The identifiers of 45 CFR 164.514(b)(2)(i), and free text.")])
        }
        "targets" => named("target"),
        "classes" => named("class"),
        "word-lists" => named("word-list"),
        "roles" => named("role"),
        "block" => json!({"type": "array", "items": block}),
        "hold" => json!({"type": "array", "items": hold}),
        "tests" => json!({"type": "array", "items": test}),
        _ => texts(),
    });
    root["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    root["$id"] = json!("https://tidegate.dev/schema/rules-1.json");
    root["title"] = json!("Tidegate rule file");
    root["$defs"] = json!({
        "target": target,
        "class": {"oneOf": [class, texts()]},
        "word-list": {"oneOf": [word_list, {"type": "array", "items": {"type": "string", "minLength": 1}}]},
        "role": role,
        "redaction": redaction(),
        "redactions": {"type": "object", "properties": redactions, "additionalProperties": {"$ref": "#/$defs/redaction"}},
        "expected": expected
    });
    root
}
