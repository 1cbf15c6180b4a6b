//! Enveloped XML signatures (W3C XML Signature 1.1), the one form that SAML uses.
//!
//! Verified: a `Signature` that is a direct child of the element it covers, one `Reference` to that element's `ID`, the
//! transforms enveloped-signature and exclusive canonicalization, SHA-2, RSA or ECDSA, a pinned key. What the signature
//! says is read from a second parse of the canonical `SignedInfo`, the bytes that the key vouches for. `KeyInfo` is not
//! looked at.

use crate::xml::{self, Element, Node};
use crate::{Certificate, Refused, canonical};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// Namespace of XML signatures.
pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const PREFIXES_MAX: usize = 16;

const SHAPE: Refused = Refused("the signature does not have the one accepted shape");
const ALGORITHM: Refused = Refused("the signature uses an algorithm that is not accepted");

/// Checks the signature of `element` and gives back the bytes it covers; `None` if it has none.
///
/// # Errors
/// There is a signature and it is not valid, or not of the accepted shape.
pub(crate) fn signed(element: &Element, pinned: &[Certificate]) -> Result<Option<Vec<u8>>, Refused> {
    let mut found = element.children.iter().enumerate().filter_map(|(i, c)| match c {
        Node::Element(e) if e.is(DSIG, "Signature") => Some((i, e)),
        _ => None,
    });
    let Some((at, signature)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(Refused("an element has two signatures"));
    }
    let (info, value) = parts(signature)?;
    let method = only(info, "CanonicalizationMethod")?;
    let prefixes = exclusive(method)?;
    let bytes = canonical(info, None, &prefixes);

    // From here on, only what the key vouches for.
    let info = xml::parse(&bytes)?;
    let algorithm = attribute(only(&info, "SignatureMethod")?, "Algorithm")?;
    let value = decode(value.text()?)?;
    if !pinned.iter().any(|key| key.verifies(algorithm, &bytes, &value)) {
        return Err(Refused("the signature is not by a key of the configured certificate"));
    }
    // The list of prefixes is part of what is signed: it must be what was used.
    if exclusive(only(&info, "CanonicalizationMethod")?)? != prefixes {
        return Err(SHAPE);
    }
    names(&info, &["CanonicalizationMethod", "SignatureMethod", "Reference"])?;
    let reference = only(&info, "Reference")?;
    names(reference, &["Transforms", "DigestMethod", "DigestValue"])?;
    let id = element.attribute("ID").filter(|id| !id.is_empty()).ok_or(SHAPE)?;
    if attribute(reference, "URI")?.strip_prefix('#') != Some(id) || reference.attributes.len() != 1 {
        return Err(Refused("the signature is over another element"));
    }
    let transforms: Vec<_> = only(reference, "Transforms")?.elements().collect();
    let [first, second] = transforms[..] else { return Err(SHAPE) };
    if !(first.is(DSIG, "Transform") && second.is(DSIG, "Transform")) {
        return Err(SHAPE);
    }
    if attribute(first, "Algorithm")? != ENVELOPED || first.elements().next().is_some() {
        return Err(ALGORITHM);
    }
    let covered = canonical(element, Some(at), &exclusive(second)?);
    let algorithm = match attribute(only(reference, "DigestMethod")?, "Algorithm")? {
        "http://www.w3.org/2001/04/xmlenc#sha256" => &digest::SHA256,
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => &digest::SHA384,
        "http://www.w3.org/2001/04/xmlenc#sha512" => &digest::SHA512,
        _ => return Err(ALGORITHM),
    };
    let expected = decode(only(reference, "DigestValue")?.text()?)?;
    if digest::digest(algorithm, &covered).as_ref() != expected {
        return Err(Refused("what is signed was changed"));
    }
    Ok(Some(covered))
}

/// `SignedInfo` and `SignatureValue`; at most a `KeyInfo` of signature elements follows.
fn parts(signature: &Element) -> Result<(&Element, &Element), Refused> {
    let children: Vec<_> = signature.elements().collect();
    let (info, value) = match children[..] {
        [info, value] => (info, value),
        [info, value, key] if key.is(DSIG, "KeyInfo") => {
            let mut foreign = false;
            key.walk(&mut |e| foreign |= e.namespace != DSIG);
            if foreign {
                return Err(SHAPE);
            }
            (info, value)
        }
        _ => return Err(SHAPE),
    };
    if info.is(DSIG, "SignedInfo") && value.is(DSIG, "SignatureValue") { Ok((info, value)) } else { Err(SHAPE) }
}

/// The child elements are these, once each, in this order.
fn names(element: &Element, expected: &[&str]) -> Result<(), Refused> {
    let mut found = element.elements();
    let all = expected.iter().all(|name| found.next().is_some_and(|e| e.is(DSIG, name)));
    if all && found.next().is_none() { Ok(()) } else { Err(SHAPE) }
}

fn only<'a>(element: &'a Element, local: &str) -> Result<&'a Element, Refused> {
    let mut found = element.elements().filter(|e| e.is(DSIG, local));
    found.next().filter(|_| found.next().is_none()).ok_or(SHAPE)
}

fn attribute<'a>(element: &'a Element, name: &str) -> Result<&'a str, Refused> {
    element.attribute(name).ok_or(SHAPE)
}

/// The prefixes of an exclusive canonicalization's `InclusiveNamespaces`, none if it has no such list.
fn exclusive(method: &Element) -> Result<Vec<String>, Refused> {
    if attribute(method, "Algorithm")? != EXCLUSIVE {
        return Err(ALGORITHM);
    }
    let mut children = method.elements();
    let Some(list) = children.next() else { return Ok(Vec::new()) };
    if !list.is(EXCLUSIVE, "InclusiveNamespaces") || children.next().is_some() || list.elements().next().is_some() {
        return Err(SHAPE);
    }
    let prefixes: Vec<_> = attribute(list, "PrefixList")?.split_ascii_whitespace().map(str::to_owned).collect();
    if prefixes.len() > PREFIXES_MAX { Err(SHAPE) } else { Ok(prefixes) }
}

/// Base64 as XML has it, with white space in it.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, Refused> {
    let packed: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(packed).map_err(|_| Refused("malformed base64"))
}
