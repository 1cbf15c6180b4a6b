//! The one accepted shape of a SAML response (SAML core 2.0, profiles 4.1.4), and its claims.
//!
//! Shape first, over the whole document; then signatures; then every claim, read from the canonical bytes that a signature
//! covers. What of the response is not signed can only lead to a refusal, never to a claim.

use crate::dsig::{self, DSIG};
use crate::xml::{self, Element, Node};
use crate::{Certificate, RESPONSE_BYTES_MAX, Refused, SKEW_SECONDS, instant};
use std::collections::BTreeMap;

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const ENTITY: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
/// An assertion that is accepted for longer than this many seconds is not a sign-in.
const LIFETIME_MAX: i64 = 24 * 3_600;
const VALUES_MAX: usize = 2_048;
const VALUE_BYTES_MAX: usize = 1_024;

/// What a response has to say to be accepted.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// Seconds since 1970, now.
    pub now: i64,
    /// Entity id of the identity provider.
    pub issuer: &'a str,
    /// Its pinned certificates; more than one while it changes keys.
    pub certificates: &'a [Certificate],
    /// Our entity id.
    pub audience: &'a str,
    /// URL where we take responses.
    pub consumer: &'a str,
    /// Id of the request this must answer.
    pub request: &'a str,
}

/// What a response says of who signed in. All of it was signed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Entity id of the identity provider.
    pub issuer: String,
    /// `NameID`.
    pub subject: String,
    /// Its format; empty if not said.
    pub format: String,
    /// Attributes by name, values in document order.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Id of the assertion: accepted once.
    pub assertion: String,
    /// Seconds since 1970 from which on the assertion is refused anyway, so that its id can be forgotten.
    pub forget: i64,
    /// Seconds since 1970 when the provider wants the sign-in to end.
    pub session_until: Option<i64>,
}

impl Accepted {
    /// The subject changes at every sign-in and names nobody.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.format == TRANSIENT
    }
}

/// Checks a response (the document, not its base64).
///
/// # Errors
/// Anything but the one accepted shape, a valid signature and matching claims.
pub fn check(document: &[u8], expected: &Expected<'_>) -> Result<Accepted, Refused> {
    if document.len() > RESPONSE_BYTES_MAX {
        return Err(Refused("the response is too long"));
    }
    let response = xml::parse(document)?;
    if !response.is(PROTOCOL, "Response") {
        return Err(Refused("not a SAML response"));
    }
    identifiers(&response)?;
    population(&response)?;
    let assertion = only(&response, ASSERTION, "Assertion")?;

    let whole = dsig::signed(&response, expected.certificates)?;
    let part = dsig::signed(assertion, expected.certificates)?;
    let whole = whole.as_deref().map(xml::parse).transpose()?;
    let part = part.as_deref().map(xml::parse).transpose()?;
    answer(whole.as_ref().unwrap_or(&response), expected, whole.is_some())?;
    let consumed = match (&whole, &part) {
        (_, Some(assertion)) => assertion,
        (Some(response), None) => only(response, ASSERTION, "Assertion")?,
        (None, None) => return Err(Refused("neither the response nor its assertion is signed")),
    };
    claims(consumed, expected)
}

/// No two elements have the same identifier, whatever the attribute's spelling.
fn identifiers(response: &Element) -> Result<(), Refused> {
    let (mut seen, mut clash) = (std::collections::HashSet::new(), false);
    response.walk(&mut |e| {
        for a in e.attributes.iter().filter(|a| a.local.eq_ignore_ascii_case("id")) {
            clash |= !a.namespace.is_empty() || a.value.is_empty() || !seen.insert(a.value.as_str());
        }
    });
    if clash { Err(Refused("an identifier is used twice")) } else { Ok(()) }
}

/// One response, one assertion and their own signatures, anywhere in the document and under any namespace.
fn population(response: &Element) -> Result<(), Refused> {
    let (mut assertions, mut signatures, mut strange) = (0, 0, false);
    response.walk(&mut |e| {
        match e.local.as_str() {
            "Assertion" => assertions += 1,
            "Signature" => signatures += 1,
            _ => {}
        }
        let foreign =
            !matches!(e.namespace.as_str(), PROTOCOL | ASSERTION | DSIG) && !e.namespace.ends_with("xml-exc-c14n#");
        strange |= foreign || (e.local == "Response" && !std::ptr::eq(e, response)) || e.local.starts_with("Encrypted");
    });
    if assertions != 1 || strange {
        return Err(Refused("the response does not hold one assertion in clear, and nothing else"));
    }
    let own = |e: &Element| e.elements().filter(|s| s.is(DSIG, "Signature")).count();
    let direct = own(response) + response.elements().filter(|e| e.is(ASSERTION, "Assertion")).map(own).sum::<usize>();
    if signatures != direct {
        return Err(Refused("a signature is not where it belongs"));
    }
    Ok(())
}

/// The response around the assertion.
fn answer(response: &Element, expected: &Expected<'_>, signed: bool) -> Result<(), Refused> {
    children(response, PROTOCOL, &["Status"], &["Issuer", "Assertion"])?;
    if response.attribute("Version") != Some("2.0") {
        return Err(Refused("not SAML 2.0"));
    }
    if let Some(issuer) = optional(response, ASSERTION, "Issuer")? {
        named(issuer, expected)?;
    }
    match response.attribute("Destination") {
        Some(to) if to != expected.consumer => return Err(Refused("the response was made for another address")),
        None if signed => return Err(Refused("the signed response does not say for which address it was made")),
        _ => {}
    }
    if response.attribute("InResponseTo").is_some_and(|id| id != expected.request) {
        return Err(Refused("the response answers another request"));
    }
    let status = only(response, PROTOCOL, "Status")?;
    if only(status, PROTOCOL, "StatusCode")?.attribute("Value") != Some(SUCCESS) {
        return Err(Refused("the identity provider did not sign the person in"));
    }
    only(response, ASSERTION, "Assertion").map(|_| ())
}

/// Everything that is believed; `assertion` comes from signed bytes.
fn claims(assertion: &Element, expected: &Expected<'_>) -> Result<Accepted, Refused> {
    const STATEMENTS: &[&str] = &["Issuer", "Subject", "Conditions", "AuthnStatement", "AttributeStatement"];
    children(assertion, ASSERTION, STATEMENTS, &[])?;
    if assertion.attribute("Version") != Some("2.0") {
        return Err(Refused("not SAML 2.0"));
    }
    named(only(assertion, ASSERTION, "Issuer")?, expected)?;
    let id = assertion.attribute("ID").filter(|id| !id.is_empty()).ok_or(Refused("an assertion without an ID"))?;
    let issued = assertion.attribute("IssueInstant").ok_or(Refused("an assertion without a time"))?;
    if instant::parse(issued)? > expected.now + SKEW_SECONDS {
        return Err(Refused("the assertion is from the future: check the clocks"));
    }

    let subject = only(assertion, ASSERTION, "Subject")?;
    children(subject, ASSERTION, &["NameID", "SubjectConfirmation"], &[])?;
    let name = only(subject, ASSERTION, "NameID")?;
    let mut until = confirmed(only(subject, ASSERTION, "SubjectConfirmation")?, expected)?;
    if let Some(end) = conditions(only(assertion, ASSERTION, "Conditions")?, expected)? {
        until = until.min(end);
    }
    if until > expected.now + LIFETIME_MAX {
        return Err(Refused("the assertion is valid for longer than a day"));
    }
    let mut session_until: Option<i64> = None;
    let mut sessions = 0;
    for statement in assertion.elements().filter(|e| e.is(ASSERTION, "AuthnStatement")) {
        sessions += 1;
        if let Some(end) = statement.attribute("SessionNotOnOrAfter") {
            let end = instant::parse(end)?;
            session_until = Some(session_until.map_or(end, |u| u.min(end)));
        }
    }
    if sessions == 0 {
        return Err(Refused("the assertion does not say that somebody signed in"));
    }
    if session_until.is_some_and(|end| end + SKEW_SECONDS <= expected.now) {
        return Err(Refused("the sign-in at the identity provider has ended"));
    }
    Ok(Accepted {
        issuer: expected.issuer.to_owned(),
        subject: value(name.text()?)?,
        format: name.attribute("Format").unwrap_or_default().to_owned(),
        attributes: attributes(assertion)?,
        assertion: id.to_owned(),
        forget: until + SKEW_SECONDS,
        session_until,
    })
}

/// A bearer confirmation for us, for this request, still valid; until when.
fn confirmed(confirmation: &Element, expected: &Expected<'_>) -> Result<i64, Refused> {
    if confirmation.attribute("Method") != Some(BEARER) {
        return Err(Refused("the assertion is not for its bearer"));
    }
    children(confirmation, ASSERTION, &["SubjectConfirmationData"], &[])?;
    let data = only(confirmation, ASSERTION, "SubjectConfirmationData")?;
    if data.attribute("Recipient") != Some(expected.consumer) {
        return Err(Refused("the assertion was made for another address"));
    }
    if data.attribute("InResponseTo") != Some(expected.request) {
        return Err(Refused("the assertion does not answer the request of this sign-in"));
    }
    // SAML profiles 4.1.4.2: a bearer confirmation has no NotBefore.
    if data.attribute("NotBefore").is_some() || data.elements().next().is_some() {
        return Err(Refused("the assertion's confirmation is not of the accepted shape"));
    }
    let until = data.attribute("NotOnOrAfter").ok_or(Refused("the assertion does not end"))?;
    not_over(instant::parse(until)?, expected)
}

/// Conditions hold; until when.
fn conditions(conditions: &Element, expected: &Expected<'_>) -> Result<Option<i64>, Refused> {
    children(conditions, ASSERTION, &["AudienceRestriction", "OneTimeUse", "ProxyRestriction"], &[])?;
    if let Some(from) = conditions.attribute("NotBefore")
        && instant::parse(from)? > expected.now + SKEW_SECONDS
    {
        return Err(Refused("the assertion is not valid yet: check the clocks"));
    }
    let until = conditions.attribute("NotOnOrAfter").map(instant::parse).transpose()?;
    let until = until.map(|until| not_over(until, expected)).transpose()?;
    let mut restricted = false;
    for restriction in conditions.elements().filter(|e| e.is(ASSERTION, "AudienceRestriction")) {
        children(restriction, ASSERTION, &["Audience"], &[])?;
        restricted = true;
        let mut ours = false;
        for audience in restriction.elements() {
            ours |= audience.text()? == expected.audience;
        }
        if !ours {
            return Err(Refused("the assertion is for another service"));
        }
    }
    if restricted { Ok(until) } else { Err(Refused("the assertion does not say for which service it is")) }
}

fn not_over(until: i64, expected: &Expected<'_>) -> Result<i64, Refused> {
    if until + SKEW_SECONDS <= expected.now { Err(Refused("the assertion has expired")) } else { Ok(until) }
}

fn attributes(assertion: &Element) -> Result<BTreeMap<String, Vec<String>>, Refused> {
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut count = 0;
    for statement in assertion.elements().filter(|e| e.is(ASSERTION, "AttributeStatement")) {
        children(statement, ASSERTION, &["Attribute"], &[])?;
        for attribute in statement.elements() {
            children(attribute, ASSERTION, &["AttributeValue"], &[])?;
            let name = value(attribute.attribute("Name").unwrap_or_default())?;
            if out.contains_key(&name) {
                return Err(Refused("an attribute is stated twice"));
            }
            // A value that is empty, structured or very long names no group: it is left out.
            let values: Vec<_> = attribute.elements().filter_map(|e| value(e.text().ok()?).ok()).collect();
            count += values.len();
            if count > VALUES_MAX {
                return Err(Refused("too many attributes"));
            }
            out.insert(name, values);
        }
    }
    Ok(out)
}

/// A name or value: not empty, not long, without control characters.
fn value(text: &str) -> Result<String, Refused> {
    if text.is_empty() || text.len() > VALUE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(Refused("a name or value that is empty, too long, or has control characters"));
    }
    Ok(text.to_owned())
}

/// The issuer is the configured one.
fn named(issuer: &Element, expected: &Expected<'_>) -> Result<(), Refused> {
    let entity = issuer.attribute("Format").is_none_or(|format| format == ENTITY);
    if entity && issuer.text()? == expected.issuer {
        Ok(())
    } else {
        Err(Refused("the response is by another identity provider"))
    }
}

/// The child elements are of these names (a signature aside), and there is no text between them.
fn children(element: &Element, namespace: &str, names: &[&str], assertion: &[&str]) -> Result<(), Refused> {
    let known = |e: &Element| {
        e.is(DSIG, "Signature")
            || (e.namespace == namespace && names.contains(&e.local.as_str()))
            || (e.namespace == ASSERTION && assertion.contains(&e.local.as_str()))
    };
    let fits = element.children.iter().all(|child| match child {
        Node::Element(e) => known(e),
        Node::Text(t) => t.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n')),
    });
    if fits { Ok(()) } else { Err(Refused("an element that is not of the accepted shape")) }
}

fn optional<'a>(element: &'a Element, namespace: &str, local: &str) -> Result<Option<&'a Element>, Refused> {
    let mut found = element.elements().filter(|e| e.is(namespace, local));
    let first = found.next();
    if found.next().is_some() { Err(Refused("an element is given twice")) } else { Ok(first) }
}

fn only<'a>(element: &'a Element, namespace: &str, local: &str) -> Result<&'a Element, Refused> {
    optional(element, namespace, local)?.ok_or(Refused("an element is missing"))
}
