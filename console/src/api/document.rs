//! The OpenAPI 3.1 document, made from the table.

use super::table::{Changes as _, Field, Kind, Shape, Verb};
use super::{BASE, all};
use serde_json::{Map, Value, json};

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text(most) => json!({"type": "string", "maxLength": most}),
        Kind::Number(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Truth => json!({"type": "boolean"}),
        Kind::Object => json!({"type": "object"}),
    }
}

fn members(of: &[(&str, &str, &str)]) -> Value {
    let properties: Map<String, Value> = of
        .iter()
        .map(|(name, kind, about)| ((*name).to_owned(), json!({"type": kind, "description": about})))
        .collect();
    json!({"type": "object", "properties": properties})
}

fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Object(of) => members(of),
        Shape::List(name, of) => {
            json!({"type": "object", "required": [name], "properties": {name: {"type": "array", "items": members(of)}}})
        }
    }
}

fn parameter(field: &Field, place: &str) -> Value {
    json!({
        "name": field.name, "in": place, "required": field.required, "description": field.about,
        "schema": schema(field.kind),
    })
}

fn operation(verb: &Verb) -> Value {
    let named = verb.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> =
        named.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}})).collect();
    let mut operation = json!({
        "operationId": verb.name, "tags": [verb.tag], "summary": verb.summary,
        "x-tidegate-allowed": verb.allowed.word(),
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {"schema": shape(verb.gives)}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    if verb.method.changes() {
        let properties: Map<String, Value> = verb
            .takes
            .iter()
            .map(|field| {
                let mut schema = schema(field.kind);
                schema["description"] = json!(field.about);
                (field.name.to_owned(), schema)
            })
            .collect();
        let required: Vec<&str> = verb.takes.iter().filter(|field| field.required).map(|field| field.name).collect();
        if !properties.is_empty() {
            let schema = json!({
                "type": "object", "properties": properties, "required": required, "additionalProperties": false,
            });
            operation["requestBody"] =
                json!({"required": !required.is_empty(), "content": {"application/json": {"schema": schema}}});
        }
    } else {
        parameters.extend(verb.takes.iter().map(|field| parameter(field, "query")));
    }
    if !parameters.is_empty() {
        operation["parameters"] = json!(parameters);
    }
    if verb.allowed == super::Allowed::Anyone {
        operation["security"] = json!([]);
    }
    operation
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for verb in all() {
        let item = paths.entry(format!("{BASE}{}", verb.path)).or_insert_with(|| json!({}));
        item[verb.method.as_str().to_lowercase()] = operation(verb);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate", "version": "1",
            "description": "Who may do what, for how long. `x-tidegate-allowed` says who may call an operation.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"cookie": [], "csrf": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "Token of a sign-in"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "__Host-tidegate"},
                "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRF-Token",
                         "description": "With the cookie, for what changes something"},
            },
            "responses": {
                "Problem": {
                    "description": "Not done, and why",
                    "content": {"application/json": {"schema": {
                        "type": "object",
                        "required": ["error", "message"],
                        "properties": {
                            "error": {"type": "string", "description": "Stable word"},
                            "message": {"type": "string", "description": "For people"},
                        },
                    }}},
                },
            },
        },
    })
}
