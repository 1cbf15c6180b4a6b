//! Exclusive XML Canonicalization 1.0 without comments (W3C, 18 July 2002), of a subtree, with one child left out.
//!
//! It cannot fail and never gives nothing: every tree of [`crate::xml`] has canonical bytes, and they parse to that tree.

use crate::xml::{Element, Node};
use std::collections::BTreeMap;

/// Canonical bytes of `element`, without the child at `without` (the signature, for the enveloped-signature transform).
/// `inclusive` are the prefixes of an `InclusiveNamespaces` list, `#default` for the default namespace.
#[must_use]
pub fn canonical(element: &Element, without: Option<usize>, inclusive: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    write(element, without, inclusive, &BTreeMap::new(), &mut out);
    out
}

fn write(
    element: &Element,
    without: Option<usize>,
    inclusive: &[String],
    rendered: &BTreeMap<&str, &str>,
    out: &mut Vec<u8>,
) {
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::new();
    wanted.insert(&element.prefix, &element.namespace);
    for a in element.attributes.iter().filter(|a| !a.prefix.is_empty()) {
        wanted.insert(&a.prefix, &a.namespace);
    }
    for prefix in inclusive.iter().map(|p| if p == "#default" { "" } else { p.as_str() }) {
        if let Some(uri) = element.scope.get(prefix) {
            wanted.insert(prefix, uri);
        }
    }
    // The prefix `xml` is never declared.
    wanted.remove("xml");
    wanted.retain(|prefix, uri| rendered.get(prefix).copied().unwrap_or_default() != *uri);

    out.push(b'<');
    name(&element.prefix, &element.local, out);
    for (prefix, uri) in &wanted {
        out.extend_from_slice(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
        out.extend_from_slice(prefix.as_bytes());
        value(uri, out);
    }
    let mut attributes: Vec<_> = element.attributes.iter().collect();
    attributes.sort_by_key(|a| (&a.namespace, &a.local));
    for a in attributes {
        out.push(b' ');
        name(&a.prefix, &a.local, out);
        value(&a.value, out);
    }
    out.push(b'>');

    let mut inner = rendered.clone();
    inner.extend(wanted);
    for (i, child) in element.children.iter().enumerate() {
        match child {
            _ if without == Some(i) => {}
            Node::Element(e) => write(e, None, inclusive, &inner, out),
            Node::Text(t) => escape(t, &[('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('\r', "&#xD;")], out),
        }
    }
    out.extend_from_slice(b"</");
    name(&element.prefix, &element.local, out);
    out.push(b'>');
}

fn name(prefix: &str, local: &str, out: &mut Vec<u8>) {
    if !prefix.is_empty() {
        out.extend_from_slice(prefix.as_bytes());
        out.push(b':');
    }
    out.extend_from_slice(local.as_bytes());
}

fn value(value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"=\"");
    let escapes = [('&', "&amp;"), ('<', "&lt;"), ('"', "&quot;"), ('\t', "&#x9;"), ('\n', "&#xA;"), ('\r', "&#xD;")];
    escape(value, &escapes, out);
    out.push(b'"');
}

fn escape(text: &str, escapes: &[(char, &str)], out: &mut Vec<u8>) {
    let mut buffer = [0; 4];
    for c in text.chars() {
        let bytes = escapes.iter().find(|(e, _)| *e == c).map_or_else(|| &*c.encode_utf8(&mut buffer), |(_, to)| to);
        out.extend_from_slice(bytes.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::parse;

    fn c14n(document: &str, inclusive: &[&str]) -> String {
        let inclusive: Vec<String> = inclusive.iter().map(|s| (*s).to_owned()).collect();
        String::from_utf8(canonical(&parse(document.as_bytes()).unwrap(), None, &inclusive)).unwrap()
    }

    #[test]
    fn declares_what_is_used_where_it_is_used() {
        // The example of the recommendation, section 2.2, cut down.
        let doc = "<n0:local xmlns:n0='foo:bar' xmlns:n3='ftp://example.org'><n1:elem2 xmlns:n1='http://example.net' xml:lang='en'><n3:stuff xmlns:n3='ftp://example.org'/></n1:elem2></n0:local>";
        let root = parse(doc.as_bytes()).unwrap();
        let inner = root.elements().next().unwrap();
        assert_eq!(
            String::from_utf8(canonical(inner, None, &[])).unwrap(),
            "<n1:elem2 xmlns:n1=\"http://example.net\" xml:lang=\"en\"><n3:stuff xmlns:n3=\"ftp://example.org\"></n3:stuff></n1:elem2>"
        );
    }

    #[test]
    fn orders_and_escapes() {
        assert_eq!(
            c14n(
                "<a b='2' xmlns:z='u:a' z:b='1' a='\t&quot;&#10;&gt;'  xmlns='u:d' >&gt;&#13;\"<b xmlns=''/></a>",
                &[]
            ),
            "<a xmlns=\"u:d\" xmlns:z=\"u:a\" a=\" &quot;&#xA;>\" b=\"2\" z:b=\"1\">&gt;&#xD;\"<b xmlns=\"\"></b></a>"
        );
    }

    #[test]
    fn inclusive_prefixes_are_kept() {
        let doc = "<a xmlns:xs='u:xs' xmlns='u:d'><b t='xs:string'/></a>";
        assert_eq!(c14n(doc, &[]), "<a xmlns=\"u:d\"><b t=\"xs:string\"></b></a>");
        assert_eq!(c14n(doc, &["xs"]), "<a xmlns=\"u:d\" xmlns:xs=\"u:xs\"><b t=\"xs:string\"></b></a>");
        assert_eq!(c14n(doc, &["nope", "#default"]), "<a xmlns=\"u:d\"><b t=\"xs:string\"></b></a>");
    }

    #[test]
    fn a_prefix_that_is_bound_again_is_declared_again() {
        assert_eq!(
            c14n("<p:a xmlns:p='u:1'><p:a xmlns:p='u:2'><p:a xmlns:p='u:1'/></p:a><p:b/></p:a>", &[]),
            "<p:a xmlns:p=\"u:1\"><p:a xmlns:p=\"u:2\"><p:a xmlns:p=\"u:1\"></p:a></p:a><p:b></p:b></p:a>"
        );
    }
}
