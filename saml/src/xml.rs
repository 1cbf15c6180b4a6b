//! A parser for the part of XML that signed documents need: elements, attributes, text, the five named references and
//! numeric ones, namespaces.
//!
//! Anything else is refused, not skipped: document types, entities, comments, processing instructions, CDATA, names outside
//! of ASCII, undeclared or relative namespaces, attributes that are equal by expanded name. A tree of this parser has one
//! reading only, and [`crate::canonical`] gives back bytes that parse to the same tree.
//!
//! Depth, attributes and namespaces in scope are bounded; the rest is bounded by the caller's limit on bytes.

use crate::Refused;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Namespace of the prefix `xml`.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";
const DEPTH_MAX: usize = 24;
const ATTRIBUTES_MAX: usize = 32;
const SCOPE_MAX: usize = 32;

/// Namespaces in scope by prefix; the default namespace has the prefix `""`.
pub type Scope = Rc<BTreeMap<String, String>>;

/// An attribute that is not a namespace declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Prefix, or empty.
    pub prefix: String,
    /// Local name.
    pub local: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Value, references resolved.
    pub value: String,
}

/// An element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// Prefix, or empty.
    pub prefix: String,
    /// Local name.
    pub local: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Attributes in document order.
    pub attributes: Vec<Attribute>,
    /// Children in document order; adjacent texts are one.
    pub children: Vec<Node>,
    /// Namespaces in scope.
    pub scope: Scope,
}

/// A child of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// An element.
    Element(Element),
    /// Text, references resolved.
    Text(String),
}

impl Element {
    /// Has this expanded name.
    #[must_use]
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local == local && self.namespace == namespace
    }

    /// The attribute of this name that is in no namespace.
    #[must_use]
    pub fn attribute(&self, local: &str) -> Option<&str> {
        self.attributes.iter().find(|a| a.local == local && a.namespace.is_empty()).map(|a| a.value.as_str())
    }

    /// Child elements.
    pub fn elements(&self) -> impl Iterator<Item = &Self> {
        self.children.iter().filter_map(|c| match c {
            Node::Element(e) => Some(e),
            Node::Text(_) => None,
        })
    }

    /// Text of an element that has no child elements, without the white space around it.
    ///
    /// # Errors
    /// There is a child element.
    pub fn text(&self) -> Result<&str, Refused> {
        match self.children.as_slice() {
            [] => Ok(""),
            [Node::Text(text)] => Ok(text.trim_matches([' ', '\t', '\r', '\n'])),
            _ => Err(Refused("an element that should hold text only has child elements")),
        }
    }

    /// Calls `visit` for this element and everything in it, in document order.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        self.elements().for_each(|e| e.walk(visit));
    }
}

/// Parses a document.
///
/// # Errors
/// It is not of the subset; the message says what is not allowed, never the document's bytes.
pub fn parse(document: &[u8]) -> Result<Element, Refused> {
    let text = std::str::from_utf8(document).map_err(|_| Refused("not UTF-8"))?;
    if !text.chars().all(is_char) {
        return Err(Refused("a character that XML does not allow"));
    }
    let mut parser = Parser { rest: text };
    parser.declaration()?;
    parser.spaces();
    let scope = Rc::new(BTreeMap::from([(String::new(), String::new())]));
    let root = parser.element(&scope, 1)?;
    parser.spaces();
    if !parser.rest.is_empty() {
        return Err(Refused("something follows the document's element"));
    }
    Ok(root)
}

/// `Char` of XML 1.0.
fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

struct Parser<'a> {
    rest: &'a str,
}

/// A name with its optional prefix.
type Name<'a> = (&'a str, &'a str);

impl<'a> Parser<'a> {
    fn eat(&mut self, token: &str) -> bool {
        self.rest.strip_prefix(token).map(|rest| self.rest = rest).is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), Refused> {
        if self.eat(token) { Ok(()) } else { Err(Refused("malformed XML")) }
    }

    fn spaces(&mut self) -> bool {
        let rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let any = rest.len() < self.rest.len();
        self.rest = rest;
        any
    }

    /// The XML declaration, of version 1.0 and, if it says an encoding, UTF-8.
    fn declaration(&mut self) -> Result<(), Refused> {
        if !self.eat("<?xml") {
            return Ok(());
        }
        const OTHER: Refused = Refused("only XML 1.0 in UTF-8 is accepted");
        let end = self.rest.find("?>").ok_or(OTHER)?;
        let said: String = self.rest[..end].replace('\'', "\"");
        self.rest = &self.rest[end + 2..];
        let mut words = said.split_ascii_whitespace();
        if !said.starts_with([' ', '\t', '\r', '\n']) || words.next() != Some("version=\"1.0\"") {
            return Err(OTHER);
        }
        let mut next = words.next();
        if next.is_some_and(|w| w.eq_ignore_ascii_case("encoding=\"utf-8\"")) {
            next = words.next();
        }
        if next.is_some_and(|w| w == "standalone=\"yes\"" || w == "standalone=\"no\"") {
            next = words.next();
        }
        if next.is_some() { Err(OTHER) } else { Ok(()) }
    }

    fn name_part(&mut self) -> Result<&'a str, Refused> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let end = self.rest.find(|c| !inner(c)).unwrap_or(self.rest.len());
        let (part, rest) = self.rest.split_at(end);
        if !part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Err(Refused("a name that is not accepted"));
        }
        self.rest = rest;
        Ok(part)
    }

    fn name(&mut self) -> Result<Name<'a>, Refused> {
        let first = self.name_part()?;
        if self.eat(":") { Ok((first, self.name_part()?)) } else { Ok(("", first)) }
    }

    fn element(&mut self, outer: &Scope, depth: usize) -> Result<Element, Refused> {
        if depth > DEPTH_MAX {
            return Err(Refused("nested too deeply"));
        }
        self.expect("<")?;
        if self.rest.starts_with(['!', '?']) {
            return Err(Refused("comments, document types and processing instructions are not accepted"));
        }
        let (prefix, local) = self.name()?;
        let mut declared = Vec::new();
        let mut plain: Vec<(Name<'a>, String)> = Vec::new();
        let empty = loop {
            let spaced = self.spaces();
            if self.eat("/>") {
                break true;
            }
            if self.eat(">") {
                break false;
            }
            if !spaced || declared.len() + plain.len() == ATTRIBUTES_MAX {
                return Err(Refused("malformed attributes, or too many"));
            }
            let name = self.name()?;
            self.spaces();
            self.expect("=")?;
            self.spaces();
            let value = self.attribute_value()?;
            match name {
                ("", "xmlns") => declared.push(("", value)),
                ("xmlns", bound) => declared.push((bound, value)),
                _ => plain.push((name, value)),
            }
        };
        let scope = declare(outer, declared)?;
        let mut attributes: Vec<Attribute> = Vec::with_capacity(plain.len());
        for ((prefix, local), value) in plain {
            let namespace = if prefix.is_empty() { String::new() } else { resolve(&scope, prefix)? };
            if attributes.iter().any(|a| a.local == local && a.namespace == namespace) {
                return Err(Refused("an attribute is given twice"));
            }
            attributes.push(Attribute { prefix: prefix.to_owned(), local: local.to_owned(), namespace, value });
        }
        let mut element = Element {
            prefix: prefix.to_owned(),
            local: local.to_owned(),
            namespace: resolve(&scope, prefix)?,
            attributes,
            children: Vec::new(),
            scope,
        };
        if !empty {
            self.content(&mut element, depth)?;
            if self.name()? != (prefix, local) {
                return Err(Refused("an end tag does not match"));
            }
            self.spaces();
            self.expect(">")?;
        }
        Ok(element)
    }

    /// Children up to and with the `</` of the end tag.
    fn content(&mut self, element: &mut Element, depth: usize) -> Result<(), Refused> {
        loop {
            let end = self.rest.find('<').ok_or(Refused("an element does not end"))?;
            if end > 0 {
                let (raw, rest) = self.rest.split_at(end);
                self.rest = rest;
                if raw.contains("]]>") {
                    return Err(Refused("malformed text"));
                }
                element.children.push(Node::Text(resolved(raw, |c, out| out.push(c))?));
            }
            if self.eat("</") {
                return Ok(());
            }
            element.children.push(Node::Element(self.element(&element.scope, depth + 1)?));
        }
    }

    fn attribute_value(&mut self) -> Result<String, Refused> {
        const MALFORMED: Refused = Refused("malformed attribute value");
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(MALFORMED)?;
        let rest = &self.rest[1..];
        let end = rest.find(quote).ok_or(MALFORMED)?;
        let raw = &rest[..end];
        self.rest = &rest[end + 1..];
        if raw.contains('<') {
            return Err(MALFORMED);
        }
        // XML 1.0 3.3.3: white space that is written as itself becomes a space.
        resolved(raw, |c, out| out.push(if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c }))
    }
}

/// Line ends made one (XML 1.0 2.11) and references resolved; `literal` takes characters that were written as themselves.
fn resolved(raw: &str, literal: impl Fn(char, &mut String)) -> Result<String, Refused> {
    const UNKNOWN: Refused = Refused("a reference that is not accepted");
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '&' => {
                let end = rest.find(';').ok_or(UNKNOWN)?;
                out.push(match &rest[..end] {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    "quot" => '"',
                    "apos" => '\'',
                    number => numeric(number).ok_or(UNKNOWN)?,
                });
                rest = &rest[end + 1..];
            }
            '\r' => {
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                literal('\n', &mut out);
            }
            c => literal(c, &mut out),
        }
    }
    Ok(out)
}

fn numeric(reference: &str) -> Option<char> {
    let digits = reference.strip_prefix('#')?;
    let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |hex| (hex, 16));
    if digits.is_empty() || digits.len() > 8 || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().and_then(char::from_u32).filter(|c| is_char(*c))
}

fn declare(outer: &Scope, declared: Vec<(&str, String)>) -> Result<Scope, Refused> {
    if declared.is_empty() {
        return Ok(Rc::clone(outer));
    }
    let mut scope = BTreeMap::clone(outer);
    for (i, (prefix, uri)) in declared.iter().enumerate() {
        if declared[..i].iter().any(|(p, _)| p == prefix) {
            return Err(Refused("an attribute is given twice"));
        }
        // A relative namespace makes canonical XML undefined; implementations have returned nothing for it.
        let absolute = uri.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
                && !rest.is_empty()
        });
        let undeclared = prefix.is_empty() && uri.is_empty();
        let plain = uri.chars().all(|c| c.is_ascii_graphic());
        let reserved = matches!(*prefix, "xml" | "xmlns") || uri == XML_NAMESPACE || uri == XMLNS_NAMESPACE;
        if reserved || !plain || !(absolute || undeclared) {
            return Err(Refused("a namespace declaration that is not accepted"));
        }
        scope.insert((*prefix).to_owned(), uri.clone());
    }
    if scope.len() > SCOPE_MAX {
        return Err(Refused("too many namespaces in scope"));
    }
    Ok(Rc::new(scope))
}

fn resolve(scope: &Scope, prefix: &str) -> Result<String, Refused> {
    match prefix {
        "xml" => Ok(XML_NAMESPACE.to_owned()),
        _ => scope.get(prefix).cloned().ok_or(Refused("a prefix that is not declared")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical;
    use proptest::prelude::*;

    #[test]
    fn reads_what_the_subset_has() {
        let root = parse(b"<?xml version='1.0' encoding='utf-8'?>\n<a xmlns=\"u:1\" x='1&#x41;&lt;\n2'><p:b xmlns:p='u:2'/>t&amp;\r\nu</a >").unwrap();
        assert!(root.is("u:1", "a"));
        assert_eq!(root.attribute("x"), Some("1A< 2"));
        assert!(root.elements().next().unwrap().is("u:2", "b"));
        assert_eq!(root.children[1], Node::Text("t&\nu".to_owned()));
    }

    #[test]
    fn refuses_what_it_has_not() {
        for bad in [
            "",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<a><!-- c --></a>",
            "<a>x<!-- c -->y</a>",
            "<!-- c --><a/>",
            "<a/><!-- c -->",
            "<a><?pi?></a>",
            "<?pi?><a/>",
            "<a><![CDATA[x]]></a>",
            "<a>]]></a>",
            "<a>&x;</a>",
            "<a>&#0;</a>",
            "<a>&#x110000;</a>",
            "<a>&#xD800;</a>",
            "<a>&#+65;</a>",
            "<a>&amp</a>",
            "<a b='<'/>",
            "<a b='1' b='2'/>",
            "<a b='1'c='2'/>",
            "<a b=1/>",
            "<a xmlns:p='u:1' xmlns:q='u:1' p:b='1' q:b='2'/>",
            "<p:a/>",
            "<a p:b=''/>",
            "<a xmlns:p=''/>",
            "<a xmlns:p='relative'/>",
            "<a xmlns:p='1:x'/>",
            "<a xmlns:p='u:1' xmlns:p='u:2'/>",
            "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
            "<a xmlns:xmlns='u:1'/>",
            "<xmlns:a/>",
            "<a:b:c xmlns:a='u:1'/>",
            "<\u{e9}/>",
            "<a>\u{1}</a>",
            "<a>\u{fffe}</a>",
            "<?xml version='1.1'?><a/>",
            "<?xml version='1.0' encoding='utf-16'?><a/>",
            "<?xml?><a/>",
            " <?xml version='1.0'?><a/>",
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"<a>\xff</a>").is_err());
        let deep = "<a>".repeat(10_000);
        assert_eq!(parse(deep.as_bytes()).unwrap_err(), Refused("nested too deeply"));
    }

    /// Text of a made-up document out of pieces that are near to each other's meaning.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("<a>"),
            Just("</a>"),
            Just("<a/>"),
            Just("<p:b xmlns:p='u:1'>"),
            Just("</p:b>"),
            Just("<b xmlns='u:2' c='d'>"),
            Just("</b>"),
            Just("&amp;"),
            Just("&#13;"),
            Just("\r\n"),
            Just("\rx"),
            Just("text"),
            Just("\u{e9}\u{1f600}"),
            Just("]]"),
            Just(">"),
            Just("&#x3c;"),
            Just("<c xml:lang='x' b=\"&#9;&quot;'\"/>"),
            Just("<!--x-->"),
            Just("&lt;"),
            Just("<p:d xmlns:p='u:1' xmlns:q='u:3' q:e='' p:e='1' e=\"2\"/>"),
            Just("<![CDATA[x]]>"),
            Just("<?x?>"),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|v| format!("<r xmlns='u:0'>{}</r>", v.concat()))
    }

    /// The other parser's reading of the same document.
    fn same(ours: &Element, theirs: roxmltree::Node<'_, '_>) -> bool {
        let name = theirs.tag_name();
        let mut children = theirs.children();
        ours.local == name.name()
            && ours.namespace == name.namespace().unwrap_or_default()
            && ours.attributes.len() == theirs.attributes().len()
            && ours.attributes.iter().all(|a| {
                theirs.attributes().any(|b| {
                    b.name() == a.local && b.value() == a.value && b.namespace().unwrap_or_default() == a.namespace
                })
            })
            && ours.children.iter().all(|c| match (c, children.next()) {
                (Node::Element(e), Some(other)) => other.is_element() && same(e, other),
                (Node::Text(t), Some(other)) => other.is_text() && other.text() == Some(t),
                (_, None) => false,
            })
            && children.next().is_none()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_accepted_has_the_same_reading_elsewhere_and_survives_canonical_form(document in pieces()) {
            if let Ok(root) = parse(document.as_bytes()) {
                let theirs = roxmltree::Document::parse(&document).expect("accepted here, refused there");
                prop_assert!(same(&root, theirs.root_element()));
                let once = canonical(&root, None, &[]);
                let again = parse(&once).expect("canonical bytes parse");
                prop_assert_eq!(canonical(&again, None, &[]), once);
            }
        }
    }
}
