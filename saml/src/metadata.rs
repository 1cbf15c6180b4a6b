//! Metadata (SAML metadata 2.0): the identity provider's, from a file of the operator's, and our own to give to it.
//!
//! The file is trusted as configuration is: its signature, if any, is not checked, and it is never fetched.

use crate::xml::{self, Element};
use crate::{Certificate, Refused, dsig};

const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Entity id.
    pub entity: String,
    /// Where requests go (HTTP-Redirect binding).
    pub sign_on: String,
    /// Certificates it signs with.
    pub certificates: Vec<Certificate>,
}

impl Provider {
    /// Reads the metadata of one identity provider.
    ///
    /// # Errors
    /// Not of the accepted XML, not one identity provider, or without what is needed.
    pub fn from_metadata(document: &[u8]) -> Result<Self, Refused> {
        let root = xml::parse(document.strip_prefix(b"\xef\xbb\xbf").unwrap_or(document))?;
        if !root.is(METADATA, "EntityDescriptor") {
            return Err(Refused("the metadata is not of one entity"));
        }
        let entity = root.attribute("entityID").ok_or(Refused("the metadata has no entityID"))?;
        let mut roles = root.elements().filter(|e| e.is(METADATA, "IDPSSODescriptor"));
        let (Some(role), None) = (roles.next(), roles.next()) else {
            return Err(Refused("the metadata is not of one identity provider"));
        };
        let sign_on = role
            .elements()
            .filter(|e| e.is(METADATA, "SingleSignOnService"))
            .find(|e| e.attribute("Binding") == Some(REDIRECT))
            .and_then(|e| e.attribute("Location"))
            .ok_or(Refused("the identity provider takes no requests by HTTP-Redirect"))?;
        let mut certificates = Vec::new();
        let keys = role.elements().filter(|e| e.is(METADATA, "KeyDescriptor"));
        for key in keys.filter(|e| e.attribute("use").is_none_or(|u| u == "signing")) {
            let mut found = Vec::new();
            key.walk(&mut |e: &Element| {
                if e.is(dsig::DSIG, "X509Certificate") {
                    found.push(e);
                }
            });
            for certificate in found {
                let der = dsig::decode(certificate.text()?)?;
                let made = Certificate::from_der(&der).map_err(|invalid| Refused(invalid.0))?;
                if !certificates.contains(&made) {
                    certificates.push(made);
                }
            }
        }
        if certificates.is_empty() {
            return Err(Refused("the metadata has no certificate for signing"));
        }
        Ok(Self { entity: entity.to_owned(), sign_on: sign_on.to_owned(), certificates })
    }
}

/// Our own metadata: entity id, the certificate requests are signed with, and where responses go.
#[must_use]
pub fn ours(entity: &str, consumer: &str, certificate: &Certificate) -> String {
    use base64::Engine as _;
    let key = base64::engine::general_purpose::STANDARD.encode(certificate.der());
    let (entity, consumer) = (escaped(entity), escaped(consumer));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <md:EntityDescriptor xmlns:md=\"{METADATA}\" entityID=\"{entity}\">\
         <md:SPSSODescriptor AuthnRequestsSigned=\"true\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"{protocol}\">\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"{ds}\"><ds:X509Data><ds:X509Certificate>{key}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
         <md:AssertionConsumerService Binding=\"{POST}\" Location=\"{consumer}\" index=\"0\" isDefault=\"true\"/>\
         </md:SPSSODescriptor></md:EntityDescriptor>\n",
        protocol = crate::response::PROTOCOL,
        ds = dsig::DSIG,
    )
}

/// A value for an attribute.
pub(crate) fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
